// The launcher's journal: what was started, what ended, what the daemon has settled, appended record by
// record. It makes outcomes outlive the launcher and the daemon; a record stays until its attempt is settled.
#pragma once

#include "services/domain/result.hpp"
#include "services/launcher/owned_descriptor.hpp"
#include "services/ports/process_runner.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace task_runner::launcher {

// Format of `launcher.journal`: 8 bytes "TRJRNL1\n", then records: u32 length of the payload, u32 CRC-32 of
// the payload, payload (u8 kind, fields; little-endian). The first record that is cut short, fails its CRC or
// makes no sense ends the journal, wherever it stands: it and what follows are cut off. What is lost with it
// is counted, and the daemon's leases say which attempts it was about.
//
// Nothing is fsynced. The page cache survives the death of every process, and that is what the journal is
// for. When the machine itself goes down, the attempts died with it: the store's lease then counts them as
// lost.

/// What the journal still knows of an attempt.
struct journalled_attempt {
  known_attempt attempt;
  /// When its process began, milliseconds since the machine started; with the pid it tells the process from a
  /// later one that was given the same pid. 0 when it never began.
  uint64_t process_began_ms = 0;
  /// The inheritable mark of the attempt's processes, by which survivors are found; 0 for none.
  uint64_t tag = 0;
  /// The place that holds the attempt's processes together (the name of a cgroup); empty for none.
  std::string slot;
  /// Set when the tree was being ended before its time: `timed_out` or `cancelled`.
  std::optional<outcome_kind> stopping;
};

/// Where a journal stands, for a program that goes on with it.
struct journal_position {
  /// Bytes of the file that are good.
  uint64_t size = 0;
  /// Records that the disk has refused so far.
  std::string pending;
  /// Whether records had to be dropped, so that the file must be rewritten.
  bool overrun = false;
};

/// What was found when the journal was opened.
struct journal_contents {
  /// Started or ended, and not settled; in order of their first record.
  std::vector<journalled_attempt> attempts;
  /// Bytes that were cut off from the first damaged or unfinished record on, and those before.
  uint64_t cut_bytes = 0;
  uint64_t good_bytes = 0;
};

/// The CRC-32 of ISO-HDLC (as in zlib).
uint32_t crc32(std::string_view bytes) noexcept;

/// Appends records and keeps the file small. Writes are collected until flush(). Not thread-safe.
class journal {
public:
  /// Opens or makes `launcher.journal` in the directory `state_dir`, and reads it into `found`.
  static result<std::unique_ptr<journal>> open(int state_dir, journal_contents& found);

  /// Goes on with a journal where another program of the same process left it, without reading it.
  static result<std::unique_ptr<journal>> reopen(int state_dir, journal_position position);
  journal_position position() const { return {size_, pending_, overrun_}; }

  void started(const journalled_attempt& attempt);
  /// The attempt's tree is being ended before its time, for this reason (`timed_out` or `cancelled`).
  void stopping(const attempt_key& key, outcome_kind reason);
  void ended(const attempt_ended& end);
  void settled(const attempt_key& key);

  /// Hands everything collected to the kernel. `unavailable` (disk full) keeps it for the next flush, up to
  /// `pending_bytes_max`, past which rewrite() is due.
  result<void> flush();

  /// Whether settled records take up so much of the file that it should be rewritten; `live` is the number of
  /// attempts not settled.
  bool wants_rewrite(size_t live) const noexcept;

  /// Replaces the file by one that holds just these attempts, atomically.
  result<void> rewrite(const std::vector<journalled_attempt>& attempts);

  uint64_t size() const noexcept { return size_; }

private:
  explicit journal(int state_dir)
      : state_dir_(state_dir) {}
  void append(const std::string& payload);

  int state_dir_;
  owned_descriptor file_;
  uint64_t size_ = 0;
  std::string pending_;
  bool overrun_ = false;
};

} // namespace task_runner::launcher
