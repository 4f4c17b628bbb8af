// The router actor.
#include "actors/router.hpp"

#include "actors/channel_plan.hpp"
#include "actors/executor.hpp"
#include "actors/queue.hpp"
#include "services/domain/names.hpp"
#include "services/observability/log.hpp"

#include <caf/all.hpp>

#include <algorithm>

namespace task_runner {

namespace {

using router_pointer = router_actor::stateful_pointer<router_state>;
using channel_entry = router_state::channel_entry;

/// How long a queue may take to describe itself before /status goes on without it.
constexpr std::chrono::seconds status_timeout{5};

uint32_t effective_workers(const router_dependencies& d, const channel_record& record) {
  return d.task_mode ? record.worker.value_or(d.concurrent) : 0;
}

void start_pair(router_pointer self, channel_entry& entry) {
  auto& d = self->state.dependencies;
  const auto& name = entry.record.name;
  entry.queue_down = entry.executor_down = false;
  entry.queue_probe = d.probes->add("queue:" + name, "queue", queue_message_kinds());
  entry.executor_probe = d.probes->add("executor:" + name, "executor", executor_message_kinds());
  entry.queue_probe->set_restarts(entry.restart_count);
  entry.executor_probe->set_restarts(entry.restart_count);
  entry.queue =
      self->spawn(queue, queue_dependencies{name, entry.record.distinct, d.limits, router_actor{self},
                                            d.writer, d.clock, entry.queue_probe});
  entry.executor =
      self->spawn(executor, executor_dependencies{name, effective_workers(d, entry.record), entry.queue,
                                                  d.runner, d.clock, entry.executor_probe});
  self->monitor(entry.queue);
  self->monitor(entry.executor);
  d.bridge->attach(name, entry.executor);
  self->send(entry.queue, attach_executor{entry.executor});
  if (self->state.draining)
    self->send(entry.queue, drain{});
}

void tell_when_quiet(router_pointer self) {
  auto& state = self->state;
  if (!state.draining || state.quiet_told)
    return;
  for (const auto& [name, entry] : state.channels)
    if (!entry.quiet && !entry.failed)
      return;
  state.quiet_told = true;
  self->send(state.supervisor, all_quiet{});
}

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
    if (is_queue) {
      entry.queue_down = true;
      self->state.dependencies.bridge->detach(name);
      if (!entry.executor_down)
        self->send_exit(entry.executor, caf::exit_reason::kill);
    } else {
      entry.executor_down = true;
      self->state.dependencies.bridge->detach(name);
      if (!entry.queue_down)
        self->send_exit(entry.queue, caf::exit_reason::kill);
    }
    if (entry.queue_down && entry.executor_down) {
      if (self->state.ending)
        end_when_alone(self);
      else
        restart_pair(self, entry);
    }
    return;
  }
}

caf::result<push_replies> route(router_pointer self, admitted_batch& batch) {
  const auto found = self->state.channels.find(batch.channel);
  if (found != self->state.channels.end() && !found->second.failed)
    return self->delegate(found->second.queue, std::move(batch));
  const bool failed = found != self->state.channels.end();
  push_replies refused;
  for (const auto& item : batch.items)
    refused.replies.push_back(
        {item.value.name,
         {},
         false,
         failed
             ? error{error_code::unavailable, "channel " + batch.channel + " has failed; restart the daemon"}
             : error{error_code::not_found,
                     "there is no channel " + batch.channel +
                         "; create it with POST /queue, or push to one of GET /status"}});
  return refused;
}

caf::result<action_reply> save(router_pointer self, std::vector<channel_record> records) {
  auto& state = self->state;
  if (records.empty())
    return action_reply{};
  std::vector<store_operation> operations;
  for (const auto& record : records)
    operations.emplace_back(save_channel{record});
  const auto number = state.next_number++;
  const router_actor me{self};
  auto taken = state.dependencies.writer->submit(
      std::move(operations), [me, number](result<std::vector<store_answer>> answers) {
        caf::anon_send(me, channel_saved{number, std::move(answers)});
      });
  if (!taken)
    return action_reply{taken.failure()};
  auto promise = self->make_response_promise<action_reply>();
  state.open_saves.emplace(number, router_state::open_save{std::move(records), promise});
  return promise;
}

