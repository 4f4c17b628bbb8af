// Decodes a task definition while its JSON is being read, without a document in memory.
// Equal names: the last one wins. The reader below is driven by nlohmann's event parser, which does not
// recurse; nesting is bounded here.
#include "services/wire/push_json.hpp"

#include "services/domain/names.hpp"
#include "services/wire/push_members.hpp"
#include "services/wire/rfc3339.hpp"

#include <nlohmann/json.hpp>

#include <charconv>
#include <cmath>
#include <exception>
#include <limits>
#include <optional>
#include <string>
#include <utility>

namespace task_runner {

namespace {

using json = nlohmann::json;

/// Deepest nesting that is read. A task definition needs three levels; the rest is room for members of
/// others.
constexpr int depth_max = 32;

/// 9999-12-31T23:59:59Z, the last second that `format_time` can write.
constexpr int64_t unix_seconds_max = 253'402'300'799;

enum class member : uint8_t { ignored, task, chan, channel, id, command, args, delay, execute_at };

constexpr std::string_view member_name(member which) noexcept {
  switch (which) {
  case member::task:
    return "task";
  case member::chan:
    return "chan";
  case member::channel:
    return "channel";
  case member::id:
    return "id";
  case member::command:
    return "command";
  case member::args:
    return "args";
  case member::delay:
    return "delay";
  case member::execute_at:
    return "execute_at";
  case member::ignored:
    break;
  }
  return "";
}

member find_member(std::string_view name) noexcept {
  for (auto which : {member::task, member::chan, member::channel, member::id, member::command, member::args,
                     member::delay, member::execute_at})
    if (member_name(which) == name)
      return which;
  return member::ignored;
}

constexpr std::string_view expected_of(member which) noexcept {
  switch (which) {
  case member::command:
    return "text or {\"name\":text,\"args\":[text]}";
  case member::args:
    return "an array of text";
  case member::delay:
    return "a number of seconds";
  case member::execute_at:
    return "Unix seconds or an RFC 3339 time";
  default:
    return "text";
  }
}

enum class number_text : uint8_t { not_a_number, out_of_range, ok };

/// A plain decimal number that fills `text` whole; "inf", "nan" and hexadecimal are none.
number_text parse_number(std::string_view text, double& value) noexcept {
  if (text.empty() || text.find_first_not_of("0123456789.+-eE") != std::string_view::npos)
    return number_text::not_a_number;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec == std::errc::invalid_argument || read.ptr != text.data() + text.size())
    return number_text::not_a_number;
  return read.ec == std::errc() && std::isfinite(value) ? number_text::ok : number_text::out_of_range;
}

/// Takes the parser's events and fills push_members; the first thing that is wrong ends it.
class push_reader {
public:
  push_members& members() noexcept { return members_; }
  const std::optional<error>& failure() const noexcept { return failure_; }

  bool null() {
    if (place_ == place::document)
      return fail_document("null");
    if (place_ == place::top)
      clear(member_);
    else if (place_ == place::command)
      (command_member_ == command_member::args) ? members_.command_args.reset() : clear_command_name();
    else if (place_ != place::skipped)
      return fail_type(args_member(), "null");
    return true;
  }

  bool boolean(bool) { return other_scalar("true or false"); }

  bool number_integer(json::number_integer_t value) {
    return integer(static_cast<double>(value), value < 0, value);
  }

  bool number_unsigned(json::number_unsigned_t value) {
    const bool small = value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    return integer(static_cast<double>(value), !small, small ? static_cast<int64_t>(value) : 0);
  }

  bool number_float(json::number_float_t value, const std::string&) {
    if (place_ == place::top && member_ == member::delay)
      return set_delay(value);
    if (place_ == place::top && member_ == member::execute_at)
      return set_execute_at(value);
    return other_scalar("a number");
  }

  bool string(std::string& text) {
    switch (place_) {
    case place::document:
      return fail_document("text");
    case place::skipped:
      return true;
    case place::args:
      members_.args->push_back(std::move(text));
      return true;
    case place::command_args:
      members_.command_args->push_back(std::move(text));
      return true;
    case place::command:
      if (command_member_ == command_member::args)
        return fail_type("command.args", "text", "an array of text");
      if (command_member_ == command_member::name)
        members_.command_name = std::move(text);
      return true;
    case place::top:
      return top_string(text);
    }
    return true;
  }

