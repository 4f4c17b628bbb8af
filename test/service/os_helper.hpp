// The test program can start itself in a part. Then it is a process of its own, with a command line, a pid
// and signals.
#pragma once

#include "test/support/process.hpp"

#include <string>
#include <vector>

namespace task_runner::test {

/// Names the part in the environment of the copy.
constexpr const char* part_variable = "TR_OS_TEST_PART";

/// How to start this program in a part: see os_helper.cpp for the parts. `arguments` follow the program's
/// name.
process_options part_of_helper(const std::string& part, std::vector<std::string> arguments = {});

/// All bytes of a file; empty when it cannot be read.
std::string read_bytes(const std::string& path);

} // namespace task_runner::test
