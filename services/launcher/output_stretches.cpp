// From places in all that was written to places in the files, and what lies between that is not kept.
#include "services/launcher/output_stretches.hpp"

#include "services/launcher/output_file.hpp"
#include "services/launcher/output_view.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace task_runner {

namespace {

using output_layout::cannot_read;
using output_layout::output_view;
using output_layout::read_at;

/// Largest stretch, bytes: a caller's mistake must not become an allocation of gigabytes.
constexpr size_t stretch_max = 1'048'576;

/// The launcher may write so much over the oldest bytes of a full ring before its header says so; these are
/// not read. In a small ring it is half of it at most.
constexpr uint64_t ring_margin = 65'536;

/// Longest marker line, bytes.
constexpr size_t marker_max = 128;

/// The first byte of what went into the ring that can be read safely, counted from its first ever.
uint64_t oldest_in_ring(const output_layout::tail_header& ring) {
  const auto end = ring.ring_total + std::min(ring_margin, ring.ring_size / 2);
  return end > ring.ring_size ? end - ring.ring_size : 0;
}

/// The line that stands for what was left out of a file that has ended.
struct marker_facts {
  uint64_t size = 0;
  uint64_t dropped = 0;
};

/// Reads the marker at `place`; without one everything is 0.
marker_facts find_marker(const output_view& view, uint64_t place) {
  marker_facts none;
  if (view.head_size <= place)
    return none;
  std::string bytes(static_cast<size_t>(std::min<uint64_t>(marker_max, view.head_size - place)), '\0');
  const auto got = read_at(view.head.get(), bytes.data(), bytes.size(), place);
  bytes.resize(got < 0 ? 0 : static_cast<size_t>(got));
  const auto digits = bytes.find_first_of("0123456789");
  marker_facts found;
  if (digits == std::string::npos ||
      std::from_chars(bytes.data() + digits, bytes.data() + bytes.size(), found.dropped).ec != std::errc{})
    return none;
  const auto line = output_layout::marker_line(found.dropped);
  found.size = line.size();
  return line.empty() || bytes.compare(0, line.size(), line) != 0 ? none : found;
}

/// Reads from the head file, as far as `end`.
result<output_stretch> read_file(const output_view& view, const attempt_key& key, output_stretch found,
                                 uint64_t place, uint64_t end, size_t length_max) {
  found.bytes.resize(static_cast<size_t>(std::min<uint64_t>(length_max, end > place ? end - place : 0)));
  const auto got = read_at(view.head.get(), found.bytes.data(), found.bytes.size(), place);
  if (got < 0)
    return cannot_read(output_path(key), errno);
  found.bytes.resize(static_cast<size_t>(got));
  return found;
}

/// Head and ring, of a command that runs or whose files could not be joined.
result<output_stretch> read_pair(const output_view& view, const attempt_key& key, uint64_t offset,
                                 size_t length_max) {
  output_stretch found;
  found.offset = offset;
  found.written = view.head_size + view.ring.ring_total;
  const auto oldest = view.head_size + oldest_in_ring(view.ring);
  if (offset < view.head_size) {
    auto head = read_file(view, key, std::move(found), offset, view.head_size, length_max);
    if (!head)
      return head;
    found = std::move(*head);
    found.ends_at_gap = found.offset + found.bytes.size() == view.head_size && oldest > view.head_size;
    if (found.ends_at_gap || found.offset + found.bytes.size() < view.head_size)
      return found;
  } else {
    found.offset = std::max(offset, oldest);
  }
  const auto begin = found.offset + found.bytes.size();
  if (begin >= found.written || found.bytes.size() >= length_max)
    return found;
  const auto in_head = found.bytes.size();
  const auto length = static_cast<size_t>(std::min<uint64_t>(length_max - in_head, found.written - begin));
  const auto first = view.head_size + view.ring.ring_total - view.tail_size;
  if (!output_layout::read_ring(view, begin - first, length, found.bytes))
    return cannot_read(output_path(key) + ".tail", errno);
  // What the launcher has written over meanwhile is gone.
  const auto after = output_layout::read_tail_header(view.tail.get());
  const auto oldest_now = after ? view.head_size + oldest_in_ring(*after) : oldest;
  if (oldest_now <= begin)
    return found;
  if (in_head > 0) {
    found.bytes.resize(in_head);
    found.ends_at_gap = true;
    return found;
  }
  found.bytes.erase(0, static_cast<size_t>(std::min<uint64_t>(found.bytes.size(), oldest_now - begin)));
  found.offset = oldest_now;
  found.written = std::max(found.written, view.head_size + after->ring_total);
  return found;
}

} // namespace

result<output_stretch> output_stretches::read(const attempt_key& key, uint64_t offset, size_t length_max) {
  length_max = std::min(length_max, stretch_max);
  auto opened = output_layout::open_output(state_dir_, key);
  if (!opened)
    return opened.failure();
  output_stretch found;
  found.offset = offset;
  if (!*opened)
    return found;
  const auto& view = **opened;
  if (view.tail)
    return read_pair(view, key, offset, length_max);
  const auto marker = find_marker(view, head_max_);
  found.written = view.head_size - marker.size + marker.dropped;
  if (marker.size == 0)
    return read_file(view, key, std::move(found), offset, view.head_size, length_max);
  if (offset < head_max_) {
    auto head = read_file(view, key, std::move(found), offset, head_max_, length_max);
    if (head)
      head->ends_at_gap = head->offset + head->bytes.size() == head_max_;
    return head;
  }
  const auto tail = head_max_ + marker.dropped;
  found.offset = std::max(offset, tail);
  const auto place = found.offset - tail + head_max_ + marker.size;
  return read_file(view, key, std::move(found), place, view.head_size, length_max);
}

} // namespace task_runner
