// What a verb is carried out with, and the functions that carry them out.
// Each gives the exit code; what it has to say to people it has said by then.
#pragma once

#include "services/cli/arguments.hpp"
#include "services/cli/client.hpp"
#include "services/cli/console.hpp"
#include "services/cli/daemon_api.hpp"
#include "services/cli/exit_codes.hpp"
#include "services/domain/result.hpp"

#include <array>
#include <string>
#include <string_view>

namespace task_runner::cli {

/// The settings of a channel besides the options of its tasks.
constexpr std::array<std::string_view, 4> channel_settings{"worker", "distinct", "weight", "tasks_max"};

/// Whether it can be sent: a token becomes a line of an HTTP head, and nothing may end that line.
bool is_valid_token(std::string_view token) noexcept;

struct verb_call {
  const verb_row& verb;
  const arguments& given;
  const client_surroundings& around;
  console& terminal;
  /// Null where the verb does without (`needs_daemon`).
  daemon_api* daemon = nullptr;

  bool wants_json() const { return given.is_set("json"); }
  daemon_api& api() const { return *daemon; }

  /// Where the daemon is, by flags, environment and INI file. A token that is given here counts more than
  /// that of the other two; an empty one: none is sent.
  result<daemon_place> find_daemon() const;

  /// Says what the daemon has refused, or that it cannot be reached; gives the exit code for it. `about`
  /// names the task or channel that was asked about, where there can be several.
  int fail(const api_reply& reply, std::string_view about = {}) const;
  /// Says what is wrong with what was given; gives `exit_misuse`.
  int misuse(const std::string& what) const;
};

int run_push(verb_call& call);
int run_status(verb_call& call);
int run_top(verb_call& call);
int run_output(verb_call& call);
int run_follow(verb_call& call);
int run_wait(verb_call& call);
int run_cancel(verb_call& call);
int run_kill(verb_call& call);
int run_retry(verb_call& call);
int run_why(verb_call& call);
int run_pause(verb_call& call);
int run_resume(verb_call& call);
int run_drain(verb_call& call);
int run_channel_add(verb_call& call);
int run_channel_set(verb_call& call);
int run_channel_rm(verb_call& call);
int run_channel_list(verb_call& call);
int run_stop(verb_call& call);
int run_doctor(verb_call& call);
int run_version(verb_call& call);
int run_completion(verb_call& call);
/// Prints what can stand in the place of the last word, one candidate per line.
int run_complete(verb_call& call);
int run_manual(verb_call& call);
int run_help(verb_call& call);

} // namespace task_runner::cli
