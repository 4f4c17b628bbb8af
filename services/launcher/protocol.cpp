// Encoding and decoding of the launcher's messages.
// Every record is bounded by the reader; a count is never trusted to reserve memory.
#include "services/launcher/protocol.hpp"

#include "services/domain/names.hpp"
#include "services/launcher/attempt_codec.hpp"

namespace task_runner::launcher {
namespace {

constexpr uint32_t packet_magic = 0x4e4c5254; // "TRLN"
constexpr size_t version_text_length_max = 64;
constexpr size_t reason_length_max = 1'024;
constexpr size_t containment_length_max = 256;
/// Bytes of a packet besides its records: magic, version, type, count.
constexpr size_t packet_overhead = 12;
/// A start that is larger than this travels in a memfd.
constexpr size_t inline_start_bytes_max = 32'768;

enum class packet_type : uint16_t {
  hello = 1,
  refused = 2,
  welcome = 3,
  listing = 4,
  ready = 5,
  requests = 6,
  events = 7,
  introduction = 8,
  upgrade = 9,
  upgrade_failed = 10,
  ping = 11,
  pong = 12,
};

enum class request_kind : uint8_t { start = 1, large_start = 2, signal = 3, settle = 4, stop = 5 };
enum class event_kind : uint8_t { started = 1, ended = 2 };

error damaged(std::string_view what) {
  return {error_code::invalid_argument,
          "the packet is no message of the launcher's protocol: " + std::string(what)};
}

/// The version that brought this packet as it is now.
constexpr uint16_t version_of(packet_type type) noexcept {
  return type == packet_type::ping || type == packet_type::pong ? protocol_version_ping
                                                                : protocol_version_min;
}

void write_header(byte_writer& out, packet_type type) {
  out.number(packet_magic);
  out.number(version_of(type));
  out.number(static_cast<uint16_t>(type));
}

void write_request(byte_writer& out, const any_request& value) {
  if (const auto* start = std::get_if<attempt_start>(&value)) {
    out.number(static_cast<uint8_t>(request_kind::start));
    write_start(out, *start);
  } else if (const auto* large = std::get_if<large_start_request>(&value)) {
    out.number(static_cast<uint8_t>(request_kind::large_start));
    out.number(large->size);
  } else if (const auto* signal = std::get_if<signal_request>(&value)) {
    out.number(static_cast<uint8_t>(request_kind::signal));
    write_key(out, signal->key);
    out.number(static_cast<int32_t>(signal->number));
  } else if (const auto* settle = std::get_if<settle_request>(&value)) {
    out.number(static_cast<uint8_t>(request_kind::settle));
    write_key(out, settle->key);
  } else if (const auto* stop = std::get_if<stop_request>(&value)) {
    out.number(static_cast<uint8_t>(request_kind::stop));
    write_key(out, stop->key);
    out.number(stop->grace_ms);
  }
}

any_request read_request(byte_reader& in) {
  switch (static_cast<request_kind>(in.number<uint8_t>())) {
  case request_kind::start:
    return read_start(in);
  case request_kind::large_start: {
    const large_start_request large{in.number<uint64_t>()};
    if (large.size > large_start_bytes_max)
      in.reject();
    return large;
  }
  case request_kind::signal: {
    signal_request signal;
    signal.key = read_key(in);
    signal.number = in.number<int32_t>();
    if (signal.number < 1 || signal.number > 64)
      in.reject();
    return signal;
  }
  case request_kind::settle:
    return settle_request{read_key(in)};
  case request_kind::stop: {
    stop_request stop;
    stop.key = read_key(in);
    stop.grace_ms = in.number<int64_t>();
    if (stop.grace_ms < 0 || stop.grace_ms > grace_ms_max)
      in.reject();
    return stop;
  }
  }
  in.reject();
  return settle_request{};
}

void write_event(byte_writer& out, const any_event& value) {
  if (const auto* started = std::get_if<attempt_started>(&value)) {
    out.number(static_cast<uint8_t>(event_kind::started));
    write_started(out, *started);
  } else if (const auto* ended = std::get_if<attempt_ended>(&value)) {
    out.number(static_cast<uint8_t>(event_kind::ended));
    write_ended(out, *ended);
  }
}

any_event read_event(byte_reader& in) {
  switch (static_cast<event_kind>(in.number<uint8_t>())) {
  case event_kind::started:
    return read_started(in);
  case event_kind::ended:
    return read_ended(in);
  }
  in.reject();
  return attempt_started{};
}

/// Reads `u32 count` records with `read_one`; stops at the first that is damaged.
template <class Record, class Reader>
std::vector<Record> read_records(byte_reader& in, Reader read_one) {
  std::vector<Record> records;
  const auto count = in.number<uint32_t>();
  for (uint32_t i = 0; i < count && in.ok(); ++i)
    records.push_back(read_one(in));
  return records;
}

} // namespace

std::string encode(const any_message& value) {
  byte_writer out;
  if (const auto* hello = std::get_if<hello_message>(&value)) {
    write_header(out, packet_type::hello);
    out.number(hello->version_min);
    out.number(hello->version_max);
    out.number(hello->daemon_pid);
    out.text(std::string_view(hello->daemon_version).substr(0, version_text_length_max));
  } else if (const auto* refused = std::get_if<refused_message>(&value)) {
    write_header(out, packet_type::refused);
    out.number(refused->version_min);
    out.number(refused->version_max);
    out.text(std::string_view(refused->reason).substr(0, reason_length_max));
  } else if (const auto* welcome = std::get_if<welcome_message>(&value)) {
    write_header(out, packet_type::welcome);
    out.number(welcome->version);
    out.number(welcome->launcher_pid);
    out.text(std::string_view(welcome->launcher_version).substr(0, version_text_length_max));
    write_identity(out, welcome->program);
    out.text(std::string_view(welcome->containment).substr(0, containment_length_max));
    out.number(welcome->running_max);
    out.number(welcome->upgrades);
    out.text(std::string_view(welcome->upgrade_failure).substr(0, reason_length_max));
  } else if (const auto* listing = std::get_if<listing_message>(&value)) {
    write_header(out, packet_type::listing);
    out.number(static_cast<uint32_t>(listing->attempts.size()));
    for (const known_attempt& attempt : listing->attempts)
      write_known(out, attempt);
  } else if (std::holds_alternative<ready_message>(value)) {
    write_header(out, packet_type::ready);
  } else if (const auto* requests = std::get_if<requests_message>(&value)) {
    write_header(out, packet_type::requests);
    out.number(static_cast<uint32_t>(requests->requests.size()));
    for (const any_request& one : requests->requests)
      write_request(out, one);
  } else if (const auto* events = std::get_if<events_message>(&value)) {
    write_header(out, packet_type::events);
    out.number(static_cast<uint32_t>(events->events.size()));
    for (const any_event& one : events->events)
      write_event(out, one);
  } else if (const auto* introduction = std::get_if<introduction_message>(&value)) {
    write_header(out, packet_type::introduction);
    write_identity(out, introduction->program);
    out.number(introduction->file_mask);
  } else if (const auto* upgrade = std::get_if<upgrade_message>(&value)) {
    write_header(out, packet_type::upgrade);
    out.text(std::string_view(upgrade->version).substr(0, version_text_length_max));
  } else if (const auto* failed = std::get_if<upgrade_failed_message>(&value)) {
    write_header(out, packet_type::upgrade_failed);
    out.text(std::string_view(failed->reason).substr(0, reason_length_max));
  } else if (std::holds_alternative<ping_message>(value)) {
    write_header(out, packet_type::ping);
  } else if (const auto* pong = std::get_if<pong_message>(&value)) {
    write_header(out, packet_type::pong);
    out.number(pong->waiting);
    out.text(std::string_view(pong->shortage).substr(0, reason_length_max));
    out.number(pong->shortage_ms);
  }
  return std::move(out.bytes());
}

result<any_message> decode(std::string_view packet) {
  if (packet.size() > packet_size_max)
    return damaged("it is longer than 65536 bytes");
  byte_reader in(packet);
  if (in.number<uint32_t>() != packet_magic || !in.ok())
    return damaged("it does not begin with the protocol's mark");
  const auto version = in.number<uint16_t>();
  const auto type = static_cast<packet_type>(in.number<uint16_t>());
  if (!in.ok())
    return damaged("it is cut short");
  // These are read whatever their version: that is how two strangers find out.
  const bool any_version = type == packet_type::hello || type == packet_type::refused ||
                           type == packet_type::upgrade || type == packet_type::upgrade_failed;
  if (!any_version && (version < version_of(type) || version > protocol_version_max))
    return damaged("version " + std::to_string(version) + " is not spoken here");

  any_message value;
  switch (type) {
  case packet_type::hello: {
    hello_message hello;
    hello.version_min = in.number<uint16_t>();
    hello.version_max = in.number<uint16_t>();
    hello.daemon_pid = in.number<uint32_t>();
    hello.daemon_version = std::string(in.text(version_text_length_max));
    value = std::move(hello);
    break;
  }
  case packet_type::refused: {
    refused_message refused;
    refused.version_min = in.number<uint16_t>();
    refused.version_max = in.number<uint16_t>();
    refused.reason = std::string(in.text(reason_length_max));
    value = std::move(refused);
    break;
  }
  case packet_type::welcome: {
    welcome_message welcome;
    welcome.version = in.number<uint16_t>();
    welcome.launcher_pid = in.number<uint32_t>();
    welcome.launcher_version = std::string(in.text(version_text_length_max));
    welcome.program = read_identity(in);
    welcome.containment = std::string(in.text(containment_length_max));
    welcome.running_max = in.number<uint32_t>();
    welcome.upgrades = in.number<uint32_t>();
    welcome.upgrade_failure = std::string(in.text(reason_length_max));
    value = std::move(welcome);
    break;
  }
  case packet_type::listing:
    value = listing_message{read_records<known_attempt>(in, read_known)};
    break;
  case packet_type::ready:
    value = ready_message{};
    break;
  case packet_type::requests:
    value = requests_message{read_records<any_request>(in, read_request)};
    break;
  case packet_type::events:
    value = events_message{read_records<any_event>(in, read_event)};
    break;
  case packet_type::introduction: {
    introduction_message introduction;
    introduction.program = read_identity(in);
    introduction.file_mask = in.number<uint32_t>();
    if (introduction.file_mask > 0777)
      in.reject();
    value = introduction;
    break;
  }
  case packet_type::upgrade:
    value = upgrade_message{std::string(in.text(version_text_length_max))};
    break;
  case packet_type::upgrade_failed:
    value = upgrade_failed_message{std::string(in.text(reason_length_max))};
    break;
  case packet_type::ping:
    value = ping_message{};
    break;
  case packet_type::pong: {
    pong_message pong;
    pong.waiting = in.number<uint32_t>();
    pong.shortage = std::string(in.text(reason_length_max));
    pong.shortage_ms = in.number<uint64_t>();
    value = std::move(pong);
    break;
  }
  default:
    return damaged("unknown type " + std::to_string(static_cast<unsigned>(type)));
  }
  if (!in.complete())
    return damaged(in.ok() ? "something is left over at its end" : "a value is damaged or cut short");
  return value;
}

std::string encode_start(const attempt_start& start) {
  byte_writer out;
  write_start(out, start);
  return std::move(out.bytes());
}

result<attempt_start> decode_start(std::string_view bytes) {
  byte_reader in(bytes);
  attempt_start start = read_start(in);
  if (!in.complete())
    return damaged("the start request in the memfd is damaged");
  return start;
}

bool needs_descriptor(const attempt_start& start) noexcept {
  return size_of(start) > inline_start_bytes_max;
}

packet_batch::packet_batch(kind what)
    : what_(what) {}

void packet_batch::add(const any_request& value) {
  byte_writer out;
  write_request(out, value);
  add_record(out.bytes());
}

void packet_batch::add(const any_event& value) {
  byte_writer out;
  write_event(out, value);
  add_record(out.bytes());
}

void packet_batch::add(const known_attempt& value) {
  byte_writer out;
  write_known(out, value);
  add_record(out.bytes());
}

void packet_batch::add_record(const std::string& record) {
  if (count_ > 0 && packet_overhead + records_.size() + record.size() > packet_size_max)
    close_packet();
  records_ += record;
  ++count_;
}

void packet_batch::close_packet() {
  if (count_ == 0)
    return;
  byte_writer out;
  switch (what_) {
  case kind::requests:
    write_header(out, packet_type::requests);
    break;
  case kind::events:
    write_header(out, packet_type::events);
    break;
  case kind::listing:
    write_header(out, packet_type::listing);
    break;
  }
  out.number(count_);
  out.raw(records_);
  packets_.push_back(std::move(out.bytes()));
  records_.clear();
  count_ = 0;
}

std::vector<std::string> packet_batch::take() {
  close_packet();
  return std::exchange(packets_, {});
}

} // namespace task_runner::launcher
