// The rows. Texts are wrapped by those who print them.
#include "services/cli/verb_table.hpp"

#include "services/cli/verb_call.hpp"

#include <algorithm>

namespace task_runner::cli {

namespace {

constexpr size_t any_number = SIZE_MAX;

constexpr flag_row common_rows[] = {
    {"address", "", "HOST:PORT",
     "the daemon's address; else TASK_RUNNER_ADDRESS, TASK_RUNNER_HTTP_ADDR, the INI "
     "file, 127.0.0.1:60001"},
    {"token", "", "TOKEN",
     "is sent as a bearer token; other users may see it in the process list, so "
     "TASK_RUNNER_TOKEN is the better place"},
    {"config", "", "FILE", "an INI file of the daemon's, for its [http] addr; else TASK_RUNNER_CONFIG",
     completion::files},
    {"json", "", "", "answer in JSON, one object per line"},
    {"help", "h", "", "explain the verb and leave"},
};

constexpr flag_row push_rows[] = {
    {"channel", "c", "NAME", "the channel; by default the daemon's default channel", completion::channels},
    {"shell", "", "LINE", "a command line that a shell reads, instead of a command behind --"},
    {"stdin-list", "", "",
     "many tasks at once: each line of standard input is a command line, or with a command "
     "behind -- one further argument for it"},
    {"follow", "f", "", "show the output while it comes, and end with the command's exit code"},
    {"wait", "w", "", "wait for the end, and end with the command's exit code"},
    {"id", "", "ID", "an id of your own, never used before"},
    {"name", "", "NAME", "what the task is called; by default its command"},
    {"delay", "", "DURATION", "start it no sooner than this from now: 90, 5m, 2h"},
    {"at", "", "TIME", "start it no sooner than this moment: 2026-01-31T12:00:00Z, or Unix seconds"},
    {"priority", "", "N", "-1000 to 1000; higher runs first"},
    {"timeout", "", "DURATION", "longest run of an attempt"},
    {"grace", "", "DURATION", "from TERM to KILL"},
    {"expires", "", "DURATION", "cancel it when it has not started by then"},
    {"max-attempts", "", "N", "1 to 1000"},
    {"backoff", "", "KIND", "constant, linear or exponential"},
    {"backoff-s", "", "DURATION", "the first pause between attempts"},
    {"backoff-max-s", "", "DURATION", "the longest pause between attempts"},
    {"jitter", "", "FRACTION", "the part of the pause left to chance, 0 to 1"},
    {"retry-on", "", "CODES", "the exit codes after which another attempt is made: 75,111"},
    {"delivery", "", "KIND", "at-least-once or at-most-once"},
    {"distinct-key", "", "KEY", "what makes it the same as another task"},
    {"concurrency-key", "", "KEY", "tasks of the channel with the same key run one at a time"},
    {"concurrency-max", "", "N", "or so many at a time"},
    {"env", "e", "NAME=VALUE", "a variable of the command", completion::nothing, true},
    {"cwd", "", "DIR", "its working directory, absolute", completion::files},
    {"user", "", "NAME", "its user; needs a daemon that runs as root"},
    {"nice", "", "N", "-20 to 19"},
    {"umask", "", "OCTAL", "such as 022"},
    {"limit", "", "NAME=VALUE", "memory, cpu_s, processes or file_size", completion::nothing, true},
    {"stdin", "", "", "give what stands on standard input to the command, up to 1 MiB"},
    {"patience", "", "DURATION",
     "with --stdin-list: give up when nothing is taken for so long; 10m by default"},
};

constexpr flag_row status_rows[] = {
    {"channel", "c", "NAME", "this channel only", completion::channels},
    {"filter", "", "NAME=VALUE",
     "list all tasks that match, ended ones too: state=dead,cancelled, name=TEXT, "
     "outcome=KIND, exit_code=N, distinct_key=KEY, created_from=TIME, created_until, "
     "ended_from, ended_until; all that are given must match",
     completion::filters, true},
    {"limit", "n", "N",
     "most tasks that are shown of each channel (10, at most 1000), or with --filter in all "
     "(100)"},
    {"watch", "", "", "show it again and again until Ctrl-C"},
    {"interval", "", "DURATION", "with --watch, the pause in between; 1s by default"},
};

constexpr flag_row top_rows[] = {
    {"interval", "", "DURATION", "the pause between two looks; 1s by default, 200ms at least"},
};

constexpr flag_row output_rows[] = {
    {"attempt", "", "N", "of that attempt; by default of the last one"},
    {"offset", "", "BYTES", "leave out so much of the beginning"},
};

constexpr flag_row follow_rows[] = {
    {"offset", "", "BYTES", "go on behind so much of the output, as the message of an earlier Ctrl-C says"},
    {"attempt", "", "N", "begin with that attempt; by default with the one that runs or was the last"},
};

constexpr flag_row wait_rows[] = {
    {"timeout", "", "DURATION", "wait no longer than this; then the exit code is 124"},
};

constexpr flag_row cancel_rows[] = {
    {"grace", "", "DURATION", "from TERM to KILL; by default the task's own, 10s"},
};

constexpr flag_row kill_rows[] = {
    {"signal", "s", "SIGNAL", "TERM by default; a name or a number", completion::signals},
};

constexpr flag_row retry_rows[] = {
    {"dead", "", "", "all dead tasks, instead of ids"},
    {"channel", "c", "NAME", "with --dead: those of this channel", completion::channels},
    {"since", "", "DURATION", "with --dead: those that ended so long ago or later: 1h"},
    {"dry-run", "", "", "with --dead: only say how many there are"},
};

constexpr flag_row drain_rows[] = {
    {"no-wait", "", "", "do not wait until nothing runs any more"},
};

constexpr flag_row setting_rows[] = {
    {"worker", "", "N",
     "so many commands at once, 0 to 1024; the same as worker=N. 0: none runs, other than in the INI "
     "file, where 0 follows concurrent"},
    {"distinct", "", "MODE", "true, false or while-pending; the same as distinct=MODE"},
};

constexpr flag_row stop_rows[] = {
    {"now", "", "", "do not wait for commands: they get TERM, and after their grace KILL"},
    {"wait", "w", "", "come back when the daemon has ended"},
};

constexpr flag_row rm_rows[] = {
    {"force", "", "", "also when it holds tasks: these are cancelled"},
};

template <size_t Count>
constexpr flag_rows rows(const flag_row (&table)[Count]) noexcept {
  return {table, Count};
}

constexpr std::string_view push_text =
    "The command stands behind -- and is passed on word by word, exactly: "
    "no shell looks at it. With --shell LINE a "
    "shell reads the line, so that pipes, quotes and && work.\n\n"
    "Without a terminal it prints the task's id and nothing else. A "
    "duplicate in a distinct channel is no error: the id "
    "is that of the task which is there, and standard error says so. With --follow standard output "
    "has the command's output alone, and the id is "
    "said on standard error.\n\n"
    "--stdin-list sends lines in portions while they come, tries again "
    "where the daemon is busy or away, and never takes "
    "a line twice. It prints the ids in the order of the lines; lines "
    "that were refused are told on standard error, and "
    "make the exit code 1.";

constexpr std::string_view status_text =
    "Without ids, all channels: how many commands run of how many may, then what runs (▶), waits (⧗) or is "
    "delayed (⏸), "
    "what is dead until it is retried or deleted (✗), and when the waiting ones will have run at the present "
    "pace; below, "
    "what runs and what is next. Without a terminal the same in plain words.\n\n"
    "With ids, these tasks in detail.";

constexpr std::string_view top_text =
    "Three panes below each other: channels, the tasks of the one that is selected (or of all), and what the "
    "selected task prints, while it prints it. Tab goes from pane to pane, the arrows or j and k move, ? "
    "lists all keys. p pauses and resumes a channel, + and - change its workers; c cancels a task, K sends "
    "it a signal, r runs it again, and each of these asks first; w says why it does not run.\n\n"
    "It takes a terminal of at least 61 by 16, and where there is none, or TERM is dumb, it ends with 2; "
    "status --watch does without. A daemon that goes away is waited for. q ends it with 0, Ctrl-C with 130, "
    "another signal n with 128+n; the terminal is put back each time.\n\n"
    "Where channels are so many that an answer takes long it looks at them less often, every 10 s at the "
    "least.";

constexpr std::string_view follow_text =
    "Shows what tasks print, from the beginning, until they end. With several ids each line says whose it "
    "is. Further "
    "attempts are followed, too. It outlives a restart of the daemon.\n\n"
    "Ctrl-C only stops looking: the task runs on, and a message says how to come back.\n\n"
    "The exit code is the task's own; with several, that of the first in their order that is not 0.";

constexpr std::string_view wait_text = "Waits until tasks have ended. The exit code is the command's own, "
                                       "128 and the number of the signal that ended it, "
                                       "124 when it ran out of time, and 1 when it was cancelled, expired, "
                                       "lost or could not be started; with several, that "
                                       "of the first in their order that is not 0.";

constexpr std::string_view setting_text = "Settings are worker, distinct, weight, tasks_max, and as defaults "
                                          "of its tasks all options of tasks: timeout_s=10m, "
                                          "max_attempts=3, env.LANG=C, limits.memory=64M.";

constexpr std::string_view stop_text =
    "The daemon takes nothing more, starts nothing more, and ends when its running commands have ended, at "
    "the "
    "latest after its drain-timeout; what waits is kept for its next start. Where something starts it again "
    "by itself, such as systemd with Restart=always, stop it there.\n\n"
    "Ctrl-C with --wait stops looking; the daemon ends all the same.";

constexpr std::string_view list_text =
    "The columns are name, state, workers, running, waiting, delayed and dead tasks, and settings. Only at a "
    "terminal a line of heads comes first; in a pipe each line is a channel. --json has it all by name.";

constexpr std::string_view doctor_text =
    "Looks at the settings, the state directory and its permissions, whether the daemon answers and can "
    "work, its store, "
    "launcher and channels, how process trees are kept together, and Redis: whether it can be reached, and "
    "whether "
    "messages wait in lists that only look like the intake (a prefix too many, other letters, another "
    "database).\n\n"
    "Give it the daemon's own --config, and run it as the daemon's user, so that it sees what the daemon "
    "sees. The exit "
    "code is 0 when nothing is wrong (a warning is not), 3 when the daemon does not answer, else 1.";

std::vector<verb_row> make_verbs() {
  const auto none = flag_rows{};
  std::vector<verb_row> all;
  const auto add = [&all](verb_row row) -> verb_row& {
    all.push_back(row);
    return all.back();
  };
  add({"push", "[flags] -- COMMAND [ARGUMENT…]", "hand a command to the daemon", push_text, rows(push_rows),
       0, 0, true, true, false, completion::nothing, run_push});
  add({"status", "[flags] [ID…]", "what waits and runs, channel by channel", status_text, rows(status_rows),
       0, any_number, false, true, false, completion::any_tasks, run_status});
  add({"top", "[flags]", "channels, tasks and output live on the full screen", top_text, rows(top_rows), 0, 0,
       false, true, false, completion::nothing, run_top});
  add({"output", "[flags] ID…", "what tasks have printed",
       "Prints what is there, for several tasks one after the other, and leaves. Of very long output the "
       "middle is left "
       "out, and a line says so.",
       rows(output_rows), 1, any_number, false, true, false, completion::any_tasks, run_output});
  add({"follow", "[flags] ID…", "show the output of tasks while it comes", follow_text, rows(follow_rows), 1,
       any_number, false, true, false, completion::unfinished_tasks, run_follow});
  add({"wait", "[flags] ID…", "wait for the end of tasks", wait_text, rows(wait_rows), 1, any_number, false,
       true, false, completion::unfinished_tasks, run_wait});
  add({"cancel", "[flags] ID…", "end tasks, whether they wait or run",
       "A running task gets TERM, with everything it started, and after the grace KILL. It is not tried "
       "again. The "
       "answer comes when it has ended.",
       rows(cancel_rows), 1, any_number, false, true, false, completion::unfinished_tasks, run_cancel});
  add({"kill", "[-s SIGNAL] ID…", "send a signal to running tasks",
       "The signal goes to the command's process group. What it does with it decides how the attempt ends; "
       "to end a task "
       "for good, cancel it.",
       rows(kill_rows), 1, any_number, false, true, false, completion::running_tasks, run_kill});
  add({"retry", "ID… | --dead [flags]", "run dead or cancelled tasks again", "", rows(retry_rows), 0,
       any_number, false, true, false, completion::retryable_tasks, run_retry});
  add({"pause", "CHANNEL…", "start nothing new in channels", "What runs goes on, and pushes are taken.", none,
       1, any_number, false, true, false, completion::channels, run_pause});
  add({"resume", "CHANNEL…", "go on after pause or drain", "", none, 1, any_number, false, true, false,
       completion::channels, run_resume});
  add({"drain", "[flags] CHANNEL…", "pause channels, and wait until nothing runs there",
       "Ctrl-C stops waiting; the channel stays paused.", rows(drain_rows), 1, any_number, false, true, false,
       completion::channels, run_drain});
  add({"channel add", "NAME [SETTING=VALUE…]", "make a channel", setting_text, rows(setting_rows), 1,
       any_number, false, true, false, completion::channel_settings, run_channel_add});
  add({"channel set", "NAME SETTING=VALUE…", "change a channel; an empty VALUE resets a setting",
       setting_text, rows(setting_rows), 1, any_number, false, true, false, completion::channel_settings,
       run_channel_set});
  add({"channel rm", "[--force] NAME…", "remove channels", "", rows(rm_rows), 1, any_number, false, true,
       false, completion::channels, run_channel_rm});
  add({"channel list", "", "all channels with their settings", list_text, none, 0, 0, false, true, false,
       completion::nothing, run_channel_list});
  add({"why", "ID…", "why a task does not run", "", none, 1, any_number, false, true, false,
       completion::any_tasks, run_why});
  add({"stop", "[--now] [--wait]", "end the daemon", stop_text, rows(stop_rows), 0, 0, false, true, false,
       completion::nothing, run_stop});
  add({"doctor", "", "look for what is wrong", doctor_text, none, 0, 0, false, false, false,
       completion::nothing, run_doctor});
  add({"version", "", "the versions of this program and of the daemon", "", none, 0, 0, false, false, false,
       completion::nothing, run_version});
  add({"completion", "bash|zsh|fish", "print a script that completes verbs, flags, ids and channels",
       "bash: put  source <(task-runner completion bash)  into ~/.bashrc.\n\n"
       "zsh: task-runner completion zsh > DIRECTORY/_task-runner, with a directory of $fpath.\n\n"
       "fish: task-runner completion fish > ~/.config/fish/completions/task-runner.fish",
       none, 1, 1, false, false, false, completion::shells, run_completion});
  add({"manual", "", "print the manual page, for man -l -", "", none, 0, 0, false, false, false,
       completion::nothing, run_manual});
  add({"help", "[VERB]", "explain a verb, or list them all", "", none, 0, 2, false, false, false,
       completion::verbs, run_help});
  add({"__complete", "WORD…", "", "", none, 0, any_number, true, false, true, completion::nothing,
       run_complete});
  return all;
}

const flag_row* find_in(const flag_rows& table, std::string_view name) noexcept {
  const auto* found = std::find_if(table.begin(), table.end(), [name](const flag_row& row) {
    return row.name == name || (!row.letter.empty() && row.letter == name);
  });
  return found == table.end() ? nullptr : found;
}

} // namespace

const std::vector<verb_row>& verbs() {
  static const std::vector<verb_row> all = make_verbs();
  return all;
}

const verb_row* find_verb(std::string_view name) {
  for (const auto& verb : verbs())
    if (verb.name == name)
      return &verb;
  return nullptr;
}

flag_rows common_flags() noexcept {
  return rows(common_rows);
}

std::vector<flag_row> flags_of(const verb_row& verb) {
  std::vector<flag_row> all(verb.own_flags.begin(), verb.own_flags.end());
  const auto common = common_flags();
  all.insert(all.end(), common.begin(), common.end());
  return all;
}

const flag_row* find_flag(const verb_row& verb, std::string_view name) {
  const auto* own = find_in(verb.own_flags, name);
  return own != nullptr ? own : find_in(common_flags(), name);
}

} // namespace task_runner::cli
