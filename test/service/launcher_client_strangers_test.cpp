// The daemon's side of the conversation with launchers of another version or program, and with such as do not
// work. What they answer is the test's.
#include "services/launcher/packet_socket.hpp"
#include "services/launcher/protocol.hpp"
#include "test/service/launcher_support.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

using namespace task_runner;
using launcher_test::scratch_directory;

namespace {

attempt_start wanted_true() {
  attempt_start start;
  start.key = {"t", 1};
  start.channel = "default";
  start.line = "true";
  return start;
}

/// Something that answers on launcher.sock as the test says. Its thread ends with it.
class strange_launcher {
public:
  using answer = std::function<std::vector<launcher::any_message>(const launcher::any_message& asked)>;

  strange_launcher(const std::string& dir, answer answers)
      : answer_(std::move(answers)) {
    auto directory = launcher::open_directory(dir);
    REQUIRE(directory);
    auto listener = launcher::listen_in(directory->get(), dir);
    REQUIRE(listener);
    listener_ = std::move(*listener);
    thread_ = std::thread([this] { serve(); });
  }
  ~strange_launcher() {
    stop_.wake();
    thread_.join();
  }
  /// How many messages of this kind have come.
  template <class Message>
  size_t count() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return static_cast<size_t>(std::count_if(
        asked_.begin(), asked_.end(), [](const auto& one) { return std::holds_alternative<Message>(one); }));
  }
  bool saw_program() const { return saw_program_; }

private:
  void serve() {
    for (;;) {
      std::array<pollfd, 2> waits{pollfd{listener_.get(), POLLIN, 0}, pollfd{stop_.get(), POLLIN, 0}};
      ::poll(waits.data(), waits.size(), -1);
      if (waits[1].revents != 0)
        return;
      const launcher::owned_descriptor peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!peer)
        continue;
      converse(peer.get());
    }
  }

  void converse(int peer) {
    for (;;) {
      std::array<pollfd, 2> waits{pollfd{peer, POLLIN, 0}, pollfd{stop_.get(), POLLIN, 0}};
      ::poll(waits.data(), waits.size(), -1);
      std::string bytes;
      std::vector<launcher::owned_descriptor> descriptors;
      if (waits[1].revents != 0 ||
          launcher::receive_packet(peer, bytes, descriptors) != launcher::packet_status::done)
        return;
      const auto decoded = launcher::decode(bytes);
      if (!decoded)
        return;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        asked_.push_back(*decoded);
      }
      if (std::holds_alternative<launcher::upgrade_message>(*decoded))
        saw_program_ = descriptors.size() == 1 &&
                       launcher::identify_program(descriptors[0].get()) == launcher::own_program();
      for (const launcher::any_message& one : answer_(*decoded)) {
        launcher::send_packet(peer, launcher::encode(one));
        if (std::holds_alternative<launcher::refused_message>(one))
          return;
      }
    }
  }

  answer answer_;
  launcher::owned_descriptor listener_;
  launcher::wake_descriptor stop_;
  mutable std::mutex mutex_;
  std::vector<launcher::any_message> asked_;
  std::atomic<bool> saw_program_{false};
  std::thread thread_;
};

} // namespace

TEST_CASE("a launcher of another version is asked once to go over, and then said to be in the way",
          "[launcher][client]") {
  const scratch_directory scratch;
  strange_launcher stranger(scratch.path(), [](const launcher::any_message& asked) {
    std::vector<launcher::any_message> answers;
    if (std::holds_alternative<launcher::upgrade_message>(asked))
      answers.push_back(launcher::upgrade_failed_message{"it does not want to"});
    else if (std::holds_alternative<launcher::hello_message>(asked))
      answers.push_back(launcher::refused_message{40, 41, "no common version"});
    return answers;
  });
  launcher_test::recorder events;
  launcher_client_options options;
  options.state_dir = scratch.path();
  options.start_wait_ms = 2'000;
  launcher_client client(options);
  const result<void> started = client.start_service(events);
  REQUIRE_FALSE(started);
  CHECK(started.failure().message == "no launcher: the launcher refused: no common version");
  CHECK(stranger.count<launcher::upgrade_message>() == 1);
  CHECK(stranger.saw_program());
  // It has tried again in the meantime, with a hello.
  CHECK(stranger.count<launcher::hello_message>() >= 2);
  CHECK(client.health().upgrade_failure == "it does not want to");
}

