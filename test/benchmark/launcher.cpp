// A command by way of the real launcher: from the client's start() to its on_ended(), then settled.
// The launcher is this program again, as the daemon's is the daemon's. Its state directory is in memory.
#include "services/launcher/launcher_client.hpp"
#include "services/launcher/owned_descriptor.hpp"
#include "test/benchmark/support.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

namespace task_runner::benchmarks {

namespace {

/// Keeps the ends that have come; one thread takes them.
class ends final : public process_events {
public:
  void on_started(const attempt_started&) override {}
  void on_ended(const attempt_ended& event) override {
    const std::lock_guard lock(mutex_);
    ended_.push_back(event);
    changed_.notify_one();
  }

  /// The next end; nothing when none comes within `patience`.
  std::optional<attempt_ended> take() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, patience, [this] { return !ended_.empty(); }))
      return std::nullopt;
    auto event = std::move(ended_.front());
    ended_.pop_front();
    return event;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<attempt_ended> ended_;
};

/// A launcher of its own with its client; both are gone when it is.
class launcher_place {
public:
  launcher_place()
      : client_(options_of(directory_.path()))
      , started_(client_.start_service(ends_)) {}

  ~launcher_place() {
    const int pid = client_.health().launcher_pid;
    client_.stop();
    if (pid == 0)
      return;
    // It leaves by itself once nobody has come back; its directory must not go before.
    const launcher::owned_descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    pollfd wait{process.get(), POLLIN, 0};
    if (process)
      ::poll(&wait, 1, static_cast<int>(std::chrono::milliseconds(patience).count()));
  }
  launcher_place(const launcher_place&) = delete;
  launcher_place& operator=(const launcher_place&) = delete;

  const result<void>& started() const noexcept { return started_; }

  bool start(const std::string& line) {
    attempt_start wanted;
    wanted.key = {task_id_of(++last_number_), 1};
    wanted.channel = "default";
    wanted.line = line;
    return bool(client_.start(std::move(wanted)));
  }

  /// Waits for the next end, which must be exit code 0, and settles it.
  bool finish() {
    const auto end = ends_.take();
    if (!end || !end->how.succeeded())
      return false;
    client_.settled(end->key);
    return true;
  }

private:
  static launcher_client_options options_of(const std::string& directory) {
    launcher_client_options options;
    options.state_dir = directory;
    options.launcher_arguments = {"--idle-grace-ms", "100"};
    return options;
  }

  memory_directory directory_;
  ends ends_;
  launcher_client client_;
  uint64_t last_number_ = 0;
  result<void> started_;
};

/// So many commands at any time; an iteration is one that ends and one that takes its place.
void run_commands(benchmark::State& state, const char* line) {
  const auto at_once = static_cast<uint64_t>(state.range(0));
  launcher_place place;
  if (!place.started()) {
    state.SkipWithError(place.started().failure().message.c_str());
    return;
  }
  uint64_t running = 0;
  for (; running < at_once && place.start(line); ++running) {
  }
  bool works = running == at_once;
  for (auto _ : state) {
    works = works && place.finish() && place.start(line);
    if (!works) {
      state.SkipWithError("a command could not be started, did not end, or failed");
      break;
    }
  }
  for (; works && running > 0; --running)
    works = place.finish();
  hold_against(state, at_once == 1 ? spawn_1 : spawn_16);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(run_commands, silent, "/bin/true")->Name("launcher/true")->Arg(1)->Arg(16)->UseRealTime();
BENCHMARK_CAPTURE(run_commands, with_output, "/bin/echo done")
    ->Name("launcher/echo")
    ->Arg(1)
    ->Arg(16)
    ->UseRealTime();

} // namespace

} // namespace task_runner::benchmarks
