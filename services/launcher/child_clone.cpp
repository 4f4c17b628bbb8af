// clone3, and for copies clone where clone3 is unknown or forbidden.
// A child in our memory begins on a stack of its own, which no C function can give it: hence the assembly.
#include "services/launcher/child_clone.hpp"

#include "services/launcher/system_call.hpp"

#include <cerrno>
#include <csignal>
#include <sched.h>

namespace task_runner::launcher {
namespace {

/// From <linux/sched.h>, which does not go together with <sched.h>.
constexpr uint64_t clear_signal_handlers = 0x100000000;
constexpr uint64_t into_cgroup = 0x200000000;

/// The kernel's struct clone_args, second version.
struct clone_arguments {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size,
      cgroup;
};

clone_arguments make_arguments(int cgroup, int& process) noexcept {
  clone_arguments arguments{};
  arguments.flags = CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<uint64_t>(&process);
  arguments.exit_signal = SIGCHLD;
  if (cgroup >= 0) {
    arguments.flags |= into_cgroup;
    arguments.cgroup = static_cast<uint64_t>(cgroup);
  }
  return arguments;
}

/// Some sandboxes do not know clone3, or forbid it because they cannot look into its arguments.
bool is_unknown(long reason) noexcept {
  return reason == ENOSYS || reason == EPERM;
}

#if defined(__x86_64__)

/// A system call that makes a child on another stack. The child calls run_child() and never returns; the
/// registers that name it survive the call in both processes.
TR_UNSANITIZED long clone_call(long number, long first, long second, const child_order* order) noexcept {
  long answer;
  register const child_order* order_register __asm__("r12") = order;
  register void (*way_register)(const child_order*) noexcept __asm__("r13") = run_child;
  __asm__ volatile("syscall\n\t"
                   "testq %%rax, %%rax\n\t"
                   "jnz 1f\n\t"
                   "xorl %%ebp, %%ebp\n\t" // the outermost frame
                   "movq %%r12, %%rdi\n\t"
                   "call *%%r13\n\t"
                   "hlt\n"
                   "1:"
                   : "=a"(answer)
                   : "a"(number), "D"(first), "S"(second), "r"(order_register), "r"(way_register)
                   : "rcx", "r11", "memory", "cc");
  return answer;
}

#endif

} // namespace

int fork_child(int cgroup, int& process) noexcept {
  clone_arguments arguments = make_arguments(cgroup, process);
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof(arguments));
  if (pid >= 0 || cgroup >= 0 || !is_unknown(errno))
    return static_cast<int>(pid);
  return static_cast<int>(::syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, nullptr, &process, nullptr, nullptr));
}

#if defined(__x86_64__)

int clone_child(int cgroup, int& process, const child_stack& stack, const child_order& order) noexcept {
  clone_arguments arguments = make_arguments(cgroup, process);
  arguments.flags |= CLONE_VM | CLONE_CHILD_CLEARTID | clear_signal_handlers;
  arguments.child_tid = reinterpret_cast<uint64_t>(stack.left);
  arguments.stack = reinterpret_cast<uint64_t>(stack.lowest);
  arguments.stack_size = stack.size;
  // Without clone3 there is no child of this kind: the former call cannot clear signal handlers.
  const long pid = clone_call(SYS_clone3, reinterpret_cast<long>(&arguments), sizeof(arguments), &order);
  if (pid >= 0)
    return static_cast<int>(pid);
  errno = static_cast<int>(-pid);
  return -1;
}

#else

int clone_child(int, int&, const child_stack&, const child_order&) noexcept {
  errno = ENOSYS;
  return -1;
}

#endif

} // namespace task_runner::launcher
