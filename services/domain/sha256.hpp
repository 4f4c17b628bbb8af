// SHA-256 (FIPS 180-4): tells whether two requests are the same without keeping them.
// Pure; as fast as a plain loop is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace task_runner {

/// Adds bytes up to a digest. Not thread-safe.
class sha256 {
public:
  void add(std::string_view bytes) noexcept;

  /// The 32 bytes of the digest. To be called once; nothing is added afterwards.
  std::string finish();

private:
  static constexpr size_t block_bytes = 64;

  void mix(const unsigned char* block) noexcept;

  std::array<uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<unsigned char, block_bytes> waiting_{};
  uint64_t bytes_ = 0;
};

} // namespace task_runner
