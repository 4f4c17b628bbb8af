// A server that says what it was told to say, whatever it is asked: for clients that meet a daemon at its
// worst. One request for each connection, which is closed behind the answer.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace task_runner::test {

/// Listens on a port of its own of 127.0.0.1. Throws std::runtime_error when it cannot.
class scripted_server {
public:
  /// Gives these answers one after the other; behind the last one nobody is answered any more.
  explicit scripted_server(std::vector<std::string> answers);
  ~scripted_server();
  scripted_server(const scripted_server&) = delete;
  scripted_server& operator=(const scripted_server&) = delete;

  uint16_t port() const noexcept { return port_; }
  /// What was asked so far, head and body.
  std::vector<std::string> requests() const;

private:
  void run();

  const std::vector<std::string> answers_;
  int listener_ = -1;
  uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

/// An answer with this status and body.
std::string answer_text(int status, const std::string& content_type, const std::string& body);

/// The API's envelope around `data`, which is JSON.
std::string envelope_text(int status, const std::string& message, const std::string& data = "null");

} // namespace task_runner::test
