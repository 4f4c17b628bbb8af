// The one table of settings: name, place in the INI file, kind of value, help, and the way into `settings`.
// Flags, environment and INI all go through the Boost.Program_options description that is made of it.
#pragma once

#include "config/settings.hpp"
#include "services/domain/result.hpp"

#include <boost/any.hpp>
#include <boost/program_options/options_description.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace task_runner {

/// How an option behaves on the command line.
enum class option_kind : uint8_t {
  /// Takes one value.
  value,
  /// Takes none, or one behind `=`.
  boolean,
  /// Takes one value and may be repeated; a value may hold several entries separated by commas.
  list,
};

/// The places an option may be given in, as bits.
enum option_place : unsigned { in_flags = 1, in_environment = 2, in_ini = 4 };

/// One row of the table. Text fields are never null.
struct option_row {
  std::string name;
  option_kind kind = option_kind::value;
  unsigned places = 0;
  /// Section and key in the INI file; empty without in_ini.
  std::string section;
  std::string key;
  /// What stands for the value in the help, such as HOST:PORT.
  std::string placeholder;
  std::string help;
  /// The deprecated name of another option; empty for all but two.
  std::string alias_of;
  /// Never part of a message or a description.
  bool secret = false;
  /// Makes the validator; owned by the description it is given to.
  boost::program_options::value_semantic* (*semantic)() = nullptr;
  /// Puts a validated value into the settings; null where the loader itself does.
  void (*apply)(const boost::any& value, settings& into) = nullptr;
  /// The value in force as text that could be given again; null where there is nothing to show.
  std::string (*show)(const settings& values) = nullptr;
};

/// All rows, in the order of the help. Thread-safe.
const std::vector<option_row>& option_rows();

/// The row of a flag's name (or of the environment's, see environment_name), or null.
const option_row* find_option(std::string_view name);

/// The row of an INI key, or null.
const option_row* find_option(std::string_view section, std::string_view key);

/// `TASK_RUNNER_REDIS_HOST` for `redis-host`.
std::string environment_name(std::string_view option_name);

/// The description of all options for Boost.Program_options, with one validator each.
boost::program_options::options_description make_description();

/// A value somebody gave, and where, ready for a message: "flag -redis-db", "FILE:12 [redis] db".
struct given_value {
  const option_row* row = nullptr;
  std::string text;
  std::string place;
};

/// A given value that its validator has accepted.
struct checked_value {
  given_value given;
  boost::any value;
};

/// Runs the validators over the values of one source. Fails on the first that is refused.
result<std::vector<checked_value>> check_values(const std::vector<given_value>& given);

/// The value's text for a message: quoted, or nothing at all where it is or may hold a secret.
std::string shown_value(const given_value& given);

} // namespace task_runner
