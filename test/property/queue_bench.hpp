// A bench for single decisions of queue_core: the queue over a store in memory, one commit at a time.
// What the queue asks for is collected, and a commit works, fails, or fails although it happened, as the case
// says.
#pragma once

#include "actors/queue_core.hpp"
#include "services/store/memory_store.hpp"

#include <catch2/catch.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace task_runner::test {

inline const std::string channel_name = "cases";

enum class commit : uint8_t {
  works,
  fails,
  /// Reported as failed, and yet it happened.
  fails_yet_happens,
};

/// A queue over a store in memory; what it submits waits until run() commits it.
struct queue_bench {
  explicit queue_bench(channel_record settings = {}, int64_t workers = 1) {
    settings.name = channel_name;
    core.emplace(std::move(settings), queue_limits{});
    take(core->credit(workers, now));
    take(core->recovered(*store.recover_channel(channel_name), {{}, launcher_id}, now));
  }

  void take(queue_effects effects) {
    for (auto& submission : effects.submissions)
      submissions.push_back(std::move(submission));
    if (effects.load)
      loads.push_back(*effects.load);
    for (auto& order : effects.runs)
      runs.push_back(std::move(order));
    for (auto& wish : effects.stops)
      stops.push_back(std::move(wish));
    for (auto& wish : effects.signals)
      signals.push_back(std::move(wish));
    for (auto& key : effects.removed)
      removed.push_back(std::move(key));
    for (auto& key : effects.settled)
      settled.push_back(std::move(key));
    for (auto& one : effects.answers)
      for (auto& reply : one.replies)
        replies.push_back(std::move(reply));
    for (auto& one : effects.action_answers)
      answers.emplace(one.token, std::move(one.value));
    for (auto& what : effects.repairs)
      repairs.push_back(std::move(what));
    for (auto& change : effects.transitions)
      transitions.push_back(std::move(change));
  }

  /// Commits the oldest submission.
  void commit_one(commit how = commit::works) {
    REQUIRE_FALSE(submissions.empty());
    auto submission = std::move(submissions.front());
    submissions.pop_front();
    result<std::vector<store_answer>> answered = error{error_code::unavailable, "the disk is full"};
    if (how != commit::fails)
      answered = store.apply(submission.operations);
    REQUIRE((how == commit::fails || answered));
    if (how == commit::fails_yet_happens)
      answered = error{error_code::unavailable, "the disk is full, or so it seems"};
    take(core->committed(submission.token, std::move(answered), now));
  }

  /// Commits and reads until nothing is left to do.
  void run() {
    for (int i = 0; i < 1'000 && (!submissions.empty() || !loads.empty()); ++i) {
      if (!submissions.empty()) {
        commit_one();
        continue;
      }
      const auto request = loads.front();
      loads.pop_front();
      take(core->window_loaded(store.load_pending(channel_name, request.after, request.limits), now));
    }
    REQUIRE(submissions.empty());
  }

  void push(const std::string& id, task_options options = {}) {
    admitted_push item;
    item.value.id = id;
    item.value.channel = channel_name;
    item.value.name = "command of " + id;
    item.value.created_at_ms = now;
    if (!options.empty())
      item.value.options = std::make_shared<const task_options>(std::move(options));
    std::vector<admitted_push> items;
    items.push_back(std::move(item));
    take(core->push(next_token++, std::move(items), now));
  }

  action_token act(task_verb verb, const std::string& id, std::function<void(task_action&)> more = {}) {
    task_action action;
    action.verb = verb;
    action.id = id;
    if (const auto found = *store.find_task(id))
      action.seen = found->state;
    if (more)
      more(action);
    const auto token = next_token++;
    take(core->act(token, std::move(action), now));
    return token;
  }

  void end(const std::string& id, uint32_t attempt, outcome how = {}) {
    attempt_ended event;
    event.key = {id, attempt};
    event.channel = channel_name;
    event.how = std::move(how);
    event.started_at_ms = now;
    event.ended_at_ms = now;
    take(core->attempt_ended(event, now));
  }

  void check(const std::vector<attempt_key>& live = {}) {
    core->store_checked(*store.recover_channel(channel_name));
    take(core->check(known(live), now));
  }

  /// The queue dies, and another one recovers what the store and the launcher have.
  void restart(const std::vector<attempt_key>& live = {}, channel_record settings = {}, int64_t workers = 1) {
    submissions.clear();
    loads.clear();
    settings.name = channel_name;
    core.emplace(std::move(settings), queue_limits{});
    take(core->credit(workers, now));
    take(core->recovered(*store.recover_channel(channel_name), known(live), now));
  }

  launcher_knowledge known(const std::vector<attempt_key>& live) const {
    launcher_knowledge all;
    all.launcher_id = launcher_id;
    for (const auto& key : live)
      all.attempts.push_back({key, channel_name, 1, now, false, {}});
    return all;
  }

  task stored(const std::string& id) {
    const auto found = *store.find_task(id);
    REQUIRE(found.has_value());
    return *found;
  }

  bool is_open(action_token token) const { return answers.count(token) == 0; }
  task_state answered(action_token token) {
    REQUIRE(answers.count(token) == 1);
    const auto& answer = answers.at(token);
    INFO((answer ? std::string() : answer.failure().message));
    REQUIRE(answer);
    return answer->state;
  }
  error refused(action_token token) {
    REQUIRE(answers.count(token) == 1);
    REQUIRE_FALSE(answers.at(token));
    return answers.at(token).failure();
  }

  wall_time_ms now = 1'700'000'000'000;
  uint64_t launcher_id = 1;
  memory_store store;
  std::optional<queue_core> core;
  std::deque<store_submission> submissions;
  std::deque<window_request> loads;
  std::vector<attempt_order> runs;
  std::vector<attempt_stop> stops;
  std::vector<attempt_signal> signals;
  std::vector<attempt_key> removed;
  std::vector<attempt_key> settled;
  std::vector<push_reply> replies;
  std::map<action_token, result<task>> answers;
  std::vector<std::string> repairs;
  std::vector<task_transition> transitions;
  uint64_t next_token = 1;
};

/// A queue with one worker in which a hundred tasks have just ended within a tenth of a second.
struct quick_bench : queue_bench {
  explicit quick_bench(channel_record settings = {})
      : queue_bench(std::move(settings)) {
    for (int i = 0; i < 100; ++i) {
      const auto id = "before-" + std::to_string(i);
      push(id);
      run();
      end(id, 1);
      run();
    }
    now += 100;
    runs.clear();
    settled.clear();
  }

  std::vector<std::string> started() const {
    std::vector<std::string> ids;
    for (const auto& order : runs)
      ids.push_back(order.value.id);
    return ids;
  }

  /// `names` wait; the first of them runs.
  void push_all(const std::vector<std::string>& names) {
    for (const auto& name : names)
      push(name);
    run();
  }

  task_state state_of(const std::string& id) { return stored(id).state; }
};

inline outcome exited(int code) {
  return {outcome_kind::exited, code, {}};
}

inline outcome ended_as(outcome_kind kind) {
  return {kind, 0, {}};
}

inline task_options with_attempts(uint32_t most) {
  task_options options;
  options.max_attempts = most;
  options.backoff = backoff_kind::constant;
  options.backoff_ms = 2'000;
  return options;
}

} // namespace task_runner::test
