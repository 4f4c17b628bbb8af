// The limit for latency: starts a command with posix_spawn at a steady pace, with nothing else around it.
// It prints a row for each start: the moment before it (CLOCK_MONOTONIC, ns), and its id.
//
//   paced_spawn INTERVAL_US COUNT STAMP FILE
#include "common.h"

#include <spawn.h>
#include <sys/wait.h>

extern char** environ;

int main(int count, char** words) {
  if (count != 5) {
    fprintf(stderr, "usage: paced_spawn INTERVAL_US COUNT STAMP FILE\n");
    return 2;
  }
  const int64_t interval = number_or_end("INTERVAL_US", words[1], 0, 1000000) * 1000;
  const long starts = number_or_end("COUNT", words[2], 1, 1000000);
  int64_t next = now_ns();
  for (long i = 0; i < starts; ++i) {
    next += interval;
    sleep_until_ns(next);
    char id[32];
    snprintf(id, sizeof id, "%ld", i);
    char* command[] = {words[3], words[4], id, NULL};
    pid_t child = 0;
    const int64_t began = now_ns();
    errno = posix_spawn(&child, words[3], NULL, NULL, command, environ);
    if (errno != 0)
      fail(words[3]);
    int status = 0;
    if (waitpid(child, &status, 0) != child)
      fail("waitpid");
    if (status != 0) {
      fprintf(stderr, "%s failed with status %d\n", words[3], status);
      return 1;
    }
    printf("%lld %ld\n", (long long)began, i);
  }
  return 0;
}
