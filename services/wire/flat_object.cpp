// Reading of flat objects and of their members.
#include "services/wire/flat_object.hpp"

#include "services/domain/quantities.hpp"
#include "services/wire/decimal_text.hpp"
#include "services/wire/rfc3339.hpp"
#include "services/wire/task_options_json.hpp"
#include "services/wire/task_options_table.hpp"

#include <cmath>
#include <utility>

namespace task_runner {

namespace {

/// 9999-12-31T23:59:59Z, the last second that `format_time` can write.
constexpr double unix_seconds_max = 253'402'300'799.0;

class flat_reader final : public json_events {
public:
  explicit flat_reader(bool with_options)
      : with_options_(with_options) {}

  bool scalar(json_scalar value) override {
    if (options_.is_open())
      return forward(options_.scalar(std::move(value)));
    if (depth_ == 0)
      return fail_document(describe(value));
    if (depth_ == 1)
      found_.members.push_back({name_, std::move(value), false});
    else if (depth_ == 2 && in_list_)
      found_.members.push_back({name_, std::move(value), true});
    return true;
  }

  bool start_object() override {
    if (options_.is_open())
      return forward(options_.start_object());
    if (++depth_ > 1)
      note_nested();
    return true;
  }

  bool key(std::string name) override {
    if (options_.is_open())
      return forward(options_.key(std::move(name)));
    if (depth_ != 1)
      return true;
    if (with_options_ && is_task_option(name))
      return forward(options_.begin(name));
    name_ = std::move(name);
    return true;
  }

  bool end_object() override { return options_.is_open() ? forward(options_.end_object()) : leave(); }

  bool start_array() override {
    if (options_.is_open())
      return forward(options_.start_array());
    if (depth_ == 0)
      return fail_document("an array");
    if (++depth_ != 2) {
      note_nested();
      return true;
    }
    in_list_ = true;
    list_begin_ = found_.members.size();
    return true;
  }

  bool end_array() override { return options_.is_open() ? forward(options_.end_array()) : leave(); }

  flat_object take() {
    found_.options = std::move(options_.patch());
    return std::move(found_);
  }

private:
  bool leave() {
    if (--depth_ != 1 || !in_list_)
      return true;
    in_list_ = false;
    // Nothing in it: that is not the same as not being there.
    if (found_.members.size() == list_begin_)
      note_nested();
    return true;
  }

  void note_nested() {
    if (found_.nested.empty() || found_.nested.back() != name_)
      found_.nested.push_back(name_);
  }

  bool fail_document(std::string_view found) {
    return fail(error_code::invalid_argument,
                "the JSON is " + std::string(found) + "; expected an object such as {\"name\":\"mail\"}");
  }

  bool forward(bool done) {
    if (!done)
      failure_ = options_.failure();
    return done;
  }

