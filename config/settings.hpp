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
  /// Most commands running at once over all channels, 0 to `running_max_max`; 0: as many as the machine and
  /// the channels' workers allow.
  uint32_t running_max = 0;
  /// How process trees are kept together: "auto" (cgroups where they can be had), "cgroup" or "tag".
  std::string containment = "auto";
  /// Most tasks pending or delayed in a channel that does not say, from 1.
  uint64_t tasks_max = 100'000'000;
  /// A task whose attempts were lost to crashes more often than this is dead. 0 to 1000.
  uint32_t recoveries_max = 3;
  bool colorful_tty = false;

  // [retention]
  /// Finished and cancelled tasks are deleted this long after their end, milliseconds; 0: not for their age.
  int64_t retention_age_ms = 7LL * 86'400'000;
  /// The same for dead ones.
  int64_t retention_dead_age_ms = 30LL * 86'400'000;
  /// Ended tasks beyond this number are deleted, the oldest first; 0: any number is kept.
  uint64_t retention_count = 1'000'000;
  /// Ended tasks are deleted, the oldest first, while their output is more than this, bytes; 0: no bound.
  uint64_t retention_bytes = 1'073'741'824;

  // [output]
  /// What is kept of the beginning and of the end of an attempt's output, bytes; 0 (the end: 1) to
  /// `output_part_max`.
  uint64_t output_head = 1'048'576;
  uint64_t output_tail = 1'048'576;

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
  /// How long the answer to a request with an Idempotency-Key is kept, milliseconds;
  /// `idempotency_keep_ms_min` to `idempotency_keep_ms_max`.
  int64_t idempotency_keep_ms = 86'400'000;

  // [log]
  std::string log_level = "info";
  std::string log_format = "text";
  /// Absolute; empty means stderr.
  std::string log_file;

  // [client]
  /// As it was written, HOST:PORT; empty: clients go to `http_host` and `http_port`.
  std::string client_address;
  /// Never logged. Empty: clients send none.
  std::string client_token;

  /// [channel.NAME] sections, by name.
  std::map<std::string, channel_settings> channels;
};

} // namespace task_runner
