// Helpers of the store tests.
// Rendering is deliberately complete: two stores agree only if every member does.
#include "test/contract/store_support.hpp"

#include "services/store/memory_store.hpp"
#include "services/store/sqlite_connection.hpp"
#include "services/store/sqlite_store.hpp"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace task_runner::test {

temporary_directory::temporary_directory() {
  std::string pattern = "/tmp/tr-store-XXXXXX";
  const char* const made = ::mkdtemp(pattern.data());
  REQUIRE(made != nullptr);
  path_ = made;
}

temporary_directory::~temporary_directory() {
  std::error_code ignored; // A directory that cannot be removed shows in /tmp; the test's verdict stands.
  std::filesystem::remove_all(path_, ignored);
}

std::unique_ptr<queue_store> memory_backend::open() {
  return std::make_unique<memory_store>();
}

std::unique_ptr<queue_store> sqlite_backend::open() {
  return require_value(open_sqlite_store(path()));
}

task make_task(const std::string& id, const std::string& channel) {
  task value;
  value.id = id;
  value.channel = channel;
  value.name = "true";
  value.created_at_ms = 1'700'000'000'000;
  return value;
}

task make_distinct_task(const std::string& id, const std::string& channel, const std::string& key) {
  task value = make_task(id, channel);
  value.distinct_key = key;
  return value;
}

task make_delayed_task(const std::string& id, const std::string& channel, wall_time_ms not_before_ms) {
  task value = make_task(id, channel);
  value.state = task_state::delayed;
  value.not_before_ms = not_before_ms;
  return value;
}

store_answer apply_one(queue_store& store, store_operation operation) {
  std::vector<store_operation> operations;
  operations.push_back(std::move(operation));
  auto answers = require_value(store.apply(operations));
  REQUIRE(answers.size() == 1);
  return std::move(answers.front());
}

insert_answer insert(queue_store& store, task value, std::optional<push_origin> origin) {
  return std::get<insert_answer>(apply_one(store, insert_task{std::move(value), origin}));
}

bool change(queue_store& store, store_operation operation) {
  return std::get<change_answer>(apply_one(store, std::move(operation))).applied;
}

std::vector<std::string> ids_of(const std::vector<task>& tasks) {
  std::vector<std::string> ids;
  for (const auto& one : tasks)
    ids.push_back(one.id);
  return ids;
}

std::string render(const task& value) {
  std::ostringstream text;
  text << "task " << value.id << " #" << value.sequence << " in " << value.channel << " "
       << to_string(value.state) << " name=" << value.name << " line=" << value.command.line
       << " argv=" << value.command.argv.size();
  for (const auto& word : value.command.argv)
    text << "[" << word << "]";
  text << " key=" << value.distinct_key << " attempt=" << value.attempt << " recoveries=" << value.recoveries
       << " created=" << value.created_at_ms << " not_before=" << value.not_before_ms
       << " started=" << value.started_at_ms << " ended=" << value.ended_at_ms;
  if (value.last_outcome)
    text << " outcome=" << to_string(value.last_outcome->kind) << "/" << value.last_outcome->code << "/"
         << value.last_outcome->error;
  return text.str();
}

std::string render(const store_answer& answer) {
  std::ostringstream text;
  if (const auto* inserted = std::get_if<insert_answer>(&answer)) {
    text << "insert " << static_cast<int>(inserted->what) << " #" << inserted->sequence << " "
         << inserted->holder_id;
  } else if (const auto* changed = std::get_if<change_answer>(&answer)) {
    text << "change " << changed->applied;
  } else {
    const auto& promoted = std::get<promote_answer>(answer);
    text << "promoted next=" << promoted.next_due_ms;
    for (const auto& one : promoted.promoted)
      text << "\n  " << render(one);
  }
  return text.str();
}

