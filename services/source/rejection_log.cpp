// The bounded log of rejected messages. The messages themselves are not logged: they may hold secrets.
#include "services/source/rejection_log.hpp"

#include "services/observability/log.hpp"

namespace task_runner {

namespace {
constexpr std::chrono::seconds window{1};
}

void rejection_log::add(time_point now, std::string_view intake_key, std::string_view reason) {
  flush(now);
  if (now - window_start_ >= window) {
    window_start_ = now;
    lines_ = 0;
  }
  if (lines_ == lines_per_second_max) {
    ++suppressed_;
    return;
  }
  ++lines_;
  log_event(log_level::warning, "a message from Redis is rejected",
            {{"key", intake_key}, {"reason", reason}});
}

void rejection_log::flush(time_point now) {
  if (suppressed_ == 0 || now - window_start_ < window)
    return;
  log_event(log_level::warning, "more messages from Redis were rejected", {{"count", suppressed_}});
  suppressed_ = 0;
}

std::optional<rejection_log::time_point> rejection_log::due() const {
  if (suppressed_ == 0)
    return std::nullopt;
  return window_start_ + window;
}

} // namespace task_runner
