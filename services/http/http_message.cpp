// Look-ups on a decoded request.
// Linear searches: a request has a handful of each.
#include "services/http/http_message.hpp"

#include "services/http/http_text.hpp"

#include <algorithm>

namespace task_runner {

namespace {

/// The weight of a range that has none, in thousandths.
constexpr int weight_max = 1'000;

/// The `q` of a range's parameters in thousandths; digits beyond the third do not count, and one that cannot
/// be read is none.
int weight_of(std::string_view parameters) {
  while (!parameters.empty()) {
    const auto semicolon = parameters.find(';');
    const auto one = trim_blanks(parameters.substr(0, semicolon));
    parameters = semicolon == std::string_view::npos ? std::string_view{} : parameters.substr(semicolon + 1);
    if (one.size() < 3 || !equals_ignoring_case(one.substr(0, 2), "q="))
      continue;
    if (one[2] != '0')
      return weight_max;
    int weight = 0;
    int step = weight_max / 10;
    for (const char digit : one.substr(std::min<size_t>(one.size(), 4))) {
      if (digit < '0' || digit > '9')
        return weight_max;
      weight += (digit - '0') * step;
      step /= 10;
    }
    return weight;
  }
  return weight_max;
}

/// What a client gives a media type: by its name, by its family (`text/*`) and by `*/*`. Unset: does not say.
struct media_weights {
  std::optional<int> by_name;
  std::optional<int> by_family;
  std::optional<int> by_anything;

  /// The most exact range decides.
  int decisive() const { return by_name.value_or(by_family.value_or(by_anything.value_or(0))); }
};

void add_weights(media_weights& weights, std::string_view accept, std::string_view media_type) {
  const auto family = media_type.substr(0, media_type.find('/'));
  while (!accept.empty()) {
    const auto comma = accept.find(',');
    const auto range = accept.substr(0, comma);
    accept = comma == std::string_view::npos ? std::string_view{} : accept.substr(comma + 1);
    const auto semicolon = range.find(';');
    const auto name = trim_blanks(range.substr(0, semicolon));
    const int weight =
        weight_of(semicolon == std::string_view::npos ? std::string_view{} : range.substr(semicolon + 1));
    const bool is_family = name.size() == family.size() + 2 && name.substr(family.size()) == "/*" &&
                           equals_ignoring_case(name.substr(0, family.size()), family);
    if (equals_ignoring_case(name, media_type))
      weights.by_name = std::max(weights.by_name.value_or(0), weight);
    else if (is_family)
      weights.by_family = std::max(weights.by_family.value_or(0), weight);
    else if (name == "*/*")
      weights.by_anything = std::max(weights.by_anything.value_or(0), weight);
  }
}

} // namespace

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

bool http_request::prefers(std::string_view media_type, std::string_view other) const {
  media_weights wanted;
  media_weights instead;
  for (const auto& one : headers) {
    if (one.name != "accept")
      continue;
    add_weights(wanted, one.value, media_type);
    add_weights(instead, one.value, other);
  }
  return wanted.by_name.value_or(0) > 0 && *wanted.by_name >= instead.decisive();
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
