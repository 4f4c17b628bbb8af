// Parsing of single values, by hand where the standard library would be too lenient (signs, blanks,
// overflow). Every failure carries error_code::invalid_argument and a message that begins with "give".
#include "config/values.hpp"

#include "services/domain/channel.hpp"
#include "services/domain/names.hpp"
#include "services/wire/comma_list.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <optional>

namespace task_runner {

namespace {

constexpr std::string_view blanks = " \t\r\n\v\f";

error allowed(std::string text) {
  return error{error_code::invalid_argument, std::move(text)};
}

constexpr bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

constexpr bool is_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string lower(std::string_view text) {
  std::string copy(text);
  for (char& c : copy)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  return copy;
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

bool is_ipv4(std::string_view text) {
  in_addr address{};
  return inet_pton(AF_INET, std::string(text).c_str(), &address) == 1;
}

bool is_ipv6(std::string_view text) {
  in6_addr address{};
  return inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1;
}

/// A host name as DNS and /etc/hosts know them; underscores occur in container names.
bool is_host_name(std::string_view text) {
  constexpr size_t dns_name_length_max = 253;
  if (text.empty() || text.size() > dns_name_length_max || text.front() == '-' || text.front() == '.')
    return false;
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return is_digit(c) || is_letter(c) || c == '-' || c == '.' || c == '_';
  });
  if (!plain || text.find("..") != std::string_view::npos)
    return false;
  // Digits and dots alone are an address that is_ipv4 has refused, not a name.
  return std::any_of(text.begin(), text.end(), is_letter);
}

bool is_host(std::string_view text) {
  return is_ipv4(text) || is_host_name(text);
}

/// The two halves of HOST:PORT. `port` is unset when there is no colon after the host.
struct split_address {
  std::string_view host;
  std::optional<std::string_view> port;
  bool bracketed = false;
};

std::optional<split_address> split_host_port(std::string_view text) {
  split_address parts;
  if (!text.empty() && text.front() == '[') {
    const size_t end = text.find(']');
    if (end == std::string_view::npos)
      return std::nullopt;
    parts.host = text.substr(1, end - 1);
    parts.bracketed = true;
    const std::string_view rest = text.substr(end + 1);
    if (!rest.empty() && rest.front() != ':')
      return std::nullopt;
    if (!rest.empty())
      parts.port = rest.substr(1);
    return parts;
  }
  const size_t colon = text.find(':');
  // Two colons without brackets: an IPv6 address whose port nobody could tell apart.
  if (colon != std::string_view::npos && text.find(':', colon + 1) != std::string_view::npos)
    return std::nullopt;
  parts.host = text.substr(0, colon);
  if (colon != std::string_view::npos)
    parts.port = text.substr(colon + 1);
  return parts;
}

bool has_nul(std::string_view text) {
  return text.find('\0') != std::string_view::npos;
}

result<std::string> one_of(std::string_view text, std::initializer_list<std::string_view> choices,
                           const char* sentence) {
  if (std::find(choices.begin(), choices.end(), text) == choices.end())
    return allowed(sentence);
  return std::string(text);
}

} // namespace

result<bool> parse_switch(std::string_view text) {
  for (std::string_view yes : {"true", "1", "yes", "on"})
    if (text == yes)
      return true;
  for (std::string_view no : {"false", "0", "no", "off"})
    if (text == no)
      return false;
  return allowed("give true or false (also 1, 0, yes, no, on, off)");
}

std::string format_host_port(std::string_view host, uint16_t port) {
  const bool brackets = host.find(':') != std::string_view::npos;
  return (brackets ? "[" : "") + std::string(host) + (brackets ? "]:" : ":") + std::to_string(port);
}

result<int64_t> parse_idempotency_keep(std::string_view text) {
  auto duration_ms = parse_duration_ms(text);
  if (!duration_ms || *duration_ms < idempotency_keep_ms_min || *duration_ms > idempotency_keep_ms_max)
    return allowed("give 1s to 30d, a number of seconds or with a unit such as 24h");
  return duration_ms;
}

result<uint64_t> parse_body_size(std::string_view text) {
  auto size = parse_size(text);
  if (!size || *size < body_bytes_min || *size > body_bytes_max)
    return allowed("give 1k to 64M, in bytes or with k or M");
  return size;
}

