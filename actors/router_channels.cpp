// Changes of channels: first they stand in the store, then they are in force. One change at a time.
#include "actors/channel_plan.hpp"
#include "actors/router_parts.hpp"
#include "services/domain/names.hpp"
#include "services/observability/log.hpp"

#include <caf/all.hpp>

#include <algorithm>
#include <utility>

namespace task_runner {

namespace {

using caf::typed_response_promise;

/// How long a queue may take to empty a channel: the longest grace, and what comes after it.
constexpr std::chrono::milliseconds closing_timeout{grace_ms_max + 60'000};
/// How much longer than it was asked to wait a queue may take to say that it is idle.
constexpr std::chrono::seconds idle_slack{2};
/// The longest wait for a channel to become idle.
constexpr int64_t drain_wait_ms_max = 86'400'000;

const error draining_error{error_code::draining,
                           "the daemon is stopping and takes nothing new; try again soon"};

result<void> check_record(const channel_record& record) {
  if (!is_valid_name(record.name))
    return error{error_code::invalid_argument,
                 "the channel's name is not valid; use 1 to 128 of A-Z a-z 0-9 . _ : -"};
  if (record.worker && *record.worker > worker_max)
    return error{error_code::out_of_range,
                 "worker is out of range; give 0 (run nothing) to " + std::to_string(worker_max)};
  if (record.weight < 1 || record.weight > weight_max)
    return error{error_code::out_of_range, "weight is out of range; give 1 to " + std::to_string(weight_max)};
  if (record.tasks_max && *record.tasks_max < 1)
    return error{error_code::out_of_range, "tasks_max is out of range; give 1 or more"};
  return check_task_options(record.defaults);
}

void put_into_force(router_pointer self, const channel_record& record) {
  auto& state = self->state;
  const auto found = state.channels.find(record.name);
  const bool is_new = found == state.channels.end();
  auto& entry = is_new ? state.channels[record.name] : found->second;
  entry.record = record;
  if (is_new) {
    start_pair(self, entry);
  } else if (!entry.failed) {
    tell_queue(self, entry, configure_queue{record});
    entry.executor_probe->count(executor_edge::from_router);
    self->send(entry.executor, set_workers{effective_workers(state.dependencies, record)});
  }
  share_weights(self);
  count_workers(self);
  log_event(log_level::info, is_new ? "channel created" : "channel changed",
            {{"channel", record.name},
             {"distinct", to_string(record.distinct)},
             {"worker", record.worker.value_or(state.dependencies.concurrent)},
             {"weight", record.weight},
             {"paused", record.paused}});
}

void run_changes(router_pointer self) {
  auto& state = self->state;
  while (!state.change_open && !state.changes.empty()) {
    auto change = std::move(state.changes.front());
    state.changes.pop_front();
    auto operations = change.plan();
    if (!operations) {
      change.done(operations.failure());
      continue;
    }
    if (operations->empty()) {
      change.done(std::vector<store_answer>{});
      continue;
    }
    state.change_open = true;
    auto taken = commit(self, std::move(*operations),
                        [self, done = change.done](result<std::vector<store_answer>> answers) {
                          self->state.change_open = false;
                          done(std::move(answers));
                          run_changes(self);
                        });
    if (!taken) {
      state.change_open = false;
      change.done(taken.failure());
    }
  }
}

void enqueue(router_pointer self, router_state::channel_change change) {
  if (self->state.changes.size() >= changes_max) {
    change.done(error{error_code::overloaded, "too many changes of channels wait; try again in a second"});
    return;
  }
  self->state.changes.push_back(std::move(change));
  run_changes(self);
}

/// Saves what `make` makes of the channels as they stand, and puts it into force.
void save(router_pointer self, std::function<result<std::vector<channel_record>>()> make,
          std::function<void(std::optional<error>)> done) {
  auto records = std::make_shared<std::vector<channel_record>>();
  router_state::channel_change change;
  change.plan = [make = std::move(make), records]() -> result<std::vector<store_operation>> {
    auto made = make();
    if (!made)
      return made.failure();
    *records = std::move(*made);
    std::vector<store_operation> operations;
    for (const auto& record : *records)
      operations.emplace_back(save_channel{record});
    return operations;
  };
  change.done = [self, records, done = std::move(done)](const result<std::vector<store_answer>>& answers) {
    if (!answers) {
      done(answers.failure());
      return;
    }
    for (const auto& record : *records)
      put_into_force(self, record);
    done(std::nullopt);
  };
  enqueue(self, std::move(change));
}

/// The live channel of this name, or why it cannot be changed.
result<channel_entry*> live_channel(router_pointer self, const std::string& name) {
  const auto found = self->state.channels.find(name);
  if (found == self->state.channels.end())
    return no_such_channel(name);
  if (found->second.removing)
    return error{error_code::conflict, "channel " + name + " is being removed"};
  return &found->second;
}

/// Saves one changed channel.
void change(router_pointer self, const std::string& name, std::function<result<void>(channel_record&)> apply,
            std::function<void(std::optional<error>)> done) {
  save(
      self,
      [self, name, apply = std::move(apply)]() -> result<std::vector<channel_record>> {
        auto entry = live_channel(self, name);
        if (!entry)
          return entry.failure();
        auto record = (*entry)->record;
        if (auto applied = apply(record); !applied)
          return applied.failure();
        // What names it and tells its origin is not for changing.
        record.name = name;
        record.created_at_ms = (*entry)->record.created_at_ms;
        record.from_ini = (*entry)->record.from_ini;
        if (auto valid = check_record(record); !valid)
          return valid.failure();
        return std::vector<channel_record>{std::move(record)};
      },
      std::move(done));
}

void deliver_channel(router_pointer self, const std::string& name,
                     typed_response_promise<channel_reply> promise) {
  describe_channel(self, name, 0, [promise](channel_status status) mutable {
    promise.deliver(channel_reply{std::move(status), std::nullopt});
  });
}

void answer_removals(router_pointer self, const std::string& name, const std::optional<error>& failure) {
  auto node = self->state.open_removals.extract(name);
  if (node.empty())
    return;
  const bool stands_in_ini = self->state.dependencies.ini_channels.count(name) > 0;
  for (auto& promise : node.mapped())
    promise.deliver(action_reply{failure, stands_in_ini});
}

void begin_removal(router_pointer self, channel_entry& entry, bool force) {
  const auto name = entry.record.name;
  entry.removing = true;
  if (entry.failed) { // nobody is there to ask; the store refuses while it holds tasks
    entry.emptied = true;
    finish_removal(self, name);
    return;
  }
  const auto with_entry = [self, name](const auto& use) {
    const auto found = self->state.channels.find(name);
    if (found != self->state.channels.end() && found->second.removing && !found->second.emptied)
      use(found->second);
  };
  ask_queue(self, entry, closing_timeout, close_queue{force})
      .then(
          [=](const action_reply& answer) {
            with_entry([&](channel_entry& current) {
              if (answer.failure) {
                current.removing = false;
                answer_removals(self, name, answer.failure);
                return;
              }
              current.emptied = true;
              tell_when_quiet(self);
              self->send_exit(current.queue, caf::exit_reason::user_shutdown);
              self->send_exit(current.executor, caf::exit_reason::user_shutdown);
            });
          },
          [=](const caf::error&) {
            with_entry([&](channel_entry& current) { abandon_removal(self, current); });
          });
}

} // namespace

error no_such_channel(const std::string& name) {
  return {error_code::not_found,
          "there is no channel " + name + "; create it with POST /queue, or push to one of GET /status"};
}

error channel_has_failed(const std::string& name) {
  return {error_code::unavailable, "channel " + name + " has failed; restart the daemon"};
}

caf::result<action_reply> create_one(router_pointer self, const create_channel& request) {
  if (self->state.draining)
    return action_reply{draining_error};
  auto promise = self->make_response_promise<action_reply>();
  save(
      self,
      [self, record = request.record]() mutable -> result<std::vector<channel_record>> {
        auto& state = self->state;
        if (auto valid = check_record(record); !valid)
          return valid.failure();
        if (state.channels.count(record.name) > 0)
          return error{error_code::conflict, "channel " + record.name + " exists already"};
        if (state.channels.size() >= channels_max)
          return error{error_code::out_of_range, "there are " + std::to_string(state.channels.size()) +
                                                     " channels, which is the limit; use one of them"};
        record.created_at_ms = state.dependencies.clock->now_ms();
        record.from_ini = {};
        return std::vector<channel_record>{record};
      },
      [promise](std::optional<error> failure) mutable { promise.deliver(action_reply{std::move(failure)}); });
  return promise;
}

caf::result<channel_reply> change_one(router_pointer self, const change_channel& request) {
  auto promise = self->make_response_promise<channel_reply>();
  change(self, request.name, request.apply,
         [self, promise, name = request.name](std::optional<error> failure) mutable {
           if (failure)
             promise.deliver(channel_reply{std::nullopt, std::move(failure)});
           else
             deliver_channel(self, name, promise);
         });
  return promise;
}

caf::result<channel_reply> act_on_one(router_pointer self, const act_on_channel& request) {
  auto promise = self->make_response_promise<channel_reply>();
  const bool paused = request.verb != channel_verb::resume;
  const auto wait_ms =
      request.verb == channel_verb::drain ? std::clamp<int64_t>(request.wait_ms, 0, drain_wait_ms_max) : 0;
  change(
      self, request.name,
      [paused](channel_record& record) -> result<void> {
        record.paused = paused;
        return {};
      },
      [self, promise, wait_ms, name = request.name](std::optional<error> failure) mutable {
        if (failure) {
          promise.deliver(channel_reply{std::nullopt, std::move(failure)});
          return;
        }
        const auto found = self->state.channels.find(name);
        if (wait_ms == 0 || found == self->state.channels.end() || found->second.failed) {
          deliver_channel(self, name, promise);
          return;
        }
        ask_queue(self, found->second, std::chrono::milliseconds(wait_ms) + idle_slack, await_idle{wait_ms})
            .then([=](const action_reply&) { deliver_channel(self, name, promise); },
                  [=](const caf::error&) { deliver_channel(self, name, promise); });
      });
  return promise;
}

caf::result<action_reply> take_ini(router_pointer self, const apply_ini& request) {
  auto promise = self->make_response_promise<action_reply>();
  save(
      self,
      [self, sections = request.sections]() -> result<std::vector<channel_record>> {
        std::map<std::string, channel_record> stored;
        for (const auto& [name, entry] : self->state.channels)
          stored.emplace(name, entry.record);
        auto changed = merge_ini(stored, sections, self->state.dependencies.clock->now_ms());
        for (const auto& record : changed) {
          if (auto valid = check_record(record); !valid)
            return valid.failure();
          stored[record.name] = record;
        }
        if (stored.size() > channels_max)
          return too_many_channels(stored.size());
        return changed;
      },
      [self, promise, sections = request.sections](std::optional<error> failure) mutable {
        if (!failure) {
          auto& named = self->state.dependencies.ini_channels;
          named.clear();
          for (const auto& [name, said] : sections)
            named.insert(name);
        }
        promise.deliver(action_reply{std::move(failure)});
      });
  return promise;
}

caf::result<action_reply> remove_one(router_pointer self, const remove_channel_request& request) {
  auto& state = self->state;
  const auto& name = request.name;
  if (state.draining)
    return action_reply{draining_error};
  const auto found = state.channels.find(name);
  if (found == state.channels.end())
    return action_reply{no_such_channel(name)};
  if (name == state.dependencies.channel_default)
    return action_reply{error{error_code::conflict, "channel " + name +
                                                        " is where pushes without a channel go; set another "
                                                        "channel-default before removing it"}};
  auto promise = self->make_response_promise<action_reply>();
  state.open_removals[name].push_back(promise);
  wait(self, removal_patience, [self, name] {
    answer_removals(self, name,
                    error{error_code::timeout, "channel " + name +
                                                   " is being removed: its running commands have until "
                                                   "their grace is over; look at /status"});
  });
  if (!found->second.removing)
    begin_removal(self, found->second, request.force);
  return promise;
}

void finish_removal(router_pointer self, const std::string& name) {
  router_state::channel_change change;
  change.plan = [name]() -> result<std::vector<store_operation>> {
    return std::vector<store_operation>{remove_channel{name}};
  };
  change.done = [self, name](const result<std::vector<store_answer>>& answers) {
    auto& state = self->state;
    const auto found = state.channels.find(name);
    if (found == state.channels.end())
      return;
    if (answers && std::get<change_answer>(answers->front()).applied) {
      state.dependencies.facts->set_failed(name, false);
      state.dependencies.metrics->remove(name);
      state.channels.erase(found);
      if (state.slots)
        pass_on(self, state.slots->remove(name));
      count_workers(self);
      log_event(log_level::info, "channel removed", {{"channel", name}});
      answer_removals(self, name, std::nullopt);
    } else {
      auto& entry = found->second;
      entry.removing = entry.emptied = false;
      if (!entry.failed && !state.ending)
        start_pair(self, entry);
      answer_removals(
          self, name,
          answers ? error{error_code::conflict, "channel " + name + " holds tasks; cancel them, or use force"}
                  : answers.failure());
    }
    tell_when_quiet(self);
  };
  enqueue(self, std::move(change));
}

void abandon_removal(router_pointer self, channel_entry& entry) {
  entry.removing = false;
  answer_removals(self, entry.record.name,
                  error{error_code::unavailable, "the actors of channel " + entry.record.name +
                                                     " died while it was emptied; try again"});
}

} // namespace task_runner
