// Requests with an Idempotency-Key: each is carried out once, and answered the same however often it is sent.
// What has to outlast a crash stands in the store; only which are under way now is kept here.
#pragma once

#include "services/http/http_message.hpp"
#include "services/http/http_responder.hpp"
#include "services/http/route_table.hpp"
#include "services/ports/clock.hpp"
#include "services/ports/store_writer.hpp"

#include <caf/actor.hpp>

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace task_runner {

/// The header that makes a request one that may be repeated, and the one that says that an answer is.
constexpr std::string_view key_header = "idempotency-key";
constexpr const char* replayed_header = "Idempotency-Replayed";

/// Longest key, bytes.
constexpr size_t request_key_length_max = 255;

/// Most requests with a key that are carried out at once; one more is `overloaded`.
constexpr size_t keyed_requests_max = 1'024;

/// Most bytes of the bodies of these requests together; one more is `overloaded` unless it is the only one.
constexpr size_t keyed_bytes_max = 67'108'864;

/// Largest body of an answer that is kept, bytes. In place of a larger one it is kept that there was one.
constexpr size_t kept_answer_bytes_max = 1'048'576;

/// Thread-safe; never blocks but in close(). The writer and the clock must outlive close() and every answer.
///
/// The order of things: the record of the request is committed; the request is carried out, with an identity
/// from the record, so that its pushes find out in the store whether they happened before; its answer is
/// committed to the record, and only then sent. After a crash in between it is carried out again under the
/// same identity. Answers 429 and those from 500 on are not kept, as they ask for another try.
class keyed_requests : public std::enable_shared_from_this<keyed_requests> {
public:
  /// `via` carries requests out, on the actors' thread; records are kept for `keep_ms`.
  keyed_requests(store_writer& writer, const wall_clock& clock, int64_t keep_ms, caf::actor via);

  /// Answers the request, or has `handler` do it. The request has the header of a key.
  void handle(const http_request& request, const http_responder& responder, const http_handler& handler);

  /// Carries nothing out any more, and lets go of the actor; returns when the store has answered for all that
  /// was begun. REQUIRES: the store still works.
  void close();

private:
  /// One request on its way through here.
  struct passage;
  using passage_pointer = std::shared_ptr<passage>;

  /// Whether the key is free now, and taken from here on; otherwise why not.
  result<void> enter(const std::string& key, const std::string& fingerprint, size_t bytes);
  void leave(const passage& one);
  void begun(const passage_pointer& one, result<std::vector<store_answer>> answers);
  void carry_out(const passage_pointer& one);
  void answered(const passage_pointer& one, held_answer answer);
  /// Lets the key go, then tells the client.
  void fail(const passage_pointer& one, const error& why);
  void send(const passage_pointer& one, const held_answer& answer);

  store_writer& writer_;
  const wall_clock& clock_;
  const int64_t keep_ms_;

  std::mutex mutex_;
  std::condition_variable store_answered_;
  caf::actor via_;
  bool closed_ = false;
  /// Requests whose record the store is asked for.
  size_t asked_ = 0;
  /// The fingerprints of those under way, by key.
  std::unordered_map<std::string, std::string> under_way_;
  size_t under_way_bytes_ = 0;
};

} // namespace task_runner
