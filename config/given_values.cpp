// The command line is read by an extra style parser of Boost.Program_options. The library's own styles guess
// prefixes and refuse empty values, and their messages may quote a password.
#include "config/given_values.hpp"

#include "config/values.hpp"

#include <boost/program_options/option.hpp>
#include <boost/program_options/parsers.hpp>

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

namespace task_runner {

namespace po = boost::program_options;

namespace {

/// Carries a sentence through Program_options' parser.
class refused_arguments : public std::exception {
public:
  explicit refused_arguments(std::string message)
      : message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }

private:
  std::string message_;
};

constexpr const char* see_help = "; task-runner -help lists the flags";

/// A word taken apart: `-name`, `--name`, each with or without `=value`.
struct flag_word {
  std::string name;
  std::optional<std::string> value;
};

/// Nothing when the word is no flag at all.
std::optional<flag_word> split_flag(const std::string& word) {
  if (word.size() < 2 || word[0] != '-')
    return std::nullopt;
  const size_t begin = word[1] == '-' ? 2 : 1;
  const size_t equals = word.find('=', begin);
  flag_word flag{word.substr(begin, equals == std::string::npos ? equals : equals - begin), std::nullopt};
  if (flag.name.empty() || flag.name[0] == '-')
    return std::nullopt;
  if (equals != std::string::npos)
    flag.value = word.substr(equals + 1);
  if (flag.name == "h")
    flag.name = "help";
  return flag;
}

const option_row* known_flag(const std::string& name) {
  const option_row* row = find_option(name);
  return row != nullptr && (row->places & in_flags) != 0 ? row : nullptr;
}

/// An unknown flag as a message may show it: a password glued to the flag's name stays out.
std::string shown_flag(const std::string& name) {
  const size_t at = name.find("password");
  if (at == std::string::npos)
    return quote_for_message("-" + name);
  return quote_for_message("-" + name.substr(0, at + 8) + "…");
}

/// Turns words into options one at a time, and remembers what a good message needs.
class flag_reader {
public:
  std::vector<po::option> read(std::vector<std::string>& words) {
    const std::string word = words.front();
    if (word == "--") {
      words.erase(words.begin());
      if (words.empty())
        return {};
      refuse_stray(words.front());
    }
    const auto flag = split_flag(word);
    if (!flag)
      refuse_stray(word);
    words.erase(words.begin());
    const option_row* row = known_flag(flag->name);
    if (row == nullptr)
      refuse_unknown(flag->name);
    seen_secret_ = seen_secret_ || row->secret;
    previous_ = row;
    return {po::option(row->name, {value_of(*row, *flag, words)})};
  }

private:
  static std::string value_of(const option_row& row, const flag_word& flag, std::vector<std::string>& words) {
    if (flag.value)
      return *flag.value;
    if (row.kind == option_kind::boolean)
      return "true";
    const std::string missing =
        "flag -" + row.name + ": the value is missing; give -" + row.name + " " + row.placeholder;
    if (words.empty())
      throw refused_arguments(missing);
    // The next word is the value even when it begins with a dash, unless it is a flag: then it was forgotten.
    const auto next = split_flag(words.front());
    if (next && known_flag(next->name) != nullptr)
      throw refused_arguments(missing + " (or -" + row.name + "=VALUE, if the value begins with a dash)");
    std::string value = words.front();
    words.erase(words.begin());
    return value;
  }

  [[noreturn]] static void refuse_unknown(const std::string& name) {
    const option_row* row = find_option(name);
    if (row != nullptr && (row->places & in_ini) != 0)
      throw refused_arguments("flag -" + name + ": accepted in the INI file only; write " + row->key +
                              " = true under [" + row->section + "]");
    throw refused_arguments("flag " + shown_flag(name) + ": there is no such flag" + see_help);
  }

