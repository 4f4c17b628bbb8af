// A JSON answer in memory, for the few that a client looks into.
// The library's tree, seen through functions that bear with what is not there.
#pragma once

#include "services/domain/result.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace task_runner::cli {

struct json_member;

/// A value of any kind, somewhere in a tree that lives as long as one of its values does. Asking for what is
/// not there gives nothing (null, empty text, 0), so that an answer of an older or newer daemon is shown as
/// far as it goes. Never changes; a copy is cheap.
class json_value {
public:
  /// Null.
  json_value() = default;

  /// The member of that name; null where there is none, and where this is no object.
  json_value operator[](std::string_view name) const;
  /// The items; none where this is no array.
  std::vector<json_value> items() const;
  /// The members in their order; none where this is no object.
  std::vector<json_member> members() const;
  bool is_null() const noexcept;
  bool is_object() const noexcept;
  /// The text; empty where this is none. Lives as long as the tree.
  const std::string& text() const noexcept;
  /// The number, cut to a whole one; 0 where this is none, and where it does not fit.
  int64_t whole() const noexcept;
  double number() const noexcept;
  bool is_true() const noexcept;

  /// As JSON on one line.
  std::string dump() const;

private:
  friend result<json_value> parse_json(std::string_view text);
  using tree = nlohmann::ordered_json;

  json_value(std::shared_ptr<const tree> whole, const tree* here)
      : whole_(std::move(whole))
      , here_(here) {}

  std::shared_ptr<const tree> whole_;
  /// Null: this is null.
  const tree* here_ = nullptr;
};

/// One member of an object.
struct json_member {
  std::string name;
  json_value value;
};

/// Deepest nesting that is read.
constexpr int answer_depth_max = 32;

/// Reads one document; `invalid_argument` when it is none, or is nested deeper than that.
result<json_value> parse_json(std::string_view text);

} // namespace task_runner::cli
