// Records with length and CRC, a loader that survives any tail, and the rewrite that bounds the file.
#include "services/launcher/journal.hpp"

#include "services/launcher/attempt_codec.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

namespace task_runner::launcher {
namespace {

constexpr const char* journal_name = "launcher.journal";
constexpr const char* rewritten_name = "launcher.journal.new";
constexpr std::string_view journal_magic = "TRJRNL1\n";
/// Largest payload of one record, bytes: names, times and the text of a failed start fit with room to spare.
constexpr uint32_t payload_bytes_max = 8'192;
/// Below this size a file is never rewritten.
constexpr uint64_t rewrite_bytes_min = 262'144;
/// About what a live attempt takes in a rewritten file, bytes.
constexpr uint64_t live_bytes_estimate = 512;
/// Most bytes kept in memory while the disk refuses them.
constexpr size_t pending_bytes_max = 4'194'304;
/// Largest file that is read at all, bytes; a larger one was not written by a launcher.
constexpr uint64_t load_bytes_max = 1'073'741'824;

constexpr size_t slot_length_max = 256;

/// The first two were written by version 0.1 and are still read: they lack the last fields of their
/// successors.
enum class record_kind : uint8_t {
  started_before = 1,
  ended_before = 2,
  settled = 3,
  started = 4,
  ended = 5,
  stopping = 6
};
/// What brings a record of version 0.1 to the present length: no tag and no slot; no survivors.
constexpr size_t started_grown_by = sizeof(uint64_t) + sizeof(uint32_t);
constexpr size_t ended_grown_by = sizeof(uint32_t);

error failure_of(const std::string& what) {
  return {error_code::unavailable, what + ": " + std::strerror(errno)};
}

std::string framed(const std::string& payload) {
  byte_writer out;
  out.number(static_cast<uint32_t>(payload.size()));
  out.number(crc32(payload));
  out.raw(payload);
  return std::move(out.bytes());
}

std::string started_payload(const journalled_attempt& value) {
  byte_writer out;
  out.number(static_cast<uint8_t>(record_kind::started));
  write_key(out, value.attempt.key);
  out.text(value.attempt.channel);
  out.number(static_cast<int32_t>(value.attempt.pid));
  out.number(value.attempt.started_at_ms);
  out.number(value.process_began_ms);
  out.number(value.tag);
  out.text(std::string_view(value.slot).substr(0, slot_length_max));
  return std::move(out.bytes());
}

std::string stopping_payload(const attempt_key& key, outcome_kind reason) {
  byte_writer out;
  out.number(static_cast<uint8_t>(record_kind::stopping));
  write_key(out, key);
  out.number(static_cast<uint8_t>(reason));
  return std::move(out.bytes());
}

std::string ended_payload(const attempt_ended& end) {
  byte_writer out;
  out.number(static_cast<uint8_t>(record_kind::ended));
  write_ended(out, end);
  return std::move(out.bytes());
}

/// Puts the records together while they are read.
class replay {
public:
  /// False when the payload is no legal record.
  bool apply(std::string_view payload) {
    byte_reader in(payload);
    switch (static_cast<record_kind>(in.number<uint8_t>())) {
    case record_kind::started_before:
      return apply(grown(payload, record_kind::started, started_grown_by));
    case record_kind::ended_before:
      return apply(grown(payload, record_kind::ended, ended_grown_by));
    case record_kind::started: {
      journalled_attempt value;
      value.attempt.key = read_key(in);
      value.attempt.channel = read_name(in);
      value.attempt.pid = in.number<int32_t>();
      value.attempt.started_at_ms = in.number<int64_t>();
      value.process_began_ms = in.number<uint64_t>();
      value.tag = in.number<uint64_t>();
      value.slot = std::string(in.text(slot_length_max));
      if (!in.complete())
        return false;
      entry_of(value.attempt.key) = std::move(value);
      return true;
    }
    case record_kind::ended: {
      attempt_ended end = read_ended(in);
      if (!in.complete())
        return false;
      journalled_attempt& value = entry_of(end.key);
      value.attempt.key = end.key;
      value.attempt.channel = end.channel;
      value.attempt.started_at_ms = end.started_at_ms;
      value.attempt.ended = true;
      value.attempt.end = std::move(end);
      return true;
    }
    case record_kind::stopping: {
      const attempt_key key = read_key(in);
      const auto reason = static_cast<outcome_kind>(in.number<uint8_t>());
      if (!in.complete() || (reason != outcome_kind::timed_out && reason != outcome_kind::cancelled))
        return false;
      // Behind the record of its end it says nothing any more.
      if (const auto found = order_.find(key); found != order_.end())
        attempts_[found->second].stopping = reason;
      return true;
    }
    case record_kind::settled: {
      const attempt_key key = read_key(in);
      if (!in.complete())
        return false;
      const auto found = order_.find(key);
      if (found != order_.end()) {
        attempts_.erase(found->second);
        order_.erase(found);
      }
      return true;
    }
    }
    return false;
  }