caf::result<action_reply> create(router_pointer self, const create_channel& request) {
  auto& state = self->state;
  if (state.draining)
    return action_reply{
        error{error_code::draining, "the daemon is stopping and takes nothing new; try again soon"}};
  if (!is_valid_name(request.name))
    return action_reply{error{error_code::invalid_argument,
                              "the channel's name is not valid; use 1 to 128 of A-Z a-z 0-9 . _ : -"}};
  if (request.worker && (*request.worker < 1 || *request.worker > worker_max))
    return action_reply{
        error{error_code::out_of_range,
              "worker is out of range; give 0 (the daemon's default) to " + std::to_string(worker_max)}};
  const auto is_it = [&](const channel_record& record) { return record.name == request.name; };
  const bool on_its_way =
      std::any_of(state.open_saves.begin(), state.open_saves.end(), [&](const auto& open) {
        return std::any_of(open.second.records.begin(), open.second.records.end(), is_it);
      });
  if (on_its_way || state.channels.count(request.name) > 0)
    return action_reply{error{error_code::conflict, "channel " + request.name + " exists already"}};
  if (state.channels.size() + state.open_saves.size() >= channels_max)
    return action_reply{
        error{error_code::out_of_range, "there are " + std::to_string(state.channels.size()) +
                                            " channels, which is the limit; use one of them"}};
  channel_record record;
  record.name = request.name;
  record.distinct = request.distinct;
  record.worker = request.worker;
  record.created_at_ms = state.dependencies.clock->now_ms();
  return save(self, {std::move(record)});
}

void put_into_force(router_pointer self, const channel_record& record) {
  auto& state = self->state;
  const auto found = state.channels.find(record.name);
  if (found == state.channels.end()) {
    auto& entry = state.channels[record.name];
    entry.record = record;
    start_pair(self, entry);
    log_event(log_level::info, "channel created",
              {{"channel", record.name},
               {"distinct", record.distinct},
               {"worker", record.worker.value_or(state.dependencies.concurrent)}});
    return;
  }
  auto& entry = found->second;
  entry.record = record;
  if (entry.failed)
    return;
  self->send(entry.queue, configure_queue{record.distinct});
  self->send(entry.executor, set_workers{effective_workers(state.dependencies, record)});
  log_event(log_level::info, "channel changed",
            {{"channel", record.name},
             {"distinct", record.distinct},
             {"worker", record.worker.value_or(state.dependencies.concurrent)}});
}

void finish_save(router_pointer self, channel_saved& message) {
  auto node = self->state.open_saves.extract(message.number);
  if (node.empty())
    return;
  auto& open = node.mapped();
  if (!message.answers) {
    open.promise.deliver(action_reply{message.answers.failure()});
    return;
  }
  for (const auto& record : open.records)
    put_into_force(self, record);
  open.promise.deliver(action_reply{});
}

/// The statuses of several channels while they come in.
struct gathering {
  caf::typed_response_promise<status_reply> promise;
  status_reply answer;
  size_t open = 0;
};

