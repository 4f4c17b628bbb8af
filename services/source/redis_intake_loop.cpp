// The loop of the Redis intake: waiting and taking. Connecting stands in redis_intake_connection.cpp, what
// happens to taken messages in redis_intake_lines.cpp and redis_intake_batches.cpp.
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

/// A key that holds something else than a list is looked at again after this time.
constexpr milliseconds wrong_type_pause{5'000};

/// How much later than promised BRPOPLPUSH may answer.
constexpr std::chrono::seconds waiter_patience{10};

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
    , file_{file_script, {}}
    , finish_{finish_script, {}} {
  for (const auto& name : options.keys) {
    intake_key key;
    key.name = name;
    key.place = "key " + name;
    key.parked_place = "parked messages of key " + name;
    keys_.push_back(std::move(key));
  }
}

void redis_intake_loop::run() {
  while (!stop_.is_set()) {
    const auto now = clock::now();
    take_completions(now);
    offer_due(now);
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
  file_parked(now);
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

bool redis_intake_loop::serve(intake_key& key, time_point now) {
  if (stall_ || key.batches_in_flight >= options_.batches_in_flight_max || now < key.paused_until ||
      !has_room(key))
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
    lose_connection(refusal_of(**reply));
    return false;
  }
  if (!is_script_answer(**reply)) {
    lose_connection(unexpected_reply("a script"));
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
  const auto [number, fresh] = *key.leftovers.begin();
  if (batches_.count(number) != 0) {
    key.leftovers.erase(number);
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
    key.leftovers.erase(number);
    return true;
  }
  if (refusal != redis_refusal::none) {
    lose_connection(refusal_of(**reply));
    return false;
  }
  if (!is_script_answer(**reply)) {
    lose_connection(unexpected_reply("a script"));
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
  key.leftovers.erase(number);
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
    key.leftovers.emplace(key.announced, true);
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
      lose_connection(refusal_of(**reply));
    return;
  default:
    lose_connection(unexpected_reply("BRPOPLPUSH"));
  }
}

void redis_intake_loop::key_trouble(intake_key& key, const redisReply& refusal, time_point now) {
  report_.trouble(key.place, "wrong type", "the intake key " + key.name + ": " + explain_refusal(refusal));
  key.maybe_more = true;
  key.paused_until = now + wrong_type_pause;
}

redis_intake_loop::time_point redis_intake_loop::next_deadline() const {
  auto next = time_point::max();
  const auto consider = [&next](time_point moment) { next = std::min(next, moment); };
  if (!due_.empty())
    consider(due_.begin()->first);
  if (stall_)
    consider(stall_->retry_at);
  if (work_)
    for (const auto* numbers : {&decided_, &unfiled_})
      for (const auto number : *numbers)
        consider(batches_.at(number).finish_at);
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
        !stall_ && !key.parked_full && key.batches_in_flight < options_.batches_in_flight_max;
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
