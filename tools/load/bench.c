/* The engine: connections as small state machines on one epoll. */
#include "bench.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "bench_internal.h"
#include "bench_link.h"
#include "load.h"

/* Room for a request's head and for an answer's. */
#define HEAD_BYTES_MAX 4096
/* Bytes read with the head; small answers come whole. */
#define READ_BYTES ((size_t)16 << 10)
/* Events taken at once. */
#define EVENTS_MAX 256
/* Descriptors beside the connections: standard streams, epoll, files of libraries. */
#define FILES_SPARE 64
/* No event for so long: the server hangs. */
#define SILENCE_MS 30000
/* A request whose kept-alive connection is closed before any answer is sent again so often. */
#define RESENDS_MAX 3

struct connection {
  struct bench_link link;
  bool busy;                    /* a request is in flight */
  bool in_body;                 /* the answer's head is read */
  uint8_t head[HEAD_BYTES_MAX]; /* of the request */
  size_t head_len;
  size_t number; /* of the object, page or part */
  size_t sent;   /* of head and payload */
  uint64_t start_ns;
  uint8_t *read; /* READ_BYTES */
  size_t read_len;
  struct bench_head answer;
  uint64_t body_left; /* unless chunked */
  struct bench_chunks chunks;
  unsigned resends;
};

struct bench {
  const struct bench_config *config;
  struct bench_result *result;
  struct bench_heads heads;
  struct connection *connections;
  struct bench_target target;
  int epoll;
  uint64_t start_ns;
  uint64_t issued;
  size_t busy;
  bool failed;
};

/* Opens the connection and puts it on the epoll, edge-triggered for both ways. */
static bool reopen(struct bench *b, struct connection *c) {
  assert(!c->busy || c->sent == 0);
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
  bool ok = bench_link_open(&c->link, &b->target);
  if (ok && epoll_ctl(b->epoll, EPOLL_CTL_ADD, c->link.fd, &event) != 0)
    ok = load_complain("epoll: %s", strerror(errno)) == LOAD_OK;
  if (!ok) b->failed = true;
  return ok;
}

static bool may_issue(const struct bench *b, uint64_t now_ns) {
  const struct bench_config *config = b->config;
  assert(now_ns >= b->start_ns);
  if (b->failed || atomic_load(&load_stop)) return false;
  if (config->requests_max > 0 && b->issued >= config->requests_max) return false;
  return config->duration_ms == 0 || now_ns - b->start_ns < config->duration_ms * 1000000;
}

/* Puts the next request into the connection; sending comes after. */
static void issue(struct bench *b, struct connection *c, uint64_t now_ns) {
  assert(!c->busy);
  if (!may_issue(b, now_ns)) return;
  if (!bench_heads_renew(&b->heads, b->config, now_ns)) {
    b->failed = true;
    return;
  }
  c->number = b->issued % b->config->objects;
  struct slice head = bench_head_of(&b->heads, c->number);
  assert(head.len <= sizeof c->head);
  memcpy(c->head, head.data, head.len);
  c->head_len = head.len;
  c->sent = 0;
  c->read_len = 0;
  c->in_body = false;
  c->resends = 0;
  c->start_ns = now_ns;
  c->busy = true;
  b->busy++;
  b->issued++;
}

static size_t payload_len(const struct bench *b) {
  return bench_sends_body(b->config) ? b->config->payload.len : 0;
}

/* Sends as much as the socket takes. Returns: false when the connection is lost. */
static bool send_more(struct bench *b, struct connection *c) {
  size_t whole = c->head_len + payload_len(b);
  while (c->sent < whole) {
    size_t head_sent = c->sent < c->head_len ? c->sent : c->head_len;
    struct slice head = slice_of(c->head + head_sent, c->head_len - head_sent);
    ssize_t got =
        bench_link_send(&c->link, head, slice_cut(b->config->payload, c->sent - head_sent, payload_len(b)));
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    c->sent += (size_t)got;
  }
  assert(c->sent == whole);
  return true;
}

