// The one table of task options: name, what is expected, and the ways in and out.
// JSON, named texts and the writer all go through it, so that none of them can know an option more or less.
#pragma once

#include "services/domain/task_options.hpp"
#include "services/wire/json_reader.hpp"
#include "services/wire/json_text.hpp"

#include <string_view>

namespace task_runner {

/// One option that is a single value, or one limit.
struct option_entry {
  /// As it is written; limits without "limits.".
  std::string_view name;
  /// A second spelling that is read; may be empty.
  std::string_view alias;
  /// For messages: "expected …".
  std::string_view expected;
  /// False when the value is of another kind or cannot be read. A number outside the option's type becomes
  /// the nearest that fits it, which check_task_options refuses.
  bool (*set)(task_options& options, const json_scalar& value) = nullptr;
  void (*clear)(task_options& options) = nullptr;
  /// Key and value, if the option is said.
  void (*write)(json_writer& json, std::string_view name, const task_options& options) = nullptr;
};

/// The entry of an option with a single value, by either spelling; null for retry_on, env, limits and what is
/// no option.
const option_entry* find_option_entry(std::string_view name) noexcept;

/// The entry of a limit, by either spelling of what stands behind "limits.", or null.
const option_entry* find_limit_entry(std::string_view name) noexcept;

/// All of them, as the writer needs them.
struct option_entries {
  const option_entry* first = nullptr;
  const option_entry* last = nullptr;
  const option_entry* begin() const noexcept { return first; }
  const option_entry* end() const noexcept { return last; }
};
option_entries single_options() noexcept;
option_entries limit_options() noexcept;

/// What is expected of the others.
constexpr std::string_view retry_on_expected = "an array of exit codes, 1 to 255";
constexpr std::string_view variables_expected = R"(an object of texts such as {"LANG":"C"})";
constexpr std::string_view limits_expected = R"(an object such as {"memory":"64M"})";

/// Adds a variable, or replaces the value of one with that name.
void put_variable(task_options& options, std::string name, std::string value);

/// The same; `too_large` past `variables_max`.
result<void> set_variable(task_options& options, std::string name, std::string value);

/// Adds an exit code once; false when it is none.
bool add_exit_code(task_options& options, const json_scalar& value);

} // namespace task_runner
