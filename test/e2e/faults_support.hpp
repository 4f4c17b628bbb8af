// What the tests of faults share: a daemon whose files lie on a disk of the test's own, one that is started
// by another program (which lowers limits first), and the way to say that a test could not be made here.
#pragma once

#include "test/e2e/gate.hpp"
#include "test/support/daemon.hpp"
#include "test/support/redis_client.hpp"
#include "test/support/small_disk.hpp"

#include <catch2/catch.hpp>

#include <cstdio>
#include <filesystem>

namespace task_runner::test {

/// Says loudly that nothing was tested. Followed by `return`.
#define TR_SKIP(why) WARN("SKIPPED, nothing was tested: " << (why))

/// Waits until nothing of the daemon is left. Its launcher, which would stay for some seconds, is killed.
inline void end_leftovers(test_daemon& runner) {
  REQUIRE(runner.commands().empty());
  runner.end_launcher();
  REQUIRE(wait_until([&] { return runner.processes().empty(); }));
}

/// Stops the daemon in order, and what is left of it.
inline void stop_whole(test_daemon& runner) {
  REQUIRE(runner.stop() == process_end{true, 0});
  end_leftovers(runner);
}

/// kill -9 of daemon and launcher, as with the machine: what is on the disk is all there is.
inline void kill_whole(test_daemon& runner) {
  runner.kill();
  end_leftovers(runner);
}

/// Stops the daemon and starts it again with its state directory, empty, on `disk`.
template <class Disk>
void move_state(test_daemon& runner, const Disk& disk) {
  stop_whole(runner);
  std::filesystem::remove_all(runner.state_dir());
  std::filesystem::create_directory_symlink(disk.path(), runner.state_dir());
  runner.start();
}

/// Starts the daemon of `runner`, which has been stopped, by way of another program.
class wrapped_daemon {
public:
  /// `wrapper` gets the daemon's command line as its last arguments and must become it.
  wrapped_daemon(test_daemon& runner, const std::vector<std::string>& wrapper)
      : options_(runner.start_options()) {
    options_.argv.insert(options_.argv.begin(), wrapper.begin(), wrapper.end());
    child_ = std::make_unique<process>(options_);
  }
  ~wrapped_daemon() {
    http_.reset();
    if (child_->running()) {
      child_->signal(SIGTERM);
      if (!child_->wait(std::chrono::seconds(10)))
        child_->kill();
    }
  }
  wrapped_daemon(const wrapped_daemon&) = delete;
  wrapped_daemon& operator=(const wrapped_daemon&) = delete;

  /// Waits until it serves; false when it ends instead.
  bool serves() {
    constexpr std::string_view mark = "address=127.0.0.1:";
    std::string log;
    if (!wait_until([&] {
          log = child_->error_output();
          return log.find(mark) != std::string::npos || !child_->running();
        }) ||
        !child_->running())
      return false;
    port_ = static_cast<uint16_t>(std::stoi(log.substr(log.find(mark) + mark.size())));
    http_ = std::make_unique<http_client>(port_);
    return wait_until([&] { return http_->get("/status?limit=1").status == 200; });
  }
  process& child() { return *child_; }
  http_client& http() { return *http_; }
  uint16_t port() const { return port_; }
  process_end stop() {
    http_.reset();
    child_->signal(SIGTERM);
    const auto end = child_->wait(std::chrono::seconds(30));
    REQUIRE(end);
    return *end;
  }

private:
  process_options options_;
  std::unique_ptr<process> child_;
  std::unique_ptr<http_client> http_;
  uint16_t port_ = 0;
};

/// Options of a program that is given nothing but its words.
inline process_options program(std::vector<std::string> words) {
  process_options options;
  options.argv = std::move(words);
  return options;
}

/// A shell that lowers a limit and then becomes the program that follows.
inline std::vector<std::string> with_limit(const std::string& limit) {
  return {"bash", "-c", "ulimit " + limit + R"( && exec "$@")", "limited"};
}

/// Pushes a command line and gives its id; the answer must be 200.
inline std::string push_over(http_client& http, const std::string& line, const std::string& channel = {}) {
  name_values fields{{"task", line}};
  if (!channel.empty())
    fields.emplace_back("channel", channel);
  const auto answer = http.post_form("/push", fields);
  INFO(answer.body);
  REQUIRE(answer.status == 200);
  return answer.json().at("data").at("task_id");
}

/// Demands a refusal that a client can work with: 503, when to come again, and a sentence.
inline void check_unavailable(const http_answer& answer, const std::string& says) {
  INFO(answer.body);
  CHECK(answer.status == 503);
  CHECK(answer.json().at("status_code") == 503);
  CHECK_FALSE(answer.header("retry-after").empty());
  CHECK(answer.json().at("message").get<std::string>().find(says) != std::string::npos);
}

/// Clock ticks of CPU that a process has used.
inline long used_ticks(int pid) {
  const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  long user = 0;
  long system = 0;
  const auto name_end = stat.rfind(')');
  REQUIRE(name_end != std::string::npos);
  REQUIRE(std::sscanf(stat.c_str() + name_end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld",
                      &user, &system) == 2);
  return user + system;
}

/// How many messages wait in the intake list or in taken lists.
inline size_t messages_in(redis_client& redis) {
  auto count = static_cast<size_t>(redis.command({"LLEN", "task:prepare:queue"}).integer);
  for (const auto& list : redis.command({"KEYS", "{task:prepare:queue}:taken:*"}).texts())
    count += static_cast<size_t>(redis.command({"LLEN", list}).integer);
  return count;
}

/// Pushes `count` messages for the channel `free` while the store takes nothing: that is told, and all of
/// them stay in Redis. Each would append its name, `message-I`, to the file `ran`.
inline void push_messages_that_stay(redis_client& redis, test_daemon& runner, size_t count,
                                    const std::string& ran) {
  for (size_t i = 0; i < count; ++i)
    redis.command({"LPUSH", "task:prepare:queue",
                   R"({"chan":"free","task":")" + append_line("message-" + std::to_string(i), ran) + "\"}"});
  REQUIRE(
      wait_until([&] { return runner.log().find("tasks cannot be handed over now") != std::string::npos; }));
  CHECK(messages_in(redis) == count);
}

/// The wait for what heals by itself: the daemon's pauses between attempts grow to some seconds.
constexpr std::chrono::seconds healing_deadline{60};

} // namespace task_runner::test
