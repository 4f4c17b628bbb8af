// Where the bytes of an attempt's output stand on the disk at one moment: the layout that output_file.hpp
// describes, as its readers and its writer share it. Nobody else includes this.
#pragma once

#include "services/domain/result.hpp"
#include "services/domain/task.hpp"
#include "services/launcher/owned_descriptor.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace task_runner::output_layout {

constexpr std::string_view tail_magic = "TRTAIL1\n";
constexpr uint64_t tail_header_size = 32;

/// What the first bytes of a tail file say.
struct tail_header {
  uint64_t head_size = 0;
  uint64_t ring_size = 0;
  uint64_t ring_total = 0;
};

/// Where the bytes of an attempt stand at one moment.
struct output_view {
  launcher::owned_descriptor head;
  launcher::owned_descriptor tail;
  uint64_t head_size = 0;
  tail_header ring;
  std::string marker;
  uint64_t tail_size = 0;

  uint64_t size() const noexcept { return head_size + marker.size() + tail_size; }
};

/// Reads exactly as much as there is, up to `length`; -1 on an error.
ssize_t read_at(int descriptor, char* out, size_t length, uint64_t offset) noexcept;

/// Nothing for a file that is none of ours, or not begun properly.
std::optional<tail_header> read_tail_header(int tail) noexcept;

/// The line between head and tail; empty when nothing was left out.
std::string marker_line(uint64_t dropped);

/// `unavailable`, with the reason that errno has.
error cannot_read(const std::string& path, int reason);

/// Opens what there is; no value when there is no output.
result<std::optional<output_view>> open_output(const std::string& state_dir, const attempt_key& key);

/// Appends to `out` the part of the ring that is `length` bytes from `offset` of the tail in its order. False
/// when it cannot be read.
bool read_ring(const output_view& view, uint64_t offset, size_t length, std::string& out);

} // namespace task_runner::output_layout
