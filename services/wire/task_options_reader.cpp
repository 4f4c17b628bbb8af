// Reads options event by event into a patch.
#include "services/wire/task_options_reader.hpp"

#include "services/wire/task_options_json.hpp"
#include "services/wire/task_options_table.hpp"

#include <algorithm>
#include <utility>

namespace task_runner {

namespace {

constexpr std::string_view limits_prefix = "limits.";
constexpr std::string_view variables_prefix = "env.";

bool has_prefix(std::string_view text, std::string_view prefix) noexcept {
  return text.substr(0, prefix.size()) == prefix;
}

void clear_option(task_options& options, std::string_view name) {
  if (name == "retry_on") {
    options.retry_on.reset();
  } else if (name == "env") {
    options.environment.variables.clear();
  } else if (name == "limits") {
    options.environment.limits = {};
  } else if (has_prefix(name, variables_prefix)) {
    auto& variables = options.environment.variables;
    const auto variable = name.substr(variables_prefix.size());
    variables.erase(std::remove_if(variables.begin(), variables.end(),
                                   [variable](const auto& one) { return one.first == variable; }),
                    variables.end());
  } else if (has_prefix(name, limits_prefix)) {
    if (const auto* entry = find_limit_entry(name.substr(limits_prefix.size())))
      entry->clear(options);
  } else if (const auto* entry = find_option_entry(name)) {
    entry->clear(options);
  }
}

} // namespace

bool task_options_reader::fail(error_code code, std::string message) {
  failure_ = error{code, std::move(message)};
  return false;
}

bool task_options_reader::fail_type(std::string_view name, std::string_view found,
                                    std::string_view expected) {
  return fail(error_code::invalid_argument, "the member \"" + std::string(name) + "\" is " +
                                                std::string(found) + "; expected " + std::string(expected));
}

bool task_options_reader::begin(std::string_view name) {
  const auto* entry = find_option_entry(name);
  name_ = entry != nullptr ? entry->name : name;
  spelled_ = name;
  open_ = true;
  place_ = place::value;
  if (entry == nullptr || entry->alias.empty())
    return true;
  for (const auto& [canonical, earlier] : spellings_)
    if (canonical == name_)
      return earlier == spelled_ ||
             fail(error_code::invalid_argument, "\"" + earlier + "\" and \"" + spelled_ +
                                                    "\" are both given and mean the same; give one of them");
  spellings_.emplace_back(name_, spelled_);
  return true;
}

bool task_options_reader::open_again(std::string name) {
  clear_option(patch_.said, name);
  auto& opened = patch_.opened;
  if (std::find(opened.begin(), opened.end(), name) != opened.end())
    return true;
  if (opened.size() == opened_max)
    return fail(error_code::too_large, "more than " + std::to_string(opened_max) +
                                           " members are null; leave out those that do not change");
  opened.push_back(std::move(name));
  return true;
}

bool task_options_reader::variable(json_scalar value) {
  if (std::holds_alternative<std::nullptr_t>(value))
    return open_again(std::string(variables_prefix) + key_);
  auto* text = std::get_if<std::string>(&value);
  if (text == nullptr)
    return fail_type("env." + key_, describe(value), "text");
  if (auto ok = set_variable(patch_.said, key_, std::move(*text)); !ok)
    return fail(ok.failure().code, ok.failure().message);
  return true;
}

bool task_options_reader::exit_code(const json_scalar& value) {
  if (std::holds_alternative<int64_t>(value) || std::holds_alternative<double>(value)) {
    if (add_exit_code(patch_.said, value))
      return true;
    return fail(error_code::out_of_range, "the member \"retry_on\" holds a number that is no exit code of a "
                                          "failure; give whole numbers from 1 to 255");
  }
  return fail(error_code::invalid_argument, "the member \"retry_on\" holds " + std::string(describe(value)) +
                                                "; expected " + std::string(retry_on_expected));
}

bool task_options_reader::scalar(json_scalar value) {
  const bool is_null = std::holds_alternative<std::nullptr_t>(value);
  const bool is_text = std::holds_alternative<std::string>(value);
  const std::string_view found = is_text ? "text that cannot be read as such" : describe(value);
  switch (place_) {
  case place::codes:
    return exit_code(value);
  case place::variables:
    return variable(std::move(value));
  case place::limits: {
    const auto* entry = find_limit_entry(key_);
    if (is_null)
      return open_again(std::string(limits_prefix) + std::string(entry->name));
    return entry->set(patch_.said, value) || fail_type("limits." + key_, found, entry->expected);
  }
  case place::value:
    break;
  }
  open_ = false;
  if (is_null)
    return open_again(name_);
  const auto* entry = find_option_entry(name_);
  if (entry != nullptr)
    return entry->set(patch_.said, value) || fail_type(spelled_, found, entry->expected);
  return fail_type(spelled_, describe(value),
                   name_ == "retry_on" ? retry_on_expected
                   : name_ == "env"    ? variables_expected
                                       : limits_expected);
}

bool task_options_reader::start_object() {
  if (place_ == place::variables || place_ == place::limits)
    return fail_type((place_ == place::limits ? "limits." : "env.") + key_, "an object",
                     place_ == place::variables ? std::string_view("text")
                                                : find_limit_entry(key_)->expected);
  if (place_ == place::codes)
    return fail(error_code::invalid_argument,
                "the member \"retry_on\" holds an object; expected " + std::string(retry_on_expected));
  if (name_ == "env" || name_ == "limits") {
    clear_option(patch_.said, name_);
    place_ = name_ == "env" ? place::variables : place::limits;
    return true;
  }
  const auto* entry = find_option_entry(name_);
  return fail_type(spelled_, "an object", entry != nullptr ? entry->expected : retry_on_expected);
}

bool task_options_reader::key(std::string name) {
  key_ = std::move(name);
  if (place_ == place::limits && find_limit_entry(key_) == nullptr)
    return fail(error_code::invalid_argument,
                "there is no limit of that name in \"limits\"; allowed are memory, cpu_s, processes, "
                "file_size");
  return true;
}

bool task_options_reader::end_object() {
  open_ = false;
  return true;
}

bool task_options_reader::start_array() {
  if (place_ == place::value && name_ == "retry_on") {
    patch_.said.retry_on.emplace();
    place_ = place::codes;
    return true;
  }
  if (place_ == place::codes)
    return fail(error_code::invalid_argument,
                "the member \"retry_on\" holds an array; expected " + std::string(retry_on_expected));
  if (place_ != place::value)
    return fail_type((place_ == place::limits ? "limits." : "env.") + key_, "an array",
                     place_ == place::variables ? std::string_view("text")
                                                : find_limit_entry(key_)->expected);
  const auto* entry = find_option_entry(name_);
  return fail_type(spelled_, "an array",
                   entry != nullptr ? entry->expected
                   : name_ == "env" ? variables_expected
                                    : limits_expected);
}

bool task_options_reader::end_array() {
  open_ = false;
  return true;
}

task_options apply_patch(const task_options& existing, const task_options_patch& patch) {
  task_options base = existing;
  for (const auto& name : patch.opened)
    clear_option(base, name);
  auto joined = merge(patch.said, base);
  // merge puts all variables one behind the other; here a new value replaces the old one.
  joined.environment.variables = base.environment.variables;
  for (const auto& [name, value] : patch.said.environment.variables)
    put_variable(joined, name, value);
  return joined;
}

} // namespace task_runner
