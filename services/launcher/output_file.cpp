// Reading and writing of captured output: a head file, a ring for the tail, and their merge.
// The ring lies on disk, so that hundreds of chatty commands cost the launcher no memory.
#include "services/launcher/output_file.hpp"

#include "services/launcher/output_view.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

namespace task_runner {
namespace {

using output_layout::cannot_read;
using output_layout::marker_line;
using output_layout::open_output;
using output_layout::output_view;
using output_layout::read_at;
using output_layout::read_ring;
using output_layout::read_tail_header;
using output_layout::tail_header;
using output_layout::tail_header_size;
using output_layout::tail_magic;

/// How often a reader starts over because the ring moved under it; then it takes what it has.
constexpr int read_attempts_max = 3;
/// Largest single read_output, bytes: a caller's mistake must not become an allocation of gigabytes.
constexpr size_t read_length_max = 16'777'216;

void put_number(char* out, uint64_t value) noexcept {
  for (int i = 0; i < 8; ++i)
    out[i] = static_cast<char>((value >> (8 * i)) & 0xffU);
}

/// Writes everything, or says how much of it stands.
size_t write_at(int descriptor, const char* bytes, size_t length, uint64_t offset) noexcept {
  size_t done = 0;
  while (done < length) {
    const ssize_t n = ::pwrite(descriptor, bytes + done, length - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      break;
    done += static_cast<size_t>(n);
  }
  return done;
}

/// Two hexadecimal digits of FNV-1a over the task id: the same for all attempts of a task, on every build.
std::string shard_of(std::string_view task_id) {
  uint64_t hash = 14695981039346656037ULL;
  for (const char c : task_id) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 1099511628211ULL;
  }
  hash ^= hash >> 32U;
  constexpr std::string_view digits = "0123456789abcdef";
  return {digits[(hash >> 4U) & 15U], digits[hash & 15U]};
}

/// Path relative to `output`. The attempt's number is always there, so an id like `..` stays a plain name.
std::string name_of(const attempt_key& key) {
  return shard_of(key.task_id) + "/" + key.task_id + "." + std::to_string(key.attempt);
}

/// Appends the tail file to the head file: marker, then the ring in order. False when something did not fit.
bool merge_tail(int head, int tail, const tail_header& header) noexcept {
  const uint64_t kept = std::min(header.ring_total, header.ring_size);
  uint64_t at = header.head_size;
  const std::string marker = marker_line(header.ring_total - kept);
  bool complete = write_at(head, marker.data(), marker.size(), at) == marker.size();
  at += marker.size();
  static std::array<char, 65'536> buffer; // one thread writes output in a process
  for (uint64_t done = 0; done < kept && complete;) {
    const uint64_t position = (header.ring_total - kept + done) % header.ring_size;
    const size_t part =
        static_cast<size_t>(std::min<uint64_t>({buffer.size(), kept - done, header.ring_size - position}));
    const ssize_t n = read_at(tail, buffer.data(), part, tail_header_size + position);
    if (n <= 0)
      return false;
    const auto got = static_cast<size_t>(n);
    complete = write_at(head, buffer.data(), got, at) == got;
    at += got;
    done += got;
  }
  return complete;
}

} // namespace

std::string output_path(const attempt_key& key) {
  return "output/" + name_of(key);
}

result<uint64_t> output_size(const std::string& state_dir, const attempt_key& key) {
  result<std::optional<output_view>> view = open_output(state_dir, key);
  if (!view)
    return view.failure();
  return *view ? (*view)->size() : uint64_t{0};
}

result<std::string> read_output(const std::string& state_dir, const attempt_key& key, uint64_t offset,
                                size_t length_max) {
  length_max = std::min(length_max, read_length_max);
  for (int round = 1;; ++round) {
    result<std::optional<output_view>> opened = open_output(state_dir, key);
    if (!opened)
      return opened.failure();
    if (!*opened)
      return std::string();
    const output_view& view = **opened;
    std::string out;
    if (offset < view.head_size) {
      out.resize(static_cast<size_t>(std::min<uint64_t>(length_max, view.head_size - offset)));
      const ssize_t n = read_at(view.head.get(), out.data(), out.size(), offset);
      if (n < 0)
        return cannot_read(output_path(key), errno);
      out.resize(static_cast<size_t>(n));
    }
    if (!view.tail)
      return out;
    const uint64_t marker_at = view.head_size;
    if (out.size() < length_max && offset + out.size() >= marker_at &&
        offset + out.size() < marker_at + view.marker.size())
      out +=
          view.marker.substr(static_cast<size_t>(offset + out.size() - marker_at), length_max - out.size());
    const uint64_t tail_at = marker_at + view.marker.size();
    if (out.size() < length_max && offset + out.size() >= tail_at) {
      const uint64_t skip = offset + out.size() - tail_at;
      if (skip < view.tail_size &&
          !read_ring(view, skip,
                     static_cast<size_t>(std::min<uint64_t>(length_max - out.size(), view.tail_size - skip)),
                     out))
        return cannot_read(output_path(key) + ".tail", errno);
      // A writer may have lapped us while we read; then the pieces do not belong together.
      const std::optional<tail_header> after = read_tail_header(view.tail.get());
      if (round < read_attempts_max && after && after->ring_total != view.ring.ring_total)
        continue;
    }
    return out;
  }
}

namespace launcher {

output_writer::output_writer(int output_dir, const attempt_key& key, output_limits limits)
    : output_dir_(output_dir)
    , name_(name_of(key))
    , limits_(limits) {
  limits_.tail_bytes = std::max<uint64_t>(limits_.tail_bytes, 1);
}

output_writer::output_writer(int output_dir, const attempt_key& key, output_limits limits,
                             const output_progress& progress)
    : output_writer(output_dir, key, limits) {
  head_size_ = progress.head_size;
  ring_total_ = progress.ring_total;
  total_bytes_ = progress.total_bytes;
  failed_bytes_ = progress.failed_bytes;
  finished_ = progress.finished;
  has_head_ = progress.has_head && !finished_;
  has_tail_ = progress.has_tail && !finished_;
  if (has_head_)
    open_again(head_, name_);
  if (has_tail_) {
    open_again(tail_, name_ + ".tail");
    const std::optional<tail_header> header = tail_ ? read_tail_header(tail_.get()) : std::nullopt;
    if (header)
      limits_.tail_bytes = header->ring_size;
  }
  finished_ = finished_ || (has_head_ && !head_) || (has_tail_ && !tail_);
}

output_progress output_writer::progress() const noexcept {
  return {head_size_, ring_total_, total_bytes_, failed_bytes_, has_head_, has_tail_, finished_};
}

void output_writer::close_files() noexcept {
  head_.reset();
  tail_.reset();
}

bool output_writer::open_again(owned_descriptor& file, const std::string& name) noexcept {
  file.reset(::openat(output_dir_, name.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  // Files that somebody has removed are not begun anew: what follows would stand where it does not belong.
  finished_ = finished_ || (!file && errno == ENOENT);
  return static_cast<bool>(file);
}

bool output_writer::open_head() noexcept {
  if (head_)
    return true;
  if (has_head_)
    return open_again(head_, name_);
  constexpr int flags = O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW;
  head_.reset(::openat(output_dir_, name_.c_str(), flags, 0600));
  if (!head_ && errno == ENOENT) {
    ::mkdirat(output_dir_, name_.substr(0, 2).c_str(), 0700);
    head_.reset(::openat(output_dir_, name_.c_str(), flags, 0600));
  }
  has_head_ = static_cast<bool>(head_);
  return has_head_;
}

bool output_writer::open_tail() noexcept {
  if (tail_)
    return true;
  if (has_tail_)
    return open_again(tail_, name_ + ".tail");
  tail_.reset(::openat(output_dir_, (name_ + ".tail").c_str(),
                       O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!tail_)
    return false;
  std::array<char, tail_header_size> header{};
  std::memcpy(header.data(), tail_magic.data(), tail_magic.size());
  put_number(header.data() + 8, head_size_);
  put_number(header.data() + 16, limits_.tail_bytes);
  put_number(header.data() + 24, 0);
  has_tail_ = write_at(tail_.get(), header.data(), header.size(), 0) == header.size();
  if (has_tail_)
    return true;
  tail_.reset();
  ::unlinkat(output_dir_, (name_ + ".tail").c_str(), 0);
  return false;
}

void output_writer::append(std::string_view bytes) noexcept {
  total_bytes_ += bytes.size();
  if (bytes.empty() || finished_)
    return;
  // Once the tail has begun the head is closed for good: its length stands in the tail's header.
  if (!has_tail_ && head_size_ < limits_.head_bytes) {
    const std::string_view part = bytes.substr(0, static_cast<size_t>(limits_.head_bytes - head_size_));
    if (!open_head()) {
      failed_bytes_ += bytes.size();
      return;
    }
    const size_t written = write_at(head_.get(), part.data(), part.size(), head_size_);
    head_size_ += written;
    failed_bytes_ += part.size() - written;
    bytes.remove_prefix(part.size());
  }
  if (!bytes.empty())
    append_tail(bytes);
}

void output_writer::append_tail(std::string_view bytes) noexcept {
  if (!open_head() || !open_tail()) {
    failed_bytes_ += bytes.size();
    return;
  }
  size_t done = 0;
  while (done < bytes.size()) {
    const uint64_t at = ring_total_ % limits_.tail_bytes;
    const size_t part = static_cast<size_t>(std::min<uint64_t>(bytes.size() - done, limits_.tail_bytes - at));
    const size_t written = write_at(tail_.get(), bytes.data() + done, part, tail_header_size + at);
    ring_total_ += written;
    done += written;
    if (written < part) {
      failed_bytes_ += bytes.size() - done;
      break;
    }
  }
  std::array<char, 8> total{};
  put_number(total.data(), ring_total_);
  write_at(tail_.get(), total.data(), total.size(), 24);
}

void output_writer::finish() noexcept {
  if (finished_)
    return;
  // They may have been closed in between; what cannot be opened stays as it is, which readers understand.
  const bool adds = has_head_ && (has_tail_ || failed_bytes_ > 0);
  bool joined = !adds || (open_head() && (!has_tail_ || open_tail()));
  finished_ = true;
  if (joined && has_tail_) {
    joined = merge_tail(head_.get(), tail_.get(), {head_size_, limits_.tail_bytes, ring_total_});
    // On a full disk the pair stays as it is: readers understand it.
    if (joined)
      ::unlinkat(output_dir_, (name_ + ".tail").c_str(), 0);
  }
  if (failed_bytes_ > 0 && head_ && joined) {
    const std::string note =
        "\n[task-runner: " + std::to_string(failed_bytes_) + " bytes of output could not be written]\n";
    const off_t end = ::lseek(head_.get(), 0, SEEK_END);
    if (end >= 0)
      write_at(head_.get(), note.data(), note.size(), static_cast<uint64_t>(end));
  }
  head_.reset();
  tail_.reset();
}

void finish_leftover_output(int output_dir, const attempt_key& key) noexcept {
  const std::string name = name_of(key);
  const std::string tail_name = name + ".tail";
  const owned_descriptor tail(::openat(output_dir, tail_name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!tail)
    return;
  const owned_descriptor head(::openat(output_dir, name.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!head)
    return;
  const std::optional<tail_header> header = read_tail_header(tail.get());
  if (!header || merge_tail(head.get(), tail.get(), *header))
    ::unlinkat(output_dir, tail_name.c_str(), 0);
}

} // namespace launcher
} // namespace task_runner