  std::vector<journalled_attempt> take() {
    std::vector<journalled_attempt> all;
    all.reserve(attempts_.size());
    for (auto& [place, value] : attempts_)
      all.push_back(std::move(value));
    return all;
  }

private:
  static std::string grown(std::string_view payload, record_kind kind, size_t by) {
    std::string now(payload);
    now[0] = static_cast<char>(kind);
    return now.append(by, '\0');
  }

  journalled_attempt& entry_of(const attempt_key& key) {
    const auto [position, is_new] = order_.try_emplace(key, next_);
    if (is_new)
      ++next_;
    return attempts_[position->second];
  }

  std::map<attempt_key, uint64_t> order_;
  std::map<uint64_t, journalled_attempt> attempts_;
  uint64_t next_ = 0;
};

/// Reads a whole file; nothing when it cannot be read.
std::optional<std::string> read_all(int descriptor, uint64_t size) {
  std::string bytes(static_cast<size_t>(size), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::pread(descriptor, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return std::nullopt;
    if (n == 0)
      break;
    done += static_cast<size_t>(n);
  }
  bytes.resize(done);
  return bytes;
}

/// Writes all of it at `offset`, or nothing that counts.
bool write_all(int descriptor, std::string_view bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return true;
}

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit)
      value = (value & 1U) != 0 ? 0xedb88320U ^ (value >> 1U) : value >> 1U;
    table[i] = value;
  }
  return table;
}

} // namespace

uint32_t crc32(std::string_view bytes) noexcept {
  static constexpr std::array<uint32_t, 256> table = make_crc_table();
  uint32_t value = 0xffffffffU;
  for (const char c : bytes)
    value = table[(value ^ static_cast<unsigned char>(c)) & 0xffU] ^ (value >> 8U);
  return value ^ 0xffffffffU;
}

