// Two hundred running commands outlive kill -9 of the daemon: none is killed, none is run again, and every
// exit code and every byte of output is right, whether a command ends while the daemon is away or after its
// return.
#include "test/crash/command_history.hpp"
#include "test/crash/kill_run.hpp"
#include "test/support/daemon.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <iostream>
#include <set>
#include <stdexcept>
#include <sys/stat.h>
#include <unistd.h>

using namespace task_runner::test;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr int command_count = 200;
constexpr int block_lines = 50;
/// The promise is 2 s; a machine that builds and tests beside it may be slower.
constexpr milliseconds return_time_max{10'000};

/// What commands wait for: they open it for reading, which takes until somebody opens it for writing.
class pipe_gate {
public:
  explicit pipe_gate(std::string path)
      : path_(std::move(path)) {
    if (mkfifo(path_.c_str(), 0600) != 0)
      throw std::runtime_error("cannot make " + path_ + ": " + std::strerror(errno));
  }
  ~pipe_gate() {
    if (fd_ >= 0)
      close(fd_);
  }
  pipe_gate(const pipe_gate&) = delete;
  pipe_gate& operator=(const pipe_gate&) = delete;

  const std::string& path() const noexcept { return path_; }
  void open() {
    fd_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC); // with O_RDWR it never waits for readers itself
    if (fd_ < 0)
      throw std::runtime_error("cannot open " + path_ + ": " + std::strerror(errno));
  }

private:
  std::string path_;
  int fd_ = -1;
};

// Arguments: HISTORY GATE EXIT_CODE NUMBER.
constexpr const char* script = R"(echo "S $TASK_RUNNER_TASK_ID $TASK_RUNNER_ATTEMPT $$ $PPID" >>"$1"
echo "before $4"
: <"$2"
i=0
while [ "$i" -lt 50 ]; do echo "command $4 after its wait, line $i" >&2; i=$((i + 1)); done
printf %s "last of $4"
echo "E $TASK_RUNNER_TASK_ID $TASK_RUNNER_ATTEMPT" >>"$1"
exit "$3"
)";

std::string expected_output(int number) {
  auto text = "before " + std::to_string(number) + "\n";
  for (int i = 0; i < block_lines; ++i)
    text += "command " + std::to_string(number) + " after its wait, line " + std::to_string(i) + "\n";
  return text + "last of " + std::to_string(number);
}

size_t count_ended(const command_history& history) {
  size_t count = 0;
  for (const auto& [id, attempts] : history.tasks())
    count += attempts.rbegin()->second.ended != 0 ? 1 : 0;
  return count;
}

} // namespace

TEST_CASE("two hundred running commands outlive kill -9 of the daemon with every exit code and byte right",
          "[running]") {
  daemon_options options;
  options.ini = "[channel.many]\nworker = " + std::to_string(command_count) + "\n";
  test_daemon runner(options);
  history_file history(runner.path("history"));
  pipe_gate away(runner.path("away"));
  pipe_gate back(runner.path("back"));
  write_file(runner.path("command.sh"), script);
  std::vector<std::string> ids;
  for (int i = 0; i < command_count; ++i)
    ids.push_back(runner.push_line("sh " + runner.path("command.sh") + " " + history.path() + " " +
                                       (i % 2 == 0 ? away : back).path() + " " + std::to_string(i) + " " +
                                       std::to_string(i),
                                   "many"));
  REQUIRE(
      wait_until([&] { return history.read().tasks().size() == command_count; }, std::chrono::seconds(60)));
  const int launcher = runner.launcher_pid();
  std::set<int> pids;
  for (const auto& [id, attempts] : history.read().tasks())
    pids.insert(attempts.at(1).pid);
  REQUIRE(pids.size() == command_count);

  history.note("daemon-killed " + std::to_string(runner.pid()));
  runner.kill();
  away.open(); // half of them end while nobody looks
  REQUIRE(wait_until([&] { return count_ended(history.read()) == command_count / 2; }));
  const auto started = steady_clock::now();
  runner.start();
  REQUIRE(wait_until([&] { return runner.channel("many").at("running") == command_count / 2; }));
  const auto returned = std::chrono::duration_cast<milliseconds>(steady_clock::now() - started);
  CHECK(returned < return_time_max);
  CHECK(runner.launcher_pid() == launcher);
  size_t alive = 0;
  for (const int pid : pids)
    alive += ::kill(pid, 0) == 0 ? 1 : 0;
  CHECK(alive >= command_count / 2);
  back.open();

  int wrong = 0;
  for (int i = 0; i < command_count; ++i) {
    const auto task = runner.settled(ids[static_cast<size_t>(i)]);
    const auto output = runner.output(ids[static_cast<size_t>(i)]);
    const bool right = task.at("outcome") == json{{"kind", "exited"}, {"code", i}} &&
                       task.at("state") == (i == 0 ? "finished" : "dead") && task.at("attempt") == 1 &&
                       output == expected_output(i);
    if (!right)
      UNSCOPED_INFO(task.dump() << " wrote " << output);
    wrong += right ? 0 : 1;
  }
  CHECK(wrong == 0);
  std::map<std::string, task_facts> facts;
  for (const auto& id : ids)
    facts[id] = {"many", "", 1, false};
  const auto& ran = history.read();
  CHECK(ran.offences(facts, {{"many", command_count}}) == std::vector<std::string>{});
  const auto figures = ran.figures(facts);
  CHECK(figures.starts == command_count);
  std::cout << command_count << " running commands, kill -9 of the daemon: killed " << figures.lost_attempts
            << ", run again " << figures.starts - command_count << ", wrong exit codes or output " << wrong
            << "; listed again " << returned.count() << " ms after its start\n";
}
