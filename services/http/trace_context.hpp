// The trace that a request belongs to, as its headers tell it: https://www.w3.org/TR/trace-context/.
// Read strictly, as what cannot be read begins a new trace at whoever looks at it; never a reason to refuse.
#pragma once

#include "services/http/http_message.hpp"

#include <optional>
#include <string>

namespace task_runner {

/// Longest `tracestate` that is passed on, bytes: as much as the specification demands.
constexpr size_t trace_state_bytes_max = 512;

/// One caller's place in its trace.
struct trace_context {
  /// `traceparent` as it came: version, trace, caller and flags in lower-case hexadecimal digits.
  std::string parent;
  /// `tracestate`, several headers put together; empty when there is none, or it is too long.
  std::string state;
};

/// Nothing when there is no `traceparent`, more than one, or one that breaks the rules. Thread-safe.
std::optional<trace_context> read_trace_context(const http_request& request);

} // namespace task_runner
