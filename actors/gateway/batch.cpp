// The batch actor's work: several slices of each open batch are on their way, so that the next are read
// while the first are committed.
#include "actors/gateway/batch.hpp"

#include "services/wire/push_json.hpp"

#include <algorithm>
#include <utility>

namespace task_runner {

namespace {

using batch_pointer = batch_actor::stateful_pointer<batch_state>;
using open_batch_pointer = std::shared_ptr<open_batch>;

/// Most lines, and about how many bytes of them, that are handed over together: a few milliseconds of work
/// for each who handles them, and then others get their turn. Fewer would be many messages where the lines
/// are for many channels.
constexpr size_t slice_lines_max = 1'024;
constexpr size_t slice_bytes_max = 1'048'576;
/// Slices of one batch on their way at once.
constexpr size_t slices_max = 2;

/// Batches that are worked on at once. Together they leave most of a queue's room for others.
constexpr size_t open_max = 4;
/// Batches that wait for their turn, and the bytes of their bodies; one more is refused with `overloaded`.
constexpr size_t waiting_max = 64;
constexpr uint64_t waiting_bytes_max = 67'108'864;

/// No slice is begun later than this after the batch has come: what is left then is refused with
/// `overloaded`, and may be sent again.
constexpr std::chrono::seconds patience{25};
/// How long the intake may take for a slice.
constexpr std::chrono::seconds slice_timeout{30};

const error no_time{error_code::overloaded,
                    "the daemon is too busy: there was no time left for this line; send it again"};

/// The actors' clock, which tests move by hand.
bool is_out_of_time(batch_pointer self, const open_batch& one) {
  return self->clock().now() - one.arrived > patience;
}

void write_down(open_batch& one, const batch_slice& slice) {
  size_t next = 0;
  for (const auto& line : slice.lines) {
    if (line.unreadable)
      one.results.add_unreadable(line.number, *line.unreadable);
    else
      one.results.add(line.number, slice.replies[next++]);
  }
}

/// The lines that there is no time for any more.
void give_up_rest(open_batch& one) {
  push_reply refused;
  refused.failure = no_time;
  while (const auto line = one.reader.next())
    one.results.add(line->number, refused);
  one.read_to_end = true;
}

/// Reads the next lines; those that can be read go into `items`.
std::shared_ptr<batch_slice> read_slice(open_batch& one, std::vector<push_item>& items) {
  auto slice = std::make_shared<batch_slice>();
  slice->lines.reserve(slice_lines_max);
  items.reserve(slice_lines_max);
  size_t bytes = 0;
  while (slice->lines.size() < slice_lines_max && bytes < slice_bytes_max) {
    const auto line = one.reader.next();
    if (!line) {
      one.read_to_end = true;
      break;
    }
    bytes += line->text.size();
    auto item = decode_push_json(line->text);
    auto& added = slice->lines.emplace_back();
    added.number = line->number;
    if (item)
      items.push_back(std::move(*item));
    else
      added.unreadable = item.failure();
  }
  return slice;
}

void go_on(batch_pointer self, const open_batch_pointer& one);

void take_replies(batch_pointer self, const open_batch_pointer& one, batch_slice& slice, size_t expected,
                  std::vector<push_reply> replies) {
  if (replies.size() != expected) {
    push_reply lost;
    lost.failure = error{error_code::internal, "defect: the intake did not answer for every line"};
    replies.resize(expected, lost);
  }
  slice.replies = std::move(replies);
  slice.answered = true;
  go_on(self, one);
}

void hand_over(batch_pointer self, const open_batch_pointer& one, const std::shared_ptr<batch_slice>& slice,
               std::vector<push_item> items) {
  const auto count = items.size();
  const auto note = [self] {
    return handling(*self->state.dependencies.probe, static_cast<size_t>(batch_message::decided),
                    self->mailbox().size());
  };
  self->request(self->state.dependencies.intake, slice_timeout, push_batch{std::move(items)})
      .then(
          [=](push_replies& answer) {
            const auto guard = note();
            take_replies(self, one, *slice, count, std::move(answer.replies));
          },
          [=](const caf::error& why) {
            const auto guard = note();
            push_reply undecided;
            undecided.failure =
                why == caf::sec::request_timeout
                    ? error{error_code::timeout, "the daemon did not answer in time; look at /status"}
                    : error{error_code::unavailable, "the daemon is stopping; try again soon"};
            take_replies(self, one, *slice, count, std::vector<push_reply>(count, undecided));
          });
}

void start_waiting(batch_pointer self) {
  auto& state = self->state;
  while (state.open.size() < open_max && !state.waiting.empty()) {
    auto next = std::move(state.waiting.front());
    state.waiting.pop_front();
    state.waiting_bytes -= next->text->size();
    if (is_out_of_time(self, *next)) {
      push_lines_reply refused;
      refused.failure = error{error_code::overloaded,
                              "the daemon is busy with other batches; nothing was taken, send it again"};
      next->promise.deliver(std::move(refused));
      continue;
    }
    state.open.push_back(next);
    go_on(self, next);
  }
}

/// Writes down what is decided, and hands over what is next; answers when nothing is left.
void go_on(batch_pointer self, const open_batch_pointer& one) {
  while (!one->slices.empty() && one->slices.front()->answered) {
    write_down(*one, *one->slices.front());
    one->slices.pop_front();
  }
  const bool late = is_out_of_time(self, *one); // asked once, so that what is not handed over is given up
  if (late && one->slices.empty() && !one->read_to_end)
    give_up_rest(*one);
  while (!late && !one->read_to_end && one->slices.size() < slices_max) {
    std::vector<push_item> items;
    auto slice = read_slice(*one, items);
    if (slice->lines.empty())
      break;
    one->slices.push_back(slice);
    hand_over(self, one, slice, std::move(items));
  }
  if (!one->read_to_end || !one->slices.empty())
    return;
  one->promise.deliver(one->results.take());
  auto& open = self->state.open;
  open.erase(std::remove(open.begin(), open.end(), one), open.end());
  start_waiting(self);
}

caf::result<push_lines_reply> take(batch_pointer self, push_lines& what) {
  auto& state = self->state;
  auto promise = self->make_response_promise<push_lines_reply>();
  const auto bytes = what.text->size();
  const bool no_room = state.waiting.size() >= waiting_max ||
                       (!state.waiting.empty() && state.waiting_bytes + bytes > waiting_bytes_max);
  if (no_room) {
    push_lines_reply refused;
    refused.failure =
        error{error_code::overloaded,
              std::to_string(state.waiting.size()) + " batches of " + std::to_string(state.waiting_bytes) +
                  " bytes wait already; nothing was taken, send it again in a second"};
    promise.deliver(std::move(refused));
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
    , reader(*text)
    , arrived(now) {}

batch_state::~batch_state() {
  const auto gone = caf::make_error(caf::sec::request_receiver_down);
  for (auto& one : open)
    one->promise.deliver(gone);
  for (auto& one : waiting)
    one->promise.deliver(gone);
}

std::vector<std::string_view> batch_message_kinds() {
  return {"lines", "decided"};
}

batch_actor::behavior_type batch(batch_pointer self, batch_dependencies dependencies) {
  self->state.dependencies = std::move(dependencies);
  self->link_to(self->state.dependencies.asker);
  return {
      [=](push_lines& what) -> caf::result<push_lines_reply> {
        const handling guard(*self->state.dependencies.probe, static_cast<size_t>(batch_message::lines),
                             self->mailbox().size());
        return take(self, what);
      },
  };
}

} // namespace task_runner
