// Runs redis-server as a child process; another process that takes the port first only costs another round.
// A server counts as started when it answers under its own process id and has loaded its data.
#include "test/support/redis_server.hpp"

#include "test/support/free_port.hpp"

#include <stdexcept>

namespace task_runner::test {

redis_server::redis_server(redis_server_options options)
    : options_(std::move(options)) {
  for (int round = 0; round < 5; ++round) {
    port_ = free_port();
    if (launch())
      return;
  }
  throw std::runtime_error("redis-server cannot be started: " + server_->output());
}

bool redis_server::launch() {
  process_options start;
  start.argv = {
      "redis-server", "--port",          std::to_string(port_), "--bind", "127.0.0.1",  "--save", "",
      "--dir",        directory_.path(), "--daemonize",         "no",     "--loglevel", "warning"};
  if (options_.durable)
    start.argv.insert(start.argv.end(), {"--appendonly", "yes", "--appendfsync", "always"});
  else
    start.argv.insert(start.argv.end(), {"--appendonly", "no"});
  if (!options_.password.empty())
    start.argv.insert(start.argv.end(), {"--requirepass", options_.password});
  start.argv.insert(start.argv.end(), options_.flags.begin(), options_.flags.end());
  start.merge_output = true;
  server_ = std::make_unique<process>(std::move(start));
  const bool answered = wait_until([&] {
    if (!server_->running())
      return true;
    try {
      const auto facts = command({"INFO"}).text;
      // Somebody else's server on that port would have another process id.
      return facts.find("process_id:" + std::to_string(server_->pid()) + "\r\n") != std::string::npos &&
             facts.find("\r\nloading:0\r\n") != std::string::npos;
    } catch (const std::runtime_error&) {
      return false;
    }
  });
  return answered && server_->running();
}

std::unique_ptr<redis_client> redis_server::client(int db) const {
  return std::make_unique<redis_client>(port_, options_.password, db);
}

void redis_server::kill() {
  server_->kill();
}

void redis_server::start() {
  if (!wait_until([&] { return launch(); }))
    throw std::runtime_error("redis-server cannot be started again: " + server_->output());
}

} // namespace task_runner::test
