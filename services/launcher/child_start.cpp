// The child's steps, in an order in which none takes away what the next one needs.
#include "services/launcher/child_start.hpp"

#include "services/launcher/system_call.hpp"

#include <csignal>
#include <fcntl.h>

namespace task_runner::launcher {
namespace {

constexpr unsigned stage_shift = 16;
constexpr unsigned reason_mask = 0xffff;
/// Of the kernel's signal mask, bytes.
constexpr long signal_mask_size = 8;
constexpr int child_failed_code = 127;

TR_UNSANITIZED long word_of(const volatile void* pointer) noexcept {
  return reinterpret_cast<long>(pointer);
}

[[noreturn]] TR_UNSANITIZED void fail(const child_order* order, child_stage stage, long reason) noexcept {
  *order->failure = static_cast<int>(static_cast<unsigned>(stage) << stage_shift |
                                     (static_cast<unsigned>(reason) & reason_mask));
  for (;;)
    system_call(SYS_exit_group, child_failed_code);
}

/// Whether execvp goes on to the next directory after this error.
TR_UNSANITIZED bool goes_on(long reason) noexcept {
  return reason == ENOENT || reason == ENOTDIR || reason == EACCES || reason == ESTALE || reason == ENODEV ||
         reason == ETIMEDOUT;
}

TR_UNSANITIZED void check(const child_order* order, child_stage stage, long answer) noexcept {
  if (answer < 0)
    fail(order, stage, -answer);
}

TR_UNSANITIZED void set_limit(const child_order* order, const child_limit* limit) noexcept {
  check(order, limit->stage, system_call(SYS_prlimit64, 0, limit->resource, word_of(&limit->value)));
}

/// The mark that descendants inherit. The soft limit goes no higher than it was.
TR_UNSANITIZED void set_tag(const child_order* order) noexcept {
  rlimit limit{};
  check(order, child_stage::tag, system_call(SYS_prlimit64, 0, RLIMIT_RTTIME, 0, word_of(&limit)));
  limit.rlim_max = order->tag;
  if (limit.rlim_cur > limit.rlim_max)
    limit.rlim_cur = limit.rlim_max;
  check(order, child_stage::tag, system_call(SYS_prlimit64, 0, RLIMIT_RTTIME, word_of(&limit)));
}

TR_UNSANITIZED void become_user(const child_order* order) noexcept {
  const long user = order->user;
  const long group = order->group;
  check(order, child_stage::user,
        system_call(SYS_setgroups, static_cast<long>(order->group_count), word_of(order->groups)));
  check(order, child_stage::user, system_call(SYS_setresgid, group, group, group));
  check(order, child_stage::user, system_call(SYS_setresuid, user, user, user));
}

TR_UNSANITIZED void set_surroundings(const child_order* order) noexcept {
  if (order->cgroup_to_enter >= 0)
    check(order, child_stage::cgroup, system_call(SYS_write, order->cgroup_to_enter, word_of("0"), 1));
  if (order->tag != 0)
    set_tag(order);
  system_call(SYS_prlimit64, 0, RLIMIT_NOFILE, word_of(&order->descriptors));
  for (size_t i = 0; i < order->limit_count; ++i)
    set_limit(order, order->limits + i);
  if (order->changes_nice)
    check(order, child_stage::nice, system_call(SYS_setpriority, PRIO_PROCESS, 0, order->nice));
  if (order->changes_file_mask)
    system_call(SYS_umask, static_cast<long>(order->file_mask));
  check(order, child_stage::streams, system_call(SYS_dup3, order->input, STDIN_FILENO, 0));
  check(order, child_stage::streams, system_call(SYS_dup3, order->output, STDOUT_FILENO, 0));
  check(order, child_stage::streams, system_call(SYS_dup3, order->output, STDERR_FILENO, 0));
  system_call(SYS_close_range, STDERR_FILENO + 1, static_cast<long>(~0U), 0);
  if (order->becomes_user)
    become_user(order);
  // As the command's user: whether it may enter is for its rights to say.
  if (order->directory != nullptr)
    check(order, child_stage::directory, system_call(SYS_chdir, word_of(order->directory)));
  if (order->limits_memory)
    set_limit(order, &order->memory);
}

} // namespace

child_stage failed_stage(int failure) noexcept {
  return static_cast<child_stage>(static_cast<unsigned>(failure) >> stage_shift);
}

int failed_reason(int failure) noexcept {
  return static_cast<int>(static_cast<unsigned>(failure) & reason_mask);
}

TR_UNSANITIZED void run_child(const child_order* order) noexcept {
  *order->failure = 0;
  system_call(SYS_setsid);
  set_surroundings(order);
  // A signal that was sent since the child was made is delivered here: it was blocked, not ignored.
  const uint64_t no_signals = 0;
  system_call(SYS_rt_sigprocmask, SIG_SETMASK, word_of(&no_signals), 0, signal_mask_size);

  const long environment = word_of(order->environment);
  long reason = ENOENT;
  bool refused = false;
  for (size_t i = 0; i < order->program_count; ++i) {
    reason = -system_call(SYS_execve, word_of(order->programs[i]), word_of(order->words), environment);
    if (reason == ENOEXEC && order->script_words != nullptr) {
      order->script_words[1] = order->programs[i];
      reason = -system_call(SYS_execve, word_of("/bin/sh"), word_of(order->script_words), environment);
    }
    if (!goes_on(reason))
      break;
    refused = refused || reason == EACCES;
  }
  if (order->shell_words != nullptr)
    reason = -system_call(SYS_execve, word_of("/bin/sh"), word_of(order->shell_words), environment);
  else if (refused && goes_on(reason))
    reason = EACCES;
  fail(order, child_stage::execute, reason);
}

} // namespace task_runner::launcher
