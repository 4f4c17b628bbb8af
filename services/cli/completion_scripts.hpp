// The scripts that make shells complete. They know nothing but how their shell asks: the candidates come from
// this binary, called with what has been typed.
#pragma once

#include <string_view>

namespace task_runner::cli {

/// The script for bash, zsh or fish; empty for any other.
std::string_view completion_script(std::string_view shell) noexcept;

/// What the binary answers where the shell should offer files instead.
constexpr std::string_view complete_files = ":files";

} // namespace task_runner::cli