static void count(struct bench *b, const struct connection *c, uint64_t now_ns) {
  struct bench_result *r = b->result;
  assert(c->number < b->config->objects);
  if (c->answer.status < 200 || c->answer.status >= 300) {
    if (r->errors++ == 0) r->first_status = c->answer.status;
    return;
  }
  uint64_t sent = b->config->payload_mode == BENCH_TRAILER ? b->config->decoded_bytes : payload_len(b);
  r->requests++;
  r->body_bytes += bench_sends_body(b->config) ? sent : c->answer.body_bytes;
  histogram_add(&r->latency_ns, now_ns - c->start_ns);
  if (b->config->etags != NULL) memcpy(b->config->etags[c->number], c->answer.etag, sizeof c->answer.etag);
}

static void finish(struct bench *b, struct connection *c) {
  struct bench_result *r = b->result;
  uint64_t now = clock_mono_ns(clock_posix());
  assert(c->busy && b->busy > 0);
  c->busy = false;
  b->busy--;
  count(b, c, now);
  /* An answer before the whole body was sent leaves the connection unusable. */
  bool cut = c->sent < c->head_len + payload_len(b);
  if ((c->answer.close || cut) && may_issue(b, now)) {
    r->reconnects++;
    if (!reopen(b, c)) return;
  }
  issue(b, c, now);
}

/* Takes the answer's head out of what was read. Returns: false when it is unreadable. */
static bool take_head(struct bench *b, struct connection *c) {
  const uint8_t *end = memmem(c->read, c->read_len, "\r\n\r\n", 4);
  if (end == NULL) return c->read_len < READ_BYTES;
  size_t len = (size_t)(end - c->read) + 4;
  if (!bench_head_parse(slice_of(c->read, len), &c->answer)) {
    load_complain("the server's answer is unreadable or tells no length");
    b->failed = true;
    return false;
  }
  size_t more = c->read_len - len;
  assert(len <= c->read_len);
  c->in_body = true;
  c->chunks = (struct bench_chunks){0};
  if (c->answer.chunked) return bench_chunks_take(&c->chunks, slice_of(c->read + len, more));
  if (more > c->answer.body_bytes) return false;
  c->body_left = c->answer.body_bytes - more;
  return true;
}

static bool is_whole(struct connection *c) {
  if (!c->in_body || !c->answer.chunked) return c->in_body && c->body_left == 0;
  c->answer.body_bytes = c->chunks.body_bytes;
  return c->chunks.at == BENCH_CHUNK_END;
}

/* Reads what is there. Returns: 1 whole answer, 0 wait for more, -1 lost. */
static int receive_more(struct bench *b, struct connection *c) {
  assert(c->busy);
  for (;;) {
    if (is_whole(c)) return 1;
    ssize_t got;
    if (c->in_body && c->answer.chunked) {
      got = bench_link_receive(&c->link, c->read, READ_BYTES);
    } else if (c->in_body) {
      got = bench_link_discard(&c->link, c->body_left < SSIZE_MAX ? (size_t)c->body_left : SSIZE_MAX);
    } else {
      got = bench_link_receive(&c->link, c->read + c->read_len, READ_BYTES - c->read_len);
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (got <= 0) return -1;
    if (c->in_body) {
      if (!c->answer.chunked)
        c->body_left -= (uint64_t)got;
      else if (!bench_chunks_take(&c->chunks, slice_of(c->read, (size_t)got)))
        return -1;
      continue;
    }
    c->read_len += (size_t)got;
    if (!take_head(b, c)) return -1;
  }
}

/* The connection broke: a kept-alive one that the server had closed already is not an error. */
static void lost(struct bench *b, struct connection *c) {
  assert(c->busy);
  if (c->read_len == 0 && !c->in_body && c->resends < RESENDS_MAX && !b->failed) {
    c->resends++;
    c->sent = 0;
    b->result->reconnects++;
    if (reopen(b, c)) return;
  }
  c->answer = (struct bench_head){0};
  c->busy = false;
  b->busy--;
  b->result->errors++;
  if (b->failed || !reopen(b, c)) return;
  issue(b, c, clock_mono_ns(clock_posix()));
}

/* Moves the connection on: sends, and reads where the event said that there is something. After
 * a whole answer the next request is sent at once; its answer will bring an event of its own, so
 * that no read is tried in vain. */
static void drive(struct bench *b, struct connection *c, bool readable) {
  assert(c->link.fd >= 0);
  while (c->busy && !b->failed) {
    /* When sending fails, an early refusal may be waiting to be read. */
    bool broken = !send_more(b, c);
    if (!broken && !readable) return;
    int got = receive_more(b, c);
    if (got == 0 && !broken) return;
    if (got == 1) {
      finish(b, c);
    } else {
      lost(b, c);
    }
    readable = false;
  }
}

static void loop(struct bench *b) {
  struct epoll_event events[EVENTS_MAX];
  assert(b->epoll >= 0);
  for (size_t i = 0; i < b->config->connections && !b->failed; i++) {
    issue(b, &b->connections[i], clock_mono_ns(clock_posix()));
    drive(b, &b->connections[i], false);
  }
  while (b->busy > 0 && !b->failed) {
    int count = epoll_wait(b->epoll, events, EVENTS_MAX, SILENCE_MS);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      load_complain("the server has not moved for %d s", SILENCE_MS / 1000);
      b->failed = true;
      return;
    }
    for (int i = 0; i < count; i++) {
      drive(b, events[i].data.ptr, (events[i].events & ~(uint32_t)EPOLLOUT) != 0);
    }
  }
}

