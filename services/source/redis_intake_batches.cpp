// The part of the Redis intake's loop that deals with taken batches as a whole: beginning, rejecting,
// filing, deleting, and winding down. What becomes of their messages meanwhile stands in
// redis_intake_lines.cpp.
#include "services/observability/log.hpp"
#include "services/source/redis_intake_loop.hpp"
#include "services/source/taken_lists.hpp"

#include <algorithm>
#include <poll.h>

namespace task_runner {

namespace {

using std::chrono::milliseconds;

/// At a stop, batches in flight get this long to be decided, so that their lists need not wait for the next
/// start.
constexpr milliseconds wind_down_patience{3'000};

/// Where the rejected messages' own list cannot be used, the next attempt comes after this time.
constexpr milliseconds rejected_list_pause{5'000};

} // namespace

void redis_intake_loop::begin_batch(intake_key& key, uint64_t number, redis_reply messages,
                                    const std::vector<uint32_t>& marked, bool recovered) {
  const auto key_index = static_cast<size_t>(&key - keys_.data());
  auto& state = batches_.emplace(number, batch_state{taken_batch(number, key_index, std::move(messages))})
                    .first->second;
  ++key.batches_in_flight;
  state.batch.skip(marked);
  const auto open = state.batch.open_count();
  source_counts counts;
  counts.taken = open;
  counts.recovered = recovered ? open : 0;
  counts.in_flight = static_cast<int64_t>(open);
  report_.count(counts);
  if (recovered)
    log_event(log_level::debug, "a taken list that was left is taken in again",
              {{"key", key.name}, {"batch", number}, {"messages", state.batch.size()}, {"open", open}});
  std::vector<channel_line*> begun;
  for (const auto position : state.batch.open_positions())
    join_line(state, position, begun);
  source_counts parked;
  parked.parked = static_cast<int64_t>(state.parked);
  report_.count(parked);
  report_rejections(state, 0);
  update_stage(state);
  if (!stall_)
    for (auto* line : begun)
      offer(*line, clock::now(), usual_offer(*line));
}

/// To be called whenever a message of the batch was decided or parked.
void redis_intake_loop::update_stage(batch_state& state) {
  auto& key = keys_[state.batch.key_index()];
  const auto number = state.batch.number();
  const auto open = state.batch.open_count();
  const auto stage = open == 0              ? batch_stage::decided
                     : state.parked == open ? batch_stage::parked
                                            : batch_stage::flowing;
  if (stage == batch_stage::parked && state.filed < state.batch.rejections().size())
    unfiled_.insert(number);
  if (stage == state.stage)
    return;
  if (state.stage == batch_stage::parked) {
    key.parked_bytes -= state.batch.bytes();
    ++key.batches_in_flight;
  }
  state.stage = stage;
  if (stage == batch_stage::parked) {
    key.parked_bytes += state.batch.bytes();
    --key.batches_in_flight;
    state.batch.shrink(state.filed);
  } else if (stage == batch_stage::decided) {
    unfiled_.erase(number);
    decided_.insert(number);
  }
}

void redis_intake_loop::report_rejections(const batch_state& state, size_t from) {
  const auto& all = state.batch.rejections();
  if (from == all.size())
    return;
  source_counts counts;
  counts.rejected = all.size() - from;
  counts.in_flight = -static_cast<int64_t>(counts.rejected);
  report_.count(counts);
  const auto now = clock::now();
  for (size_t at = from; at < all.size(); ++at)
    rejection_log_.add(now, keys_[state.batch.key_index()].name, all[at].reason);
}

/// Rejected messages of parked batches are filed without waiting for the rest, which may take long.
void redis_intake_loop::file_parked(time_point now) {
  for (auto one = unfiled_.begin(); one != unfiled_.end() && work_;) {
    const auto number = *one++;
    auto& state = batches_.at(number);
    if (now < state.finish_at || !file_rejected(state))
      continue;
    state.batch.shrink(state.filed);
    unfiled_.erase(number);
  }
}

/// Files what is rejected of a batch and not filed yet, and puts marks in its place. May be repeated.
bool redis_intake_loop::file_rejected(batch_state& state) {
  const auto entries = state.batch.make_rejected_entries(state.filed);
  std::vector<std::string> indices;
  for (const auto position : state.batch.rejected_positions(state.filed))
    indices.push_back("-" + std::to_string(position + 1)); // the first message stands at the tail
  const auto cap = std::to_string(options_.rejected_max);
  const auto count = std::to_string(entries.size());
  std::vector<std::string_view> arguments{cap, filed_mark, count};
  arguments.insert(arguments.end(), indices.begin(), indices.end());
  arguments.insert(arguments.end(), entries.begin(), entries.end());
  const auto list = list_name(keys_[state.batch.key_index()], state.batch.number());
  // Until it is known to have worked, some may be filed: then only the marks tell which.
  state.filing_unsure = true;
  if (!is_filed(state, call_script(file_, {list, options_.rejected_key}, arguments)))
    return false;
  state.filing_unsure = false;
  state.filed = state.batch.rejections().size();
  return true;
}

void redis_intake_loop::finish_decided(time_point now) {
  std::vector<uint64_t> finished;
  std::vector<uint64_t> plain;
  std::vector<std::string> lists;
  for (const auto number : decided_) {
    auto& state = batches_.at(number);
    if (now < state.finish_at || !work_ || (state.filing_unsure && !file_rejected(state)))
      continue;
    if (state.filed == state.batch.rejections().size()) {
      plain.push_back(number);
      lists.push_back(list_name(keys_[state.batch.key_index()], number));
    } else if (finish_rejected(state)) {
      finished.push_back(number);
    }
  }
  if (!plain.empty() && work_) {
    std::vector<std::string_view> words{"DEL"};
    words.insert(words.end(), lists.begin(), lists.end());
    auto reply = work_->command(words);
    if (!reply)
      lose_connection(reply.failure()); // deleting once more later does no harm
    else if (classify(**reply) != redis_refusal::none)
      lose_connection(refusal_of(**reply));
    else
      finished.insert(finished.end(), plain.begin(), plain.end());
  }
  for (const auto number : finished) {
    const auto found = batches_.find(number);
    --keys_[found->second.batch.key_index()].batches_in_flight;
    batches_.erase(found);
    decided_.erase(number);
    forget(number);
  }
}

bool redis_intake_loop::finish_rejected(batch_state& state) {
  const auto& key = keys_[state.batch.key_index()];
  const auto list = list_name(key, state.batch.number());
  const auto entries = state.batch.make_rejected_entries(state.filed);
  const auto cap = std::to_string(options_.rejected_max);
  std::vector<std::string_view> arguments{cap, state.finish_sent ? "0" : "1"};
  arguments.insert(arguments.end(), entries.begin(), entries.end());
  auto reply = call_script(finish_, {list, options_.rejected_key}, arguments);
  if (!reply)
    state.finish_sent = true; // it may have been carried out: only the reply is known to be missing
  return is_filed(state, reply);
}

/// Whether a script that files rejected messages has done so.
bool redis_intake_loop::is_filed(batch_state& state, const result<redis_reply>& reply) {
  if (!reply) {
    lose_connection(reply.failure());
    return false;
  }
  switch (classify(**reply)) {
  case redis_refusal::none:
    report_.clear("rejected messages");
    return true;
  case redis_refusal::wrong_type:
    report_.trouble("rejected messages", "wrong type",
                    "the list of rejected messages " + options_.rejected_key + ": " +
                        explain_refusal(**reply));
    state.finish_at = clock::now() + rejected_list_pause;
    return false;
  case redis_refusal::list_exists:
  case redis_refusal::no_script:
  case redis_refusal::other:
    break;
  }
  lose_connection(refusal_of(**reply));
  return false;
}

void redis_intake_loop::forget(uint64_t number) {
  seen_lists_.erase(number);
  journal_.forget(number);
}

void redis_intake_loop::wind_down() {
  winding_down_ = true;
  for (auto& key : keys_) {
    key.waiter.reset();
    key.announced = 0;
  }
  const auto deadline = clock::now() + wind_down_patience;
  for (;;) {
    take_completions(clock::now());
    const auto left = std::chrono::ceil<milliseconds>(deadline - clock::now()).count();
    if (submissions_.empty() || left <= 0)
      break;
    pollfd one{completions_->fd(), POLLIN, 0};
    poll(&one, 1, static_cast<int>(left));
  }
  if (work_)
    finish_decided(time_point::max());
  file_parked(time_point::max());
  if (!batches_.empty())
    log_event(log_level::info, "taken messages that are not decided stay in Redis for the next start",
              {{"batches", batches_.size()}});
  work_.reset();
}

} // namespace task_runner
