// The rounds of SHA-256, block by block.
#include "services/domain/sha256.hpp"

#include <algorithm>

namespace task_runner {

namespace {

constexpr std::array<uint32_t, 64> round_constants{
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/// Where the length of the whole stands in the last block.
constexpr size_t length_place = 56;

constexpr uint32_t turned(uint32_t value, unsigned bits) noexcept {
  return (value >> bits) | (value << (32 - bits));
}

} // namespace

void sha256::mix(const unsigned char* block) noexcept {
  std::array<uint32_t, 64> words{};
  for (size_t i = 0; i < 16; ++i)
    words[i] = static_cast<uint32_t>(block[4 * i]) << 24 | static_cast<uint32_t>(block[4 * i + 1]) << 16 |
               static_cast<uint32_t>(block[4 * i + 2]) << 8 | static_cast<uint32_t>(block[4 * i + 3]);
  for (size_t i = 16; i < 64; ++i) {
    const auto early = words[i - 15];
    const auto late = words[i - 2];
    words[i] = words[i - 16] + (turned(early, 7) ^ turned(early, 18) ^ (early >> 3)) + words[i - 7] +
               (turned(late, 17) ^ turned(late, 19) ^ (late >> 10));
  }
  auto [a, b, c, d, e, f, g, h] = state_;
  for (size_t i = 0; i < 64; ++i) {
    const auto chosen = (e & f) ^ (~e & g);
    const auto one =
        h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + chosen + round_constants[i] + words[i];
    const auto majority = (a & b) ^ (a & c) ^ (b & c);
    const auto other = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + majority;
    h = g;
    g = f;
    f = e;
    e = d + one;
    d = c;
    c = b;
    b = a;
    a = one + other;
  }
  const std::array<uint32_t, 8> mixed{a, b, c, d, e, f, g, h};
  for (size_t i = 0; i < state_.size(); ++i)
    state_[i] += mixed[i];
}

void sha256::add(std::string_view bytes) noexcept {
  for (size_t at = 0; at < bytes.size();) {
    const size_t filled = bytes_ % block_bytes;
    const size_t taken = std::min(block_bytes - filled, bytes.size() - at);
    std::copy_n(bytes.data() + at, taken, waiting_.begin() + static_cast<std::ptrdiff_t>(filled));
    at += taken;
    bytes_ += taken;
    if (filled + taken == block_bytes)
      mix(waiting_.data());
  }
}

std::string sha256::finish() {
  const uint64_t bits = bytes_ * 8;
  const std::string_view end("\x80", 1);
  add(end);
  while (bytes_ % block_bytes != length_place)
    add(std::string_view("\0", 1));
  std::string length;
  for (unsigned shift = 64; shift > 0; shift -= 8)
    length += static_cast<char>(bits >> (shift - 8) & 0xff);
  add(length);
  std::string digest;
  for (const auto word : state_)
    for (unsigned shift = 32; shift > 0; shift -= 8)
      digest += static_cast<char>(word >> (shift - 8) & 0xff);
  return digest;
}

} // namespace task_runner
