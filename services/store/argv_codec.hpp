// How an argument vector is kept in one column: every word as a 32-bit little-endian length and its bytes.
// Lossless for any bytes, no escaping; the empty vector is the empty text (stored as NULL).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// The stored form of `words`. REQUIRES: every word is shorter than 4 GiB (the intake allows 128 KiB).
std::string encode_argv(const std::vector<std::string>& words);

/// The words of a stored form; nothing when it is damaged (a length that points past the end).
std::optional<std::vector<std::string>> decode_argv(std::string_view stored);

} // namespace task_runner
