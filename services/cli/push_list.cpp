// Each line gets its id here, before it is sent for the first time: the daemon knows a line that comes again
// by its id. So whatever is lost on the way, a request, an answer or the daemon, the portion is sent again.
#include "services/cli/push_list.hpp"

#include "services/cli/advice.hpp"
#include "services/cli/interrupt.hpp"
#include "services/cli/line_input.hpp"
#include "services/cli/progress_bar.hpp"
#include "services/domain/names.hpp"
#include "services/domain/time_text.hpp"

#include <algorithm>
#include <cstring>
#include <deque>
#include <unistd.h>
#include <utility>

namespace task_runner::cli {

namespace {

using std::chrono::milliseconds;
using steady = std::chrono::steady_clock;

/// Most lines of one portion, and most bytes where there is more than one.
constexpr size_t portion_lines_max = 1'000;
constexpr size_t portion_bytes_max = 524'288;
/// What has been read is sent when no further line came for so long.
constexpr milliseconds input_patience{100};
/// Before a portion is sent again, where the daemon does not say how long.
constexpr milliseconds retry_pause{500};
/// Longer than the daemon's own time for a batch (57 s).
constexpr milliseconds batch_within{65'000};
/// So many refused lines are explained; the others are counted.
constexpr uint64_t explained_max = 20;

/// Of a line that was handed over, and of which nobody has heard in time.
constexpr std::string_view late_code = "timeout";
constexpr std::string_view undecided_codes[] = {"queue_full", "overloaded", "draining", "unavailable",
                                                late_code};

bool is_undecided(const std::string& code) {
  return std::find(std::begin(undecided_codes), std::end(undecided_codes), code) != std::end(undecided_codes);
}

struct prepared_line {
  uint64_t number = 0;
  std::string id;
  std::string json;
  /// It was sent, and nobody has said what became of it.
  bool may_be_taken = false;
};

class list_push {
public:
  list_push(verb_call& call, const push_body& body, milliseconds patience)
      : call_(call)
      , body_(body)
      , patience_(patience)
      , bar_(call.terminal)
      , input_(STDIN_FILENO) {}

  int run() {
    note_interrupts();
    moved_at_ = steady::now();
    while (!is_interrupted() && !failed_with_) {
      read_lines();
      if (waiting_.empty() && input_.at_end())
        break;
      if (!waiting_.empty())
        send_portion();
      show("");
    }
    bar_.clear();
    return finish();
  }

private:
  void show(std::string_view trouble) {
    bar_.show({accepted_ + duplicates_, refused_, input_.share(), trouble});
  }

  /// Reads until a portion is full or nothing comes for a moment; waits only where nothing is left to send.
  void read_lines() {
    while (waiting_.size() < portion_lines_max && !input_.at_end() && !is_interrupted()) {
      auto line = input_.next(waiting_.empty() ? milliseconds(-1) : input_patience);
      if (!line) {
        if (!waiting_.empty() || input_.at_end() || is_interrupted())
          break;
        continue;
      }
      moved_at_ = waiting_.empty() ? steady::now() : moved_at_;
      last_read_ = line->number;
      take(std::move(*line));
    }
  }

  void take(input_line line) {
    if (line.is_too_long) {
      refuse(line.number, "it is longer than " + std::to_string(input_line_bytes_max) + " bytes");
      return;
    }
    if (line.text.find_first_not_of(" \t\r") == std::string::npos)
      return;
    if (auto valid = check_text("it", line.text); !valid) {
      refuse(line.number, valid.failure().message);
      return;
    }
    prepared_line ready;
    ready.number = line.number;
    ready.id = make_task_id(system_now_ms());
    if (call_.given.has_command) {
      auto words = call_.given.command;
      words.push_back(std::move(line.text));
      ready.json = push_json_of_words(body_, ready.id, words);
    } else {
      ready.json = push_json_of_line(body_, ready.id, line.text);
    }
    waiting_.push_back(std::move(ready));
  }

  void refuse(uint64_t number, const std::string& why) {
    if (++refused_ > explained_max)
      return;
    bar_.clear();
    call_.terminal.complain("line " + std::to_string(number) + " is refused: " + printable(why));
  }

  size_t portion_length() const {
    size_t count = 0;
    size_t bytes = 0;
    while (count < std::min(waiting_.size(), lines_max_)) {
      bytes += waiting_[count].json.size() + 1;
      if (count > 0 && bytes > portion_bytes_max)
        break;
      ++count;
    }
    return count;
  }

  void send_portion() {
    const size_t count = portion_length();
    http_call what;
    what.method = "POST";
    what.target = "/api/v1/tasks:batch";
    what.content_type = "application/x-ndjson";
    what.answer_within = batch_within;
    for (size_t i = 0; i < count; ++i)
      what.body += waiting_[i].json + "\n";
    const auto reply = call_.api().call(what);
    const bool was_reached = std::exchange(reached_, reached_ || reply.status != 0);
    if (!reply.is_ok() && (reply.may_be_done() || (reply.status == 0 && was_reached)))
      doubt(count);
    if (reply.is_ok())
      take_results(reply, count);
    else if (reply.status == 413 && count > 1)
      lines_max_ = count / 2;
    else if (count == 1 && (reply.status == 400 || reply.status == 413 || reply.status == 422))
      drop_first(reply.message);
    else if (reply.may_come_back() && (reply.status != 0 || was_reached))
      wait_after(reply.message, reply.status, reply.retry_after);
    else
      fail_with(reply);
  }

  /// Of the first so many lines nobody knows whether they were taken.
  void doubt(size_t count) {
    for (size_t i = 0; i < count; ++i)
      waiting_[i].may_be_taken = true;
  }

  void fail_with(const api_reply& reply) {
    bar_.clear();
    failed_with_ = call_.fail(reply);
  }

  void drop_first(const std::string& why) {
    refuse(waiting_.front().number, why);
    waiting_.pop_front();
    moved_at_ = steady::now();
  }

  void take_results(const api_reply& reply, size_t count) {
    const auto& results = reply.data()["results"].items();
    if (results.size() != count) {
      doubt(count);
      bar_.clear();
      call_.terminal.complain("the daemon answered for " + std::to_string(results.size()) + " of " +
                              std::to_string(count) + " lines; is it of another version?");
      failed_with_ = exit_refused;
      return;
    }
    std::deque<prepared_line> undecided;
    std::string why;
    for (size_t i = 0; i < count; ++i) {
      auto& line = waiting_[i];
      const auto& result = results[i];
      const auto& code = result["code"].text();
      if (is_undecided(code)) {
        if (why.empty())
          why = result["message"].text().empty() ? code : result["message"].text();
        line.may_be_taken = line.may_be_taken || code == late_code;
        undecided.push_back(std::move(line));
      } else if (!code.empty()) {
        all_unknown_ = all_unknown_ && code == "not_found";
        const auto& message = result["message"].text();
        refuse(line.number, message.empty() ? code : refusal_text(message));
      } else {
        note_taken(line, result);
      }
    }
    const bool moved = undecided.size() < count;
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
    waiting_.insert(waiting_.begin(), std::make_move_iterator(undecided.begin()),
                    std::make_move_iterator(undecided.end()));
    if (moved)
      moved_at_ = steady::now();
    if (!why.empty())
      wait_after(why, 503, milliseconds(0));
  }

  void note_taken(const prepared_line& line, const json_value& result) {
    const auto& id = result["task_id"].text();
    // Sent twice, as the first answer was lost: it is its own duplicate.
    const bool is_new = result["result"].is_true() || id == line.id;
    ++(is_new ? accepted_ : duplicates_);
    all_unknown_ = false;
    if (!call_.terminal.is_terminal() && !call_.wants_json())
      call_.terminal.line(printable(id));
  }

  void wait_after(const std::string& why, int status, milliseconds asked) {
    const auto waited = steady::now() - moved_at_;
    if (waited >= patience_) {
      bar_.clear();
      call_.terminal.complain("given up, as nothing was taken for " +
                              short_duration(std::chrono::duration<double>(waited).count()) + ": " +
                              printable(why));
      failed_with_ = status == 0 ? exit_unreachable : exit_refused;
      return;
    }
    const auto left = std::chrono::ceil<milliseconds>(patience_ - waited);
    const auto until = steady::now() + std::min(std::max(asked, retry_pause), left);
    while (!is_interrupted() && steady::now() < until) {
      show(why);
      pause_for(std::min(retry_pause, std::chrono::ceil<milliseconds>(until - steady::now())));
    }
  }

  int finish() {
    call_.terminal.flush();
    if (refused_ > explained_max)
      call_.terminal.complain("and " + grouped(refused_ - explained_max) + " more lines are refused");
    if (input_.failure() != 0) {
      call_.terminal.complain(std::string("standard input cannot be read: ") +
                              std::strerror(input_.failure()));
      failed_with_ = exit_refused;
    }
    if ((failed_with_ || is_interrupted()) && !waiting_.empty())
      tell_rest();
    tell_counts();
    if (is_interrupted() && !failed_with_)
      return exit_interrupted;
    if (failed_with_)
      return *failed_with_;
    if (refused_ == 0)
      return exit_done;
    return all_unknown_ && accepted_ + duplicates_ == 0 ? exit_unknown : exit_refused;
  }

  /// Where to go on, for whoever sends the rest: what may have been taken would run twice.
  void tell_rest() {
    const auto is_doubtful = [](const prepared_line& line) { return line.may_be_taken; };
    const auto first = std::find_if(waiting_.begin(), waiting_.end(), is_doubtful);
    const auto surely = std::find_if_not(waiting_.begin(), waiting_.end(), is_doubtful);
    if (first == waiting_.end()) {
      // A daemon that has never answered may have taken what it was sent, but most likely is not there.
      if (reached_)
        call_.terminal.complain("the first line that was not taken is " + std::to_string(surely->number));
      return;
    }
    const auto last = std::find_if(waiting_.rbegin(), waiting_.rend(), is_doubtful);
    std::string text = "nobody knows whether ";
    if (first->number == last->number)
      text += "line " + std::to_string(first->number) + " was taken";
    else
      text +=
          "lines " + std::to_string(first->number) + " to " + std::to_string(last->number) + " were taken";
    if (surely != waiting_.end())
      text += "; the first that surely was not is " + std::to_string(surely->number);
    else if (!input_.at_end())
      text += "; the first that surely was not is " + std::to_string(last_read_ + 1);
    else
      text += "; there are no others left";
    call_.terminal.complain(text);
  }

  void tell_counts() {
    if (call_.wants_json()) {
      call_.terminal.line("{\"accepted\":" + std::to_string(accepted_) + ",\"duplicates\":" +
                          std::to_string(duplicates_) + ",\"refused\":" + std::to_string(refused_) + "}");
      return;
    }
    std::string text = grouped(accepted_) + " pushed";
    if (duplicates_ != 0)
      text += ", " + grouped(duplicates_) + " there already";
    if (refused_ != 0)
      text += ", " + grouped(refused_) + " refused";
    if (call_.terminal.is_terminal())
      call_.terminal.line(text);
    else if (call_.terminal.errors_are_seen())
      call_.terminal.complain(text);
  }

  verb_call& call_;
  const push_body& body_;
  const milliseconds patience_;
  progress_bar bar_;
  line_input input_;
  /// Read and not decided yet, in their order; at most a portion.
  std::deque<prepared_line> waiting_;
  size_t lines_max_ = portion_lines_max;
  /// The number of the last line that was read.
  uint64_t last_read_ = 0;
  steady::time_point moved_at_{};
  uint64_t accepted_ = 0;
  uint64_t duplicates_ = 0;
  uint64_t refused_ = 0;
  /// Whether the daemon has answered before.
  bool reached_ = false;
  /// Whether all that was refused was so because its channel does not exist.
  bool all_unknown_ = true;
  std::optional<int> failed_with_;
};

} // namespace

int push_list(verb_call& call, const push_body& body, milliseconds patience) {
  return list_push(call, body, patience).run();
}

} // namespace task_runner::cli
