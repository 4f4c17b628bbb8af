// What the tests of the configuration share: an input to begin with, files, and checks on refusals.
// Everything is inline, for there is little of it.
#pragma once

#include "config/load.hpp"
#include "test/support/temp_dir.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace task_runner::test {

/// A user with a home, in a working directory, with nothing given.
inline load_input plain_input(std::vector<std::string> arguments = {}) {
  load_input input;
  input.arguments = std::move(arguments);
  input.environment = {{"HOME", "/home/user"}, {"PATH", "/bin"}};
  input.working_directory = "/work dir";
  return input;
}

inline std::string write_file(const temp_dir& directory, const std::string& name, const std::string& text) {
  const std::string path = directory / name;
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

/// Loads with flags alone; fails the test when that is refused.
inline loaded_settings must_load(const load_input& input) {
  auto loaded = load_settings(input);
  INFO((loaded ? std::string() : loaded.failure().message));
  REQUIRE(loaded);
  return *loaded;
}

/// Loads an INI text alone.
inline result<loaded_settings> load_ini(const std::string& text) {
  const temp_dir directory;
  return load_settings(plain_input({"-config", write_file(directory, "x.ini", text)}));
}

/// The sentence a refusal says; checks its form: one line, the right code.
inline std::string refusal_of(const result<loaded_settings>& loaded) {
  REQUIRE_FALSE(loaded);
  CHECK(loaded.failure().code == error_code::invalid_argument);
  const std::string message = loaded.failure().message;
  CHECK(message.find('\n') == std::string::npos);
  return message;
}

inline std::string refusal_of_flags(std::vector<std::string> arguments) {
  return refusal_of(load_settings(plain_input(std::move(arguments))));
}

} // namespace task_runner::test
