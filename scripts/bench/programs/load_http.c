// The load generator: one request after the other on each of several keep-alive connections, every body
// unique. A body is LINES times TEMPLATE, each `{}` in it replaced by a number of its line, counted up from
// FIRST.
//
//   load_http [-c CONNECTIONS] [-t THREADS] [-k LINES] (-n REQUESTS | -s SECONDS)
//             PORT PATH TYPE TEMPLATE FIRST
//
// prints one JSON object: requests, seconds, rate, failed, p50_us, p99_us, max_us, cpu_s. A request failed
// when its status is not 200; the first such answer goes to stderr, and the exit code is 1.
#define _GNU_SOURCE
#include "common.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { threads_max = 16, head_max = 16384 };

struct connection {
  int socket;
  char* request;
  size_t request_length;
  size_t request_sent;
  char head[head_max]; ///< what has come of the answer, as long as its head is not complete
  size_t head_length;
  long body_left; ///< of the answer; -1: its head is not complete
  int status;
  int64_t began;
};

struct worker {
  pthread_t thread;
  long connections;
  int64_t* latencies;
  size_t count;
  size_t capacity;
  long failed;
};

static const char* path;
static const char* content_type;
static const char* template;
static size_t template_length;
static uint16_t port;
static long lines = 1;
static long requests_max = -1;
static int64_t ends_at = INT64_MAX;
static atomic_long next_number;
static atomic_long requests_begun;
static atomic_bool complained;

/// Room for a number in place of each `{}`, of which a line has two at most.
enum { number_room = 48 };

static void compose(struct connection* connection) {
  const size_t body_room = (size_t)lines * (template_length + number_room);
  if (connection->request == NULL) {
    connection->request = malloc(body_room + 512);
    if (connection->request == NULL)
      fail("malloc");
  }
  // The body is written behind the room for the head, which is put right before it.
  char* const body = connection->request + 512;
  char* at = body;
  for (long line = 0; line < lines; ++line) {
    const long number = atomic_fetch_add_explicit(&next_number, 1, memory_order_relaxed);
    for (const char* from = template; *from != '\0';) {
      const char* const gap = strstr(from, "{}");
      const size_t length = gap == NULL ? strlen(from) : (size_t)(gap - from);
      memcpy(at, from, length);
      at += length;
      from += length;
      if (gap != NULL) {
        at += sprintf(at, "%ld", number);
        from += 2;
      }
    }
  }
  char head[512];
  const int head_length = snprintf(head, sizeof head,
                                   "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: keep-alive\r\n"
                                   "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                                   path, (unsigned)port, content_type, (size_t)(at - body));
  if (head_length < 0 || (size_t)head_length >= sizeof head) {
    fprintf(stderr, "PATH and TYPE are too long\n");
    exit(2);
  }
  memmove(connection->request + head_length, body, (size_t)(at - body));
  memcpy(connection->request, head, (size_t)head_length);
  connection->request_length = (size_t)head_length + (size_t)(at - body);
  connection->request_sent = 0;
  connection->head_length = 0;
  connection->body_left = -1;
}

static void send_more(struct connection* connection) {
  while (connection->request_sent < connection->request_length) {
    const ssize_t sent = send(connection->socket, connection->request + connection->request_sent,
                              connection->request_length - connection->request_sent, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN)
      return;
    if (sent < 0)
      fail("send");
    connection->request_sent += (size_t)sent;
  }
}

/// Begins the next request; false when there is none left to send.
static bool begin(struct connection* connection) {
  if (requests_max >= 0 && atomic_fetch_add(&requests_begun, 1) >= requests_max)
    return false;
  if (now_ns() >= ends_at)
    return false;
  compose(connection);
  connection->began = now_ns();
  send_more(connection);
  return true;
}

static void read_head(struct connection* connection) {
  const char* const end = memmem(connection->head, connection->head_length, "\r\n\r\n", 4);
  if (end == NULL) {
    if (connection->head_length == head_max) {
      fprintf(stderr, "an answer has a head of more than %d bytes\n", head_max);
      exit(1);
    }
    return;
  }
  const size_t length = (size_t)(end - connection->head) + 4;
  const char kept = connection->head[length - 1];
  connection->head[length - 1] = '\0';
  const char* const size = strcasestr(connection->head, "\r\nContent-Length:");
  if (size == NULL || sscanf(connection->head, "HTTP/1.1 %d", &connection->status) != 1) {
    fprintf(stderr, "an answer without Content-Length: %s\n", connection->head);
    exit(1);
  }
  connection->body_left = strtol(size + strlen("\r\nContent-Length:"), NULL, 10);
  connection->head[length - 1] = kept;
  const size_t rest = connection->head_length - length;
  if (connection->status != 200 && !atomic_exchange(&complained, true))
    fprintf(stderr, "an answer with status %d: %.*s\n", connection->status, (int)(rest < 300 ? rest : 300),
            connection->head + length);
  connection->body_left -= (long)rest;
}

/// Reads what there is; true when the answer is complete.
static bool receive(struct connection* connection) {
  static _Thread_local char rest[262144];
  for (;;) {
    const bool in_head = connection->body_left < 0;
    char* const to = in_head ? connection->head + connection->head_length : rest;
    const ssize_t got =
        recv(connection->socket, to, in_head ? head_max - connection->head_length : sizeof rest, 0);
    if (got < 0 && errno == EAGAIN)
      return false;
    if (got < 0)
      fail("recv");
    if (got == 0) {
      fprintf(stderr, "the server has closed a connection\n");
      exit(1);
    }
    if (in_head) {
      connection->head_length += (size_t)got;
      read_head(connection);
    } else {
      connection->body_left -= got;
    }
    if (connection->body_left == 0)
      return true;
  }
}

static void note(struct worker* worker, const struct connection* connection) {
  if (worker->count == worker->capacity) {
    worker->capacity = worker->capacity == 0 ? 65536 : worker->capacity * 2;
    worker->latencies = realloc(worker->latencies, worker->capacity * sizeof *worker->latencies);
    if (worker->latencies == NULL)
      fail("realloc");
  }
  worker->latencies[worker->count++] = now_ns() - connection->began;
  if (connection->status != 200)
    ++worker->failed;
}

static void open_connection(struct connection* connection, int poller) {
  const struct sockaddr_in to = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  const int yes = 1;
  connection->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection->socket < 0 || connect(connection->socket, (const struct sockaddr*)&to, sizeof to) != 0)
    fail("connect");
  setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  // From here on nothing blocks but the poller.
  struct epoll_event interest = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.ptr = connection}};
  if (fcntl(connection->socket, F_SETFL, O_NONBLOCK) != 0 ||
      epoll_ctl(poller, EPOLL_CTL_ADD, connection->socket, &interest) != 0)
    fail("epoll_ctl");
}

