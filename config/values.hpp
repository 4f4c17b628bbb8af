// The grammar of every kind of value that a flag, an environment variable or an INI key can carry.
// Pure functions from text to value; the message of a failure says what is allowed, never what was given.
#pragma once

#include "services/domain/channel.hpp"
#include "services/domain/quantities.hpp"
#include "services/domain/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// The largest request body that may be configured, bytes. It is held in memory once per request.
constexpr uint64_t body_bytes_max = 64ULL * 1'048'576;
/// The smallest one, bytes: enough for any of the documented requests with a short command.
constexpr uint64_t body_bytes_min = 1'024;

/// Shortest and longest time for which the answer to a request with an Idempotency-Key is kept, milliseconds.
constexpr int64_t idempotency_keep_ms_min = 1'000;
constexpr int64_t idempotency_keep_ms_max = 30LL * 86'400'000;

/// The largest `running-max`, `recoveries-max`, and part of an attempt's output (bytes).
constexpr uint32_t running_max_max = 100'000;
constexpr uint32_t recoveries_max_max = 1'000;
constexpr uint64_t output_part_max = 1'073'741'824;

/// Most entries of a list setting (intake-key, allow-host).
constexpr size_t list_length_max = 64;

/// Longest single text value, bytes: paths, keys, host names and passwords.
constexpr size_t text_length_max = 4'096;

/// A host and a port, the host without brackets.
struct host_port {
  std::string host;
  uint16_t port = 0;

  bool operator==(const host_port& other) const { return host == other.host && port == other.port; }
};

/// `true`, `false`, `1`, `0`, `yes`, `no`, `on`, `off`.
result<bool> parse_switch(std::string_view text);

/// A duration from `idempotency_keep_ms_min` to `idempotency_keep_ms_max`.
result<int64_t> parse_idempotency_keep(std::string_view text);

/// parse_size within `body_bytes_min` and `body_bytes_max`.
result<uint64_t> parse_body_size(std::string_view text);

/// The shortest text that the address parsers read back as the same value.
std::string format_host_port(std::string_view host, uint16_t port);

/// A whole decimal number without sign, `low` to `high`.
result<uint32_t> parse_number(std::string_view text, uint32_t low, uint32_t high);

/// Workers for channels that ask for none: 1 to `worker_max`.
result<uint32_t> parse_concurrent(std::string_view text);

/// Workers of a channel: 0 (follow `concurrent`) to `worker_max`.
result<uint32_t> parse_worker(std::string_view text);

/// 0 to `running_max_max`.
result<uint32_t> parse_running_max(std::string_view text);

/// 0 to `recoveries_max_max`.
result<uint32_t> parse_recoveries_max(std::string_view text);

/// Tasks that a channel may hold: 1 to `task_count_max`.
result<uint64_t> parse_tasks_max(std::string_view text);

/// Ended tasks to keep: 0 (any number) to `task_count_max`.
result<uint64_t> parse_kept_tasks(std::string_view text);

/// parse_size, 0 to `output_part_max` for what is kept of the beginning, from 1 for the end: where nothing is
/// kept of the beginning either, what was left out is still told.
result<uint64_t> parse_output_head(std::string_view text);
result<uint64_t> parse_output_tail(std::string_view text);

/// A channel's share: 1 to `weight_max`.
result<uint32_t> parse_weight(std::string_view text);

/// A dedup mode by its name, or what parse_switch takes.
result<distinct_mode> parse_distinct(std::string_view text);

/// 0 to 15.
result<uint32_t> parse_redis_db(std::string_view text);

/// HOST, HOST:PORT, [IPV6] or [IPV6]:PORT. No host means 127.0.0.1, no port 6379. The port is 1 to 65535.
result<host_port> parse_redis_address(std::string_view text);

/// HOST:PORT, [IPV6]:PORT or :PORT (all interfaces: 0.0.0.0). `localhost` becomes 127.0.0.1, `*` 0.0.0.0.
/// The port is 0 to 65535.
result<host_port> parse_listen_address(std::string_view text);

/// Whether a host, as parse_listen_address returns it, can only be reached from this machine. A name counts
/// as remote: what it resolves to may change.
bool is_loopback(std::string_view host) noexcept;

/// A comma-separated list, blanks around entries removed; empty entries are refused, an empty text is the
/// empty list. At most `list_length_max` entries.
result<std::vector<std::string>> split_list(std::string_view text);

/// Redis keys to take messages from: at least one, none twice, none of the keys that the intake writes.
result<std::vector<std::string>> parse_intake_keys(std::string_view text);

/// Host names or addresses without port, in lower case, IPv6 without brackets.
result<std::vector<std::string>> parse_allow_hosts(std::string_view text);

result<std::string> parse_channel_name(std::string_view text);
result<std::string> parse_containment(std::string_view text);
result<std::string> parse_store(std::string_view text);
result<std::string> parse_log_level(std::string_view text);
result<std::string> parse_log_format(std::string_view text);

/// Any text up to `text_length_max` bytes without NUL; empty means none.
result<std::string> parse_password(std::string_view text);

/// An address that a client can connect to, HOST:PORT with a port of its own; its text, as it was given.
/// Empty is none.
result<std::string> parse_client_address(std::string_view text);
/// What can stand behind `Bearer` in a header: printable ASCII without blanks; empty is none.
result<std::string> parse_token(std::string_view text);

/// A path that may not be empty; parse_optional_path takes the empty one as "none".
result<std::string> parse_path(std::string_view text);
result<std::string> parse_optional_path(std::string_view text);

/// Text from outside made fit for a one-line message: quoted, control bytes and what is not UTF-8 as \xNN,
/// cut after 80 bytes.
std::string quote_for_message(std::string_view text);

} // namespace task_runner
