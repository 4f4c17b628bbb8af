// The router actor: routing of pushes, the life of the pairs, and its behaviour.
#include "actors/router.hpp"

#include "actors/executor.hpp"
#include "actors/queue.hpp"
#include "actors/router_parts.hpp"
#include "services/observability/log.hpp"

#include <caf/all.hpp>

#include <algorithm>

namespace task_runner {

uint32_t effective_workers(const router_dependencies& d, const channel_record& record) {
  return d.task_mode ? record.worker.value_or(d.concurrent) : 0;
}

void start_pair(router_pointer self, channel_entry& entry) {
  auto& d = self->state.dependencies;
  const auto& name = entry.record.name;
  entry.queue_down = entry.executor_down = false;
  entry.queue_probe = d.probes->add(queue_shape(), name, entry.queue_probe.get());
  entry.executor_probe = d.probes->add(executor_shape(), name, entry.executor_probe.get());
  entry.queue_probe->set_restarts(entry.restart_count);
  entry.executor_probe->set_restarts(entry.restart_count);
  queue_dependencies queue_parts;
  queue_parts.record = entry.record;
  queue_parts.limits = d.limits;
  queue_parts.slots_limited = self->state.slots.has_value();
  queue_parts.router = router_actor{self};
  queue_parts.writer = d.writer;
  queue_parts.clock = d.clock;
  queue_parts.history = d.history;
  queue_parts.observer = d.observer;
  queue_parts.probe = entry.queue_probe;
  entry.metrics = d.metrics->of(name);
  queue_parts.metrics = entry.metrics;
  entry.queue = self->spawn(queue, std::move(queue_parts));
  entry.executor =
      self->spawn(executor, executor_dependencies{name, effective_workers(d, entry.record), entry.queue,
                                                  d.runner, d.clock, entry.executor_probe});
  self->monitor(entry.queue);
  self->monitor(entry.executor);
  d.bridge->attach(name, entry.executor);
  tell_queue(self, entry, attach_executor{entry.executor});
  if (self->state.stopping_now)
    tell_queue(self, entry, stop_now{});
  else if (self->state.draining)
    tell_queue(self, entry, drain{});
}

void count_workers(router_pointer self) {
  auto& d = self->state.dependencies;
  uint64_t sum = 0;
  for (const auto& [name, entry] : self->state.channels) {
    const auto workers = effective_workers(d, entry.record);
    sum += workers;
    if (entry.metrics)
      entry.metrics->set_workers(workers);
  }
  const auto before = d.facts->workers();
  d.facts->set_workers(sum);
  const auto capacity = d.capacity();
  if (capacity > 0 && sum > capacity && sum > before)
    log_event(
        log_level::warning,
        "all channels together have more workers than the launcher can run commands; raise the limit on "
        "open files, or lower worker",
        {{"workers", sum}, {"running_max", capacity}});
}

void pass_on(router_pointer self, const std::vector<slot_grant>& grants) {
  for (const auto& grant : grants) {
    const auto found = self->state.channels.find(grant.channel);
    if (found != self->state.channels.end() && found->second.queue)
      tell_queue(self, found->second, slots_given{grant.slots});
  }
}

void share_weights(router_pointer self) {
  auto& state = self->state;
  if (!state.slots)
    return;
  for (const auto& [name, entry] : state.channels)
    pass_on(self, state.slots->set_weight(name, entry.record.weight));
}

uint64_t wait(router_pointer self, std::chrono::milliseconds time, std::function<void()> done) {
  const auto number = self->state.next_number++;
  self->state.open_waits.emplace(number, std::move(done));
  self->delayed_send(self, time, patience_over{number});
  return number;
}

void forget_wait(router_pointer self, uint64_t number) {
  self->state.open_waits.erase(number);
}

result<void> commit(router_pointer self, std::vector<store_operation> operations,
                    std::function<void(result<std::vector<store_answer>>)> done) {
  auto& state = self->state;
  const auto number = state.next_number++;
  const router_actor me{self};
  auto taken =
      ask_store(self).submit(std::move(operations), [me, number](result<std::vector<store_answer>> answers) {
        caf::anon_send(me, router_committed{number, std::move(answers)});
      });
  if (taken)
    state.open_commits.emplace(number, std::move(done));
  return taken;
}

void tell_when_quiet(router_pointer self) {
  auto& state = self->state;
  if (!state.draining || state.quiet_told)
    return;
  for (const auto& [name, entry] : state.channels)
    if (!entry.quiet && !entry.failed && !entry.emptied)
      return;
  state.quiet_told = true;
  state.dependencies.probe->count(router_edge::to_supervisor);
  self->send(state.supervisor, all_quiet{});
}

namespace {

void end_when_alone(router_pointer self) {
  const auto& channels = self->state.channels;
  if (std::all_of(channels.begin(), channels.end(),
                  [](const auto& item) { return item.second.queue_down && item.second.executor_down; }))
    self->quit(caf::exit_reason::user_shutdown);
}

/// Both of a pair are gone: start again, unless it happens too often.
void restart_pair(router_pointer self, channel_entry& entry) {
  const auto now = std::chrono::steady_clock::now();
  while (!entry.restarts.empty() && now - entry.restarts.front() > restart_window)
    entry.restarts.pop_front();
  if (entry.restarts.size() >= restarts_max) {
    entry.failed = true;
    entry.queue = queue_actor{};
    entry.executor = executor_actor{};
    self->state.dependencies.facts->set_failed(entry.record.name, true);
    if (self->state.slots)
      pass_on(self, self->state.slots->remove(entry.record.name));
    log_event(log_level::error, "channel failed: its actors died too often; restart the daemon",
              {{"channel", entry.record.name}, {"restarts", entry.restart_count}});
    tell_when_quiet(self);
    return;
  }
  entry.restarts.push_back(now);
  ++entry.restart_count;
  log_event(log_level::error, "the actors of a channel died and are started again",
            {{"channel", entry.record.name}, {"restarts", entry.restart_count}});
  start_pair(self, entry);
}

void on_down(router_pointer self, const caf::down_msg& message) {
  for (auto& [name, entry] : self->state.channels) {
    const bool is_queue = entry.queue && entry.queue.address() == message.source;
    const bool is_executor = entry.executor && entry.executor.address() == message.source;
    if (!is_queue && !is_executor)
      continue;
    self->state.dependencies.bridge->detach(name);
    if (is_queue) {
      entry.queue_down = true;
      if (self->state.slots)
        pass_on(self, self->state.slots->queue_lost(name));
      if (!entry.executor_down)
        self->send_exit(entry.executor, caf::exit_reason::kill);
    } else {
      entry.executor_down = true;
      if (!entry.queue_down)
        self->send_exit(entry.queue, caf::exit_reason::kill);
    }
    if (!entry.queue_down || !entry.executor_down)
      return;
    if (self->state.ending)
      end_when_alone(self);
    else if (entry.emptied)
      finish_removal(self, name);
    else
      restart_pair(self, entry);
    return;
  }
}

caf::result<push_replies> route(router_pointer self, admitted_batch& batch) {
  const auto found = self->state.channels.find(batch.channel);
  const bool known = found != self->state.channels.end() && !found->second.removing;
  if (known && !found->second.failed) {
    found->second.queue_probe->count(queue_edge::from_router);
    return self->delegate(found->second.queue, std::move(batch));
  }
  push_replies refused;
  for (const auto& item : batch.items) {
    push_reply reply;
    reply.task_name = item.value.name;
    reply.failure = known ? channel_has_failed(batch.channel) : no_such_channel(batch.channel);
    reply.channel_only = true;
    refused.replies.push_back(std::move(reply));
  }
  return refused;
}

void start_drain(router_pointer self, bool now) {
  auto& state = self->state;
  state.draining = true;
  state.stopping_now = state.stopping_now || now;
  for (const auto& [name, entry] : state.channels) {
    if (entry.failed)
      continue;
    if (now)
      tell_queue(self, entry, stop_now{});
    else
      tell_queue(self, entry, drain{});
  }
  tell_when_quiet(self);
}

} // namespace

void router_state::measure(actor_probe& probe, size_t asked) const {
  probe.set_in_flight(asked + open_commits.size() + open_lookups.size() + open_pages.size());
  probe.set_facts({static_cast<int64_t>(channels.size()), static_cast<int64_t>(changes.size())});
}

std::vector<std::string_view> router_message_kinds() {
  return {"push",      "create",    "change",    "remove", "act_on_channel", "ini",
          "status",    "task",      "task_read", "list",   "act_on_task",    "act_on_tasks",
          "page_read", "committed", "patience",  "slots",  "clock",          "drain",
          "stop_now",  "quiet",     "end",       "attach", "explain"};
}

const probe_shape& router_shape() {
  static const probe_shape shape = [] {
    probe_shape made("router", router_message_kinds());
    made.edges = {{"router", "store"}, {"store", "router"}, {"router", "supervisor"}, {"clock", "router"}};
    made.facts = {"channels", "changes"};
    made.watched_by = "supervisor";
    return made;
  }();
  return shape;
}

router_actor::behavior_type router(router_pointer self, router_dependencies dependencies) {
  auto& state = self->state;
  state.dependencies = std::move(dependencies);
  self->watch(*state.dependencies.probe);
  self->set_down_handler([self](const caf::down_msg& message) { on_down(self, message); });
  if (state.dependencies.running_max > 0)
    state.slots.emplace(state.dependencies.running_max);
  for (auto& record : state.dependencies.channels) {
    auto& entry = state.channels[record.name];
    entry.record = record;
    if (state.slots)
      state.slots->await_report(record.name);
    start_pair(self, entry);
  }
  share_weights(self);
  count_workers(self);
  const auto note = [self](router_message kind) {
    return handling(*self->state.dependencies.probe, static_cast<size_t>(kind));
  };
  const auto note_of_store = [self, note](router_message kind) {
    self->state.dependencies.probe->count(router_edge::from_store);
    return note(kind);
  };
  return {
      [=](attach_supervisor& message) {
        const auto guard = note(router_message::attach);
        self->state.supervisor = std::move(message.supervisor);
      },
      [=](admitted_batch& batch) -> caf::result<push_replies> {
        const auto guard = note(router_message::push);
        return route(self, batch);
      },
      [=](const create_channel& request) -> caf::result<action_reply> {
        const auto guard = note(router_message::create);
        return create_one(self, request);
      },
      [=](const change_channel& request) -> caf::result<channel_reply> {
        const auto guard = note(router_message::change);
        return change_one(self, request);
      },
      [=](const remove_channel_request& request) -> caf::result<action_reply> {
        const auto guard = note(router_message::remove);
        return remove_one(self, request);
      },
      [=](const act_on_channel& request) -> caf::result<channel_reply> {
        const auto guard = note(router_message::act_on_channel);
        return act_on_one(self, request);
      },
      [=](const apply_ini& message) -> caf::result<action_reply> {
        const auto guard = note(router_message::ini);
        return take_ini(self, message);
      },
      [=](const get_status& request) -> caf::result<status_reply> {
        const auto guard = note(router_message::status);
        return report(self, request);
      },
      [=](const get_task& request) -> caf::result<task_reply> {
        const auto guard = note(router_message::task);
        return look_up(self, request);
      },
      [=](task_read& message) {
        const auto guard = note_of_store(router_message::task_read);
        if (auto node = self->state.open_lookups.extract(message.number); !node.empty())
          node.mapped()(message);
      },
      [=](explain_task& request) -> caf::result<explanation_reply> {
        const auto guard = note(router_message::explain);
        return explain(self, std::move(request));
      },
      [=](const list_tasks& request) -> caf::result<task_page_reply> {
        const auto guard = note(router_message::list);
        return list(self, request);
      },
      [=](const act_on_task& request) -> caf::result<task_reply> {
        const auto guard = note(router_message::act_on_task);
        return act(self, request);
      },
      [=](const act_on_tasks& request) -> caf::result<tasks_reply> {
        const auto guard = note(router_message::act_on_tasks);
        return act_on_many(self, request);
      },
      [=](page_read& message) {
        const auto guard = note_of_store(router_message::page_read);
        if (auto node = self->state.open_pages.extract(message.number); !node.empty())
          node.mapped()(std::move(message.page));
      },
      [=](router_committed& message) {
        const auto guard = note_of_store(router_message::committed);
        if (auto node = self->state.open_commits.extract(message.number); !node.empty())
          node.mapped()(std::move(message.answers));
      },
      [=](const patience_over& message) {
        const auto guard = note(router_message::patience);
        if (auto node = self->state.open_waits.extract(message.number); !node.empty())
          node.mapped()();
      },
      [=](const slots_reported& message) {
        const auto guard = note(router_message::slots);
        auto& slots = self->state.slots;
        if (slots && self->state.channels.count(message.channel) > 0)
          pass_on(self, slots->report(message.channel, message.report));
      },
      [=](const clock_adjusted& message) {
        const auto guard = note(router_message::clock);
        self->state.dependencies.probe->count(router_edge::from_clock);
        for (const auto& [name, entry] : self->state.channels)
          if (!entry.failed)
            tell_queue(self, entry, message);
      },
      [=](const drain&) {
        const auto guard = note(router_message::drain);
        start_drain(self, false);
      },
      [=](const stop_now&) {
        const auto guard = note(router_message::stop_now);
        start_drain(self, true);
      },
      [=](const queue_quiet& message) {
        const auto guard = note(router_message::quiet);
        const auto found = self->state.channels.find(message.channel);
        if (found != self->state.channels.end())
          found->second.quiet = true;
        tell_when_quiet(self);
      },
      [=](const shut_down&) {
        const auto guard = note(router_message::end);
        self->state.ending = true;
        for (auto& [name, entry] : self->state.channels) {
          if (entry.failed) {
            entry.queue_down = entry.executor_down = true;
            continue;
          }
          self->send_exit(entry.queue, caf::exit_reason::user_shutdown);
          self->send_exit(entry.executor, caf::exit_reason::user_shutdown);
        }
        end_when_alone(self);
      },
  };
}

} // namespace task_runner
