// The table's rows. A row names a member of task_options; templates make its three functions.
#include "services/wire/task_options_table.hpp"

#include "services/domain/quantities.hpp"
#include "services/wire/decimal_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <type_traits>

namespace task_runner {

namespace {

// -- from a pointer to a member to the field itself ----------------------------------

template <class T>
struct member_traits;
template <class Owner, class Value>
struct member_traits<std::optional<Value> Owner::*> {
  using owner = Owner;
  using value = Value;
};
template <auto Member>
using value_of = typename member_traits<decltype(Member)>::value;

template <class Options>
auto& part(Options& options, const task_options*) {
  return options;
}
template <class Options>
auto& part(Options& options, const execution_environment*) {
  return options.environment;
}
template <class Options>
auto& part(Options& options, const resource_limits*) {
  return options.environment.limits;
}

template <auto Member, class Options>
auto& field(Options& options) {
  using owner = typename member_traits<decltype(Member)>::owner;
  return part(options, static_cast<const owner*>(nullptr)).*Member;
}

template <auto Member>
void clear_field(task_options& options) {
  field<Member>(options).reset();
}

// -- ways in ---------------------------------------------------------------------------

/// A number that has no fraction, as far as a double tells; nothing for any other scalar.
std::optional<double> whole_number(const json_scalar& value) {
  if (const auto* number = std::get_if<int64_t>(&value))
    return static_cast<double>(*number);
  double number = 0;
  if (const auto* plain = std::get_if<double>(&value))
    number = *plain;
  else if (const auto* text = std::get_if<std::string>(&value);
           text == nullptr || text->find_first_not_of("0123456789-") != std::string::npos ||
           parse_decimal(*text, number) != decimal_text::ok)
    return std::nullopt;
  if (std::floor(number) != number)
    return std::nullopt;
  return number;
}

/// The nearest number that `Number` can hold.
template <class Number>
Number clamped(double value) noexcept {
  using limits = std::numeric_limits<Number>;
  if (value <= static_cast<double>(limits::min()))
    return limits::min();
  if (value >= static_cast<double>(limits::max()))
    return limits::max();
  return static_cast<Number>(value);
}

template <auto Member>
bool set_whole(task_options& options, const json_scalar& value) {
  const auto number = whole_number(value);
  if (!number)
    return false;
  field<Member>(options) = clamped<value_of<Member>>(*number);
  return true;
}

/// Seconds as a number, or a duration as text; milliseconds. Only a zero becomes zero.
std::optional<int64_t> read_duration_ms(const json_scalar& value) {
  double seconds = 0;
  if (const auto* text = std::get_if<std::string>(&value)) {
    if (auto duration = parse_duration_ms(*text))
      return *duration;
    // Out of its range rather than no duration at all: the check of ranges says it better.
    if (parse_decimal(*text, seconds) != decimal_text::ok)
      return std::nullopt;
  } else if (const auto* whole = std::get_if<int64_t>(&value)) {
    seconds = static_cast<double>(*whole);
  } else if (const auto* number = std::get_if<double>(&value)) {
    seconds = *number;
  } else {
    return std::nullopt;
  }
  const double milliseconds = std::round(seconds * 1'000);
  if (milliseconds == 0 && seconds != 0)
    return seconds < 0 ? -1 : 1;
  return clamped<int64_t>(milliseconds);
}

template <auto Member>
bool set_duration(task_options& options, const json_scalar& value) {
  const auto duration_ms = read_duration_ms(value);
  if (duration_ms)
    field<Member>(options) = *duration_ms;
  return duration_ms.has_value();
}

/// Whole seconds, rounded up.
template <auto Member>
bool set_seconds(task_options& options, const json_scalar& value) {
  const auto duration_ms = read_duration_ms(value);
  if (!duration_ms || *duration_ms < 0)
    return false;
  field<Member>(options) = static_cast<uint64_t>(*duration_ms / 1'000 + (*duration_ms % 1'000 != 0 ? 1 : 0));
  return true;
}

template <auto Member>
bool set_size(task_options& options, const json_scalar& value) {
  if (const auto* text = std::get_if<std::string>(&value)) {
    const auto size = parse_size(*text);
    if (size)
      field<Member>(options) = *size;
    return static_cast<bool>(size);
  }
  const auto number = whole_number(value);
  if (!number || *number < 0)
    return false;
  const auto* exact = std::get_if<int64_t>(&value);
  field<Member>(options) = exact != nullptr ? static_cast<uint64_t>(*exact) : clamped<uint64_t>(*number);
  return true;
}

template <auto Member>
bool set_fraction(task_options& options, const json_scalar& value) {
  double number = 0;
  if (const auto* whole = std::get_if<int64_t>(&value))
    number = static_cast<double>(*whole);
  else if (const auto* plain = std::get_if<double>(&value))
    number = *plain;
  else if (const auto* text = std::get_if<std::string>(&value);
           text == nullptr || parse_decimal(*text, number) != decimal_text::ok)
    return false;
  field<Member>(options) = number;
  return true;
}

template <auto Member, auto Parse>
bool set_word(task_options& options, const json_scalar& value) {
  const auto* text = std::get_if<std::string>(&value);
  const auto word = text != nullptr ? Parse(*text) : std::nullopt;
  if (word)
    field<Member>(options) = *word;
  return word.has_value();
}

template <auto Member>
bool set_text(task_options& options, const json_scalar& value) {
  const auto* text = std::get_if<std::string>(&value);
  if (text != nullptr)
    field<Member>(options) = *text;
  return text != nullptr;
}

template <auto Member>
bool set_octal(task_options& options, const json_scalar& value) {
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr || text->empty())
    return false;
  uint32_t number = 0;
  const auto [end, fault] = std::from_chars(text->data(), text->data() + text->size(), number, 8);
  if (fault == std::errc::invalid_argument || end != text->data() + text->size())
    return false;
  field<Member>(options) = fault == std::errc{} ? number : std::numeric_limits<uint32_t>::max();
  return true;
}

// -- ways out --------------------------------------------------------------------------

template <auto Member>
void write_plain(json_writer& json, std::string_view name, const task_options& options) {
  if (const auto& value = field<Member>(options))
    json.member(name, *value);
}

template <auto Member>
void write_word(json_writer& json, std::string_view name, const task_options& options) {
  if (const auto& value = field<Member>(options))
    json.member(name, to_string(*value));
}

template <auto Member>
void write_duration(json_writer& json, std::string_view name, const task_options& options) {
  const auto& duration_ms = field<Member>(options);
  if (!duration_ms)
    return;
  if (*duration_ms % 1'000 == 0)
    json.member(name, *duration_ms / 1'000);
  else
    json.member(name, static_cast<double>(*duration_ms) / 1'000.0);
}

template <auto Member>
void write_octal(json_writer& json, std::string_view name, const task_options& options) {
  if (const auto& value = field<Member>(options)) {
    std::array<char, 16> digits{};
    const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), *value, 8);
    std::string text(digits.data(), written.ptr);
    text.insert(0, text.size() < 3 ? 3 - text.size() : 0, '0');
    json.member(name, text);
  }
}

// -- rows ------------------------------------------------------------------------------

constexpr std::string_view whole_expected = "a whole number";
constexpr std::string_view duration_expected =
    R"(a number of seconds, or a duration such as "500ms" or "5m")";
constexpr std::string_view size_expected = R"(a number of bytes, or a size such as "512k" or "64M")";
constexpr std::string_view text_expected = "text";

using o = task_options;
using e = execution_environment;
using l = resource_limits;

template <auto Member>
constexpr option_entry whole_row(std::string_view name) {
  return {name, {}, whole_expected, &set_whole<Member>, &clear_field<Member>, &write_plain<Member>};
}
template <auto Member>
constexpr option_entry duration_row(std::string_view name, std::string_view alias) {
  return {
      name, alias, duration_expected, &set_duration<Member>, &clear_field<Member>, &write_duration<Member>};
}
template <auto Member>
constexpr option_entry text_row(std::string_view name) {
  return {name, {}, text_expected, &set_text<Member>, &clear_field<Member>, &write_plain<Member>};
}
template <auto Member>
constexpr option_entry size_row(std::string_view name) {
  return {name, {}, size_expected, &set_size<Member>, &clear_field<Member>, &write_plain<Member>};
}

constexpr std::array singles{
    whole_row<&o::priority>("priority"),
    whole_row<&o::max_attempts>("max_attempts"),
    option_entry{"backoff",
                 {},
                 R"("constant", "linear" or "exponential")",
                 &set_word<&o::backoff, &parse_backoff_kind>,
                 &clear_field<&o::backoff>,
                 &write_word<&o::backoff>},
    duration_row<&o::backoff_ms>("backoff_s", {}),
    duration_row<&o::backoff_max_ms>("backoff_max_s", "backoff_max"),
    option_entry{"jitter",
                 {},
                 "a number from 0 to 1",
                 &set_fraction<&o::jitter>,
                 &clear_field<&o::jitter>,
                 &write_plain<&o::jitter>},
    duration_row<&o::timeout_ms>("timeout_s", "timeout"),
    duration_row<&o::grace_ms>("grace_s", "grace"),
    duration_row<&o::expires_ms>("expires_s", "expires"),
    option_entry{"delivery",
                 {},
                 R"("at-least-once" or "at-most-once")",
                 &set_word<&o::delivery, &parse_delivery_kind>,
                 &clear_field<&o::delivery>,
                 &write_word<&o::delivery>},
    text_row<&o::concurrency_key>("concurrency_key"),
    whole_row<&o::concurrency_max>("concurrency_max"),
    text_row<&e::directory>("cwd"),
    text_row<&e::input>("stdin"),
    text_row<&e::user>("user"),
    whole_row<&e::nice>("nice"),
    option_entry{"umask",
                 {},
                 R"(octal digits as text, such as "022")",
                 &set_octal<&e::file_mask>,
                 &clear_field<&e::file_mask>,
                 &write_octal<&e::file_mask>},
};

constexpr std::array limits{
    size_row<&l::memory_bytes>("memory"),
    option_entry{"cpu_s", "cpu", duration_expected, &set_seconds<&l::cpu_s>, &clear_field<&l::cpu_s>,
                 &write_plain<&l::cpu_s>},
    whole_row<&l::processes>("processes"),
    size_row<&l::file_size_bytes>("file_size"),
};

template <class Rows>
const option_entry* find_entry(const Rows& rows, std::string_view name) noexcept {
  for (const auto& row : rows)
    if (row.name == name || (!row.alias.empty() && row.alias == name))
      return &row;
  return nullptr;
}

} // namespace

const option_entry* find_option_entry(std::string_view name) noexcept {
  return find_entry(singles, name);
}

const option_entry* find_limit_entry(std::string_view name) noexcept {
  return find_entry(limits, name);
}

option_entries single_options() noexcept {
  return {singles.data(), singles.data() + singles.size()};
}

option_entries limit_options() noexcept {
  return {limits.data(), limits.data() + limits.size()};
}

void put_variable(task_options& options, std::string name, std::string value) {
  auto& variables = options.environment.variables;
  const auto at = std::find_if(variables.begin(), variables.end(),
                               [&name](const auto& variable) { return variable.first == name; });
  if (at != variables.end())
    at->second = std::move(value);
  else
    variables.emplace_back(std::move(name), std::move(value));
}

result<void> set_variable(task_options& options, std::string name, std::string value) {
  put_variable(options, std::move(name), std::move(value));
  if (options.environment.variables.size() > variables_max)
    return error{error_code::too_large,
                 "env has more than " + std::to_string(variables_max) + " variables; give fewer"};
  return {};
}

bool add_exit_code(task_options& options, const json_scalar& value) {
  const auto number = whole_number(value);
  if (!number || *number < 0 || *number > 255)
    return false;
  auto& codes = options.retry_on;
  if (!codes)
    codes.emplace();
  const auto code = static_cast<uint8_t>(*number);
  if (std::find(codes->begin(), codes->end(), code) == codes->end())
    codes->push_back(code);
  return true;
}

} // namespace task_runner