result<uint32_t> parse_number(std::string_view text, uint32_t low, uint32_t high) {
  const auto number = parse_digits(text, high);
  if (!number || *number < low)
    return allowed("give a whole number from " + std::to_string(low) + " to " + std::to_string(high));
  return static_cast<uint32_t>(*number);
}

result<uint32_t> parse_concurrent(std::string_view text) {
  return parse_number(text, 1, worker_max);
}

result<uint32_t> parse_worker(std::string_view text) {
  return parse_number(text, 0, worker_max);
}

result<uint32_t> parse_running_max(std::string_view text) {
  return parse_number(text, 0, running_max_max);
}

result<uint32_t> parse_recoveries_max(std::string_view text) {
  return parse_number(text, 0, recoveries_max_max);
}

result<uint64_t> parse_tasks_max(std::string_view text) {
  const auto number = parse_digits(text, task_count_max);
  if (!number || *number == 0)
    return allowed("give a whole number from 1 to " + std::to_string(task_count_max));
  return *number;
}

result<uint64_t> parse_kept_tasks(std::string_view text) {
  const auto number = parse_digits(text, task_count_max);
  if (!number)
    return allowed("give a whole number from 0 to " + std::to_string(task_count_max));
  return *number;
}

result<uint64_t> parse_output_head(std::string_view text) {
  auto size = parse_size(text);
  if (!size || *size > output_part_max)
    return allowed("give 0 to 1G, in bytes or with k, M or G");
  return size;
}

result<uint64_t> parse_output_tail(std::string_view text) {
  auto size = parse_size(text);
  if (!size || *size < 1 || *size > output_part_max)
    return allowed("give 1 to 1G, in bytes or with k, M or G");
  return size;
}

result<uint32_t> parse_weight(std::string_view text) {
  return parse_number(text, 1, weight_max);
}

result<distinct_mode> parse_distinct(std::string_view text) {
  if (const auto mode = parse_distinct_mode(text))
    return *mode;
  const auto on = parse_switch(text);
  if (!on)
    return allowed("give true (until-finished), false (off) or while-pending");
  return *on ? distinct_mode::until_finished : distinct_mode::off;
}

result<uint32_t> parse_redis_db(std::string_view text) {
  return parse_number(text, 0, 15);
}

