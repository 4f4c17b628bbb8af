// What the machine itself can do, as bare as it can be said: the yardsticks of all other micro-benchmarks.
// They are measured in the same run, because a shared machine is not the same from one minute to the next.
#include "test/benchmark/support.hpp"
#include "test/support/temp_dir.hpp"

#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <unordered_map>

extern char** environ;

namespace task_runner::benchmarks {

namespace {

/// More than of what is held against them: all ratios hang on these.
constexpr int repetitions = 15;

/// Allocations, copies, hashes: what the daemon's own code consists of.
void calibrate_cpu(benchmark::State& state) {
  constexpr uint64_t texts = 64;
  for (auto _ : state) {
    std::unordered_map<std::string, uint64_t> table;
    uint64_t mixed = 88'172'645'463'325'252;
    for (uint64_t i = 0; i < texts; ++i) {
      mixed ^= mixed << 13;
      mixed ^= mixed >> 7;
      mixed ^= mixed << 17;
      std::string text(40, 'x');
      std::memcpy(text.data(), &mixed, sizeof mixed);
      table.emplace(std::move(text), mixed);
    }
    benchmark::DoNotOptimize(table.size());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(calibrate_cpu)->Name("calibration/cpu")->Repetitions(repetitions);

/// One page written and made durable, over and over within a file of 4 MiB, as the store's log is written.
void calibrate_sync(benchmark::State& state) {
  constexpr off_t page = 4'096;
  constexpr off_t file_size = 1'024 * page;
  const test::temp_dir directory("tr-micro");
  const std::string path = directory / "pages";
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const std::string whole(static_cast<size_t>(file_size), 'x');
  if (file < 0 || ::pwrite(file, whole.data(), whole.size(), 0) != file_size || ::fsync(file) != 0) {
    state.SkipWithError("the file cannot be written");
  } else {
    off_t at = 0;
    for (auto _ : state) {
      if (::pwrite(file, whole.data(), page, at) != page || ::fdatasync(file) != 0) {
        state.SkipWithError("the page cannot be made durable");
        break;
      }
      at = (at + page) % file_size;
    }
  }
  ::close(file);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(calibrate_sync)->Name("calibration/sync_4k")->Repetitions(repetitions)->UseRealTime();

/// `/bin/true` by posix_spawn, so many at once, each waited for.
void calibrate_spawn(benchmark::State& state) {
  const auto at_once = static_cast<size_t>(state.range(0));
  std::array<pid_t, 64> running{};
  std::string program = "/bin/true";
  char* const words[] = {program.data(), nullptr};
  const auto begin = [&](size_t slot) {
    if (::posix_spawn(&running[slot], program.c_str(), nullptr, nullptr, words, environ) == 0)
      return true;
    running[slot] = 0;
    state.SkipWithError("/bin/true cannot be started");
    return false;
  };
  const auto await = [&](size_t slot) {
    if (running[slot] == 0)
      return;
    while (::waitpid(running[slot], nullptr, 0) < 0 && errno == EINTR) {
    }
    running[slot] = 0;
  };
  for (size_t slot = 0; slot < at_once; ++slot)
    begin(slot);
  size_t oldest = 0;
  for (auto _ : state) {
    await(oldest);
    if (!begin(oldest))
      break;
    oldest = (oldest + 1) % at_once;
  }
  for (size_t slot = 0; slot < at_once; ++slot)
    await(slot);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(calibrate_spawn)
    ->Name("calibration/spawn")
    ->Repetitions(repetitions)
    ->Arg(1)
    ->Arg(16)
    ->UseRealTime();

/// A new file of 64 bytes, in memory.
void calibrate_file(benchmark::State& state) {
  const memory_directory directory;
  const std::string text(64, 'x');
  uint64_t number = 0;
  for (auto _ : state) {
    const std::string path = directory / std::to_string(++number);
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0 || ::write(file, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      state.SkipWithError("the file cannot be written");
      break;
    }
    ::close(file);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(calibrate_file)->Name("calibration/new_file")->Repetitions(repetitions)->UseRealTime();

/// Two threads that wake each other, there and back.
void calibrate_wake(benchmark::State& state) {
  std::mutex mutex;
  std::condition_variable changed;
  bool asked = false;
  bool over = false;
  std::thread other([&] {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return asked || over; });
      if (over)
        return;
      asked = false;
      changed.notify_one();
    }
  });
  for (auto _ : state) {
    std::unique_lock lock(mutex);
    asked = true;
    changed.notify_one();
    changed.wait(lock, [&] { return !asked; });
  }
  {
    const std::lock_guard lock(mutex);
    over = true;
  }
  changed.notify_one();
  other.join();
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(calibrate_wake)->Name("calibration/wake")->Repetitions(repetitions)->UseRealTime();

} // namespace

} // namespace task_runner::benchmarks
