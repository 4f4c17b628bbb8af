// Somebody sweeps the state directory while a launcher runs in it: launcher.sock, launcher.pid or all of it
// disappears, is replaced or moved. No command may notice, and the next daemon must find the launcher.
#include "services/launcher/packet_socket.hpp"
#include "test/service/launcher_support.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

using namespace task_runner;
using namespace launcher_test;

namespace {

/// A line that runs until the file exists, then exits with the code.
std::string until(const std::string& path, int code) {
  return "while [ ! -e " + path + " ]; do sleep 0.01; done; exit " + std::to_string(code);
}

/// What a daemon has by default.
void usual_wait(launcher_client_options& options) {
  options.start_wait_ms = launcher_client_options().start_wait_ms;
}

/// A fixture with a command that runs, whose daemon has gone and has been missed by the launcher.
struct running_alone {
  launcher_fixture fixture;
  const std::string go = fixture.dir() + "/go";
  const int pid = fixture.launcher_pid();

  running_alone() {
    fixture.start("runs", until(go, 7));
    REQUIRE(fixture.events().wait_started(fixture.key("runs")));
  }
  /// A test that fails half-way must not leave the command behind.
  ~running_alone() { write_file(go, "go"); }
  running_alone(const running_alone&) = delete;
  running_alone& operator=(const running_alone&) = delete;
  /// The next daemon finds the launcher, and the command comes to its own end.
  void check_found() {
    const auto began = std::chrono::steady_clock::now();
    fixture.next_daemon_with(usual_wait);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - began;
    std::printf("the next daemon found the launcher after %.0f ms\n", took.count());
    CHECK(fixture.client().health().launcher_pid == pid);
    CHECK(fixture.launcher_pid() == pid);
    REQUIRE(fixture.client().known_attempts("default").size() == 1);
    CHECK_FALSE(fixture.client().known_attempts("default").front().ended);
    CHECK(fixture.run("beside", "exit 3").how == outcome{outcome_kind::exited, 3, {}});
    write_file(go, "go");
    CHECK(fixture.await("runs").how == outcome{outcome_kind::exited, 7, {}});
    CHECK(fixture.events().times_ended(fixture.key("runs")) == 1);
    fixture.client().settled(fixture.key("runs"));
    CHECK(read_file(fixture.dir() + "/launcher.log").find("died with") == std::string::npos);
  }
};

/// A launcher in a state directory that a test may do anything with, its daemon gone, and a command that runs
/// until the file `go` exists.
class left_behind {
public:
  /// `then` is what the command does at its end.
  explicit left_behind(const std::string& then)
      : state(scratch_.path() + "/state")
      , go(scratch_.path() + "/go") {
    std::filesystem::create_directory(state);
    options.state_dir = state;
    options.launcher_arguments = {"--idle-grace-ms", "300"};
    recorder events;
    launcher_client client(options);
    REQUIRE(client.start_service(events));
    attempt_start wanted;
    wanted.key = {"runs", 1};
    wanted.channel = "default";
    wanted.line = "while [ ! -e " + go + " ]; do sleep 0.01; done; " + then;
    REQUIRE(client.start(wanted));
    REQUIRE(events.wait_started(wanted.key));
    pid = client.health().launcher_pid;
  }
  /// A test that fails half-way must not leave the command behind.
  ~left_behind() {
    write_file(go, "go");
    wait_gone(pid);
  }
  left_behind(const left_behind&) = delete;
  left_behind& operator=(const left_behind&) = delete;

private:
  const scratch_directory scratch_;

public:
  const std::string state;
  const std::string go;
  launcher_client_options options;
  int pid = 0;
};

} // namespace

TEST_CASE("a launcher whose socket was removed is found by the next daemon", "[launcher][place]") {
  running_alone one;
  const std::string socket = one.fixture.dir() + "/launcher.sock";
  SECTION("under a connected daemon") {
    REQUIRE(std::filesystem::remove(socket));
    one.fixture.client().stop();
  }
  SECTION("while no daemon is there") {
    one.fixture.client().stop();
    REQUIRE(std::filesystem::remove(socket));
  }
  SECTION("while no daemon is there, and put back before one comes") {
    one.fixture.client().stop();
    REQUIRE(std::filesystem::remove(socket));
    CHECK(test::wait_until([&] { return std::filesystem::is_socket(socket); }));
  }
  SECTION("again and again") {
    for (int i = 0; i < 3; ++i) {
      one.fixture.client().stop();
      REQUIRE(std::filesystem::remove(socket));
      one.fixture.next_daemon_with(usual_wait);
    }
    one.fixture.client().stop();
  }
  one.check_found();
}

