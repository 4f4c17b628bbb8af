// What a launcher hands to the program it goes over to: everything it knows, as plain values in a memfd, and
// descriptors by their numbers, which live on through execve. Pure encoding and strict decoding; who fills it
// in and who goes on from it are launcher_server and command_table.
#pragma once

#include "services/domain/result.hpp"
#include "services/launcher/journal.hpp"
#include "services/launcher/output_file.hpp"
#include "services/launcher/program_identity.hpp"
#include "services/launcher/spawn.hpp"
#include "services/launcher/steady_clock.hpp"
#include "services/launcher/tree_stop.hpp"
#include "services/ports/process_runner.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <utility>
#include <vector>

namespace task_runner::launcher {

// Format: 8 bytes "TRHAND\0\n", u32 version, u32 CRC-32 of the body, u64 length of the body, body. Numbers
// are little-endian. A program reads the versions from handover_version_min to handover_version and refuses
// every other one; it is asked before the former program gives anything up (--check-handover).

constexpr uint32_t handover_version_min = 1;
constexpr uint32_t handover_version = 1;

/// Largest handover, bytes; one that would be larger is not made, and the launcher keeps its program.
constexpr size_t handover_bytes_max = 268'435'456;

/// How a program says that it understands a handover; no ordinary program ends like that by chance.
constexpr int handover_understood_exit = 86;

/// What commands have from the daemon that came last.
struct daemon_surroundings {
  /// NUL-terminated entries, as the daemon sent them.
  std::string environment;
  /// The name of the working directory; empty: unknown. The process itself is in it.
  std::string directory;
  uint32_t file_mask = 022;
};

/// What is known of an attempt.
struct handed_attempt {
  journalled_attempt known;
  /// Its child among handed_table::children; 0 for none.
  uint64_t child = 0;
  /// Its start among handed_table::waiting; 0 for none.
  uint64_t ticket = 0;
  /// A signal that came while it waited; 0 for none.
  int early_signal = 0;
};

/// A start that waits.
struct handed_start {
  uint64_t ticket = 0;
  attempt_start request;
};

/// A process of ours, or only the pipe that is left of it. Deadlines are of the clock that goes on through an
/// execution.
struct handed_child {
  uint64_t number = 0;
  attempt_key key;
  int pid = 0;
  /// Descriptors; -1 for none.
  int process = -1;
  int output = -1;
  std::optional<output_progress> writer;
  /// Its place in the memory for failures; nothing when it has none.
  std::optional<uint64_t> failure_place;
  failure_context context;
  uint64_t tag = 0;
  std::string slot;
  steady_ms timeout_at = 0;
  int64_t grace_ms = 0;
  steady_ms wake_at = 0;
  std::optional<outcome_kind> asked;
  int64_t asked_grace_ms = 0;
  outcome how;
  wall_time_ms ended_at_ms = 0;
  uint32_t survivors = 0;
  bool exited = false;
  bool lingering = false;
};

/// Everything that command_table knows.
struct handed_table {
  std::vector<handed_attempt> attempts;
  std::vector<handed_start> waiting;
  std::vector<handed_child> children;
  /// Trees on their way to their end, by the number of their child.
  std::vector<std::pair<uint64_t, stopping_tree>> stopping;
  /// Children whose end was asked for and has not begun.
  std::vector<uint64_t> asked;
  uint64_t next_number = 1;
  /// The descriptor of the memory for failures; -1 for none.
  int failure_memory = -1;
  journal_position outcomes;
};

/// Everything that the launcher knows.
struct handover {
  /// The version of the program that hands over, for the log.
  std::string version;
  /// The program that is to go on; another one that reads this knows that that could not.
  program_identity to;
  /// How often the process has gone over before.
  uint32_t upgrades = 0;
  int state_dir = -1;
  int lock = -1;
  int listener = -1;
  int output_dir = -1;
  int null_input = -1;
  rlimit command_descriptors{};
  daemon_surroundings surroundings;
  handed_table table;
};

/// The bytes; `too_large` past handover_bytes_max.
result<std::string> encode_handover(const handover& value);

/// The handover that these bytes are; `invalid_argument` when they are anything else, or when what they say
/// does not go together. Never reads past them. The descriptors are numbers to it: it does not look at them.
result<handover> decode_handover(std::string_view bytes);

/// All descriptors that are handed on, each once.
std::vector<int> descriptors_of(const handover& value);

} // namespace task_runner::launcher
