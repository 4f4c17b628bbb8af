// Durations, sizes and whole numbers as people write them, for settings, forms and JSON alike.
// Pure functions; the message of a failure says what is allowed, never what was given.
#pragma once

#include "services/domain/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace task_runner {

/// The longest duration accepted, milliseconds: ten years.
constexpr int64_t duration_ms_max = 3'653LL * 86'400'000;

/// The largest number of tasks that a setting may name.
constexpr uint64_t task_count_max = 1'000'000'000;

/// Decimal digits and nothing else; nothing on anything else and past `high`.
std::optional<uint64_t> parse_digits(std::string_view text, uint64_t high) noexcept;

/// `500ms`, `10s`, `5m`, `2h`, `1d`, or a plain number of seconds; decimals are allowed. In milliseconds,
/// rounded up, so that only a zero becomes zero. 0 to `duration_ms_max`.
result<int64_t> parse_duration_ms(std::string_view text);

/// Bytes, or a whole number with `k`, `M` or `G` (powers of 1024). Fails past 2^63-1.
result<uint64_t> parse_size(std::string_view text);

/// The shortest text that parse_duration_ms and parse_size read back as the same value.
std::string format_duration(int64_t duration_ms);
std::string format_size(uint64_t bytes);

} // namespace task_runner
