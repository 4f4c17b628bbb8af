// Whether the launcher works, as the daemon sees it: one that was stopped is reported and left alone, and one
// that has no room for processes lets its starts wait for as long as that lasts.
#include "test/service/launcher_support.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <sstream>
#include <sys/resource.h>
#include <unistd.h>

using namespace task_runner;
using namespace launcher_test;

namespace {

std::string until(const std::string& path, int code) {
  return "while [ ! -e " + path + " ]; do sleep 0.01; done; exit " + std::to_string(code);
}

/// Asks often and is soon worried.
void impatient(launcher_client_options& options) {
  options.ping_pause_ms = 50;
  options.silence_max_ms = 400;
  options.shortage_max_ms = 300;
}

/// Lets a process that was stopped go on, also when the test fails.
class stopped_process {
public:
  explicit stopped_process(int pid)
      : pid_(pid) {
    REQUIRE(::kill(pid_, SIGSTOP) == 0);
  }
  ~stopped_process() { go_on(); }
  stopped_process(const stopped_process&) = delete;
  stopped_process& operator=(const stopped_process&) = delete;
  void go_on() { ::kill(pid_, SIGCONT); }

private:
  int pid_;
};

/// A soft limit of a process, by default that of its descriptors, until the end of this.
class lowered_limit {
public:
  lowered_limit(int pid, rlim_t soft, __rlimit_resource what = RLIMIT_NOFILE)
      : pid_(pid)
      , what_(what) {
    REQUIRE(::prlimit(pid_, what_, nullptr, &before_) == 0);
    const rlimit lowered{soft, before_.rlim_max};
    REQUIRE(::prlimit(pid_, what_, &lowered, nullptr) == 0);
  }
  ~lowered_limit() { raise(); }
  lowered_limit(const lowered_limit&) = delete;
  lowered_limit& operator=(const lowered_limit&) = delete;
  void raise() { ::prlimit(pid_, what_, &before_, nullptr); }

private:
  int pid_;
  __rlimit_resource what_;
  rlimit before_{};
};

/// Sockets that a process has open.
int open_sockets(int pid) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    std::error_code gone;
    if (std::filesystem::read_symlink(entry.path(), gone).string().find("socket:") == 0)
      ++count;
  }
  return count;
}

/// Clock ticks of processor time that a process has used.
long long ticks_of(int pid) {
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  std::istringstream fields(stat.substr(stat.rfind(')') + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i)
    fields >> skipped;
  long long user = 0;
  long long system = 0;
  REQUIRE(fields >> user >> system);
  return user + system;
}

bool becomes(launcher_fixture& fixture, bool healthy) {
  return test::wait_until([&] { return fixture.client().health().healthy() == healthy; });
}

} // namespace

