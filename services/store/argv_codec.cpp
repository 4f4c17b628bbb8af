// Encoding and decoding of argument vectors.
// Written byte by byte, so that the file means the same on every machine.
#include "services/store/argv_codec.hpp"

#include <cstdint>

namespace task_runner {

namespace {

constexpr size_t length_bytes = 4;

} // namespace

std::string encode_argv(const std::vector<std::string>& words) {
  size_t total = 0;
  for (const auto& word : words)
    total += length_bytes + word.size();
  std::string stored;
  stored.reserve(total);
  for (const auto& word : words) {
    const auto length = static_cast<uint32_t>(word.size());
    for (unsigned shift = 0; shift < 32; shift += 8)
      stored.push_back(static_cast<char>(static_cast<unsigned char>((length >> shift) & 0xff)));
    stored += word;
  }
  return stored;
}

std::optional<std::vector<std::string>> decode_argv(std::string_view stored) {
  std::vector<std::string> words;
  while (!stored.empty()) {
    if (stored.size() < length_bytes)
      return std::nullopt;
    uint32_t length = 0;
    for (unsigned i = 0; i < length_bytes; ++i)
      length |= static_cast<uint32_t>(static_cast<unsigned char>(stored[i])) << (8 * i);
    stored.remove_prefix(length_bytes);
    if (length > stored.size())
      return std::nullopt;
    words.emplace_back(stored.substr(0, length));
    stored.remove_prefix(length);
  }
  return words;
}

} // namespace task_runner
