// The one list of error codes, and the error value that carries one with a sentence for a person.
// Everything that can fail returns it inside result<T>; nothing throws across a component's edge.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// What went wrong, in terms a caller can act on. `to_string` and `http_status` cover every value.
enum class error_code : uint8_t {
  /// The input itself is wrong: empty task, bad form, invalid UTF-8. HTTP 400.
  invalid_argument,
  /// Refused for where it comes from: foreign Host or Origin. HTTP 403.
  forbidden,
  /// No such channel, task or path. HTTP 404.
  not_found,
  /// The path exists, the method does not. HTTP 405.
  method_not_allowed,
  /// The thing exists already, or someone else holds it. HTTP 409.
  conflict,
  /// A request with the same Idempotency-Key is being carried out. HTTP 409.
  in_progress,
  /// Over a size limit. HTTP 413.
  too_large,
  /// A number outside its documented range. HTTP 422.
  out_of_range,
  /// The Idempotency-Key belongs to another request. HTTP 422.
  key_reused,
  /// A queue is at its limit. HTTP 429.
  queue_full,
  /// An internal failure that is not the caller's fault. HTTP 500.
  internal,
  /// An internal bound is reached; the same request may succeed later. HTTP 503.
  overloaded,
  /// The daemon is stopping and takes nothing new. HTTP 503.
  draining,
  /// The store, the launcher or a broker cannot be used now. HTTP 503.
  unavailable,
  /// No answer within the time allowed. HTTP 504.
  timeout,
};

/// The code's name as logs, metrics and tests spell it. Never empty.
std::string_view to_string(error_code code) noexcept;

/// The HTTP status that the code is answered with, 400 to 599.
int http_status(error_code code) noexcept;

/// What the code stands for, in a few words: the title of every such failure.
std::string_view title_of(error_code code) noexcept;

/// What somebody who gets the code can do about it: one sentence or two.
std::string_view advice_on(error_code code) noexcept;

/// All codes, in their order.
std::vector<error_code> all_error_codes();

/// The code of that name, as to_string spells it; nothing when there is none.
std::optional<error_code> find_error_code(std::string_view name) noexcept;

/// An error code and a sentence: what happened, what was expected, what to do. A plain value.
struct error {
  error_code code = error_code::internal;
  std::string message;
};

} // namespace task_runner
