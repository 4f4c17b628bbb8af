// The load of the crash tests: tasks of many kinds out of one seed, pushed over HTTP and through Redis until
// they are acknowledged. What was acknowledged is written down here; command_history tells what became of it.
#pragma once

#include "test/support/http_client.hpp"

#include <nlohmann/json.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace task_runner::test {

/// Random numbers that are the same everywhere for the same seed.
class random_source {
public:
  explicit random_source(uint64_t seed)
      : engine_(seed) {}
  /// 0 to count - 1.
  uint64_t below(uint64_t count) { return engine_() % count; }
  /// True so many times in a hundred.
  bool chance(uint64_t percent) { return below(100) < percent; }

private:
  std::mt19937_64 engine_;
};

/// The script that every task runs, and the file that it appends to.
struct command_files {
  std::string script;
  std::string history;
};

/// The text of that script.
std::string command_script();

/// How a command is written down in the push.
enum class command_form : uint8_t { plain_line, shell_line, argv };

/// One task to push, and what must come of it.
struct task_spec {
  std::string id;
  std::string channel;
  /// Only in a distinct channel: tasks with the same key have the same command line.
  std::string distinct_key;
  command_form form = command_form::plain_line;
  int exit_code = 0;
  int sleep_ms = 0;
  /// Lines of output before the last one, which has no newline.
  int output_lines = 0;
  /// Leaves a process of its session behind that lives so long and holds the output; 0: none.
  int background_ms = 0;
  int priority = 0;
  /// Not before so long after its first push; 0: at once.
  int delay_ms = 0;
  /// So many first attempts fail in a way that is worth another one.
  uint32_t fails_first = 0;
  /// At most so many tasks of the channel with the same key run at once; empty: no key.
  std::string concurrency_key;
  int concurrency_max = 0;

  /// The words of the command.
  std::vector<std::string> words(const command_files& files) const;
  /// The same as a command line.
  std::string line(const command_files& files) const;
  /// Every byte that it writes to stdout and stderr.
  std::string expected_output() const;
  /// Its options as form fields, and as members of a JSON document.
  name_values option_fields() const;
  nlohmann::json option_members() const;
};

/// Channels of the load: name and workers. The last one is distinct.
const std::map<std::string, int>& load_channels();
/// The INI sections of these channels.
std::string load_channels_ini();
extern const char* const distinct_channel;

/// What is known of one pushed task.
struct pushed_task {
  task_spec spec;
  bool through_redis = false;
  /// How often it has been handed over; more than once when an answer did not come.
  int pushes = 0;
  /// When it was handed over first, seconds since boot.
  double pushed_at_s = 0;
  bool acknowledged = false;
  /// It was a duplicate: this task stands for it.
  std::string holder;
};

/// Pushes from threads of its own. Thread-safe.
class task_load {
public:
  task_load(uint64_t seed, command_files files);
  ~task_load();
  task_load(const task_load&) = delete;
  task_load& operator=(const task_load&) = delete;

  /// Where to push from now on; 0: nowhere, as the server is being killed. A closed port may soon be somebody
  /// else's, so it is taken back before the kill.
  void set_http_port(uint16_t port) { http_port_ = port; }
  void set_redis_port(uint16_t port) { redis_port_ = port; }

  /// Lets so many more tasks be pushed.
  void grant(int count);
  /// Waits until everything that was begun is acknowledged, and ends the threads; false at the deadline.
  [[nodiscard]] bool finish(std::chrono::milliseconds deadline);

  /// What has been acknowledged, and is no duplicate of another task, since the last call.
  std::vector<std::string> take_acknowledged();
  /// Acknowledged tasks so far.
  size_t acknowledged_count() const;
  std::map<std::string, pushed_task> tasks() const;
  pushed_task task(const std::string& id) const;
  /// Answers that must not be.
  std::vector<std::string> offences() const;

private:
  struct connections;

  void run(bool through_redis, const std::string& prefix, uint64_t seed);
  bool take_grant();
  void push_until_acknowledged(const task_spec& spec, bool through_redis, connections& open);
  /// True when it is decided.
  bool push_http(const task_spec& spec, connections& open);
  bool push_redis(const task_spec& spec, connections& open);
  /// Gives how often it has been handed over, this time included.
  int note_push(const std::string& id);
  void acknowledge(const std::string& id, const std::string& holder);
  void add_offence(const std::string& what);

  const command_files files_;
  std::atomic<uint16_t> http_port_{0};
  std::atomic<uint16_t> redis_port_{0};
  std::atomic<bool> give_up_{false};

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int granted_ = 0;
  bool finishing_ = false;
  int threads_running_ = 0;
  std::map<std::string, pushed_task> tasks_;
  std::vector<std::string> fresh_;
  size_t acknowledged_ = 0;
  std::vector<std::string> offences_;

  std::vector<std::thread> threads_;
};

} // namespace task_runner::test
