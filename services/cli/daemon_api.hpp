// The daemon's API as the verbs use it: one call, and one reply that says how it went.
// Paths are put together here, so that no id ends up in one unencoded.
#pragma once

#include "services/cli/client.hpp"
#include "services/cli/http_client.hpp"
#include "services/cli/json_value.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner::cli {

/// What a call has come to.
struct api_reply {
  /// Of the HTTP answer; 0: there was none.
  int status = 0;
  /// Somebody is there, and did not answer in time.
  bool is_late = false;
  /// Something answered that is no daemon of ours; one may stand behind it.
  bool is_foreign = false;
  /// What went wrong, a sentence; "ok" or a remark where nothing did.
  std::string message;
  /// The whole envelope; null where there was none.
  json_value envelope;
  /// How long to wait before the same is asked again; 0: not said.
  std::chrono::milliseconds retry_after{0};

  bool is_ok() const noexcept { return status >= 200 && status < 300; }
  /// The daemon is busy, starting or stopping, and has done nothing: the same may succeed later.
  bool is_for_the_moment() const noexcept { return status == 429 || status == 503; }
  /// The same may be answered later: the daemon is away, busy, or too slow. Whether it has done it is not
  /// said.
  bool may_come_back() const noexcept { return status == 0 || status == 504 || is_for_the_moment(); }
  /// The daemon may have done what was asked for all that. Of a call that nobody answered (0) only `is_late`
  /// and `is_foreign` tell; one that broke looks like one that was never made.
  bool may_be_done() const noexcept {
    return is_ok() || is_late || is_foreign || (status >= 500 && status != 503);
  }
  json_value data() const { return envelope["data"]; }
};

/// A piece of a task's output.
struct output_reply {
  /// How the call went; its envelope is null where it went well.
  api_reply how;
  std::string bytes;
  /// All that is kept of the output, bytes.
  uint64_t size = 0;
  /// The task's state.
  std::string state;
};

/// Longest silence of a stream: two of the daemon's signs of life (one every 15 s) may be late.
constexpr std::chrono::milliseconds stream_silence_max{40'000};

/// The path of a task, `/api/v1/tasks/ID`, with `rest` behind it.
std::string task_path(std::string_view id, std::string_view rest = {});
std::string channel_path(std::string_view name, std::string_view rest = {});
/// Everything but letters, digits and `-._~` as %XX.
std::string url_encoded(std::string_view text);

/// Speaks to one daemon. Not thread-safe.
class daemon_api {
public:
  explicit daemon_api(daemon_place place);

  const daemon_place& place() const noexcept { return place_; }

  /// From here on no call waits longer than this for a connection, nor for its answer.
  void hurry(std::chrono::milliseconds connect_within, std::chrono::milliseconds answer_within) noexcept;
  /// The same with the bounds of another one.
  void hurry_as(const daemon_api& other) noexcept { hurry(other.connect_max_, other.answer_max_); }
  /// Lets a call fail that waits for its answer, as `http_client::stop` does. Any thread.
  void stop() noexcept { http_.stop(); }

  api_reply get(const std::string& target);
  /// With a JSON object as its body; empty: none.
  api_reply post(const std::string& target, const std::string& json = {});
  api_reply patch(const std::string& target, const std::string& json);
  api_reply remove(const std::string& target);
  /// Any other call; answers that are envelopes.
  api_reply call(const http_call& what);
  /// Reads a stream of events, whose bytes go to `take` as they come; fails after `stream_silence_max`
  /// without any. What is no stream is answered as by call().
  api_reply stream(http_call what, const byte_receiver& take);
  /// A piece of what an attempt of a task (0: the last) has printed, from `offset` on.
  output_reply output(std::string_view id, uint64_t attempt, uint64_t offset);

private:
  api_reply unreached(const error& why) const;
  api_reply understood(const http_reply& answer) const;
  result<http_reply> send(http_call what);

  daemon_place place_;
  http_client http_;
  std::chrono::milliseconds connect_max_ = connect_timeout;
  std::chrono::milliseconds answer_max_ = answer_timeout;
};

} // namespace task_runner::cli
