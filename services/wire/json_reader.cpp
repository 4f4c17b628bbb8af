// Drives json_events from nlohmann's event parser, which does not recurse; nesting is bounded here.
#include "services/wire/json_reader.hpp"

#include "services/domain/names.hpp"

#include <nlohmann/json.hpp>

#include <exception>
#include <limits>

namespace task_runner {

namespace {

using json = nlohmann::json;

/// nlohmann's number for a number that no double can hold.
constexpr int number_overflow = 406;

/// nlohmann's SAX interface, translated.
class sax_adapter {
public:
  explicit sax_adapter(json_events& events)
      : events_(events) {}

  const std::optional<error>& failure() const noexcept { return failure_; }

  bool null() { return events_.scalar(nullptr); }
  bool boolean(bool value) { return events_.scalar(value); }
  bool number_integer(json::number_integer_t value) { return events_.scalar(static_cast<int64_t>(value)); }
  bool number_unsigned(json::number_unsigned_t value) {
    if (value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return events_.scalar(static_cast<int64_t>(value));
    return events_.scalar(static_cast<double>(value));
  }
  bool number_float(json::number_float_t value, const std::string&) { return events_.scalar(value); }
  bool string(std::string& text) { return events_.scalar(std::move(text)); }
  bool binary(json::binary_t&) { return true; } // JSON text has no such thing

  bool start_object(size_t) { return deeper() && events_.start_object(); }
  bool key(std::string& name) { return events_.key(std::move(name)); }
  bool end_object() {
    --depth_;
    return events_.end_object();
  }
  bool start_array(size_t) { return deeper() && events_.start_array(); }
  bool end_array() {
    --depth_;
    return events_.end_array();
  }

  bool parse_error(size_t position, const std::string&, const json::exception& problem) {
    if (problem.id == number_overflow) {
      failure_ =
          error{error_code::out_of_range, "the JSON holds a number that is too large; give a smaller one"};
      return false;
    }
    // nlohmann's text: "[json.exception…] parse error at …: DETAIL; last read: BYTES". The bytes read may be
    // anything, secrets included, and are left out.
    std::string_view detail = problem.what();
    if (const auto end = detail.find("; last read"); end != std::string_view::npos)
      detail = detail.substr(0, end);
    if (const auto from = detail.find(": "); from != std::string_view::npos)
      detail.remove_prefix(from + 2);
    failure_ = error{error_code::invalid_argument, "not valid JSON at byte " + std::to_string(position) +
                                                       ": " + std::string(detail) + "; send one JSON object"};
    return false;
  }

private:
  bool deeper() {
    if (++depth_ <= json_depth_max)
      return true;
    failure_ = error{error_code::invalid_argument, "the JSON is nested deeper than " +
                                                       std::to_string(json_depth_max) +
                                                       " levels; send a flat object"};
    return false;
  }

  json_events& events_;
  std::optional<error> failure_;
  int depth_ = 0;
};

} // namespace

std::string_view describe(const json_scalar& value) noexcept {
  constexpr std::string_view kinds[] = {"null", "true or false", "a number", "a number", "text"};
  return kinds[value.index()];
}

result<void> read_json(std::string_view text, json_events& events) {
  // The library takes a NUL byte for the end of its input, and what follows would be lost without a word.
  if (text.find('\0') != std::string_view::npos)
    return error{error_code::invalid_argument, "the JSON holds a NUL byte; remove it"};
  try {
    sax_adapter adapter(events);
    if (json::sax_parse(text.begin(), text.end(), &adapter))
      return {};
    if (!is_valid_utf8(text))
      return error{error_code::invalid_argument, "the JSON is not valid UTF-8; send it as UTF-8"};
    if (events.failure())
      return *events.failure();
    if (adapter.failure())
      return *adapter.failure();
    return error{error_code::invalid_argument, "not valid JSON; send one JSON object"};
  } catch (const std::exception& failure) { // out of memory
    return error{error_code::internal, std::string("the JSON could not be read: ") + failure.what()};
  }
}

} // namespace task_runner
