// What became of the load: each ended task is compared with its specification, and at the end nothing may be
// left over, in the daemon, in Redis or among the processes.
#include "test/crash/kill_run.hpp"
#include "test/support/wait.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <sstream>

namespace task_runner::test {

namespace {

using std::chrono::seconds;

/// Tasks that are looked at in one cycle.
constexpr size_t looks_per_cycle = 80;
constexpr size_t looks_at_oldest = 5;
/// Attempts that may be lost before the daemon gives a task up: the first and three recoveries.
constexpr uint32_t attempts_before_given_up = 4;
/// Enough for what runs and waits when the load ends, on a busy machine.
constexpr seconds settle_time{90};
/// Output of commands that stay behind on purpose ends within half a second.
constexpr seconds leftover_time{10};
constexpr const char* intake_key = "task:prepare:queue";

} // namespace

void kill_run::look_at_ended() {
  take_acknowledged();
  const auto& history = history_.read();
  size_t looks = 0;
  for (auto* ids : {&waiting_, &perhaps_dropped_}) {
    // What was given up writes no end; the oldest are looked at all the same.
    size_t patient = ids == &waiting_ ? looks_at_oldest : 0;
    std::deque<std::string> still;
    for (auto& id : *ids) {
      const bool ended = history.has_ended(id);
      if (looks < looks_per_cycle && (ended || patient > 0)) {
        ++looks;
        patient -= ended ? 0 : 1;
        if (look_at(id, false))
          continue;
      }
      still.push_back(std::move(id));
    }
    *ids = std::move(still);
  }
}

void kill_run::take_acknowledged() {
  for (auto& id : load_->take_acknowledged()) {
    const auto pushed = load_->task(id);
    const bool perhaps_dropped = pushed.through_redis && !pushed.spec.distinct_key.empty();
    (perhaps_dropped ? perhaps_dropped_ : waiting_).push_back(std::move(id));
  }
}

bool kill_run::look_at(const std::string& id, bool nothing_waits) {
  const auto pushed = load_->task(id);
  const auto& spec = pushed.spec;
  const auto answer = daemon_->http().get("/api/v1/tasks/" + id);
  if (answer.status == 404) {
    if (!nothing_waits)
      return false; // still in Redis
    if (pushed.through_redis && !spec.distinct_key.empty()) {
      ended_[id].dropped_as_duplicate = true;
      return true;
    }
    offend("task " + id + " was acknowledged and is not known");
    return true;
  }
  if (answer.status != 200) {
    offend("task " + id + " cannot be looked up: " + answer.body);
    return true;
  }
  const auto task = answer.json().at("data");
  const std::string state = task.at("state");
  if (state != "finished" && state != "dead" && state != "cancelled")
    return false;
  auto& end = ended_[id];
  end.attempt = task.at("attempt");
  const auto& outcome = task.at("outcome");
  const auto wrong = [&](const std::string& what) { offend("task " + id + " " + what + ": " + task.dump()); };
  if (task.at("channel") != spec.channel)
    wrong("is in another channel than it was pushed to");
  if (outcome.at("kind") == "lost") {
    end.lost = true;
    if (state != "dead" || end.attempt < attempts_before_given_up)
      wrong("was given up too early");
    return true;
  }
  if (outcome != nlohmann::json{{"kind", "exited"}, {"code", spec.exit_code}})
    wrong("exited with code " + std::to_string(spec.exit_code) + " and is told otherwise");
  else if (state != (spec.exit_code == 0 ? "finished" : "dead"))
    wrong("has the wrong state");
  const auto output = daemon_->output(id);
  const auto expected = spec.expected_output();
  if (output != expected)
    wrong("wrote " + std::to_string(expected.size()) + " bytes, kept are " + std::to_string(output.size()) +
          " or others");
  return true;
}

void kill_run::settle() {
  if (!load_->finish(settle_time))
    offend("not everything that was pushed is acknowledged");
  take_acknowledged();
  const auto redis_is_drained = [this] {
    return redis_.command({"LLEN", intake_key}).integer == 0 &&
           redis_.command({"KEYS", "*:taken:*"}).elements.empty();
  };
  if (!wait_until(redis_is_drained, settle_time))
    offend("messages stay in Redis: " + std::to_string(redis_.command({"LLEN", intake_key}).integer) +
           " waiting, taken lists: " + std::to_string(redis_.command({"KEYS", "*:taken:*"}).elements.size()));
  waiting_.insert(waiting_.end(), perhaps_dropped_.begin(), perhaps_dropped_.end());
  const bool settled = wait_until(
      [this] {
        waiting_.erase(std::remove_if(waiting_.begin(), waiting_.end(),
                                      [this](const std::string& id) { return look_at(id, true); }),
                       waiting_.end());
        return waiting_.empty();
      },
      settle_time);
  if (!settled)
    offend(std::to_string(waiting_.size()) +
           " acknowledged tasks have no outcome, the first is: " + daemon_->task(waiting_.front()).dump());
  if (!wait_until([this] { return daemon_->commands().empty(); }, leftover_time))
    offend(std::to_string(daemon_->commands().size()) + " processes of commands are left");
  check_store_is_quiet();
  check_redis_is_empty();
  for (const auto& offence : load_->offences())
    offend(offence);
  const auto all = facts();
  const auto& history = history_.read();
  for (const auto& offence : history.offences(all, load_channels()))
    offend(offence);

  const auto sums = history.figures(all);
  uint64_t given_up = 0;
  uint64_t duplicates = 0;
  uint64_t again = 0;
  for (const auto& [id, end] : ended_) {
    given_up += end.lost ? 1 : 0;
    duplicates += end.dropped_as_duplicate ? 1 : 0;
  }
  uint64_t through_redis = 0;
  for (const auto& [id, task] : load_->tasks()) {
    duplicates += task.holder.empty() ? 0 : 1;
    again += task.pushes > 1 ? 1 : 0;
    through_redis += task.through_redis ? 1 : 0;
  }
  std::ostringstream text;
  text << "tasks acknowledged " << load_->acknowledged_count() << " (through Redis " << through_redis
       << ", duplicates " << duplicates << ", pushed more than once " << again << ")\n"
       << "ended and compared " << ended_.size() << ", without outcome " << waiting_.size() << "\n"
       << "commands started " << sums.starts << ", attempts lost with their launcher " << sums.lost_attempts
       << ", attempts that failed and were made again " << sums.retried_attempts
       << ", leases that never started " << sums.unstarted_leases << ", tasks given up " << given_up << "\n";
  figures_ = text.str();
}

void kill_run::check_store_is_quiet() {
  const bool quiet = wait_until([this] {
    for (const auto& [name, workers] : load_channels())
      if (daemon_->channel(name).at("count") != 0)
        return false;
    return true;
  });
  if (!quiet)
    offend("channels are not empty: " + daemon_->http().get("/status?limit=5").body);
}

void kill_run::check_redis_is_empty() {
  const auto rejected = redis_.command({"LRANGE", "task:prepare:rejected", "0", "0"}).texts();
  if (!rejected.empty())
    offend("a message from Redis was refused: " + rejected.front());
  for (const auto& key : redis_.command({"KEYS", "*"}).texts())
    offend("a key is left in Redis: " + key);
}

void kill_run::check_state_directory() {
  for (const auto& entry : std::filesystem::directory_iterator(daemon_->state_dir()))
    if (entry.is_directory() && entry.path().filename() != "output")
      offend("a directory is left in the state directory: " + entry.path().filename().string());
}

std::map<std::string, task_facts> kill_run::facts() const {
  std::map<std::string, task_facts> all;
  for (const auto& [id, task] : load_->tasks()) {
    auto& fact = all[id];
    fact.channel = task.spec.channel;
    fact.distinct_key = task.spec.distinct_key;
    fact.fails_first = task.spec.fails_first;
    fact.concurrency_key = task.spec.concurrency_key;
    fact.concurrency_max = task.spec.concurrency_max;
    if (task.spec.delay_ms > 0)
      fact.earliest_start_s = task.pushed_at_s + task.spec.delay_ms / 1000.0;
    const auto end = ended_.find(id);
    if (end != ended_.end()) {
      fact.final_attempt = end->second.attempt;
      fact.final_lost = end->second.lost;
    }
  }
  return all;
}

} // namespace task_runner::test
