// The thread behind followers of output, with outputs that the test writes and a server of its own: pieces
// that are shared, signs of life, ends that nobody told, disks that fail, and clients that do not read.
#include "services/http/http_server.hpp"
#include "services/streaming/output_followers.hpp"
#include "test/support/event_client.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>

using namespace task_runner;
using namespace task_runner::test;

namespace {

/// Outputs in memory.
class written_outputs final : public attempt_output {
public:
  result<output_stretch> read(const attempt_key& key, uint64_t offset, size_t length_max) override {
    std::unique_lock lock(mutex_);
    ++reads_;
    answers_.wait(lock, [this] { return !hangs_; });
    if (broken_)
      return error{error_code::unavailable, "the disk is gone"};
    const auto& text = texts_[key];
    output_stretch found;
    found.offset = offset;
    found.written = text.size();
    if (offset < text.size())
      found.bytes = text.substr(offset, length_max);
    return found;
  }
  void write(const attempt_key& key, const std::string& bytes) {
    const std::lock_guard lock(mutex_);
    texts_[key] += bytes;
  }
  void break_down() {
    const std::lock_guard lock(mutex_);
    broken_ = true;
  }
  /// Reads do not come back until this is called with false.
  void hang(bool hangs) {
    const std::lock_guard lock(mutex_);
    hangs_ = hangs;
    answers_.notify_all();
  }
  int reads() {
    const std::lock_guard lock(mutex_);
    return reads_;
  }

private:
  std::mutex mutex_;
  std::map<attempt_key, std::string> texts_;
  std::condition_variable answers_;
  bool broken_ = false;
  bool hangs_ = false;
  int reads_ = 0;
};

task a_task(const std::string& id, task_state state, uint32_t attempt = 1) {
  task value;
  value.id = id;
  value.state = state;
  value.attempt = attempt;
  return value;
}

/// A server whose /ID follows attempt 1 of task ID, as this object has it.
class following_server {
public:
  explicit following_server(output_followers_limits limits = {}, http_server_options options = {})
      : followers(
            outputs, [this](const std::string& id) { look_up(id); }, limits)
      , server_(std::move(options)) {
    REQUIRE(followers.start());
    REQUIRE(server_.route("GET", "/:id", [this](const http_request& request, const http_responder& to) {
      const std::string id(request.path_parameter("id"));
      const std::lock_guard lock(mutex_);
      followers.follow(to, 1, std::stoul(std::string(request.query("offset").value_or("0"))),
                       {id, tasks_.at(id), {}});
    }));
    REQUIRE(server_.start());
  }
  ~following_server() { stop(); }
  following_server(const following_server&) = delete;
  following_server& operator=(const following_server&) = delete;

  void stop() {
    server_.stop();
    followers.stop();
  }
  /// What is found of a task from now on.
  void set(const task& value) {
    const std::lock_guard lock(mutex_);
    tasks_[value.id] = value;
  }
  /// The task ends, for look-ups and for those who are told.
  void end(const std::string& id, int code = 0) {
    const outcome how{outcome_kind::exited, code, {}};
    auto over = a_task(id, code == 0 ? task_state::finished : task_state::dead);
    over.last_outcome = how;
    set(over);
    followers.on_task_events({{id, "default", 1, over.state, how, 0}});
  }
  /// Look-ups find nothing from now on.
  void lose(const std::string& id) {
    const std::lock_guard lock(mutex_);
    lost_.push_back(id);
  }
  int looked_up() const { return looked_up_; }
  event_client follow(const std::string& id, int receive_buffer = 0) {
    return {server_.port(), "/" + id, {}, receive_buffer};
  }
  const http_counters& counters() const { return server_.counters(); }

  written_outputs outputs;
  output_followers followers;

private:
  void look_up(const std::string& id) {
    ++looked_up_;
    task_sighting seen{id, std::nullopt, {}};
    {
      const std::lock_guard lock(mutex_);
      if (std::find(lost_.begin(), lost_.end(), id) == lost_.end())
        seen.value = tasks_.at(id);
    }
    followers.task_seen(std::move(seen));
  }

