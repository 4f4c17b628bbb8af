// Children that share the launcher's memory until they execute their commands: what they must leave alone,
// and what becomes of those that are held up there.
#include "services/launcher/spawn.hpp"
#include "test/service/launcher_support.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace task_runner;
using namespace task_runner::launcher;

namespace {

/// Everything that a spawn needs, with /dev/null for input and the limits of this process.
class spawn_bench {
public:
  spawn_bench()
      : nothing_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {}

  volatile int* acquire() {
    volatile int* const slot = failures_.acquire();
    REQUIRE(slot != nullptr);
    return slot;
  }

  void release(volatile int* slot) { failures_.release(slot); }

  spawn_setting setting(volatile int* failure, const command_environment& environment) {
    attempt_start attempt;
    attempt.key = {"spawned", 1};
    attempt.channel = "default";
    spawn_setting made;
    made.environment = environment.for_attempt(attempt);
    made.input = nothing_.get();
    ::getrlimit(RLIMIT_NOFILE, &made.descriptors);
    made.failure = failure;
    return made;
  }

  spawned_child spawn(const std::vector<std::string>& argv, spawn_setting setting) {
    spawned_child child = children_.spawn(plan_argv(argv, std::string("/bin:/usr/bin")), std::move(setting));
    INFO(child.error);
    REQUIRE(child.pid != 0);
    return child;
  }

private:
  failure_slots failures_{256};
  owned_descriptor nothing_;
  spawner children_;
};

std::string read_all(int descriptor) {
  std::string text;
  std::array<char, 4'096> buffer{};
  pollfd wait{descriptor, POLLIN, 0};
  while (::poll(&wait, 1, launcher_test::patience_ms) == 1) {
    const ssize_t n = ::read(descriptor, buffer.data(), buffer.size());
    if (n <= 0)
      break;
    text.append(buffer.data(), static_cast<size_t>(n));
  }
  return text;
}

siginfo_t reap(const spawned_child& child) {
  siginfo_t info{};
  REQUIRE(::waitid(P_PIDFD, static_cast<id_t>(child.process.get()), &info, WEXITED) == 0);
  return info;
}

} // namespace

TEST_CASE("a child that fails in our memory leaves errno alone", "[launcher][spawn]") {
  spawn_bench bench;
  const command_environment environment;
  constexpr int untouched = 12'345;
  for (int round = 0; round < 300; ++round) {
    volatile int* const failure = bench.acquire();
    const spawned_child child = bench.spawn({"/nonexistent/program"}, bench.setting(failure, environment));
    errno = untouched;
    // No call in between, or it could be the one that changes it.
    while (*failure == child_not_begun || *failure == 0) {
    }
    const int seen = errno;
    REQUIRE(seen == untouched);
    REQUIRE(failed_reason(*failure) == ENOENT);
    CHECK(reap(child).si_status == 127);
    bench.release(failure);
  }
}

TEST_CASE("what a child reads stays until it executes", "[launcher][spawn]") {
  spawn_bench bench;
  std::vector<spawned_child> children;
  std::vector<std::string> expected;
  for (int round = 0; round < 100; ++round) {
    const std::string value(200, static_cast<char>('a' + round % 26));
    const command_environment environment("VALUE=" + value + '\0', {});
    volatile int* const failure = bench.acquire();
    children.push_back(bench.spawn({"/bin/sh", "-c", "echo $VALUE $0 " + std::to_string(round), value},
                                   bench.setting(failure, environment)));
    expected.push_back(value + " " + value + " " + std::to_string(round) + "\n");
  }
  for (size_t i = 0; i < children.size(); ++i) {
    CHECK(read_all(children[i].output.get()) == expected[i]);
    CHECK(reap(children[i]).si_status == 0);
  }
}

TEST_CASE("children beyond the places in our memory are forked, and none is held up", "[launcher][spawn]") {
  spawn_bench bench;
  // A pipe that is full in place of a cgroup: entering it waits until somebody reads.
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const owned_descriptor read_end(ends[0]);
  const owned_descriptor write_end(ends[1]);
  ::fcntl(read_end.get(), F_SETFL, O_NONBLOCK);
  const auto capacity = static_cast<size_t>(::fcntl(write_end.get(), F_GETPIPE_SZ));
  const std::string filling(capacity, 'x');
  REQUIRE(::write(write_end.get(), filling.data(), filling.size()) == static_cast<ssize_t>(filling.size()));

  const command_environment environment;
  constexpr size_t count = child_places_max + 6;
  std::vector<spawned_child> children;
  std::vector<volatile int*> failures;
  for (size_t i = 0; i < count; ++i) {
    failures.push_back(bench.acquire());
    spawn_setting setting = bench.setting(failures.back(), environment);
    setting.enters_cgroup = true;
    setting.cgroup = write_end.get();
    children.push_back(bench.spawn({"echo", std::to_string(i)}, std::move(setting)));
  }
  REQUIRE(test::wait_until([&] {
    return std::all_of(failures.begin(), failures.end(), [](volatile int* one) { return *one == 0; });
  }));
  // One reading lets only some of them go on.
  std::string taken(capacity, '\0');
  REQUIRE(test::wait_until([&] {
    while (::read(read_end.get(), taken.data(), taken.size()) > 0) {
    }
    return std::all_of(children.begin(), children.end(), [](const spawned_child& child) {
      pollfd ended{child.process.get(), POLLIN, 0};
      return ::poll(&ended, 1, 0) == 1;
    });
  }));
  for (size_t i = 0; i < count; ++i) {
    CHECK(read_all(children[i].output.get()) == std::to_string(i) + "\n");
    CHECK(reap(children[i]).si_status == 0);
  }
}

TEST_CASE("a signal that comes while a child is made is its end, and nobody else's", "[launcher][spawn]") {
  spawn_bench bench;
  sigset_t all;
  ::sigfillset(&all);
  sigset_t before;
  ::sigprocmask(SIG_SETMASK, &all, &before);
  const command_environment environment;
  for (const int number : {SIGTERM, SIGQUIT, SIGKILL, SIGUSR1}) {
    for (int round = 0; round < 25; ++round) {
      volatile int* const failure = bench.acquire();
      const spawned_child child = bench.spawn({"sleep", "60"}, bench.setting(failure, environment));
      ::kill(child.pid, number);
      const siginfo_t end = reap(child);
      CHECK(end.si_code != CLD_EXITED);
      CHECK(end.si_status == number);
    }
  }
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
}
