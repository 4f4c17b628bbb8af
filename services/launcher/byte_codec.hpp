// Little-endian numbers and length-prefixed text, written to and read from plain bytes with every bound
// checked. The protocol and the journal share it, so that neither trusts a length it has not compared with
// what is there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace task_runner::launcher {

/// Appends values to a string of bytes. Not thread-safe.
class byte_writer {
public:
  template <class Integer>
  void number(Integer value) {
    static_assert(std::is_integral_v<Integer> && !std::is_same_v<Integer, bool>);
    auto rest = static_cast<std::make_unsigned_t<Integer>>(value);
    for (size_t i = 0; i < sizeof(Integer); ++i) {
      bytes_.push_back(static_cast<char>(rest & 0xffU));
      rest = static_cast<decltype(rest)>(static_cast<uint64_t>(rest) >> 8U);
    }
  }

  /// One byte, 0 or 1.
  void flag(bool value) { bytes_.push_back(value ? '\1' : '\0'); }

  /// A 32-bit length, then the bytes.
  void text(std::string_view value) {
    number(static_cast<uint32_t>(value.size()));
    bytes_.append(value);
  }

  /// Bytes as they are, without a length.
  void raw(std::string_view value) { bytes_.append(value); }

  std::string& bytes() noexcept { return bytes_; }

private:
  std::string bytes_;
};

/// Takes values off the front of bytes that may be anything. After the first value that does not fit, `ok()`
/// is false and every further value is zero or empty. Not thread-safe; the bytes must outlive the reader.
class byte_reader {
public:
  explicit byte_reader(std::string_view bytes) noexcept
      : rest_(bytes) {}

  template <class Integer>
  Integer number() noexcept {
    static_assert(std::is_integral_v<Integer> && !std::is_same_v<Integer, bool>);
    if (!ok_ || rest_.size() < sizeof(Integer)) {
      ok_ = false;
      return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < sizeof(Integer); ++i)
      value |= static_cast<uint64_t>(static_cast<unsigned char>(rest_[i])) << (8U * i);
    rest_.remove_prefix(sizeof(Integer));
    return static_cast<Integer>(static_cast<std::make_unsigned_t<Integer>>(value));
  }

  /// One byte; anything but 0 and 1 counts as damage.
  bool flag() noexcept {
    const auto value = number<uint8_t>();
    ok_ = ok_ && value <= 1;
    return ok_ && value == 1;
  }

  /// Text of at most `length_max` bytes; longer counts as damage.
  std::string_view text(size_t length_max) noexcept {
    const auto length = number<uint32_t>();
    if (!ok_ || length > length_max || length > rest_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view value = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return value;
  }

  /// Marks the bytes as damaged: a value was there but is not a legal one.
  void reject() noexcept { ok_ = false; }

  bool ok() const noexcept { return ok_; }
  /// Whether everything was legal and nothing is left over.
  bool complete() const noexcept { return ok_ && rest_.empty(); }
  size_t left() const noexcept { return rest_.size(); }

private:
  std::string_view rest_;
  bool ok_ = true;
};

} // namespace task_runner::launcher
