// A file descriptor with one owner, closed when the owner goes.
// The launcher and its client pass descriptors about a lot; this is what keeps them from leaking.
#pragma once

#include <unistd.h>
#include <utility>

namespace task_runner::launcher {

/// Owns one descriptor, or none (-1). Not thread-safe.
class owned_descriptor {
public:
  owned_descriptor() = default;
  explicit owned_descriptor(int descriptor) noexcept
      : descriptor_(descriptor) {}
  owned_descriptor(owned_descriptor&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)) {}
  owned_descriptor& operator=(owned_descriptor&& other) noexcept {
    if (this != &other)
      reset(std::exchange(other.descriptor_, -1));
    return *this;
  }
  owned_descriptor(const owned_descriptor&) = delete;
  owned_descriptor& operator=(const owned_descriptor&) = delete;
  ~owned_descriptor() { reset(); }

  int get() const noexcept { return descriptor_; }
  explicit operator bool() const noexcept { return descriptor_ >= 0; }

  /// Closes what is owned and takes `descriptor` in its place.
  void reset(int descriptor = -1) noexcept {
    if (descriptor_ >= 0)
      ::close(descriptor_);
    descriptor_ = descriptor;
  }

private:
  int descriptor_ = -1;
};

} // namespace task_runner::launcher
