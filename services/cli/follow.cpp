// `follow`: several feeds side by side, each line with the name of its task.
#include "services/cli/follow.hpp"

#include "services/cli/interrupt.hpp"
#include "services/cli/task_view.hpp"
#include "services/domain/names.hpp"
#include "services/domain/quantities.hpp"
#include "services/wire/byte_text.hpp"
#include "services/wire/json_text.hpp"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

namespace task_runner::cli {

namespace {

/// Longest part of a line that is held back until its line feed comes.
constexpr size_t held_bytes_max = 65'536;
/// Most tasks that are named when they are left.
constexpr size_t left_named_max = 8;
/// Ctrl-C is looked for so often while there is no news.
constexpr std::chrono::milliseconds interrupt_step{100};

struct followed {
  explicit followed(const outage& none)
      : absence(none) {}

  std::string id;
  std::string prefix;
  std::unique_ptr<output_feed> feed;
  /// Of this task alone: that others can be read does not mean that it will be.
  outage absence;
  /// A line that has begun.
  std::string held;
  /// Whether the last byte that was written ended a line.
  bool at_line_start = true;
  bool is_over = false;
  int code = exit_done;
};

/// Wakes the one that shows; feeds ring it.
class bell {
public:
  void ring() {
    {
      const std::lock_guard lock(mutex_);
      rung_ = true;
    }
    changed_.notify_one();
  }

  /// Waits until it has rung since the last time, at most so long.
  void wait(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, time, [this] { return rung_; });
    rung_ = false;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool rung_ = false;
};

class follower {
public:
  follower(verb_call& call, const std::vector<std::string>& ids, const follow_start& start, bool was_there)
      : call_(call)
      , terminal_(call.terminal)
      , was_there_(was_there) {
    note_interrupts();
    constexpr std::array<paint, 6> colors{paint::cyan,    paint::yellow, paint::green,
                                          paint::magenta, paint::blue,   paint::red};
    const auto names = names_of(ids);
    size_t width = 0;
    for (const auto& name : names)
      width = std::max(width, name.size());
    for (size_t i = 0; i < ids.size(); ++i) {
      followed one(outage(terminal_, was_there));
      one.id = ids[i];
      if (ids.size() > 1)
        one.prefix = terminal_.colored(colors[i % colors.size()],
                                       padded(names[i], width) + std::string(terminal_.sign(" │ ", " | ")));
      one.feed = std::make_unique<output_feed>(call.api(), ids[i], start, [this] { bell_.ring(); });
      tasks_.push_back(std::move(one));
    }
  }

  int run() {
    while (std::any_of(tasks_.begin(), tasks_.end(), [](const followed& one) { return !one.is_over; })) {
      bool moved = false;
      for (auto& one : tasks_)
        if (!one.is_over && !is_interrupted())
          moved = look(one) || moved;
      terminal_.flush();
      if (is_interrupted())
        return leave();
      if (!moved)
        bell_.wait(interrupt_step);
    }
    const auto failed =
        std::find_if(tasks_.begin(), tasks_.end(), [](const followed& one) { return one.code != exit_done; });
    return failed == tasks_.end() ? exit_done : failed->code;
  }

private:
  std::vector<std::string> names_of(const std::vector<std::string>& ids) const {
    std::vector<std::string> names;
    for (const auto& id : ids)
      names.push_back(printable(terminal_.is_terminal() ? short_id(id) : id));
    auto sorted = names;
    std::sort(sorted.begin(), sorted.end());
    return std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end() ? names : ids;
  }

  /// Takes what is new of one task; whether that was anything.
  bool look(followed& one) {
    auto taken = one.feed->take();
    if (!taken)
      return false;
    auto& news = *taken;
    if (news.what != feed_news::kind::failed)
      note_answer(one);
    switch (news.what) {
    case feed_news::kind::nothing:
      return true;
    case feed_news::kind::output_after_gap:
      note(one, "some output came too fast to be kept, and is left out here");
      show(one, news.bytes);
      return true;
    case feed_news::kind::from_beginning:
      end_line(one);
      note(one, "there is not that much output; it follows from its beginning");
      return true;
    case feed_news::kind::output:
      show(one, news.bytes);
      return true;
    case feed_news::kind::next_attempt:
      end_line(one);
      note(one, "attempt " + std::to_string(one.feed->attempt()));
      return true;
    case feed_news::kind::ended:
      end_line(one);
      tell_end(one, news.task);
      one.feed.reset();
      return true;
    case feed_news::kind::failed:
      break;
    }
    const bool is_told = std::any_of(tasks_.begin(), tasks_.end(), [](const followed& other) {
      return !other.is_over && other.absence.is_on();
    });
    if (one.absence.bears(news.failure, is_told))
      return true;
    end_line(one);
    one.is_over = true;
    one.code = call_.fail(news.failure, one.id);
    one.feed.reset();
    return true;
  }

