// System calls without the C library's `errno`, for code that runs in a child which shares the memory of this
// process: `errno` would be the launcher's own there.
#pragma once

#include <cerrno>
#include <sys/syscall.h>
#include <unistd.h>

/// A function of a child that shares our memory: the bookkeeping of sanitizers belongs to the thread whose
/// memory that is, and the child must not touch it.
#define TR_UNSANITIZED __attribute__((no_sanitize("address", "thread", "undefined")))

namespace task_runner::launcher {

// Clang's ThreadSanitizer keeps books of functions it is told not to look at.
#if defined(__clang__) && defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TR_BOOKS_ARE_KEPT 1
#endif
#endif

#if defined(__x86_64__) && !defined(TR_BOOKS_ARE_KEPT)

/// Whether children may share our memory: only where their calls leave nothing in it.
constexpr bool calls_leave_no_trace = true;

/// The kernel's answer: what the call returns, or minus the error number. Source of the convention:
/// syscall(2), "Architecture calling conventions".
TR_UNSANITIZED inline long system_call(long number, long first = 0, long second = 0, long third = 0,
                                       long fourth = 0) noexcept {
  long answer;
  register long fourth_register __asm__("r10") = fourth;
  __asm__ volatile("syscall"
                   : "=a"(answer)
                   : "a"(number), "D"(first), "S"(second), "d"(third), "r"(fourth_register)
                   : "rcx", "r11", "memory");
  return answer;
}

#else

constexpr bool calls_leave_no_trace = false;

inline long system_call(long number, long first = 0, long second = 0, long third = 0,
                        long fourth = 0) noexcept {
  const long answer = ::syscall(number, first, second, third, fourth);
  return answer < 0 ? -errno : answer;
}

#endif

} // namespace task_runner::launcher
