// The captured output of one attempt in the state directory: written by the launcher, read by the daemon.
// Head and tail are kept up to a cap each; what lies between is counted, and a marker line says how much it
// was.
#pragma once

#include "services/domain/result.hpp"
#include "services/domain/task.hpp"
#include "services/launcher/owned_descriptor.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace task_runner {

// Format. `output/AA/TASK.ATTEMPT` (AA: two hexadecimal digits of a stable hash of TASK) holds the bytes of
// both streams in order of arrival; it is made, mode 0600, on the first byte. An attempt without output has
// no file. Past `head_bytes` further bytes go to `TASK.ATTEMPT.tail`: 32 bytes of header (8 of magic; u64
// length of the head, u64 size of the ring, u64 bytes that ever went into the ring; little-endian) and the
// ring itself, in which byte n of what followed the head stands at n modulo its size. At the end both become
// one again: head, a marker line when bytes were left out, tail in order; and the tail file is removed. As
// long as the tail file exists, only the stated length of the head file counts, so a merge cut short by a
// crash is simply repeated.

/// How much of an attempt's output is kept.
struct output_limits {
  /// Bytes kept from the beginning.
  uint64_t head_bytes = 1'048'576;
  /// Bytes kept from the end, at least 1.
  uint64_t tail_bytes = 1'048'576;
};

/// The path of an attempt's output, relative to the state directory: `output/AA/TASK.ATTEMPT`.
std::string output_path(const attempt_key& key);

/// Bytes of kept output, the marker included; 0 when the attempt wrote nothing (yet). While it runs past its
/// cap the size may shift by the marker's digits. `unavailable` when the file cannot be read. Thread-safe.
result<uint64_t> output_size(const std::string& state_dir, const attempt_key& key);

/// Up to `length_max` bytes of kept output from `offset`; empty at and past its end, and when there is none.
/// Offsets count kept bytes: head, marker, tail. They are final once the attempt has ended; while it runs
/// past its cap, what stands behind the head moves. `unavailable` when the file cannot be read. Thread-safe;
/// works beside a launcher that is writing.
result<std::string> read_output(const std::string& state_dir, const attempt_key& key, uint64_t offset,
                                size_t length_max);

namespace launcher {

/// How far a writer has come, for one that goes on in another program.
struct output_progress {
  uint64_t head_size = 0;
  uint64_t ring_total = 0;
  uint64_t total_bytes = 0;
  uint64_t failed_bytes = 0;
  bool has_head = false;
  bool has_tail = false;
  bool finished = false;
};

/// Writes the output of one attempt. Never fails: what cannot be written is counted as dropped and the
/// command goes on. Not thread-safe. `output_dir` must outlive it.
class output_writer {
public:
  /// `output_dir` is a descriptor of the directory `output`.
  output_writer(int output_dir, const attempt_key& key, output_limits limits);

  /// Goes on with the files that another writer of the same attempt has left open.
  output_writer(int output_dir, const attempt_key& key, output_limits limits,
                const output_progress& progress);
  output_progress progress() const noexcept;

  void append(std::string_view bytes) noexcept;

  /// Gives its descriptors back; what is appended later opens the files again.
  void close_files() noexcept;
  /// Whether it holds descriptors: two at most.
  bool holds_files() const noexcept { return head_ || tail_; }

  /// Joins head and tail and closes the files. Further bytes are counted, not kept.
  void finish() noexcept;

  /// All bytes that were ever appended, kept or not.
  uint64_t total_bytes() const noexcept { return total_bytes_; }

  /// Bytes that could not be written (disk full, out of descriptors).
  uint64_t failed_bytes() const noexcept { return failed_bytes_; }

private:
  bool open_head() noexcept;
  bool open_tail() noexcept;
  /// Opens a file again that has been begun.
  bool open_again(owned_descriptor& file, const std::string& name) noexcept;
  void append_tail(std::string_view bytes) noexcept;

  int output_dir_;
  std::string name_;
  output_limits limits_;
  owned_descriptor head_;
  owned_descriptor tail_;
  uint64_t head_size_ = 0;
  uint64_t ring_total_ = 0;
  uint64_t total_bytes_ = 0;
  uint64_t failed_bytes_ = 0;
  /// The files have been begun, whether they are open or not.
  bool has_head_ = false;
  bool has_tail_ = false;
  bool finished_ = false;
};

/// Joins what a launcher that died left behind for this attempt; nothing to do when there is no tail file.
void finish_leftover_output(int output_dir, const attempt_key& key) noexcept;

} // namespace launcher
} // namespace task_runner
