// SHA-256 by OpenSSL: tells whether two requests are the same without keeping them.
// A thin face, so that no other file includes OpenSSL's headers.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace task_runner {

/// Adds bytes up to a digest. Not thread-safe. Throws std::bad_alloc where OpenSSL has no memory for it.
class sha256 {
public:
  sha256();
  ~sha256();
  sha256(const sha256&) = delete;
  sha256& operator=(const sha256&) = delete;

  void add(std::string_view bytes);

  /// The 32 bytes of the digest. To be called once; nothing is added afterwards.
  std::string finish();

private:
  struct state;
  std::unique_ptr<state> state_;
};

} // namespace task_runner
