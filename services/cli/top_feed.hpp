// The full-screen view's way to the daemon: threads that look again and again, and threads that carry out
// orders, so that whoever reads keys never waits for an answer.
#pragma once

#include "services/cli/console.hpp"
#include "services/cli/daemon_api.hpp"
#include "services/cli/output_feed.hpp"
#include "services/cli/top_data.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace task_runner::cli {

/// Most orders that wait for their turn; one more is refused.
constexpr size_t top_orders_max = 16;
/// So many orders are carried out at a time; one about the same task or channel waits for the one before.
constexpr size_t top_hands = 4;
/// Most news that wait to be taken; then nothing more is asked for until they are.
constexpr size_t top_news_max = 8;

/// Seconds of a clock that is never set.
double steady_seconds() noexcept;

/// Asks one daemon. All functions are for one thread, but those of its own.
class top_feed {
public:
  /// Begins to look every `interval`. `wake` is called by its threads when there are news; `terminal` gives
  /// the colours of texts, and outlives it.
  /// Throws std::system_error where there are no threads for it.
  top_feed(const daemon_place& place, std::chrono::milliseconds interval, const console& terminal,
           std::function<void()> wake);
  /// Breaks what is on its way, and waits for its threads, at most as long as a connection takes to be made.
  ~top_feed();
  top_feed(const top_feed&) = delete;
  top_feed& operator=(const top_feed&) = delete;

  /// What to look at from now on; something else than before is looked at soon.
  void want(const top_wish& wish);
  /// Has something done; its answer comes with the news. False where too much waits already.
  [[nodiscard]] bool order(top_order order);
  /// All news since the last time.
  std::vector<top_news> take();
  /// How long the look that is under way has been waiting for an answer, seconds; 0: none waits.
  double silent_s() const;

private:
  using steady = std::chrono::steady_clock;

  struct shown_output {
    uint64_t turn = 0;
    /// Of the output, how much was passed over at the beginning, bytes.
    uint64_t skipped = 0;
    uint64_t attempt = 0;
    /// What was told last: of which attempt, and whether that it cannot be read.
    uint64_t told_attempt = 0;
    bool has_failed = false;
    /// Empty once the task has ended: then it is looked whether it was run again.
    std::unique_ptr<output_feed> feed;
  };

  /// Ends the threads that have begun.
  void end();
  void watch();
  void look(const top_wish& wish, bool at_everything, top_news& news);
  bool look_at_channels(top_news& news);
  bool look_at_daemon(top_news& news);
  bool look_at_fares(top_news& news);
  bool look_at_tasks(const top_wish& wish, top_news& news);
  bool list(const std::string& query, top_tasks& into, top_news& news);
  bool look_at_output(const top_wish& wish, top_news& news);
  /// The output of another task, or of the same one anew. False: there is none to take from yet.
  bool begin_output(const top_wish& wish, top_news& news);
  bool look_for_next_attempt(const top_wish& wish, top_news& news);
  void take_output(const top_wish& wish, top_news& news);
  void tell(const top_wish& wish, feed_news one, top_news& news);
  /// False at the end, when nothing is asked any more; else silent_s() counts until end_asking().
  bool begin_asking(top_news& news);
  void end_asking();
  /// Asks; where nobody can answer at present that becomes the news' failure.
  api_reply ask(const std::string& target, top_news& news);
  bool fail(const api_reply& reply, top_news& news) const;
  void lend_hand(daemon_api& daemon);
  top_answer carry_out(daemon_api& daemon, const top_order& order) const;
  top_answer carry_out_text(daemon_api& daemon, const top_order& order) const;
  void post(top_news news);

  const std::chrono::milliseconds interval_;
  const console& terminal_;
  const std::function<void()> wake_;
  /// One for the watching thread, then one for each hand.
  std::vector<std::unique_ptr<daemon_api>> daemons_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  top_wish wish_;
  bool wish_is_new_ = true;
  bool is_urgent_ = false;
  bool ends_ = false;
  std::optional<steady::time_point> asked_at_;
  std::vector<top_news> news_;
  std::deque<top_order> orders_;
  /// What is being worked on.
  std::set<std::string> in_hand_;
  size_t threads_alive_ = 0;

  // Of the watching thread alone.
  shown_output output_;
  steady::time_point channels_due_;
  steady::time_point daemon_due_;
  steady::time_point fares_due_;
  /// Where the next page of the daemon's statistics begins; empty: with the first channel.
  std::string fares_cursor_;
  std::string some_channel_;

  std::vector<std::thread> threads_;
};

} // namespace task_runner::cli
