// The batch actor's work: one slice of each open batch is on its way at a time. Only then is it known which
// channels take nothing more, so that no line overtakes an earlier one of its channel.
#include "actors/gateway/batch.hpp"

#include "actors/gateway/ask.hpp"
#include "actors/intake.hpp"
#include "services/domain/undecided.hpp"
#include "services/wire/push_json.hpp"

#include <algorithm>
#include <utility>

namespace task_runner {

namespace {

using open_batch_pointer = std::shared_ptr<open_batch>;

/// Most lines, blank ones too, and about how many bytes of them, that are read in one turn and handed over
/// together: a few milliseconds of work for each who handles them, and then others get their turn. Fewer
/// would be many messages where the lines are for many channels.
constexpr size_t slice_lines_max = 1'024;
constexpr size_t slice_bytes_max = 1'048'576;

/// Batches that are worked on at once. Together they leave most of a queue's room for others.
constexpr size_t open_max = 4;
/// Batches that wait for their turn, and the bytes of their bodies; one more is refused with `overloaded`.
constexpr size_t waiting_max = 64;
constexpr uint64_t waiting_bytes_max = 67'108'864;
/// No batch is begun while answers of more bytes than this have not been written: their clients do not read.
/// It is refused with `overloaded`. What is open then may add to it: `open_max` answers of at most 20 MiB.
constexpr uint64_t unsent_bytes_max = 67'108'864;

/// No slice is begun later than this after the batch has come: what is left then is refused with
/// `overloaded`, and may be sent again.
constexpr std::chrono::seconds patience{25};
/// How long the intake may take for a slice.
constexpr std::chrono::seconds slice_timeout{30};

static_assert(intake_part_timeout < slice_timeout,
              "a channel that is silent must not silence its neighbours");
static_assert(patience + slice_timeout < batch_timeout,
              "a batch must be answered before its client gives up");

const error no_time{error_code::overloaded,
                    "the daemon is too busy, and there was no time left; send it again"};

constexpr const char* out_of_line =
    "an earlier line of this channel was refused; send both again in their order";

/// The actors' clock, which tests move by hand.
bool is_out_of_time(batch_pointer self, const open_batch& one) {
  return self->clock().now() - one.arrived > patience;
}

void refuse_line(batch_slice::line& line, error why, bool is_unreadable = false) {
  line.refusal = std::move(why);
  line.is_unreadable = is_unreadable;
}

/// Puts a line into the slice, and its item, if it can be read.
void read_line(const json_line& from, const std::string& channel_default,
               const std::optional<push_identity>& identity, batch_slice& slice) {
  auto& line = slice.lines.emplace_back();
  line.number = from.number;
  if (from.text.size() > json_line_bytes_max) {
    refuse_line(line,
                {error_code::too_large, "the line has " + std::to_string(from.text.size()) +
                                            " bytes; at most " + std::to_string(json_line_bytes_max) +
                                            " are accepted. Put the data in a file."},
                true);
    return;
  }
  auto item = decode_push_json(from.text);
  if (!item) {
    refuse_line(line, item.failure(), true);
    return;
  }
  line.channel = item->channel.empty() ? channel_default : item->channel;
  if (identity)
    identify(*item, *identity, static_cast<uint32_t>(from.number - 1));
  slice.items.push_back(std::move(*item));
}

/// Reads the next lines. When there is no time for them any more, they are not looked into.
std::shared_ptr<batch_slice> read_slice(open_batch& one, const std::string& channel_default, bool late) {
  auto slice = std::make_shared<batch_slice>();
  size_t bytes = 0;
  for (size_t lines = 0; lines < slice_lines_max && bytes < slice_bytes_max; ++lines) {
    const auto line = one.reader.next();
    if (!line) {
      one.read_to_end = true;
      break;
    }
    bytes += line->text.size();
    if (line->is_blank())
      continue;
    if (late) {
      auto& added = slice->lines.emplace_back();
      added.number = line->number;
      refuse_line(added, no_time);
    } else {
      read_line(*line, channel_default, one.identity, *slice);
    }
  }
  return slice;
}

/// Keeps back what would overtake a line that was refused for the moment.
void keep_order(const open_batch& one, batch_slice& slice) {
  if (one.closed_channels.empty())
    return;
  std::vector<push_item> kept;
  size_t next = 0;
  for (auto& line : slice.lines) {
    if (line.refusal)
      continue;
    auto& item = slice.items[next++];
    if (const auto closed = one.closed_channels.find(line.channel); closed != one.closed_channels.end())
      refuse_line(line, {closed->second, out_of_line});
    else
      kept.push_back(std::move(item));
  }
  slice.items = std::move(kept);
}

/// `replies`: one for each line that was handed over, in their order.
void write_down(open_batch& one, const batch_slice& slice, const std::vector<push_reply>& replies) {
  size_t next = 0;
  for (const auto& line : slice.lines) {
    if (line.refusal) {
      if (line.is_unreadable)
        one.results.add_unreadable(line.number, *line.refusal);
      else
        one.results.add_refused(line.number, *line.refusal);
      continue;
    }
    const auto& reply = replies[next++];
    if (reply.failure && is_undecided(reply.failure->code))
      one.closed_channels.try_emplace(line.channel, reply.failure->code);
    one.results.add(line.number, reply);
  }
}

void go_on(batch_pointer self, const open_batch_pointer& one);

handling note(batch_pointer self, batch_message kind) {
  return handling(*self->state.dependencies.probe, static_cast<size_t>(kind));
}

/// Goes on after the others had their turn. It takes the way round through another actor, as CAF would hand
/// this one a message of its own before anybody else may run.
void take_turn(batch_pointer self, const open_batch_pointer& one) {
  const auto step = [=] {
    const auto guard = note(self, batch_message::turn);
    go_on(self, one);
  };
  const auto& d = self->state.dependencies;
  d.probe->count(batch_edge::to_gateway);
  self->request(d.asker, slice_timeout, ask_request{[](asker_pointer) {}, ask_origin::counted})
      .then(step, [step](const caf::error&) { step(); });
}

void take_replies(batch_pointer self, const open_batch_pointer& one, const batch_slice& slice,
                  size_t expected, std::vector<push_reply> replies) {
  if (replies.size() != expected) {
    push_reply lost;
    lost.failure = error{error_code::internal, "defect: the intake did not answer for every line"};
    replies.resize(expected, lost);
  }
  write_down(*one, slice, replies);
  go_on(self, one);
}

void hand_over(batch_pointer self, const open_batch_pointer& one, const std::shared_ptr<batch_slice>& slice) {
  const auto count = slice->items.size();
  self->state.dependencies.probe->count(batch_edge::to_intake);
  self->request(self->state.dependencies.intake, slice_timeout, push_batch{std::move(slice->items)})
      .then(
          [=](push_replies& answer) {
            const auto guard = note(self, batch_message::decided);
            take_replies(self, one, *slice, count, std::move(answer.replies));
          },
          [=](const caf::error& why) {
            const auto guard = note(self, batch_message::decided);
            push_reply undecided;
            undecided.failure = no_reply(why);
            take_replies(self, one, *slice, count, std::vector<push_reply>(count, undecided));
          });
}

void refuse_batch(caf::typed_response_promise<push_lines_reply>& promise, std::string why) {
  push_lines_reply refused;
  refused.failure = error{error_code::overloaded, std::move(why)};
  promise.deliver(std::move(refused));
}

void start_waiting(batch_pointer self) {
  auto& state = self->state;
  while (state.open.size() < open_max && !state.waiting.empty()) {
    auto next = std::move(state.waiting.front());
    state.waiting.pop_front();
    state.waiting_bytes -= next->text->size();
    const auto unsent = state.unsent_bytes->load();
    if (is_out_of_time(self, *next)) {
      refuse_batch(next->promise, "the daemon is busy with other batches; nothing was taken, send it again");
    } else if (unsent > unsent_bytes_max) {
      refuse_batch(next->promise, "answers to other batches, " + std::to_string(unsent) +
                                      " bytes of them, are not read by their clients; nothing was taken, "
                                      "send it again in a second");
    } else {
      state.open.push_back(next);
      take_turn(self, next);
    }
  }
}

void finish(batch_pointer self, const open_batch_pointer& one) {
  auto& state = self->state;
  auto reply = one->results.take();
  const auto bytes = reply.results.size();
  state.unsent_bytes->fetch_add(bytes);
  reply.unsent =
      std::shared_ptr<void>(nullptr, [total = state.unsent_bytes, bytes](void*) { total->fetch_sub(bytes); });
  one->promise.deliver(std::move(reply));
  state.open.erase(std::remove(state.open.begin(), state.open.end(), one), state.open.end());
  start_waiting(self);
}

/// Deals with the next slice, of which there may be none; answers when nothing is left.
void go_on(batch_pointer self, const open_batch_pointer& one) {
  if (!one->read_to_end) {
    const auto slice = read_slice(*one, self->state.dependencies.channel_default, is_out_of_time(self, *one));
    keep_order(*one, *slice);
    if (!slice->items.empty()) {
      hand_over(self, one, slice);
      return;
    }
    write_down(*one, *slice, {});
  }
  if (one->read_to_end)
    finish(self, one);
  else
    take_turn(self, one);
}

caf::result<push_lines_reply> take(batch_pointer self, push_lines& what) {
  auto& state = self->state;
  auto promise = self->make_response_promise<push_lines_reply>();
  const auto bytes = what.text->size();
  const bool no_room = state.waiting.size() >= waiting_max ||
                       (!state.waiting.empty() && state.waiting_bytes + bytes > waiting_bytes_max);
  if (no_room) {
    refuse_batch(promise, std::to_string(state.waiting.size()) + " batches of " +
                              std::to_string(state.waiting_bytes) +
                              " bytes wait already; nothing was taken, send it again in a second");
    return promise;
  }
  auto one = std::make_shared<open_batch>(promise, std::move(what), self->clock().now());
  state.waiting_bytes += bytes;
  state.waiting.push_back(std::move(one));
  start_waiting(self);
  return promise;
}

} // namespace

open_batch::open_batch(caf::typed_response_promise<push_lines_reply> to, push_lines what,
                       caf::actor_clock::time_point now)
    : promise(std::move(to))
    , text(std::move(what.text))
    , identity(std::move(what.identity))
    , reader(*text)
    , arrived(now) {}

batch_state::~batch_state() {
  const auto gone = caf::make_error(caf::sec::request_receiver_down);
  for (auto& one : open)
    one->promise.deliver(gone);
  for (auto& one : waiting)
    one->promise.deliver(gone);
}

void batch_state::measure(actor_probe& probe, size_t) const {
  // Each that is open has one request of its own on its way.
  probe.set_in_flight(open.size() + waiting.size());
  probe.set_facts({static_cast<int64_t>(open.size()), static_cast<int64_t>(waiting.size()),
                   static_cast<int64_t>(waiting_bytes)});
}

const probe_shape& batch_shape() {
  static const probe_shape shape = [] {
    probe_shape made("batch", {"lines", "decided", "turn"});
    made.edges = {{"batch", "intake"}, {"batch", "gateway"}};
    made.facts = {"open", "waiting", "waiting_bytes"};
    made.watched_by = "gateway";
    return made;
  }();
  return shape;
}

batch_actor::behavior_type batch(batch_pointer self, batch_dependencies dependencies) {
  self->state.dependencies = std::move(dependencies);
  self->watch(*self->state.dependencies.probe);
  self->link_to(self->state.dependencies.asker);
  return {
      [=](push_lines& what) -> caf::result<push_lines_reply> {
        const auto guard = note(self, batch_message::lines);
        return take(self, what);
      },
  };
}

} // namespace task_runner
