// What the launcher's tests share: a state directory, a recorder of events, and care for every process they
// start. Everything waits for a condition with a deadline; nothing sleeps.
#pragma once

#include "services/launcher/launcher_client.hpp"

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace launcher_test {

/// How long a test waits for what should happen at once; generous for loaded machines and sanitizers.
constexpr int patience_ms = 20'000;

/// Most descriptors of a launcher that runs nothing: its own, and two for each cgroup that it keeps open.
constexpr int idle_descriptors_max = 24 + 2 * 64;

/// A directory under /tmp, removed at the end.
class scratch_directory {
public:
  scratch_directory();
  explicit scratch_directory(const std::string& below);
  ~scratch_directory();
  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;
  const std::string& path() const { return path_; }

private:
  std::string path_;
  std::string remove_;
};

std::string read_file(const std::string& path);
void write_file(const std::string& path, const std::string& text, int mode = 0644);

/// Descriptors that a process has open.
int open_descriptors(int pid);

/// Whether the process ends (or is gone) within the time.
bool wait_gone(int pid, int timeout_ms = patience_ms);

/// Whether the process executes the program of this name within the time.
bool wait_comm(int pid, const std::string& name);

/// Whether the file holds something within the time.
bool wait_file(const std::string& path, int timeout_ms = patience_ms);

/// Another file with this test program in it; see launcher_main.cpp for what it does by its name.
std::string copy_of_self(const std::string& directory, const std::string& name);

/// The program that a process runs.
std::string program_of(int pid);

/// Keeps every event and lets a test wait for it.
class recorder : public task_runner::process_events {
public:
  void on_started(const task_runner::attempt_started& event) override;
  void on_ended(const task_runner::attempt_ended& event) override;

  std::optional<task_runner::attempt_started> wait_started(const task_runner::attempt_key& key);
  std::optional<task_runner::attempt_ended> wait_ended(const task_runner::attempt_key& key);
  bool wait_ended_count(size_t count);
  size_t ended_count() const;
  /// How often this key has ended.
  size_t times_ended(const task_runner::attempt_key& key) const;

private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<task_runner::attempt_key, task_runner::attempt_started> started_;
  std::map<task_runner::attempt_key, std::vector<task_runner::attempt_ended>> ended_;
  size_t ended_count_ = 0;
};

/// A state directory with a launcher and a client. At its end the client is stopped, and the launcher must
/// leave by itself; CHECKs that it does.
class launcher_fixture {
public:
  /// `binary` is what launchers are started from.
  explicit launcher_fixture(std::vector<std::string> arguments = {}, const std::string& below = {},
                            std::string binary = "/proc/self/exe");
  ~launcher_fixture();

  const std::string& dir() const { return directory_.path(); }
  task_runner::launcher_client& client() { return *client_; }
  recorder& events() { return *events_; }
  task_runner::launcher_client_options options() const;

  /// Another client, as the next daemon would have it; the former one is destroyed first.
  void next_daemon();
  /// The same, of a daemon that was started from this program.
  void next_daemon(const std::string& program);
  /// The same, of a client with other options.
  void next_daemon_with(const std::function<void(task_runner::launcher_client_options&)>& change);
  /// The pid in launcher.pid; 0 when there is none.
  int launcher_pid() const;

  static task_runner::attempt_key key(const std::string& id) { return {id, 1}; }
  void start(const std::string& id, const std::string& line, const std::string& channel = "default");
  void start_argv(const std::string& id, const std::vector<std::string>& argv);
  /// Starts a line, waits for its end and settles it.
  task_runner::attempt_ended run(const std::string& id, const std::string& line);
  task_runner::attempt_ended await(const std::string& id);
  std::string output(const std::string& id) const;

private:
  scratch_directory directory_;
  std::vector<std::string> arguments_;
  std::string binary_;
  std::set<std::string> channels_;
  std::unique_ptr<recorder> events_;
  std::unique_ptr<task_runner::launcher_client> client_;
};

/// Whether the launcher that the client is connected to has gone over to other programs so often, in time.
bool settles_on(launcher_fixture& fixture, uint32_t upgrades);

/// Settles all attempts of channel `default` that have ended.
void settle_ended(launcher_fixture& fixture);

} // namespace launcher_test
