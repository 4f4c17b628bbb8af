// The intake actor.
#include "actors/intake.hpp"

#include "services/domain/names.hpp"

#include <caf/all.hpp>

#include <cmath>
#include <map>

namespace task_runner {

namespace {

using intake_pointer = probed_pointer<intake_actor, intake_state>;

/// A batch that goes to several channels, until all of them have answered.
struct scattered_batch {
  caf::typed_response_promise<push_replies> promise;
  push_replies gathered;
  size_t parts_open = 0;
};

/// One channel's share of a batch, with the places of its items in the whole.
struct batch_part {
  admitted_batch batch;
  std::vector<size_t> places;
};

std::string display_name(const push_item& item) {
  if (!item.name.empty())
    return item.name;
  if (!item.command.line.empty())
    return item.command.line;
  std::string name;
  for (const auto& argument : item.command.argv) {
    if (!name.empty())
      name += ' ';
    name += argument;
  }
  return name;
}

/// Makes a task of an item, in its place among others.
void complete(push_item&& item, const std::string& channel, wall_time_ms now, admitted_push& admitted) {
  auto& value = admitted.value;
  value.name = item.name.empty() ? display_name(item) : std::move(item.name);
  value.id = item.id.empty() ? make_task_id(now) : std::move(item.id);
  value.channel = channel;
  value.command = std::move(item.command);
  if (value.command.line == value.name)
    value.command.line.clear(); // the name says it already
  value.created_at_ms = now;
  value.not_before_ms = item.not_before_ms;
  if (item.delay_s > 0) {
    value.not_before_ms =
        std::max(value.not_before_ms, now + static_cast<wall_time_ms>(std::ceil(item.delay_s * 1000)));
    value.delay_is_relative = true;
  }
  if (!item.options.empty())
    value.options = std::make_shared<const task_options>(std::move(item.options));
  value.distinct_key = std::move(item.distinct_key);
  admitted.origin = item.origin;
}

push_reply refused(const push_item& item, error why) {
  return {display_name(item), {}, false, std::move(why)};
}

/// Sends each part to its channel and puts the answers back in their places.
void scatter(intake_pointer self, const std::shared_ptr<scattered_batch>& whole,
             std::map<std::string, batch_part>&& parts) {
  whole->parts_open = parts.size();
  if (parts.empty()) {
    whole->promise.deliver(std::move(whole->gathered));
    return;
  }
  for (auto& [channel, part] : parts) {
    const auto close_part = [whole] {
      if (--whole->parts_open == 0)
        whole->promise.deliver(std::move(whole->gathered));
    };
    self->state.dependencies.probe->count(intake_edge::to_router);
    self->request(self->state.dependencies.router, intake_part_timeout, std::move(part.batch))
        .then(
            [=, places = part.places](push_replies& answer) {
              for (size_t i = 0; i < places.size() && i < answer.replies.size(); ++i)
                whole->gathered.replies[places[i]] = std::move(answer.replies[i]);
              close_part();
            },
            [=, places = part.places](const caf::error& why) {
              const auto failure = why == caf::sec::request_timeout
                                       ? error{error_code::timeout,
                                               "the channel's queue did not answer in time; look at /status"}
                                       : error{error_code::unavailable,
                                               "the channel's queue is starting again; try again soon"};
              for (const auto place : places)
                whole->gathered.replies[place].failure = failure;
              close_part();
            });
  }
}

/// An item that is not sent on, with its place in the batch.
struct refused_item {
  size_t place = 0;
  push_reply reply;
};

/// The answers of the whole batch, before its channels have given theirs.
push_replies begin_replies(size_t count, std::vector<refused_item>&& refusals,
                           const std::map<std::string, batch_part>& parts) {
  push_replies gathered;
  gathered.replies.resize(count);
  for (auto& one : refusals)
    gathered.replies[one.place] = std::move(one.reply);
  for (const auto& [channel, part] : parts)
    for (size_t i = 0; i < part.places.size(); ++i)
      gathered.replies[part.places[i]].task_name = part.batch.items[i].value.name;
  return gathered;
}

caf::result<push_replies> take(intake_pointer self, push_batch& batch) {
  const auto& d = self->state.dependencies;
  const auto now = d.clock->now_ms();
  std::vector<refused_item> refusals;
  std::map<std::string, batch_part> parts;
  batch_part* part = nullptr;
  for (size_t i = 0; i < batch.items.size(); ++i) {
    auto& item = batch.items[i];
    if (self->state.draining) {
      refusals.push_back(
          {i, refused(item, {error_code::draining,
                             "the daemon is stopping and takes nothing new; try again soon"})});
      continue;
    }
    if (auto valid = check_push(item); !valid) {
      refusals.push_back({i, refused(item, valid.failure())});
      continue;
    }
    const auto& channel = item.channel.empty() ? d.channel_default : item.channel;
    if (part == nullptr || part->batch.channel != channel)
      part = &parts[channel];
    if (part->places.empty()) { // most batches are for one channel
      part->batch.channel = channel;
      part->batch.items.reserve(parts.size() == 1 ? batch.items.size() - i : 0);
      part->places.reserve(parts.size() == 1 ? batch.items.size() - i : 0);
    }
    part->places.push_back(i);
    complete(std::move(item), part->batch.channel, now, part->batch.items.emplace_back());
  }
  if (parts.size() == 1 && refusals.empty()) { // the common case: the queue answers the requester itself
    d.probe->count(intake_edge::to_router);
    return self->delegate(d.router, std::move(parts.begin()->second.batch));
  }
  auto whole = std::make_shared<scattered_batch>();
  whole->promise = self->make_response_promise<push_replies>();
  whole->gathered = begin_replies(batch.items.size(), std::move(refusals), parts);
  auto promise = whole->promise;
  scatter(self, whole, std::move(parts));
  return promise;
}

} // namespace

std::vector<std::string_view> intake_message_kinds() {
  return {"push", "drain"};
}

const probe_shape& intake_shape() {
  static const probe_shape shape = [] {
    probe_shape made("intake", intake_message_kinds());
    made.edges = {{"intake", "router"}};
    made.watched_by = "supervisor";
    return made;
  }();
  return shape;
}

intake_actor::behavior_type intake(intake_pointer self, intake_dependencies dependencies) {
  self->state.dependencies = std::move(dependencies);
  self->watch(*self->state.dependencies.probe);
  const auto note = [self](intake_message kind) {
    return handling(*self->state.dependencies.probe, static_cast<size_t>(kind));
  };
  return {
      [=](push_batch& batch) -> caf::result<push_replies> {
        const auto guard = note(intake_message::push);
        return take(self, batch);
      },
      [=](const drain&) {
        const auto guard = note(intake_message::drain);
        self->state.draining = true;
      },
  };
}

} // namespace task_runner
