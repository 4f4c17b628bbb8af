// The refusals that only mean "not now".
// Every code is named, so that the compiler asks about a new one.
#include "services/domain/undecided.hpp"

namespace task_runner {

bool is_undecided(error_code code) noexcept {
  switch (code) {
  case error_code::unavailable:
  case error_code::overloaded:
  case error_code::draining:
  case error_code::timeout:
  case error_code::queue_full:
    return true;
  case error_code::invalid_argument:
  case error_code::forbidden:
  case error_code::not_found:
  case error_code::method_not_allowed:
  case error_code::conflict:
  case error_code::in_progress:
  case error_code::too_large:
  case error_code::out_of_range:
  case error_code::key_reused:
  case error_code::internal:
    break;
  }
  return false;
}

} // namespace task_runner
