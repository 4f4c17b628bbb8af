// The rules that a history has to keep. history_checks.cpp shows that each of them can be broken and is seen.
#include "test/crash/command_history.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <unistd.h>

namespace task_runner::test {

namespace {

constexpr uint64_t never = std::numeric_limits<uint64_t>::max();

/// An outcome is journalled at the latest so long after the command's last line: the grace for its pipe, and
/// a busy machine.
constexpr double journal_time_max_s = 3.0;

/// A delay counts from the moment in which the daemon has read the push, and the times in the file are cut to
/// hundredths of a second.
constexpr double delay_tolerance_s = 0.05;

std::string name_of(const std::string& id, uint32_t attempt) {
  return "attempt " + std::to_string(attempt) + " of task " + id;
}

/// The rest of a line; 0 when there is none.
double read_time(std::istringstream& words) {
  double time_s = 0;
  return words >> time_s ? time_s : 0;
}

} // namespace

void command_history::take(const std::string& line) {
  ++line_;
  std::istringstream words(line);
  std::string kind;
  words >> kind;
  if (kind == "launcher" || kind == "launcher-killed" || kind == "daemon-killed") {
    int pid = 0;
    if (!(words >> pid))
      seen_.push_back("a line makes no sense: " + line);
    if (kind != "daemon-killed")
      launchers_.insert(pid);
    if (kind == "launcher-killed")
      launcher_kills_.push_back({line_, pid, read_time(words)});
    if (kind != "launcher" && first_kill_ == 0)
      first_kill_ = line_;
    return;
  }
  std::string id;
  uint32_t number = 0;
  if ((kind != "S" && kind != "E" && kind != "B") || !(words >> id >> number) || number == 0) {
    seen_.push_back("a line makes no sense: " + line);
    return;
  }
  attempt_record& attempt = tasks_[id][number];
  if (kind == "S") {
    if (attempt.started != 0)
      seen_.push_back(name_of(id, number) + " started twice");
    attempt.started = line_;
    if (!(words >> attempt.pid >> attempt.parent))
      seen_.push_back("a line makes no sense: " + line);
    attempt.start_time_s = read_time(words);
  } else if (kind == "E") {
    if (attempt.started == 0 || attempt.ended != 0)
      seen_.push_back(name_of(id, number) + " ended without a start, or twice");
    attempt.ended = line_;
    attempt.end_time_s = read_time(words);
  } else {
    attempt.background_ended = line_;
  }
}

bool command_history::has_ended(const std::string& task_id) const {
  const auto found = tasks_.find(task_id);
  return found != tasks_.end() && found->second.rbegin()->second.ended != 0;
}

std::vector<std::pair<std::string, uint32_t>> command_history::open_attempts(int launcher) const {
  std::vector<std::pair<std::string, uint32_t>> open;
  for (const auto& [id, attempts] : tasks_) {
    const auto& [number, last] = *attempts.rbegin();
    if (last.started != 0 && last.ended == 0 && last.parent == launcher && !kill_of(last, never))
      open.emplace_back(id, number);
  }
  return open;
}

std::optional<command_history::launcher_kill> command_history::kill_of(const attempt_record& attempt,
                                                                       uint64_t until) const {
  const auto next =
      std::partition_point(launcher_kills_.begin(), launcher_kills_.end(),
                           [&](const launcher_kill& one) { return one.line <= attempt.started; });
  for (auto one = next; one != launcher_kills_.end() && one->line < until; ++one)
    if (one->pid == attempt.parent)
      return *one;
  // A command whose launcher dies right after the fork writes its first line after that kill; its parent is
  // then the dead launcher, or whoever adopts orphans, but no launcher that lives.
  if (next != launcher_kills_.begin()) {
    const launcher_kill& last = *std::prev(next);
    if (last.pid == attempt.parent || launchers_.count(attempt.parent) == 0)
      return last;
  }
  return std::nullopt;
}

void command_history::check_attempts(const std::string& id,
                                     const std::map<uint32_t, attempt_record>& attempts,
                                     const task_facts& facts, std::vector<std::string>& found) const {
  for (auto one = attempts.begin(); one != attempts.end(); ++one) {
    const auto& [number, attempt] = *one;
    const auto after = std::next(one);
    if (number > 1 && attempt.started != 0 && attempts.count(number - 1) == 0 &&
        (first_kill_ == 0 || first_kill_ > attempt.started))
      found.push_back(name_of(id, number) + " ran, the one before never did, and nothing had been killed");
    if (facts.earliest_start_s > 0 && attempt.start_time_s > 0 &&
        attempt.start_time_s < facts.earliest_start_s - delay_tolerance_s)
      found.push_back(name_of(id, number) + " started " +
                      std::to_string(facts.earliest_start_s - attempt.start_time_s) +
                      " seconds before its delay was over");
    if (after == attempts.end())
      break;
    const auto& [next_number, next] = *after;
    const auto kill = kill_of(attempt, next.started);
    const bool retried = was_to_be_retried(number, attempt, facts);
    if (!retried && kill && kill->time_s > 0 && attempt.end_time_s > 0 &&
        kill->time_s - attempt.end_time_s > journal_time_max_s)
      found.push_back(name_of(id, next_number) + " ran after attempt " + std::to_string(number) +
                      ", which had ended " + std::to_string(kill->time_s - attempt.end_time_s) +
                      " seconds before its launcher was killed");
    if (!kill && !retried)
      found.push_back(name_of(id, next_number) + " ran after attempt " + std::to_string(number) +
                      ", whose launcher " + std::to_string(attempt.parent) + " was not killed");
    if (next.started < attempt.started)
      found.push_back(name_of(id, next_number) + " started before attempt " + std::to_string(number));
    if (attempt.ended > next.started)
      found.push_back(name_of(id, number) + " (process " + std::to_string(attempt.pid) +
                      ") still ran when attempt " + std::to_string(next_number) + " had started");
    if (!retried && attempt.background_ended > next.started) // what a command leaves behind may go on
      found.push_back("the background process of " + name_of(id, number) + " still ran when attempt " +
                      std::to_string(next_number) + " had started");
  }
  if (facts.final_attempt == 0)
    return;
  const auto& [number, last] = *attempts.rbegin();
  if (number > facts.final_attempt)
    found.push_back(name_of(id, number) + " ran, although the task had ended with attempt " +
                    std::to_string(facts.final_attempt));
  if (facts.final_lost) {
    if (number == facts.final_attempt && !kill_of(last, never))
      found.push_back(name_of(id, number) + " is called lost, but its launcher was not killed");
  } else if (number != facts.final_attempt || last.started == 0 || last.ended == 0) {
    found.push_back(name_of(id, facts.final_attempt) + " has an exit code, but did not run to its end");
  }
}

void command_history::check_limits(const std::map<std::string, task_facts>& facts,
                                   const std::map<std::string, int>& workers,
                                   std::vector<std::string>& found) const {
  // Everything that occupies a worker, from its first line to its last, or to the kill of its launcher.
  struct change {
    uint64_t line;
    int by;
    const std::string* id;
  };
  std::vector<change> changes;
  for (const auto& [id, attempts] : tasks_)
    for (const auto& [number, attempt] : attempts) {
      if (attempt.started == 0)
        continue;
      const auto kill = kill_of(attempt, never);
      const uint64_t end = std::min(attempt.ended != 0 ? attempt.ended : never, kill ? kill->line : never);
      if (end == never) {
        found.push_back(name_of(id, number) + " neither ended nor was its launcher killed");
        continue;
      }
      if (end < attempt.started)
        continue; // started by a launcher that was dead by then
      changes.push_back({attempt.started, 1, &id});
      changes.push_back({end, -1, &id});
    }
  // One kill ends several attempts at one line; ends come first there, and no start shares that line.
  std::sort(changes.begin(), changes.end(), [](const change& a, const change& b) { return a.line < b.line; });
  std::map<std::string, int> in_channel;
  std::map<std::string, int> with_key;
  for (const auto& one : changes) {
    const auto& fact = facts.at(*one.id);
    if (!fact.concurrency_key.empty()) {
      const int beside = with_key[fact.channel + "/" + fact.concurrency_key] += one.by;
      if (one.by > 0 && beside > fact.concurrency_max)
        found.push_back("task " + *one.id + " ran beside " + std::to_string(beside - 1) +
                        " others of the concurrency key " + fact.concurrency_key);
    }
    const int running = in_channel[fact.channel] += one.by;
    if (one.by > 0 && running > workers.at(fact.channel))
      found.push_back("channel " + fact.channel + " ran " + std::to_string(running) +
                      " commands at once with " + std::to_string(workers.at(fact.channel)) +
                      " workers, the last one of task " + *one.id);
    if (fact.distinct_key.empty())
      continue;
    const int same = with_key[fact.distinct_key] += one.by;
    if (one.by > 0 && same > 1)
      found.push_back("task " + *one.id + " ran beside another of the distinct key " + fact.distinct_key);
  }
}

std::vector<std::string> command_history::offences(const std::map<std::string, task_facts>& facts,
                                                   const std::map<std::string, int>& workers) const {
  auto found = seen_;
  for (const auto& [id, attempts] : tasks_) {
    const auto fact = facts.find(id);
    if (fact == facts.end()) {
      found.push_back("task " + id + " ran, but nobody had pushed it");
      return found;
    }
    check_attempts(id, attempts, fact->second, found);
  }
  check_limits(facts, workers, found);
  return found;
}

history_figures command_history::figures(const std::map<std::string, task_facts>& facts) const {
  history_figures sums;
  for (const auto& [id, attempts] : tasks_) {
    const auto fact = facts.find(id);
    const uint32_t last =
        std::max(fact == facts.end() ? 0 : fact->second.final_attempt, attempts.rbegin()->first);
    for (uint32_t number = 1; number <= last; ++number) {
      const auto found = attempts.find(number);
      if (found == attempts.end() || found->second.started == 0) {
        ++sums.unstarted_leases;
        continue;
      }
      ++sums.starts;
      if (fact != facts.end() && was_to_be_retried(number, found->second, fact->second))
        ++sums.retried_attempts;
      else if (number < last || (fact != facts.end() && fact->second.final_lost))
        ++sums.lost_attempts;
    }
  }
  return sums;
}

history_file::history_file(std::string path)
    : path_(std::move(path))
    , fd_(open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
  if (fd_ < 0)
    throw std::runtime_error("cannot make " + path_ + ": " + std::strerror(errno));
}

history_file::~history_file() {
  close(fd_);
}

void history_file::note(const std::string& line) {
  const auto text = line + "\n";
  if (write(fd_, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    throw std::runtime_error("cannot write " + path_ + ": " + std::strerror(errno));
}

const command_history& history_file::read() {
  char part[65'536];
  for (;;) {
    const auto count = pread(fd_, part, sizeof part, offset_);
    if (count < 0)
      throw std::runtime_error("cannot read " + path_ + ": " + std::strerror(errno));
    if (count == 0)
      break;
    offset_ += count;
    rest_.append(part, static_cast<size_t>(count));
    size_t begin = 0;
    for (size_t end; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1)
      taken_.take(rest_.substr(begin, end - begin));
    rest_.erase(0, begin);
  }
  return taken_;
}

} // namespace task_runner::test
