// What there is to say of each error code, in one table that the compiler checks for completeness.
#include "services/domain/error.hpp"

#include <array>

namespace task_runner {

namespace {

struct row {
  error_code code;
  std::string_view name;
  int http_status;
  std::string_view title;
  std::string_view advice;
};

constexpr std::array table{
    row{error_code::invalid_argument, "invalid_argument", 400, "The request is wrong",
        "The message says what is wrong with it. Sent again as it is, it will be refused again."},
    row{error_code::forbidden, "forbidden", 403, "Refused for where it comes from",
        "The Host or the Origin of the request is foreign: allow-host names hosts that are let in."},
    row{error_code::not_found, "not_found", 404, "There is no such thing",
        "The message says what was looked for. A task that ended may have been purged: see the retention."},
    row{error_code::method_not_allowed, "method_not_allowed", 405, "The path exists, the method does not",
        "The header Allow says which methods there are."},
    row{error_code::conflict, "conflict", 409, "In conflict with what is there",
        "The message says with what: something of this name is there, or is in another state than the "
        "request needs."},
    row{error_code::in_progress, "in_progress", 409, "The same request is being carried out",
        "Another request with this Idempotency-Key has no answer yet. Send it again in a second, with the "
        "same key: you get that answer."},
    row{error_code::too_large, "too_large", 413, "Over a limit of size",
        "The message says which limit, and what to do with larger things."},
    row{error_code::out_of_range, "out_of_range", 422, "A number is out of its range",
        "The message says which range."},
    row{error_code::key_reused, "key_reused", 422, "The Idempotency-Key belongs to another request",
        "A key is good for one request: the same method, path and body. Give a new request a new key."},
    row{error_code::queue_full, "queue_full", 429, "The queue is full",
        "Try again when some tasks have run; tasks-max is the limit."},
    row{error_code::internal, "internal", 500, "A failure of the daemon itself",
        "Its log says more. Please report it."},
    row{error_code::overloaded, "overloaded", 503, "Too much at once",
        "Try again in a second; nothing was done."},
    row{error_code::draining, "draining", 503, "The daemon is starting or stopping",
        "Try again in a second or two; nothing was done."},
    row{error_code::unavailable, "unavailable", 503, "Something the daemon needs cannot be used now",
        "The message says what: the store, the launcher, a channel that is starting again. What was asked "
        "for may have happened all the same: look before it is sent again, or give it an id."},
    row{error_code::timeout, "timeout", 504, "No answer in time",
        "What was asked for may still happen: look before it is sent again, or give it an id."},
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

std::string_view title_of(error_code code) noexcept {
  return table[static_cast<size_t>(code)].title;
}

std::string_view advice_on(error_code code) noexcept {
  return table[static_cast<size_t>(code)].advice;
}

std::vector<error_code> all_error_codes() {
  std::vector<error_code> codes;
  for (const auto& one : table)
    codes.push_back(one.code);
  return codes;
}

std::optional<error_code> find_error_code(std::string_view name) noexcept {
  for (const auto& one : table)
    if (one.name == name)
      return one.code;
  return std::nullopt;
}

} // namespace task_runner
