// The hand-driven surroundings of the actors.
#include "test/actor/actor_fixture.hpp"

#include "services/observability/log.hpp"

#include <algorithm>
#include <stdexcept>

namespace task_runner::test {

result<void> hand_writer::submit(std::vector<store_operation> operations, store_completion done) {
  if (full)
    return error{error_code::overloaded, "full"};
  jobs_.push_back([this, operations = std::move(operations), done = std::move(done)] {
    if (broken || (refuses && std::any_of(operations.begin(), operations.end(), refuses))) {
      done(error{error_code::unavailable, "broken"});
      return;
    }
    commits.push_back(operations);
    auto answers = store.apply(operations);
    done(unheard ? result<std::vector<store_answer>>(error{error_code::unavailable, "unheard"})
                 : std::move(answers));
  });
  return {};
}

namespace {

/// A store whose file cannot be read now.
class unreadable_store final : public queue_store {
public:
  result<std::vector<store_answer>> apply(const std::vector<store_operation>&) override { return why_; }
  result<std::vector<channel_record>> load_channels() override { return why_; }
  result<channel_recovery> recover_channel(const std::string&) override { return why_; }
  result<std::vector<task>> load_pending(const std::string&, order_key, window_limits) override {
    return why_;
  }
  result<std::vector<task>> load_held(const std::string&, uint32_t) override { return why_; }
  result<std::vector<task>> load_delayed(const std::string&, uint32_t) override { return why_; }
  result<std::optional<task>> find_task(const std::string&) override { return why_; }
  result<std::vector<task>> find_tasks(const std::vector<std::string>&) override { return why_; }
  result<std::vector<attempt_record>> load_attempts(const std::string&) override { return why_; }
  result<task_page> list_tasks(const task_filter&, listing_place, uint32_t) override { return why_; }
  result<std::optional<clock_mark>> load_clock() override { return why_; }
  result<std::vector<uint32_t>> load_marks(uint64_t) override { return why_; }
  result<std::vector<uint64_t>> load_marked_batches() override { return why_; }
  result<store_totals> totals() override { return why_; }
  result<void> try_commit() override { return why_; }
  result<void> keep_dead_letters(std::shared_ptr<dead_letter_counts>) override { return why_; }

private:
  const error why_{error_code::unavailable, "busy"};
};

} // namespace

result<void> hand_writer::read(store_read_job job) {
  if (full)
    return error{error_code::overloaded, "full"};
  jobs_.push_back([this, job = std::move(job)] {
    unreadable_store none;
    job(unreadable ? static_cast<queue_store&>(none) : store);
  });
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
  if (full)
    return error{error_code::overloaded, "full"};
  known_attempt attempt;
  attempt.key = request.key;
  attempt.channel = request.channel;
  attempt.pid = 1;
  known[request.key] = attempt;
  started.push_back(std::move(request));
  return {};
}

result<void> hand_runner::signal(const attempt_key& key, int signal_number) {
  const auto found = known.find(key);
  if (found == known.end() || found->second.ended)
    return error{error_code::not_found, "no such attempt runs"};
  signals.emplace_back(key, signal_number);
  return {};
}

result<void> hand_runner::stop(const attempt_key& key, int64_t grace_ms) {
  const auto found = known.find(key);
  if (found == known.end() || found->second.ended)
    return error{error_code::not_found, "no such attempt runs"};
  stopped.push_back({key, grace_ms});
  if (obedient)
    end(key, outcome{outcome_kind::cancelled, 0, {}});
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
  end(key, outcome{outcome_kind::exited, exit_code, {}});
}

void hand_runner::end(const attempt_key& key, outcome how) {
  auto& attempt = known.at(key);
  attempt.ended = true;
  attempt.end.key = key;
  attempt.end.channel = attempt.channel;
  attempt.end.how = std::move(how);
  attempt.end.started_at_ms = 1;
  attempt.end.ended_at_ms = 2;
  events->on_ended(attempt.end);
}

channel_record actor_fixture::make_channel(std::string name, bool distinct, uint32_t worker) {
  channel_record record;
  record.name = std::move(name);
  record.distinct = distinct ? distinct_mode::until_finished : distinct_mode::off;
  record.worker = worker;
  return record;
}

actor_fixture::actor_fixture(std::vector<channel_record> channels, uint32_t running_max) {
  log_options silent;
  silent.level = log_level::off;
  if (auto configured = configure_log(silent); !configured)
    throw std::runtime_error(configured.failure().message);
  config.set("scheduler.policy", caf::atom("testing"));
  system = std::make_unique<caf::actor_system>(config);
  runner.events = &bridge;
  router_dependencies parts;
  // As at a start: the channels stand in the store before the actors begin.
  std::vector<store_operation> saves;
  for (const auto& record : channels)
    saves.emplace_back(save_channel{record});
  if (auto saved = writer.store.apply(saves); !saved)
    throw std::runtime_error(saved.failure().message);
  parts.channels = std::move(channels);
  parts.running_max = running_max;
  parts.history = &history;
  parts.facts = facts;
  parts.metrics = metrics;
  parts.writer = &writer;
  parts.runner = &runner;
  parts.bridge = &bridge;
  parts.probes = &probes;
  parts.clock = &clock;
  parts.probe = probes.add(router_shape());
  router_handle = system->spawn(router, std::move(parts));
  intake_handle = system->spawn(
      intake, intake_dependencies{"default", router_handle, &clock, probes.add(intake_shape())});
  via = system->spawn(asker, probes.add(asker_shape()));
  supervisor_dependencies watched;
  watched.intake = intake_handle;
  watched.router = router_handle;
  watched.asker = via;
  watched.on_quiet = [this] { quiet = true; };
  watched.on_fatal = [this](const std::string& who) { died = who; };
  watched.probe = probes.add(supervisor_shape());
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

void actor_fixture::run_actors() {
  scheduler().run();
}

void actor_fixture::wait(std::chrono::milliseconds time) {
  scheduler().advance_time(time);
  scheduler().run();
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
      },
      ask_origin::http);
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
      },
      ask_origin::http);
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
      },
      ask_origin::http);
  settle();
  if (!answer)
    throw std::runtime_error("no status came");
  if (answer->failure)
    throw std::runtime_error(answer->failure->message);
  return answer->channels.at(0);
}

