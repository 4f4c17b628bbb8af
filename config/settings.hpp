// Every setting of the daemon with its default and its limits, as one plain value.
// Produced by load_settings (config/load.hpp) out of flags, environment, INI file and defaults.
#pragma once

#include "services/domain/channel.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace task_runner {

/// Where the Redis password was given: nowhere, as a value, or in a file of its own.
enum class redis_password_source : uint8_t { none, value, file };

struct settings {
  // [daemon]
  std::string channel_default = "default";
  /// Workers of a channel that asks for none of its own. 1 to worker_max.
  uint32_t concurrent = 5;
  /// Absolute after loading.
  std::string pidfile = "/tmp/task-runner.pid";
  /// false: accept and store, run nothing.
  bool task_mode = true;
  /// Absolute after loading.
  std::string state_dir;
  /// The only one so far: "embedded".
  std::string store = "embedded";
  /// Longest wait for running commands at shutdown, milliseconds; 0 waits without end.
  int64_t drain_timeout_ms = 0;
  bool colorful_tty = false;

  // [redis]
  std::string redis_host = "127.0.0.1";
  uint16_t redis_port = 6379;
  /// Read from the password file where one is given. Never logged, never in the environment of a command.
  std::string redis_password;
  redis_password_source redis_password_from = redis_password_source::none;
  /// Absolute; empty unless the password comes from a file.
  std::string redis_password_file;
  /// 0 to 15.
  uint32_t redis_db = 0;
  bool redis_intake = true;
  std::vector<std::string> intake_keys = {"task:prepare:queue"};

  // [http]
  /// An address or a host name, without brackets; `localhost` stands here as 127.0.0.1.
  std::string http_host = "127.0.0.1";
  /// 0 takes a free port (the log and the pid file's neighbour say which).
  uint16_t http_port = 60001;
  /// Host names that requests may name besides loopback ones, without port.
  std::vector<std::string> http_allow_hosts;
  bool http_allow_remote = false;
  bool http_legacy_200 = false;
  /// Largest request body, bytes.
  uint64_t http_body_max = 1'048'576;

  // [log]
  std::string log_level = "info";
  std::string log_format = "text";
  /// Absolute; empty means stderr.
  std::string log_file;

  /// [channel.NAME] sections, by name.
  std::map<std::string, channel_settings> channels;
};

} // namespace task_runner
