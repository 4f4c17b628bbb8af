// One client connection: its bytes become requests one after the other, and answers from any thread become
// bytes. It writes to the socket itself, under its own mutex and only until it is told that the client has
// left; so a late answer can never reach the next client that happens to get the same descriptor number.
// connection_stream.cpp has what concerns answers without an end.
#pragma once

#include "services/http/chunked_body.hpp"
#include "services/http/envelope.hpp"
#include "services/http/http_message.hpp"
#include "services/http/http_rules.hpp"
#include "services/http/http_stream.hpp"
#include "services/http/request_head.hpp"
#include "services/http/request_target.hpp"
#include "services/http/worker_mailbox.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// A request that is complete and let in. It has to be answered with its number.
struct accepted_request {
  /// Counts the requests of the connection from 1.
  uint64_t number = 0;
  request_head head;
  request_target target;
  std::string body;
  /// How it is told of failures.
  failure_form form = failure_form::envelope;
};

/// What answers a request.
struct http_answer {
  int status = 200;
  /// Empty for an answer without a body.
  std::string_view content_type;
  std::string_view body;
  const std::vector<http_header>& extra_headers;
  /// Let go of when all of the answer is with the kernel, or nobody will get the rest any more: for whoever
  /// counts what clients have not read. Letting go must not block.
  std::shared_ptr<void> hold = nullptr;
};

/// Milliseconds on the monotonic clock, for deadlines.
int64_t monotonic_now_ms() noexcept;

/// What came of the wish to answer with a stream.
enum class stream_start : uint8_t {
  opened,
  /// The request was HEAD: it is answered, and there is nothing to write.
  bodiless,
  /// There are too many streams; the request is still to be answered.
  too_many,
  /// The client is gone, or the request is answered already.
  too_late,
};

/// One connection. answer() and what concerns its stream may be called from any thread; everything else
/// belongs to the worker thread that owns the connection. No call blocks, none throws but for lack of memory.
/// No listener is called under a lock.
class http_connection : public std::enable_shared_from_this<http_connection> {
public:
  /// A deadline that never comes.
  static constexpr int64_t never = INT64_MAX;

  /// Borrows `descriptor`, a non-blocking socket, until disconnected() is called.
  http_connection(int descriptor, std::shared_ptr<const http_rules> rules,
                  std::shared_ptr<http_counters> counters, std::shared_ptr<worker_mailbox> mailbox);

  /// Takes bytes that arrived. Call next() afterwards.
  void receive(std::string_view bytes);

  /// The next request to be handled, or nothing until more bytes or an answer have come. What must be refused
  /// is refused in here. To be called until it returns nothing.
  std::optional<accepted_request> next();

  /// Sends the answer to request `number`. False, and nothing sent, when the client is gone or that request
  /// is answered already. What does not fit the socket at once is sent by the worker as room comes.
  bool answer(uint64_t number, const http_answer& what);

  /// Answers request `number` with a stream, the last thing that this connection carries: the head now, and
  /// what write_stream() is given. Once it has opened, `listener` hears of its end.
  stream_start begin_stream(uint64_t number, std::string_view content_type,
                            const std::vector<http_header>& extra_headers, stream_listener listener);

  /// Appends to the stream. False when it is closed; it is cut when more waits for the client than the rules
  /// allow.
  bool write_stream(std::string_view bytes);

  /// Nothing more is written; what is written is still sent.
  void end_stream();

  /// Bytes of the stream for which the kernel has had no room yet.
  size_t unsent_of_stream() const;

  /// Answers 503 and closes: there are too many connections.
  void refuse_for_number();

  /// Ends it without an answer. The worker's poller reports the end, and the descriptor is closed from there.
  void cut_now();

  /// The socket; its number may be another connection's after disconnected().
  int descriptor() const noexcept { return descriptor_; }

  /// Whether a part of an answer or stream waits for room in the socket.
  bool wants_room() const;

  /// There may be room in the socket again. Call next() afterwards.
  void send_rest();

  /// Acts on the deadline if it has passed: answers 408 or 504, or cuts the connection.
  void expire(int64_t now_ms);

  /// The moment at which expire() has to be called, monotonic milliseconds.
  int64_t deadline_ms() const noexcept { return deadline_ms_.load(std::memory_order_relaxed); }

  /// The descriptor is about to be closed: nothing is written any more. To be called before it is.
  void disconnected();

  /// Takes it off the mailbox's books: it may be posted again.
  void taken_from_mailbox();

  /// "address:port" of the client, looked up at the first call.
  const std::string& peer_address();

private:
  enum class phase : uint8_t {
    /// Between requests; nothing of the next one has come.
    idle,
    head,
    body,
    /// A handler has the request.
    answering,
    /// A part of the answer waits for room.
    sending,
    /// The answer is a stream; a part of it may wait for room.
    streaming,
    /// The last answer is sent; input is dropped until the client closes.
    lingering,
  };

  /// What a stream needs besides what every answer does.
  struct stream_state {
    std::shared_ptr<const stream_listener> listener;
    /// All bytes it was given, the head included.
    uint64_t written = 0;
    /// How many of them had reached the client when that was last looked at.
    uint64_t confirmed = 0;
    /// Nothing more will be written.
    bool ending = false;
  };

  bool read_head();
  bool read_body();
  bool accept_head(request_head head);
  void refuse(const failed_request& failed);
  void transmit(const http_answer& what, bool close);
  void send_parts(std::string head, std::string_view body, const std::shared_ptr<void>& hold);
  bool push_rest(bool& progress);
  void finish_answer();
  bool take_stream_place();
  bool append_stream(std::string_view bytes);
  uint64_t confirmed_of_stream() const;
  void check_stream(int64_t now_ms);
  void leave_stream();
  void enter(phase next, int64_t deadline_ms);
  void post();
  void cut();
  void release_input();
  std::string_view input() const noexcept { return std::string_view(input_).substr(input_at_); }

  const int descriptor_;
  const std::shared_ptr<const http_rules> rules_;
  const std::shared_ptr<http_counters> counters_;
  const std::shared_ptr<worker_mailbox> mailbox_;

  mutable std::mutex mutex_;
  phase phase_ = phase::idle;
  bool gone_ = false;
  /// The worker is between next() and the next call of it: it will look again, no post is needed.
  bool driven_ = false;
  bool posted_ = false;
  /// Nothing after the request at hand will be read.
  bool last_request_ = false;
  std::atomic<int64_t> deadline_ms_;

  std::string input_;
  size_t input_at_ = 0;
  head_reader reader_;
  std::optional<chunked_decoder> decoder_;
  accepted_request request_;
  int64_t body_began_ms_ = 0;
  uint64_t request_count_ = 0;
  /// Of the request being answered.
  bool is_head_method_ = false;
  bool is_http_1_0_ = false;
  failure_form form_ = failure_form::envelope;
  bool keep_alive_ = true;

  std::string rest_;
  size_t rest_at_ = 0;
  std::shared_ptr<void> rest_hold_;
  bool close_after_rest_ = false;
  /// Set as long as somebody is to hear of the stream's end.
  std::unique_ptr<stream_state> stream_;
  uint64_t dropped_bytes_ = 0;
  std::string peer_address_;
};

} // namespace task_runner
