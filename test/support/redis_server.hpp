// A private redis-server for a test: own port, own directory, loopback only, gone at the end.
// It can be killed and started again on the same port, with or without its data.
#pragma once

#include "test/support/process.hpp"
#include "test/support/redis_client.hpp"
#include "test/support/temp_dir.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace task_runner::test {

struct redis_server_options {
  /// Empty: no password.
  std::string password;
  /// Keep the data across kill() and start(), each write on disk before it is answered.
  bool durable = false;
  /// More flags of redis-server.
  std::vector<std::string> flags;
};

/// Starts a server and waits until it answers. Throws std::runtime_error when it cannot. Not thread-safe.
class redis_server {
public:
  explicit redis_server(redis_server_options options = {});

  /// The same through all restarts.
  uint16_t port() const noexcept { return port_; }
  int pid() const noexcept { return server_ ? server_->pid() : -1; }

  /// A fresh client, logged in where there is a password.
  std::unique_ptr<redis_client> client(int db = 0) const;
  /// One command over a connection of its own.
  redis_value command(const std::vector<std::string>& words) const { return client()->command(words); }

  /// kill -9; without `durable` the data is gone.
  void kill();
  /// Starts it again on the same port, after kill().
  void start();

private:
  bool launch();

  redis_server_options options_;
  temp_dir directory_{"tr-redis"};
  uint16_t port_ = 0;
  std::unique_ptr<process> server_;
};

} // namespace task_runner::test
