// `push`: one command, exactly as it was given, or one for each line of standard input.
#include "services/cli/advice.hpp"
#include "services/cli/follow.hpp"
#include "services/cli/push_list.hpp"
#include "services/cli/task_view.hpp"
#include "services/domain/names.hpp"
#include "services/domain/quantities.hpp"
#include "services/domain/time_text.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>
#include <unistd.h>

namespace task_runner::cli {

namespace {

/// How often a push is asked about that is still being carried out, and the least pause before each time:
/// together as long as the daemon takes at most.
constexpr int under_way_calls_max = 30;
constexpr std::chrono::milliseconds under_way_pause{1'000};

/// Why the flags and words do not go together; empty where they do.
std::string find_contradiction(const arguments& given) {
  const bool is_list = given.is_set("stdin-list");
  const bool is_line = given.has("shell");
  if (!is_list && !is_line && !given.has_command)
    return "a command is missing; write it behind --, or give --shell LINE or --stdin-list";
  if (given.has_command && given.command.empty())
    return "behind -- stands no command";
  if (is_line && (given.has_command || is_list))
    return "--shell is the command; give no other one";
  if (is_line && given.text("shell").empty())
    return "--shell is empty; give a command line";
  if (!is_list && given.has("patience"))
    return "--patience goes with --stdin-list";
  if (!is_list)
    return {};
  for (const std::string flag : {"id", "distinct-key", "stdin", "follow", "wait"})
    if (given.has(flag))
      return "--" + flag + " is for one task; it does not go with --stdin-list";
  return {};
}

/// A whole line that was given as one word: why it is refused, or what is said of it. Programs have such
/// names seldom, and by their path at best.
struct odd_command {
  std::string refusal;
  std::string remark;
};

odd_command look_at_command(const arguments& given) {
  if (given.command.size() != 1)
    return {};
  const auto& word = given.command.front();
  const bool has_blank = word.find_first_of(" \t\n") != std::string::npos;
  const bool is_path = word.find_first_of("/.") == 0;
  if (!has_blank && word.find_first_of("|&;<>$`*?\"'()#") == std::string::npos)
    return {};
  const std::string what = has_blank ? "one word with blanks" : "one word with signs that only a shell knows";
  const auto text = shell_word(word) + " is " + what + ", and so the name of a program";
  if (given.is_set("stdin-list"))
    return {has_blank && !is_path ? text + "; write its words apart behind --" : std::string(), text};
  const auto advice =
      text + "; with --shell it is a command line: task-runner push --shell " + shell_word(word);
  return {has_blank && !is_path ? advice : std::string(), advice};
}

/// All of standard input, for the command to read.
result<std::string> read_input() {
  std::string text;
  std::array<char, 65'536> piece{};
  for (;;) {
    const auto got = ::read(STDIN_FILENO, piece.data(), piece.size());
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return error{error_code::invalid_argument,
                   std::string("--stdin: it cannot be read: ") + std::strerror(errno)};
    if (got == 0)
      break;
    text.append(piece.data(), static_cast<size_t>(got));
    if (text.size() > input_bytes_max)
      return error{error_code::too_large,
                   "--stdin: it has more than 1 MiB; put it into a file, and its path into "
                   "the command"};
  }
  if (auto valid = check_text("--stdin", text); !valid)
    return valid.failure();
  return text;
}

result<std::string> json_of(const arguments& given, const push_body& body, const std::string& id) {
  if (given.has("shell")) {
    if (auto valid = check_text("--shell", given.text("shell")); !valid)
      return valid.failure();
    return push_json_of_line(body, id, given.text("shell"));
  }
  for (const auto& word : given.command)
    if (auto valid = check_text("a word of the command", word); !valid)
      return valid.failure();
  return push_json_of_words(body, id, given.command);
}

/// For who sees no more than an id.
void tell_duplicate(const verb_call& call, const std::string& id) {
  std::string why;
  if (call.given.text("id") != id) {
    const auto task = call.api().get(task_path(id));
    const auto& channel = task.data()["channel"].text();
    why = call.given.has("distinct-key") ? " (same key" : " (same command";
    why += (channel.empty() ? "" : " in channel " + printable(channel)) + ")";
  }
  call.terminal.complain(id + " is there already" + why + "; nothing was pushed");
}

void tell_pushed(const verb_call& call, const json_value& data, bool is_new) {
  const auto id = printable(data["task_id"].text());
  if (call.given.is_set("follow")) {
    call.terminal.complain(is_new ? "task " + id : "task " + id + ", which was there already");
    return;
  }
  if (call.wants_json()) {
    call.terminal.line(data.dump());
  } else if (!call.terminal.is_terminal()) {
    call.terminal.line(id);
    if (!is_new)
      tell_duplicate(call, id);
  } else {
    const auto state = printable(data["state"].text());
    call.terminal.line((is_new ? call.terminal.colored(paint::green, "pushed ")
                               : call.terminal.colored(paint::yellow, "there already ")) +
                       id + (state.empty() ? "" : " (" + state + ")"));
  }
  call.terminal.flush();
}

/// Where the connection broke while the daemon was still at it, a second call hears just that.
api_reply call_until_decided(verb_call& call, const http_call& what) {
  auto reply = call.api().call(what);
  for (int again = 0; again < under_way_calls_max; ++again) {
    if (reply.envelope["error"]["code"].text() != to_string(error_code::in_progress))
      break;
    std::this_thread::sleep_for(std::max<std::chrono::milliseconds>(reply.retry_after, under_way_pause));
    reply = call.api().call(what);
  }
  return reply;
}

int push_one(verb_call& call, const push_body& body) {
  const auto& given = call.given;
  // With an id of its own a push does no harm twice, should the connection break before its answer.
  const auto id = given.has("id") ? given.text("id") : make_task_id(system_now_ms());
  auto json = json_of(given, body, id);
  if (!json)
    return call.misuse(json.failure().message);
  http_call what;
  what.method = "POST";
  what.target = "/api/v1/tasks";
  what.content_type = "application/json";
  what.body = std::move(*json);
  // It is carried out once, even when the connection breaks and it is sent again.
  what.idempotency_key = make_uuid();
  const auto reply = call_until_decided(call, what);
  if (!reply.is_ok())
    return call.fail(reply);
  const auto& data = reply.data();
  const auto& pushed = data["task_id"].text();
  const bool is_new = data["result"].is_true() || (pushed == id && !given.has("id"));
  tell_pushed(call, data, is_new);
  if (given.is_set("follow")) {
    follow_start start;
    start.attempt = is_new ? 1 : 0; // one that was there may have had many
    return follow_tasks(call, {pushed}, start, true);
  }
  if (given.is_set("wait")) {
    wait_way way;
    way.was_there = true;
    return wait_for_tasks(call, {pushed}, way);
  }
  return exit_done;
}

} // namespace

int run_push(verb_call& call) {
  const auto& given = call.given;
  if (const auto contradiction = find_contradiction(given); !contradiction.empty())
    return call.misuse(contradiction);
  const auto odd = look_at_command(given);
  if (!odd.refusal.empty())
    return call.misuse(odd.refusal);
  auto body = read_push_body(given);
  if (!body)
    return call.misuse(body.failure().message);
  if (!odd.remark.empty())
    call.terminal.complain(odd.remark);
  if (given.is_set("stdin-list")) {
    for (const auto& word : given.command)
      if (auto valid = check_text("a word of the command", word); !valid)
        return call.misuse(valid.failure().message);
    auto patience_ms = given.has("patience") ? parse_duration_ms(given.text("patience"))
                                             : result<int64_t>(list_patience_default.count());
    if (!patience_ms)
      return call.misuse("--patience: " + patience_ms.failure().message);
    return push_list(call, *body, std::chrono::milliseconds(*patience_ms));
  }
  if (given.is_set("stdin")) {
    auto input = read_input();
    if (!input)
      return call.misuse(input.failure().message);
    body->options.environment.input = std::move(*input);
  }
  return push_one(call, *body);
}

} // namespace task_runner::cli
