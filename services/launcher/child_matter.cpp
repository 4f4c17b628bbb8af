// Turns a plan and a setting into the plain data that a child works on.
#include "services/launcher/child_matter.hpp"

#include "services/launcher/spawn.hpp"

#include <utility>

namespace task_runner::launcher {
namespace {

/// Null-terminated pointers to words, for execve.
std::vector<char*> pointers_to(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (const std::string& word : words)
    pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

child_limit make_limit(int resource, uint64_t soft, uint64_t hard_above, child_stage stage) noexcept {
  return {resource, {soft, soft < RLIM_INFINITY - hard_above ? soft + hard_above : RLIM_INFINITY}, stage};
}

} // namespace

child_matter::child_matter(command_plan plan, spawn_setting setting, int output)
    : contents_(std::make_unique<contents>()) {
  contents& own = *contents_;
  own.plan = std::move(plan);
  own.environment = std::move(setting.environment);
  child_order& order = own.order;
  for (const std::string& program : own.plan.programs)
    own.programs.push_back(program.c_str());
  own.words = pointers_to(own.plan.words);
  if (own.plan.shell_line) {
    // Behind "--" a line that begins with a dash is still a line.
    own.shell_words = {const_cast<char*>("/bin/sh"), const_cast<char*>("-c"), const_cast<char*>("--"),
                       const_cast<char*>(own.plan.shell_line->c_str()), nullptr};
    order.shell_words = own.shell_words.data();
  } else {
    own.script_words.push_back("/bin/sh");
    own.script_words.push_back(nullptr);
    own.script_words.insert(own.script_words.end(), own.words.begin() + 1, own.words.end());
    order.script_words = own.script_words.data();
  }
  order.programs = own.programs.data();
  order.program_count = own.programs.size();
  order.words = own.words.data();
  order.environment = own.environment.pointers();
  order.input = setting.input;
  order.output = output;
  order.failure = setting.failure;
  if (setting.directory != nullptr) {
    own.directory = setting.directory;
    order.directory = own.directory.c_str();
  }
  order.cgroup_to_enter = setting.enters_cgroup ? setting.cgroup : -1;
  order.tag = setting.tag;
  if (setting.user != nullptr) {
    own.user = *setting.user;
    order.becomes_user = true;
    order.user = own.user->user;
    order.group = own.user->group;
    order.groups = own.user->groups.data();
    order.group_count = own.user->groups.size();
  }
  order.changes_nice = setting.nice.has_value();
  order.nice = setting.nice.value_or(0);
  order.changes_file_mask = setting.file_mask.has_value();
  order.file_mask = static_cast<mode_t>(setting.file_mask.value_or(0));
  order.descriptors = setting.descriptors;
  const resource_limits& limits = setting.limits;
  if (limits.cpu_s)
    own.limits.at(order.limit_count++) = make_limit(RLIMIT_CPU, *limits.cpu_s, 1, child_stage::cpu_limit);
  if (limits.processes)
    own.limits.at(order.limit_count++) =
        make_limit(RLIMIT_NPROC, *limits.processes, 0, child_stage::process_limit);
  if (limits.file_size_bytes)
    own.limits.at(order.limit_count++) =
        make_limit(RLIMIT_FSIZE, *limits.file_size_bytes, 0, child_stage::file_size_limit);
  order.limits = own.limits.data();
  order.limits_memory = limits.memory_bytes.has_value();
  order.memory = make_limit(RLIMIT_AS, limits.memory_bytes.value_or(0), 0, child_stage::memory_limit);
}

size_t child_matter::text_bytes() const noexcept {
  size_t bytes = contents_->environment.own_bytes() + contents_->directory.size();
  for (const auto* list : {&contents_->plan.programs, &contents_->plan.words})
    for (const std::string& text : *list)
      bytes += text.size() + 1;
  return bytes + (contents_->plan.shell_line ? contents_->plan.shell_line->size() : 0);
}

} // namespace task_runner::launcher
