// The threads of the full-screen view: that they end, and what becomes of them where there are too few.
#include "services/cli/thread_start.hpp"
#include "services/cli/top_feed.hpp"
#include "test/support/free_port.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <fstream>
#include <future>
#include <pthread.h>
#include <sys/resource.h>
#include <system_error>
#include <unistd.h>

using namespace task_runner;
using namespace task_runner::cli;
using namespace task_runner::test;

namespace {

daemon_place nowhere() {
  daemon_place place;
  place.host = "127.0.0.1";
  place.port = free_port();
  return place;
}

bool is_blocked(int number) {
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  return sigismember(&mask, number) == 1;
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

constexpr size_t stack_bytes = 512UL * 1'048'576;

/// While it lives there is room for so many more threads, each of which takes `stack_bytes`.
class few_threads {
public:
  explicit few_threads(size_t count) {
    size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    ::getrlimit(RLIMIT_AS, &before_);
    ::pthread_getattr_default_np(&attributes_);
    auto attributes = attributes_;
    ::pthread_attr_setstacksize(&attributes, stack_bytes);
    REQUIRE(::pthread_setattr_default_np(&attributes) == 0);
    auto limit = before_;
    limit.rlim_cur = pages * static_cast<size_t>(::getpagesize()) + count * stack_bytes + stack_bytes / 2;
    REQUIRE(::setrlimit(RLIMIT_AS, &limit) == 0);
  }
  ~few_threads() {
    ::setrlimit(RLIMIT_AS, &before_);
    ::pthread_setattr_default_np(&attributes_);
  }
  few_threads(const few_threads&) = delete;
  few_threads& operator=(const few_threads&) = delete;

private:
  rlimit before_{};
  pthread_attr_t attributes_{};
};

#endif

} // namespace

TEST_CASE("cli: a thread takes no signals, and whoever starts it takes them as before") {
  REQUIRE_FALSE(is_blocked(SIGTERM));
  std::promise<bool> blocked;
  auto thread = start_without_signals([&] { blocked.set_value(is_blocked(SIGTERM) && is_blocked(SIGINT)); });
  CHECK_FALSE(is_blocked(SIGTERM));
  CHECK(blocked.get_future().get());
  thread.join();
}

TEST_CASE("top: a daemon that is away is told, and the threads end with the view") {
  const console terminal;
  top_feed feed(nowhere(), std::chrono::milliseconds(50), terminal, [] {});
  std::string told;
  REQUIRE(wait_until([&] {
    for (const auto& news : feed.take())
      told = news.failure.value_or(told);
    return !told.empty();
  }));
  CHECK(told.find("nobody answers at 127.0.0.1:") == 0);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("top: where there are too few threads those that began are ended, and it is told") {
  const console terminal;
  const auto place = nowhere();
  for (const size_t count : {0, 1, 3}) {
    CAPTURE(count);
    const few_threads limited(count);
    CHECK_THROWS_AS(top_feed(place, std::chrono::milliseconds(50), terminal, [] {}), std::system_error);
    CHECK_FALSE(is_blocked(SIGTERM));
  }
  // With room again there are all of them.
  const top_feed whole(place, std::chrono::milliseconds(50), terminal, [] {});
}
#endif