static uint64_t cpu_ns(void) {
  struct rusage usage;
  int code = getrusage(RUSAGE_SELF, &usage);
  assert(code == 0);
  uint64_t seconds = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec);
  return seconds * 1000000000 + (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

/* Room for the connections' descriptors, within the hard limit. */
static void raise_limit(size_t connections) {
  struct rlimit files;
  assert(connections <= BENCH_CONNECTIONS_MAX);
  rlim_t want = connections + FILES_SPARE;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= want) return;
  files.rlim_cur = files.rlim_max < want ? files.rlim_max : want;
  setrlimit(RLIMIT_NOFILE, &files);
}

/* Connections and heads. Returns: false when it could not be done. */
static bool prepare(struct bench *b) {
  assert(b != NULL && b->connections == NULL);
  const struct bench_config *config = b->config;
  raise_limit(config->connections);
  b->epoll = epoll_create1(EPOLL_CLOEXEC);
  b->connections = dom_calloc(config->connections, sizeof *b->connections);
  if (b->epoll < 0 || b->connections == NULL) return load_complain("out of memory or descriptors") == LOAD_OK;
  for (size_t i = 0; i < config->connections; i++) b->connections[i].link.fd = -1;
  if (!bench_heads_make(&b->heads, config)) return load_complain("out of memory") == LOAD_OK;
  for (size_t i = 0; i < config->objects; i++) {
    if (bench_head_of(&b->heads, i).len > HEAD_BYTES_MAX) return load_complain("names too long") == LOAD_OK;
  }
  if (!bench_target_init(&b->target, config->endpoint)) return false;
  for (size_t i = 0; i < config->connections; i++) {
    struct connection *c = &b->connections[i];
    c->read = dom_alloc(READ_BYTES);
    if (c->read == NULL) return load_complain("out of memory") == LOAD_OK;
    if (!reopen(b, c)) return false;
  }
  return true;
}

bool bench_run(const struct bench_config *config, struct bench_result *out) {
  assert(config != NULL && out != NULL);
  assert(config->connections >= 1 && config->connections <= BENCH_CONNECTIONS_MAX);
  *out = (struct bench_result){0};
  struct bench b = {.config = config, .result = out, .epoll = -1};
  bool ok = prepare(&b);
  uint64_t cpu = cpu_ns();
  b.start_ns = clock_mono_ns(clock_posix());
  if (ok) loop(&b);
  out->wall_ns = clock_mono_ns(clock_posix()) - b.start_ns;
  out->cpu_ns = cpu_ns() - cpu;
  if (ok && !b.failed && config->hold != NULL) config->hold(config);
  for (size_t i = 0; b.connections != NULL && i < config->connections; i++) {
    bench_link_close(&b.connections[i].link);
    dom_free(b.connections[i].read);
  }
  dom_free(b.connections);
  bench_target_done(&b.target);
  bench_heads_done(&b.heads);
  if (b.epoll >= 0) close(b.epoll);
  return ok && !b.failed;
}
