// Chunk sizes, data and trailers (RFC 9112, section 7.1), read strictly.
#include "services/http/chunked_body.hpp"

#include "services/http/http_text.hpp"

#include <algorithm>

namespace task_runner {

namespace {

/// Hexadecimal digits of a chunk size that can still be within a limit.
constexpr size_t size_digits_max = 15;

} // namespace

chunk_progress chunked_decoder::feed(std::string_view& input, std::string& body) {
  while (!input.empty()) {
    if (part_ == part::data) {
      const auto taken = static_cast<size_t>(std::min<uint64_t>(data_left_, input.size()));
      body.append(input.data(), taken);
      input.remove_prefix(taken);
      data_left_ -= taken;
      if (data_left_ == 0)
        part_ = part::data_end;
      continue;
    }
    const auto feed_at = input.find('\n');
    line_.append(input.substr(0, feed_at));
    if (line_.size() > chunk_line_max)
      return chunk_progress::malformed;
    if (feed_at == std::string_view::npos) {
      input = {};
      break;
    }
    input.remove_prefix(feed_at + 1);
    if (line_.empty() || line_.back() != '\r')
      return chunk_progress::malformed;
    line_.pop_back();
    if (const auto progress = end_of_line(body); progress != chunk_progress::more)
      return progress;
    line_.clear();
  }
  return chunk_progress::more;
}

chunk_progress chunked_decoder::end_of_line(std::string& body) {
  switch (part_) {
  case part::size_line:
    return begin_chunk(body);
  case part::data_end:
    if (!line_.empty())
      return chunk_progress::malformed;
    part_ = part::size_line;
    return chunk_progress::more;
  case part::trailer:
    if (line_.empty())
      return chunk_progress::done;
    trailer_bytes_ += line_.size();
    if (trailer_bytes_ > chunk_trailers_max || line_.find(':') == std::string::npos)
      return chunk_progress::malformed;
    return chunk_progress::more;
  case part::data:
    break;
  }
  return chunk_progress::malformed;
}

chunk_progress chunked_decoder::begin_chunk(const std::string& body) {
  const auto digits = trim_blanks(std::string_view(line_).substr(0, line_.find(';')));
  if (digits.empty() || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos)
    return chunk_progress::malformed;
  if (digits.size() > size_digits_max)
    return chunk_progress::too_large;
  uint64_t size = 0;
  for (char c : digits)
    size = size * 16 + static_cast<uint64_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  if (size > body_max_ || body.size() > body_max_ - size)
    return chunk_progress::too_large;
  data_left_ = size;
  part_ = size == 0 ? part::trailer : part::data;
  return chunk_progress::more;
}

} // namespace task_runner
