// Process trees that do not want to end: a catalogue of commands for the tests that end them.
// They run in the test program's own binary, as `BINARY --hostile NAME REGISTER`, or as lines of a shell.
#pragma once

#include <string>
#include <vector>

namespace launcher_test {

/// One hostile tree.
struct hostile_tree {
  const char* name;
  /// Processes that enter their pid into the register before the tree is complete.
  int processes;
  /// What it does; run in the process that the launcher starts. Null: `line` is run by a shell.
  void (*behave)();
  /// A shell line; `REG` in it stands for a command that registers the pid given behind it.
  const char* line;
  /// Can be had by root only, and needs something that not every kernel or sandbox gives.
  bool needs_root;
  /// Run as the user nobody with this limit of processes; 0: as the test's own user.
  int process_limit;
};

/// All of them.
const std::vector<hostile_tree>& hostile_trees();

/// What main() does for `--hostile NAME REGISTER`.
int be_hostile(const std::string& name, const std::string& register_path);

} // namespace launcher_test
