// Forms as browsers, curl and PHP send them: urlencoded and multipart bodies become named fields.
// JSON bodies are left to whoever knows what they should hold; is_json() tells them apart.
#pragma once

#include "services/domain/names.hpp"
#include "services/domain/result.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// Most fields in one form: every argument that a command may have, each as a field of its own, and room
/// beside.
constexpr size_t form_fields_max = argument_count_max + 128;

/// Most header lines of one part of a multipart body.
constexpr int part_header_lines_max = 16;

/// One field.
struct form_field {
  std::string name;
  /// Valid UTF-8 without NUL, unless it came as a file.
  std::string value;
  /// The part named a file (`curl -F field=@file`): the value may be any bytes.
  bool is_file = false;
};

/// The fields of a form, in the order in which they came; names may repeat.
struct form_fields {
  std::vector<form_field> fields;

  /// The first value of that name.
  std::optional<std::string_view> get(std::string_view name) const;
  /// All values of that name, in order.
  std::vector<std::string_view> all(std::string_view name) const;
};

/// The media type of a Content-Type in lower case, without parameters: "multipart/form-data".
std::string media_type_of(std::string_view content_type);

/// Whether the body is JSON: application/json, or any type that ends in +json.
bool is_json(std::string_view content_type);

/// Decodes a form by its Content-Type: application/x-www-form-urlencoded (`+` is a space) or
/// multipart/form-data. `invalid_argument` for any other type, a missing one included (an empty body without
/// a type is an empty form), for a bad percent code, a multipart body that is cut short or malformed, more
/// than `form_fields_max` fields, and text that is not UTF-8 or contains NUL. Thread-safe; never throws.
result<form_fields> decode_form(std::string_view content_type, std::string_view body);

} // namespace task_runner
