// Keeps a source's status and tells the log about changes, never about repetitions.
#include "services/source/source_report.hpp"

#include "services/domain/time_text.hpp"
#include "services/observability/log.hpp"

#include <iterator>
#include <utility>

namespace task_runner {

namespace {

/// The log tells of one channel's parked messages at most once in this time.
constexpr std::chrono::minutes parked_pause{1};

/// Channels that are told of within that time; further ones are not.
constexpr size_t told_parked_max = 64;

} // namespace

source_report::source_report(std::string name, std::string kind) {
  status_.name = std::move(name);
  status_.kind = std::move(kind);
  status_.since_ms = system_now_ms();
}

void source_report::trouble(const std::string& place, std::string_view nature, const std::string& message) {
  const auto [known, added] = troubles_.try_emplace(place, nature);
  const bool changed = added || known->second != nature;
  known->second = nature;
  update_health(&message);
  if (changed)
    log_event(log_level::warning, "a source has trouble and keeps trying",
              {{"source", status_.name}, {"where", place}, {"reason", message}});
}

bool source_report::clear(const std::string& place) {
  if (troubles_.erase(place) == 0)
    return false;
  update_health();
  log_event(log_level::info, "a source works again", {{"source", status_.name}, {"where", place}});
  return true;
}

void source_report::parked(const std::string& channel, const std::string& message) {
  if (troubles_.empty()) {
    std::lock_guard<std::mutex> guard(mutex_);
    status_.last_error = message;
  }
  const auto now = std::chrono::steady_clock::now();
  for (auto one = told_parked_.begin(); one != told_parked_.end();)
    one = now - one->second >= parked_pause ? told_parked_.erase(one) : std::next(one);
  if (told_parked_.size() >= told_parked_max || !told_parked_.emplace(channel, now).second)
    return;
  parking_logged_ = true;
  log_event(log_level::warning, "messages of a channel are parked, those of others go on",
            {{"source", status_.name}, {"channel", channel}, {"reason", message}});
}

void source_report::none_parked() {
  if (!std::exchange(parking_logged_, false))
    return;
  log_event(log_level::info, "no message is parked any more", {{"source", status_.name}});
}

void source_report::set_working() {
  if (working_)
    return;
  working_ = true;
  update_health();
}

void source_report::update_health(const std::string* message) {
  const bool healthy = working_ && troubles_.empty();
  std::lock_guard<std::mutex> guard(mutex_);
  if (message != nullptr)
    status_.last_error = *message;
  if (status_.healthy == healthy)
    return;
  status_.healthy = healthy;
  status_.since_ms = system_now_ms();
}

void source_report::count(const source_counts& more) {
  std::lock_guard<std::mutex> guard(mutex_);
  status_.taken += more.taken;
  status_.recovered += more.recovered;
  status_.accepted += more.accepted;
  status_.duplicates += more.duplicates;
  status_.rejected += more.rejected;
  status_.in_flight += static_cast<uint64_t>(more.in_flight); // wraps around for what leaves
  status_.parked += static_cast<uint64_t>(more.parked);
  status_.reconnects += more.reconnects;
}

source_status source_report::snapshot() const {
  std::lock_guard<std::mutex> guard(mutex_);
  return status_;
}

} // namespace task_runner
