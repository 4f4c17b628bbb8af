// What the store tests share: the two stores behind one face, tasks to put in, and values as text to compare.
// Everything lives in a temporary directory of its own that goes away with the test.
#pragma once

#include "services/ports/queue_store.hpp"

#include <catch2/catch.hpp>

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

/// A test of the contract, on the store in memory and on the embedded one.
#define STORE_TEST(name) TEMPLATE_TEST_CASE("store: " name, "", memory_backend, sqlite_backend)

namespace task_runner::test {

/// Longest that any test waits for something that should come at once.
constexpr int patience_s = 60;

/// A fresh directory under /tmp, removed with everything in it.
class temporary_directory {
public:
  temporary_directory();
  ~temporary_directory();
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

private:
  std::string path_;
};

/// The value, or a failed test with the error's message.
template <class T>
T require_value(result<T> from) {
  if (!from)
    FAIL("unexpected error: " << to_string(from.failure().code) << ": " << from.failure().message);
  return *std::move(from);
}

/// A store in memory, made anew by each open().
struct memory_backend {
  std::unique_ptr<queue_store> open();
};

/// A store in a file; open() opens it again.
struct sqlite_backend {
  temporary_directory directory;
  std::string path() const { return directory.file("task-runner.db"); }
  std::unique_ptr<queue_store> open();
};

/// A pending task that runs `true`.
task make_task(const std::string& id, const std::string& channel = "default");

/// The same with a distinct key.
task make_distinct_task(const std::string& id, const std::string& channel, const std::string& key);

/// A delayed one.
task make_delayed_task(const std::string& id, const std::string& channel, wall_time_ms not_before_ms);

/// A pending one with a concurrency key that at most `most` may have.
task make_keyed_task(const std::string& id, const std::string& channel, const std::string& key,
                     uint32_t most);

/// One in its first attempt.
task make_running_task(const std::string& id, const std::string& channel = "default");

/// The end of an attempt at moment 100: exit code 0 for finished, otherwise 1; delayed until 200.
settle_task settled(const std::string& id, uint32_t attempt, task_state state);

/// Applies one operation and returns its answer.
store_answer apply_one(queue_store& store, store_operation operation);
insert_answer insert(queue_store& store, task value, std::optional<push_origin> origin = std::nullopt);
change_answer changed(queue_store& store, store_operation operation);
bool change(queue_store& store, store_operation operation);

/// The ids, in order.
std::vector<std::string> ids_of(const std::vector<task>& tasks);

/// Every member as text, so that a difference shows where it is.
std::string render(const outcome& how);
std::string render(const task& value);
std::string render(const std::vector<task>& tasks);
std::string render(const attempt_record& value);
std::string render(const store_answer& answer);
std::string render(const channel_record& record);

/// All pages of a listing, one after the other.
std::vector<task> list_all(queue_store& store, const task_filter& filter, uint32_t limit = 1'000,
                           task_order order = task_order::newest_first);

/// Everything the store can be asked about these channels, ids and batches, as text.
std::string render_all(queue_store& store, const std::vector<std::string>& channels,
                       const std::vector<std::string>& ids, const std::vector<uint64_t>& batches);

/// Demands that the kept counts of an SQLite store agree with a real count, and that its file is sound. The
/// store may be open.
void require_sound_file(const std::string& path);

/// The memory this process occupies, in KiB.
uint64_t resident_kib();

/// A door that is closed until opened; waiting has a deadline and tells whether it was opened.
class gate {
public:
  void open();
  [[nodiscard]] bool wait();

private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool is_open_ = false;
};

/// Counts events from any thread; waiting has a deadline and tells whether the number was reached.
class event_counter {
public:
  void add();
  uint64_t count() const;
  [[nodiscard]] bool wait_for(uint64_t number);

private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t count_ = 0;
};

} // namespace task_runner::test
