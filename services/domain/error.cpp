// Names and HTTP statuses of the error codes, in one table that the compiler checks for completeness.
#include "services/domain/error.hpp"

#include <array>

namespace task_runner {

namespace {

struct row {
  error_code code;
  std::string_view name;
  int http_status;
};

constexpr std::array table{
    row{error_code::invalid_argument, "invalid_argument", 400},
    row{error_code::forbidden, "forbidden", 403},
    row{error_code::not_found, "not_found", 404},
    row{error_code::method_not_allowed, "method_not_allowed", 405},
    row{error_code::conflict, "conflict", 409},
    row{error_code::too_large, "too_large", 413},
    row{error_code::out_of_range, "out_of_range", 422},
    row{error_code::queue_full, "queue_full", 429},
    row{error_code::internal, "internal", 500},
    row{error_code::overloaded, "overloaded", 503},
    row{error_code::draining, "draining", 503},
    row{error_code::unavailable, "unavailable", 503},
    row{error_code::timeout, "timeout", 504},
};

constexpr bool in_order() {
  for (size_t i = 0; i < table.size(); ++i)
    if (static_cast<size_t>(table[i].code) != i)
      return false;
  return true;
}

static_assert(in_order(), "the table lists every error code, in the order of the enumeration");
static_assert(table.size() == static_cast<size_t>(error_code::timeout) + 1,
              "a code is missing from the table");

} // namespace

std::string_view to_string(error_code code) noexcept {
  return table[static_cast<size_t>(code)].name;
}

int http_status(error_code code) noexcept {
  return table[static_cast<size_t>(code)].http_status;
}

} // namespace task_runner
