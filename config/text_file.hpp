// Reading one small file whole, with its permissions. A failure says why it could not be read.
#pragma once

#include "services/domain/result.hpp"

#include <cstddef>
#include <string>

namespace task_runner {

/// A file's bytes, and whether every user of the machine may read it.
struct text_file {
  std::string text;
  bool readable_by_all = false;
};

/// Reads a file (or a pipe, as `<(…)` of a shell gives) of at most `bytes_max` bytes. `invalid_argument` with
/// a message that names the path when it cannot be read or is larger.
result<text_file> read_text_file(const std::string& path, size_t bytes_max);

} // namespace task_runner
