// What the process shows and hears. Secrets gone from the process list, signals as values, the service
// manager.
#include "services/domain/time_text.hpp"
#include "services/os/descriptor.hpp"
#include "services/os/kept_clock.hpp"
#include "services/os/service_notifier.hpp"
#include "services/os/signals.hpp"
#include "test/service/os_helper.hpp"
#include "test/support/temp_dir.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

using namespace task_runner;
using namespace task_runner::test;
using Catch::Matchers::Contains;

namespace {

/// What every user sees of a process that was started with these arguments.
std::string shown_command_line(const std::vector<std::string>& arguments) {
  process started(part_of_helper("scrub", arguments));
  REQUIRE(started.wait_output("ready\n"));
  return read_bytes("/proc/" + std::to_string(started.pid()) + "/cmdline");
}

/// Blocks signals for one test, and leaves the test program as it was.
class blocked_for_test {
public:
  explicit blocked_for_test(std::initializer_list<int> numbers) {
    sigset_t set;
    sigemptyset(&set);
    for (int number : numbers)
      sigaddset(&set, number);
    pthread_sigmask(SIG_BLOCK, &set, &old_);
  }
  blocked_for_test(const blocked_for_test&) = delete;
  blocked_for_test& operator=(const blocked_for_test&) = delete;
  ~blocked_for_test() { pthread_sigmask(SIG_SETMASK, &old_, nullptr); }

private:
  sigset_t old_{};
};

} // namespace

TEST_CASE("the password leaves the process list, with its length") {
  const std::string secret = "hunter2-and-more";
  const std::string name = "/proc/self/exe";
  const auto text = [](const std::string& line) { return line + std::string(1, '\0'); };
  for (const std::string dash : {"-", "--"})
    for (const std::string flag : {"redis-password", "password"}) {
      CAPTURE(dash, flag);
      CHECK(shown_command_line({dash + flag, secret, "-redis-db", "3"}) ==
            text(name + " " + dash + flag + " *** -redis-db 3"));
      CHECK(shown_command_line({"-redis-db", "3", dash + flag + "=" + secret}) ==
            text(name + " -redis-db 3 " + dash + flag + "=***"));
    }
  CHECK(shown_command_line({"-redis-password", "a-longer-one-than-the-other"}) ==
        shown_command_line({"-redis-password", "shorter"}));
  CHECK(shown_command_line({"-redis-password=" + secret, "--password", secret}) ==
        text(name + " -redis-password=*** --password ***"));
  // A value that looks like a flag, and one that is shorter than its mask.
  CHECK(shown_command_line({"-redis-password", "-x=" + secret}) == text(name + " -redis-password ***"));
  CHECK_THAT(shown_command_line({"-redis-password", "q", "-redis-db", "3"}), !Contains("q"));
}

TEST_CASE("a command line without a password is left alone") {
  using namespace std::string_literals;
  CHECK(shown_command_line({"-redis-db", "3"}) == "/proc/self/exe\0-redis-db\0003\0"s);
  CHECK(shown_command_line({"-redis-password-file", "/run/secret"}) ==
        "/proc/self/exe\0-redis-password-file\0/run/secret\0"s);
  CHECK(shown_command_line({"-redis-password"}) == "/proc/self/exe\0-redis-password\0"s);
  CHECK(shown_command_line({"-redis-password=", "-password", ""}) ==
        "/proc/self/exe\0-redis-password=\0-password\0\0"s);
  CHECK(shown_command_line({}) == "/proc/self/exe\0"s);
}

TEST_CASE("the password leaves the environment, and nothing else does") {
  auto options = part_of_helper("scrub", {"-redis-db", "3"});
  options.environment.emplace_back("TASK_RUNNER_REDIS_PASSWORD", "hunter2");
  options.environment.emplace_back("TASK_RUNNER_PASSWORD", "hunter3");
  options.environment.emplace_back("TASK_RUNNER_PASSWORDS", "kept too");
  options.environment.emplace_back("TR_KEPT", "a value");
  process started(options);
  REQUIRE(started.wait_output("ready\n"));
  CHECK(started.output() == "kept: a value\nready\n");
  const std::string shown = read_bytes("/proc/" + std::to_string(started.pid()) + "/environ");
  CHECK_THAT(shown, Contains("TR_KEPT=a value") && Contains("TASK_RUNNER_PASSWORDS=kept too") &&
                        !Contains("hunter") && !Contains("TASK_RUNNER_REDIS_PASSWORD"));
}

TEST_CASE("signals are heard in turn, and given back before exec") {
  process daemon(part_of_helper("signals"));
  REQUIRE(daemon.wait_output("ready\n"));
  // What is ignored ends nothing.
  REQUIRE(daemon.signal(SIGUSR1));
  REQUIRE(daemon.signal(SIGPIPE));
  std::string expected = "ready\n";
  for (int number : {SIGHUP, SIGUSR2, SIGINT, SIGTERM}) {
    REQUIRE(daemon.signal(number));
    expected += std::to_string(number) + " from " + std::to_string(getpid()) + "\n";
    REQUIRE(daemon.wait_output(expected));
  }
  REQUIRE(daemon.wait_output("reset\n"));
  CHECK(daemon.running());
  REQUIRE(daemon.signal(SIGUSR1));
  CHECK(daemon.wait() == process_end{false, SIGUSR1});
}

