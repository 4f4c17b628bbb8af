// Filtering, packing and unpacking of the environment of commands.
#include "services/launcher/command_environment.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace task_runner::launcher {
namespace {

constexpr std::string_view secret_prefix = "TASK_RUNNER_REDIS_PASSWORD";
constexpr std::array<std::string_view, 3> own_names{
    "TASK_RUNNER_TASK_ID=", "TASK_RUNNER_CHANNEL=", "TASK_RUNNER_ATTEMPT="};

bool starts_with(std::string_view text, std::string_view prefix) noexcept {
  return text.substr(0, prefix.size()) == prefix;
}

bool is_own_entry(std::string_view entry) noexcept {
  for (const std::string_view name : own_names)
    if (starts_with(entry, name))
      return true;
  return false;
}

} // namespace

bool is_secret_entry(std::string_view entry) noexcept {
  return starts_with(entry, secret_prefix);
}

std::string encode_environment(const char* const* entries) {
  std::string bytes;
  for (; entries != nullptr && *entries != nullptr; ++entries) {
    const std::string_view entry(*entries);
    if (entry.empty() || is_secret_entry(entry) || is_own_entry(entry))
      continue;
    bytes.append(entry);
    bytes.push_back('\0');
  }
  return bytes;
}

command_environment::command_environment(std::string_view bytes, const std::string& working_directory) {
  std::vector<std::string> entries;
  while (!bytes.empty()) {
    const std::string_view entry = bytes.substr(0, bytes.find('\0'));
    bytes.remove_prefix(std::min(entry.size() + 1, bytes.size()));
    if (entry.empty() || is_secret_entry(entry) || is_own_entry(entry))
      continue;
    if (starts_with(entry, "PATH=") && !search_path_)
      search_path_ = std::string(entry.substr(5));
    if (starts_with(entry, "PWD=") && !working_directory.empty())
      continue;
    entries.emplace_back(entry);
  }
  if (!working_directory.empty())
    entries.push_back("PWD=" + working_directory);
  entries_ = std::make_shared<const std::vector<std::string>>(std::move(entries));
}

const std::optional<std::string>& command_environment::search_path_for(const attempt_start& attempt) {
  const auto& variables = attempt.environment.variables;
  const auto own = std::find_if(variables.rbegin(), variables.rend(),
                                [](const auto& variable) { return variable.first == "PATH"; });
  if (own == variables.rend())
    return search_path_;
  attempt_search_path_ = own->second;
  return attempt_search_path_;
}

size_t attempt_environment::own_bytes() const noexcept {
  size_t bytes = 0;
  for (const std::string& entry : own_)
    bytes += entry.size() + 1;
  return bytes;
}

attempt_environment command_environment::for_attempt(const attempt_start& attempt,
                                                     const user_identity* user) const {
  attempt_environment made;
  made.inherited_ = entries_;
  made.own_.push_back(std::string(own_names[0]) + attempt.key.task_id);
  made.own_.push_back(std::string(own_names[1]) + attempt.channel);
  made.own_.push_back(std::string(own_names[2]) + std::to_string(attempt.key.attempt));

  // Names that are given anew here; of several values for one the first that is added counts.
  std::set<std::string_view> given;
  const auto add = [&](std::string_view name, const std::string& value) {
    std::string entry(name);
    entry += '=';
    if (is_own_entry(entry) || !given.insert(name).second)
      return;
    made.own_.push_back(std::move(entry) + value);
  };
  const auto& variables = attempt.environment.variables;
  for (auto variable = variables.rbegin(); variable != variables.rend(); ++variable)
    add(variable->first, variable->second);
  if (attempt.environment.directory)
    add("PWD", *attempt.environment.directory);
  if (user != nullptr) {
    add("HOME", user->home);
    add("USER", user->name);
    add("LOGNAME", user->name);
    add("SHELL", user->shell);
  }

  made.pointers_.reserve(entries_->size() + made.own_.size() + 1);
  // execve takes pointers to what it does not change.
  for (const std::string& entry : *entries_)
    if (given.empty() || given.count(std::string_view(entry).substr(0, entry.find('='))) == 0)
      made.pointers_.push_back(const_cast<char*>(entry.data()));
  for (std::string& entry : made.own_)
    made.pointers_.push_back(entry.data());
  made.pointers_.push_back(nullptr);
  return made;
}

} // namespace task_runner::launcher
