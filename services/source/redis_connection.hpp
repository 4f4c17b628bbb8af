// One connection to a Redis server: connect, log in, select, command and reply, each with a deadline.
// Owns a hiredis context and never blocks in it: all waiting is poll(2), which a stop event can end.
#pragma once

#include "services/domain/result.hpp"
#include "services/source/redis_endpoint.hpp"
#include "services/source/wake_event.hpp"

#include <hiredis/hiredis.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

struct free_redis_reply {
  void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};
using redis_reply = std::unique_ptr<redisReply, free_redis_reply>;

/// What an error reply of the server calls for.
enum class redis_refusal : uint8_t {
  none,
  /// A key holds another kind of value.
  wrong_type,
  /// EVALSHA of a script that the server does not have.
  no_script,
  /// The taken list that was to be made exists.
  list_exists,
  /// Everything else: password, permission, replica, memory, loading.
  other,
};

/// `none` for a reply that is no error.
redis_refusal classify(const redisReply& reply) noexcept;

/// An error reply as a sentence with advice. Holds nothing but the server's own words and ours.
std::string explain_refusal(const redisReply& reply);

/// The same as an error: Redis cannot be used for now.
error refusal_of(const redisReply& reply);

/// A reply to `command` that Redis does not give.
error unexpected_reply(std::string_view command);

/// Bytes of a string or error reply.
std::string_view reply_text(const redisReply& reply) noexcept;

/// A live connection. Movable, not thread-safe; only the wake_event may be set from elsewhere. After any call
/// has failed the connection is of no further use.
class redis_connection {
public:
  /// Connects, sends AUTH and SELECT where needed. `unavailable` with a sentence that says why.
  /// `stop` ends any wait of this connection, now or later, and must outlive it.
  static result<redis_connection> open(const redis_endpoint& endpoint, const wake_event& stop);

  /// Sends a command and waits for its reply, which may be an error reply.
  result<redis_reply> command(const std::vector<std::string_view>& words);

  /// Sends a command whose reply is fetched later with `receive`.
  result<void> send(const std::vector<std::string_view>& words);

  /// What has arrived, without waiting: a reply, or null when it is not complete yet.
  result<redis_reply> receive();

  /// Length of the text that is about to be received, as far as it can be seen without receiving it; 0 when
  /// it cannot, or when it is no text.
  uint64_t peek_text_length() const noexcept;

  int fd() const noexcept { return context_->fd; }

private:
  struct free_context {
    void operator()(redisContext* context) const noexcept { redisFree(context); }
  };
  using time_point = std::chrono::steady_clock::time_point;

  redis_connection(redisContext* context, const wake_event& stop)
      : context_(context)
      , stop_(&stop) {}

  error context_failure() const;
  /// Waits for `events` on the connection; fails at the deadline, or soon after a stop.
  result<void> wait(short events, time_point& deadline, bool& stopping);

  std::unique_ptr<redisContext, free_context> context_;
  const wake_event* stop_;
};

} // namespace task_runner
