// The grammar of every kind of value that a flag, an environment variable or an INI key can carry.
// Pure functions from text to value; the message of a failure says what is allowed, never what was given.
#pragma once

#include "services/domain/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// The longest duration accepted, milliseconds: ten years.
constexpr int64_t duration_ms_max = 3'653LL * 86'400'000;

/// The largest request body that may be configured, bytes. It is held in memory once per request.
constexpr uint64_t body_bytes_max = 64ULL * 1'048'576;
/// The smallest one, bytes: enough for any of the documented requests with a short command.
constexpr uint64_t body_bytes_min = 1'024;

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

/// `500ms`, `10s`, `5m`, `2h`, `1d`, or a plain number of seconds; decimals are allowed. In milliseconds,
/// rounded up, so that only a zero becomes zero. 0 to `duration_ms_max`.
result<int64_t> parse_duration_ms(std::string_view text);

/// Bytes, or a whole number with `k`, `M` or `G` (powers of 1024). Fails past 2^63-1.
result<uint64_t> parse_size(std::string_view text);

/// parse_size within `body_bytes_min` and `body_bytes_max`.
result<uint64_t> parse_body_size(std::string_view text);

/// The shortest text that parse_duration_ms, parse_size and the address parsers read back as the same value.
std::string format_duration(int64_t duration_ms);
std::string format_size(uint64_t bytes);
std::string format_host_port(std::string_view host, uint16_t port);

/// A whole decimal number without sign, `low` to `high`.
result<uint32_t> parse_number(std::string_view text, uint32_t low, uint32_t high);

/// Workers for channels that ask for none: 1 to `worker_max`.
result<uint32_t> parse_concurrent(std::string_view text);

/// Workers of a channel: 0 (follow `concurrent`) to `worker_max`.
result<uint32_t> parse_worker(std::string_view text);

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
result<std::string> parse_store(std::string_view text);
result<std::string> parse_log_level(std::string_view text);
result<std::string> parse_log_format(std::string_view text);

/// Any text up to `text_length_max` bytes without NUL; empty means none.
result<std::string> parse_password(std::string_view text);

/// A path that may not be empty; parse_optional_path takes the empty one as "none".
result<std::string> parse_path(std::string_view text);
result<std::string> parse_optional_path(std::string_view text);

/// Text from outside made fit for a one-line message: quoted, control bytes and what is not UTF-8 as \xNN,
/// cut after 80 bytes.
std::string quote_for_message(std::string_view text);

} // namespace task_runner