TEST_CASE("signals that the parent ignores are heard all the same") {
  // As nohup and a shell's background jobs do it: ignored signals stay ignored over exec.
  const auto old_hup = ::signal(SIGHUP, SIG_IGN);
  const auto old_int = ::signal(SIGINT, SIG_IGN);
  process daemon(part_of_helper("signals"));
  ::signal(SIGHUP, old_hup);
  ::signal(SIGINT, old_int);
  REQUIRE(daemon.wait_output("ready\n"));
  REQUIRE(daemon.signal(SIGHUP));
  REQUIRE(daemon.wait_output(std::to_string(SIGHUP) + " from"));
  REQUIRE(daemon.signal(SIGINT));
  CHECK(daemon.wait_output(std::to_string(SIGINT) + " from"));
}

TEST_CASE("a wait ends by signal, by wake and by time") {
  using clock = std::chrono::steady_clock;
  const blocked_for_test blocked({SIGUSR2, SIGHUP});
  auto waiter = signal_waiter::create();
  REQUIRE(waiter);

  const auto begin = clock::now();
  CHECK_FALSE(waiter->wait(30));
  CHECK(clock::now() - begin >= std::chrono::milliseconds(30));
  CHECK_FALSE(waiter->wait(0));

  // Two wakes before a wait count once; a signal goes before a wake.
  waiter->wake();
  waiter->wake();
  pthread_kill(pthread_self(), SIGUSR2);
  const auto signal = waiter->wait();
  REQUIRE(signal);
  CHECK(signal->number == SIGUSR2);
  CHECK(signal->sender == getpid());
  CHECK_FALSE(waiter->wait());
  CHECK_FALSE(waiter->wait(0));

  // A wake from another thread ends a wait that may have begun.
  std::thread waker([&waiter] { waiter->wake(); });
  CHECK_FALSE(waiter->wait());
  waker.join();
}

TEST_CASE("the service manager is told in datagrams") {
  const temp_dir directory;
  const bool abstract = GENERATE(false, true);
  const std::string name = abstract ? "@task-runner-test-" + std::to_string(getpid()) : directory / "notify";
  const descriptor listener(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  if (abstract)
    address.sun_path[0] = '\0';
  REQUIRE(bind(listener.get(), reinterpret_cast<const sockaddr*>(&address),
               static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size())) == 0);
  const auto received = [&listener] {
    REQUIRE(wait_readable(listener.get()));
    char buffer[512];
    const ssize_t count = recv(listener.get(), buffer, sizeof buffer, 0);
    return std::string(buffer, count > 0 ? static_cast<size_t>(count) : 0);
  };

  REQUIRE(setenv("NOTIFY_SOCKET", name.c_str(), 1) == 0);
  const auto notifier = service_notifier::from_environment();
  CHECK(std::getenv("NOTIFY_SOCKET") == nullptr);
  CHECK(notifier.ready());
  CHECK(received() == "READY=1");
  CHECK(notifier.ready("listening on\n127.0.0.1:60001"));
  CHECK(received() == "READY=1\nSTATUS=listening on 127.0.0.1:60001");
  CHECK(notifier.reloading());
  CHECK_THAT(received(), Catch::Matchers::Matches("RELOADING=1\nMONOTONIC_USEC=[0-9]+"));
  CHECK(notifier.stopping("draining"));
  CHECK(received() == "STOPPING=1\nSTATUS=draining");
}

TEST_CASE("without a service manager nothing is told, with a broken one it is said") {
  REQUIRE(unsetenv("NOTIFY_SOCKET") == 0);
  CHECK(service_notifier::from_environment().ready());
  for (const std::string& name :
       {std::string("relative"), "/" + std::string(200, 'x'), std::string("/no/such/socket")}) {
    REQUIRE(setenv("NOTIFY_SOCKET", name.c_str(), 1) == 0);
    const auto notifier = service_notifier::from_environment();
    const auto told = notifier.ready();
    REQUIRE_FALSE(told);
    CHECK(told.failure().code == error_code::unavailable);
  }
}

TEST_CASE("a descriptor is closed once, by its last owner") {
  const auto is_open = [](int number) { return fcntl(number, F_GETFD) >= 0; };
  descriptor one(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int number = one.get();
  REQUIRE(one);
  descriptor two = std::move(one);
  CHECK(two.get() == number);
  CHECK(is_open(number));
  two = descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK_FALSE(is_open(number));
  two.reset();
  CHECK_FALSE(two);
  two.reset();
  CHECK(descriptor(-1).get() == -1);
}

TEST_CASE("the clock port tells the system's time") {
  const kept_wall_clock clock;
  const wall_clock& port = clock;
  const wall_time_ms before = system_now_ms();
  const wall_time_ms now = port.now_ms();
  CHECK(now >= before);
  CHECK(now <= system_now_ms());
}
