// The verbs that do one thing to each task that is named: output, cancel, kill, retry, why.
// Where several are named all are tried, and the exit code is that of the first that went wrong.
#include "services/cli/task_view.hpp"
#include "services/cli/verb_call.hpp"
#include "services/domain/quantities.hpp"
#include "services/domain/time_text.hpp"
#include "services/wire/byte_text.hpp"
#include "services/wire/json_text.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <functional>
#include <optional>
#include <set>

namespace task_runner::cli {

namespace {

/// The most that one request to retry all that match may touch.
constexpr int64_t bulk_limit = 10'000;

/// Calls `act` for each word; gives the first exit code that is not 0. Ends early where nobody can be
/// reached.
int for_each_word(const verb_call& call, const std::function<int(const std::string& word)>& act) {
  int code = exit_done;
  for (const auto& word : call.given.words) {
    const int one = act(word);
    call.terminal.flush();
    code = code == exit_done ? one : code;
    if (one == exit_unreachable)
      break;
  }
  return code;
}

/// Sends one verb for a task and shows what `tell` says of the task that comes back.
int act_on(const verb_call& call, const std::string& id, std::string_view verb, const std::string& json,
           const std::function<std::string(const json_value& task)>& tell) {
  const auto reply = call.api().post(task_path(id, verb), json);
  if (!reply.is_ok())
    return call.fail(reply, id);
  const auto& task = reply.data();
  if (call.wants_json())
    call.terminal.line(task.dump());
  else
    call.terminal.line(tell(task));
  if (reply.message != "ok")
    call.terminal.complain(printable(reply.message));
  return exit_done;
}

std::string object_of(std::string_view name, std::string_view value) {
  std::string text;
  json_writer(text).begin_object().member(name, value).end_object();
  return text;
}

/// TERM, SIGTERM, term or 15, as the API takes it; nothing for what is no signal here.
std::optional<std::string> signal_name(std::string text) {
  constexpr uint64_t signal_max = 64;
  if (const auto number = parse_digits(text, signal_max); number && *number > 0)
    return text;
  std::transform(text.begin(), text.end(), text.begin(), [](char one) {
    return one >= 'a' && one <= 'z' ? static_cast<char>(one - 'a' + 'A') : one;
  });
  if (text.compare(0, 3, "SIG") == 0)
    text.erase(0, 3);
  for (int number = 1; number <= static_cast<int>(signal_max); ++number)
    if (const char* known = ::sigabbrev_np(number); known != nullptr && text == known)
      return text;
  return std::nullopt;
}

/// Prints what an attempt (from 1) has printed; all of it, but for what comes meanwhile.
int print_output(const verb_call& call, const std::string& id, uint64_t attempt, uint64_t offset) {
  std::optional<uint64_t> end;
  for (;;) {
    const auto piece = call.api().output(id, attempt, offset);
    if (!piece.how.is_ok())
      return call.fail(piece.how, id);
    if (!end)
      end = piece.size;
    const auto left = *end - std::min(*end, offset);
    auto wanted = std::string_view(piece.bytes).substr(0, left);
    if (wanted.empty())
      return exit_done;
    if (call.wants_json()) {
      // No character is split between two pieces.
      if (const auto whole = whole_characters(wanted); wanted.size() < left && !whole.empty())
        wanted = whole;
      std::string text;
      json_writer json(text);
      json.begin_object().member("id", id).member("offset", offset);
      write_output_member(json, wanted);
      json.end_object();
      call.terminal.line(text);
    } else {
      call.terminal.write(wanted);
    }
    offset += wanted.size();
    if (offset >= *end)
      return exit_done;
  }
}

/// The same of the last attempt, that of now: another one may begin while somebody reads.
int print_last_output(const verb_call& call, const std::string& id, uint64_t offset) {
  const auto task = call.api().get(task_path(id));
  if (!task.is_ok())
    return call.fail(task, id);
  const auto attempt = task.data()["attempt"].whole();
  if (attempt <= 0)
    return exit_done; // nothing has run, and nothing was printed
  return print_output(call, id, static_cast<uint64_t>(attempt), offset);
}

/// What `retry --dead` asks for. Only what had ended by now: what dies again meanwhile is left alone.
std::string dead_filter(const arguments& given, std::optional<int64_t> since_ms, int64_t now_ms) {
  std::string text;
  json_writer json(text);
  json.begin_object().member("state", "dead").member("limit", bulk_limit);
  json.member("ended_until", format_time(now_ms));
  if (given.has("channel"))
    json.member("channel", given.text("channel"));
  if (since_ms)
    json.member("ended_from", format_time(std::max<int64_t>(now_ms - *since_ms, 0)));
  if (given.is_set("dry-run"))
    json.member("dry_run", true);
  json.end_object();
  return text;
}

struct bulk_counts {
  int64_t matched = 0;
  int64_t done = 0;
  bool is_more = false;
};

int tell_bulk(const verb_call& call, const bulk_counts& counts) {
  const bool dry = call.given.is_set("dry-run");
  const auto number = dry ? counts.matched : counts.done;
  if (call.wants_json()) {
    std::string text;
    json_writer json(text);
    json.begin_object().member("matched", counts.matched).member("done", counts.done);
    json.member("more", counts.is_more).end_object();
    call.terminal.line(text);
  } else if (call.terminal.is_terminal()) {
    call.terminal.line((counts.is_more ? "more than " : "") + grouped(static_cast<uint64_t>(number)) +
                       (number == 1 ? " dead task " : " dead tasks ") +
                       (dry ? "would be retried" : "retried"));
  } else {
    call.terminal.line(std::to_string(number));
  }
  return exit_done;
}

int retry_dead(const verb_call& call) {
  std::optional<int64_t> since_ms;
  if (call.given.has("since")) {
    const auto given_ms = parse_duration_ms(call.given.text("since"));
    if (!given_ms)
      return call.misuse("--since: " + given_ms.failure().message);
    since_ms = *given_ms;
  }
  if (call.given.has("channel") && call.given.text("channel").empty())
    return call.misuse("--channel is empty; name one, or leave it out for all");
  const auto filter = dead_filter(call.given, since_ms, system_now_ms());
  bulk_counts counts;
  int code = exit_done;
  // What was refused is found again by each portion: it is counted and told once. As it takes up room there,
  // hardly more than `bulk_limit` come together before a portion does nothing.
  std::set<std::string> refused_ids;
  for (;;) {
    const auto reply = call.api().post("/api/v1/tasks:retry", filter);
    if (!reply.is_ok()) {
      if (counts.done > 0)
        tell_bulk(call, counts); // of the portions before
      return call.fail(reply);
    }
    const auto& data = reply.data();
    const auto done = data["done"].whole();
    counts.matched += data["matched"].whole();
    counts.done += done;
    counts.is_more = data["more"].is_true();
    for (const auto& refused : data["refused"].items()) {
      code = exit_refused;
      if (refused_ids.insert(refused["id"].text()).second)
        call.terminal.complain(printable(refused["id"].text()) + ": " + printable(refused["reason"].text()));
      else
        --counts.matched;
    }
    // Without progress it would never end.
    if (!counts.is_more || done == 0)
      break;
  }
  tell_bulk(call, counts);
  return code;
}

void show_reason(const verb_call& call, const json_value& why) {
  if (call.wants_json())
    call.terminal.line(why.dump());
  else
    call.terminal.write(reason_text(why, call.terminal));
}

} // namespace

int run_output(verb_call& call) {
  uint64_t attempt = 0;
  uint64_t offset = 0;
  for (const auto& [flag, number] : {std::pair{"attempt", &attempt}, std::pair{"offset", &offset}}) {
    if (!call.given.has(flag))
      continue;
    const auto given = parse_digits(call.given.text(flag), INT64_MAX);
    if (!given)
      return call.misuse(std::string("--") + flag + " is no whole number");
    *number = *given;
  }
  return for_each_word(call, [&](const std::string& id) {
    return attempt == 0 ? print_last_output(call, id, offset) : print_output(call, id, attempt, offset);
  });
}

int run_cancel(verb_call& call) {
  std::string json;
  if (call.given.has("grace")) {
    if (const auto grace_ms = parse_duration_ms(call.given.text("grace")); !grace_ms)
      return call.misuse("--grace: " + grace_ms.failure().message);
    json = object_of("grace_s", call.given.text("grace"));
  }
  return for_each_word(call, [&](const std::string& id) {
    return act_on(call, id, "/cancel", json,
                  [&](const json_value& task) { return task_line(task, call.terminal); });
  });
}

int run_kill(verb_call& call) {
  const auto name = signal_name(call.given.has("signal") ? call.given.text("signal") : "TERM");
  if (!name)
    return call.misuse("--signal: it is none that this system knows; give a name such as TERM, or a number");
  const auto json = object_of("signal", *name);
  return for_each_word(call, [&](const std::string& id) {
    return act_on(call, id, "/signal", json, [&](const json_value& task) {
      return "signal " + *name + " was sent to " + printable(task["id"].text());
    });
  });
}

int run_retry(verb_call& call) {
  const bool dead = call.given.is_set("dead");
  if (dead && !call.given.words.empty())
    return call.misuse("ids and --dead are both given; give one of them");
  if (dead)
    return retry_dead(call);
  for (const std::string flag : {"channel", "since", "dry-run"})
    if (call.given.has(flag))
      return call.misuse("--" + flag + " goes with --dead");
  if (call.given.words.empty())
    return call.misuse("name the tasks, or give --dead");
  return for_each_word(call,
                       [&](const std::string& id) { return act_on(call, id, "/retry", {}, retried_text); });
}

int run_why(verb_call& call) {
  return for_each_word(call, [&](const std::string& id) {
    const auto reply = call.api().get(task_path(id, "/why"));
    if (!reply.is_ok())
      return call.fail(reply, id);
    show_reason(call, reply.data());
    return exit_done;
  });
}

} // namespace task_runner::cli