  void note_answer(followed& one) {
    one.absence.over();
    if (!std::exchange(was_there_, true))
      for (auto& other : tasks_)
        other.absence.note_daemon();
  }

  void show(followed& one, std::string_view bytes) {
    if (bytes.empty())
      return;
    if (call_.wants_json()) {
      std::string text;
      json_writer json(text);
      json.begin_object().member("id", one.id).member("attempt", one.feed->attempt());
      write_output_member(json, bytes);
      json.end_object();
      terminal_.line(text);
      return;
    }
    if (one.prefix.empty()) {
      terminal_.write(bytes);
      one.at_line_start = bytes.back() == '\n';
      return;
    }
    one.held += bytes;
    for (auto end = one.held.find('\n'); end != std::string::npos; end = one.held.find('\n')) {
      terminal_.write(one.prefix + one.held.substr(0, end + 1));
      one.held.erase(0, end + 1);
    }
    if (one.held.size() > held_bytes_max)
      end_line(one);
  }

  /// Writes a line that has only begun; where it is alone, as it is, but for a terminal.
  void end_line(followed& one) {
    if (!one.held.empty())
      terminal_.write(one.prefix + one.held + "\n");
    one.held.clear();
    if (!one.at_line_start && terminal_.is_terminal())
      terminal_.write("\n");
    one.at_line_start = true;
  }

  /// A remark on stderr, for people.
  void note(const followed& one, const std::string& what) {
    if (call_.wants_json())
      return;
    terminal_.flush();
    if (terminal_.errors_are_seen())
      terminal_.write_error(terminal_.colored_error(paint::dim, "[" + printable(one.id) + ": " + what + "]") +
                            "\n");
  }

  void tell_end(followed& one, const json_value& task) {
    one.is_over = true;
    one.code = exit_code_of(task);
    if (call_.wants_json()) {
      std::string text;
      json_writer json(text);
      json.begin_object().member("id", one.id).member("state", task["state"].text()).key("outcome");
      json.raw(task["outcome"].dump()).end_object();
      terminal_.line(text);
      return;
    }
    // Without an exit code that says it, everybody is told how it ended.
    if (one.code != exit_done && task["outcome"]["kind"].text() != "exited")
      terminal_.complain(end_text(task));
    else
      note(one, printable(task["state"].text()) + ", " + outcome_text(task["outcome"]));
  }

  int leave() {
    terminal_.flush();
    size_t named = 0;
    for (auto& one : tasks_) {
      if (one.is_over || ++named > left_named_max)
        continue;
      end_line(one);
      std::string words = "task-runner follow ";
      if (one.feed->offset() != 0)
        words += "--attempt " + std::to_string(one.feed->attempt()) + " --offset " +
                 std::to_string(one.feed->offset()) + " ";
      terminal_.complain("detached; the task goes on. Come back with: " + words + printable(one.id));
    }
    if (named > left_named_max)
      terminal_.complain("and " + std::to_string(named - left_named_max) + " more go on");
    return exit_interrupted;
  }

  verb_call& call_;
  console& terminal_;
  /// The daemon has answered for one of them.
  bool was_there_;
  /// Outlives the feeds that ring it.
  bell bell_;
  std::vector<followed> tasks_;
};

} // namespace

void outage::over() noexcept {
  was_there_ = true;
  since_.reset();
}

bool outage::bears(const api_reply& reply, bool is_told) {
  if (!was_there_ || !reply.may_come_back())
    return false;
  const auto now = steady::now();
  if (!std::exchange(since_, since_.value_or(now)) && !is_told) {
    // Of others than 0 a daemon that is there has said why.
    terminal_.complain((reply.status == 0 ? "the daemon is away; waiting for it: " : "waiting: ") +
                       printable(reply.message));
  }
  return now - *since_ < outage_max;
}

void look_pause::wait() {
  const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(steady::now() - began_);
  pause_for(std::clamp(waited / 10, shortest, longest));
}

int follow_tasks(verb_call& call, const std::vector<std::string>& ids, const follow_start& start,
                 bool was_there) {
  return follower(call, ids, start, was_there).run();
}

int run_follow(verb_call& call) {
  if (call.given.words.size() > followed_max)
    return call.misuse("more than " + std::to_string(followed_max) +
                       " tasks are named; follow them in several calls");
  follow_start start;
  for (const auto& [flag, number] :
       {std::pair{"offset", &start.offset}, std::pair{"attempt", &start.attempt}}) {
    if (!call.given.has(flag))
      continue;
    const auto given = parse_digits(call.given.text(flag), INT64_MAX);
    if (!given)
      return call.misuse(std::string("--") + flag + " is no whole number");
    *number = *given;
  }
  return follow_tasks(call, call.given.words, start, false);
}

} // namespace task_runner::cli
