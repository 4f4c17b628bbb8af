// Reading of traceparent and tracestate.
// A version that is not known yet may carry more behind what version 00 has.
#include "services/http/trace_context.hpp"

#include <algorithm>
#include <string_view>

namespace task_runner {

namespace {

constexpr size_t version_length = 2;
constexpr size_t trace_length = 32;
constexpr size_t caller_length = 16;
constexpr size_t flags_length = 2;
constexpr size_t whole_length = version_length + trace_length + caller_length + flags_length + 3;

bool is_hexadecimal(std::string_view digits) {
  return std::all_of(digits.begin(), digits.end(), [](char digit) {
    return (digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f');
  });
}

bool is_zero(std::string_view digits) {
  return digits.find_first_not_of('0') == std::string_view::npos;
}

bool is_trace_parent(std::string_view text) {
  if (text.size() < whole_length)
    return false;
  size_t at = 0;
  const auto field = [&](size_t length) {
    const auto digits = text.substr(at, length);
    at += length + 1;
    return digits;
  };
  const auto version = field(version_length);
  const auto trace = field(trace_length);
  const auto caller = field(caller_length);
  const auto flags = field(flags_length);
  for (const size_t dash :
       {version_length, version_length + 1 + trace_length, version_length + trace_length + caller_length + 2})
    if (text[dash] != '-')
      return false;
  if (!is_hexadecimal(version) || !is_hexadecimal(trace) || !is_hexadecimal(caller) || !is_hexadecimal(flags))
    return false;
  const bool ends_well = text.size() == whole_length || (version != "00" && text[whole_length] == '-');
  return ends_well && version != "ff" && !is_zero(trace) && !is_zero(caller);
}

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char one) { return one >= ' ' && one <= '~'; });
}

} // namespace

std::optional<trace_context> read_trace_context(const http_request& request) {
  trace_context found;
  size_t parents = 0;
  for (const auto& one : request.headers) {
    if (one.name == "traceparent") {
      ++parents;
      found.parent = one.value;
    } else if (one.name == "tracestate" && !one.value.empty()) {
      found.state += (found.state.empty() ? "" : ",") + one.value;
    }
  }
  if (parents != 1 || !is_trace_parent(found.parent) || !is_printable(found.parent))
    return std::nullopt;
  if (found.state.size() > trace_state_bytes_max || !is_printable(found.state))
    found.state.clear();
  return found;
}

} // namespace task_runner
