// The limit for tasks per second: runs a command again and again with nothing else, no queue and no store.
// Each spawner is one process with one thread: posix_spawn, both output streams through pipes that epoll
// drains, wait.
//
//   spawn_limit [-s SPAWNERS] COUNT CONCURRENCY COMMAND [WORD...]
//
// prints seconds, commands per second, and CPU microseconds per command of the spawner and of its children.
#define _GNU_SOURCE
#include "common.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

/// A command that runs: its two streams are known to epoll by the number of the slot, times two, plus 0 or 1.
struct slot {
  pid_t process;
  int streams[2];
  int open;
};

static void start(struct slot* slot, uint32_t number, int poller, char** command) {
  int ends[2][2];
  for (int i = 0; i < 2; ++i)
    if (pipe2(ends[i], O_CLOEXEC) != 0)
      fail("pipe2");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[0][1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1][1], STDERR_FILENO);
  errno = posix_spawnp(&slot->process, command[0], &actions, NULL, command, environ);
  if (errno != 0)
    fail(command[0]);
  posix_spawn_file_actions_destroy(&actions);
  slot->open = 2;
  for (uint32_t i = 0; i < 2; ++i) {
    close(ends[i][1]);
    slot->streams[i] = ends[i][0];
    struct epoll_event interest = {.events = EPOLLIN, .data = {.u32 = number * 2 + i}};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, slot->streams[i], &interest) != 0)
      fail("epoll_ctl");
  }
}

/// Whether the command has ended; with WNOHANG as option it is not waited for.
static bool reap(const struct slot* slot, int option) {
  int status = 0;
  const pid_t ended = waitpid(slot->process, &status, option);
  if (ended == 0)
    return false;
  if (ended != slot->process)
    fail("waitpid");
  if (status != 0) {
    fprintf(stderr, "the command failed with status %d\n", status);
    exit(1);
  }
  return true;
}

/// Reads what a stream has; true at its end, which closes it.
static bool drain(int stream, int poller) {
  static char rest[65536];
  if (read(stream, rest, sizeof rest) > 0)
    return false;
  // A child between fork and exec still holds the pipe: closing alone would leave it in the poller.
  epoll_ctl(poller, EPOLL_CTL_DEL, stream, NULL);
  close(stream);
  return true;
}

static void run(long count, long concurrency, char** command) {
  struct slot* slots = calloc((size_t)concurrency, sizeof *slots);
  long* unused = calloc((size_t)concurrency, sizeof *unused);
  long* ending = calloc((size_t)concurrency, sizeof *ending);
  const int poller = epoll_create1(EPOLL_CLOEXEC);
  if (slots == NULL || unused == NULL || ending == NULL || poller < 0)
    fail("spawn_limit");
  long unused_count = 0;
  long ending_count = 0;
  while (unused_count < concurrency) {
    unused[unused_count] = unused_count;
    ++unused_count;
  }
  struct epoll_event events[64];
  for (long started = 0, ended = 0; ended < count;) {
    for (; unused_count > 0 && started < count; ++started) {
      const long number = unused[--unused_count];
      start(&slots[number], (uint32_t)number, poller, command);
    }
    // A command closes its streams a moment before it has ended. That is waited for when there is nothing
    // else to do, and only looked at otherwise.
    const int ready = epoll_wait(poller, events, 64, ending_count > 0 ? 0 : -1);
    if (ready < 0 && errno != EINTR)
      fail("epoll_wait");
    for (int i = 0; i < ready; ++i) {
      const uint32_t number = events[i].data.u32 / 2;
      struct slot* const slot = &slots[number];
      if (drain(slot->streams[events[i].data.u32 % 2], poller) && --slot->open == 0)
        ending[ending_count++] = number;
    }
    int option = ready == 0 ? 0 : WNOHANG;
    for (long i = ending_count; i-- > 0; option = WNOHANG) {
      if (!reap(&slots[ending[i]], option))
        continue;
      unused[unused_count++] = ending[i];
      ending[i] = ending[--ending_count];
      ++ended;
    }
  }
  free(slots);
  free(unused);
  free(ending);
  close(poller);
}

static double cpu_us(int whose) {
  struct rusage used;
  getrusage(whose, &used);
  return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
         (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

int main(int count, char** words) {
  long spawners = 1;
  int at = 1;
  if (count > 2 && strcmp(words[1], "-s") == 0) {
    spawners = number_or_end("SPAWNERS", words[2], 1, 64);
    at = 3;
  }
  if (count - at < 3) {
    fprintf(stderr, "usage: spawn_limit [-s SPAWNERS] COUNT CONCURRENCY COMMAND [WORD...]\n");
    return 2;
  }
  const long commands = number_or_end("COUNT", words[at], spawners, 100000000);
  const long concurrency = number_or_end("CONCURRENCY", words[at + 1], spawners, 10000);
  char** command = words + at + 2;
  const int64_t began = now_ns();
  if (spawners == 1) {
    run(commands, concurrency, command);
  } else {
    for (long i = 0; i < spawners; ++i) {
      const pid_t spawner = fork();
      if (spawner < 0)
        fail("fork");
      if (spawner == 0) {
        // What does not divide evenly goes to the first ones.
        run(commands / spawners + (i < commands % spawners),
            concurrency / spawners + (i < concurrency % spawners), command);
        exit(0);
      }
    }
    for (long i = 0; i < spawners; ++i) {
      int status = 0;
      if (wait(&status) < 0)
        fail("wait");
      if (status != 0)
        return 1;
    }
  }
  const double seconds = (double)(now_ns() - began) / 1e9;
  // With several spawners, what they themselves took counts among the children's.
  printf("%.6f %.1f %.1f %.1f\n", seconds, (double)commands / seconds, cpu_us(RUSAGE_SELF) / (double)commands,
         cpu_us(RUSAGE_CHILDREN) / (double)commands);
  return 0;
}