  flat_object found_;
  task_options_reader options_;
  std::string name_;
  size_t list_begin_ = 0;
  int depth_ = 0;
  bool in_list_ = false;
  bool with_options_;
};

error wrong_member(const flat_member& member, std::string_view expected) {
  const bool is_text = std::holds_alternative<std::string>(member.value);
  const std::string found = member.listed ? "an array"
                            : is_text     ? "text that cannot be read as such"
                                          : std::string(describe(member.value));
  return error{error_code::invalid_argument,
               "\"" + member.name + "\" is " + found + "; expected " + std::string(expected)};
}

/// A number, or text that is one; nothing for anything else.
std::optional<double> number_of(const flat_member& member) {
  if (member.listed)
    return std::nullopt;
  if (const auto* whole = std::get_if<int64_t>(&member.value))
    return static_cast<double>(*whole);
  if (const auto* number = std::get_if<double>(&member.value))
    return *number;
  double value = 0;
  const auto* text = std::get_if<std::string>(&member.value);
  if (text == nullptr)
    return std::nullopt;
  switch (parse_decimal(*text, value)) {
  case decimal_text::ok:
    return value;
  case decimal_text::out_of_range:
    return text->front() == '-' ? -HUGE_VAL : HUGE_VAL;
  case decimal_text::not_a_number:
    break;
  }
  return std::nullopt;
}

/// NAME of `PREFIX[NAME]`; nothing when it is something else.
std::optional<std::string_view> bracketed(std::string_view name, std::string_view prefix) {
  if (name.size() < prefix.size() + 2 || name.substr(0, prefix.size()) != prefix ||
      name[prefix.size()] != '[' || name.back() != ']')
    return std::nullopt;
  return name.substr(prefix.size() + 1, name.size() - prefix.size() - 2);
}

} // namespace

result<flat_object> read_flat_object(std::string_view json, bool with_options) {
  if (json.find_first_not_of(" \t\r\n") == std::string_view::npos)
    return flat_object{};
  flat_reader reader(with_options);
  if (auto read = read_json(json, reader); !read)
    return read.failure();
  return reader.take();
}

bool is_option_field(std::string_view name) {
  constexpr std::string_view limits_prefix = "limits.";
  return is_task_option(name) || bracketed(name, "env") || bracketed(name, "limits") ||
         name.substr(0, limits_prefix.size()) == limits_prefix;
}

result<void> set_option_field(task_options& options, std::string_view name, std::string_view text) {
  if (const auto variable = bracketed(name, "env"); variable && !variable->empty())
    return set_variable(options, std::string(*variable), std::string(text));
  if (bracketed(name, "env"))
    return set_task_option(options, "env", text);
  if (const auto limit = bracketed(name, "limits"))
    return set_task_option(options, "limits." + std::string(*limit), text);
  return set_task_option(options, name, text);
}

result<bool> read_switch(const flat_member& member) {
  constexpr std::string_view expected = "true or false";
  if (member.listed)
    return wrong_member(member, expected);
  if (const auto* flag = std::get_if<bool>(&member.value))
    return *flag;
  if (const auto* number = std::get_if<int64_t>(&member.value);
      number != nullptr && *number >= 0 && *number <= 1)
    return *number == 1;
  if (const auto* text = std::get_if<std::string>(&member.value)) {
    if (*text == "true" || *text == "1" || *text == "yes" || *text == "on")
      return true;
    if (*text == "false" || *text == "0" || *text == "no" || *text == "off")
      return false;
  }
  return wrong_member(member, expected);
}

result<int64_t> read_whole(const flat_member& member, int64_t low, int64_t high) {
  const auto range = std::to_string(low) + " to " + std::to_string(high);
  const auto number = number_of(member);
  if (!number || (std::isfinite(*number) && std::floor(*number) != *number))
    return wrong_member(member, "a whole number, " + range);
  if (*number < static_cast<double>(low) || *number > static_cast<double>(high))
    return error{error_code::out_of_range, "\"" + member.name + "\" is out of range; give " + range};
  return static_cast<int64_t>(*number);
}

result<int64_t> read_duration(const flat_member& member, int64_t high_ms) {
  std::optional<double> duration_ms;
  if (const auto* text = std::get_if<std::string>(&member.value); text != nullptr && !member.listed)
    if (const auto parsed = parse_duration_ms(*text))
      duration_ms = static_cast<double>(*parsed);
  if (!duration_ms)
    if (const auto seconds = number_of(member))
      duration_ms = *seconds * 1'000;
  if (!duration_ms)
    return wrong_member(member, R"(a number of seconds, or a duration such as "500ms" or "5m")");
  if (!(*duration_ms >= 0 && *duration_ms <= static_cast<double>(high_ms)))
    return error{error_code::out_of_range,
                 "\"" + member.name + "\" is out of range; give 0 to " + format_duration(high_ms)};
  return std::llround(*duration_ms);
}

result<int64_t> read_moment(const flat_member& member) {
  if (const auto* text = std::get_if<std::string>(&member.value); text != nullptr && !member.listed)
    if (const auto moment_ms = parse_rfc3339(*text))
      return *moment_ms;
  const auto seconds = number_of(member);
  if (!seconds)
    return wrong_member(member, "Unix seconds or an RFC 3339 time");
  if (!(*seconds >= 0 && *seconds <= unix_seconds_max))
    return error{error_code::out_of_range,
                 "\"" + member.name +
                     "\" is out of range; give Unix seconds (not milliseconds) of the years 1970 to 9999"};
  return std::llround(*seconds * 1'000);
}

result<std::string> read_text(const flat_member& member) {
  const auto* text = std::get_if<std::string>(&member.value);
  if (text == nullptr || member.listed)
    return wrong_member(member, "text");
  return *text;
}

error unknown_member(std::string_view name, std::string_view allowed) {
  constexpr size_t shown_max = 64;
  const bool shown = name.size() <= shown_max;
  return error{error_code::invalid_argument, "there is no member " +
                                                 (shown ? "\"" + std::string(name) + "\"" : "of that name") +
                                                 " here; allowed are " + std::string(allowed)};
}

} // namespace task_runner
