// Look-ups on a decoded request.
// Linear searches: a request has a handful of each.
#include "services/http/http_message.hpp"

#include "services/http/http_text.hpp"

#include <algorithm>

namespace task_runner {

std::optional<std::string_view> http_request::header(std::string_view name) const {
  for (const auto& one : headers)
    if (equals_ignoring_case(one.name, name))
      return one.value;
  return std::nullopt;
}

std::string_view http_request::path_parameter(std::string_view name) const {
  for (const auto& one : path_parameters)
    if (one.name == name)
      return one.value;
  return {};
}

std::optional<std::string_view> http_request::query(std::string_view name) const {
  for (const auto& one : query_parameters)
    if (one.name == name)
      return one.value;
  return std::nullopt;
}

std::vector<std::string_view> http_request::query_all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto& one : query_parameters)
    if (one.name == name)
      values.emplace_back(one.value);
  return values;
}

bool http_request::accepts(std::string_view media_type) const {
  return std::any_of(headers.begin(), headers.end(), [&](const http_header& one) {
    return one.name == "accept" && names_media_type(one.value, media_type);
  });
}

bool names_media_type(std::string_view accept, std::string_view media_type) {
  while (!accept.empty()) {
    const auto comma = accept.find(',');
    const auto range = accept.substr(0, comma);
    if (equals_ignoring_case(trim_blanks(range.substr(0, range.find(';'))), media_type))
      return true;
    accept = comma == std::string_view::npos ? std::string_view{} : accept.substr(comma + 1);
  }
  return false;
}

} // namespace task_runner