result<std::unique_ptr<journal>> journal::open(int state_dir, journal_contents& found) {
  std::unique_ptr<journal> opened(new journal(state_dir));
  opened->file_.reset(::openat(state_dir, journal_name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  struct stat facts {};
  if (!opened->file_ || ::fstat(opened->file_.get(), &facts) != 0)
    return failure_of("cannot open launcher.journal");
  const auto size = static_cast<uint64_t>(facts.st_size);
  if (size > load_bytes_max)
    return error{error_code::too_large, "launcher.journal is larger than 1 GiB and was not written by a "
                                        "launcher: move it away"};
  const std::optional<std::string> bytes = read_all(opened->file_.get(), size);
  if (!bytes)
    return failure_of("cannot read launcher.journal");

  replay records;
  uint64_t good = 0;
  if (std::string_view(*bytes).substr(0, journal_magic.size()) == journal_magic) {
    good = journal_magic.size();
    for (;;) {
      byte_reader header(std::string_view(*bytes).substr(static_cast<size_t>(good)));
      const auto length = header.number<uint32_t>();
      const auto checksum = header.number<uint32_t>();
      if (!header.ok() || length > payload_bytes_max || length > header.left())
        break;
      const std::string_view payload = std::string_view(*bytes).substr(static_cast<size_t>(good) + 8, length);
      if (crc32(payload) != checksum || !records.apply(payload))
        break;
      good += 8 + length;
    }
  }
  found.attempts = records.take();
  found.cut_bytes = size - good;
  found.good_bytes = good;
  if (good != size && ::ftruncate(opened->file_.get(), static_cast<off_t>(good)) != 0)
    return failure_of("cannot cut the damaged end off launcher.journal");
  opened->size_ = good;
  if (good == 0)
    opened->pending_ = std::string(journal_magic);
  return opened;
}

result<std::unique_ptr<journal>> journal::reopen(int state_dir, journal_position position) {
  std::unique_ptr<journal> opened(new journal(state_dir));
  opened->file_.reset(::openat(state_dir, journal_name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!opened->file_)
    return failure_of("cannot open launcher.journal");
  struct stat facts {};
  if (::fstat(opened->file_.get(), &facts) != 0)
    return failure_of("cannot look at launcher.journal");
  opened->size_ = position.size;
  opened->pending_ = std::move(position.pending);
  // Shorter than it was left: somebody cut it. What is live stands in memory and is written anew.
  opened->overrun_ = position.overrun || static_cast<uint64_t>(facts.st_size) < position.size;
  return opened;
}

void journal::append(const std::string& payload) {
  if (pending_.size() > pending_bytes_max) {
    // The disk has refused for long. What is live stands in the launcher's memory: rewrite() brings it back.
    overrun_ = true;
    return;
  }
  pending_ += framed(payload);
}

void journal::started(const journalled_attempt& attempt) {
  append(started_payload(attempt));
}

void journal::stopping(const attempt_key& key, outcome_kind reason) {
  append(stopping_payload(key, reason));
}

void journal::ended(const attempt_ended& end) {
  append(ended_payload(end));
}

void journal::settled(const attempt_key& key) {
  byte_writer out;
  out.number(static_cast<uint8_t>(record_kind::settled));
  write_key(out, key);
  append(out.bytes());
}

result<void> journal::flush() {
  if (pending_.empty())
    return {};
  if (!write_all(file_.get(), pending_, size_)) {
    const error failure = failure_of("cannot write launcher.journal");
    // Half a record must not stay: the next write begins where the last good one ended.
    if (::ftruncate(file_.get(), static_cast<off_t>(size_)) != 0)
      overrun_ = true;
    return failure;
  }
  size_ += pending_.size();
  pending_.clear();
  return {};
}

bool journal::wants_rewrite(size_t live) const noexcept {
  return overrun_ ||
         (size_ > rewrite_bytes_min && size_ > 4 * live_bytes_estimate * static_cast<uint64_t>(live));
}

result<void> journal::rewrite(const std::vector<journalled_attempt>& attempts) {
  std::string bytes(journal_magic);
  for (const journalled_attempt& one : attempts) {
    if (one.process_began_ms != 0 || !one.attempt.ended)
      bytes += framed(started_payload(one));
    if (one.stopping && !one.attempt.ended)
      bytes += framed(stopping_payload(one.attempt.key, *one.stopping));
    if (one.attempt.ended)
      bytes += framed(ended_payload(one.attempt.end));
  }
  owned_descriptor fresh(
      ::openat(state_dir_, rewritten_name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fresh || !write_all(fresh.get(), bytes, 0) ||
      ::renameat(state_dir_, rewritten_name, state_dir_, journal_name) != 0) {
    const error failure = failure_of("cannot rewrite launcher.journal");
    ::unlinkat(state_dir_, rewritten_name, 0);
    return failure;
  }
  file_ = std::move(fresh);
  size_ = bytes.size();
  pending_.clear();
  overrun_ = false;
  return {};
}

} // namespace task_runner::launcher
