// Start, wait, talk, end; and the search for what was left behind.
#include "test/support/daemon.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <sys/syscall.h>
#include <unistd.h>

namespace task_runner::test {

namespace {

/// Inherited by the launcher and by every command, so that all that a test has started can be found again.
constexpr const char* mark_name = "TR_TEST_HOME";

/// SIGKILL, and waits for the end of a process that is not a child of the test.
void end_process(int pid) {
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (pidfd < 0)
    return; // it is gone
  ::kill(pid, SIGKILL);
  const bool ended = wait_readable(pidfd);
  close(pidfd);
  if (!ended)
    throw std::runtime_error("process " + std::to_string(pid) + " survives SIGKILL");
}

} // namespace

std::string task_runner_binary() {
  return TASK_RUNNER_BINARY;
}

test_daemon::test_daemon(daemon_options options)
    : options_(std::move(options)) {
  try {
    start();
  } catch (...) {
    clean_up(false);
    throw;
  }
}

test_daemon::~test_daemon() {
  // In a test that has failed already the leftovers are no news.
  clean_up(std::uncaught_exceptions() == 0);
}

process_options test_daemon::start_options() {
  process_options start;
  auto& words = start.argv;
  words = {task_runner_binary(), "-state-dir", state_dir(),       "-pidfile",
           pid_file(),           "-http-addr", options_.http_addr};
  const auto add = [&words](std::initializer_list<std::string> more) { words.insert(words.end(), more); };
  if (options_.redis_port)
    add({"-redis-host", "127.0.0.1:" + std::to_string(*options_.redis_port)});
  else
    add({"-redis-intake", "off"});
  if (!options_.ini.empty()) {
    write_file(ini_file(), options_.ini);
    add({"-config", ini_file()});
  }
  if (options_.log_to_file)
    add({"-log-file", path("daemon.log")});
  words.insert(words.end(), options_.flags.begin(), options_.flags.end());
  start.environment = options_.environment;
  start.environment.emplace_back(mark_name, home());
  start.directory = options_.directory.empty() ? home() : options_.directory;
  return start;
}

void test_daemon::start() {
  if (child_ && child_->running())
    fail("the daemon runs already");
  http_.reset();
  child_ = std::make_unique<process>(start_options());
  if (!wait_until([this] { return find_port() || !child_->running(); }) || !child_->running())
    fail("the daemon does not start");
  http_ = std::make_unique<http_client>(port_);
  if (http_->get("/").status != 200 || http_->get("/status?limit=1").status != 200)
    fail("the daemon does not serve");
}

bool test_daemon::find_port() {
  const auto text = log();
  const auto mark = text.rfind("listening");
  if (mark == std::string::npos)
    return false;
  const auto end = text.find('\n', mark);
  if (end == std::string::npos)
    return false;
  const auto line = text.substr(mark, end - mark);
  const auto number = line.find("127.0.0.1:");
  // A log file may hold an earlier run's line.
  if (number == std::string::npos || line.find(std::to_string(child_->pid())) == std::string::npos)
    return false;
  port_ = static_cast<uint16_t>(std::stoi(line.substr(number + 10)));
  return true;
}

process_end test_daemon::stop(int signal_number, std::chrono::milliseconds deadline) {
  http_.reset();
  if (!child_->signal(signal_number))
    fail("the daemon has ended before it was stopped");
  const auto end = child_->wait(deadline);
  if (!end)
    fail("the daemon does not stop");
  return *end;
}

void test_daemon::kill() {
  http_.reset();
  child_->kill();
}

std::string test_daemon::log() const {
  if (options_.log_to_file)
    return read_file(path("daemon.log"));
  return child_ ? child_->error_output() : std::string();
}

int test_daemon::launcher_pid() const {
  return std::atoi(read_file(state_dir() + "/launcher.pid").c_str());
}

std::vector<int> test_daemon::processes() const {
  const auto mark = std::string(mark_name) + "=" + home();
  std::vector<int> found;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", failure)) {
    const auto name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos)
      continue;
    const auto environment = read_file(entry.path().string() + "/environ");
    std::istringstream entries(environment);
    for (std::string one; std::getline(entries, one, '\0');)
      if (one == mark) {
        found.push_back(std::stoi(name));
        break;
      }
  }
  return found;
}

