// The thread that purges what has ended, in small steps with rests between them.
#include "services/store/retention.hpp"

#include "services/observability/log.hpp"

#include <algorithm>
#include <future>
#include <pthread.h>
#include <set>
#include <system_error>
#include <utility>

namespace task_runner {

namespace {

/// How long one answer of the store may take; a store that is slower is asked again later.
constexpr std::chrono::seconds store_timeout{30};
/// Tasks that are looked up by one read.
constexpr size_t lookup_batch = 200;
/// What is kept is looked at for its age this often within the shortest age, but not more often than
/// `period_min` and not more seldom than `period_max`.
constexpr int64_t looks_per_age = 100;
constexpr int64_t period_min_ms = 60'000;
constexpr int64_t period_max_ms = 3'600'000;

/// Waits for an answer that the store's thread gives; its late coming hurts nobody.
template <class T>
result<T> wait_for(const std::shared_ptr<std::promise<result<T>>>& answer, const result<void>& taken) {
  if (!taken)
    return taken.failure();
  auto future = answer->get_future();
  if (future.wait_for(store_timeout) != std::future_status::ready)
    return error{error_code::timeout, "the store did not answer in time"};
  return future.get();
}

template <class T>
result<T> ask_store(store_writer& writer, std::function<result<T>(queue_store&)> question) {
  auto answer = std::make_shared<std::promise<result<T>>>();
  const auto taken = writer.read(
      [answer, question = std::move(question)](queue_store& store) { answer->set_value(question(store)); });
  return wait_for(answer, taken);
}

} // namespace

retention::retention(retention_options options, store_writer& writer, output_archive& archive,
                     const wall_clock& clock)
    : options_(options)
    , writer_(writer)
    , archive_(archive)
    , clock_(clock) {
  // nop
}

retention::~retention() {
  stop();
}

result<void> retention::start() {
  started_at_ms_ = clock_.now_ms();
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& failure) {
    return error{error_code::unavailable,
                 std::string("no thread for the retention of finished tasks: ") + failure.what()};
  }
  return {};
}

void retention::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable())
    thread_.join();
}

void retention::task_ended() noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(ended_, true))
      return;
  }
  changed_.notify_all();
}

void retention::discard(std::vector<attempt_key> attempts) {
  {
    const std::lock_guard lock(mutex_);
    for (auto& key : attempts)
      if (discards_.size() < options_.discards_max)
        discards_.push_back(std::move(key));
  }
  changed_.notify_all();
}

retention_counters retention::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

bool retention::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

bool retention::pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, time, [this] { return stopping_; });
}

bool retention::rest(steady::duration step) {
  return pause(
      std::max(options_.rest_min, std::chrono::duration_cast<std::chrono::milliseconds>(
                                      step * static_cast<steady::duration::rep>(options_.rest_factor))));
}

void retention::note_failure(const error& why) {
  {
    const std::lock_guard lock(mutex_);
    if (counters_.last_error == why.message)
      return;
    counters_.last_error = why.message;
  }
  log_event(log_level::warning, "what has ended cannot be tidied up now; it is tried again",
            {{"error", why.message}});
}

bool retention::delete_outputs(const std::vector<attempt_key>& keys, bool orphans) {
  bool all = true;
  uint64_t deleted = 0;
  for (const auto& key : keys) {
    if (auto removed = archive_.remove(key); !removed) {
      note_failure(removed.failure());
      all = false;
      continue;
    }
    ++deleted;
  }
  const std::lock_guard lock(mutex_);
  (orphans ? counters_.orphans_deleted : counters_.outputs_deleted) += deleted;
  return all;
}

void retention::delete_discards() {
  for (;;) {
    std::vector<attempt_key> keys;
    {
      const std::lock_guard lock(mutex_);
      while (!discards_.empty() && keys.size() < options_.batch) {
        keys.push_back(std::move(discards_.front()));
        discards_.pop_front();
      }
    }
    if (keys.empty())
      return;
    const auto began = steady::now();
    delete_outputs(keys, false); // what fails is found by the sweep of the next start
    if (!rest(steady::now() - began))
      return;
  }
}