  std::mutex mutex_;
  std::map<std::string, task> tasks_;
  std::vector<std::string> lost_;
  std::atomic<int> looked_up_{0};
  http_server server_;
};

const attempt_key first{"a", 1};

} // namespace

TEST_CASE("events of the queues begin and end what is followed") {
  following_server runner;
  runner.set(a_task("a", task_state::pending, 0));
  CHECK_FALSE(runner.followers.is_interested());
  auto client = runner.follow("a");
  REQUIRE(wait_until([&] { return runner.looked_up() == 1; }));
  CHECK(runner.followers.is_interested());
  runner.outputs.write(first, "before it is known to run");
  runner.followers.on_task_events({{"b", "default", 1, task_state::running, std::nullopt, 0}});
  runner.followers.on_task_events({{"a", "default", 1, task_state::running, std::nullopt, 0}});
  CHECK(client.expect("output").at("text") == "before it is known to run");
  runner.outputs.write(first, ", and the rest");
  runner.end("a", 2);
  CHECK(client.expect("output").at("text") == ", and the rest");
  CHECK(client.expect("end").at("outcome").at("code") == 2);
  CHECK_FALSE(client.next());
  CHECK(wait_until([&] { return !runner.followers.is_interested(); }));
}

TEST_CASE("an output that does not begin is not looked at") {
  output_followers_limits limits;
  limits.heartbeat = std::chrono::milliseconds(100);
  following_server runner(limits);
  runner.set(a_task("a", task_state::pending, 0));
  auto client = runner.follow("a");
  for (int i = 0; i < 8; ++i)
    client.await_comment();
  CHECK(runner.outputs.reads() == 1);
}

TEST_CASE("an end that nobody told of is found when it is looked up, at the start and with each heartbeat") {
  output_followers_limits limits;
  limits.heartbeat = std::chrono::milliseconds(50);
  following_server runner(limits);
  const bool is_gone = GENERATE(false, true);
  runner.set(a_task("a", task_state::running));
  auto client = runner.follow("a");
  client.await_comment();
  client.await_comment();
  CHECK(runner.looked_up() >= 2);
  auto over = a_task("a", task_state::finished);
  over.last_outcome = outcome{};
  if (is_gone)
    runner.lose("a");
  else
    runner.set(over);
  const auto end = client.expect("end");
  CHECK(end.at("state") == (is_gone ? nlohmann::json() : nlohmann::json("finished")));
}

TEST_CASE("what is known of one task says nothing of another") {
  following_server runner;
  runner.set(a_task("a", task_state::running));
  runner.set(a_task("ab", task_state::running));
  auto client = runner.follow("a");
  auto other = runner.follow("ab");
  runner.outputs.write({"ab", 1}, "ab's");
  runner.end("ab");
  CHECK(other.expect("output").at("text") == "ab's");
  CHECK(other.expect("end").at("task_id") == "ab");
  runner.outputs.write(first, "a's");
  CHECK(client.expect("output").at("text") == "a's");
}

TEST_CASE("followers at the same place share what is read") {
  following_server runner;
  runner.set(a_task("a", task_state::running));
  std::vector<event_client> clients;
  for (int i = 0; i < 50; ++i)
    clients.push_back(runner.follow("a"));
  runner.outputs.write(first, "once");
  for (auto& client : clients)
    CHECK(client.expect("output").at("text") == "once");
  const auto reads = runner.outputs.reads();
  runner.outputs.write(first, "twice");
  for (auto& client : clients)
    CHECK(client.expect("output").at("text") == "twice");
  // Two for the event and what is behind it, and looks that found nothing.
  CHECK(runner.outputs.reads() - reads < 25);
}