TEST_CASE("a launcher with another program is asked once, and worked with all the same",
          "[launcher][client]") {
  const scratch_directory scratch;
  strange_launcher stranger(scratch.path(), [](const launcher::any_message& asked) {
    std::vector<launcher::any_message> answers;
    if (std::holds_alternative<launcher::upgrade_message>(asked)) {
      answers.push_back(launcher::upgrade_failed_message{"not today"});
    } else if (std::holds_alternative<launcher::introduction_message>(asked)) {
      launcher::welcome_message welcome;
      welcome.launcher_pid = static_cast<uint32_t>(::getpid());
      welcome.launcher_version = "9.9.9";
      welcome.program = {1, 2, 3, 4};
      answers.push_back(welcome);
      answers.push_back(launcher::ready_message{});
    }
    return answers;
  });
  for (const bool may_ask : {true, false}) {
    launcher_test::recorder events;
    launcher_client_options options;
    options.state_dir = scratch.path();
    if (!may_ask)
      options.program.clear();
    launcher_client client(options);
    REQUIRE(client.start_service(events));
    REQUIRE(client.start(wanted_true()));
    if (may_ask) {
      CHECK(test::wait_until([&] { return client.health().upgrade_failure == "not today"; }));
    }
    CHECK(test::wait_until([&] { return client.health().queued == 0; }));
    CHECK(client.health().connected);
    CHECK(client.health().launcher_version == "9.9.9");
    client.stop();
    CHECK(stranger.count<launcher::upgrade_message>() == 1);
  }
}

TEST_CASE("a launcher is asked whether it works only where it knows the question", "[launcher][client]") {
  const uint16_t version = GENERATE(launcher::protocol_version_min, launcher::protocol_version_ping);
  CAPTURE(version);
  const scratch_directory scratch;
  strange_launcher stranger(scratch.path(), [version](const launcher::any_message& asked) {
    std::vector<launcher::any_message> answers;
    if (std::holds_alternative<launcher::introduction_message>(asked)) {
      launcher::welcome_message welcome;
      welcome.version = version;
      welcome.program = launcher::own_program();
      answers.push_back(welcome);
      answers.push_back(launcher::ready_message{});
    } else if (std::holds_alternative<launcher::ping_message>(asked)) {
      answers.push_back(launcher::pong_message{3, "processes", 65'000});
    }
    return answers;
  });
  launcher_test::recorder events;
  launcher_client_options options;
  options.state_dir = scratch.path();
  options.ping_pause_ms = 10;
  options.silence_max_ms = 50;
  launcher_client client(options);
  REQUIRE(client.start_service(events));
  if (version >= launcher::protocol_version_ping) {
    REQUIRE(test::wait_until([&] { return stranger.count<launcher::ping_message>() >= 3; }));
    REQUIRE(test::wait_until([&] { return !client.health().healthy(); }));
    CHECK(client.health().reason() == "3 starts have waited for resources for 65s: processes");
    CHECK(client.health().connected);
  } else {
    // Time enough for it to be asked and to be found silent.
    REQUIRE(client.start(wanted_true()));
    const auto asked_by = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
    REQUIRE(test::wait_until([&] { return std::chrono::steady_clock::now() > asked_by; }));
    CHECK(stranger.count<launcher::ping_message>() == 0);
    CHECK(stranger.count<launcher::requests_message>() == 1);
    CHECK(client.health().healthy());
  }
  client.stop();
}
