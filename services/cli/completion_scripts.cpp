// Each line of candidates is WORD, or WORD TAB DESCRIPTION.
#include "services/cli/completion_scripts.hpp"

namespace task_runner::cli {

namespace {

// Bash takes words apart at `=` and `:`; they are put together again here, and what bash regards as done is
// cut off the candidates.
constexpr std::string_view bash_script =
    R"sh(# Completion of task-runner for bash: source <(task-runner completion bash)
_task_runner() {
  local line=${COMP_LINE:0:COMP_POINT} words=() word index current prefix candidate
  for ((index = 0; index <= COMP_CWORD; ++index)); do
    word=${COMP_WORDS[index]}
    if ((index == COMP_CWORD)); then
      word=${line##*[[:space:]]}
      [[ $word == *"${COMP_WORDS[index]}" ]] && word=${COMP_WORDS[index]}
    fi
    if ((index > 0)) && [[ $line != [[:space:]]* && ${#words[@]} -gt 0 ]]; then
      words[${#words[@]} - 1]+=$word
    else
      line=${line#"${line%%[![:space:]]*}"}
      words+=("$word")
    fi
    line=${line#"$word"}
  done
  current=${words[${#words[@]} - 1]}
  prefix=''
  [[ $current != *[:=]* ]] || prefix=${current%"${current##*[:=]}"}
  COMPREPLY=()
  while IFS= read -r candidate; do
    candidate=${candidate%%$'\t'*}
    if [[ $candidate == :files ]]; then
      compopt -o default 2>/dev/null
    elif [[ $candidate == "$current"* ]]; then
      COMPREPLY+=("${candidate#"$prefix"}")
    fi
  done < <("${words[0]}" __complete -- "${words[@]:1}" 2>/dev/null)
  if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
    compopt -o nospace 2>/dev/null
  fi
}
complete -F _task_runner task-runner
)sh";

constexpr std::string_view zsh_script = R"sh(#compdef task-runner
# Completion of task-runner for zsh: put it as _task-runner into a directory of $fpath.
_task_runner() {
  local line word
  local -a candidates
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      _files
      return
    fi
    word=${line%%$'\t'*}
    if [[ $line == *$'\t'* ]]; then
      candidates+=("${word//:/\\:}:${line#*$'\t'}")
    else
      candidates+=("${word//:/\\:}")
    fi
  done < <("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
  _describe -V task-runner candidates
}
if [[ ${funcstack[1]} == _task-runner ]]; then
  _task_runner "$@"
else
  compdef _task_runner task-runner
fi
)sh";

constexpr std::string_view fish_script =
    R"sh(# Completion of task-runner for fish: ~/.config/fish/completions/task-runner.fish
function __task_runner_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in ($words[1] __complete -- $words[2..-1] "$current" 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path "$current"
        else
            printf '%s\n' $line
        end
    end
end
complete -c task-runner -f -a '(__task_runner_complete)'
)sh";

} // namespace

std::string_view completion_script(std::string_view shell) noexcept {
  if (shell == "bash")
    return bash_script;
  if (shell == "zsh")
    return zsh_script;
  return shell == "fish" ? fish_script : std::string_view();
}

} // namespace task_runner::cli
