// Decodes a task definition while its JSON is being read, without a document in memory.
// Equal names: the last one wins.
#include "services/wire/push_json.hpp"

#include "services/wire/decimal_text.hpp"
#include "services/wire/json_reader.hpp"
#include "services/wire/push_members.hpp"
#include "services/wire/rfc3339.hpp"
#include "services/wire/task_options_json.hpp"
#include "services/wire/task_options_reader.hpp"

#include <cmath>
#include <optional>
#include <string>
#include <utility>

namespace task_runner {

namespace {

/// 9999-12-31T23:59:59Z, the last second that `format_time` can write.
constexpr int64_t unix_seconds_max = 253'402'300'799;

enum class member : uint8_t {
  ignored,
  task,
  chan,
  channel,
  id,
  command,
  args,
  delay,
  execute_at,
  distinct_key
};

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
  case member::distinct_key:
    return "distinct_key";
  case member::ignored:
    break;
  }
  return "";
}

member find_member(std::string_view name) noexcept {
  for (auto which : {member::task, member::chan, member::channel, member::id, member::command, member::args,
                     member::delay, member::execute_at, member::distinct_key})
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

/// Takes the parser's events and fills push_members; the first thing that is wrong ends it.
class push_reader final : public json_events {
public:
  push_members& members() noexcept { return members_; }
  task_options& options() noexcept { return options_.patch().said; }

  bool scalar(json_scalar value) override {
    if (options_.is_open())
      return forward(options_.scalar(std::move(value)));
    if (std::holds_alternative<std::nullptr_t>(value))
      return null();
    if (const auto* number = std::get_if<int64_t>(&value))
      return integer(*number);
    if (const auto* number = std::get_if<double>(&value))
      return fraction(*number);
    if (auto* text = std::get_if<std::string>(&value))
      return string(*text);
    return other_scalar(describe(value));
  }

  bool start_object() override {
    if (options_.is_open())
      return forward(options_.start_object());
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

  bool end_object() override { return options_.is_open() ? forward(options_.end_object()) : leave(); }

  bool start_array() override {
    if (options_.is_open())
      return forward(options_.start_array());
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

  bool end_array() override { return options_.is_open() ? forward(options_.end_array()) : leave(); }

  bool key(std::string name) override {
    if (options_.is_open())
      return forward(options_.key(std::move(name)));
    if (place_ == place::top) {
      member_ = find_member(name);
      if (member_ == member::ignored && is_task_option(name))
        return forward(options_.begin(name));
    } else if (place_ == place::command) {
      command_member_ = name == "name"   ? command_member::name
                        : name == "args" ? command_member::args
                                         : command_member::ignored;
    }
    return true;
  }

private:
  enum class place : uint8_t { document, top, args, command, command_args, skipped };
  enum class command_member : uint8_t { ignored, name, args };

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

  bool fraction(double value) {
    if (place_ == place::top && member_ == member::delay)
      return set_delay(value);
    if (place_ == place::top && member_ == member::execute_at)
      return set_execute_at(value);
    return other_scalar("a number");
  }

  bool forward(bool done) {
    if (!done)
      failure_ = options_.failure();
    return done;
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

  bool skip() {
    if (place_ != place::skipped)
      skipped_from_ = place_;
    place_ = place::skipped;
    ++skipped_depth_;
    return true;
  }

  bool leave() {
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
    case member::distinct_key:
      members_.distinct_key.reset();
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

  bool integer(int64_t value) {
    if (place_ == place::top && member_ == member::delay)
      return set_delay(static_cast<double>(value));
    if (place_ == place::top && member_ == member::execute_at) {
      if (value < 0 || value > unix_seconds_max)
        return fail_execute_at_range();
      members_.execute_at_ms = value * 1'000;
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
    case member::distinct_key:
      members_.distinct_key = std::move(text);
      break;
    case member::ignored:
      break;
    }
    return true;
  }

  template <class Set>
  bool text_number(std::string_view name, const std::string& text, Set set) {
    double value = 0;
    switch (parse_decimal(text, value)) {
    case decimal_text::ok:
      return set(value);
    case decimal_text::out_of_range:
      return fail(error_code::out_of_range, "the member \"" + std::string(name) +
                                                "\" is a number out of range; expected " +
                                                std::string(expected_of(member_)));
    case decimal_text::not_a_number:
      break;
    }
    return fail_type(name, "text that cannot be read as such", expected_of(member_));
  }

  push_members members_;
  task_options_reader options_;
  place place_ = place::document;
  place skipped_from_ = place::document;
  member member_ = member::ignored;
  command_member command_member_ = command_member::ignored;
  int skipped_depth_ = 0;
};

} // namespace

result<push_item> decode_push_json(std::string_view text) {
  push_reader reader;
  if (auto read = read_json(text, reader); !read)
    return read.failure();
  if (!reader.options().empty())
    reader.members().options = std::move(reader.options());
  return assemble_push(std::move(reader.members()));
}

} // namespace task_runner
