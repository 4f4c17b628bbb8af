// The INI file: its values for the option table, and its [channel.NAME] sections.
// `#` and `;` begin a comment at the start of a line only, so that a value may hold them.
#pragma once

#include "config/option_table.hpp"
#include "services/domain/channel.hpp"
#include "services/domain/result.hpp"

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace task_runner {

/// Largest INI file accepted, bytes.
constexpr size_t ini_bytes_max = 1'048'576;

/// An INI file, read.
struct ini_content {
  /// Not validated yet; each place says FILE:LINE [section] key.
  std::vector<given_value> values;
  /// Validated.
  std::map<std::string, channel_settings> channels;
};

/// Reads INI text; `path` is only named in messages. Blanks around keys and values are not part of them.
/// `invalid_argument` for what is no INI line, an unknown or repeated section or key, and a channel section
/// with a wrong value.
result<ini_content> parse_ini(const std::string& text, const std::string& path);

} // namespace task_runner
