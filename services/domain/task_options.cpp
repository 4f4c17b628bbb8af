// Joining what task and channel say, and the pause between attempts.
// Everything here is pure: chance comes in as a number, so that simulations replay.
#include "services/domain/task_options.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace task_runner {

namespace {

template <class T>
void take_if_open(std::optional<T>& own, const std::optional<T>& common) {
  if (!own)
    own = common;
}

} // namespace

bool task_options::empty() const noexcept {
  return !priority && !max_attempts && !backoff && !backoff_ms && !backoff_max_ms && !jitter && !retry_on &&
         !timeout_ms && !grace_ms && !expires_ms && !delivery && !concurrency_key && !concurrency_max &&
         environment.empty();
}

bool operator==(const resource_limits& a, const resource_limits& b) noexcept {
  return std::tie(a.memory_bytes, a.cpu_s, a.processes, a.file_size_bytes) ==
         std::tie(b.memory_bytes, b.cpu_s, b.processes, b.file_size_bytes);
}

bool operator==(const execution_environment& a, const execution_environment& b) {
  return std::tie(a.variables, a.directory, a.input, a.user, a.nice, a.file_mask, a.limits) ==
         std::tie(b.variables, b.directory, b.input, b.user, b.nice, b.file_mask, b.limits);
}

bool operator==(const task_options& a, const task_options& b) {
  return std::tie(a.priority, a.max_attempts, a.backoff, a.backoff_ms, a.backoff_max_ms, a.jitter, a.retry_on,
                  a.timeout_ms, a.grace_ms, a.expires_ms, a.delivery, a.concurrency_key, a.concurrency_max,
                  a.environment) == std::tie(b.priority, b.max_attempts, b.backoff, b.backoff_ms,
                                             b.backoff_max_ms, b.jitter, b.retry_on, b.timeout_ms, b.grace_ms,
                                             b.expires_ms, b.delivery, b.concurrency_key, b.concurrency_max,
                                             b.environment);
}

task_options merge(const task_options& own, const task_options& common) {
  task_options both = own;
  take_if_open(both.priority, common.priority);
  take_if_open(both.max_attempts, common.max_attempts);
  take_if_open(both.backoff, common.backoff);
  take_if_open(both.backoff_ms, common.backoff_ms);
  take_if_open(both.backoff_max_ms, common.backoff_max_ms);
  take_if_open(both.jitter, common.jitter);
  take_if_open(both.retry_on, common.retry_on);
  take_if_open(both.timeout_ms, common.timeout_ms);
  take_if_open(both.grace_ms, common.grace_ms);
  take_if_open(both.expires_ms, common.expires_ms);
  take_if_open(both.delivery, common.delivery);
  take_if_open(both.concurrency_key, common.concurrency_key);
  take_if_open(both.concurrency_max, common.concurrency_max);
  auto& mine = both.environment;
  const auto& theirs = common.environment;
  mine.variables.insert(mine.variables.begin(), theirs.variables.begin(), theirs.variables.end());
  take_if_open(mine.directory, theirs.directory);
  take_if_open(mine.input, theirs.input);
  take_if_open(mine.user, theirs.user);
  take_if_open(mine.nice, theirs.nice);
  take_if_open(mine.file_mask, theirs.file_mask);
  take_if_open(mine.limits.memory_bytes, theirs.limits.memory_bytes);
  take_if_open(mine.limits.cpu_s, theirs.limits.cpu_s);
  take_if_open(mine.limits.processes, theirs.limits.processes);
  take_if_open(mine.limits.file_size_bytes, theirs.limits.file_size_bytes);
  return both;
}

std::string_view to_string(backoff_kind kind) noexcept {
  switch (kind) {
  case backoff_kind::constant:
    return "constant";
  case backoff_kind::linear:
    return "linear";
  case backoff_kind::exponential:
    return "exponential";
  }
  return "unknown";
}

std::string_view to_string(delivery_kind kind) noexcept {
  return kind == delivery_kind::at_most_once ? "at-most-once" : "at-least-once";
}

std::optional<backoff_kind> parse_backoff_kind(std::string_view text) noexcept {
  for (const auto kind : {backoff_kind::constant, backoff_kind::linear, backoff_kind::exponential})
    if (text == to_string(kind))
      return kind;
  return std::nullopt;
}

std::optional<delivery_kind> parse_delivery_kind(std::string_view text) noexcept {
  for (const auto kind : {delivery_kind::at_least_once, delivery_kind::at_most_once})
    if (text == to_string(kind))
      return kind;
  return std::nullopt;
}

int64_t backoff_delay_ms(const task_options& effective, uint32_t failures, uint64_t salt) noexcept {
  const auto kind = effective.backoff.value_or(backoff_kind::exponential);
  const auto first = static_cast<double>(effective.backoff_ms.value_or(backoff_ms_default));
  const auto most = static_cast<double>(effective.backoff_max_ms.value_or(backoff_max_ms_default));
  const double count = std::max<uint32_t>(failures, 1);
  double pause = first;
  if (kind == backoff_kind::linear)
    pause = first * count;
  else if (kind == backoff_kind::exponential)
    pause = std::ldexp(first, static_cast<int>(std::min(count - 1, 62.0)));
  pause = std::min(pause, most);
  const double jitter = effective.jitter.value_or(kind == backoff_kind::exponential ? 0.5 : 0.0);
  constexpr double steps = 1'048'576;
  const double chance = static_cast<double>(salt % 1'048'576U) / steps;
  return static_cast<int64_t>(std::llround(pause * (1 - std::clamp(jitter, 0.0, 1.0) * chance)));
}

uint64_t backoff_salt(std::string_view task_id, uint32_t attempt) noexcept {
  // FNV-1a over the id, then the finalizer of SplitMix64 over both, so that neighbours differ widely.
  uint64_t hash = 14'695'981'039'346'656'037U;
  for (const char byte : task_id)
    hash = (hash ^ static_cast<unsigned char>(byte)) * 1'099'511'628'211U;
  hash += attempt * 0x9e3779b97f4a7c15U;
  hash = (hash ^ (hash >> 30U)) * 0xbf58476d1ce4e5b9U;
  hash = (hash ^ (hash >> 27U)) * 0x94d049bb133111ebU;
  return hash ^ (hash >> 31U);
}

} // namespace task_runner
