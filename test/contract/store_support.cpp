// Helpers of the store tests.
// Rendering is deliberately complete: two stores agree only if every member does.
#include "test/contract/store_support.hpp"

#include "services/store/memory_store.hpp"
#include "services/store/sqlite_connection.hpp"
#include "services/store/sqlite_store.hpp"
#include "services/wire/task_options_json.hpp"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

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

task make_keyed_task(const std::string& id, const std::string& channel, const std::string& key,
                     uint32_t most) {
  task value = make_task(id, channel);
  value.concurrency_key = key;
  value.concurrency_max = most;
  return value;
}

task make_running_task(const std::string& id, const std::string& channel) {
  task value = make_task(id, channel);
  value.state = task_state::running;
  value.attempt = 1;
  value.started_at_ms = 1;
  return value;
}

settle_task settled(const std::string& id, uint32_t attempt, task_state state) {
  settle_task made;
  made.id = id;
  made.attempt = attempt;
  made.state = state;
  made.how.code = state == task_state::finished ? 0 : 1;
  made.ended_at_ms = 100;
  if (state == task_state::delayed)
    made.not_before_ms = 200;
  return made;
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

change_answer changed(queue_store& store, store_operation operation) {
  return std::get<change_answer>(apply_one(store, std::move(operation)));
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

std::string render(const outcome& how) {
  return std::string(to_string(how.kind)) + "/" + std::to_string(how.code) + "/" + how.error;
}

std::string render(const task& value) {
  std::ostringstream text;
  text << "task " << value.id << " #" << value.sequence << " in " << value.channel << " "
       << to_string(value.state) << (value.held ? " held" : "") << " name=" << value.name
       << " line=" << value.command.line << " argv=" << value.command.argv.size();
  for (const auto& word : value.command.argv)
    text << "[" << word << "]";
  text << " key=" << value.distinct_key << (value.distinct_while_pending ? " while pending" : "")
       << " priority=" << value.priority << " concurrency=" << value.concurrency_key << "/"
       << value.concurrency_max << " attempt=" << value.attempt << " before=" << value.attempts_before
       << " recoveries=" << value.recoveries << " created=" << value.created_at_ms
       << " not_before=" << value.not_before_ms << (value.delay_is_relative ? " relative" : "")
       << " expires=" << value.expires_at_ms << " started=" << value.started_at_ms
       << " ended=" << value.ended_at_ms << " output=" << value.output_bytes;
  if (value.launcher_id != 0)
    text << " launcher=" << value.launcher_id;
  if (value.cancel_requested)
    text << " to be cancelled";
  if (value.last_outcome)
    text << " outcome=" << render(*value.last_outcome);
  if (value.options)
    text << " options=" << encode_task_options(*value.options);
  return text.str();
}

std::string render(const attempt_record& value) {
  std::ostringstream text;
  text << "attempt " << value.attempt << " started=" << value.started_at_ms << " ended=" << value.ended_at_ms
       << " outcome=" << render(value.how) << " output=" << value.output_bytes;
  return text.str();
}

std::string render(const std::vector<task>& tasks) {
  std::string text;
  for (const auto& one : tasks)
    text += "\n  " + render(one);
  return text;
}

std::string render(const store_answer& answer) {
  std::ostringstream text;
  if (const auto* inserted = std::get_if<insert_answer>(&answer)) {
    text << "insert " << static_cast<int>(inserted->what) << " #" << inserted->sequence << " "
         << inserted->holder_id << (inserted->same_definition ? " same" : "")
         << (inserted->held ? " held" : "");
  } else if (const auto* changed = std::get_if<change_answer>(&answer)) {
    text << "change " << changed->applied;
    if (changed->before != task_state::pending || changed->was_held)
      text << " was=" << to_string(changed->before) << (changed->was_held ? " held" : "");
    if (!changed->holder_id.empty())
      text << " holder=" << changed->holder_id;
    if (changed->after)
      text << "\n  after " << render(*changed->after);
    if (!changed->released.empty())
      text << "\n released" << render(changed->released);
  } else if (const auto* promoted = std::get_if<promote_answer>(&answer)) {
    text << "promoted next=" << promoted->next_due_ms << " held=" << promoted->held_count
         << render(promoted->promoted);
  } else if (const auto* swept = std::get_if<sweep_answer>(&answer)) {
    text << "swept next=" << swept->next_expiry_ms << render(swept->cancelled) << "\n released"
         << render(swept->released);
  } else if (const auto* request = std::get_if<request_answer>(&answer)) {
    text << "request " << static_cast<int>(request->what) << " " << request->identity.task_id << " "
         << request->identity.batch << " " << request->answer.status << " " << request->answer.content_type
         << " " << request->answer.body;
  } else {
    const auto& purged = std::get<purge_answer>(answer);
    text << "purged " << purged.tasks << (purged.more ? " and more" : "");
    for (const auto& key : purged.purged)
      text << "\n  " << key.task_id << "." << key.attempt;
  }
  return text.str();
}

std::string render(const channel_record& record) {
  const auto optional_number = [](const auto& value) {
    return value ? std::to_string(static_cast<uint64_t>(*value)) : std::string("-");
  };
  std::ostringstream text;
  const auto& ini = record.from_ini;
  text << "channel " << record.name << " distinct=" << to_string(record.distinct)
       << " worker=" << optional_number(record.worker) << " weight=" << record.weight
       << " tasks_max=" << optional_number(record.tasks_max) << (record.paused ? " paused" : "")
       << " defaults=" << encode_task_options(record.defaults) << " ini=" << optional_number(ini.distinct)
       << "/" << optional_number(ini.worker) << "/" << optional_number(ini.weight) << "/"
       << optional_number(ini.tasks_max) << "/" << encode_task_options(ini.defaults)
       << " created=" << record.created_at_ms;
  return text.str();
}

std::vector<task> list_all(queue_store& store, const task_filter& filter, uint32_t limit, task_order order) {
  std::vector<task> all;
  listing_place after{order};
  do {
    auto page = require_value(store.list_tasks(filter, after, limit));
    REQUIRE(page.tasks.size() <= limit);
    REQUIRE((page.next.is_beginning() || page.next.order == order));
    if (order == task_order::newest_first && !page.next.is_beginning() && !after.is_beginning())
      REQUIRE(page.next.sequence < after.sequence);
    after = page.next;
    for (auto& one : page.tasks)
      all.push_back(std::move(one));
  } while (!after.is_beginning());
  return all;
}

std::string render_all(queue_store& store, const std::vector<std::string>& channels,
                       const std::vector<std::string>& ids, const std::vector<uint64_t>& batches) {
  std::ostringstream text;
  for (const auto& record : require_value(store.load_channels()))
    text << render(record) << "\n";
  for (const auto& channel : channels) {
    const auto recovery = require_value(store.recover_channel(channel));
    text << channel << " pending=" << recovery.pending_count << " held=" << recovery.held_count
         << " delayed=" << recovery.delayed_count << " next=" << recovery.next_due_ms << "/"
         << recovery.next_expiry_ms << "\n  running" << render(recovery.running) << "\n";
    // Page by page, so that the bounds of a window are compared too.
    for (order_key after = order_front;;) {
      const auto window = require_value(store.load_pending(channel, after, {7, 1'500}));
      if (window.empty())
        break;
      text << "  page of " << window.size() << render(window) << "\n";
      after = order_of(window.back());
    }
    text << "  held" << render(require_value(store.load_held(channel, 10))) << "\n";
    text << "  delayed" << render(require_value(store.load_delayed(channel, 10))) << "\n";
  }
  for (const auto& id : ids) {
    const auto found = require_value(store.find_task(id));
    text << (found ? render(*found) : id + " is unknown") << "\n";
    for (const auto& attempt : require_value(store.load_attempts(id)))
      text << "  " << render(attempt) << "\n";
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
  if (const auto clock = require_value(store.load_clock()))
    text << "clock " << clock->boot_id << " " << clock->offset_ms << "\n";
  return text.str();
}

void require_sound_file(const std::string& path) {
  const auto checked = guarded([&] {
    sqlite_connection connection(path);
    REQUIRE(connection.query_text("PRAGMA integrity_check") == "ok");
    const std::pair<const char*, const char*> counts[] = {
        {"pending", "state = 0 AND t.held = 0"},
        {"held", "state = 0 AND t.held = 1"},
        {"delayed", "state = 1"},
        {"running", "state = 2"},
        {"ended", "state > 2"},
        {"dead", "state = 4"},
    };
    for (const auto& [column, condition] : counts) {
      const std::string wrong = "SELECT count(*) FROM channel_counts c WHERE " + std::string(column) +
                                " <> (SELECT count(*) FROM tasks t WHERE t.channel = c.number AND t." +
                                condition + ")";
      INFO(wrong);
      REQUIRE(connection.query_number(wrong.c_str()) == 0);
    }
    REQUIRE(connection.query_number("SELECT count(*) FROM tasks") ==
            connection.query_number(
                "SELECT coalesce(sum(pending + held + delayed + running + ended), 0) FROM channel_counts"));
    // The kept output of what has ended, each attempt once.
    REQUIRE(connection.query_number("SELECT coalesce(sum(kept_bytes), 0) FROM channel_counts") ==
            connection.query_number(
                "SELECT coalesce(sum(min(bytes, most)), 0) FROM (SELECT t.output_bytes AS bytes FROM tasks t "
                "WHERE t.state > 2 AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.task = t.sequence AND "
                "a.attempt = t.attempt) UNION ALL SELECT a.output_bytes FROM attempts a JOIN tasks t ON "
                "t.sequence = a.task WHERE t.state > 2), (SELECT value AS most FROM store_state WHERE name = "
                "'kept_bytes_max')"));
    REQUIRE(connection.query_number("SELECT count(*) FROM attempts WHERE task NOT IN (SELECT sequence FROM "
                                    "tasks)") == 0);
    // Only pending tasks with a key are held.
    REQUIRE(connection.query_number("SELECT count(*) FROM tasks WHERE held <> 0 AND (state <> 0 OR "
                                    "concurrency_key IS NULL)") == 0);
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
