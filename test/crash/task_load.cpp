// Kinds of tasks, and the threads that push them.
// An answer that does not come decides nothing: the same task is pushed again under the same id.
#include "test/crash/task_load.hpp"

#include "test/support/redis_client.hpp"

#include <nlohmann/json.hpp>

#include <ctime>
#include <stdexcept>
#include <utility>

namespace task_runner::test {

namespace {

/// Threads that push over HTTP; one more pushes through Redis.
constexpr int http_threads = 2;
/// Before a push that was refused or not answered is made again.
constexpr std::chrono::milliseconds retry_pause{10};
/// More lines than this come from seq(1), so that the shell does not take longer than the kills allow.
constexpr int shell_lines_max = 100;
constexpr const char* intake_key = "task:prepare:queue";
/// The only exit code after which another attempt is made, where a task has several; the script has it too.
constexpr int retried_exit_code = 75;
constexpr int retry_pause_ms = 50;

double seconds_since_boot() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

std::string seconds_text(int ms) {
  auto text = std::to_string(1'000 + ms % 1'000);
  return std::to_string(ms / 1'000) + "." + text.substr(1);
}

/// The next task of a thread.
task_spec make_spec(random_source& random, const std::string& id) {
  task_spec spec;
  spec.id = id;
  const auto place = random.below(100);
  spec.channel = place < 10 ? "one" : place < 35 ? "few" : place < 85 ? "many" : distinct_channel;
  if (spec.channel == distinct_channel) {
    const int key = static_cast<int>(random.below(6));
    spec.distinct_key = std::to_string(key);
    spec.exit_code = key % 3;
    spec.sleep_ms = 25 * key;
    spec.output_lines = key;
    return spec;
  }
  spec.form = static_cast<command_form>(random.below(3));
  const auto kind = random.below(100);
  if (kind >= 35)
    spec.sleep_ms = static_cast<int>(50 + random.below(spec.channel == "one" ? 50 : 250));
  if (spec.channel == "many" && random.chance(5))
    spec.sleep_ms = static_cast<int>(400 + random.below(500)); // outlives the restart of a daemon
  if (random.chance(25))
    spec.exit_code = static_cast<int>(1 + random.below(125));
  if (random.chance(5))
    spec.output_lines = static_cast<int>(5'000 + random.below(15'000));
  else if (random.chance(50))
    spec.output_lines = static_cast<int>(random.below(static_cast<uint64_t>(shell_lines_max)));
  if (random.chance(6))
    spec.background_ms = static_cast<int>(50 + random.below(500));
  if (random.chance(30))
    spec.priority = static_cast<int>(random.below(11)) - 5;
  if (random.chance(10))
    spec.delay_ms = static_cast<int>(20 + random.below(900));
  if (random.chance(12) && spec.exit_code != retried_exit_code)
    spec.fails_first = static_cast<uint32_t>(1 + random.below(2));
  if (spec.channel != "one" && random.chance(15)) {
    spec.concurrency_max = static_cast<int>(1 + random.below(2));
    spec.concurrency_key = "at most " + std::to_string(spec.concurrency_max);
  }
  return spec;
}

} // namespace

const char* const distinct_channel = "same";

const std::map<std::string, int>& load_channels() {
  static const std::map<std::string, int> channels{
      {"one", 1}, {"few", 3}, {"many", 8}, {distinct_channel, 2}};
  return channels;
}

std::string load_channels_ini() {
  std::string text;
  for (const auto& [name, workers] : load_channels())
    text += "[channel." + name + "]\nworker = " + std::to_string(workers) + "\n" +
            (name == distinct_channel ? "distinct = true\n" : "");
  return text;
}

std::string command_script() {
  // Every line to the history is one echo, so one write to a descriptor opened for appending.
  // SIGPIPE is ignored, so that what outlives its launcher does not end by its output alone, unseen.
  return R"(# HISTORY EXIT_CODE SLEEP_SECONDS OUTPUT_LINES BACKGROUND_SECONDS FAILS_FIRST
trap '' PIPE
me="$TASK_RUNNER_TASK_ID $TASK_RUNNER_ATTEMPT"
read -r now rest </proc/uptime
echo "S $me $$ $PPID $now" >>"$1"
if [ "$5" != 0.000 ]; then
  (sleep "$5"; echo "B $me" >>"$1") &
fi
if [ "$4" -gt 100 ]; then
  seq 1 "$4"
else
  i=0
  while [ "$i" -lt "$4" ]; do
    if [ $((i % 2)) = 0 ]; then echo "$TASK_RUNNER_TASK_ID says $i"; else echo "$TASK_RUNNER_TASK_ID warns $i" >&2; fi
    i=$((i + 1))
  done
fi
[ "$3" = 0.000 ] || sleep "$3"
printf %s "end of $TASK_RUNNER_TASK_ID"
read -r now rest </proc/uptime
echo "E $me $now" >>"$1"
[ "$TASK_RUNNER_ATTEMPT" -gt "$6" ] || exit 75
exit "$2"
)";
}