  bool binary(json::binary_t&) { return true; } // JSON text has no such thing

  bool start_object(size_t) {
    if (!deeper())
      return false;
    switch (place_) {
    case place::document:
      place_ = place::top;
      return true;
    case place::top:
      if (member_ == member::command) {
        clear(member::command);
        members_.command_is_object = true;
        place_ = place::command;
        return true;
      }
      return member_ == member::ignored ? skip() : fail_type(member_name(member_), "an object");
    case place::command:
      return command_member_ == command_member::ignored ? skip()
                                                        : fail_type(command_member_name(), "an object");
    case place::args:
    case place::command_args:
      return fail_type(args_member(), "an object");
    case place::skipped:
      return skip();
    }
    return true;
  }

  bool end_object() { return leave(); }

  bool start_array(size_t) {
    if (!deeper())
      return false;
    switch (place_) {
    case place::document:
      return fail_document("an array");
    case place::top:
      if (member_ == member::args) {
        members_.args.emplace();
        place_ = place::args;
        return true;
      }
      return member_ == member::ignored ? skip() : fail_type(member_name(member_), "an array");
    case place::command:
      if (command_member_ == command_member::args) {
        members_.command_args.emplace();
        place_ = place::command_args;
        return true;
      }
      return command_member_ == command_member::ignored ? skip()
                                                        : fail_type(command_member_name(), "an array");
    case place::args:
    case place::command_args:
      return fail_type(args_member(), "an array");
    case place::skipped:
      return skip();
    }
    return true;
  }

  bool end_array() { return leave(); }