result<host_port> parse_redis_address(std::string_view text) {
  const error refusal =
      allowed("give HOST or HOST:PORT, port 1 to 65535, for example 127.0.0.1:6379 or [::1]:6379");
  const auto parts = split_host_port(text);
  if (text.empty() || !parts)
    return refusal;
  host_port address{std::string(parts->host), 6379};
  if (parts->bracketed) {
    if (!is_ipv6(parts->host))
      return refusal;
  } else if (parts->host.empty()) {
    address.host = "127.0.0.1";
  } else if (!is_host(parts->host)) {
    return refusal;
  }
  if (parts->port) {
    const auto port = parse_digits(*parts->port, 65'535);
    if (!port || *port == 0)
      return refusal;
    address.port = static_cast<uint16_t>(*port);
  }
  return address;
}

result<host_port> parse_listen_address(std::string_view text) {
  const error refusal =
      allowed("give HOST:PORT, port 0 to 65535, for example 127.0.0.1:60001, localhost:60001 or [::1]:60001");
  const auto parts = split_host_port(text);
  if (!parts || !parts->port)
    return refusal;
  const auto port = parse_digits(*parts->port, 65'535);
  if (!port)
    return refusal;
  host_port address{std::string(parts->host), static_cast<uint16_t>(*port)};
  if (parts->bracketed) {
    if (!is_ipv6(parts->host))
      return refusal;
  } else if (parts->host.empty() || parts->host == "*") {
    address.host = "0.0.0.0";
  } else if (lower(parts->host) == "localhost") {
    address.host = "127.0.0.1";
  } else if (!is_host(parts->host)) {
    return refusal;
  }
  return address;
}

bool is_loopback(std::string_view host) noexcept {
  in_addr v4{};
  in6_addr v6{};
  const std::string copy(host);
  if (inet_pton(AF_INET, copy.c_str(), &v4) == 1)
    return (ntohl(v4.s_addr) >> 24) == 127;
  if (inet_pton(AF_INET6, copy.c_str(), &v6) != 1)
    return false;
  return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

result<std::vector<std::string>> split_list(std::string_view text) {
  std::vector<std::string> entries;
  if (trimmed(text).empty())
    return entries;
  for (const auto part : split_at_commas(text)) {
    const auto entry = trimmed(part);
    if (entry.empty() || entries.size() == list_length_max)
      return allowed("give at most " + std::to_string(list_length_max) +
                     " entries separated by commas, none of them empty");
    entries.emplace_back(entry);
  }
  return entries;
}

result<std::vector<std::string>> parse_intake_keys(std::string_view text) {
  auto keys = split_list(text);
  if (!keys)
    return keys;
  constexpr size_t intake_key_length_max = 512;
  for (auto key = keys->begin(); key != keys->end(); ++key) {
    // The intake writes these itself: reading them back would run what it has put aside.
    if (*key == "task:prepare:rejected" || key->find("}:taken:") != std::string::npos)
      return allowed(
          "give keys of lists that others push to; task:prepare:rejected and {KEY}:taken:… are written "
          "by the intake itself");
    if (key->size() > intake_key_length_max || has_nul(*key))
      return allowed("give keys of 1 to 512 bytes");
    if (std::find(keys->begin(), key, *key) != key)
      return allowed("give each key once");
  }
  if (keys->empty())
    return allowed(
        "give at least one key, for example task:prepare:queue; redis-intake=off turns the intake off");
  return keys;
}

result<std::vector<std::string>> parse_allow_hosts(std::string_view text) {
  auto hosts = split_list(text);
  if (!hosts)
    return hosts;
  for (auto& host : *hosts) {
    if (host.size() > 2 && host.front() == '[' && host.back() == ']' &&
        is_ipv6(host.substr(1, host.size() - 2)))
      host = host.substr(1, host.size() - 2);
    if (!is_host(host) && !is_ipv6(host))
      return allowed("give host names or addresses without a port, separated by commas, for example "
                     "tasks.example.com");
    host = lower(host);
  }
  return hosts;
}

result<std::string> parse_channel_name(std::string_view text) {
  if (!is_valid_name(text))
    return allowed("give a channel name: 1 to 128 of A-Z a-z 0-9 . _ : -");
  return std::string(text);
}

result<std::string> parse_containment(std::string_view text) {
  return one_of(text, {"auto", "cgroup", "tag"}, "give auto, cgroup or tag");
}

result<std::string> parse_store(std::string_view text) {
  return one_of(text, {"embedded"}, "give embedded, the only store there is");
}

result<std::string> parse_log_level(std::string_view text) {
  return one_of(text, {"debug", "info", "warning", "error"}, "give debug, info, warning or error");
}

result<std::string> parse_log_format(std::string_view text) {
  return one_of(text, {"text", "json"}, "give text or json");
}

result<std::string> parse_password(std::string_view text) {
  if (has_nul(text) || text.size() > text_length_max)
    return allowed("give at most 4096 bytes without NUL");
  return std::string(text);
}

result<std::string> parse_client_address(std::string_view text) {
  if (text.empty())
    return std::string();
  const auto parsed = parse_listen_address(text);
  if (!parsed)
    return parsed.failure();
  if (parsed->port == 0)
    return allowed(
        "port 0 stands for any free one; give the one that the daemon listens on, its log says which");
  return std::string(text);
}

result<std::string> parse_token(std::string_view text) {
  const bool is_plain =
      std::all_of(text.begin(), text.end(), [](char one) { return one > 0x20 && one < 0x7f; });
  if (!is_plain || text.size() > text_length_max)
    return allowed("give it as it was made: at most 4096 characters of ASCII without blanks");
  return std::string(text);
}

result<std::string> parse_optional_path(std::string_view text) {
  if (has_nul(text) || text.size() >= text_length_max)
    return allowed("give a path of at most 4095 bytes");
  return std::string(text);
}

result<std::string> parse_path(std::string_view text) {
  if (text.empty())
    return allowed("give a path; it may not be empty");
  return parse_optional_path(text);
}

std::string quote_for_message(std::string_view text) {
  constexpr size_t shown_max = 80;
  constexpr char digits[] = "0123456789abcdef";
  const bool readable = is_valid_utf8(text);
  const bool cut = text.size() > shown_max;
  size_t end = std::min(text.size(), shown_max);
  // Never cut inside a character: step back over its continuation bytes.
  while (cut && readable && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
    --end;
  text = text.substr(0, end);
  std::string shown = "'";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !readable)) {
      shown += "\\x";
      shown += digits[byte >> 4];
      shown += digits[byte & 0xf];
    } else {
      shown += c;
    }
  }
  return shown + (cut ? "…'" : "'");
}

} // namespace task_runner