TEST_CASE("a launcher whose names were swept away is the only one still", "[launcher][place]") {
  running_alone one;
  const bool connected = GENERATE(true, false);
  CAPTURE(connected);
  if (!connected)
    one.fixture.client().stop();
  // The socket last: once it is back the next daemon finds it, and while one is connected the launcher looks
  // for its names no more.
  for (const char* name : {"/launcher.log", "/launcher.pid", "/launcher.sock"})
    std::filesystem::remove(one.fixture.dir() + name);
  one.fixture.client().stop();
  one.check_found();
}

TEST_CASE("a launcher puts its socket in the place of whatever has its name", "[launcher][place]") {
  running_alone one;
  const std::string socket = one.fixture.dir() + "/launcher.sock";
  one.fixture.client().stop();
  // The launcher may put its socket back in between.
  const auto put_in_place = [&](const auto& put) {
    REQUIRE(test::wait_until([&] {
      ::unlink(socket.c_str());
      return put();
    }));
  };
  SECTION("another socket") {
    const auto directory = launcher::open_directory(one.fixture.dir());
    REQUIRE(directory);
    const auto foreign = launcher::listen_in(directory->get(), one.fixture.dir());
    REQUIRE(foreign);
    // It is not waited for who listens there: the launcher takes its name back.
    CHECK(test::wait_until([&] {
      return read_file(one.fixture.dir() + "/launcher.log").find("launcher.sock was removed or replaced") !=
             std::string::npos;
    }));
  }
  SECTION("a file") {
    put_in_place([&] {
      const launcher::owned_descriptor file(::open(socket.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600));
      return static_cast<bool>(file);
    });
    CHECK(test::wait_until([&] { return std::filesystem::is_socket(socket); }));
  }
  SECTION("a directory, which somebody has to take away") {
    put_in_place([&] { return ::mkdir(socket.c_str(), 0700) == 0; });
    CHECK(test::wait_until([&] {
      return read_file(one.fixture.dir() + "/launcher.log").find("cannot be put back") != std::string::npos;
    }));
    std::filesystem::remove(socket);
  }
  one.check_found();
}

TEST_CASE("a daemon that cannot reach the launcher names it", "[launcher][place]") {
  running_alone one;
  one.fixture.client().stop();
  // A launcher that does nothing cannot put its socket back either.
  REQUIRE(::kill(one.pid, SIGSTOP) == 0);
  std::filesystem::remove(one.fixture.dir() + "/launcher.sock");
  {
    recorder events;
    launcher_client_options options = one.fixture.options();
    usual_wait(options);
    launcher_client client(options);
    const result<void> started = client.start_service(events);
    REQUIRE(::kill(one.pid, SIGCONT) == 0);
    REQUIRE_FALSE(started);
    INFO(started.failure().message);
    CHECK(started.failure().message.find("process " + std::to_string(one.pid)) != std::string::npos);
    CHECK(started.failure().message.find("launcher.sock") != std::string::npos);
    CHECK(started.failure().message.find("kill -CONT " + std::to_string(one.pid)) != std::string::npos);
  }
  one.check_found();
}

TEST_CASE("a launcher goes along with a state directory that is moved", "[launcher][place]") {
  left_behind left("exit 4");
  const std::string& before = left.state;
  const std::string after = before + "-moved";
  std::filesystem::rename(before, after);
  std::filesystem::create_directory(before);
  std::filesystem::remove(after + "/launcher.sock");
  left.options.state_dir = after;
  recorder events;
  launcher_client client(left.options);
  REQUIRE(client.start_service(events));
  CHECK(client.health().launcher_pid == left.pid);
  CHECK(std::filesystem::is_empty(before));
  write_file(left.go, "go");
  const auto end = events.wait_ended({"runs", 1});
  REQUIRE(end);
  CHECK(end->how == outcome{outcome_kind::exited, 4, {}});
  client.settled({"runs", 1});
  client.stop();
  CHECK(wait_gone(left.pid));
  CHECK_FALSE(std::filesystem::exists(after + "/launcher.sock"));
  CHECK_FALSE(std::filesystem::exists(after + "/launcher.pid"));
}

TEST_CASE("a launcher whose state directory was removed lets its commands end, and leaves",
          "[launcher][place]") {
  const scratch_directory results;
  const std::string ended = results.path() + "/ended";
  left_behind left("echo yes >" + ended);
  // The launcher may just be putting its names back, which makes the directory anything but empty.
  REQUIRE(test::wait_until([&] {
    std::error_code busy;
    std::filesystem::remove_all(left.state, busy);
    return !std::filesystem::exists(left.state);
  }));
  // Long enough for the launcher to have looked: it does not bring the directory back, nor does it leave.
  CHECK_FALSE(wait_gone(left.pid, 1'500));
  CHECK_FALSE(std::filesystem::exists(left.state));
  write_file(left.go, "go");
  CHECK(wait_file(ended));
  CHECK(wait_gone(left.pid));
}