  bool key(std::string& name) {
    if (place_ == place::top)
      member_ = find_member(name);
    else if (place_ == place::command)
      command_member_ = name == "name"   ? command_member::name
                        : name == "args" ? command_member::args
                                         : command_member::ignored;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const json::exception& problem) {
    if (failure_)
      return false;
    if (problem.id == 406) { // nlohmann's number for a number that no double can hold
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
  enum class place : uint8_t { document, top, args, command, command_args, skipped };
  enum class command_member : uint8_t { ignored, name, args };

  bool fail(error_code code, std::string message) {
    failure_ = error{code, std::move(message)};
    return false;
  }

  bool fail_document(std::string_view found) {
    return fail(error_code::invalid_argument,
                "the JSON is " + std::string(found) + "; expected an object such as {\"task\":\"date\"}");
  }

  bool fail_type(std::string_view name, std::string_view found, std::string_view expected) {
    return fail(error_code::invalid_argument, "the member \"" + std::string(name) + "\" is " +
                                                  std::string(found) + "; expected " + std::string(expected));
  }

  bool fail_type(std::string_view name, std::string_view found) {
    if (place_ == place::args || place_ == place::command_args)
      return fail(error_code::invalid_argument, "the member \"" + std::string(name) + "\" holds " +
                                                    std::string(found) + "; expected an array of text");
    if (place_ == place::command)
      return fail_type(name, found, command_member_ == command_member::args ? "an array of text" : "text");
    return fail_type(name, found, expected_of(member_));
  }

  std::string_view args_member() const noexcept { return place_ == place::args ? "args" : "command.args"; }

  std::string_view command_member_name() const noexcept {
    return command_member_ == command_member::args ? "command.args" : "command.name";
  }

  bool deeper() {
    if (++depth_ > depth_max)
      return fail(error_code::invalid_argument, "the JSON is nested deeper than " +
                                                    std::to_string(depth_max) +
                                                    " levels; send a flat object");
    return true;
  }

  bool skip() {
    if (place_ != place::skipped)
      skipped_from_ = place_;
    place_ = place::skipped;
    ++skipped_depth_;
    return true;
  }

  bool leave() {
    --depth_;
    switch (place_) {
    case place::skipped:
      if (--skipped_depth_ == 0)
        place_ = skipped_from_;
      break;
    case place::args:
    case place::command:
      place_ = place::top;
      break;
    case place::command_args:
      place_ = place::command;
      break;
    case place::top:
    case place::document:
      place_ = place::document;
      break;
    }
    return true;
  }

  void clear_command_name() {
    if (command_member_ == command_member::name)
      members_.command_name.reset();
  }

  void clear(member which) {
    switch (which) {
    case member::task:
      members_.task.reset();
      break;
    case member::chan:
      members_.chan.reset();
      break;
    case member::channel:
      members_.channel.reset();
      break;
    case member::id:
      members_.id.reset();
      break;
    case member::command:
      members_.command.reset();
      members_.command_name.reset();
      members_.command_args.reset();
      members_.command_is_object = false;
      break;
    case member::args:
      members_.args.reset();
      break;
    case member::delay:
      members_.delay_s.reset();
      break;
    case member::execute_at:
      members_.execute_at_ms.reset();
      break;
    case member::ignored:
      break;
    }
  }

  /// A boolean anywhere, or a number where none belongs.
  bool other_scalar(std::string_view found) {
    switch (place_) {
    case place::document:
      return fail_document(found);
    case place::top:
      return member_ == member::ignored || fail_type(member_name(member_), found);
    case place::command:
      return command_member_ == command_member::ignored || fail_type(command_member_name(), found);
    case place::args:
    case place::command_args:
      return fail_type(args_member(), found);
    case place::skipped:
      break;
    }
    return true;
  }

  bool integer(double rounded, bool outside, int64_t exact) {
    if (place_ == place::top && member_ == member::delay)
      return set_delay(rounded);
    if (place_ == place::top && member_ == member::execute_at) {
      if (outside || exact > unix_seconds_max)
        return fail_execute_at_range();
      members_.execute_at_ms = exact * 1'000;
      return true;
    }
    return other_scalar("a number");
  }

  bool set_delay(double seconds) {
    members_.delay_s = seconds; // finite: the parser refuses what is not; its range is check_push's to judge
    return true;
  }

  bool set_execute_at(double seconds) {
    if (!(seconds >= 0 && seconds <= static_cast<double>(unix_seconds_max)))
      return fail_execute_at_range();
    members_.execute_at_ms = std::llround(seconds * 1'000);
    return true;
  }

  bool fail_execute_at_range() {
    return fail(error_code::out_of_range,
                "the member \"execute_at\" is out of range; expected Unix seconds (not "
                "milliseconds) of the years 1970 to 9999");
  }

  bool top_string(std::string& text) {
    switch (member_) {
    case member::task:
      members_.task = std::move(text);
      break;
    case member::chan:
      members_.chan = std::move(text);
      break;
    case member::channel:
      members_.channel = std::move(text);
      break;
    case member::id:
      members_.id = std::move(text);
      break;
    case member::command:
      clear(member::command);
      members_.command = std::move(text);
      break;
    case member::args:
      return fail_type("args", "text");
    case member::delay:
      return text_number("delay", text, [this](double value) { return set_delay(value); });
    case member::execute_at:
      if (const auto moment_ms = parse_rfc3339(text)) {
        members_.execute_at_ms = *moment_ms;
        return true;
      }
      return text_number("execute_at", text, [this](double value) { return set_execute_at(value); });
    case member::ignored:
      break;
    }
    return true;
  }

  template <class Set>
  bool text_number(std::string_view name, const std::string& text, Set set) {
    double value = 0;
    switch (parse_number(text, value)) {
    case number_text::ok:
      return set(value);
    case number_text::out_of_range:
      return fail(error_code::out_of_range, "the member \"" + std::string(name) +
                                                "\" is a number out of range; expected " +
                                                std::string(expected_of(member_)));
    case number_text::not_a_number:
      break;
    }
    return fail_type(name, "text that cannot be read as such", expected_of(member_));
  }

  push_members members_;
  std::optional<error> failure_;
  place place_ = place::document;
  place skipped_from_ = place::document;
  member member_ = member::ignored;
  command_member command_member_ = command_member::ignored;
  int depth_ = 0;
  int skipped_depth_ = 0;
};

} // namespace

result<push_item> decode_push_json(std::string_view text) {
  try {
    push_reader reader;
    const bool read = json::sax_parse(text.begin(), text.end(), &reader);
    if (!read) {
      if (!is_valid_utf8(text))
        return error{error_code::invalid_argument, "the JSON is not valid UTF-8; send it as UTF-8"};
      if (reader.failure())
        return *reader.failure();
      return error{error_code::invalid_argument, "not valid JSON; send one JSON object"};
    }
    return assemble_push(std::move(reader.members()));
  } catch (const std::exception& failure) { // out of memory
    return error{error_code::internal, std::string("the JSON could not be read: ") + failure.what()};
  }
}

} // namespace task_runner