std::string render(const channel_record& record) {
  const auto optional_number = [](const auto& value) {
    return value ? std::to_string(static_cast<uint32_t>(*value)) : std::string("-");
  };
  std::ostringstream text;
  text << "channel " << record.name << " distinct=" << record.distinct
       << " worker=" << optional_number(record.worker) << " ini=" << optional_number(record.from_ini.distinct)
       << "/" << optional_number(record.from_ini.worker) << " created=" << record.created_at_ms;
  return text.str();
}

std::string render_all(queue_store& store, const std::vector<std::string>& channels,
                       const std::vector<std::string>& ids, const std::vector<uint64_t>& batches) {
  std::ostringstream text;
  for (const auto& record : require_value(store.load_channels()))
    text << render(record) << "\n";
  for (const auto& channel : channels) {
    const auto recovery = require_value(store.recover_channel(channel));
    text << channel << " pending=" << recovery.pending_count << " delayed=" << recovery.delayed_count
         << " next=" << recovery.next_due_ms << "\n";
    for (const auto& one : recovery.running)
      text << "  running " << render(one) << "\n";
    // Page by page, so that the bounds of a window are compared too.
    order_key after = 0;
    for (;;) {
      const auto window = require_value(store.load_pending(channel, after, {7, 1'500}));
      if (window.empty())
        break;
      text << "  page of " << window.size() << "\n";
      for (const auto& one : window)
        text << "  pending " << render(one) << "\n";
      after = window.back().sequence;
    }
    for (const auto& one : require_value(store.load_delayed(channel, 10)))
      text << "  delayed " << render(one) << "\n";
  }
  for (const auto& id : ids) {
    const auto found = require_value(store.find_task(id));
    text << (found ? render(*found) : id + " is unknown") << "\n";
  }
  for (const uint64_t batch : batches) {
    text << "batch " << batch << ":";
    for (const uint32_t position : require_value(store.load_marks(batch)))
      text << " " << position;
    text << "\n";
  }
  text << "marked:";
  for (const uint64_t batch : require_value(store.load_marked_batches()))
    text << " " << batch;
  const auto sums = require_value(store.totals());
  text << "\ntotals " << sums.pending << " " << sums.delayed << " " << sums.running << " " << sums.ended
       << "\n";
  return text.str();
}

void require_sound_file(const std::string& path) {
  const auto checked = guarded([&] {
    sqlite_connection connection(path);
    REQUIRE(connection.query_text("PRAGMA integrity_check") == "ok");
    for (const char* const state : {"pending", "delayed", "running", "ended"}) {
      const std::string condition = state == std::string("pending")   ? "state = 0"
                                    : state == std::string("delayed") ? "state = 1"
                                    : state == std::string("running") ? "state = 2"
                                                                      : "state > 2";
      const std::string wrong = "SELECT count(*) FROM channel_counts c WHERE " + std::string(state) +
                                " <> (SELECT count(*) FROM tasks t WHERE t.channel = c.number AND t." +
                                condition + ")";
      INFO(wrong);
      REQUIRE(connection.query_number(wrong.c_str()) == 0);
    }
    REQUIRE(connection.query_number("SELECT count(*) FROM tasks") ==
            connection.query_number("SELECT sum(pending + delayed + running + ended) FROM channel_counts"));
  });
  if (!checked)
    FAIL(checked.failure().message);
}

uint64_t resident_kib() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word)
    if (word == "VmRSS:") {
      uint64_t kib = 0;
      status >> kib;
      return kib;
    }
  FAIL("/proc/self/status has no VmRSS");
  return 0;
}

// Notified under the lock: whoever waited may destroy the gate as soon as it has the lock.
void gate::open() {
  const std::lock_guard lock(mutex_);
  is_open_ = true;
  opened_.notify_all();
}

bool gate::wait() {
  std::unique_lock lock(mutex_);
  return opened_.wait_for(lock, std::chrono::seconds(patience_s), [this] { return is_open_; });
}

void event_counter::add() {
  const std::lock_guard lock(mutex_);
  ++count_;
  changed_.notify_all();
}

uint64_t event_counter::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

bool event_counter::wait_for(uint64_t number) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(patience_s), [&] { return count_ >= number; });
}

} // namespace task_runner::test
