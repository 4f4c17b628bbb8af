// Children that share the launcher's memory until they execute their commands: what they must leave alone,
// and what becomes of those that are held up there.
#include "services/launcher/spawn.hpp"
#include "test/service/launcher_support.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <sys/syscall.h>
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

  bool shares_memory() const noexcept { return children_.shares_memory(); }

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

/// A pipe that is full in place of a cgroup: a child that is to enter it waits until somebody reads.
class closed_door {
public:
  closed_door() {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    read_end_.reset(ends[0]);
    write_end_.reset(ends[1]);
    ::fcntl(read_end_.get(), F_SETFL, O_NONBLOCK);
    content_.assign(static_cast<size_t>(::fcntl(write_end_.get(), F_GETPIPE_SZ)), 'x');
    REQUIRE(::write(write_end_.get(), content_.data(), content_.size()) ==
            static_cast<ssize_t>(content_.size()));
  }

  spawned_child spawn_before(spawn_bench& bench, volatile int* failure,
                             const std::vector<std::string>& argv) {
    const command_environment environment;
    spawn_setting setting = bench.setting(failure, environment);
    setting.enters_cgroup = true;
    setting.cgroup = write_end_.get();
    return bench.spawn(argv, std::move(setting));
  }

  /// Lets all of them go on, and waits for their ends.
  bool open(const std::vector<spawned_child>& children) {
    return test::wait_until([&] {
      // One reading lets only some of them go on.
      while (::read(read_end_.get(), content_.data(), content_.size()) > 0) {
      }
      return std::all_of(children.begin(), children.end(), [](const spawned_child& child) {
        pollfd ended{child.process.get(), POLLIN, 0};
        return ::poll(&ended, 1, 0) == 1;
      });
    });
  }

private:
  owned_descriptor read_end_;
  owned_descriptor write_end_;
  std::string content_;
};

/// Whether a process has not got memory of its own yet.
bool shares_memory_with_us(int pid) {
  return ::syscall(SYS_kcmp, ::getpid(), pid, KCMP_VM, 0, 0) == 0;
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
    // No other call in between, or it could be the one that changes it; the clock's fails for nobody here.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while ((*failure == child_not_begun || *failure == 0) && std::chrono::steady_clock::now() < deadline) {
    }
    // Otherwise the compiler takes what was written above for what would be read.
    __asm__ volatile("" ::: "memory");
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
  closed_door door;
  constexpr size_t count = child_places_max + 6;
  std::vector<spawned_child> children;
  std::vector<volatile int*> failures;
  for (size_t i = 0; i < count; ++i) {
    failures.push_back(bench.acquire());
    children.push_back(door.spawn_before(bench, failures.back(), {"echo", std::to_string(i)}));
  }
  REQUIRE(test::wait_until([&] {
    return std::all_of(failures.begin(), failures.end(), [](volatile int* one) { return *one == 0; });
  }));
  std::vector<bool> shared;
  for (const spawned_child& child : children)
    shared.push_back(shares_memory_with_us(child.pid));
  REQUIRE(door.open(children));
  if (bench.shares_memory()) {
    const auto last_place = shared.begin() + static_cast<std::ptrdiff_t>(child_places_max);
    CHECK(std::all_of(shared.begin(), last_place, [](bool one) { return one; }));
    CHECK(std::none_of(last_place, shared.end(), [](bool one) { return one; }));
  } else {
    WARN("SKIPPED: children are copies here, so nothing was tested about sharing memory");
  }
  for (size_t i = 0; i < count; ++i) {
    CHECK(read_all(children[i].output.get()) == std::to_string(i) + "\n");
    CHECK(reap(children[i]).si_status == 0);
  }
}

TEST_CASE("a child that is held up in our memory takes nobody else's place", "[launcher][spawn]") {
  spawn_bench bench;
  closed_door door;
  std::vector<spawned_child> held;
  held.push_back(door.spawn_before(bench, bench.acquire(), {"true"}));
  const command_environment environment;
  for (size_t i = 0; i < 2 * child_places_max; ++i) {
    volatile int* const failure = bench.acquire();
    CHECK(reap(bench.spawn({"true"}, bench.setting(failure, environment))).si_status == 0);
    bench.release(failure);
  }
  held.push_back(door.spawn_before(bench, bench.acquire(), {"true"}));
  const bool shared = shares_memory_with_us(held.back().pid);
  REQUIRE(door.open(held));
  for (const spawned_child& child : held)
    CHECK(reap(child).si_status == 0);
  CHECK(shared == bench.shares_memory());
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