std::vector<int> test_daemon::commands() const {
  auto found = processes();
  const int launcher = launcher_pid();
  found.erase(std::remove_if(found.begin(), found.end(),
                             [&](int pid) { return pid == launcher || (child_ && pid == child_->pid()); }),
              found.end());
  return found;
}

void test_daemon::end_launcher() {
  const int launcher = launcher_pid();
  const auto mine = processes();
  // Never a process that is not ours, whatever the file says.
  if (launcher > 0 && std::find(mine.begin(), mine.end(), launcher) != mine.end())
    end_process(launcher);
}

void test_daemon::clean_up(bool check) {
  try {
    http_.reset();
    if (check && child_ && child_->running()) {
      const auto end = stop();
      INFO(log());
      CHECK(end == process_end{true, 0});
      CHECK(!std::filesystem::exists(pid_file()));
    }
    if (check) {
      INFO("commands that nobody waits for any more");
      CHECK(wait_until([this] { return commands().empty(); }));
    }
    if (child_)
      child_->kill();
    end_launcher();
    if (check)
      CHECK(wait_until([this] { return processes().empty(); }));
    for (const int pid : processes())
      end_process(pid);
  } catch (const std::exception& failure) {
    FAIL_CHECK(failure.what());
    if (child_)
      child_->kill();
    for (const int pid : processes())
      ::kill(pid, SIGKILL);
  }
}

nlohmann::json test_daemon::push(const name_values& fields) {
  const auto answer = http_->post_form("/push", fields);
  if (answer.status != 200)
    fail("push was refused: " + answer.body);
  return answer.json().at("data");
}

std::string test_daemon::push_line(const std::string& line, const std::string& channel) {
  name_values fields{{"task", line}};
  if (!channel.empty())
    fields.emplace_back("channel", channel);
  const auto data = push(fields);
  if (data.at("result") != true)
    fail("taken for a duplicate: " + line);
  return data.at("task_id");
}

void test_daemon::create_channel(const std::string& name, const name_values& fields) {
  name_values all{{"name", name}};
  all.insert(all.end(), fields.begin(), fields.end());
  const auto answer = http_->post_form("/queue", all);
  if (answer.status != 200)
    fail("the channel was refused: " + answer.body);
}

nlohmann::json test_daemon::channel(const std::string& name) {
  const auto answer = http_->get("/status?channel=" + name);
  if (answer.status != 200)
    fail("no status of channel " + name + ": " + answer.body);
  return answer.json().at("data");
}

nlohmann::json test_daemon::report() {
  return http_->get("/status?limit=1").json().at("daemon");
}

nlohmann::json test_daemon::task(const std::string& id) {
  const auto answer = http_->get("/api/v1/tasks/" + id);
  if (answer.status != 200)
    fail("no task " + id + ": " + answer.body);
  return answer.json().at("data");
}

nlohmann::json test_daemon::settled(const std::string& id, std::chrono::milliseconds deadline) {
  nlohmann::json found;
  const bool ended = wait_until(
      [&] {
        found = task(id);
        const std::string state = found.at("state");
        return state == "finished" || state == "dead" || state == "cancelled";
      },
      deadline);
  if (!ended)
    fail("not settled in time: " + found.dump());
  return found;
}

std::string test_daemon::output(const std::string& id) {
  const auto answer = http_->get("/api/v1/tasks/" + id + "/output");
  if (answer.status != 200)
    fail("no output of task " + id + ": " + answer.body);
  return answer.body;
}

std::string test_daemon::run_line(const std::string& line, const std::string& channel) {
  const auto id = push_line(line, channel);
  settled(id);
  return output(id);
}

void test_daemon::fail(const std::string& what) const {
  throw std::runtime_error(what + "\nthe daemon's log:\n" + log());
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  if (!file.flush())
    throw std::runtime_error("cannot write " + path);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream rest(text);
  for (std::string line; std::getline(rest, line);)
    lines.push_back(line);
  return lines;
}

std::map<std::string, int> count_lines(const std::string& path) {
  std::map<std::string, int> counts;
  for (const auto& line : lines_of(read_file(path)))
    ++counts[line];
  return counts;
}

} // namespace task_runner::test
