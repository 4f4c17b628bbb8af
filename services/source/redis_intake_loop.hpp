// What the Redis intake's thread does: wait, take, submit, park, finish, and recover what a crash or a lost
// connection has left. One thread serves all keys: it waits in poll(2) on one waiting connection for each
// key, and does everything else over one working connection.
#pragma once

#include "services/source/channel_line.hpp"
#include "services/source/completion_box.hpp"
#include "services/source/redis_connection.hpp"
#include "services/source/redis_list_source.hpp"
#include "services/source/rejection_log.hpp"
#include "services/source/source_report.hpp"
#include "services/source/taken_batch.hpp"
#include "services/source/wake_event.hpp"

#include <array>
#include <chrono>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace task_runner {

/// The loop of one redis_list_source. Everything runs on the thread that calls `run`.
///
/// For each key: while the list may hold messages, `take_script` moves a batch into a new taken list. When
/// it is empty, BRPOPLPUSH waits on the key's own connection for the next message, and moves it, alone,
/// into a taken list whose number was chosen beforehand. Either way the move is one atomic step, and the
/// list's name tells whose it is.
///
/// The messages of a batch then part: each joins the line of its channel (see channel_line), and each line
/// is submitted by itself. A channel that takes nothing has its messages parked: their taken lists stay,
/// taking goes on for the other channels up to the bounds on what is parked. When the sink refuses whatever
/// channel it is offered, nothing is taken at all until it accepts something again.
class redis_intake_loop {
public:
  redis_intake_loop(const redis_source_options& options, push_sink& sink, intake_journal& journal,
                    source_report& report, const wake_event& stop);

  /// Returns soon after `stop` is set.
  void run();

private:
  using clock = std::chrono::steady_clock;
  using time_point = clock::time_point;

  struct intake_key {
    std::string name;
    /// Where its troubles are reported, and those with what is parked.
    std::string place;
    std::string parked_place;
    std::optional<redis_connection> waiter;
    /// The batch that a waiting BRPOPLPUSH would fill; 0 when none waits.
    uint64_t announced = 0;
    time_point waiter_deadline{};
    /// Whether the list may hold messages, as far as is known.
    bool maybe_more = true;
    /// Batches that are not parked, until their lists are deleted.
    uint32_t batches_in_flight = 0;
    /// Lines by channel; only such with messages.
    std::map<std::string, channel_line> lines;
    /// Messages in parked lines, and the bytes of the taken lists that hold nothing else undecided.
    uint64_t parked_messages = 0;
    uint64_t parked_bytes = 0;
    /// Whether what is parked has reached a bound, and has not fallen well below it since.
    bool parked_full = false;
    /// Taken lists that nobody in this process works on, by number. True: taken by this very process a
    /// moment ago, and only its reply not read.
    std::map<uint64_t, bool> leftovers;
    time_point paused_until{};
  };

  /// Where a batch stands, by what is left of it to decide.
  enum class batch_stage : uint8_t {
    /// Some messages may be decided any moment.
    flowing,
    /// All that are left are parked.
    parked,
    /// None is left; its list is to be deleted.
    decided,
  };

  struct batch_state {
    taken_batch batch;
    batch_stage stage = batch_stage::flowing;
    /// Open messages that stand in parked lines.
    size_t parked = 0;
    /// Rejections that stand in the list of rejected messages already.
    size_t filed = 0;
    /// Some more may stand there: whether they do was not heard.
    bool filing_unsure = false;
    bool finish_sent = false;
    time_point finish_at{};
  };

  /// The sink refuses whoever asks.
  struct stall {
    uint32_t rounds = 0;
    time_point retry_at{};
    /// The last submission made before it was noticed: what comes of those does not say that it is over.
    uint64_t after = 0;
  };

  struct script {
    std::string_view text;
    std::string sha;
  };

  struct list_scan {
    std::string cursor = "0";
    std::set<std::string> names;
  };

  bool step(time_point now);
  void connect(time_point now);
  void lose_connection(const error& failure);
  void note_working();

  bool step_scan();
  void end_scan();
  bool prepare(time_point now);

