// Decoder of chunked request bodies, byte stream in and body out, with every length bounded.
// Pure; extensions and trailers are read and dropped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace task_runner {

/// Longest chunk-size line with its extensions, and longest trailer line, in bytes.
constexpr size_t chunk_line_max = 1'024;

/// Most bytes of all trailers together.
constexpr size_t chunk_trailers_max = 8'192;

enum class chunk_progress : uint8_t { more, done, malformed, too_large };

/// One chunked body. Not thread-safe.
class chunked_decoder {
public:
  explicit chunked_decoder(uint64_t body_max)
      : body_max_(body_max) {}

  /// Takes what it can from the front of `input`, removing it, and appends the data to `body`.
  /// `more` when all of `input` is used up; `done` leaves what follows the body in `input`.
  chunk_progress feed(std::string_view& input, std::string& body);

private:
  enum class part : uint8_t { size_line, data, data_end, trailer };

  chunk_progress end_of_line(std::string& body);
  chunk_progress begin_chunk(const std::string& body);

  uint64_t body_max_;
  part part_ = part::size_line;
  /// The unfinished line, without its LF.
  std::string line_;
  uint64_t data_left_ = 0;
  size_t trailer_bytes_ = 0;
};

} // namespace task_runner
