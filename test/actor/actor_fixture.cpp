// The hand-driven surroundings of the actors.
#include "test/actor/actor_fixture.hpp"

#include "services/observability/log.hpp"

#include <stdexcept>

namespace task_runner::test {

result<void> hand_writer::submit(std::vector<store_operation> operations, store_completion done) {
  if (full)
    return error{error_code::overloaded, "full"};
  jobs_.push_back([this, operations = std::move(operations), done = std::move(done)] {
    if (broken) {
      done(error{error_code::unavailable, "broken"});
      return;
    }
    commits.push_back(operations);
    done(store.apply(operations));
  });
  return {};
}

result<void> hand_writer::read(store_read_job job) {
  if (full)
    return error{error_code::overloaded, "full"};
  jobs_.push_back([this, job = std::move(job)] { job(store); });
  return {};
}

size_t hand_writer::work() {
  size_t done = 0;
  for (; !jobs_.empty(); ++done) {
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    job();
  }
  return done;
}

result<void> hand_runner::start(attempt_start request) {
  known_attempt attempt;
  attempt.key = request.key;
  attempt.channel = request.channel;
  attempt.pid = 1;
  known[request.key] = attempt;
  started.push_back(std::move(request));
  return {};
}

result<void> hand_runner::signal(const attempt_key&, int) {
  return {};
}

void hand_runner::settled(const attempt_key& key) {
  known.erase(key);
  forgotten.push_back(key);
}

std::vector<known_attempt> hand_runner::known_attempts(const std::string& channel) const {
  std::vector<known_attempt> attempts;
  for (const auto& [key, attempt] : known)
    if (attempt.channel == channel)
      attempts.push_back(attempt);
  return attempts;
}

void hand_runner::end(const attempt_key& key, int exit_code) {
  auto& attempt = known.at(key);
  attempt.ended = true;
  attempt.end.key = key;
  attempt.end.channel = attempt.channel;
  attempt.end.how.code = exit_code;
  attempt.end.started_at_ms = 1;
  attempt.end.ended_at_ms = 2;
  events->on_ended(attempt.end);
}

channel_record actor_fixture::make_channel(std::string name, bool distinct, uint32_t worker) {
  channel_record record;
  record.name = std::move(name);
  record.distinct = distinct;
  record.worker = worker;
  return record;
}

actor_fixture::actor_fixture(std::vector<channel_record> channels) {
  log_options silent;
  silent.level = log_level::off;
  if (auto configured = configure_log(silent); !configured)
    throw std::runtime_error(configured.failure().message);
  config.set("scheduler.policy", caf::atom("testing"));
  system = std::make_unique<caf::actor_system>(config);
  runner.events = &bridge;
  router_dependencies parts;
  parts.channels = std::move(channels);
  parts.writer = &writer;
  parts.runner = &runner;
  parts.bridge = &bridge;
  parts.probes = &probes;
  parts.clock = &clock;
  parts.probe = probes.add("router", "router", router_message_kinds());
  router_handle = system->spawn(router, std::move(parts));
  intake_handle =
      system->spawn(intake, intake_dependencies{"default", router_handle, &clock,
                                                probes.add("intake", "intake", intake_message_kinds())});
  via = system->spawn(asker, probes.add("gateway", "gateway", asker_message_kinds()));
  supervisor_dependencies watched;
  watched.intake = intake_handle;
  watched.router = router_handle;
  watched.asker = via;
  watched.on_quiet = [this] { quiet = true; };
  watched.on_fatal = [this](const std::string& who) { died = who; };
  watched.probe = probes.add("supervisor", "supervisor", supervisor_message_kinds());
  supervisor_handle = system->spawn(supervisor, std::move(watched));
  settle();
}

actor_fixture::~actor_fixture() {
  caf::anon_send(supervisor_handle, shut_down{});
  settle();
  bridge.detach_all();
  intake_handle = intake_actor{};
  router_handle = router_actor{};
  supervisor_handle = supervisor_actor{};
  via = caf::actor{};
}

caf::scheduler::test_coordinator& actor_fixture::scheduler() {
  return dynamic_cast<caf::scheduler::test_coordinator&>(system->scheduler());
}

void actor_fixture::settle() {
  do
    scheduler().run();
  while (writer.work() > 0);
}

void actor_fixture::pass(std::chrono::milliseconds time) {
  clock.now += time.count();
  scheduler().advance_time(time);
  settle();
}

push_item actor_fixture::item(std::string name, std::string channel) {
  push_item made;
  made.name = std::move(name);
  made.channel = std::move(channel);
  return made;
}

std::shared_ptr<std::optional<push_replies>> actor_fixture::push_all(std::vector<push_item> items) {
  auto slot = std::make_shared<std::optional<push_replies>>();
  ask<push_replies>(
      via, intake_handle, push_batch{std::move(items)}, std::chrono::seconds(30),
      [slot](push_replies& answer) { *slot = std::move(answer); },
      [slot](const error& why) {
        push_reply failed;
        failed.failure = why;
        *slot = push_replies{{failed}};
      });
  scheduler().run();
  return slot;
}

std::shared_ptr<std::optional<push_reply>> actor_fixture::push(push_item one) {
  auto slot = std::make_shared<std::optional<push_reply>>();
  ask<push_replies>(
      via, intake_handle, push_batch{{std::move(one)}}, std::chrono::seconds(30),
      [slot](push_replies& answer) { *slot = std::move(answer.replies.at(0)); },
      [slot](const error& why) {
        push_reply failed;
        failed.failure = why;
        *slot = std::move(failed);
      });
  scheduler().run();
  return slot;
}

channel_status actor_fixture::status(const std::string& channel, uint32_t limit) {
  std::optional<status_reply> answer;
  ask<status_reply>(
      via, router_handle, get_status{channel, limit}, std::chrono::seconds(30),
      [&](status_reply& reply) { answer = std::move(reply); },
      [&](const error& why) {
        answer.emplace();
        answer->failure = why;
      });
  settle();
  if (!answer)
    throw std::runtime_error("no status came");
  if (answer->failure)
    throw std::runtime_error(answer->failure->message);
  return answer->channels.at(0);
}

action_reply actor_fixture::create(create_channel request) {
  std::optional<action_reply> answer;
  ask<action_reply>(
      via, router_handle, std::move(request), std::chrono::seconds(30),
      [&](action_reply& reply) { answer = std::move(reply); },
      [&](const error& why) { answer = action_reply{why}; });
  settle();
  return answer.value_or(action_reply{error{error_code::internal, "no answer came"}});
}

} // namespace task_runner::test