  bool serve(intake_key& key, time_point now);
  bool take(intake_key& key, time_point now);
  bool take_in_leftover(intake_key& key);
  void arm_waiter(intake_key& key, time_point now);
  void read_waiter(intake_key& key, time_point now);
  void key_trouble(intake_key& key, const redisReply& refusal, time_point now);

  void begin_batch(intake_key& key, uint64_t number, redis_reply messages,
                   const std::vector<uint32_t>& marked, bool recovered);
  void update_stage(batch_state& state);
  void report_rejections(const batch_state& state, size_t from);
  void file_parked(time_point now);
  void finish_decided(time_point now);
  bool file_rejected(batch_state& state);
  bool finish_rejected(batch_state& state);
  bool is_filed(batch_state& state, const result<redis_reply>& reply);
  void forget(uint64_t number);

  void join_line(batch_state& state, uint32_t position, std::vector<channel_line*>& begun);
  std::vector<push_item> take_front(channel_line& line, size_t most);
  void offer(channel_line& line, time_point now, size_t most);
  size_t usual_offer(const channel_line& line) const;
  void offer_due(time_point now);
  void offer_round(time_point now);
  void take_completions(time_point now);
  void take_answers(channel_line& line, uint64_t submission, const std::vector<push_reply>& replies,
                    time_point now);
  void write_down(channel_line& line, const std::vector<line_entry>& offered,
                  const std::vector<push_reply>& replies);
  void take_refusal(channel_line& line, const push_reply& refusal, time_point now);
  void park(channel_line& line, const error& why);
  void report_parked(const channel_line& line, const error& why);
  void leave_line(batch_state& state, const channel_line& line);
  void retire(channel_line& line);
  void set_due(channel_line& line, time_point due);
  void stop_taking(const error& why, time_point now);
  void resume_taking(time_point now);
  bool has_room(intake_key& key);
  void report_full(const intake_key& key);

  result<redis_reply> call_script(script& which, const std::vector<std::string_view>& keys,
                                  const std::vector<std::string_view>& arguments);
  uint64_t next_number();
  std::chrono::milliseconds backoff(uint32_t round);
  std::string list_name(const intake_key& key, uint64_t number) const;
  bool is_known(uint64_t number) const;
  time_point next_deadline() const;
  void wait(bool busy);
  void wind_down();

  const redis_source_options& options_;
  push_sink& sink_;
  intake_journal& journal_;
  source_report& report_;
  const wake_event& stop_;
  std::shared_ptr<completion_box> completions_ = std::make_shared<completion_box>();
  rejection_log rejection_log_;
  std::minstd_rand random_;

  std::optional<redis_connection> work_;
  time_point connect_at_{};
  uint32_t connect_round_ = 0;
  /// Whether this connection has proved itself by an answer to a taking.
  bool proven_ = false;
  bool ever_proven_ = false;
  script take_;
  script read_;
  script file_;
  script finish_;

  std::vector<intake_key> keys_;
  size_t first_key_ = 0;
  std::map<uint64_t, batch_state> batches_;
  uint64_t last_number_ = 0;
  /// Batches to be finished, and parked ones with rejections to be filed.
  std::set<uint64_t> decided_;
  std::set<uint64_t> unfiled_;

  /// Lines with something in the sink, by submission, and lines with something due, by time.
  std::map<uint64_t, channel_line*> submissions_;
  std::set<std::pair<time_point, channel_line*>> due_;
  uint64_t last_submission_ = 0;
  /// Submissions of which something was accepted or a duplicate.
  uint64_t served_ = 0;
  std::optional<stall> stall_;
  size_t parked_lines_ = 0;
  bool winding_down_ = false;

  std::optional<list_scan> scan_;
  /// Whether, on this connection, leftovers are known and new batches may be taken.
  bool prepared_ = false;
  time_point settle_scan_at_ = time_point::max();
  bool journal_read_ = false;
  time_point journal_at_{};
  uint32_t journal_round_ = 0;
  /// All taken lists of this node that the last scan saw, of other keys too.
  std::set<uint64_t> seen_lists_;
  size_t foreign_lists_ = 0;
};

} // namespace task_runner
