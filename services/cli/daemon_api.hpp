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
  /// What went wrong, a sentence; "ok" or a remark where nothing did.
  std::string message;
  /// The whole envelope; null where there was none.
  json_value envelope;
  /// How long to wait before the same is asked again; 0: not said.
  std::chrono::milliseconds retry_after{0};

  bool is_ok() const noexcept { return status >= 200 && status < 300; }
  /// The daemon is busy, starting or stopping, and has done nothing: the same may succeed later.
  bool is_for_the_moment() const noexcept { return status == 429 || status == 503; }
  const json_value& data() const noexcept { return envelope["data"]; }
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

/// The path of a task, `/api/v1/tasks/ID`, with `rest` behind it.
std::string task_path(std::string_view id, std::string_view rest = {});
std::string channel_path(std::string_view name, std::string_view rest = {});
/// Everything but letters, digits and `-._~` as %XX.
std::string url_encoded(std::string_view text);

/// Speaks to one daemon. Not thread-safe.
class daemon_api {
public:
  daemon_api(daemon_place place, const std::string& token);

  const daemon_place& place() const noexcept { return place_; }

  api_reply get(const std::string& target);
  /// With a JSON object as its body; empty: none.
  api_reply post(const std::string& target, const std::string& json = {});
  api_reply patch(const std::string& target, const std::string& json);
  api_reply remove(const std::string& target);
  /// Any other call; answers that are envelopes.
  api_reply call(const http_call& what);
  /// A piece of what an attempt of a task (0: the last) has printed, from `offset` on.
  output_reply output(std::string_view id, uint64_t attempt, uint64_t offset);
  /// The last bytes of it.
  output_reply output_end(std::string_view id, uint64_t attempt, uint64_t length);

private:
  api_reply unreached(const error& why) const;
  output_reply output_of(const http_call& what);

  daemon_place place_;
  http_client http_;
};

} // namespace task_runner::cli
