// The words of the launcher's command line: what the daemon starts it with, and what it hands to itself when
// it goes over to another program.
#pragma once

#include "services/domain/result.hpp"
#include "services/launcher/launcher.hpp"

#include <string>
#include <vector>

namespace task_runner::launcher {

/// What a launcher is executed for.
struct launcher_command {
  launcher_options options;
  /// A descriptor with a handover to go on from; -1: a launcher begins anew.
  int resume = -1;
  /// With `resume`: a descriptor of the former program, which takes over again where this one cannot; -1:
  /// none.
  int fallback = -1;
  /// A descriptor with a handover; the process only says whether it understands it. -1: it does not.
  int check = -1;
};

/// Reads the words behind the program's name, `--launcher` first: `--state-dir DIR`, and, all hidden,
/// `--containment KIND`, `--command-descriptors N`, `--idle-grace-ms N`, `--head-bytes N`, `--tail-bytes N`,
/// `--resume FD`,
/// `--fallback FD`, `--check-handover FD`. `invalid_argument` with a sentence.
result<launcher_command> parse_launcher_words(const std::vector<std::string>& words);

/// The words that give these options again, `--launcher` first.
std::vector<std::string> launcher_words(const launcher_options& options);

} // namespace task_runner::launcher
