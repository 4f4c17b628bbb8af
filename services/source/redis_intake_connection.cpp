// The part of the Redis intake's loop that deals with the connection: making and losing it, and running
// scripts over it. It also finds the taken lists that were left, before any new batch is taken.
#include "services/observability/log.hpp"
#include "services/source/redis_intake_loop.hpp"
#include "services/source/taken_lists.hpp"

#include <algorithm>

namespace task_runner {

namespace {

using std::chrono::milliseconds;

/// Keys looked at by one step of SCAN: about a tenth of a millisecond of Redis's time.
constexpr std::string_view scan_count = "1000";

/// What kind of trouble a message tells of, so that a repetition is not told again. A Redis that is away is
/// first lost, then refuses connections, then loads its data: all of it is one outage.
std::string nature_of(const error& failure) {
  constexpr std::string_view refusal = "Redis refuses: ";
  if (failure.message.compare(0, refusal.size(), refusal) != 0)
    return "away";
  const auto end = failure.message.find(' ', refusal.size());
  auto word = failure.message.substr(refusal.size(), end == std::string::npos ? end : end - refusal.size());
  return word == "LOADING" || word == "BUSY" || word == "MASTERDOWN" || word == "UNBLOCKED" ? "away" : word;
}

} // namespace

void redis_intake_loop::connect(time_point now) {
  auto opened = redis_connection::open(options_.endpoint, stop_);
  if (!opened) {
    lose_connection(opened.failure());
    return;
  }
  work_.emplace(std::move(*opened));
  for (script* one : {&take_, &read_, &file_, &finish_}) {
    one->sha.clear();
    auto loaded = work_->command({"SCRIPT", "LOAD", one->text});
    if (!loaded) {
      lose_connection(loaded.failure());
      return;
    }
    // Where this is refused, the script is sent whole each time, and whatever is wrong shows then.
    if ((*loaded)->type == REDIS_REPLY_STRING)
      one->sha = reply_text(**loaded);
  }
  scan_.emplace(list_scan{});
  prepared_ = false;
  settle_scan_at_ = now + milliseconds(options_.leftover_check_ms);
}

void redis_intake_loop::lose_connection(const error& failure) {
  if (!stop_.is_set())
    report_.trouble("connection", nature_of(failure), failure.message);
  work_.reset();
  proven_ = false;
  prepared_ = false;
  scan_.reset();
  for (auto& key : keys_) {
    key.waiter.reset();
    key.announced = 0; // had it been filled, the scan after the next connect finds its list
    key.maybe_more = true;
  }
  connect_at_ = clock::now() + backoff(connect_round_++);
}

/// Only a taking that Redis carried out proves that the connection is of use: a replica, or a Redis without
/// memory, lets anyone in and then refuses.
void redis_intake_loop::note_working() {
  if (proven_)
    return;
  proven_ = true;
  connect_round_ = 0;
  const bool was_away = report_.clear("connection");
  source_counts once_more;
  once_more.reconnects = 1;
  if (!ever_proven_)
    log_event(
        log_level::info, "the Redis intake works",
        {{"host", options_.endpoint.host}, {"port", options_.endpoint.port}, {"db", options_.endpoint.db}});
  else if (was_away)
    report_.count(once_more);
  ever_proven_ = true;
  report_.set_working();
}

bool redis_intake_loop::step_scan() {
  const auto pattern = taken_list_pattern(options_.node_id);
  auto reply = work_->command({"SCAN", scan_->cursor, "MATCH", pattern, "COUNT", scan_count});
  if (!reply) {
    lose_connection(reply.failure());
    return false;
  }
  const redisReply& answer = **reply;
  if (classify(answer) != redis_refusal::none) {
    lose_connection(refusal_of(answer));
    return false;
  }
  if (answer.type != REDIS_REPLY_ARRAY || answer.elements != 2 ||
      answer.element[1]->type != REDIS_REPLY_ARRAY) {
    lose_connection(unexpected_reply("SCAN"));
    return false;
  }
  for (size_t i = 0; i < answer.element[1]->elements; ++i)
    scan_->names.emplace(reply_text(*answer.element[1]->element[i]));
  scan_->cursor = reply_text(*answer.element[0]);
  if (scan_->cursor == "0")
    end_scan();
  return true;
}

void redis_intake_loop::end_scan() {
  seen_lists_.clear();
  size_t foreign = 0;
  size_t left = 0;
  for (const auto& name : scan_->names) {
    const auto list = parse_taken_list(name, options_.node_id);
    if (!list)
      continue;
    seen_lists_.insert(list->batch);
    last_number_ = std::max(last_number_, list->batch);
    const auto key = std::find_if(keys_.begin(), keys_.end(),
                                  [&](const intake_key& one) { return one.name == list->intake_key; });
    if (key == keys_.end())
      ++foreign;
    else if (!is_known(list->batch) && key->leftovers.emplace(list->batch, false).second)
      ++left;
  }
  if (left != 0)
    log_event(log_level::info, "taken lists that were left are taken in again", {{"lists", left}});
  if (foreign != 0 && foreign != foreign_lists_)
    log_event(
        log_level::warning,
        "taken messages of intake keys that are not configured stand in Redis; configure the key to run them",
        {{"lists", foreign}});
  foreign_lists_ = foreign;
  scan_.reset();
}

/// Whether new batches may be taken: the leftovers come first, and their numbers, like those of all marks,
/// are never given to a new batch.
bool redis_intake_loop::prepare(time_point now) {
  if (prepared_)
    return true;
  if (scan_ || now < journal_at_)
    return false;
  if (!journal_read_) {
    auto marked = journal_.marked_batches();
    if (!marked) {
      report_.trouble("store", "marks", "the store does not give its marks: " + marked.failure().message);
      journal_at_ = clock::now() + backoff(journal_round_++);
      return false;
    }
    report_.clear("store");
    journal_round_ = 0;
    journal_read_ = true;
    for (const auto number : *marked) {
      last_number_ = std::max(last_number_, std::min(number, batch_number_max));
      if (seen_lists_.count(number) == 0)
        forget(number);
    }
  }
  prepared_ = true;
  return true;
}

result<redis_reply> redis_intake_loop::call_script(script& which, const std::vector<std::string_view>& keys,
                                                   const std::vector<std::string_view>& arguments) {
  const auto key_count = std::to_string(keys.size());
  const auto run_as = [&](std::string_view command, std::string_view body) {
    std::vector<std::string_view> words{command, body, key_count};
    words.insert(words.end(), keys.begin(), keys.end());
    words.insert(words.end(), arguments.begin(), arguments.end());
    return work_->command(words);
  };
  if (!which.sha.empty()) {
    auto reply = run_as("EVALSHA", which.sha);
    if (!reply || classify(**reply) != redis_refusal::no_script)
      return reply;
  }
  return run_as("EVAL",
                which.text); // which also makes the server know it again
}

/// Microseconds of the clock, unless it stands still or went back: higher than every number given, found in
/// Redis or marked in the store.
uint64_t redis_intake_loop::next_number() {
  const auto now_us = std::chrono::duration_cast<std::chrono::microseconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
  last_number_ = std::max(last_number_ + 1, static_cast<uint64_t>(std::max<int64_t>(now_us, 0)));
  return last_number_;
}

milliseconds redis_intake_loop::backoff(uint32_t round) {
  constexpr uint32_t doublings_max = 20;
  const auto longest =
      std::min(options_.backoff_max_ms, options_.backoff_min_ms << std::min(round, doublings_max));
  // The random part keeps many nodes from coming back all at once.
  return milliseconds(std::uniform_int_distribution<int64_t>((longest + 1) / 2, longest)(random_));
}

std::string redis_intake_loop::list_name(const intake_key& key, uint64_t number) const {
  return taken_list_name(key.name, options_.node_id, number);
}

bool redis_intake_loop::is_known(uint64_t number) const {
  if (batches_.count(number) != 0)
    return true;
  for (const auto& key : keys_) {
    if (key.announced == number)
      return true;
    if (key.leftovers.count(number) != 0)
      return true;
  }
  return false;
}

} // namespace task_runner
