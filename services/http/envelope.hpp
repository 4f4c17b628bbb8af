// The envelope every API answer comes in, {"status_code":N,"message":S,"data":…}, and how failures are told
// in it or, to whoever asks for that, without it. Renders text only; what `data` holds is rendered by whoever
// knows it.
#pragma once

#include "services/domain/error.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace task_runner {

/// Content-Type of every envelope.
constexpr std::string_view envelope_content_type = "application/json; charset=utf-8";

/// Content-Type of a failure without envelope (RFC 9457).
constexpr std::string_view problem_content_type = "application/problem+json";

/// Below it each error code has a page of its own, which `type` of a failure leads to.
constexpr std::string_view problem_pages_path = "/api/v1/problems";

/// Seconds after which a client may try again, sent as Retry-After with 429 and 503.
constexpr int retry_after_s = 1;

/// How one request's failures are told.
enum class failure_form : uint8_t {
  envelope,
  /// The envelope, with HTTP status 200: the old behaviour.
  legacy_envelope,
  /// The problem alone, for a client that accepts `application/problem+json`.
  problem,
};

/// Something that went wrong, as HTTP tells it.
struct failed_request {
  /// 400 to 599.
  int status = 500;
  /// Unset where the status says all there is to say.
  std::optional<error_code> code;
  std::string_view message;
};

/// The failure with its code's status. `why` must outlive it.
failed_request describe_failure(const error& why) noexcept;

/// The envelope as JSON. `data_json` and `members_json` are JSON already: a value, and further members of the
/// envelope itself such as `"actors":[],"daemon":{}` (without braces; empty for none). `message` is plain
/// text.
std::string make_envelope(int status_code, std::string_view message, std::string_view data_json = "null",
                          std::string_view members_json = {});

/// The envelope of a failure: `"data":null`, and in `error` the members of make_problem.
std::string make_envelope(const failed_request& failed, std::string_view members_json = {});

/// The members of RFC 9457 as a JSON object: `type`, `title`, `status`, `detail`, and the `code`. `type` is
/// `about:blank` where there is no code; `members_json` as for make_envelope.
std::string make_problem(const failed_request& failed, std::string_view members_json = {});

/// A failure as one request is told it.
struct failure_answer {
  /// The HTTP status.
  int status = 500;
  std::string_view content_type;
  std::string body;
};
failure_answer make_failure(failure_form form, const failed_request& failed,
                            std::string_view members_json = {});

} // namespace task_runner
