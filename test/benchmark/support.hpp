// What the micro-benchmarks share: which calibration each is held against, tasks to work with, and a way to
// wait for what other threads report.
#pragma once

#include "services/domain/task.hpp"

#include <benchmark/benchmark.h>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>

namespace task_runner::benchmarks {

// What the machine itself can do, measured in the same run (calibration.cpp). Machines differ, so that a
// benchmark's time means something only as a multiple of one of these.
constexpr const char* cpu = "calibration/cpu";
constexpr const char* sync_4k = "calibration/sync_4k/real_time";
constexpr const char* spawn_1 = "calibration/spawn/1/real_time";
constexpr const char* spawn_16 = "calibration/spawn/16/real_time";
constexpr const char* new_file = "calibration/new_file/real_time";
constexpr const char* wake = "calibration/wake/real_time";

/// Says what the benchmark is compared with; scripts/bench/micro_compare.py reads it in the label. Every
/// benchmark calls it once.
inline void hold_against(benchmark::State& state, const char* calibration) {
  state.SetLabel(std::string("against ") + calibration);
}

/// How long anything that should come at once is waited for; then the benchmark fails.
constexpr std::chrono::seconds patience{30};

/// A moment for the records of tasks.
constexpr wall_time_ms some_moment_ms = 1'800'000'000'000;

/// The id of the task with this number, of the length that ids have.
std::string task_id_of(uint64_t number);
/// The number in such an id.
uint64_t number_of(const std::string& task_id);

/// A directory of its own in memory, removed with everything in it. For files whose durability is not what is
/// measured: on ext4 a new file costs up to forty times as much while many have been deleted a moment ago,
/// because inodes are not used again for some time, and the search for one passes over them all.
class memory_directory {
public:
  memory_directory();
  ~memory_directory();
  memory_directory(const memory_directory&) = delete;
  memory_directory& operator=(const memory_directory&) = delete;

  /// Absolute; empty when it could not be made.
  const std::string& path() const noexcept { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

private:
  std::string path_;
};

/// A pending task as a push makes it: default channel, a command line of usual length.
task make_task(uint64_t number);

/// Counts what other threads report; one thread waits.
class arrivals {
public:
  void add() {
    const std::lock_guard lock(mutex_);
    ++count_;
    if (count_ >= awaited_)
      changed_.notify_one();
  }

  /// Whether the count reaches `number` within `patience`.
  [[nodiscard]] bool reach(uint64_t number) {
    std::unique_lock lock(mutex_);
    awaited_ = number;
    return changed_.wait_for(lock, patience, [&] { return count_ >= number; });
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t count_ = 0;
  uint64_t awaited_ = 0;
};

} // namespace task_runner::benchmarks
