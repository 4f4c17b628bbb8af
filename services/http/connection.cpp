// Reading of requests, sending of answers, deadlines and the orderly end of one connection.
#include "services/http/connection.hpp"

#include "services/http/answer.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <ctime>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace task_runner {

namespace {

constexpr std::string_view continue_line = "HTTP/1.1 100 Continue\r\n\r\n";

/// A body is given this much room at once; a larger one grows as its bytes come, not as its client promises.
constexpr uint64_t body_reserve_max = 65'536;

/// Input memory that an idle connection may keep, bytes.
constexpr size_t idle_input_max = 1'024;

const std::vector<http_header> no_headers;

/// Whether the path is one of `bases` or stands below one; "/" stands for itself alone.
bool is_at_or_below(std::string_view path, const std::vector<std::string>& bases) {
  return std::any_of(bases.begin(), bases.end(), [&](const std::string& base) {
    return path == base || (base.size() > 1 && path.size() > base.size() && path[base.size()] == '/' &&
                            path.substr(0, base.size()) == base);
  });
}

/// What is wrong with the bytes of a request. HTTP has a status for most such faults that says all there is
/// to say.
failed_request wire_fault(int status, std::string_view message) {
  if (status == 400)
    return {status, error_code::invalid_argument, message};
  if (status == 413)
    return {status, error_code::too_large, message};
  return {status, std::nullopt, message};
}

} // namespace

int64_t monotonic_now_ms() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000 + now.tv_nsec / 1'000'000;
}

http_connection::http_connection(int descriptor, std::shared_ptr<const http_rules> rules,
                                 std::shared_ptr<http_counters> counters,
                                 std::shared_ptr<worker_mailbox> mailbox)
    : descriptor_(descriptor)
    , rules_(std::move(rules))
    , counters_(std::move(counters))
    , mailbox_(std::move(mailbox))
    , deadline_ms_(monotonic_now_ms() + rules_->header_deadline_ms)
    , reader_(rules_->header_max) {}

void http_connection::receive(std::string_view bytes) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (gone_)
    return;
  if (phase_ == phase::lingering || phase_ == phase::streaming) {
    dropped_bytes_ += bytes.size();
    if (dropped_bytes_ > linger_bytes_max)
      cut();
    return;
  }
  if (last_request_)
    return;
  if ((phase_ == phase::answering || phase_ == phase::sending) &&
      input().size() + bytes.size() > pipelined_bytes_max) {
    last_request_ = true;
    input_.clear();
    input_at_ = 0;
    return;
  }
  input_.append(bytes);
}

std::optional<accepted_request> http_connection::next() {
  std::lock_guard<std::mutex> guard(mutex_);
  driven_ = true;
  while (!gone_) {
    bool progress = false;
    if (phase_ == phase::idle || phase_ == phase::head)
      progress = read_head();
    else if (phase_ == phase::body)
      progress = read_body();
    if (progress && phase_ == phase::answering) {
      release_input();
      counters_->requests.fetch_add(1, std::memory_order_relaxed);
      return std::move(request_);
    }
    if (!progress)
      break;
  }
  release_input();
  driven_ = false;
  return std::nullopt;
}

/// True when the phase has changed and there may be more to do.
bool http_connection::read_head() {
  while (input().substr(0, 2) == "\r\n") {
    // Some clients send an empty line after a body; the RFC asks to ignore it.
    input_at_ += 2;
    reader_.reset();
  }
  if (input().empty())
    return false;
  if (phase_ == phase::idle) {
    is_head_method_ = false;
    is_http_1_0_ = false;
    form_ = failure_form::envelope;
    // The first request has its deadline from the moment of the connection.
    enter(phase::head, request_count_ == 0 ? deadline_ms() : monotonic_now_ms() + rules_->header_deadline_ms);
  }
  auto reading = reader_.read(input());
  if (reading.what == head_reading::kind::incomplete)
    return false;
  reader_.reset();
  if (reading.what == head_reading::kind::refused) {
    refuse(wire_fault(reading.refusal.status, reading.refusal.message));
    return false;
  }
  input_at_ += reading.consumed;
  return accept_head(std::move(reading.head));
}