std::vector<std::string> task_spec::words(const command_files& files) const {
  return {"sh",
          files.script,
          files.history,
          std::to_string(exit_code),
          seconds_text(sleep_ms),
          std::to_string(output_lines),
          seconds_text(background_ms),
          std::to_string(fails_first)};
}

nlohmann::json task_spec::option_members() const {
  auto members = nlohmann::json::object();
  if (priority != 0)
    members["priority"] = priority;
  if (delay_ms > 0)
    members["delay"] = delay_ms / 1000.0;
  if (fails_first > 0) {
    members["max_attempts"] = fails_first + 1;
    members["backoff"] = "constant";
    members["backoff_s"] = retry_pause_ms / 1000.0;
    members["retry_on"] = {retried_exit_code};
  }
  if (!concurrency_key.empty()) {
    members["concurrency_key"] = concurrency_key;
    members["concurrency_max"] = concurrency_max;
  }
  return members;
}

name_values task_spec::option_fields() const {
  name_values fields;
  const auto members = option_members();
  for (const auto& [name, value] : members.items())
    fields.emplace_back(name, value.is_string()  ? value.get<std::string>()
                              : value.is_array() ? value.front().dump()
                                                 : value.dump());
  return fields;
}

std::string task_spec::line(const command_files& files) const {
  std::string text = form == command_form::shell_line ? "exec" : "";
  for (const auto& word : words(files))
    text += (text.empty() ? "" : " ") + word;
  // Only a shell understands this.
  return form == command_form::shell_line ? text + " </dev/null" : text;
}

std::string task_spec::expected_output() const {
  std::string text;
  for (int i = 0; i < output_lines; ++i) {
    if (output_lines > shell_lines_max)
      text += std::to_string(i + 1) + "\n";
    else
      text += id + (i % 2 == 0 ? " says " : " warns ") + std::to_string(i) + "\n";
  }
  return text + "end of " + id;
}

/// What one thread keeps open.
struct task_load::connections {
  std::unique_ptr<http_client> http;
  std::unique_ptr<redis_client> redis;
  uint16_t http_port = 0;
};

task_load::task_load(uint64_t seed, command_files files)
    : files_(std::move(files)) {
  for (int i = 0; i <= http_threads; ++i) {
    const bool through_redis = i == http_threads;
    const auto prefix = through_redis ? "r" : "h" + std::to_string(i) + "-";
    const auto own_seed = seed * 31 + static_cast<uint64_t>(i);
    ++threads_running_;
    threads_.emplace_back([=] { run(through_redis, prefix, own_seed); });
  }
}

task_load::~task_load() {
  give_up_ = true;
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    finishing_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_)
    thread.join();
}

void task_load::grant(int count) {
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    granted_ += count;
  }
  changed_.notify_all();
}

bool task_load::finish(std::chrono::milliseconds deadline) {
  std::unique_lock<std::mutex> lock(mutex_);
  finishing_ = true;
  changed_.notify_all();
  return changed_.wait_for(lock, deadline, [this] { return threads_running_ == 0; });
}

std::vector<std::string> task_load::take_acknowledged() {
  const std::lock_guard<std::mutex> guard(mutex_);
  return std::exchange(fresh_, {});
}

size_t task_load::acknowledged_count() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return acknowledged_;
}

std::map<std::string, pushed_task> task_load::tasks() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return tasks_;
}

pushed_task task_load::task(const std::string& id) const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return tasks_.at(id);
}

std::vector<std::string> task_load::offences() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return offences_;
}

