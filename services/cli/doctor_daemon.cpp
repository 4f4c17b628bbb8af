// What the daemon says of itself, read with a doctor's eye.
#include "services/cli/console.hpp"
#include "services/cli/doctor.hpp"

#include <string_view>

namespace task_runner::cli {

namespace {

void check_readiness(daemon_api& daemon, findings& found) {
  const auto reply = daemon.get("/readyz?verbose");
  for (const auto& check : reply.envelope["checks"].items()) {
    const bool healthy = check["healthy"].is_true();
    found.push_back({"ready: " + check["name"].text(), healthy ? verdict::good : verdict::bad,
                     healthy ? "healthy" : check["reason"].text()});
  }
  if (reply.envelope["checks"].items().empty() && !reply.is_ok())
    found.push_back({"ready", verdict::bad, reply.message});
}

void check_store(const json_value& store, findings& found) {
  const auto failed = store["failed_commits"].whole();
  finding one{"store", verdict::good, std::to_string(store["commits"].whole()) + " commits, none failed"};
  if (failed != 0)
    one = {"store", verdict::warning,
           std::to_string(failed) + " of " + std::to_string(store["commits"].whole() + failed) +
               " commits failed since the start; the last reason: " + store["last_error"].text()};
  if (!store["healthy"].is_true())
    one = {"store", verdict::bad, "it cannot be written: " + store["last_error"].text()};
  found.push_back(std::move(one));
}

std::string running_text(int64_t number) {
  return std::to_string(number) + (number == 1 ? " command is" : " commands are") + " running now";
}

void check_launcher(const json_value& launcher, const std::string& daemon_version, findings& found) {
  if (!launcher["healthy"].is_true()) {
    found.push_back({"launcher", verdict::bad, launcher["last_error"].text()});
    return;
  }
  const auto& version = launcher["version"].text();
  finding one{"launcher", verdict::good,
              "pid " + std::to_string(launcher["pid"].whole()) + ", version " + version + ", " +
                  running_text(launcher["running"].whole())};
  if (version != daemon_version)
    one = {"launcher", verdict::warning,
           "it is of version " + version + ", the daemon of " + daemon_version + "; " +
               launcher["upgrade_failure"].text()};
  else if (launcher["restarts"].whole() != 0)
    one = {"launcher", verdict::warning,
           "it has died " + std::to_string(launcher["restarts"].whole()) +
               " times since the start; the log says more"};
  found.push_back(std::move(one));
  if (!launcher["enough_for_workers"].is_true())
    found.push_back(
        {"limits", verdict::warning,
         "the launcher can run " + std::to_string(launcher["running_max"].whole()) +
             " commands at once, and the channels' workers are more; raise the limit on open files "
             "(ulimit -n, LimitNOFILE)"});
  const auto& containment = launcher["containment"].text();
  if (containment == "cgroup")
    found.push_back({"containment", verdict::good, "process trees are kept together by cgroups"});
  else if (!containment.empty())
    found.push_back({"containment", verdict::warning,
                     "process trees are kept together by " + containment +
                         ", as no cgroup can be had; under systemd, Delegate=yes gives them"});
}

void check_sources(const json_value& sources, findings& found) {
  for (const auto& source : sources.items()) {
    const auto name = "source " + source["name"].text();
    if (!source["healthy"].is_true())
      found.push_back({name, verdict::bad,
                       "it does not work: " + source["last_error"].text() +
                           (source["name"].text() == "redis" ? std::string(no_redis_advice) : "")});
    else if (source["parked"].whole() != 0)
      found.push_back({name, verdict::warning,
                       std::to_string(source["parked"].whole()) +
                           " messages wait for full channels: " + source["last_error"].text()});
    else
      found.push_back({name, verdict::good,
                       "takes messages; " + std::to_string(source["accepted"].whole()) + " accepted, " +
                           std::to_string(source["rejected"].whole()) + " rejected since the start"});
  }
}

void check_channels(const json_value& channels, findings& found) {
  size_t count = 0;
  bool all_well = true;
  for (const auto& [name, channel] : channels.members()) {
    ++count;
    const auto waiting = channel["pending"].whole();
    finding one{"channel " + name, verdict::good, {}};
    if (!channel["error"].text().empty())
      one = {one.name, verdict::bad, channel["error"].text()};
    else if (channel["paused"].is_true() && waiting != 0)
      one = {one.name, verdict::warning,
             "it is paused, and " + std::to_string(waiting) + " tasks wait; task-runner resume " + name};
    else if (channel["worker"].whole() == 0 && waiting != 0)
      one = {one.name, verdict::warning,
             "it has no workers, and " + std::to_string(waiting) + " tasks wait; task-runner channel set " +
                 name + " worker=N"};
    if (one.what == verdict::good)
      continue;
    all_well = false;
    found.push_back(std::move(one));
  }
  if (all_well)
    found.push_back({"channels", verdict::good, std::to_string(count) + ", none of them stands still"});
}

} // namespace

bool check_daemon(daemon_api& daemon, findings& found) {
  const auto reply = daemon.get("/status?limit=1");
  if (reply.status == 0) {
    found.push_back({"daemon", verdict::bad, reply.message});
    return false;
  }
  const auto& report = reply.envelope["daemon"];
  if (!reply.is_ok() || !report.is_object()) {
    found.push_back({"daemon", verdict::bad, reply.message});
    check_readiness(daemon, found);
    return true;
  }
  const auto& version = report["version"].text();
  const auto where = daemon.place().host + ":" + std::to_string(daemon.place().port);
  found.push_back({"daemon", version == TASK_RUNNER_VERSION ? verdict::good : verdict::warning,
                   "version " + version + " answers at " + where + ", pid " +
                       std::to_string(report["pid"].whole()) + ", up for " +
                       short_duration(report["uptime_s"].number()) +
                       (version == TASK_RUNNER_VERSION ? std::string()
                                                       : "; this program is " TASK_RUNNER_VERSION
                                                         ", so restart the daemon")});
  if (!report["task_mode"].is_true())
    found.push_back({"daemon", verdict::warning, "it runs nothing: task-mode is off"});
  check_readiness(daemon, found);
  check_store(report["store"], found);
  check_launcher(report["launcher"], version, found);
  check_sources(report["sources"], found);
  check_channels(reply.data(), found);
  return true;
}

} // namespace task_runner::cli
