// The retention over a real writer thread and a store in memory: what is kept, what goes, and in what order.
#include "services/observability/log.hpp"
#include "services/store/group_commit.hpp"
#include "services/store/memory_store.hpp"
#include "services/store/retention.hpp"
#include "test/support/wait.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <future>
#include <map>
#include <mutex>
#include <set>

using namespace task_runner;
using namespace task_runner::test;

namespace {

constexpr wall_time_ms start_ms = 1'800'000'000'000;
constexpr int64_t hour_ms = 3'600'000;

class still_clock final : public wall_clock {
public:
  wall_time_ms now_ms() const override { return now; }
  std::atomic<wall_time_ms> now{start_ms};
};

/// Output as a set of keys, each with the moment of its last byte.
class fake_archive final : public output_archive {
public:
  uint32_t shards() const override { return 4; }
  result<std::vector<attempt_key>> list(uint32_t shard, wall_time_ms before_ms, size_t limit) override {
    const std::lock_guard lock(mutex_);
    std::vector<attempt_key> keys;
    for (const auto& [key, written_ms] : files_)
      if (key.attempt % shards() == shard && written_ms < before_ms && keys.size() < limit)
        keys.push_back(key);
    return keys;
  }
  result<void> remove(const attempt_key& key) override {
    const std::lock_guard lock(mutex_);
    if (broken)
      return error{error_code::unavailable, "read-only"};
    files_.erase(key);
    return {};
  }
  void put(const attempt_key& key, wall_time_ms written_ms = 1) {
    const std::lock_guard lock(mutex_);
    files_[key] = written_ms;
  }
  bool has(const attempt_key& key) const {
    const std::lock_guard lock(mutex_);
    return files_.count(key) > 0;
  }
  size_t size() const {
    const std::lock_guard lock(mutex_);
    return files_.size();
  }
  std::atomic<bool> broken{false};

private:
  mutable std::mutex mutex_;
  std::map<attempt_key, wall_time_ms> files_;
};

/// Store, archive and clock of one retention, which is started by the test.
struct setup {
  setup() {
    log_options silent;
    silent.level = log_level::off;
    REQUIRE(configure_log(silent));
    auto started = group_commit::start(std::make_unique<memory_store>());
    REQUIRE(started);
    writer = std::move(*started);
    options.settle_pause = std::chrono::milliseconds(20);
    options.retry_pause = std::chrono::milliseconds(50);
    options.kept_bytes_max = 1'000;
    options.batch = 3;
  }

  void commit(std::vector<store_operation> operations) {
    std::promise<result<std::vector<store_answer>>> done;
    REQUIRE(writer->submit(std::move(operations),
                           [&](result<std::vector<store_answer>> answers) { done.set_value(answers); }));
    REQUIRE(done.get_future().get());
  }

  /// A task that ended, with output of its one attempt.
  void add_ended(const std::string& id, task_state state, wall_time_ms ended_at_ms, uint64_t bytes = 10) {
    task value;
    value.id = id;
    value.channel = "default";
    value.name = "date";
    value.state = task_state::running;
    value.attempt = 1;
    value.created_at_ms = value.started_at_ms = ended_at_ms - 1;
    settle_task settle;
    settle.id = id;
    settle.attempt = 1;
    settle.state = state;
    settle.how.code = state == task_state::finished ? 0 : 1;
    settle.ended_at_ms = ended_at_ms;
    settle.output_bytes = bytes;
    commit({insert_task{value, std::nullopt}, settle});
    archive.put({id, 1});
  }

  bool stored(const std::string& id) {
    std::promise<bool> found;
    REQUIRE(writer->read([&](queue_store& store) {
      const auto value = store.find_task(id);
      found.set_value(value && value->has_value());
    }));
    return found.get_future().get();
  }

  retention& start() {
    keeper = std::make_unique<retention>(options, *writer, archive, clock);
    REQUIRE(keeper->start());
    return *keeper;
  }

  retention_options options;
  still_clock clock;
  fake_archive archive;
  std::unique_ptr<group_commit> writer;
  std::unique_ptr<retention> keeper;
};

std::string name(int number) {
  return "task-" + std::to_string(100 + number);
}

} // namespace

