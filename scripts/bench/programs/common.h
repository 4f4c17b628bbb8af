// What the small measuring programs share: clocks, numbers from the command line, and the end with a reason.
// Each program is one source file that includes this one; nothing here keeps state.
#pragma once

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

__attribute__((noreturn)) static inline void fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

/// Nanoseconds of the clock that cannot be set; the same clock in every process of the machine.
static inline int64_t now_ns(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

/// Sleeps until a moment of that clock.
static inline void sleep_until_ns(int64_t moment) {
  struct timespec at = {.tv_sec = moment / 1000000000, .tv_nsec = moment % 1000000000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
  }
}

/// A number from `least` to `most`, or the end of the program.
static inline long number_or_end(const char* name, const char* text, long least, long most) {
  char* end = NULL;
  errno = 0;
  const long value = strtol(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || value < least || value > most) {
    fprintf(stderr, "%s is '%s', and must be a number from %ld to %ld\n", name, text, least, most);
    exit(2);
  }
  return value;
}
