// The log: one event per line, as text for people or JSON for machines, to stderr or a file that can be
// re-opened. A thin face over spdlog, so that no other file includes spdlog's headers.
#pragma once

#include "services/domain/result.hpp"

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace task_runner {

enum class log_level : uint8_t { debug, info, warning, error, off };
enum class log_format : uint8_t { text, json };

struct log_options {
  log_level level = log_level::info;
  log_format format = log_format::text;
  /// Empty means stderr.
  std::string file;
  /// Colour on a terminal; ignored for JSON and files, and when NO_COLOR is set.
  bool colour = true;
};

/// One named value of an event.
struct log_field {
  log_field(std::string_view field_name, std::string_view text)
      : name(field_name)
      , value(text) {}
  log_field(std::string_view field_name, const char* text)
      : name(field_name)
      , value(text) {}
  log_field(std::string_view field_name, const std::string& text)
      : name(field_name)
      , value(text) {}
  log_field(std::string_view field_name, bool flag)
      : name(field_name)
      , value(flag ? "true" : "false")
      , plain(true) {}
  template <class Number,
            class = std::enable_if_t<std::is_arithmetic_v<Number> && !std::is_same_v<Number, bool>>>
  log_field(std::string_view field_name, Number number)
      : name(field_name)
      , value(std::to_string(number))
      , plain(true) {}

  std::string_view name;
  std::string value;
  /// A number or boolean: JSON writes it without quotes.
  bool plain = false;
};

/// Configures the process-wide log. Until then events go to stderr as text at level info. Where stderr leads
/// to systemd's journal each line begins with its priority (sd-daemon(3)), and text has neither time nor
/// level of its own. `invalid_argument` when the file cannot be opened.
result<void> configure_log(const log_options& options);

/// Re-opens the log file under its name, for rotation; nothing to do on stderr. Thread-safe.
result<void> reopen_log();

/// Whether events of this level are written; ask before building costly fields.
bool log_enabled(log_level level) noexcept;

/// Writes one event: what happened, as a short phrase, and its values. Thread-safe; never throws.
void log_event(log_level level, std::string_view what, std::initializer_list<log_field> fields = {});

/// Writes what is buffered. Thread-safe.
void flush_log();

} // namespace task_runner