TEST_CASE("a launcher that hangs is reported with its process, and works again when it goes on",
          "[launcher][life]") {
  launcher_fixture fixture;
  fixture.next_daemon_with(impatient);
  const int pid = fixture.launcher_pid();
  const std::string go = fixture.dir() + "/go";
  const std::string ran = fixture.dir() + "/ran";
  fixture.start("before", until(go, 5));
  REQUIRE(fixture.events().wait_started(fixture.key("before")));
  CHECK(fixture.client().health().healthy());
  CHECK(fixture.client().health().reason().empty());

  stopped_process hanging(pid);
  REQUIRE(becomes(fixture, false));
  const launcher_health health = fixture.client().health();
  CHECK(health.connected);
  CHECK(health.launcher_pid == pid);
  CHECK(health.reason() ==
        "process " + std::to_string(pid) +
            ", the launcher, has said nothing for 400ms; its commands run on and no others start; if it is "
            "stopped, let it go on: kill -CONT " +
            std::to_string(pid));
  // What is asked of it meanwhile is kept, more than its socket holds.
  const std::string comment(20'000, 'x');
  constexpr int count = 60;
  for (int i = 0; i < count; ++i)
    fixture.start("meanwhile" + std::to_string(i),
                  "echo " + std::to_string(i) + " >>" + ran + " # " + comment);
  CHECK_FALSE(fixture.client().health().healthy());
  hanging.go_on();
  REQUIRE(becomes(fixture, true));
  CHECK(fixture.client().health().reason().empty());
  for (int i = 0; i < count; ++i) {
    CHECK(fixture.await("meanwhile" + std::to_string(i)).how.succeeded());
    CHECK(fixture.events().times_ended(fixture.key("meanwhile" + std::to_string(i))) == 1);
  }
  const std::string lines = read_file(ran);
  CHECK(std::count(lines.begin(), lines.end(), '\n') == count);
  write_file(go, "go");
  CHECK(fixture.await("before").how == outcome{outcome_kind::exited, 5, {}});
  CHECK(fixture.launcher_pid() == pid);
  CHECK(fixture.client().health().restarts == 0);
  settle_ended(fixture);
}

TEST_CASE("a launcher that hangs again is reported again", "[launcher][life]") {
  launcher_fixture fixture;
  fixture.next_daemon_with(impatient);
  for (int round = 0; round < 3; ++round) {
    stopped_process hanging(fixture.launcher_pid());
    REQUIRE(becomes(fixture, false));
    hanging.go_on();
    REQUIRE(becomes(fixture, true));
  }
  CHECK(fixture.client().health().restarts == 0);
}

TEST_CASE("a launcher that is killed while it hangs is replaced", "[launcher][life]") {
  launcher_fixture fixture;
  fixture.next_daemon_with(impatient);
  const int pid = fixture.launcher_pid();
  stopped_process hanging(pid);
  REQUIRE(becomes(fixture, false));
  REQUIRE(::kill(pid, SIGKILL) == 0);
  REQUIRE(wait_gone(pid));
  REQUIRE(becomes(fixture, true));
  CHECK(fixture.client().health().launcher_pid != pid);
  CHECK(fixture.run("after", "exit 2").how == outcome{outcome_kind::exited, 2, {}});
}

TEST_CASE("starts wait for descriptors as long as there are none, and are told of", "[launcher][life]") {
  launcher_fixture fixture;
  fixture.next_daemon_with(impatient);
  const std::string go = fixture.dir() + "/go";
  fixture.start("before", until(go, 5));
  REQUIRE(fixture.events().wait_started(fixture.key("before")));
  {
    lowered_limit none(fixture.launcher_pid(), 3);
    for (int i = 0; i < 5; ++i)
      fixture.start("waits" + std::to_string(i), "exit " + std::to_string(i));
    attempt_start with_input;
    with_input.key = fixture.key("input");
    with_input.channel = "default";
    with_input.line = "cat";
    with_input.environment.input = "read\n";
    REQUIRE(fixture.client().start(with_input));
    fixture.start("dropped", "exit 9");
    REQUIRE(becomes(fixture, false));
    const std::string reason = fixture.client().health().reason();
    INFO(reason);
    CHECK(reason.find("7 starts have waited for resources for ") == 0);
    CHECK(reason.find("Too many open files") != std::string::npos);
    CHECK(fixture.client().health().connected);
    // What waits can be stopped; what runs goes on and comes to its end.
    REQUIRE(fixture.client().stop(fixture.key("dropped"), 0));
    CHECK(fixture.await("dropped").how.kind == outcome_kind::cancelled);
    write_file(go, "go");
    CHECK(fixture.await("before").how == outcome{outcome_kind::exited, 5, {}});
    CHECK(fixture.events().ended_count() == 2);
  }
  for (int i = 0; i < 5; ++i)
    CHECK(fixture.await("waits" + std::to_string(i)).how == outcome{outcome_kind::exited, i, {}});
  CHECK(fixture.await("input").how.succeeded());
  REQUIRE(becomes(fixture, true));
  CHECK(fixture.output("input") == "read\n");
  settle_ended(fixture);
}

TEST_CASE("a launcher without descriptors for a daemon rests until it has some", "[launcher][life]") {
  launcher_fixture fixture;
  const std::string go = fixture.dir() + "/go";
  fixture.start("before", until(go, 5));
  REQUIRE(fixture.events().wait_started(fixture.key("before")));
  const int pid = fixture.launcher_pid();
  fixture.client().stop();
  // The daemon's connection has been closed, so that the next one would have its descriptor.
  REQUIRE(test::wait_until([&] { return open_sockets(pid) == 1; }));
  long long used_ticks = 0;
  {
    lowered_limit none(pid, 3);
    recorder events;
    launcher_client_options options = fixture.options();
    options.start_wait_ms = 1'500;
    launcher_client client(options);
    const long long before = ticks_of(pid);
    CHECK_FALSE(client.start_service(events));
    used_ticks = ticks_of(pid) - before;
  }
  CHECK(used_ticks < 50);
  fixture.next_daemon();
  CHECK(fixture.client().health().launcher_pid == pid);
  write_file(go, "go");
  CHECK(fixture.await("before").how == outcome{outcome_kind::exited, 5, {}});
  settle_ended(fixture);
}

// UBSan looks at objects through a pipe, for which this process has no descriptor then: it would call them
// broken.
#if !defined(__SANITIZE_ADDRESS__)
TEST_CASE("a start too large for a packet waits while the daemon has no descriptor for it",
          "[launcher][life]") {
  launcher_fixture fixture;
  const std::string comment(100'000, 'x');
  {
    const lowered_limit none(::getpid(), 3);
    fixture.start("large", "exit 6 # " + comment);
    fixture.start("behind", "exit 7");
    // It has been tried by then, and nothing came of it.
    const auto began = std::chrono::steady_clock::now();
    REQUIRE(test::wait_until(
        [&] { return std::chrono::steady_clock::now() - began > std::chrono::milliseconds(300); }));
    CHECK(fixture.events().ended_count() == 0);
  }
  CHECK(fixture.await("large").how == outcome{outcome_kind::exited, 6, {}});
  CHECK(fixture.await("behind").how == outcome{outcome_kind::exited, 7, {}});
  CHECK(fixture.client().health().restarts == 0);
  settle_ended(fixture);
}
#endif

TEST_CASE("a start too large for a packet fails when this process may not write it", "[launcher][life]") {
  launcher_fixture fixture;
  const auto before = std::signal(SIGXFSZ, SIG_IGN); // as in the daemon
  {
    lowered_limit files(::getpid(), 4'096, RLIMIT_FSIZE);
    fixture.start("large", "exit 6 # " + std::string(100'000, 'x'));
    const auto end = fixture.await("large");
    CHECK(end.how.kind == outcome_kind::spawn_failed);
    CHECK(end.how.error.find("the command could not be sent to the launcher: cannot fill a memfd") == 0);
    // Its neighbours are none the worse for it.
    fixture.start("small", "exit 7");
    CHECK(fixture.await("small").how == outcome{outcome_kind::exited, 7, {}});
  }
  std::signal(SIGXFSZ, before);
  settle_ended(fixture);
}