void task_load::run(bool through_redis, const std::string& prefix, uint64_t seed) {
  random_source random(seed);
  connections open;
  for (uint64_t number = 0; take_grant(); ++number) {
    const auto spec = make_spec(random, prefix + std::to_string(number));
    {
      const std::lock_guard<std::mutex> guard(mutex_);
      auto& entry = tasks_[spec.id];
      entry.spec = spec;
      entry.through_redis = through_redis;
    }
    push_until_acknowledged(spec, through_redis, open);
    // Bursts with pauses between, so that kills meet both a busy intake and an idle one.
    if (random.chance(40))
      std::this_thread::sleep_for(std::chrono::microseconds(random.below(30'000)));
  }
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    --threads_running_;
  }
  changed_.notify_all();
}

bool task_load::take_grant() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return granted_ > 0 || finishing_; });
  if (finishing_)
    return false;
  --granted_;
  return true;
}

void task_load::push_until_acknowledged(const task_spec& spec, bool through_redis, connections& open) {
  while (!give_up_) {
    try {
      if (through_redis ? push_redis(spec, open) : push_http(spec, open))
        return;
    } catch (const std::exception&) { // the server was killed; nobody knows what it has taken
      open.http.reset();
      open.redis.reset();
    }
    std::this_thread::sleep_for(retry_pause);
  }
}

bool task_load::push_http(const task_spec& spec, connections& open) {
  const uint16_t port = http_port_;
  if (port == 0)
    return false;
  if (!open.http || open.http_port != port)
    open.http = std::make_unique<http_client>(port);
  open.http_port = port;
  name_values fields = spec.option_fields();
  fields.insert(fields.end(), {{"channel", spec.channel}, {"id", spec.id}});
  if (spec.form == command_form::argv) {
    const auto words = spec.words(files_);
    fields.insert(fields.end(), {{"task", "of " + spec.id}, {"command", words.front()}});
    for (size_t i = 1; i < words.size(); ++i)
      fields.emplace_back("args", words[i]);
  } else {
    fields.emplace_back("task", spec.line(files_));
  }
  const int pushes = note_push(spec.id);
  const auto answer = open.http->post_form("/push", fields);
  if (answer.status == 429 || answer.status == 503)
    return false;
  const auto body = answer.json();
  if (answer.status != 200) {
    add_offence("the push of task " + spec.id + " was refused: " + answer.body);
    return true;
  }
  const std::string id = body.at("data").at("task_id");
  if (body.at("data").at("result") == true) {
    if (id != spec.id)
      add_offence("task " + spec.id + " was taken under another id: " + answer.body);
    acknowledge(spec.id, {});
  } else if (id == spec.id) {
    if (pushes == 1)
      add_offence("task " + spec.id + " was pushed once and called a duplicate of itself");
    acknowledge(spec.id, {});
  } else {
    acknowledge(spec.id, id);
  }
  return true;
}

bool task_load::push_redis(const task_spec& spec, connections& open) {
  const uint16_t port = redis_port_;
  if (port == 0)
    return false;
  if (!open.redis)
    open.redis = std::make_unique<redis_client>(port);
  auto message = spec.option_members();
  message["chan"] = spec.channel;
  message["id"] = spec.id;
  if (spec.form == command_form::argv) {
    auto words = spec.words(files_);
    message["command"] = {{"name", words.front()}};
    words.erase(words.begin());
    message["command"]["args"] = words;
  } else {
    message["task"] = spec.line(files_);
  }
  note_push(spec.id);
  const auto reply = open.redis->command({"LPUSH", intake_key, message.dump()});
  if (reply.type == redis_value::kind::error)
    return false; // it is still loading its data
  acknowledge(spec.id, {});
  return true;
}

int task_load::note_push(const std::string& id) {
  const std::lock_guard<std::mutex> guard(mutex_);
  auto& entry = tasks_.at(id);
  if (entry.pushes == 0)
    entry.pushed_at_s = seconds_since_boot();
  return ++entry.pushes;
}

void task_load::acknowledge(const std::string& id, const std::string& holder) {
  const std::lock_guard<std::mutex> guard(mutex_);
  auto& entry = tasks_.at(id);
  entry.acknowledged = true;
  entry.holder = holder;
  ++acknowledged_;
  if (holder.empty()) {
    fresh_.push_back(id);
    return;
  }
  const auto found = tasks_.find(holder);
  if (found == tasks_.end() || found->second.spec.distinct_key != entry.spec.distinct_key ||
      entry.spec.distinct_key.empty())
    offences_.push_back("task " + id + " was called a duplicate of " + holder + ", which is another command");
}

void task_load::add_offence(const std::string& what) {
  const std::lock_guard<std::mutex> guard(mutex_);
  offences_.push_back(what);
}

} // namespace task_runner::test