TEST_CASE("an output that cannot be read is told, and ends the stream") {
  following_server runner;
  runner.set(a_task("a", task_state::running));
  auto client = runner.follow("a");
  runner.outputs.write(first, "so far");
  CHECK(client.expect("output").at("text") == "so far");
  runner.outputs.break_down();
  CHECK(client.expect("failure") == nlohmann::json{{"code", "unavailable"}, {"message", "the disk is gone"}});
  CHECK_FALSE(client.next());
}

TEST_CASE("a client that does not read holds up nobody, and is cut") {
  http_server_options options;
  options.stream_stall_ms = 300;
  following_server runner({}, options);
  runner.set(a_task("a", task_state::running));
  auto dead = runner.follow("a", 4'096);
  auto client = runner.follow("a");
  const std::string much(4'000'000, 'x');
  runner.outputs.write(first, much);
  size_t come = 0;
  while (come < much.size())
    come += client.expect("output").at("text").get<std::string>().size();
  CHECK(come == much.size());
  CHECK(wait_until([&] { return runner.counters().streams_cut == 1; }));
  CHECK(wait_until([&] { return runner.counters().streams_open == 1; }));
  runner.outputs.write(first, "alive");
  CHECK(client.expect("output").at("text") == "alive");
  runner.end("a");
  CHECK(client.expect("end").at("state") == "finished");
}

TEST_CASE("a client that reads slowly gets everything all the same") {
  following_server runner;
  runner.set(a_task("a", task_state::running));
  std::string much;
  for (int i = 0; much.size() < 1'000'000; ++i)
    much += "line " + std::to_string(i) + "\n";
  runner.outputs.write(first, much);
  auto client = runner.follow("a", 4'096);
  std::string come;
  while (come.size() < much.size())
    come += client.expect("output").at("text").get<std::string>();
  CHECK(come == much);
  CHECK(runner.counters().streams_cut == 0);
}

TEST_CASE("what ends while nobody reads news is looked up when there was too much") {
  output_followers_limits limits;
  limits.news_max = 1;
  following_server runner(limits);
  runner.set(a_task("a", task_state::running));
  auto client = runner.follow("a");
  REQUIRE(wait_until([&] { return runner.looked_up() == 1; }));
  auto over = a_task("a", task_state::finished);
  over.last_outcome = outcome{};
  runner.set(over);
  const task_event retold{"a", "default", 1, task_state::running, std::nullopt, 0};
  runner.followers.on_task_events({retold, retold, {"a", "default", 1, over.state, over.last_outcome, 0}});
  CHECK(client.expect("end").at("state") == "finished");
}

TEST_CASE("while a disk hangs so many new followers wait, and the streams of others end") {
  output_followers_limits limits;
  limits.arrivals_max = 1;
  following_server runner(limits);
  for (const auto* id : {"a", "b", "c"}) {
    runner.set(a_task(id, task_state::running));
    runner.outputs.write({id, 1}, "something");
  }
  runner.outputs.hang(true);
  auto first = runner.follow("a");
  REQUIRE(wait_until([&] { return runner.outputs.reads() == 1; }));
  std::vector<event_client> later;
  later.push_back(runner.follow("b"));
  later.push_back(runner.follow("c"));
  CHECK(wait_until([&] { return runner.counters().streams_open == 2; }));
  runner.outputs.hang(false);
  CHECK(first.expect("output").at("text") == "something");
  CHECK(std::count_if(later.begin(), later.end(), [](auto& one) { return one.next().has_value(); }) == 1);
}

TEST_CASE("streams end when the followers are stopped, and later ones at once") {
  following_server runner;
  runner.set(a_task("a", task_state::running));
  auto client = runner.follow("a");
  runner.followers.stop();
  CHECK_FALSE(client.next());
  auto late = runner.follow("a");
  CHECK_FALSE(late.next());
  CHECK(wait_until([&] { return runner.counters().streams_open == 0; }));
}