bool retention::sweep_shard(uint32_t shard) {
  auto began = steady::now();
  // Only files older than this run: what is written now belongs to a task, even to one of the same name.
  auto listed = archive_.list(shard, started_at_ms_, options_.sweep_max);
  if (!listed) {
    note_failure(listed.failure());
    return false;
  }
  bool all = true;
  for (size_t from = 0; from < listed->size() && !stopping();) {
    std::vector<attempt_key> keys;
    std::set<std::string> ids;
    for (; from < listed->size() && ids.size() < lookup_batch; ++from) {
      ids.insert((*listed)[from].task_id);
      keys.push_back(std::move((*listed)[from]));
    }
    auto known = ask_store<std::vector<task>>(writer_, [ids](queue_store& store) {
      return store.find_tasks(std::vector<std::string>(ids.begin(), ids.end()));
    });
    if (!known) {
      note_failure(known.failure());
      return false;
    }
    for (const auto& value : *known)
      ids.erase(value.id);
    keys.erase(std::remove_if(keys.begin(), keys.end(),
                              [&](const attempt_key& key) { return ids.count(key.task_id) == 0; }),
               keys.end());
    all = delete_outputs(keys, true) && all;
    if (!rest(steady::now() - began))
      return true;
    began = steady::now();
  }
  return all;
}

bool retention::sweep() {
  bool all = true;
  for (uint32_t shard = 0; shard < archive_.shards() && !stopping(); ++shard)
    all = sweep_shard(shard) && all;
  uint64_t orphans = 0;
  {
    const std::lock_guard lock(mutex_);
    counters_.swept = all && !stopping_;
    orphans = counters_.orphans_deleted;
  }
  if (all && orphans > 0)
    log_event(log_level::info, "output that no task claims was deleted", {{"attempts", orphans}});
  return all;
}

std::optional<purge_answer> retention::purge_batch() {
  purge_ended operation;
  const auto now = clock_.now_ms();
  if (options_.age_ms > 0)
    operation.ended_before_ms = now - options_.age_ms;
  if (options_.dead_age_ms > 0)
    operation.dead_before_ms = now - options_.dead_age_ms;
  operation.tasks_max = options_.count;
  operation.output_bytes_max = options_.bytes;
  operation.kept_bytes_max = options_.kept_bytes_max;
  operation.limit = options_.batch;
  auto answer = std::make_shared<std::promise<result<std::vector<store_answer>>>>();
  const auto taken = writer_.submit({operation}, [answer](result<std::vector<store_answer>> answers) {
    answer->set_value(std::move(answers));
  });
  auto answers = wait_for(answer, taken);
  if (!answers) {
    note_failure(answers.failure());
    return std::nullopt;
  }
  return std::get<purge_answer>(std::move(answers->front()));
}

bool retention::purge() {
  if (options_.age_ms <= 0 && options_.dead_age_ms <= 0 && options_.count == 0 && options_.bytes == 0)
    return true;
  for (;;) {
    const auto began = steady::now();
    auto purged = purge_batch();
    if (!purged)
      return false;
    delete_outputs(purged->purged, false); // what fails is found by the sweep of the next start
    {
      const std::lock_guard lock(mutex_);
      counters_.tasks_purged += purged->tasks;
    }
    if (!purged->more)
      return true;
    if (!rest(steady::now() - began))
      return true;
  }
}

bool retention::may_age() {
  if (options_.age_ms <= 0 && options_.dead_age_ms <= 0)
    return false;
  const auto totals = ask_store<store_totals>(writer_, [](queue_store& store) { return store.totals(); });
  return !totals || totals->ended > 0;
}

std::chrono::milliseconds retention::age_check_period() const {
  auto shortest = std::min(options_.age_ms > 0 ? options_.age_ms : INT64_MAX,
                           options_.dead_age_ms > 0 ? options_.dead_age_ms : INT64_MAX);
  return std::chrono::milliseconds(std::clamp(shortest / looks_per_age, period_min_ms, period_max_ms));
}

void retention::run() {
  ::pthread_setname_np(::pthread_self(), "tr-retention");
  bool swept = sweep();
  bool purged = false;
  for (;;) {
    delete_discards();
    if (!swept && !stopping())
      swept = sweep();
    purged = purge();
    const bool well = swept && purged;
    if (well) {
      const std::lock_guard lock(mutex_);
      counters_.last_error.clear();
    }
    const auto period = !well ? options_.retry_pause : age_check_period();
    const bool timed = !well || may_age();
    const auto wanted = [this] { return stopping_ || ended_ || !discards_.empty(); };
    std::unique_lock lock(mutex_);
    if (timed)
      changed_.wait_for(lock, period, wanted);
    else
      changed_.wait(lock, wanted);
    if (!stopping_ && ended_ && discards_.empty()) // many ends, one look
      changed_.wait_for(lock, options_.settle_pause, [this] { return stopping_ || !discards_.empty(); });
    if (stopping_)
      return;
    ended_ = false;
  }
}

} // namespace task_runner
