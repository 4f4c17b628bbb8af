// The loop of the Redis intake: connecting, waiting and taking.
// What happens to a batch afterwards stands in redis_intake_batches.cpp.
#include "services/source/redis_intake_loop.hpp"

#include "services/observability/log.hpp"
#include "services/source/taken_lists.hpp"

#include <algorithm>
#include <poll.h>

namespace task_runner {

namespace {

using std::chrono::milliseconds;

/// Of a message that is too long, this many bytes are kept.
constexpr uint64_t kept_bytes = 65'536;

/// Keys looked at by one step of SCAN: about a tenth of a millisecond of Redis's time.
constexpr std::string_view scan_count = "1000";

/// A key that holds something else than a list is looked at again after this time.
constexpr milliseconds wrong_type_pause{5'000};

/// How much later than promised BRPOPLPUSH may answer.
constexpr std::chrono::seconds waiter_patience{10};

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

error unexpected(const char* command) {
  return error{error_code::unavailable,
               std::string("Redis answers ") + command +
                   " with something else than expected; is it really Redis 2.6 or newer?"};
}

error refused(const redisReply& reply) {
  return error{error_code::unavailable, explain_refusal(reply)};
}

/// Whether a reply has the form in which the scripts answer.
bool is_script_answer(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_ARRAY || reply.elements < 1 || reply.element[0]->type != REDIS_REPLY_INTEGER)
    return false;
  for (size_t at = 1; at < reply.elements; ++at) {
    const auto& one = *reply.element[at];
    const bool beginning = one.type == REDIS_REPLY_ARRAY && one.elements == 2 &&
                           one.element[0]->type == REDIS_REPLY_INTEGER &&
                           one.element[1]->type == REDIS_REPLY_STRING;
    if (one.type != REDIS_REPLY_STRING && !beginning)
      return false;
  }
  return true;
}

} // namespace

redis_intake_loop::redis_intake_loop(const redis_source_options& options, push_sink& sink,
                                     intake_journal& journal, source_report& report, const wake_event& stop)
    : options_(options)
    , sink_(sink)
    , journal_(journal)
    , report_(report)
    , stop_(stop)
    , random_(std::random_device{}())
    , take_{take_script, {}}
    , read_{read_script, {}}
    , finish_{finish_script, {}} {
  for (const auto& name : options.keys) {
    intake_key key;
    key.name = name;
    key.place = "key " + name;
    keys_.push_back(std::move(key));
  }
}

void redis_intake_loop::run() {
  while (!stop_.is_set()) {
    const auto now = clock::now();
    take_completions(now);
    submit_due(now);
    if (!work_ && now >= connect_at_)
      connect(now);
    const bool busy = work_ && step(now);
    rejection_log_.flush(now);
    wait(busy);
  }
  wind_down();
}

bool redis_intake_loop::step(time_point now) {
  finish_decided(now);
  if (work_ && prepared_ && !scan_ && now >= settle_scan_at_) {
    scan_.emplace(list_scan{});
    settle_scan_at_ = time_point::max();
  }
  bool busy = work_ && scan_ && step_scan();
  if (!work_ || !prepare(now))
    return work_ && busy;
  // The keys take turns at being first, so that none starves.
  first_key_ = (first_key_ + 1) % keys_.size();
  for (size_t i = 0; i < keys_.size() && work_; ++i)
    busy = serve(keys_[(first_key_ + i) % keys_.size()], now) || busy;
  return work_ && busy;
}

void redis_intake_loop::connect(time_point now) {
  auto opened = redis_connection::open(options_.endpoint, stop_);
  if (!opened) {
    lose_connection(opened.failure());
    return;
  }
  work_.emplace(std::move(*opened));
  for (script* one : {&take_, &read_, &finish_}) {
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
    lose_connection(refused(answer));
    return false;
  }
  if (answer.type != REDIS_REPLY_ARRAY || answer.elements != 2 ||
      answer.element[1]->type != REDIS_REPLY_ARRAY) {
    lose_connection(unexpected("SCAN"));
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
    else if (!is_known(list->batch))
      key->leftovers.push_back({list->batch, false});
  }
  for (auto& key : keys_)
    std::sort(key.leftovers.begin(), key.leftovers.end(),
              [](const leftover& left, const leftover& right) { return left.batch < right.batch; });
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

bool redis_intake_loop::serve(intake_key& key, time_point now) {
  if (key.batches_in_flight >= options_.batches_in_flight_max || key.batches_undecided != 0 ||
      now < key.paused_until)
    return false;
  if (!key.leftovers.empty())
    return take_in_leftover(key);
  if (key.announced != 0)
    return false;
  if (key.maybe_more)
    return take(key, now);
  arm_waiter(key, now);
  return false;
}

bool redis_intake_loop::take(intake_key& key, time_point now) {
  const auto number = next_number();
  const auto list = list_name(key, number);
  auto reply = call_script(take_, {key.name, list},
                           {std::to_string(options_.batch_max), std::to_string(options_.batch_bytes_max),
                            std::to_string(options_.message_bytes_max), std::to_string(kept_bytes)});
  if (!reply) {
    lose_connection(reply.failure());
    return false;
  }
  switch (classify(**reply)) {
  case redis_refusal::none:
    break;
  case redis_refusal::wrong_type:
    note_working();
    key_trouble(key, **reply, now);
    return false;
  case redis_refusal::list_exists: // a leftover that the scan has missed; the next number is free
    settle_scan_at_ = now;
    return true;
  case redis_refusal::no_script:
  case redis_refusal::other:
    lose_connection(refused(**reply));
    return false;
  }
  if (!is_script_answer(**reply)) {
    lose_connection(unexpected("a script"));
    return false;
  }
  note_working();
  report_.clear(key.place);
  key.maybe_more = (*reply)->element[0]->integer > 0;
  if ((*reply)->elements > 1)
    begin_batch(key, number, std::move(*reply), {}, false);
  return true;
}

bool redis_intake_loop::take_in_leftover(intake_key& key) {
  const auto [number, fresh] = key.leftovers.front();
  if (batches_.count(number) != 0) {
    key.leftovers.pop_front();
    return true;
  }
  const auto list = list_name(key, number);
  auto reply =
      call_script(read_, {list}, {std::to_string(options_.message_bytes_max), std::to_string(kept_bytes)});
  if (!reply) {
    lose_connection(reply.failure());
    return false;
  }
  const auto refusal = classify(**reply);
  if (refusal == redis_refusal::wrong_type) {
    log_event(log_level::warning,
              "a key that is named like a taken list holds something else; it is left alone",
              {{"key", list}});
    key.leftovers.pop_front();
    return true;
  }
  if (refusal != redis_refusal::none) {
    lose_connection(refused(**reply));
    return false;
  }
  if (!is_script_answer(**reply)) {
    lose_connection(unexpected("a script"));
    return false;
  }
  std::vector<uint32_t> marked;
  if (!fresh && (*reply)->elements > 1) {
    auto marks = journal_.marked_positions(number);
    if (!marks) {
      report_.trouble("store", "marks", "the store does not give its marks: " + marks.failure().message);
      key.paused_until = clock::now() + backoff(journal_round_++);
      return false;
    }
    report_.clear("store");
    journal_round_ = 0;
    marked = std::move(*marks);
  }
  key.leftovers.pop_front();
  if ((*reply)->elements > 1)
    begin_batch(key, number, std::move(*reply), marked, !fresh);
  else
    forget(number); // finished after the scan had seen it
  return true;
}

void redis_intake_loop::arm_waiter(intake_key& key, time_point now) {
  if (!key.waiter) {
    auto opened = redis_connection::open(options_.endpoint, stop_);
    if (!opened) {
      lose_connection(opened.failure());
      return;
    }
    key.waiter.emplace(std::move(*opened));
  }
  const auto number = next_number();
  const auto sent =
      key.waiter->send({"BRPOPLPUSH", key.name, list_name(key, number), std::to_string(options_.block_s)});
  if (!sent) {
    lose_connection(sent.failure());
    return;
  }
  key.announced = number;
  key.waiter_deadline = now + std::chrono::seconds(options_.block_s) + waiter_patience;
}

void redis_intake_loop::read_waiter(intake_key& key, time_point now) {
  if (key.waiter->peek_text_length() > options_.message_bytes_max) {
    // Too long to be received whole. It stands in its taken list, from where the script reads its beginning.
    key.leftovers.push_back({key.announced, true});
    key.announced = 0;
    key.maybe_more = true;
    key.waiter.reset();
    return;
  }
  auto reply = key.waiter->receive();
  if (!reply) {
    lose_connection(reply.failure());
    return;
  }
  if (!*reply)
    return;
  const auto number = std::exchange(key.announced, 0);
  switch ((*reply)->type) {
  case REDIS_REPLY_NIL:
    // A look at the list over the working connection keeps that one from being closed as idle.
    key.maybe_more = true;
    return;
  case REDIS_REPLY_STRING:
    key.maybe_more = true;
    begin_batch(key, number, std::move(*reply), {}, false);
    return;
  case REDIS_REPLY_ERROR:
    if (classify(**reply) == redis_refusal::wrong_type)
      key_trouble(key, **reply, now);
    else
      lose_connection(refused(**reply));
    return;
  default:
    lose_connection(unexpected("BRPOPLPUSH"));
  }
}

void redis_intake_loop::key_trouble(intake_key& key, const redisReply& refusal, time_point now) {
  report_.trouble(key.place, "wrong type", "the intake key " + key.name + ": " + explain_refusal(refusal));
  key.maybe_more = true;
  key.paused_until = now + wrong_type_pause;
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
  return run_as("EVAL", which.text); // which also makes the server know it again
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
    for (const auto& one : key.leftovers)
      if (one.batch == number)
        return true;
  }
  return false;
}

redis_intake_loop::time_point redis_intake_loop::next_deadline() const {
  auto next = time_point::max();
  const auto consider = [&next](time_point moment) { next = std::min(next, moment); };
  for (const auto& [number, state] : batches_) {
    if (state.undecided && !state.in_sink)
      consider(state.retry_at);
    if (state.decided && work_)
      consider(state.finish_at);
  }
  if (const auto due = rejection_log_.due())
    consider(*due);
  if (!work_) {
    consider(connect_at_);
    return next;
  }
  if (!prepared_) {
    consider(journal_at_);
    return next;
  }
  consider(settle_scan_at_);
  for (const auto& key : keys_) {
    if (key.announced != 0)
      consider(key.waiter_deadline);
    // At its bound a key waits for a completion, not for the clock.
    const bool may_take =
        key.batches_in_flight < options_.batches_in_flight_max && key.batches_undecided == 0;
    if (may_take && (key.announced == 0 || !key.leftovers.empty()))
      consider(key.paused_until);
  }
  return next;
}

void redis_intake_loop::wait(bool busy) {
  std::vector<pollfd> waits{{stop_.fd(), POLLIN, 0}, {completions_->fd(), POLLIN, 0}};
  std::vector<intake_key*> waiting;
  for (auto& key : keys_)
    if (key.announced != 0) {
      waits.push_back({key.waiter->fd(), POLLIN, 0});
      waiting.push_back(&key);
    }
  const auto deadline = next_deadline();
  int timeout_ms = -1;
  if (busy)
    timeout_ms = 0;
  else if (deadline != time_point::max())
    timeout_ms = static_cast<int>(
        std::clamp<int64_t>(std::chrono::ceil<milliseconds>(deadline - clock::now()).count(), 0, 3'600'000));
  if (poll(waits.data(), waits.size(), timeout_ms) < 0)
    return; // a signal: look again
  const auto now = clock::now();
  for (size_t i = 0; i < waiting.size() && work_; ++i) {
    if (waiting[i]->announced == 0)
      continue;
    if (waits[i + 2].revents != 0)
      read_waiter(*waiting[i], now);
    else if (now >= waiting[i]->waiter_deadline)
      lose_connection({error_code::unavailable, "Redis does not answer in time; see what keeps it busy"});
  }
}

} // namespace task_runner
