// An owned file descriptor. It is closed once, on every way out.
#pragma once

#include <utility>

namespace task_runner {

/// Owns one file descriptor, or none. Move-only; not thread-safe.
class descriptor {
public:
  descriptor() = default;
  /// Takes ownership; a negative number means none, as a failed open() gives.
  explicit descriptor(int number) noexcept
      : number_(number) {}
  descriptor(descriptor&& other) noexcept
      : number_(std::exchange(other.number_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    if (this != &other) {
      reset();
      number_ = std::exchange(other.number_, -1);
    }
    return *this;
  }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() { reset(); }

  int get() const noexcept { return number_; }
  explicit operator bool() const noexcept { return number_ >= 0; }

  /// Closes it now, if there is one.
  void reset() noexcept;

private:
  int number_ = -1;
};

} // namespace task_runner
