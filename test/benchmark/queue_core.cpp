// queue_core alone: a push, a lease and an end, with few and with many tasks that wait.
// The store behind it answers at once and keeps nothing but numbers, so that its own work hardly counts.
#include "actors/queue_core.hpp"

#include "test/benchmark/support.hpp"

#include <algorithm>
#include <deque>
#include <memory>
#include <stdexcept>
#include <utility>

namespace task_runner::benchmarks {

namespace {

/// A store that says yes. It remembers who waits, by number; a task's priority follows from its number.
class agreeing_store {
public:
  explicit agreeing_store(uint64_t priorities, bool distinct)
      : lines_(priorities)
      , distinct_(distinct) {}

  int32_t priority_of(uint64_t number) const noexcept {
    return static_cast<int32_t>(number * 7 % lines_.size());
  }

  std::vector<store_answer> apply(const std::vector<store_operation>& operations) {
    std::vector<store_answer> answers;
    answers.reserve(operations.size());
    for (const auto& operation : operations) {
      if (const auto* insert = std::get_if<insert_task>(&operation)) {
        insert_answer answer;
        answer.sequence = number_of(insert->value.id);
        if (insert->value.state == task_state::pending)
          line_of(answer.sequence).push_back(answer.sequence);
        answers.emplace_back(std::move(answer));
        continue;
      }
      if (const auto* lease = std::get_if<lease_task>(&operation)) {
        const uint64_t number = number_of(lease->id);
        auto& line = line_of(number);
        if (line.empty() || line.front() != number)
          throw std::logic_error("a task was leased that is not the first of its line");
        line.pop_front();
      } else if (!std::holds_alternative<settle_task>(operation)) {
        throw std::logic_error("this store cannot do that");
      }
      change_answer answer;
      answer.applied = true;
      answers.emplace_back(std::move(answer));
    }
    return answers;
  }

  std::vector<task> load_pending(const window_request& wanted) const {
    std::vector<task> found;
    for (size_t priority = lines_.size(); priority-- > 0;) {
      if (static_cast<int32_t>(priority) > wanted.after.priority)
        continue;
      const auto& line = lines_[priority];
      auto at = line.begin();
      if (static_cast<int32_t>(priority) == wanted.after.priority)
        at = std::upper_bound(line.begin(), line.end(), wanted.after.sequence);
      for (; at != line.end() && found.size() < wanted.limits.tasks_max; ++at) {
        task value = make_task(*at);
        value.sequence = *at;
        value.priority = static_cast<int32_t>(priority);
        if (distinct_)
          value.distinct_key = value.name;
        found.push_back(std::move(value));
      }
    }
    return found;
  }

private:
  std::deque<uint64_t>& line_of(uint64_t number) { return lines_[static_cast<size_t>(priority_of(number))]; }

  std::vector<std::deque<uint64_t>> lines_;
  const bool distinct_;
};

/// A queue with one worker over such a store; everything is answered before a call returns.
class queue_alone {
public:
  queue_alone(uint64_t priorities, distinct_mode distinct, int64_t workers)
      : store_(priorities, distinct != distinct_mode::off)
      , core_(record_of(distinct), queue_limits{}) {
    for (uint64_t priority = 0; priorities > 1 && priority < priorities; ++priority) {
      auto said = std::make_shared<task_options>();
      said->priority = static_cast<int32_t>(priority);
      options_.push_back(std::move(said));
    }
    take(core_.credit(workers, some_moment_ms));
    take(core_.recovered({}, {{}, 1}, some_moment_ms));
  }

  /// Pushes a batch of new tasks, and hears of their fate.
  void push(size_t count) {
    std::vector<admitted_push> items;
    items.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      admitted_push item;
      item.value = make_task(++last_number_);
      if (!options_.empty())
        item.value.options = options_[static_cast<size_t>(store_.priority_of(last_number_))];
      items.push_back(std::move(item));
    }
    take(core_.push(next_token_++, std::move(items), some_moment_ms));
  }

  /// Pushes what is there already.
  void push_again(uint64_t number) {
    std::vector<admitted_push> items(1);
    items.front().value = make_task(number);
    items.front().value.id = "another";
    take(core_.push(next_token_++, std::move(items), some_moment_ms));
  }

  /// The oldest command that runs ends well.
  void end_one() {
    attempt_ended event;
    event.key = std::move(running_.front());
    running_.pop_front();
    event.channel = "default";
    event.started_at_ms = some_moment_ms;
    event.ended_at_ms = some_moment_ms;
    take(core_.attempt_ended(event, some_moment_ms));
  }

