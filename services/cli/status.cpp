// `status`: all channels, one, tasks by filter, or single tasks; once, or again and again.
#include "services/cli/channel_view.hpp"
#include "services/cli/interrupt.hpp"
#include "services/cli/task_view.hpp"
#include "services/cli/verb_call.hpp"
#include "services/domain/quantities.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

namespace task_runner::cli {

namespace {

using std::chrono::milliseconds;

constexpr uint64_t limit_max = 1'000;
constexpr uint64_t channel_limit_default = 10;
constexpr uint64_t filter_limit_default = 100;
/// The largest page of a listing.
constexpr uint64_t page_max = 1'000;
constexpr uint64_t filter_limit_max = 1'000'000;
constexpr milliseconds interval_default{1'000};
constexpr milliseconds interval_min{100};

struct status_wish {
  uint64_t limit = channel_limit_default;
  /// Name and value, encoded, joined by `&`; empty: no listing.
  std::string query;
  milliseconds interval = interval_default;
};

/// What one look has brought: text to show, or an exit code.
struct status_look {
  std::string text;
  std::optional<api_reply> failure;
  /// The task that the failure is about; empty where it is about none.
  std::string about;
};

result<status_wish> read_wish(const arguments& given) {
  status_wish wish;
  const bool is_listing = given.has("filter");
  wish.limit = is_listing ? filter_limit_default : channel_limit_default;
  if (given.has("limit")) {
    const auto most = is_listing ? filter_limit_max : limit_max;
    const auto limit = parse_digits(given.text("limit"), most);
    if (!limit || *limit == 0)
      return error{error_code::invalid_argument, "--limit: give 1 to " + std::to_string(most)};
    wish.limit = *limit;
  }
  for (const auto& filter : given.texts("filter")) {
    const auto equals = filter.find('=');
    if (equals == 0 || equals == std::string::npos || equals + 1 == filter.size())
      return error{error_code::invalid_argument, "--filter: it is NAME=VALUE, such as state=dead"};
    wish.query += "&" + url_encoded(filter.substr(0, equals)) + "=" + url_encoded(filter.substr(equals + 1));
  }
  if (is_listing && given.has("channel"))
    wish.query += "&channel=" + url_encoded(given.text("channel"));
  if (given.has("interval")) {
    const auto interval_ms = parse_duration_ms(given.text("interval"));
    if (!interval_ms)
      return error{error_code::invalid_argument, "--interval: " + interval_ms.failure().message};
    wish.interval = std::max(interval_min, milliseconds(*interval_ms));
  }
  if (given.has("channel") && given.text("channel").empty())
    return error{error_code::invalid_argument, "--channel is empty; name one, or leave it out for all"};
  if (!given.words.empty() && (is_listing || given.has("channel")))
    return error{error_code::invalid_argument, "ids go neither with --channel nor with --filter"};
  return wish;
}

class status_verb {
public:
  status_verb(verb_call& call, status_wish wish)
      : call_(call)
      , wish_(std::move(wish)) {}

  int once() {
    auto seen = look();
    call_.terminal.write(seen.text);
    return seen.failure ? call_.fail(*seen.failure, seen.about) : exit_done;
  }

  int watch() {
    note_interrupts();
    bool was_seen = false;
    const bool redraws = call_.terminal.is_terminal() && !call_.wants_json();
    if (redraws)
      call_.terminal.write("\033[2J");
    while (!is_interrupted()) {
      auto seen = look();
      if (seen.failure && !(was_seen && seen.failure->may_come_back()))
        return call_.fail(*seen.failure, seen.about);
      was_seen = true;
      if (seen.failure)
        seen.text = call_.terminal.colored(paint::red, printable(seen.failure->message)) + "\n";
      if (redraws)
        draw(seen.text);
      else
        call_.terminal.write(seen.text + (call_.wants_json() ? "" : "\n"));
      call_.terminal.flush();
      pause_for(wish_.interval);
    }
    return exit_done;
  }

private:
  status_look look() {
    if (!call_.given.words.empty())
      return look_at_tasks();
    return wish_.query.empty() ? look_at_channels() : look_at_listing();
  }

  /// Draws over what is there, so that nothing flickers; what does not fit is left out, also at the end of a
  /// line: the terminal is told to break none (DECAWM).
  void draw(const std::string& text) {
    std::string screen = "\033[?7l\033[H";
    size_t row = 1;
    for (size_t at = 0; at < text.size() && row < call_.terminal.rows(); ++row) {
      const auto end = std::min(text.find('\n', at), text.size());
      screen += text.substr(at, end - at) + "\033[K\n";
      at = end + 1;
    }
    call_.terminal.write(screen + "\033[J\033[?7h");
  }

  status_look look_at_tasks() {
    status_look seen;
    for (const auto& id : call_.given.words) {
      auto reply = call_.api().get(task_path(id));
      if (!reply.is_ok()) {
        seen.failure = std::move(reply);
        seen.about = id;
        break;
      }
      seen.text +=
          call_.wants_json() ? reply.data().dump() + "\n" : task_details(reply.data(), call_.terminal);
    }
    return seen;
  }

  status_look look_at_channels() {
    status_look seen;
    const auto channel = call_.given.text("channel");
    auto target = "/status?limit=" + std::to_string(wish_.limit);
    if (!channel.empty())
      target += "&channel=" + url_encoded(channel);
    auto reply = call_.api().get(target);
    if (!reply.is_ok()) {
      seen.failure = std::move(reply);
      return seen;
    }
    if (call_.wants_json()) {
      seen.text = reply.data().dump() + "\n";
      return seen;
    }
    const auto found =
        channel.empty() ? reply.data().members() : std::vector<json_member>{{channel, reply.data()}};
    const bool has_line =
        std::any_of(found.begin(), found.end(), [](const auto& one) { return stands_in_line(one.value); });
    // Only people are told how long it will take.
    const auto etas = call_.terminal.is_terminal() && has_line ? read_etas(call_.api()) : channel_etas();
    for (const auto& one : found)
      seen.text += channel_text(one.name, one.value, etas, call_.terminal);
    seen.text += sign_legend(call_.terminal);
    return seen;
  }

  status_look look_at_listing() {
    status_look seen;
    std::vector<json_value> found;
    std::string cursor;
    while (found.size() < wish_.limit) {
      const auto room = std::min<uint64_t>(page_max, wish_.limit - found.size());
      auto reply = call_.api().get("/api/v1/tasks?limit=" + std::to_string(room) + wish_.query + cursor);
      if (!reply.is_ok()) {
        seen.failure = std::move(reply);
        return seen;
      }
      const auto& items = reply.data()["items"].items();
      found.insert(found.end(), items.begin(), items.end());
      const auto& next = reply.data()["next"].text();
      if (next.empty())
        break;
      cursor = "&cursor=" + url_encoded(next);
    }
    if (call_.wants_json())
      for (const auto& task : found)
        seen.text += task.dump() + "\n";
    else
      seen.text = listed_by_channel(found, call_.terminal);
    return seen;
  }

  verb_call& call_;
  const status_wish wish_;
};

} // namespace

int run_status(verb_call& call) {
  auto wish = read_wish(call.given);
  if (!wish)
    return call.misuse(wish.failure().message);
  status_verb verb(call, std::move(*wish));
  return call.given.is_set("watch") ? verb.watch() : verb.once();
}

} // namespace task_runner::cli
