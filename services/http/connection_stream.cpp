// Answers without an end: their bounds, and how long a client may take nothing of them.
// What fits the socket is sent by whoever writes; the worker sends the rest as room comes.
#include "services/http/answer.hpp"
#include "services/http/connection.hpp"

#include <cerrno>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <utility>

namespace task_runner {

stream_start http_connection::begin_stream(uint64_t number, std::string_view content_type,
                                           const std::vector<http_header>& extra_headers,
                                           stream_listener listener) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (gone_ || phase_ != phase::answering || number != request_count_) {
    counters_->answers_dropped.fetch_add(1, std::memory_order_relaxed);
    return stream_start::too_late;
  }
  if (!is_head_method_ && !take_stream_place())
    return stream_start::too_many;
  answer_head head;
  head.content_type = content_type;
  head.content_length = std::nullopt;
  head.close = true;
  auto text = render_answer_head(head, extra_headers);
  // What has come behind the request is not read: its client would wait for an answer for ever.
  last_request_ = true;
  close_after_rest_ = true;
  input_ = {};
  input_at_ = 0;
  if (is_head_method_) {
    send_parts(std::move(text), {}, nullptr);
    return stream_start::bodiless;
  }
  // Where it cannot be had the kernel keeps more, and nothing else changes.
  ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDBUF, &stream_send_buffer, sizeof stream_send_buffer);
  rest_.clear();
  rest_at_ = 0;
  stream_ = std::make_unique<stream_state>();
  stream_->listener = std::make_shared<const stream_listener>(std::move(listener));
  enter(phase::streaming, never);
  append_stream(text);
  return stream_start::opened;
}

bool http_connection::write_stream(std::string_view bytes) {
  std::lock_guard<std::mutex> guard(mutex_);
  return !gone_ && phase_ == phase::streaming && !stream_->ending && append_stream(bytes);
}

void http_connection::end_stream() {
  std::lock_guard<std::mutex> guard(mutex_);
  if (gone_ || phase_ != phase::streaming || stream_->ending)
    return;
  stream_->ending = true;
  if (rest_.empty())
    finish_answer();
}

size_t http_connection::unsent_of_stream() const {
  std::lock_guard<std::mutex> guard(mutex_);
  return !gone_ && phase_ == phase::streaming ? rest_.size() - rest_at_ : 0;
}

bool http_connection::take_stream_place() {
  if (counters_->streams_open.fetch_add(1, std::memory_order_relaxed) < rules_->streams_max)
    return true;
  counters_->streams_open.fetch_sub(1, std::memory_order_relaxed);
  counters_->streams_refused.fetch_add(1, std::memory_order_relaxed);
  return false;
}

bool http_connection::append_stream(std::string_view bytes) {
  const bool waits = !rest_.empty();
  const bool was_unwatched = deadline_ms() == never;
  // A client that has taken everything is given the whole time for what comes now.
  const bool begins_watch = was_unwatched || (!waits && confirmed_of_stream() == stream_->written);
  stream_->written += bytes.size();
  if (!waits && !bytes.empty()) {
    const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
      cut();
      return false;
    }
    bytes.remove_prefix(sent < 0 ? 0 : static_cast<size_t>(sent));
  }
  if (rest_.size() - rest_at_ + bytes.size() > rules_->stream_unsent_max) {
    counters_->streams_cut.fetch_add(1, std::memory_order_relaxed);
    cut();
    return false;
  }
  rest_.erase(0, rest_at_);
  rest_at_ = 0;
  rest_ += bytes;
  if (begins_watch) {
    stream_->confirmed = confirmed_of_stream();
    enter(phase::streaming, monotonic_now_ms() + rules_->stream_stall_ms);
  }
  // It is the mailbox through which the worker learns that room is wanted, or that there is a deadline.
  if (was_unwatched || (!waits && !rest_.empty()))
    post();
  return true;
}

/// How much of what was written has reached the client's machine.
uint64_t http_connection::confirmed_of_stream() const {
  int in_flight = 0;
  if (::ioctl(descriptor_, SIOCOUTQ, &in_flight) != 0 || in_flight < 0)
    in_flight = 0;
  return stream_->written - (rest_.size() - rest_at_) - static_cast<uint64_t>(in_flight);
}

/// The deadline of a stream: its client must have taken something since the last one, if there was anything
/// to be taken.
void http_connection::check_stream(int64_t now_ms) {
  const auto confirmed = confirmed_of_stream();
  if (confirmed == stream_->written) {
    enter(phase::streaming, never);
  } else if (confirmed == stream_->confirmed) {
    counters_->streams_cut.fetch_add(1, std::memory_order_relaxed);
    cut();
  } else {
    stream_->confirmed = confirmed;
    enter(phase::streaming, now_ms + rules_->stream_stall_ms);
  }
}

/// To be called where the phase changes to another: gives the stream's place back.
void http_connection::leave_stream() {
  if (phase_ == phase::streaming && !gone_)
    counters_->streams_open.fetch_sub(1, std::memory_order_relaxed);
}

} // namespace task_runner
