// Many followers of one event stream: those that read all that comes, those that read little by little, those
// that never read, and those that leave halfway, every other one of them without a word.
//
//   follow_http [-d DEAD] [-l SLOW] [-g LEAVING] PORT PATH CLIENTS SECONDS
//
// prints one JSON object: opened, refused (their answer was not 200), bytes, dead_cut (of those that never
// read, the ones that the server has left), lost (others that it left before the time was over).
#define _GNU_SOURCE
#include "common.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum kind { reads, reads_slowly, never_reads, leaves };

enum {
  /// A slow client takes that much, that often: 25 KB/s.
  slow_bytes = 512,
  slow_interval_ns = 20 * 1000 * 1000,
  /// Those that read little offer little room, so that it is the server that must hold what waits.
  small_room = 4096,
  clients_max = 100000
};

struct client {
  int socket;
  enum kind kind;
  bool answered;
};

static long opened, refused, dead_cut, lost;
static long long bytes;
static char part[65536];

static void drop(struct client* one) {
  close(one->socket);
  one->socket = -1;
}

static void begin(struct client* one, uint16_t port, const char* path) {
  one->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (one->socket < 0)
    fail("socket");
  const int room = small_room;
  if (one->kind == never_reads || one->kind == reads_slowly)
    setsockopt(one->socket, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  const struct sockaddr_in to = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (connect(one->socket, (const struct sockaddr*)&to, sizeof to) != 0)
    fail("connect");
  char request[1024];
  const int length =
      snprintf(request, sizeof request,
               "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAccept: text/event-stream\r\n\r\n", path, port);
  if (length < 0 || (size_t)length >= sizeof request || send(one->socket, request, (size_t)length, 0) != length)
    fail("send");
  ++opened;
}

/// Reads once; the first bytes of an answer must say that it is a good one.
static void take(struct client* one, size_t most) {
  const ssize_t got = recv(one->socket, part, most, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (got <= 0) {
    ++lost;
    drop(one);
    return;
  }
  if (!one->answered && strncmp(part, "HTTP/1.1 200", 12) != 0) {
    ++refused;
    drop(one);
    return;
  }
  one->answered = true;
  bytes += got;
}

static void leave(struct client* one, bool without_a_word) {
  if (one->socket < 0)
    return;
  const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  if (without_a_word)
    setsockopt(one->socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  drop(one);
}

int main(int count, char** words) {
  long dead = 0, slow = 0, leaving = 0;
  for (int option; (option = getopt(count, words, "d:l:g:")) != -1;) {
    if (option == '?')
      return 2;
    *(option == 'd'   ? &dead
      : option == 'l' ? &slow
                      : &leaving) = number_or_end("the number of clients", optarg, 0, clients_max);
  }
  if (count - optind != 4) {
    fprintf(stderr, "usage: follow_http [-d DEAD] [-l SLOW] [-g LEAVING] PORT PATH CLIENTS SECONDS\n");
    return 2;
  }
  const uint16_t port = (uint16_t)number_or_end("PORT", words[optind], 1, 65535);
  const char* const path = words[optind + 1];
  const long all = number_or_end("CLIENTS", words[optind + 2], dead + slow + leaving, clients_max);
  const long seconds = number_or_end("SECONDS", words[optind + 3], 1, 86400);

  struct client* const clients = calloc((size_t)all, sizeof *clients);
  const int ready = epoll_create1(EPOLL_CLOEXEC);
  if (clients == NULL || ready < 0)
    fail("epoll_create1");
  for (long i = 0; i < all; ++i) {
    struct client* const one = &clients[i];
    one->kind = i < dead                    ? never_reads
                : i < dead + slow           ? reads_slowly
                : i < dead + slow + leaving ? leaves
                                            : reads;
    begin(one, port, path);
    // Of a client that never reads only its end is of interest; the slow ones have a clock of their own.
    struct epoll_event wanted = {.events = one->kind == never_reads    ? EPOLLRDHUP
                                           : one->kind == reads_slowly ? 0
                                                                       : EPOLLIN,
                                 .data.ptr = one};
    if (one->kind != reads_slowly && epoll_ctl(ready, EPOLL_CTL_ADD, one->socket, &wanted) != 0)
      fail("epoll_ctl");
  }

  const int64_t ends_at = now_ns() + seconds * 1000000000LL, half_at = now_ns() + seconds * 500000000LL;
  int64_t slow_at = now_ns();
  bool have_left = leaving == 0;
  for (int64_t now; (now = now_ns()) < ends_at;) {
    if (!have_left && now >= half_at) {
      for (long i = dead + slow; i < dead + slow + leaving; ++i)
        leave(&clients[i], i % 2 == 0);
      have_left = true;
    }
    if (now >= slow_at) {
      for (long i = dead; i < dead + slow; ++i)
        if (clients[i].socket >= 0)
          take(&clients[i], slow_bytes);
      slow_at = now + slow_interval_ns;
    }
    struct epoll_event seen[256];
    const int found = epoll_wait(ready, seen, 256, 10);
    for (int i = 0; i < found; ++i) {
      struct client* const one = seen[i].data.ptr;
      if (one->socket < 0)
        continue;
      if (one->kind == never_reads) {
        ++dead_cut;
        drop(one);
      } else {
        take(one, sizeof part);
      }
    }
  }
  printf("{\"opened\":%ld,\"refused\":%ld,\"bytes\":%lld,\"dead_cut\":%ld,\"lost\":%ld}\n", opened, refused,
         bytes, dead_cut, lost);
  return 0;
}
