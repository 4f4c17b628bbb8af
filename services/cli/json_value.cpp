// Builds the values while the reader goes through the text, without recursion; depth is the reader's to
// bound.
#include "services/cli/json_value.hpp"

#include "services/wire/json_text.hpp"

#include <utility>

namespace task_runner::cli {

namespace {

const json_value nothing;
const std::string no_text;
const json_value::array no_items;
const json_value::object no_members;

} // namespace

/// Keeps the containers that are open; a closed one goes into the one around it.
class json_builder final : public json_events {
public:
  bool scalar(json_scalar value) override { return put(json_value(std::move(value))); }
  bool start_object() override { return open(json_value(json_value::object{})); }
  bool start_array() override { return open(json_value(json_value::array{})); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(std::string name) override {
    open_.back().key = std::move(name);
    return true;
  }

  json_value take() { return std::move(whole_); }

private:
  struct level {
    json_value container;
    /// Of the member that comes next.
    std::string key;
  };

  bool open(json_value container) {
    open_.push_back({std::move(container), {}});
    return true;
  }

  bool close() {
    auto done = std::move(open_.back().container);
    open_.pop_back();
    return put(std::move(done));
  }

  bool put(json_value value) {
    if (open_.empty()) {
      whole_ = std::move(value);
      return true;
    }
    auto& around = open_.back();
    if (auto* items = std::get_if<json_value::array>(&around.container.content_))
      items->push_back(std::move(value));
    else if (auto* members = std::get_if<json_value::object>(&around.container.content_))
      members->push_back({std::move(around.key), std::move(value)});
    return true;
  }

  std::vector<level> open_;
  json_value whole_;
};

json_value::json_value()
    : content_(json_scalar(nullptr)) {
  // nop
}

json_value::json_value(json_scalar scalar)
    : content_(std::move(scalar)) {
  // nop
}

json_value::json_value(array items)
    : content_(std::move(items)) {
  // nop
}

json_value::json_value(object members)
    : content_(std::move(members)) {
  // nop
}

const json_value& json_value::operator[](std::string_view name) const noexcept {
  for (const auto& one : members())
    if (one.name == name)
      return one.value;
  return nothing;
}

const json_value::array& json_value::items() const noexcept {
  const auto* found = std::get_if<array>(&content_);
  return found != nullptr ? *found : no_items;
}

const json_value::object& json_value::members() const noexcept {
  const auto* found = std::get_if<object>(&content_);
  return found != nullptr ? *found : no_members;
}

bool json_value::is_null() const noexcept {
  const auto* scalar = std::get_if<json_scalar>(&content_);
  return scalar != nullptr && std::holds_alternative<std::nullptr_t>(*scalar);
}

bool json_value::is_object() const noexcept {
  return std::holds_alternative<object>(content_);
}

const std::string& json_value::text() const noexcept {
  const auto* scalar = std::get_if<json_scalar>(&content_);
  const auto* found = scalar != nullptr ? std::get_if<std::string>(scalar) : nullptr;
  return found != nullptr ? *found : no_text;
}

int64_t json_value::whole() const noexcept {
  if (const auto* scalar = std::get_if<json_scalar>(&content_)) {
    if (const auto* whole = std::get_if<int64_t>(scalar))
      return *whole;
    if (const auto* number = std::get_if<double>(scalar);
        number != nullptr && *number > -9e18 && *number < 9e18)
      return static_cast<int64_t>(*number);
  }
  return 0;
}

double json_value::number() const noexcept {
  if (const auto* scalar = std::get_if<json_scalar>(&content_)) {
    if (const auto* whole = std::get_if<int64_t>(scalar))
      return static_cast<double>(*whole);
    if (const auto* number = std::get_if<double>(scalar))
      return *number;
  }
  return 0;
}

bool json_value::is_true() const noexcept {
  const auto* scalar = std::get_if<json_scalar>(&content_);
  const auto* flag = scalar != nullptr ? std::get_if<bool>(scalar) : nullptr;
  return flag != nullptr && *flag;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as json_depth_max at most.
void json_value::write(std::string& out) const {
  if (const auto* scalar = std::get_if<json_scalar>(&content_)) {
    json_writer json(out);
    std::visit(
        [&json](const auto& value) {
          if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::nullptr_t>)
            json.null();
          else
            json.value(value);
        },
        *scalar);
    return;
  }
  bool first = true;
  const auto separate = [&] {
    if (!std::exchange(first, false))
      out += ',';
  };
  if (const auto* list = std::get_if<array>(&content_)) {
    out += '[';
    for (const auto& one : *list) {
      separate();
      one.write(out);
    }
    out += ']';
    return;
  }
  out += '{';
  for (const auto& one : members()) {
    separate();
    append_json_string(out, one.name);
    out += ':';
    one.value.write(out);
  }
  out += '}';
}

std::string json_value::dump() const {
  std::string text;
  write(text);
  return text;
}

result<json_value> parse_json(std::string_view text) {
  json_builder builder;
  if (auto read = read_json(text, builder); !read)
    return read.failure();
  return builder.take();
}

} // namespace task_runner::cli
