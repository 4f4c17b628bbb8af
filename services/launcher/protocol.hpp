// The messages between the daemon and the launcher: one SOCK_SEQPACKET packet each, at most 64 KiB,
// versioned. Decoding trusts nothing: whatever the bytes are, it answers with a message or an error and never
// reads past them.
#pragma once

#include "services/domain/result.hpp"
#include "services/ports/process_runner.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace task_runner::launcher {

// Layout of a packet, all numbers little-endian:
//   u32 magic "TRLN", u16 version, u16 type, body.
// hello and refused keep their bodies in every version, so that strangers can tell each other why they part.
// A conversation:
//   daemon: hello (+ descriptors: environment memfd, working directory)
//   launcher: welcome, listing..., ready          or: refused, and it closes
//   daemon: requests...     launcher: events...

/// The versions of the protocol that this build speaks.
constexpr uint16_t protocol_version_min = 1;
constexpr uint16_t protocol_version_max = 1;

/// Largest packet, bytes.
constexpr size_t packet_size_max = 65'536;

/// Most descriptors in one packet.
constexpr size_t packet_descriptors_max = 4;

/// Largest environment a hello may carry in its memfd, bytes. Linux allows argv and environment 2 MiB
/// together under the usual stack limit, so a larger one could not be executed with.
constexpr size_t environment_bytes_max = 4'194'304;

/// Largest encoded start request in a memfd, bytes: the largest argv of the domain with its lengths.
constexpr size_t large_start_bytes_max = 2'097'152;

/// The daemon introduces itself. Descriptors: [0] a memfd with NUL-terminated environment entries, [1] the
/// working directory for commands (O_PATH).
struct hello_message {
  uint16_t version_min = protocol_version_min;
  uint16_t version_max = protocol_version_max;
  uint32_t daemon_pid = 0;
  std::string daemon_version;
};

/// The launcher will not talk: no common version, or a packet that makes no sense. It closes afterwards.
struct refused_message {
  uint16_t version_min = protocol_version_min;
  uint16_t version_max = protocol_version_max;
  std::string reason;
};

/// The launcher accepts and names the version both will use.
struct welcome_message {
  uint16_t version = protocol_version_max;
  uint32_t launcher_pid = 0;
  std::string launcher_version;
};

/// A part of what the launcher knows: waiting, running, and ended without having been settled.
struct listing_message {
  std::vector<known_attempt> attempts;
};

/// The listing is complete; events follow from here on.
struct ready_message {};

/// A start too large for a packet: descriptor [0] is a memfd with `size` bytes of encode_start(). Alone in
/// its packet.
struct large_start_request {
  uint64_t size = 0;
};

struct signal_request {
  attempt_key key;
  /// 1 to 64.
  int number = 0;
};

struct settle_request {
  attempt_key key;
};

using any_request = std::variant<attempt_start, large_start_request, signal_request, settle_request>;

struct requests_message {
  std::vector<any_request> requests;
};

using any_event = std::variant<attempt_started, attempt_ended>;

struct events_message {
  std::vector<any_event> events;
};

using any_message = std::variant<hello_message, refused_message, welcome_message, listing_message,
                                 ready_message, requests_message, events_message>;

/// One message as a packet. The caller keeps lists small enough for `packet_size_max` (see packet_batch).
std::string encode(const any_message& value);

/// A packet as a message; `invalid_argument` for anything that is not exactly one legal message of a version
/// this build speaks.
result<any_message> decode(std::string_view packet);

/// One start request as the bytes of a memfd, and back.
std::string encode_start(const attempt_start& start);
result<attempt_start> decode_start(std::string_view bytes);

/// Collects records of one kind into packets that keep below `packet_size_max`. Not thread-safe.
class packet_batch {
public:
  enum class kind : uint8_t { requests, events, listing };

  explicit packet_batch(kind what);

  void add(const any_request& value);
  void add(const any_event& value);
  void add(const known_attempt& value);

  /// Takes all packets, the unfinished one included, and starts anew.
  std::vector<std::string> take();

  bool empty() const noexcept { return packets_.empty() && count_ == 0; }

private:
  void add_record(const std::string& record);
  void close_packet();

  kind what_;
  uint32_t count_ = 0;
  std::string records_;
  std::vector<std::string> packets_;
};

/// Whether a start of this size must travel in a memfd.
bool needs_descriptor(const attempt_start& start) noexcept;

} // namespace task_runner::launcher
