// The page that a test shares with the library that it has the daemon loaded with (preload.cpp).
// Plain numbers and bytes: every program that the daemon starts maps the same file.
#pragma once

#include <cstdint>

namespace task_runner::test {

/// The environment variable with the path of the file.
constexpr const char* preload_page_variable = "TR_TEST_PRELOAD_PAGE";

struct preload_page {
  /// What is added to every reading of the wall clock, milliseconds.
  int64_t clock_shift_ms;
  /// Not 0: files below `read_only_directory` can be read and not written.
  int32_t read_only;
  /// Writes that have been refused.
  int32_t writes_refused;
  /// Absolute, with everything resolved, without a slash at the end; empty: none.
  char read_only_directory[512];
};

} // namespace task_runner::test
