// Writing of JSON straight into a string, for answers and entries that need no document in memory.
// What it writes is always valid JSON in valid UTF-8, whatever bytes it is given.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace task_runner {

/// Appends `text` as a JSON string, quotes included. Each byte that is not part of well-formed UTF-8 becomes
/// U+FFFD.
void append_json_string(std::string& out, std::string_view text);

/// Appends a number. A double is written so that it reads back as the same value; one that is not finite,
/// which JSON cannot carry, becomes `null`.
void append_json_number(std::string& out, int64_t value);
void append_json_number(std::string& out, uint64_t value);
void append_json_number(std::string& out, double value);

/// Writes objects and arrays member by member and sets the commas. The caller keeps begin and end in pairs
/// and gives each value of an object its key; nothing is buffered beside `out`, which must outlive the
/// writer.
class json_writer {
public:
  explicit json_writer(std::string& out)
      : out_(out) {}

  json_writer& begin_object();
  json_writer& end_object();
  json_writer& begin_array();
  json_writer& end_array();
  json_writer& key(std::string_view name);

  json_writer& value(std::string_view text);
  json_writer& value(const char* text) { return value(std::string_view(text)); }
  json_writer& value(const std::string& text) { return value(std::string_view(text)); }
  template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
  json_writer& value(T plain) {
    separate();
    if constexpr (std::is_same_v<T, bool>)
      out_ += plain ? "true" : "false";
    else if constexpr (std::is_floating_point_v<T>)
      append_json_number(out_, static_cast<double>(plain));
    else if constexpr (std::is_signed_v<T>)
      append_json_number(out_, static_cast<int64_t>(plain));
    else
      append_json_number(out_, static_cast<uint64_t>(plain));
    comma_ = true;
    return *this;
  }
  json_writer& null();
  /// Text that is one JSON value already.
  json_writer& raw(std::string_view json);

  /// A key and its value in one.
  template <class T>
  json_writer& member(std::string_view name, const T& content) {
    key(name);
    return value(content);
  }

private:
  /// A comma where one value follows another.
  void separate();

  std::string& out_;
  bool comma_ = false;
};

} // namespace task_runner