TEST_CASE("tasks too old for their kind go with their output at the start, the others stay") {
  setup parts;
  parts.options.age_ms = hour_ms;
  parts.options.dead_age_ms = 10 * hour_ms;
  for (int i = 0; i < 10; ++i)
    parts.add_ended(name(i), task_state::finished, start_ms - 2 * hour_ms);
  parts.add_ended("young", task_state::finished, start_ms - hour_ms / 2);
  parts.add_ended("dead", task_state::dead, start_ms - 2 * hour_ms);
  parts.add_ended("long dead", task_state::dead, start_ms - 20 * hour_ms);
  auto& keeper = parts.start();
  CHECK(wait_until([&] { return keeper.counters().tasks_purged == 11; }));
  CHECK(wait_until([&] { return parts.archive.size() == 2; }));
  CHECK(parts.stored("young"));
  CHECK(parts.stored("dead"));
  CHECK_FALSE(parts.stored("long dead"));
  CHECK_FALSE(parts.stored(name(0)));
  CHECK(parts.archive.has({"young", 1}));
  CHECK(parts.archive.has({"dead", 1}));
}

TEST_CASE("ended tasks beyond the number that is kept go, the oldest first, when others have ended") {
  setup parts;
  parts.options.count = 5;
  auto& keeper = parts.start();
  for (int i = 0; i < 12; ++i)
    parts.add_ended(name(i), task_state::finished, start_ms + i);
  keeper.task_ended();
  CHECK(wait_until([&] { return keeper.counters().outputs_deleted == 7; }));
  CHECK_FALSE(parts.stored(name(6)));
  CHECK(parts.stored(name(7)));
  CHECK(parts.archive.size() == 5);
}

TEST_CASE("ended tasks go while their output is more than is kept") {
  setup parts;
  parts.options.bytes = 4'500;
  for (int i = 0; i < 10; ++i)
    parts.add_ended(name(i), task_state::finished, start_ms + i, 50'000); // 1,000 of each are kept
  auto& keeper = parts.start();
  CHECK(wait_until([&] { return keeper.counters().outputs_deleted == 6; }));
  CHECK(parts.archive.has({name(6), 1}));
  CHECK_FALSE(parts.archive.has({name(5), 1}));
}

TEST_CASE("output that no task claims is swept at the start, and nothing else is touched") {
  setup parts;
  parts.add_ended("kept", task_state::finished, start_ms);
  for (uint32_t attempt = 1; attempt <= 9; ++attempt)
    parts.archive.put({"orphan", attempt});
  parts.archive.put({"fresh", 1}, start_ms + 1); // written since the start: not an orphan, whatever it is
  auto& keeper = parts.start();
  CHECK(wait_until([&] { return keeper.counters().swept; }));
  CHECK(keeper.counters().orphans_deleted == 9);
  CHECK(parts.archive.has({"kept", 1}));
  CHECK(parts.archive.has({"fresh", 1}));
  CHECK(parts.archive.size() == 2);
}

TEST_CASE("the output of deleted tasks goes soon") {
  setup parts;
  auto& keeper = parts.start();
  std::vector<attempt_key> keys;
  for (uint32_t attempt = 1; attempt <= 10; ++attempt) {
    keys.push_back({"deleted", attempt});
    parts.archive.put(keys.back(), start_ms + 1);
  }
  keeper.discard(keys);
  CHECK(wait_until([&] { return parts.archive.size() == 0; }));
}

TEST_CASE("a file system that refuses is tried again, and says why meanwhile") {
  setup parts;
  parts.archive.put({"orphan", 1});
  parts.archive.broken = true;
  auto& keeper = parts.start();
  CHECK(wait_until([&] { return keeper.counters().last_error == "read-only"; }));
  parts.archive.broken = false;
  CHECK(wait_until([&] { return keeper.counters().swept; }));
  CHECK(wait_until([&] { return keeper.counters().last_error.empty(); }));
  CHECK(parts.archive.size() == 0);
}

TEST_CASE("a retention without anything to do leaves the store alone, and ends at once") {
  setup parts;
  parts.options.age_ms = hour_ms;
  auto& keeper = parts.start();
  CHECK(wait_until([&] { return keeper.counters().swept; }));
  CHECK(wait_until([&] { return parts.writer->counters().reads >= 1; })); // it asked whether anything may age
  const auto before = std::chrono::steady_clock::now();
  keeper.stop();
  CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(5));
}
