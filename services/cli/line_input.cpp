// read(2) behind poll(2), with one buffer of at most a line and a piece.
#include "services/cli/line_input.hpp"

#include "services/cli/interrupt.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace task_runner::cli {

namespace {

/// So often a wait without end looks for Ctrl-C.
constexpr int poll_slice_ms = 200;

} // namespace

line_input::line_input(int from)
    : from_(from) {
  struct stat status {};
  if (::fstat(from, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0)
    all_bytes_ = static_cast<uint64_t>(status.st_size);
}

double line_input::share() const noexcept {
  if (all_bytes_ == 0)
    return -1;
  const auto behind = read_bytes_ - (buffer_.size() - at_);
  return std::min(1.0, static_cast<double>(behind) / static_cast<double>(all_bytes_));
}

std::optional<input_line> line_input::take_line() {
  const auto end = buffer_.find('\n', at_);
  const bool is_whole = end != std::string::npos;
  const size_t length = (is_whole ? end : buffer_.size()) - at_;
  if (!is_whole && !(ended_ && (length > 0 || skipping_))) {
    if (length > input_line_bytes_max) { // what comes until its end is not kept
      skipping_ = true;
      at_ = buffer_.size();
    }
    return std::nullopt;
  }
  input_line line;
  line.number = ++number_;
  line.is_too_long = std::exchange(skipping_, false) || length > input_line_bytes_max;
  if (!line.is_too_long)
    line.text = buffer_.substr(at_, length);
  at_ += length + (is_whole ? 1 : 0);
  return line;
}

bool line_input::fill(std::chrono::milliseconds patience) {
  if (ended_)
    return false;
  buffer_.erase(0, at_);
  at_ = 0;
  const auto until = std::chrono::steady_clock::now() + patience;
  for (;;) {
    pollfd wait{from_, POLLIN, 0};
    auto slice = poll_slice_ms;
    if (patience.count() >= 0) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      slice = static_cast<int>(std::clamp<int64_t>(left.count(), 0, poll_slice_ms));
    }
    const int ready = ::poll(&wait, 1, slice);
    if (ready > 0)
      break;
    const bool is_over = patience.count() >= 0 && std::chrono::steady_clock::now() >= until;
    if ((ready < 0 && errno != EINTR) || is_interrupted() || is_over)
      return false;
  }
  std::array<char, 65'536> piece{};
  const auto got = ::read(from_, piece.data(), piece.size());
  if (got < 0 && errno == EINTR)
    return true;
  if (got < 0)
    failure_ = errno;
  if (got <= 0) {
    ended_ = true;
    return true;
  }
  read_bytes_ += static_cast<uint64_t>(got);
  buffer_.append(piece.data(), static_cast<size_t>(got));
  return true;
}

std::optional<input_line> line_input::next(std::chrono::milliseconds patience) {
  for (;;) {
    if (auto line = take_line())
      return line;
    if (!fill(patience) || is_interrupted())
      return std::nullopt;
    if (ended_ && at_ == buffer_.size() && !skipping_)
      return std::nullopt;
  }
}

} // namespace task_runner::cli
