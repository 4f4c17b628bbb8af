// The way from a command line, an environment and an INI file to one checked settings value.
// Pure but for reading the INI file and the password file: what it depends on comes in as a value.
#pragma once

#include "config/settings.hpp"
#include "services/domain/channel.hpp"
#include "services/domain/result.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace task_runner {

/// What the process was started with.
struct load_input {
  /// Without the program's name.
  std::vector<std::string> arguments;
  std::map<std::string, std::string> environment;
  /// Root keeps its state in /var/lib.
  bool is_root = false;
  /// Absolute; relative paths start here.
  std::string working_directory;
};

/// Copies what a process was started with. Call it before scrub_secrets (services/os/secret_args.hpp)
/// overwrites the originals. `environment` is the third argument of main, or `environ`; may be null.
load_input capture_input(int argc, const char* const* argv, const char* const* environment);

/// What the process was asked to do.
enum class daemon_action : uint8_t { run, help, version, check_config };

/// The settings in force, and what the command line wants done with them.
struct loaded_settings {
  /// Only defaults when the action is help or version.
  settings values;
  daemon_action action = daemon_action::run;
  /// Each a sentence for the log, said once: deprecated names, variables that nobody reads, readable secrets.
  std::vector<std::string> warnings;
  /// Absolute path of the INI file; empty without one.
  std::string config_file;
};

/// Checks everything that was given and merges it: flags over environment over INI over defaults.
/// A failure is `invalid_argument` with one line that says what, where and what is allowed, and that never
/// holds a password. Thread-safe.
result<loaded_settings> load_settings(const load_input& input);

/// Reads an INI file again and returns its [channel.NAME] sections, for a reload. The whole file is checked,
/// so that a typo elsewhere is told now and not at the next start. Fails as load_settings does.
result<std::map<std::string, channel_settings>> reload_channels(const std::string& config_file);

/// What `-help` prints, with the defaults in force and a final newline.
std::string help_text();

/// The settings as an INI file that loads to the same settings, but for the password, of which it only says
/// whether it is set.
std::string describe_settings(const settings& values);

} // namespace task_runner
