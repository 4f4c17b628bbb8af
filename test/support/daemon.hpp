// The real binary under test, in a home of its own: state directory, pid file, port, log, working directory.
// When a test ends, its daemon must end with code 0 and leave no process behind; the fixture checks that.
#pragma once

#include "test/support/http_client.hpp"
#include "test/support/process.hpp"
#include "test/support/temp_dir.hpp"

#include <nlohmann/json.hpp>

#include <csignal>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace task_runner::test {

/// The path of the binary that was built with the tests.
std::string task_runner_binary();

/// How to start a daemon. What is changed in test_daemon::options() counts from the next start on.
struct daemon_options {
  /// Port 0: a free one, read back from the log.
  std::string http_addr = "127.0.0.1:0";
  /// Takes tasks from the Redis at this port of 127.0.0.1; without it the Redis intake is off.
  std::optional<uint16_t> redis_port;
  /// Further flags; none of those that the fixture gives itself.
  std::vector<std::string> flags;
  std::vector<std::pair<std::string, std::string>> environment;
  /// Text of an INI file; empty: none.
  std::string ini;
  /// Working directory; empty: the home.
  std::string directory;
  /// Log into DIR/daemon.log instead of stderr.
  bool log_to_file = false;
};

/// Starts a daemon, talks to it, restarts it. Not thread-safe but where said. Throws std::runtime_error with
/// the daemon's log when something does not work that every test takes for granted.
class test_daemon {
public:
  /// Starts it and waits until it serves.
  explicit test_daemon(daemon_options options = {});
  /// Stops it, where it runs, and checks that it leaves nothing behind.
  ~test_daemon();
  test_daemon(const test_daemon&) = delete;
  test_daemon& operator=(const test_daemon&) = delete;

  daemon_options& options() noexcept { return options_; }
  /// How start() starts it, for tests that start it in a way of their own.
  process_options start_options();

  /// Starts it again after stop() or kill().
  void start();
  /// Sends a signal and waits for the end; throws when it does not come within `deadline`.
  process_end stop(int signal_number = SIGTERM,
                   std::chrono::milliseconds deadline = std::chrono::seconds(30));
  /// kill -9; the launcher and the commands stay.
  void kill();

  process& child() { return *child_; }
  int pid() const { return child_->pid(); }
  uint16_t port() const noexcept { return port_; }
  /// What this run has logged so far.
  std::string log() const;

  /// The directory that everything of this daemon lives in.
  const std::string& home() const noexcept { return home_.path(); }
  std::string path(const std::string& name) const { return home_ / name; }
  std::string state_dir() const { return home_ / "state"; }
  std::string pid_file() const { return home_ / "task-runner.pid"; }
  std::string ini_file() const { return home_ / "task-runner.ini"; }
  /// 0 when there is no launcher.
  int launcher_pid() const;
  /// All processes that this daemon started or that it is, found by a mark in their environment.
  std::vector<int> processes() const;
  /// Those that are neither daemon nor launcher.
  std::vector<int> commands() const;
  /// Kills the launcher, if there is one, and waits until it is gone. processes() no longer shows it a moment
  /// before, when it has no memory any more, but files that are open.
  void end_launcher();

  http_client& http() { return *http_; }
  /// POST /push as a form; gives `data` of the answer, which must be 200.
  nlohmann::json push(const name_values& fields);
  /// Pushes a command line, which must be accepted, and gives its task id.
  std::string push_line(const std::string& line, const std::string& channel = {});
  /// POST /queue; must be accepted.
  void create_channel(const std::string& name, const name_values& fields = {});
  /// `data` of GET /status?channel=NAME.
  nlohmann::json channel(const std::string& name);
  /// The member `daemon` of GET /status.
  nlohmann::json report();
  /// `data` of GET /api/v1/tasks/ID.
  nlohmann::json task(const std::string& id);
  /// Waits until the task is finished, dead or cancelled.
  nlohmann::json settled(const std::string& id,
                         std::chrono::milliseconds deadline = std::chrono::seconds(30));
  /// The kept output of the last attempt.
  std::string output(const std::string& id);
  /// Pushes a command line, waits for its end and gives its output.
  std::string run_line(const std::string& line, const std::string& channel = {});

private:
  [[noreturn]] void fail(const std::string& what) const;
  bool find_port();
  void clean_up(bool check);

  temp_dir home_{"tr-e2e"};
  daemon_options options_;
  std::unique_ptr<process> child_;
  std::unique_ptr<http_client> http_;
  uint16_t port_ = 0;
};

/// The text of a file; empty when there is none.
std::string read_file(const std::string& path);
void write_file(const std::string& path, const std::string& text);
/// The lines of a text, without their ends.
std::vector<std::string> lines_of(const std::string& text);
/// How often each line occurs that commands have appended to a file.
std::map<std::string, int> count_lines(const std::string& path);

} // namespace task_runner::test
