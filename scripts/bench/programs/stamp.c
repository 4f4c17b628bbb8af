// The command whose start is measured: it reads the clock first of all, then appends that moment
// (CLOCK_MONOTONIC, ns) and its id to a file with one write. It is linked statically, so that nothing of a
// loader runs before it.
//
//   stamp FILE ID
#include "common.h"

#include <fcntl.h>
#include <unistd.h>

int main(int count, char** words) {
  const int64_t began = now_ns();
  if (count != 3)
    return 2;
  char line[256];
  const int length = snprintf(line, sizeof line, "%lld %s\n", (long long)began, words[2]);
  if (length < 0 || (size_t)length >= sizeof line)
    return 2;
  const int file = open(words[1], O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (file < 0)
    fail(words[1]);
  return write(file, line, (size_t)length) == length ? 0 : 1;
}