  size_t running() const noexcept { return running_.size(); }
  uint64_t accepted() const noexcept { return accepted_; }
  uint64_t refused() const noexcept { return refused_; }

private:
  static channel_record record_of(distinct_mode distinct) {
    channel_record record;
    record.name = "default";
    record.distinct = distinct;
    return record;
  }

  void take(queue_effects effects) {
    note(effects);
    while (!submissions_.empty() || load_) {
      if (!submissions_.empty()) {
        auto submission = std::move(submissions_.front());
        submissions_.pop_front();
        note(core_.committed(submission.token, store_.apply(submission.operations), some_moment_ms));
        continue;
      }
      const auto wanted = *std::exchange(load_, std::nullopt);
      note(core_.window_loaded(store_.load_pending(wanted), some_moment_ms));
    }
  }

  void note(queue_effects effects) {
    for (auto& submission : effects.submissions)
      submissions_.push_back(std::move(submission));
    if (effects.load)
      load_ = effects.load;
    for (auto& order : effects.runs)
      running_.push_back({order.value.id, order.value.attempt});
    for (const auto& answer : effects.answers)
      for (const auto& reply : answer.replies)
        ++(reply.accepted ? accepted_ : refused_);
  }

  agreeing_store store_;
  queue_core core_;
  std::vector<std::shared_ptr<const task_options>> options_;
  std::deque<store_submission> submissions_;
  std::optional<window_request> load_;
  std::deque<attempt_key> running_;
  uint64_t last_number_ = 0;
  batch_token next_token_ = 1;
  uint64_t accepted_ = 0;
  uint64_t refused_ = 0;
};

/// A push, an end, and the lease that follows, while so many others wait.
void cycle(benchmark::State& state, uint64_t priorities, distinct_mode distinct) {
  queue_alone queue(priorities, distinct, 1);
  const auto waiting = static_cast<uint64_t>(state.range(0));
  for (uint64_t i = 0; i < waiting + 1; ++i)
    queue.push(1);
  for (auto _ : state) {
    queue.push(1);
    queue.end_one();
  }
  if (queue.running() != 1 || queue.accepted() != waiting + 1 + static_cast<uint64_t>(state.iterations()))
    state.SkipWithError("the queue did not take or run what it was given");
  hold_against(state, cpu);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(cycle, plain, 1, distinct_mode::off)
    ->Name("queue_core/cycle")
    ->Arg(1)
    ->Arg(1'000)
    ->Arg(100'000);
BENCHMARK_CAPTURE(cycle, distinct, 1, distinct_mode::until_finished)
    ->Name("queue_core/cycle_distinct")
    ->Arg(1)
    ->Arg(1'000)
    ->Arg(100'000);
BENCHMARK_CAPTURE(cycle, priority, 10, distinct_mode::off)
    ->Name("queue_core/cycle_priority")
    ->Arg(1)
    ->Arg(1'000)
    ->Arg(100'000);

/// A push to an idle worker: leased in the commit that takes it in.
void direct(benchmark::State& state) {
  queue_alone queue(1, distinct_mode::off, 1);
  for (auto _ : state) {
    queue.push(1);
    queue.end_one();
  }
  if (queue.running() != 0 || queue.accepted() != static_cast<uint64_t>(state.iterations()))
    state.SkipWithError("the queue did not take or run what it was given");
  hold_against(state, cpu);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(direct)->Name("queue_core/direct");

/// A push of what waits already.
void duplicate(benchmark::State& state) {
  queue_alone queue(1, distinct_mode::until_finished, 1);
  constexpr uint64_t waiting = 100;
  for (uint64_t i = 0; i < waiting; ++i)
    queue.push(1);
  uint64_t number = 0;
  for (auto _ : state)
    queue.push_again(1 + number++ % waiting);
  if (queue.refused() != static_cast<uint64_t>(state.iterations()))
    state.SkipWithError("a duplicate was taken");
  hold_against(state, cpu);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(duplicate)->Name("queue_core/duplicate");

/// Batches as the Redis intake brings them, of a channel whose workers are busy.
void push_batch(benchmark::State& state) {
  queue_alone queue(1, distinct_mode::off, 1);
  queue.push(1);
  const auto count = static_cast<size_t>(state.range(0));
  for (auto _ : state)
    queue.push(count);
  const auto items = static_cast<uint64_t>(state.iterations()) * count;
  if (queue.accepted() != items + 1)
    state.SkipWithError("not every push was taken");
  hold_against(state, cpu);
  state.SetItemsProcessed(static_cast<int64_t>(items));
}
BENCHMARK(push_batch)->Name("queue_core/push_batch")->Arg(1'000);

} // namespace

} // namespace task_runner::benchmarks
