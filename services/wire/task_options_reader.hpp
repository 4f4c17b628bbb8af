// Reading of task options out of a JSON document that holds other members as well.
// The owner of the document forwards the events that belong to an option.
#pragma once

#include "services/domain/task_options.hpp"
#include "services/wire/json_reader.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// Options that are said, and the names of those that a null opens again ("timeout_s", "limits.memory",
/// "env.PATH").
struct task_options_patch {
  task_options said;
  std::vector<std::string> opened;
};

/// Most names that one patch may open.
constexpr size_t opened_max = variables_max + 64;

/// Collects options. Equal names: the last one wins. What a member is read as:
/// services/wire/task_options_json.hpp. Begin with `begin`, then forward events as long as `is_open`.
class task_options_reader {
public:
  /// A member whose name is_task_option begins; its value's events follow.
  bool begin(std::string_view name);
  /// Whether the value of the member has not ended yet.
  bool is_open() const noexcept { return open_; }

  bool scalar(json_scalar value);
  bool start_object();
  bool key(std::string name);
  bool end_object();
  bool start_array();
  bool end_array();

  /// Set when one of the above returned false.
  const std::optional<error>& failure() const noexcept { return failure_; }

  /// What has been read. Not checked against ranges: call check_task_options.
  task_options_patch& patch() noexcept { return patch_; }

private:
  enum class place : uint8_t { value, codes, variables, limits };

  bool fail(error_code code, std::string message);
  bool fail_type(std::string_view name, std::string_view found, std::string_view expected);
  bool open_again(std::string name);
  bool variable(json_scalar value);
  bool exit_code(const json_scalar& value);

  task_options_patch patch_;
  std::optional<error> failure_;
  /// Of the option that is being read, in its canonical spelling, and as it was spelled.
  std::string name_;
  std::string spelled_;
  /// Spellings that came so far, by canonical name; see `begin`.
  std::vector<std::pair<std::string, std::string>> spellings_;
  /// Within env and limits.
  std::string key_;
  place place_ = place::value;
  bool open_ = false;
};

/// `patch` laid over `existing`: what it says replaces, variables are added or replaced one by one, what it
/// opened is open.
task_options apply_patch(const task_options& existing, const task_options_patch& patch);

} // namespace task_runner
