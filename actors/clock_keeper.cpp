// Waiting for the store to move the delays.
#include "actors/clock_keeper.hpp"

#include "services/observability/log.hpp"

#include <future>
#include <memory>
#include <optional>

namespace task_runner {

namespace {

/// No timeout: the writer answers everything it has taken, and a step must not be moved twice for doubt.
result<void> adjust(store_writer& writer, int64_t shift_ms, const clock_mark& now) {
  auto done = std::make_shared<std::promise<result<void>>>();
  auto taken =
      writer.submit({adjust_clock{shift_ms, now}}, [done](const result<std::vector<store_answer>>& answers) {
        done->set_value(answers ? result<void>{} : result<void>{answers.failure()});
      });
  if (!taken)
    return taken;
  return done->get_future().get();
}

} // namespace

result<void> settle_clock(store_writer& writer, const clock_mark& now, const clock_comparison& compare) {
  auto found = std::make_shared<std::promise<result<std::optional<clock_mark>>>>();
  auto taken = writer.read([found](queue_store& store) { found->set_value(store.load_clock()); });
  if (!taken)
    return taken;
  const auto before = found->get_future().get();
  if (!before)
    return before.failure();
  const auto step_ms = *before ? compare(**before, now) : 0;
  if (step_ms == 0 && *before && (*before)->boot_id == now.boot_id)
    return {}; // the mark stands; small steps add up against it
  if (step_ms != 0)
    log_event(log_level::warning, "the clock was set while the daemon was down; delays move along",
              {{"step_ms", step_ms}});
  return adjust(writer, step_ms, now);
}

bool take_clock_step(store_writer& writer, int64_t step_ms, const clock_mark& now,
                     const std::function<void(int64_t)>& moved) {
  if (auto adjusted = adjust(writer, step_ms, now); !adjusted) {
    log_event(log_level::error,
              "the clock was set, but the store could not move the delays; it is tried again",
              {{"step_ms", step_ms}, {"error", adjusted.failure().message}});
    return false;
  }
  log_event(log_level::warning, "the clock was set; delays move along", {{"step_ms", step_ms}});
  moved(step_ms);
  return true;
}

} // namespace task_runner
