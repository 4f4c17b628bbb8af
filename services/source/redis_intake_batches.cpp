// The part of the Redis intake's loop that deals with taken batches: submitting, submitting again, rejecting,
// deleting, and winding down.
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
    log_event(log_level::info, "a taken list that was left is taken in again",
              {{"key", key.name}, {"batch", number}, {"messages", state.batch.size()}, {"open", open}});
  submit(state);
}

void redis_intake_loop::submit(batch_state& state) {
  const auto rejected_before = state.batch.rejections().size();
  auto items = state.batch.make_items(options_.message_bytes_max);
  report_rejections(state, rejected_before);
  if (items.empty()) {
    state.decided = true;
    return;
  }
  state.in_sink = true;
  sink_.push(std::move(items), make_completion(completions_, state.batch.number()));
}

void redis_intake_loop::submit_due(time_point now) {
  for (auto& [number, state] : batches_)
    if (state.undecided && !state.in_sink && now >= state.retry_at)
      submit(state);
}

void redis_intake_loop::take_completions(time_point now) {
  for (const auto& completion : completions_->take()) {
    const auto found = batches_.find(completion.batch);
    if (found == batches_.end() || !found->second.in_sink)
      continue; // cannot be: each batch is in the sink once at a time
    auto& state = found->second;
    auto& key = keys_[state.batch.key_index()];
    state.in_sink = false;
    const auto rejected_before = state.batch.rejections().size();
    const auto progress = state.batch.apply(completion.replies);
    source_counts counts;
    counts.accepted = progress.accepted;
    counts.duplicates = progress.duplicates;
    counts.in_flight = -static_cast<int64_t>(progress.accepted + progress.duplicates);
    report_.count(counts);
    report_rejections(state, rejected_before);
    if (progress.undecided) {
      if (!state.undecided)
        ++key.batches_undecided;
      state.undecided = true;
      state.retry_at = now + backoff(state.rounds++);
      // A daemon that drains says so itself; it is no trouble of the source.
      if (progress.undecided->code != error_code::draining)
        report_.trouble("intake", to_string(progress.undecided->code),
                        "tasks cannot be handed over now: " + progress.undecided->message);
      continue;
    }
    state.decided = true;
    if (state.undecided) {
      state.undecided = false;
      --key.batches_undecided;
    }
    if (std::none_of(keys_.begin(), keys_.end(),
                     [](const intake_key& one) { return one.batches_undecided != 0; }))
      report_.clear("intake");
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

void redis_intake_loop::finish_decided(time_point now) {
  std::vector<uint64_t> finished;
  std::vector<uint64_t> plain;
  std::vector<std::string> lists;
  for (auto& [number, state] : batches_) {
    if (!state.decided || now < state.finish_at || !work_)
      continue;
    if (state.batch.rejections().empty()) {
      plain.push_back(number);
      lists.push_back(list_name(keys_[state.batch.key_index()], number));
    } else if (finish_rejected(state, now)) {
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
      lose_connection({error_code::unavailable, explain_refusal(**reply)});
    else
      finished.insert(finished.end(), plain.begin(), plain.end());
  }
  for (const auto number : finished) {
    const auto found = batches_.find(number);
    --keys_[found->second.batch.key_index()].batches_in_flight;
    batches_.erase(found);
    forget(number);
  }
}

bool redis_intake_loop::finish_rejected(batch_state& state, time_point now) {
  const auto& key = keys_[state.batch.key_index()];
  const auto list = list_name(key, state.batch.number());
  const auto entries = state.batch.make_rejected_entries();
  const auto cap = std::to_string(options_.rejected_max);
  std::vector<std::string_view> arguments{cap, state.finish_sent ? "0" : "1"};
  arguments.insert(arguments.end(), entries.begin(), entries.end());
  auto reply = call_script(finish_, {list, options_.rejected_key}, arguments);
  if (!reply) {
    state.finish_sent = true; // it may have been carried out: only the reply is known to be missing
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
    state.finish_at = now + rejected_list_pause;
    return false;
  case redis_refusal::list_exists:
  case redis_refusal::no_script:
  case redis_refusal::other:
    break;
  }
  lose_connection({error_code::unavailable, explain_refusal(**reply)});
  return false;
}

void redis_intake_loop::forget(uint64_t number) {
  seen_lists_.erase(number);
  journal_.forget(number);
}

void redis_intake_loop::wind_down() {
  for (auto& key : keys_) {
    key.waiter.reset();
    key.announced = 0;
  }
  const auto deadline = clock::now() + wind_down_patience;
  for (;;) {
    take_completions(clock::now());
    const bool in_flight =
        std::any_of(batches_.begin(), batches_.end(), [](const auto& one) { return one.second.in_sink; });
    const auto left = std::chrono::ceil<milliseconds>(deadline - clock::now()).count();
    if (!in_flight || left <= 0)
      break;
    pollfd one{completions_->fd(), POLLIN, 0};
    poll(&one, 1, static_cast<int>(left));
  }
  if (work_)
    finish_decided(time_point::max());
  if (!batches_.empty())
    log_event(log_level::info, "taken messages that are not decided stay in Redis for the next start",
              {{"batches", batches_.size()}});
  work_.reset();
}

} // namespace task_runner
