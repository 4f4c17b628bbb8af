// Wire names of the dedup modes.
#include "services/domain/channel.hpp"

namespace task_runner {

std::string_view to_string(distinct_mode mode) noexcept {
  switch (mode) {
  case distinct_mode::off:
    return "off";
  case distinct_mode::until_finished:
    return "until-finished";
  case distinct_mode::while_pending:
    return "while-pending";
  }
  return "unknown";
}

std::optional<distinct_mode> parse_distinct_mode(std::string_view text) noexcept {
  if (text == "true")
    return distinct_mode::until_finished;
  if (text == "false")
    return distinct_mode::off;
  for (const auto mode : {distinct_mode::off, distinct_mode::until_finished, distinct_mode::while_pending})
    if (text == to_string(mode))
      return mode;
  return std::nullopt;
}

} // namespace task_runner
