// What a child reads on its way to its command, all of it owned in one place for as long as that takes.
#pragma once

#include "services/launcher/child_start.hpp"
#include "services/launcher/command_environment.hpp"
#include "services/launcher/command_line.hpp"
#include "services/launcher/user_identity.hpp"

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace task_runner::launcher {

struct spawn_setting;

/// An order and everything that it points to. Moves keep what it points to where it is. Not thread-safe.
class child_matter {
public:
  child_matter() = default;
  /// `output` is the descriptor for stdout and stderr; descriptors outlive the child's making only.
  child_matter(command_plan plan, spawn_setting setting, int output);

  /// Valid until this is moved from or destroyed; the order itself moves with this.
  const child_order& order() const noexcept { return contents_->order; }
  /// Bytes of text that are kept here, but for the inherited environment.
  size_t text_bytes() const noexcept;

private:
  struct contents {
    command_plan plan;
    attempt_environment environment;
    std::string directory;
    std::optional<user_identity> user;
    std::vector<const char*> programs;
    std::vector<char*> words;
    std::vector<const char*> script_words;
    std::array<char*, 5> shell_words{};
    std::array<child_limit, 3> limits{};
    child_order order;
  };
  std::unique_ptr<contents> contents_;
};

} // namespace task_runner::launcher