bool http_connection::accept_head(request_head head) {
  is_head_method_ = head.method == "HEAD";
  is_http_1_0_ = head.http_1_0;
  keep_alive_ = head.keep_alive;
  auto target = decode_target(head.target);
  if (!target) {
    refuse(wire_fault(400, target.failure().message));
    return false;
  }
  if (is_at_or_below(target->path, rules_->legacy_200_paths))
    form_ = failure_form::legacy_envelope;
  for (const auto& [name, value] : head.headers)
    if (name == "accept" && names_media_type(value, problem_content_type))
      form_ = failure_form::problem;
  if (auto allowed = check_guard(rules_->guard, guarded_part(head, *target)); !allowed) {
    refuse(describe_failure(allowed.failure()));
    return false;
  }
  const uint64_t length = head.content_length.value_or(0);
  if (length > rules_->body_max) {
    refuse(describe_failure(
        {error_code::too_large, "the body has " + std::to_string(length) + " bytes, " +
                                    std::to_string(rules_->body_max) +
                                    " are allowed; send less or raise max-body under [http]"}));
    return false;
  }
  const bool expects_continue = head.expects_continue && head.has_body();
  request_ = {};
  request_.number = ++request_count_;
  request_.head = std::move(head);
  request_.target = std::move(*target);
  request_.form = form_;
  if (!request_.head.has_body()) {
    enter(phase::answering, monotonic_now_ms() + rules_->request_timeout_ms);
    return true;
  }
  decoder_.reset();
  if (request_.head.chunked)
    decoder_.emplace(rules_->body_max);
  else
    request_.body.reserve(static_cast<size_t>(std::min(length, body_reserve_max)));
  body_began_ms_ = monotonic_now_ms();
  enter(phase::body, body_began_ms_ + rules_->body_deadline_ms);
  // A failed or short write shows itself at the answer; these bytes always fit an empty socket buffer.
  if (expects_continue && input().empty() &&
      ::send(descriptor_, continue_line.data(), continue_line.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
    cut();
  return true;
}

bool http_connection::read_body() {
  auto bytes = input();
  bool complete = false;
  if (decoder_) {
    const auto progress = decoder_->feed(bytes, request_.body);
    if (progress == chunk_progress::malformed) {
      refuse(wire_fault(400, "malformed chunked body"));
      return false;
    }
    if (progress == chunk_progress::too_large) {
      refuse(describe_failure(
          {error_code::too_large, "the body has more than the " + std::to_string(rules_->body_max) +
                                      " bytes that are allowed; send less or raise max-body under [http]"}));
      return false;
    }
    complete = progress == chunk_progress::done;
  } else {
    const auto missing = static_cast<size_t>(*request_.head.content_length) - request_.body.size();
    const auto taken = std::min(missing, bytes.size());
    request_.body.append(bytes.substr(0, taken));
    bytes.remove_prefix(taken);
    complete = taken == missing;
  }
  input_at_ = input_.size() - bytes.size();
  if (complete) {
    enter(phase::answering, monotonic_now_ms() + rules_->request_timeout_ms);
  } else {
    const auto granted_ms = static_cast<int64_t>(request_.body.size() / body_bytes_per_ms_min);
    enter(phase::body, body_began_ms_ + rules_->body_deadline_ms + granted_ms);
  }
  return complete;
}

/// Answers a request that no handler will see, and ends the connection: where the next request would begin is
/// uncertain, or a body nobody wants is still coming.
void http_connection::refuse(const failed_request& failed) {
  counters_->requests_refused.fetch_add(1, std::memory_order_relaxed);
  const auto told = make_failure(form_, failed);
  transmit({told.status, told.content_type, told.body, no_headers}, true);
}

bool http_connection::answer(uint64_t number, const http_answer& what) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (gone_ || phase_ != phase::answering || number != request_count_) {
    counters_->answers_dropped.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  transmit(what, !keep_alive_ || last_request_);
  return true;
}

void http_connection::refuse_for_number() {
  std::lock_guard<std::mutex> guard(mutex_);
  refuse(describe_failure({error_code::overloaded, "too many connections; try again later, or close some"}));
}

void http_connection::cut_now() {
  std::lock_guard<std::mutex> guard(mutex_);
  cut();
}

void http_connection::transmit(const http_answer& what, bool close) {
  answer_head head;
  head.status = what.status;
  head.content_type = what.content_type;
  head.content_length = what.body.size();
  head.close = close;
  head.announce_keep_alive = is_http_1_0_;
  close_after_rest_ = close;
  send_parts(render_answer_head(head, what.extra_headers),
             is_head_method_ || is_bodiless(what.status) ? std::string_view() : what.body, what.hold);
}

/// Sends an answer; what does not fit the socket is kept.
void http_connection::send_parts(std::string text, std::string_view body, const std::shared_ptr<void>& hold) {
  rest_.clear();
  rest_at_ = 0;

  // One call for both parts, without copying a large body.
  std::array<iovec, 2> parts{};
  parts[0].iov_base = text.data();
  parts[0].iov_len = text.size();
  parts[1].iov_base = const_cast<char*>(body.data());
  parts[1].iov_len = body.size();
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = body.empty() ? 1 : 2;
  const ssize_t result = ::sendmsg(descriptor_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (result < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
    cut();
    return;
  }
  const size_t sent = result < 0 ? 0 : static_cast<size_t>(result);
  if (sent == text.size() + body.size()) {
    finish_answer();
    return;
  }
  if (sent < text.size()) {
    rest_ = text.substr(sent);
    rest_ += body;
  } else {
    rest_ = body.substr(sent - text.size());
  }
  rest_hold_ = hold;
  enter(phase::sending, monotonic_now_ms() + send_stall_max_ms);
  // Even when the worker itself is at it: it is the mailbox through which it learns that room is wanted.
  post();
}

/// Sends of the rest what the socket takes. True when nothing is left; `progress` says whether it took any.
bool http_connection::push_rest(bool& progress) {
  while (rest_at_ < rest_.size()) {
    const ssize_t sent =
        ::send(descriptor_, rest_.data() + rest_at_, rest_.size() - rest_at_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR)
      continue;
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
      cut();
    if (sent < 0)
      return false;
    rest_at_ += static_cast<size_t>(sent);
    progress = true;
  }
  return true;
}

void http_connection::send_rest() {
  std::shared_ptr<const stream_listener> told;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    if (gone_ || rest_.empty() || (phase_ != phase::sending && phase_ != phase::streaming))
      return;
    bool progress = false;
    if (!push_rest(progress)) {
      // A stream's deadline asks for what has reached the client, not for what the socket takes.
      if (progress && phase_ == phase::sending)
        enter(phase::sending, monotonic_now_ms() + send_stall_max_ms);
      return;
    }
    if (phase_ == phase::sending || stream_->ending) {
      finish_answer();
      return;
    }
    rest_ = {};
    rest_at_ = 0;
    told = stream_->listener;
  }
  if (told->on_room)
    told->on_room();
}

bool http_connection::wants_room() const {
  std::lock_guard<std::mutex> guard(mutex_);
  return !gone_ && (phase_ == phase::sending || (phase_ == phase::streaming && !rest_.empty()));
}

/// All of the answer is with the kernel.
void http_connection::finish_answer() {
  leave_stream();
  rest_ = {};
  rest_hold_ = nullptr;
  rest_at_ = 0;
  if (close_after_rest_ || last_request_) {
    // Closing at once could reset the connection under unread input and take the answer with it.
    ::shutdown(descriptor_, SHUT_WR);
    input_ = {};
    input_at_ = 0;
    enter(phase::lingering, monotonic_now_ms() + linger_max_ms);
    if (!driven_)
      post();
    return;
  }
  const bool more = !input().empty();
  enter(phase::idle, monotonic_now_ms() + rules_->idle_timeout_ms);
  if (more && !driven_)
    post();
}

void http_connection::enter(phase next, int64_t deadline_ms) {
  phase_ = next;
  deadline_ms_.store(deadline_ms, std::memory_order_relaxed);
}

/// Asks the worker to look at this connection: to wait for room, to read on, or to mind a nearer deadline.
void http_connection::post() {
  if (posted_)
    return;
  posted_ = true;
  mailbox_->post(shared_from_this());
}

void http_connection::taken_from_mailbox() {
  std::lock_guard<std::mutex> guard(mutex_);
  posted_ = false;
}

/// Ends the connection now. The worker's poller reports the shutdown, and the descriptor is closed from
/// there.
void http_connection::cut() {
  if (phase_ == phase::streaming) {
    // What its client has not taken must not stay with the kernel for minutes.
    const linger at_once{1, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  leave_stream();
  rest_ = {};
  rest_hold_ = nullptr;
  input_ = {};
  input_at_ = 0;
  ::shutdown(descriptor_, SHUT_RDWR);
  last_request_ = true;
  enter(phase::lingering, never);
}

void http_connection::expire(int64_t now_ms) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (gone_ || deadline_ms() > now_ms)
    return;
  switch (phase_) {
  case phase::idle:
    // A client that never sent a request is told; one that merely keeps its connection has nothing to learn.
    if (request_count_ == 0)
      refuse(wire_fault(408, "no request came within " + std::to_string(rules_->header_deadline_ms) + " ms"));
    else
      cut();
    break;
  case phase::head:
    refuse(wire_fault(408, "the head of the request did not come within " +
                               std::to_string(rules_->header_deadline_ms) + " ms"));
    break;
  case phase::body:
    refuse(
        wire_fault(408, "the body did not come within " + std::to_string(rules_->body_deadline_ms) + " ms"));
    break;
  case phase::answering: {
    const error why{error_code::timeout, "no answer within " + std::to_string(rules_->request_timeout_ms) +
                                             " ms; what was asked for may still happen"};
    const auto told = make_failure(form_, describe_failure(why));
    transmit({told.status, told.content_type, told.body, no_headers}, !keep_alive_ || last_request_);
    break;
  }
  case phase::streaming:
    check_stream(now_ms);
    break;
  case phase::sending:
  case phase::lingering:
    cut();
    break;
  }
}

void http_connection::disconnected() {
  std::unique_ptr<stream_state> ended;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    leave_stream();
    gone_ = true;
    rest_ = {};
    rest_hold_ = nullptr;
    input_ = {};
    input_at_ = 0;
    deadline_ms_.store(never, std::memory_order_relaxed);
    ended = std::move(stream_);
  }
  if (ended != nullptr && ended->listener->on_closed)
    ended->listener->on_closed();
}

/// Drops what is consumed, and gives memory back when nothing is left.
void http_connection::release_input() {
  if (input_at_ == input_.size()) {
    input_.clear();
    input_at_ = 0;
    if (input_.capacity() > idle_input_max)
      input_.shrink_to_fit();
  } else if (input_at_ > 0) {
    input_.erase(0, input_at_);
    input_at_ = 0;
  }
}

const std::string& http_connection::peer_address() {
  std::lock_guard<std::mutex> guard(mutex_);
  if (!peer_address_.empty() || gone_)
    return peer_address_;
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getpeername(descriptor_, reinterpret_cast<sockaddr*>(&address), &length) != 0)
    return peer_address_;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address);
    if (::inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size()) != nullptr)
      peer_address_ = "[" + std::string(text.data()) + "]:" + std::to_string(ntohs(v6->sin6_port));
  } else {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address);
    if (::inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size()) != nullptr)
      peer_address_ = std::string(text.data()) + ":" + std::to_string(ntohs(v4->sin_port));
  }
  return peer_address_;
}

} // namespace task_runner