action_reply actor_fixture::create(channel_record record) {
  const auto answer = request<action_reply>(create_channel{std::move(record)});
  settle();
  return answer->value_or(action_reply{error{error_code::internal, "no answer came"}});
}

channel_reply actor_fixture::change(const std::string& channel, std::function<void(channel_record&)> apply) {
  const auto answer = request<channel_reply>(
      change_channel{channel, [apply = std::move(apply)](channel_record& record) -> result<void> {
                       apply(record);
                       return {};
                     }});
  settle();
  return answer->value_or(channel_reply{std::nullopt, error{error_code::internal, "no answer came"}});
}

action_reply actor_fixture::remove(const std::string& channel, bool force) {
  const auto answer = request<action_reply>(remove_channel_request{channel, force});
  settle();
  return answer->value_or(action_reply{error{error_code::internal, "no answer came"}});
}

std::shared_ptr<std::optional<task_reply>> actor_fixture::act(task_verb verb, const std::string& id) {
  act_on_task what;
  what.verb = verb;
  what.id = id;
  auto answer = request<task_reply>(std::move(what));
  settle();
  return answer;
}

task actor_fixture::stored(const std::string& id) {
  auto found = writer.store.find_task(id);
  if (!found || !*found)
    throw std::runtime_error("no such task");
  return std::move(**found);
}

void actor_fixture::break_executor(const std::string& channel) {
  caf::anon_send_exit(bridge.executor_of(channel), caf::exit_reason::unhandled_exception);
  settle();
}

} // namespace task_runner::test
