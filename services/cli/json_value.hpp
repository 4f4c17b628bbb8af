// A JSON answer in memory, for the few that a client looks into.
// Read by the project's one reader of JSON, and written back by its one writer.
#pragma once

#include "services/domain/result.hpp"
#include "services/wire/json_reader.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace task_runner::cli {

struct json_member;

/// A value of any kind. Asking for what is not there gives nothing (null, empty text, 0), so that an answer
/// of an older or newer daemon is shown as far as it goes. A plain value.
class json_value {
public:
  using object = std::vector<json_member>;
  using array = std::vector<json_value>;

  json_value();
  explicit json_value(json_scalar scalar);
  explicit json_value(array items);
  explicit json_value(object members);

  /// The member of that name; null where there is none, and where this is no object.
  const json_value& operator[](std::string_view name) const noexcept;
  /// The items; none where this is no array.
  const array& items() const noexcept;
  /// The members in their order; none where this is no object.
  const object& members() const noexcept;
  bool is_null() const noexcept;
  bool is_object() const noexcept;
  /// The text; empty where this is none.
  const std::string& text() const noexcept;
  /// The number, cut to a whole one; 0 where this is none.
  int64_t whole() const noexcept;
  double number() const noexcept;
  bool is_true() const noexcept;

  /// Appends it as JSON on one line.
  void write(std::string& out) const;
  std::string dump() const;

private:
  friend class json_builder;
  std::variant<json_scalar, array, object> content_;
};

/// One member of an object.
struct json_member {
  std::string name;
  json_value value;
};

/// Reads one document; `invalid_argument` when it is none.
result<json_value> parse_json(std::string_view text);

} // namespace task_runner::cli
