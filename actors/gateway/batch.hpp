// The batch actor: reads bodies of many pushes line by line, a slice at a time, and hands them to the intake.
// It bounds what a body of 100,000 lines holds up and holds in memory: nobody else sees more than a slice.
#pragma once

#include "actors/gateway/line_results.hpp"
#include "actors/interfaces.hpp"
#include "actors/probed_actor.hpp"
#include "services/wire/json_lines.hpp"

#include <caf/all.hpp>

#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// Most lines of one batch that are not blank; a larger one is refused as a whole with `too_large`, to be
/// sent in parts.
constexpr uint64_t batch_lines_max = 100'000;

/// Most lines of one batch, blank ones too; the same happens beyond it.
constexpr uint64_t batch_all_lines_max = 1'000'000;

/// Most lines that are not blank of a batch with an Idempotency-Key, whose answer has to be kept.
constexpr uint64_t keyed_batch_lines_max = 1'000;

/// Longest wait for the answer to a batch. Shorter than that of the HTTP server (60 s); longer than the
/// batch's own two waits together: to be read to its end, and for its last slice.
constexpr std::chrono::milliseconds batch_timeout{57'000};

struct batch_dependencies {
  intake_actor intake;
  /// The asking actor: one ends with the other.
  caf::actor asker;
  std::shared_ptr<actor_probe> probe;
  /// The channel of lines that name none.
  std::string channel_default;
};

/// Lines that are handed to the intake together.
struct batch_slice {
  struct line {
    uint64_t number = 0;
    std::string channel;
    /// Set when the line is not handed over: it cannot be read, or is refused here.
    std::optional<error> refusal;
    bool is_unreadable = false;
  };
  std::vector<line> lines;
  /// Of the lines that are handed over, in their order.
  std::vector<push_item> items;
};

/// One body, until all its lines are decided.
struct open_batch {
  open_batch(caf::typed_response_promise<push_lines_reply> to, push_lines what,
             caf::actor_clock::time_point now);

  caf::typed_response_promise<push_lines_reply> promise;
  std::shared_ptr<const std::string> text;
  std::optional<push_identity> identity;
  json_line_reader reader;
  caf::actor_clock::time_point arrived;
  bool read_to_end = false;
  /// Channels of which a line was refused for the moment, with the code; their later lines must not overtake
  /// it.
  std::map<std::string, error_code> closed_channels;
  line_results results;
};

struct batch_state {
  static inline const char* name = "batch";
  /// Whoever still waits is told that nobody works on it any more.
  ~batch_state();

  void measure(actor_probe& probe, size_t asked) const;

  batch_dependencies dependencies;
  std::vector<std::shared_ptr<open_batch>> open;
  std::deque<std::shared_ptr<open_batch>> waiting;
  uint64_t waiting_bytes = 0;
  /// Bytes of answers that are not written yet. The answers, which outlive the actor, take themselves off it.
  std::shared_ptr<std::atomic<uint64_t>> unsent_bytes = std::make_shared<std::atomic<uint64_t>>(0);
};

enum class batch_message : size_t { lines, decided, turn };

/// What a batch actor's probe counts.
enum class batch_edge : size_t { to_intake, to_gateway };
const probe_shape& batch_shape();

using batch_pointer = probed_pointer<batch_actor, batch_state>;

batch_actor::behavior_type batch(batch_pointer self, batch_dependencies dependencies);

} // namespace task_runner