caf::result<status_reply> report(router_pointer self, const get_status& request) {
  auto& state = self->state;
  if (!request.channel.empty() && state.channels.count(request.channel) == 0) {
    status_reply none;
    none.failure = error{error_code::not_found,
                         "there is no channel " + request.channel + "; GET /status lists them all"};
    return none;
  }
  auto whole = std::make_shared<gathering>();
  for (const auto& [name, entry] : state.channels) {
    if (!request.channel.empty() && name != request.channel)
      continue;
    channel_status status;
    status.channel = name;
    status.distinct = entry.record.distinct;
    whole->answer.channels.push_back(std::move(status));
  }
  whole->promise = self->make_response_promise<status_reply>();
  whole->open = whole->answer.channels.size();
  auto promise = whole->promise;
  for (size_t i = 0; i < whole->answer.channels.size(); ++i) {
    const auto& entry = state.channels[whole->answer.channels[i].channel];
    const auto worker = entry.record.worker.value_or(state.dependencies.concurrent);
    whole->answer.channels[i].worker = worker;
    const auto close_part = [whole] {
      if (--whole->open == 0)
        whole->promise.deliver(std::move(whole->answer));
    };
    if (entry.failed) {
      whole->answer.channels[i].failure =
          error{error_code::unavailable, "the channel has failed; restart the daemon"};
      close_part();
      continue;
    }
    self->request(entry.queue, status_timeout, get_channel_status{request.limit})
        .then(
            [=](channel_status& status) {
              status.worker = worker;
              whole->answer.channels[i] = std::move(status);
              close_part();
            },
            [=](const caf::error&) {
              whole->answer.channels[i].failure =
                  error{error_code::timeout, "the channel's queue did not answer in time"};
              close_part();
            });
  }
  if (whole->answer.channels.empty())
    whole->promise.deliver(std::move(whole->answer));
  return promise;
}

caf::result<task_reply> look_up(router_pointer self, const get_task& request) {
  auto& state = self->state;
  const auto number = state.next_number++;
  const router_actor me{self};
  auto taken = state.dependencies.writer->read([me, number, id = request.id](queue_store& store) {
    caf::anon_send(me, task_read{number, store.find_task(id)});
  });
  if (!taken)
    return task_reply{std::nullopt, taken.failure()};
  auto promise = self->make_response_promise<task_reply>();
  state.open_lookups.emplace(number, promise);
  return promise;
}

void finish_lookup(router_pointer self, task_read& message) {
  auto node = self->state.open_lookups.extract(message.number);
  if (node.empty())
    return;
  task_reply answer;
  if (!message.value)
    answer.failure = message.value.failure();
  else if (!*message.value)
    answer.failure = error{error_code::not_found, "there is no such task"};
  else
    answer.value = std::move(*message.value);
  node.mapped().deliver(std::move(answer));
}

} // namespace

std::vector<std::string_view> router_message_kinds() {
  return {"push", "create", "ini", "status", "task", "task_read", "saved", "drain", "quiet", "end", "attach"};
}

router_actor::behavior_type router(router_pointer self, router_dependencies dependencies) {
  auto& state = self->state;
  state.dependencies = std::move(dependencies);
  self->set_down_handler([self](const caf::down_msg& message) { on_down(self, message); });
  for (auto& record : state.dependencies.channels) {
    auto& entry = state.channels[record.name];
    entry.record = record;
    start_pair(self, entry);
  }
  const auto note = [self](router_message kind) {
    return handling(*self->state.dependencies.probe, static_cast<size_t>(kind), self->mailbox().size());
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
        return create(self, request);
      },
      [=](const apply_ini& message) -> caf::result<action_reply> {
        const auto guard = note(router_message::ini);
        std::map<std::string, channel_record> stored;
        for (const auto& [name, entry] : self->state.channels)
          stored.emplace(name, entry.record);
        auto changed = merge_ini(stored, message.sections, self->state.dependencies.clock->now_ms());
        for (const auto& record : changed)
          stored[record.name] = record;
        if (stored.size() > channels_max)
          return action_reply{too_many_channels(stored.size())};
        return save(self, std::move(changed));
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
        const auto guard = note(router_message::task_read);
        finish_lookup(self, message);
      },
      [=](channel_saved& message) {
        const auto guard = note(router_message::saved);
        finish_save(self, message);
      },
      [=](const drain&) {
        const auto guard = note(router_message::drain);
        self->state.draining = true;
        for (const auto& [name, entry] : self->state.channels)
          if (!entry.failed)
            self->send(entry.queue, drain{});
        tell_when_quiet(self);
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
