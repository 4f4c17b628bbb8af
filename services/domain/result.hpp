// result<T>: a value or an error, for every call that can fail.
// C++17 has no std::expected; this is the small part of it that is needed.
#pragma once

#include "services/domain/error.hpp"

#include <cassert>
#include <utility>
#include <variant>

namespace task_runner {

/// A value of type T, or the error that says why there is none. Test it before use:
/// `*r` on an error and `r.failure()` on a value are programming mistakes (asserted).
template <class T>
class [[nodiscard]] result {
public:
  result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}
  result(error failure)
      : state_(std::in_place_index<1>, std::move(failure)) {}

  explicit operator bool() const noexcept { return state_.index() == 0; }

  T& operator*() & {
    assert(*this);
    return *std::get_if<0>(&state_);
  }
  const T& operator*() const& {
    assert(*this);
    return *std::get_if<0>(&state_);
  }
  T&& operator*() && {
    assert(*this);
    return std::move(*std::get_if<0>(&state_));
  }
  T* operator->() { return &**this; }
  const T* operator->() const { return &**this; }

  const error& failure() const {
    assert(!*this);
    return *std::get_if<1>(&state_);
  }

private:
  std::variant<T, error> state_;
};

/// Success without a value, or an error. `return {};` is success.
template <>
class [[nodiscard]] result<void> {
public:
  result() = default;
  result(error failure)
      : failure_(std::move(failure))
      , failed_(true) {}

  explicit operator bool() const noexcept { return !failed_; }

  const error& failure() const {
    assert(failed_);
    return failure_;
  }

private:
  error failure_;
  bool failed_ = false;
};

} // namespace task_runner
