// The messages between the daemon and the launcher: one SOCK_SEQPACKET packet each, at most 64 KiB,
// versioned. Decoding trusts nothing: whatever the bytes are, it answers with a message or an error and never
// reads past them.
#pragma once

#include "services/domain/result.hpp"
#include "services/launcher/program_identity.hpp"
#include "services/ports/process_runner.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace task_runner::launcher {

// Layout of a packet, all numbers little-endian:
//   u32 magic "TRLN", u16 version, u16 type, body.
// hello, refused, upgrade and upgrade_failed keep their bodies in every version, so that strangers can tell
// each other why they part, and a launcher can be replaced by one that speaks the daemon's version.
// A conversation:
//   daemon: hello (+ descriptors: environment memfd, working directory), introduction
//   launcher: welcome, listing..., ready          or: refused, and it closes
//   daemon: requests...     launcher: events...
//   daemon: ping            launcher: pong        from version 3 on, whenever the daemon wants to know
// At any time, even in place of the hello:
//   daemon: upgrade (+ descriptor: the program)
//   launcher: executes it, which closes the connection; a new one finds the new program
//                                                 or: upgrade_failed, and it goes on

/// The versions of the protocol that this build speaks. A packet carries the first version that had it in
/// this layout, so that whoever speaks an older one reads all that he knows.
constexpr uint16_t protocol_version_min = 2;
constexpr uint16_t protocol_version_max = 3;

/// The first version with ping and pong; they are not sent to anybody who speaks an older one.
constexpr uint16_t protocol_version_ping = 3;

/// Largest packet, bytes.
constexpr size_t packet_size_max = 65'536;

/// Most descriptors in one packet.
constexpr size_t packet_descriptors_max = 4;

/// Largest environment a hello may carry in its memfd, bytes. Linux allows argv and environment 2 MiB
/// together under the usual stack limit, so a larger one could not be executed with.
constexpr size_t environment_bytes_max = 4'194'304;

/// Largest encoded start request in a memfd, bytes: the largest argv, input and variables of the domain with
/// their lengths.
constexpr size_t large_start_bytes_max = 4'194'304;

/// The daemon introduces itself. Descriptors: [0] a memfd with NUL-terminated environment entries, [1] the
/// working directory for commands (O_PATH).
struct hello_message {
  uint16_t version_min = protocol_version_min;
  uint16_t version_max = protocol_version_max;
  uint32_t daemon_pid = 0;
  std::string daemon_version;
};

/// The second packet of a daemon.
struct introduction_message {
  program_identity program;
  /// The umask that commands get unless they say another one.
  uint32_t file_mask = 022;
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
  program_identity program;
  /// How whole process trees are held together, as `/status` shows it.
  std::string containment;
  /// Most commands that it runs at once.
  uint32_t running_max = 0;
  /// How often this process has gone over to a new program.
  uint32_t upgrades = 0;
  /// Why it last stayed with its program though it was asked to go over; empty when it never did.
  std::string upgrade_failure;
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

/// The end of the attempt's whole tree: TERM, after `grace_ms` KILL.
struct stop_request {
  attempt_key key;
  /// 0 to grace_ms_max.
  int64_t grace_ms = 0;
};

struct settle_request {
  attempt_key key;
};

using any_request =
    std::variant<attempt_start, large_start_request, signal_request, settle_request, stop_request>;

struct requests_message {
  std::vector<any_request> requests;
};

using any_event = std::variant<attempt_started, attempt_ended>;

struct events_message {
  std::vector<any_event> events;
};

/// The launcher is to show that it works; it answers with a pong.
struct ping_message {};

/// The launcher works, and so it fares.
struct pong_message {
  /// Starts that wait.
  uint32_t waiting = 0;
  /// What the starts wait for when processes, memory or descriptors have run out; empty when they have not.
  std::string shortage;
  /// How long that has been so, milliseconds.
  uint64_t shortage_ms = 0;
};

/// The launcher is to go over to another program. Descriptor [0] is that program, open for reading or as a
/// path.
struct upgrade_message {
  /// The version of the daemon that asks, for the log.
  std::string version;
};

/// The launcher stays with its program.
struct upgrade_failed_message {
  std::string reason;
};

using any_message = std::variant<hello_message, refused_message, welcome_message, listing_message,
                                 ready_message, requests_message, events_message, introduction_message,
                                 upgrade_message, upgrade_failed_message, ping_message, pong_message>;

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
