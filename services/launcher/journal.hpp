// The launcher's journal: what was started, what ended, what the daemon has settled, appended record by
// record. It makes outcomes outlive the launcher and the daemon; a record stays until its attempt is settled.
#pragma once

#include "services/domain/result.hpp"
#include "services/launcher/owned_descriptor.hpp"
#include "services/ports/process_runner.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace task_runner::launcher {

// Format of `launcher.journal`: 8 bytes "TRJRNL1\n", then records: u32 length of the payload, u32 CRC-32 of
// the payload, payload (u8 kind, fields; little-endian). The first record that is cut short or fails its CRC
// ends the journal: it and what follows are cut off.
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
};

/// What was found when the journal was opened.
struct journal_contents {
  /// Started or ended, and not settled; in order of their first record.
  std::vector<journalled_attempt> attempts;
  /// Bytes of a damaged or unfinished end that were cut off.
  uint64_t cut_bytes = 0;
};

/// The CRC-32 of ISO-HDLC (as in zlib).
uint32_t crc32(std::string_view bytes) noexcept;

/// Appends records and keeps the file small. Writes are collected until flush(). Not thread-safe.
class journal {
public:
  /// Opens or makes `launcher.journal` in the directory `state_dir`, and reads it into `found`.
  static result<std::unique_ptr<journal>> open(int state_dir, journal_contents& found);

  void started(const journalled_attempt& attempt);
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
