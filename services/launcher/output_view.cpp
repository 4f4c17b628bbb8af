// Opening and reading of an attempt's output, as it stands.
#include "services/launcher/output_view.hpp"

#include "services/launcher/output_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace task_runner::output_layout {

namespace {

uint64_t get_number(const char* in) noexcept {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i)
    value |= static_cast<uint64_t>(static_cast<unsigned char>(in[i])) << (8 * i);
  return value;
}

} // namespace

ssize_t read_at(int descriptor, char* out, size_t length, uint64_t offset) noexcept {
  size_t done = 0;
  while (done < length) {
    const ssize_t n = ::pread(descriptor, out + done, length - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -1;
    if (n == 0)
      break;
    done += static_cast<size_t>(n);
  }
  return static_cast<ssize_t>(done);
}

std::optional<tail_header> read_tail_header(int tail) noexcept {
  std::array<char, tail_header_size> bytes{};
  if (read_at(tail, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()) ||
      std::string_view(bytes.data(), tail_magic.size()) != tail_magic)
    return std::nullopt;
  tail_header header;
  header.head_size = get_number(bytes.data() + 8);
  header.ring_size = get_number(bytes.data() + 16);
  header.ring_total = get_number(bytes.data() + 24);
  if (header.ring_size == 0)
    return std::nullopt;
  return header;
}

std::string marker_line(uint64_t dropped) {
  if (dropped == 0)
    return {};
  return "\n[task-runner: " + std::to_string(dropped) + " bytes of output left out here]\n";
}

error cannot_read(const std::string& path, int reason) {
  return {error_code::unavailable, "cannot read the captured output " + path + ": " + std::strerror(reason)};
}

result<std::optional<output_view>> open_output(const std::string& state_dir, const attempt_key& key) {
  const std::string path = state_dir + "/" + output_path(key);
  output_view view;
  view.head.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!view.head) {
    if (errno == ENOENT)
      return std::optional<output_view>();
    return cannot_read(path, errno);
  }
  view.tail.reset(::open((path + ".tail").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!view.tail && errno != ENOENT)
    return cannot_read(path + ".tail", errno);
  if (view.tail) {
    if (const std::optional<tail_header> header = read_tail_header(view.tail.get())) {
      view.ring = *header;
      view.head_size = header->head_size;
      view.tail_size = std::min(header->ring_total, header->ring_size);
      view.marker = marker_line(header->ring_total - view.tail_size);
      return std::optional<output_view>(std::move(view));
    }
    view.tail.reset();
  }
  // Asked for after the tail was seen to be gone: then the merge is complete.
  struct stat facts {};
  if (::fstat(view.head.get(), &facts) != 0)
    return cannot_read(path, errno);
  view.head_size = static_cast<uint64_t>(facts.st_size);
  return std::optional<output_view>(std::move(view));
}

bool read_ring(const output_view& view, uint64_t offset, size_t length, std::string& out) {
  const uint64_t first = view.ring.ring_total - view.tail_size + offset;
  size_t done = 0;
  while (done < length) {
    const uint64_t at = (first + done) % view.ring.ring_size;
    const size_t part = static_cast<size_t>(std::min<uint64_t>(length - done, view.ring.ring_size - at));
    const size_t before = out.size();
    out.resize(before + part);
    const ssize_t n = read_at(view.tail.get(), out.data() + before, part, tail_header_size + at);
    if (n != static_cast<ssize_t>(part)) {
      out.resize(before);
      return n >= 0;
    }
    done += part;
  }
  return true;
}

} // namespace task_runner::output_layout