static void* work(void* argument) {
  struct worker* const worker = argument;
  struct connection* const connections = calloc((size_t)worker->connections, sizeof *connections);
  const int poller = epoll_create1(EPOLL_CLOEXEC);
  if (connections == NULL || poller < 0)
    fail("load_http");
  long busy = 0;
  for (long i = 0; i < worker->connections; ++i) {
    open_connection(&connections[i], poller);
    busy += begin(&connections[i]);
  }
  struct epoll_event events[64];
  while (busy > 0) {
    const int ready = epoll_wait(poller, events, 64, 60000);
    if (ready == 0) {
      fprintf(stderr, "the server has not answered for a minute\n");
      exit(1);
    }
    for (int i = 0; i < ready; ++i) {
      struct connection* const connection = events[i].data.ptr;
      if (connection->request_sent < connection->request_length)
        send_more(connection);
      if (connection->request == NULL || !receive(connection))
        continue;
      note(worker, connection);
      if (!begin(connection)) {
        epoll_ctl(poller, EPOLL_CTL_DEL, connection->socket, NULL);
        --busy;
      }
    }
  }
  for (long i = 0; i < worker->connections; ++i) {
    close(connections[i].socket);
    free(connections[i].request);
  }
  free(connections);
  close(poller);
  return NULL;
}

static int ascending(const void* left, const void* right) {
  const int64_t a = *(const int64_t*)left;
  const int64_t b = *(const int64_t*)right;
  return (a > b) - (a < b);
}

static int report(struct worker* workers, long threads, int64_t duration) {
  size_t count = 0;
  long failed = 0;
  for (long i = 0; i < threads; ++i) {
    count += workers[i].count;
    failed += workers[i].failed;
  }
  if (count == 0) {
    fprintf(stderr, "no request was answered\n");
    return 1;
  }
  int64_t* const all = malloc(count * sizeof *all);
  if (all == NULL)
    fail("malloc");
  for (size_t i = 0, at = 0; i < (size_t)threads; at += workers[i++].count)
    memcpy(all + at, workers[i].latencies, workers[i].count * sizeof *all);
  qsort(all, count, sizeof *all, ascending);
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  const double seconds = (double)duration / 1e9;
  const double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                     (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  printf("{\"requests\":%zu,\"seconds\":%.6f,\"rate\":%.1f,\"failed\":%ld,\"p50_us\":%.1f,\"p99_us\":%.1f,"
         "\"max_us\":%.1f,\"cpu_s\":%.3f}\n",
         count, seconds, (double)count / seconds, failed, (double)all[count / 2] / 1e3,
         (double)all[count * 99 / 100] / 1e3, (double)all[count - 1] / 1e3, cpu);
  free(all);
  return failed == 0 ? 0 : 1;
}

int main(int count, char** words) {
  long connections = 1;
  long threads = 1;
  long seconds_ms = -1;
  int option = 0;
  while ((option = getopt(count, words, "c:t:k:n:s:")) != -1) {
    if (option == 'c')
      connections = number_or_end("CONNECTIONS", optarg, 1, 10000);
    else if (option == 't')
      threads = number_or_end("THREADS", optarg, 1, threads_max);
    else if (option == 'k')
      lines = number_or_end("LINES", optarg, 1, 100000);
    else if (option == 'n')
      requests_max = number_or_end("REQUESTS", optarg, 1, 1000000000);
    else if (option == 's')
      seconds_ms = (long)(strtod(optarg, NULL) * 1000);
    else
      return 2;
  }
  if (count - optind != 5 || (requests_max < 0) == (seconds_ms <= 0) || threads > connections) {
    fprintf(stderr, "usage: load_http [-c CONNECTIONS] [-t THREADS] [-k LINES] (-n REQUESTS | -s SECONDS) "
                    "PORT PATH TYPE TEMPLATE FIRST\n");
    return 2;
  }
  port = (uint16_t)number_or_end("PORT", words[optind], 1, 65535);
  path = words[optind + 1];
  content_type = words[optind + 2];
  template = words[optind + 3];
  template_length = strlen(template);
  atomic_store(&next_number, number_or_end("FIRST", words[optind + 4], 0, 1000000000000));

  struct worker workers[threads_max] = {0};
  const int64_t began = now_ns();
  if (seconds_ms > 0)
    ends_at = began + seconds_ms * 1000000;
  for (long i = 0; i < threads; ++i) {
    workers[i].connections = connections / threads + (i < connections % threads);
    errno = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    if (errno != 0)
      fail("pthread_create");
  }
  for (long i = 0; i < threads; ++i)
    pthread_join(workers[i].thread, NULL);
  return report(workers, threads, now_ns() - began);
}
