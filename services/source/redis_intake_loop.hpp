// What the Redis intake's thread does: wait, take, submit, finish, and recover what a crash or a lost
// connection has left. One thread serves all keys: it waits in poll(2) on one waiting connection for each
// key, and does everything else over one working connection.
#pragma once

#include "services/source/completion_box.hpp"
#include "services/source/redis_connection.hpp"
#include "services/source/redis_list_source.hpp"
#include "services/source/rejection_log.hpp"
#include "services/source/source_report.hpp"
#include "services/source/taken_batch.hpp"
#include "services/source/wake_event.hpp"

#include <array>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// The loop of one redis_list_source. Everything runs on the thread that calls `run`.
///
/// For each key: while the list may hold messages, `take_script` moves a batch into a new taken list. When it
/// is empty, BRPOPLPUSH waits on the key's own connection for the next message, and moves it, alone, into a
/// taken list whose number was chosen beforehand. Either way the move is one atomic step, and the list's name
/// tells whose it is.
class redis_intake_loop {
public:
  redis_intake_loop(const redis_source_options& options, push_sink& sink, intake_journal& journal,
                    source_report& report, const wake_event& stop);

  /// Returns soon after `stop` is set.
  void run();

private:
  using clock = std::chrono::steady_clock;
  using time_point = clock::time_point;

  /// A taken list that nobody in this process works on.
  struct leftover {
    uint64_t batch = 0;
    /// Taken by this very process a moment ago, and only its reply not read.
    bool fresh = false;
  };

  struct intake_key {
    std::string name;
    /// Where its troubles are reported.
    std::string place;
    std::optional<redis_connection> waiter;
    /// The batch that a waiting BRPOPLPUSH would fill; 0 when none waits.
    uint64_t announced = 0;
    time_point waiter_deadline{};
    /// Whether the list may hold messages, as far as is known.
    bool maybe_more = true;
    uint32_t batches_in_flight = 0;
    /// Batches with messages that the sink could not decide yet. None is taken meanwhile, for the sake of
    /// order.
    uint32_t batches_undecided = 0;
    /// In ascending order.
    std::deque<leftover> leftovers;
    time_point paused_until{};
  };

  struct batch_state {
    taken_batch batch;
    bool in_sink = false;
    bool undecided = false;
    uint32_t rounds = 0;
    time_point retry_at{};
    /// Every message is decided; what is left is to delete the list.
    bool decided = false;
    bool finish_sent = false;
    time_point finish_at{};
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
  void submit(batch_state& state);
  void submit_due(time_point now);
  void take_completions(time_point now);
  void report_rejections(const batch_state& state, size_t from);
  void finish_decided(time_point now);
  bool finish_rejected(batch_state& state, time_point now);
  void forget(uint64_t number);

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
  script finish_;

  std::vector<intake_key> keys_;
  size_t first_key_ = 0;
  std::map<uint64_t, batch_state> batches_;
  uint64_t last_number_ = 0;

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
