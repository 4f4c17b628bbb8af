// Reading of JSON event by event, without a document in memory.
// The one place where the JSON library reads what comes from outside; decoders see scalars and nesting only.
#pragma once

#include "services/domain/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace task_runner {

/// A value that is neither object nor array. A whole number past 2^63-1 comes as a double.
using json_scalar = std::variant<std::nullptr_t, bool, int64_t, double, std::string>;

/// What a scalar is, for messages: "null", "true or false", "a number", "text".
std::string_view describe(const json_scalar& value) noexcept;

/// Takes the events of one document in order. Each returns whether to go on; before it returns false it has
/// set `failure_`.
class json_events {
public:
  json_events() = default;
  json_events(const json_events&) = delete;
  json_events& operator=(const json_events&) = delete;
  virtual ~json_events() = default;

  virtual bool scalar(json_scalar value) = 0;
  virtual bool start_object() = 0;
  virtual bool key(std::string name) = 0;
  virtual bool end_object() = 0;
  virtual bool start_array() = 0;
  virtual bool end_array() = 0;

  const std::optional<error>& failure() const noexcept { return failure_; }

protected:
  /// Sets `failure_`; always false.
  bool fail(error_code code, std::string message) {
    failure_ = error{code, std::move(message)};
    return false;
  }

  std::optional<error> failure_;
};

/// Deepest nesting that is read; deeper is refused. What is read here needs three levels; the rest is room
/// for members of others.
constexpr int json_depth_max = 32;

/// Reads one JSON document. Fails with what `events` refused, or with `invalid_argument` (`out_of_range` for
/// a number that no double can hold) where `text` is no JSON; the message quotes nothing of it. Thread-safe,
/// never throws.
result<void> read_json(std::string_view text, json_events& events);

} // namespace task_runner
