// Statuses of channels: the router asks their queues and puts together what they say.
// A queue that is silent is left out after a while, with the reason in its place.
#include "actors/router_parts.hpp"

#include <caf/all.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

namespace task_runner {

namespace {

using caf::typed_response_promise;

/// How long queues may take to describe themselves before an answer goes out without them.
constexpr std::chrono::seconds status_timeout{5};
/// So many queues are asked at a time, as CAF looks through an actor's open requests one by one.
constexpr size_t asked_at_once = 64;
/// After so long all others are asked as well: nobody waits for those that are silent.
constexpr std::chrono::milliseconds in_turn_for{250};

using status_taker = std::function<void(channel_status)>;

/// A channel as it is when its queue is asked, for it may be gone when the answer comes; and who takes it.
struct asked_channel {
  channel_status known;
  status_taker done;
};

void answer(asked_channel& asked, channel_status status) {
  status.channel = std::move(asked.known.channel);
  status.record = std::move(asked.known.record);
  status.worker = asked.known.worker;
  status.dead_letters = asked.known.dead_letters;
  asked.done(std::move(status));
}

/// Asks the queue of a channel for its status. Gives the request, or nothing when `done` was called at once.
std::optional<caf::message_id> ask_status(router_pointer self, const std::string& name, uint32_t limit,
                                          const caf::duration& timeout, status_taker done) {
  const auto asked = std::make_shared<asked_channel>();
  auto& known = asked->known;
  asked->done = std::move(done);
  known.channel = name;
  const auto found = self->state.channels.find(name);
  if (found == self->state.channels.end()) {
    known.failure = no_such_channel(name);
    asked->done(std::move(known));
    return std::nullopt;
  }
  const auto& entry = found->second;
  known.record = entry.record;
  known.worker = entry.record.worker.value_or(self->state.dependencies.concurrent);
  known.dead_letters = self->state.dependencies.dead_letters->of(name);
  if (entry.failed || !entry.queue) {
    known.failure = channel_has_failed(name);
    asked->done(std::move(known));
    return std::nullopt;
  }
  const auto request = ask_queue(self, entry, timeout, get_channel_status{limit});
  request.then([asked](channel_status& status) { answer(*asked, std::move(status)); },
               [asked](const caf::error& why) {
                 channel_status unknown;
                 unknown.failure = not_answered(why);
                 answer(*asked, std::move(unknown));
               });
  return request.id();
}

/// The statuses of several channels while they come in.
struct gathering {
  typed_response_promise<status_reply> promise;
  status_reply answer;
  std::vector<std::string> names;
  /// No channel was named: those are meant that there are.
  bool is_of_all = false;
  uint32_t limit = 0;
  /// The first that has not been asked.
  size_t next = 0;
  size_t unanswered = 0;
  size_t open_max = asked_at_once;
  std::unordered_map<size_t, caf::message_id> open;
  bool is_asking = false;
  uint64_t turn_alarm = 0;
  uint64_t end_alarm = 0;
};
using gathering_pointer = std::shared_ptr<gathering>;

void ask_more(router_pointer self, const gathering_pointer& whole);

/// Those whose queue had nothing to say as they were removed meanwhile.
void leave_out_removed(router_pointer self, std::vector<channel_status>& statuses) {
  const auto& channels = self->state.channels;
  statuses.erase(
      std::remove_if(statuses.begin(), statuses.end(),
                     [&](const auto& one) { return one.failure && channels.count(one.channel) == 0; }),
      statuses.end());
}

void take(router_pointer self, const gathering_pointer& whole, size_t place, channel_status status) {
  whole->answer.channels[place] = std::move(status);
  whole->open.erase(place);
  if (--whole->unanswered > 0) {
    ask_more(self, whole);
    return;
  }
  forget_wait(self, whole->turn_alarm);
  forget_wait(self, whole->end_alarm);
  if (whole->is_of_all)
    leave_out_removed(self, whole->answer.channels);
  whole->promise.deliver(std::move(whole->answer));
}

void ask_more(router_pointer self, const gathering_pointer& whole) {
  if (std::exchange(whole->is_asking, true))
    return; // it was answered at once, from within the loop below
  while (whole->next < whole->names.size() && whole->open.size() < whole->open_max) {
    const auto place = whole->next++;
    // All have one alarm: one for each would wake CAF's clock for each.
    const auto asked =
        ask_status(self, whole->names[place], whole->limit, caf::infinite,
                   [=](channel_status status) { take(self, whole, place, std::move(status)); });
    if (asked)
      whole->open.emplace(place, *asked);
  }
  whole->is_asking = false;
}

void ask_all(router_pointer self, const gathering_pointer& whole) {
  whole->open_max = whole->names.size();
  ask_more(self, whole);
}

/// The requests that are open fail as CAF's own timeouts let them fail: what comes first counts.
void give_up(router_pointer self, const gathering_pointer& whole) {
  for (const auto& [place, request] : whole->open)
    self->eq_impl(request, self->ctrl(), self->context(), caf::make_error(caf::sec::request_timeout));
}

} // namespace

void describe_channel(router_pointer self, const std::string& name, uint32_t limit, status_taker done) {
  ask_status(self, name, limit, caf::duration(status_timeout), std::move(done));
}

caf::result<status_reply> report(router_pointer self, const get_status& request) {
  const auto& channels = self->state.channels;
  if (!request.channel.empty() && channels.count(request.channel) == 0) {
    status_reply none;
    none.failure = error{error_code::not_found,
                         "there is no channel " + request.channel + "; GET /status lists them all"};
    return none;
  }
  auto whole = std::make_shared<gathering>();
  whole->promise = self->make_response_promise<status_reply>();
  whole->limit = request.limit;
  whole->is_of_all = request.channel.empty();
  for (const auto& [name, entry] : channels)
    if (request.channel.empty() || name == request.channel)
      whole->names.push_back(name);
  whole->unanswered = whole->names.size();
  whole->answer.channels.resize(whole->names.size());
  auto promise = whole->promise;
  if (whole->names.empty()) {
    whole->promise.deliver(std::move(whole->answer));
    return promise;
  }
  if (whole->names.size() > asked_at_once)
    whole->turn_alarm = wait(self, in_turn_for, [self, whole] { ask_all(self, whole); });
  whole->end_alarm = wait(self, status_timeout, [self, whole] { give_up(self, whole); });
  ask_more(self, whole);
  return promise;
}

} // namespace task_runner