  [[noreturn]] void refuse_stray(const std::string& word) const {
    // Behind a password a stray word is likely its second half.
    const std::string shown = seen_secret_ ? "a word" : quote_for_message(word);
    const bool meant_for_boolean = previous_ != nullptr && previous_->kind == option_kind::boolean &&
                                   static_cast<bool>(parse_switch(word));
    if (meant_for_boolean)
      throw refused_arguments("command line: " + shown + " stands alone; write -" + previous_->name + "=" +
                              word);
    throw refused_arguments("command line: " + shown +
                            " is not a flag; values stand behind a flag, quoted if they "
                            "hold blanks" +
                            see_help);
  }

  const option_row* previous_ = nullptr;
  bool seen_secret_ = false;
};

} // namespace

result<std::vector<given_value>> parse_arguments(const std::vector<std::string>& arguments) {
  std::vector<po::option> options;
  try {
    const po::options_description description = make_description();
    flag_reader reader;
    options =
        po::command_line_parser(arguments)
            .options(description)
            .style(po::command_line_style::allow_long | po::command_line_style::long_allow_adjacent)
            .extra_style_parser([&reader](std::vector<std::string>& words) { return reader.read(words); })
            .run()
            .options;
  } catch (const refused_arguments& refusal) {
    return error{error_code::invalid_argument, refusal.what()};
  } catch (const std::exception&) {
    // Program_options' own sentences may quote a password: leave them out.
    return error{error_code::invalid_argument, std::string("command line: it cannot be read") + see_help};
  }
  std::vector<given_value> given;
  for (const auto& option : options) {
    const option_row* row = find_option(option.string_key);
    if (row == nullptr || option.value.empty())
      continue; // The end of the flags, `--`.
    const auto earlier =
        std::find_if(given.begin(), given.end(), [row](const given_value& one) { return one.row == row; });
    if (earlier == given.end())
      given.push_back({row, option.value.front(), "flag -" + row->name});
    else if (row->kind == option_kind::list)
      earlier->text += "," + option.value.front();
    else
      return error{error_code::invalid_argument, "flag -" + row->name + ": it is given twice; give it once"};
  }
  return given;
}

std::vector<given_value> parse_environment(const std::map<std::string, std::string>& environment,
                                           std::vector<std::string>& warnings) {
  const std::string prefix = "TASK_RUNNER_";
  std::vector<given_value> given;
  for (auto at = environment.lower_bound(prefix); at != environment.end(); ++at) {
    const auto& [name, value] = *at;
    if (name.compare(0, prefix.size(), prefix) != 0)
      break;
    // Set for every command: a command that starts a daemon of its own hands them on. The last two are for
    // clients.
    if (name == "TASK_RUNNER_TASK_ID" || name == "TASK_RUNNER_CHANNEL" || name == "TASK_RUNNER_ATTEMPT" ||
        name == "TASK_RUNNER_ADDRESS" || name == "TASK_RUNNER_TOKEN")
      continue;
    const auto& rows = option_rows();
    const auto row = std::find_if(rows.begin(), rows.end(), [&name = name](const option_row& candidate) {
      return environment_name(candidate.name) == name;
    });
    if (row == rows.end())
      warnings.push_back("environment " + quote_for_message(name) + ": ignored, there is no such setting");
    else if ((row->places & in_environment) == 0)
      warnings.push_back("environment " + name + ": ignored, " +
                         ((row->places & in_ini) != 0
                              ? row->key + " is accepted in the INI file only, under [" + row->section + "]"
                              : "it is accepted as the flag -" + row->name + " only"));
    else if (!value.empty())
      given.push_back({&*row, value, "environment " + name});
  }
  return given;
}

std::vector<given_value> resolve_aliases(std::vector<given_value> given, std::vector<std::string>& warnings) {
  std::vector<given_value> resolved;
  for (auto& one : given) {
    if (one.row->alias_of.empty()) {
      resolved.push_back(std::move(one));
      continue;
    }
    const option_row* successor = find_option(one.row->alias_of);
    const bool both = std::any_of(given.begin(), given.end(),
                                  [successor](const given_value& other) { return other.row == successor; });
    warnings.push_back(one.place + " is deprecated" +
                       (both ? " and ignored here: " + successor->name + " is given too"
                             : "; use " + successor->name + " instead"));
    if (!both) {
      one.row = successor;
      resolved.push_back(std::move(one));
    }
  }
  return resolved;
}

} // namespace task_runner
