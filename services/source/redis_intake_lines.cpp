// The part of the Redis intake's loop that deals with the lines of channels: offering messages to the sink
// in their order, taking its answers, and parking what a channel does not take. It also tells such a channel
// from a sink that takes nothing.
#include "services/domain/undecided.hpp"
#include "services/source/redis_intake_loop.hpp"

#include <algorithm>

namespace task_runner {

namespace {

using std::chrono::milliseconds;

constexpr auto never = std::chrono::steady_clock::time_point::max();

/// A parked line is tried again after a pause that grows to this.
constexpr milliseconds parked_pause_max{1'000};

/// A channel that has not answered for this long, while others have, holds up nobody any more.
constexpr milliseconds slow_after{1'000};

/// Lines that offer a message each time it is tried whether the sink takes anything again.
constexpr size_t stalled_offers_max = 16;

/// Taking begins again when what is parked has fallen below its bound by one of this many parts.
constexpr uint64_t room_again_parts = 10;

/// The answer to one message of a submission, also when the sink has given none.
const push_reply& reply_to(size_t at, const std::vector<push_reply>& replies) {
  static const push_reply no_answer{{}, {}, false, error{error_code::timeout, "the intake gave no answer"}};
  return at < replies.size() ? replies[at] : no_answer;
}

bool is_undecided(const push_reply& reply) {
  return reply.failure && is_undecided(reply.failure->code);
}

/// What the answers to a submission say as a whole.
struct judgement {
  size_t accepted = 0;
  size_t duplicates = 0;
  size_t undecided = 0;
  /// The most telling of the undecided ones; null when all are decided.
  const push_reply* refusal = nullptr;
};

judgement judge(size_t offered, const std::vector<push_reply>& replies) {
  judgement found;
  for (size_t at = 0; at < offered; ++at) {
    const auto& reply = reply_to(at, replies);
    if (is_undecided(reply)) {
      ++found.undecided;
      // That nothing is taken from anybody says more than that this channel is full.
      if (found.refusal == nullptr || found.refusal->failure->code == error_code::queue_full)
        found.refusal = &reply;
    } else if (!reply.failure) {
      ++(reply.accepted ? found.accepted : found.duplicates);
    }
  }
  return found;
}

} // namespace

void redis_intake_loop::set_due(channel_line& line, time_point due) {
  if (line.due != never)
    due_.erase({line.due, &line});
  line.due = due;
  if (due != never)
    due_.emplace(due, &line);
}

/// Puts a message at the end of its channel's line, or rejects it. `begun` gets the line when it was empty.
void redis_intake_loop::join_line(batch_state& state, uint32_t position, std::vector<channel_line*>& begun) {
  auto item = state.batch.make_item(position, options_.message_bytes_max);
  if (!item)
    return;
  const auto key_index = state.batch.key_index();
  auto& key = keys_[key_index];
  const auto& channel = item->channel.empty() ? options_.channel_default : item->channel;
  const auto [found, added] = key.lines.try_emplace(channel);
  auto& line = found->second;
  if (added) {
    line.key_index = key_index;
    line.channel = channel;
  }
  if (line.waiting.empty() && line.submission == 0)
    begun.push_back(&line);
  line.waiting.push_back({state.batch.number(), position});
  if (line.parked) {
    ++state.parked;
    ++key.parked_messages;
    return;
  }
  if (line.decoded.capacity() == 0)
    line.decoded.reserve(line.offered.size()); // a line that is busy stays so: as many as last time
  line.decoded.push_back(std::move(*item));
  line.decoded_bytes += state.batch.length(position);
}

/// Half of what may be in flight at once, so that the other half can be taken while the sink works on it.
size_t redis_intake_loop::usual_offer(const channel_line& line) const {
  return line.parked ? line.offer_max
                     : size_t{options_.batch_max} * std::max(options_.batches_in_flight_max / 2, 1u);
}

/// Takes up to `most` messages from the front of a line, as `line.offered` and as the items to submit.
std::vector<push_item> redis_intake_loop::take_front(channel_line& line, size_t most) {
  line.offered.clear();
  // Nearly always everything that waits is decoded and goes together.
  if (line.waiting.size() == line.decoded.size() && line.waiting.size() <= most &&
      line.decoded_bytes <= options_.batch_bytes_max) {
    line.offered.assign(line.waiting.begin(), line.waiting.end());
    line.waiting.clear();
    line.decoded_bytes = 0;
    return std::exchange(line.decoded, {});
  }
  std::vector<push_item> items;
  size_t undecoded = line.waiting.size() - line.decoded.size();
  auto next = line.decoded.begin();
  uint64_t bytes = 0;
  while (!line.waiting.empty() && items.size() < most && bytes < options_.batch_bytes_max) {
    const auto entry = line.waiting.front();
    line.waiting.pop_front();
    auto& state = batches_.at(entry.batch);
    const auto length = state.batch.length(entry.position);
    if (undecoded == 0) {
      items.push_back(std::move(*next++));
      line.decoded_bytes -= length;
    } else {
      --undecoded;
      const auto rejected_before = state.batch.rejections().size();
      auto item = state.batch.make_item(entry.position, options_.message_bytes_max);
      if (!item) { // cannot be: it could be decoded when it joined the line
        report_rejections(state, rejected_before);
        leave_line(state, line);
        continue;
      }
      items.push_back(std::move(*item));
    }
    bytes += length;
    line.offered.push_back(entry);
  }
  line.decoded.erase(line.decoded.begin(), next);
  return items;
}

/// Submits up to `most` messages from the front of a line of which nothing is in the sink.
void redis_intake_loop::offer(channel_line& line, time_point now, size_t most) {
  if (line.submission != 0 || winding_down_)
    return;
  auto items = take_front(line, most);
  if (items.empty()) {
    set_due(line, now); // to be retired
    return;
  }
  line.submission = ++last_submission_;
  line.served_at_offer = served_;
  submissions_.emplace(line.submission, &line);
  set_due(line, line.parked ? never : now + slow_after);
  sink_.push(std::move(items), make_completion(completions_, line.submission));
}

void redis_intake_loop::offer_due(time_point now) {
  if (stall_ && now >= stall_->retry_at)
    offer_round(now);
  while (!due_.empty() && due_.begin()->first <= now) {
    auto& line = *due_.begin()->second;
    set_due(line, never);
    if (line.submission == 0 && line.waiting.empty()) {
      retire(line);
    } else if (line.submission == 0) {
      if (!stall_)
        offer(line, now, usual_offer(line));
    } else if (served_ == line.served_at_offer) {
      set_due(line, now + slow_after);
    } else if (!line.parked) {
      park(line, {error_code::timeout, "channel " + line.channel + " does not answer, while others do"});
    }
  }
}

/// While the sink takes nothing, the first message of a few lines is tried. Parked ones are not: their
/// channels might refuse for reasons of their own.
void redis_intake_loop::offer_round(time_point now) {
  bool any = false;
  std::vector<channel_line*> able;
  for (auto& key : keys_)
    for (auto& [channel, line] : key.lines) {
      if (line.parked && !line.held)
        continue;
      any = true;
      if (line.submission == 0)
        able.push_back(&line);
    }
  if (!any) {
    resume_taking(now);
    return;
  }
  const size_t first = stall_->rounds * stalled_offers_max;
  stall_->retry_at = now + backoff(stall_->rounds++);
  for (size_t i = 0; i < std::min(able.size(), stalled_offers_max); ++i)
    offer(*able[(first + i) % able.size()], now, 1);
}

void redis_intake_loop::take_completions(time_point now) {
  for (const auto& completion : completions_->take()) {
    const auto found = submissions_.find(completion.submission);
    if (found == submissions_.end())
      continue; // cannot be: each submission is answered once
    auto& line = *found->second;
    submissions_.erase(found);
    line.submission = 0;
    set_due(line, never);
    take_answers(line, completion.submission, completion.replies, now);
  }
}

/// Notes what became of messages that were offered; those without a decision stand in line again.
void redis_intake_loop::write_down(channel_line& line, const std::vector<line_entry>& offered,
                                   const std::vector<push_reply>& replies) {
  std::vector<line_entry> back;
  batch_state* state = nullptr;
  for (size_t at = 0; at < offered.size(); ++at) {
    const auto& reply = reply_to(at, replies);
    const auto& entry = offered[at];
    if (is_undecided(reply)) {
      back.push_back(entry);
      continue;
    }
    if (state == nullptr || state->batch.number() != entry.batch)
      state = &batches_.at(entry.batch);
    if (reply.failure) {
      state->batch.reject(entry.position, reply.failure->message);
      report_rejections(*state, state->batch.rejections().size() - 1);
    } else {
      state->batch.decide(entry.position);
    }
    leave_line(*state, line);
  }
  line.waiting.insert(line.waiting.begin(), back.begin(), back.end());
}

void redis_intake_loop::take_answers(channel_line& line, uint64_t submission,
                                     const std::vector<push_reply>& replies, time_point now) {
  const auto offered = std::exchange(line.offered, {});
  const auto judged = judge(offered.size(), replies);
  const bool served = judged.accepted + judged.duplicates != 0;
  line.held = false;
  if (judged.undecided < offered.size())
    line.refusals = 0;
  if (served)
    line.served_at_offer = ++served_; // what this line says of itself is no sign about others
  if (judged.refusal == nullptr && served && stall_ && submission > stall_->after)
    resume_taking(now);
  // First what keeps the sink at work, and then what nobody waits for. Nothing of it changes what is offered.
  const bool goes_on = judged.refusal == nullptr && !line.waiting.empty() && !stall_;
  const bool was_parked = line.parked;
  if (judged.refusal == nullptr)
    line.offer_max = std::min<size_t>(line.offer_max * 2, options_.batch_max);
  if (goes_on)
    offer(line, now, usual_offer(line));
  write_down(line, offered, replies);
  source_counts counts;
  counts.accepted = judged.accepted;
  counts.duplicates = judged.duplicates;
  if (was_parked)
    counts.parked = -static_cast<int64_t>(offered.size() - judged.undecided);
  counts.in_flight = -static_cast<int64_t>(judged.accepted + judged.duplicates);
  report_.count(counts);
  if (judged.refusal != nullptr)
    take_refusal(line, *judged.refusal, now);
  else if (!goes_on && line.waiting.empty())
    retire(line);
}

/// Some of what was offered is not decided: either this channel takes nothing, or nobody does.
void redis_intake_loop::take_refusal(channel_line& line, const push_reply& refusal, time_point now) {
  const auto& why = *refusal.failure;
  const bool alone = why.code == error_code::queue_full || refusal.channel_only ||
                     (why.code == error_code::timeout && served_ != line.served_at_offer) ||
                     (line.refusals != 0 && served_ != line.served_at_refusal);
  if (line.refusals == 0)
    line.served_at_refusal = served_;
  const auto round = line.refusals++;
  line.offer_max = 1;
  if (!alone) {
    line.held = true;
    stop_taking(why, now);
    return;
  }
  if (line.parked)
    report_parked(line, why);
  else
    park(line, why);
  set_due(line, now + std::min(backoff(round), parked_pause_max));
}

void redis_intake_loop::park(channel_line& line, const error& why) {
  auto& key = keys_[line.key_index];
  line.parked = true;
  ++parked_lines_;
  const auto count = line.waiting.size() + line.offered.size();
  key.parked_messages += count;
  source_counts counts;
  counts.parked = static_cast<int64_t>(count);
  report_parked(line, why); // before the count, so that whoever sees that finds the reason
  report_.count(counts);
  line.decoded = {};
  line.decoded_bytes = 0;
  const auto mark = [this](const line_entry& entry) {
    auto& state = batches_.at(entry.batch);
    ++state.parked;
    update_stage(state);
  };
  std::for_each(line.waiting.begin(), line.waiting.end(), mark);
  std::for_each(line.offered.begin(), line.offered.end(), mark);
}

void redis_intake_loop::report_parked(const channel_line& line, const error& why) {
  report_.parked(line.channel, "messages for channel " + line.channel + " wait in Redis: " + why.message);
}

/// A message of the line has just been decided.
void redis_intake_loop::leave_line(batch_state& state, const channel_line& line) {
  if (line.parked) {
    --state.parked;
    --keys_[line.key_index].parked_messages;
  }
  update_stage(state);
}

/// The line is empty. It begins anew with the channel's next message.
void redis_intake_loop::retire(channel_line& line) {
  set_due(line, never);
  if (line.parked && --parked_lines_ == 0)
    report_.none_parked();
  auto& lines = keys_[line.key_index].lines;
  lines.erase(lines.find(line.channel));
}

void redis_intake_loop::stop_taking(const error& why, time_point now) {
  if (!stall_)
    stall_ = stall{1, now + backoff(0), last_submission_};
  // A daemon that drains says so itself; it is no trouble of the source.
  if (why.code != error_code::draining)
    report_.trouble("intake", to_string(why.code), "tasks cannot be handed over now: " + why.message);
}

void redis_intake_loop::resume_taking(time_point now) {
  stall_.reset();
  report_.clear("intake");
  for (auto& key : keys_)
    for (auto& [channel, line] : key.lines) {
      line.held = false;
      if (line.submission == 0 && !line.waiting.empty())
        set_due(line, now);
    }
}

/// Whether what is parked leaves room to take more from the key.
bool redis_intake_loop::has_room(intake_key& key) {
  if (!key.parked_full) {
    if (key.parked_messages < options_.parked_max && key.parked_bytes < options_.parked_bytes_max)
      return true;
    key.parked_full = true;
    report_full(key);
    return false;
  }
  if (key.parked_messages > options_.parked_max / room_again_parts * (room_again_parts - 1) ||
      key.parked_bytes > options_.parked_bytes_max / room_again_parts * (room_again_parts - 1))
    return false;
  key.parked_full = false;
  report_.clear(key.parked_place);
  return true;
}

void redis_intake_loop::report_full(const intake_key& key) {
  const channel_line* longest = nullptr;
  size_t channels = 0;
  for (const auto& [name, line] : key.lines) {
    if (!line.parked)
      continue;
    ++channels;
    if (longest == nullptr ||
        line.waiting.size() + line.offered.size() > longest->waiting.size() + longest->offered.size())
      longest = &line;
  }
  if (longest == nullptr)
    return; // cannot be: what is parked stands in parked lines
  const auto others = channels > 1 ? " and " + std::to_string(channels - 1) + " more" : std::string();
  report_.trouble(key.parked_place, "full",
                  "nothing is taken from " + key.name + ": " + std::to_string(key.parked_messages) +
                      " messages are parked, which is the limit, for channel " + longest->channel + others +
                      "; give that channel workers, or a higher tasks-max");
}

} // namespace task_runner
