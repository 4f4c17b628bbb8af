// Where a Redis server is and how to be let in; kept apart so that no user of it needs hiredis.
#pragma once

#include <cstdint>
#include <string>

namespace task_runner {

/// One Redis server and database.
struct redis_endpoint {
  std::string host = "127.0.0.1";
  uint16_t port = 6379;
  /// Empty: no AUTH is sent. Never logged, never part of a message.
  std::string password;
  uint32_t db = 0;
};

} // namespace task_runner
