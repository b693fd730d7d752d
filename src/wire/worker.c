#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>

#include "base/alloc.h"
#include "wire/conn.h"

/* What came of the wish for one more head. */
enum collect {
  COLLECT_HEAD, /* whole in the input buffer */
  COLLECT_PARK, /* not yet: give the connection back to epoll */
  COLLECT_GONE, /* close */
  COLLECT_REFUSE
};

static void linger_step(struct wire_worker *w, struct wire_conn *c) {
  assert(c->lingering);
  for (;;) {
    ssize_t n = c->io.ops->read(&c->io, w->input, CONN_INPUT_BYTES);
    if (n > 0) {
      c->lingered += (size_t)n;
      if (c->lingered <= CONN_LINGER_BYTES_MAX) continue;
    }
    bool waiting = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) && !c->doomed;
    if (!waiting) break;
    conn_park(w->server, c, false, atomic_load(&c->deadline_ns));
    return;
  }
  conn_close(w->server, c, false);
}

/* A close with unread input resets the connection and may take the reply with it: so say that we
 * are done, and read on until the client is done too. */
static void linger(struct wire_worker *w, struct wire_conn *c) {
  assert(!c->lingering);
  c->lingering = true;
  places_settle(w->server, c);
  c->io.ops->finish(&c->io);
  dom_free(c->partial);
  c->partial = NULL;
  atomic_store(&c->deadline_ns, conn_now(w->server) + 1000000ull * w->server->options.linger_ms);
  linger_step(w, c);
}

static void refuse(struct wire_worker *w, struct wire_conn *c, unsigned status, const char *why) {
  assert(status >= 400);
  if (!c->refused) atomic_fetch_add(&w->server->refused_heads, 1);
  exchange_refuse(w, c, status, why);
  linger(w, c);
}

/* Puts the connection to rest with what has come of the next head. */
static void park(struct wire_worker *w, struct wire_conn *c) {
  struct wire_server *s = w->server;
  size_t len = w->in_len - w->in_pos;
  assert(c->partial == NULL && len < WIRE_HEAD_BYTES_MAX);
  if (len == 0) {
    uint64_t idle_ns = conn_now(s) + 1000000ull * s->options.idle_timeout_ms;
    conn_park(s, c, true, c->head_deadline_ns != 0 ? c->head_deadline_ns : idle_ns);
    return;
  }
  c->partial = dom_alloc(len);
  if (c->partial == NULL) {
    conn_close(s, c, true);
    return;
  }
  memcpy(c->partial, w->input + w->in_pos, len);
  c->partial_len = len;
  conn_park(s, c, false, c->head_deadline_ns);
}

static void unpark(struct wire_worker *w, struct wire_conn *c) {
  int parked = CONN_PARKED;
  if (!atomic_compare_exchange_strong(&c->state, &parked, CONN_ACTIVE)) {
    assert(parked == CONN_DOOMED);
    c->doomed = true;
    atomic_store(&c->state, CONN_ACTIVE);
  }
  w->in_floor = w->in_pos = w->in_len = 0;
  if (c->partial == NULL) return;
  memcpy(w->input, c->partial, c->partial_len);
  w->in_len = c->partial_len;
  dom_free(c->partial);
  c->partial = NULL;
}

/* Looks at the bytes that are there. COLLECT_PARK: more are needed. */
static enum collect scan(struct wire_worker *w, struct wire_conn *c, size_t *out_len, unsigned *out_status) {
  /* RFC 9112 §2.2: one empty line before a request is forgiven. */
  if (w->in_pos == 0 && w->in_len >= 2 && c->scanned == 0 && memcmp(w->input, "\r\n", 2) == 0) w->in_pos = 2;
  assert(w->in_pos <= w->in_len);
  struct slice bytes = slice_of(w->input + w->in_pos, w->in_len - w->in_pos);
  if (bytes.len == 0) return COLLECT_PARK;
  *out_status = 503;
  if (c->refused) return COLLECT_REFUSE;
  switch (wire_head_scan(bytes, &c->scanned, out_len, out_status)) {
  case WIRE_SCAN_WHOLE:
    return COLLECT_HEAD;
  case WIRE_SCAN_BAD:
    return COLLECT_REFUSE;
  case WIRE_SCAN_MORE:
    break;
  }
  uint64_t now = conn_now(w->server);
  if (c->head_deadline_ns == 0) c->head_deadline_ns = now + 1000000ull * w->server->options.head_timeout_ms;
  *out_status = 408;
  return now > c->head_deadline_ns ? COLLECT_REFUSE : COLLECT_PARK;
}

/* Nothing more can be had from a connection that closes: whatever is half there came too late. */
static enum collect give_up(const struct wire_worker *w, const struct wire_conn *c, unsigned *out_status) {
  bool half = w->in_len > w->in_pos;
  assert(w->in_len >= w->in_pos);
  *out_status = 408;
  return half && c->doomed ? COLLECT_REFUSE : COLLECT_GONE;
}

/* A head of which only part of a TLS record has come: its time runs from here, drop by drop. */
static void note_begun(struct wire_worker *w, struct wire_conn *c) {
  assert(w->in_len >= w->in_pos);
  if (c->io.begun && c->head_deadline_ns == 0)
    c->head_deadline_ns = conn_now(w->server) + 1000000ull * w->server->options.head_timeout_ms;
}

/* Brings a whole head into the input buffer, as far as it has arrived. */
static enum collect collect(struct wire_worker *w, struct wire_conn *c, size_t *out_len,
                            unsigned *out_status) {
  for (;;) {
    enum collect r = scan(w, c, out_len, out_status);
    if (r != COLLECT_PARK) return r;
    bool empty = w->in_len == w->in_pos;
    assert(w->in_len < CONN_INPUT_BYTES);
    ssize_t n = c->io.ops->read(&c->io, w->input + w->in_len, CONN_INPUT_BYTES - w->in_len);
    if (n > 0) {
      w->in_len += (size_t)n;
      continue;
    }
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return COLLECT_GONE;
    if (n == 0 || c->doomed) return give_up(w, c, out_status);
    note_begun(w, c);
    return empty && atomic_load(&w->server->draining) ? COLLECT_GONE : COLLECT_PARK;
  }
}

static void to_next(struct wire_worker *w, struct wire_conn *c) {
  size_t len = w->in_len - w->in_pos;
  assert(w->in_pos <= w->in_len);
  if (len > 0) memmove(w->input, w->input + w->in_pos, len);
  w->in_floor = w->in_pos = 0;
  w->in_len = len;
  c->scanned = 0;
  c->head_deadline_ns = 0;
  arena_reset(w->arena);
}

static const char *why_of(unsigned status) {
  assert(status >= 400);
  switch (status) {
  case 408:
    return "The request head took too long.";
  case 414:
    return "The request target is too long.";
  case 431:
    return "The request head is too large.";
  case 503:
    return "Too many connections. Please try again later.";
  default:
    return "Malformed request head.";
  }
}

/* Whose request it is, and whether there is room for one more of theirs. Without a front connections are
 * counted. */
static bool admit_client(struct wire_server *s, struct wire_conn *c, const struct wire_head *h) {
  if (!c->front) return true;
  c->client = front_client(s, h, &c->address);
  pthread_mutex_lock(&s->lock);
  bool room = caps_take(&s->caps, &c->client, s->options.connections_per_address_max);
  pthread_mutex_unlock(&s->lock);
  assert(!c->client.local);
  if (!room) atomic_fetch_add(&s->refused_full, 1);
  return room;
}

static void dismiss_client(struct wire_server *s, const struct wire_conn *c) {
  if (!c->front) return;
  pthread_mutex_lock(&s->lock);
  caps_give(&s->caps, &c->client);
  pthread_mutex_unlock(&s->lock);
}

/* The handler wants to run again when there is a place: what has come of the request waits for that. */
static void put_aside(struct wire_worker *w, struct wire_conn *c, size_t head_len) {
  struct wire_server *s = w->server;
  assert(c->partial == NULL && w->in_pos == w->in_floor && head_len <= w->in_floor);
  const uint8_t *from = w->input + w->in_floor - head_len;
  exchange_put_aside(&w->x);
  arena_reset(w->arena);
  c->scanned = 0;
  c->head_deadline_ns = 0;
  c->partial_len = w->in_len - (w->in_floor - head_len);
  c->partial = dom_alloc(c->partial_len);
  if (c->partial == NULL) {
    places_leave(s);
    conn_close(s, c, true);
    return;
  }
  memcpy(c->partial, from, c->partial_len);
  atomic_store(&c->state, CONN_WAITING);
  places_wait(s, c);
}

/* Runs one request whose head is in the buffer. False: the connection is no longer ours. */
static bool run(struct wire_worker *w, struct wire_conn *c, size_t head_len) {
  assert(head_len > 0 && head_len <= w->in_len - w->in_pos);
  struct wire_server *s = w->server;
  const char *why = NULL;
  unsigned status = wire_head_parse(slice_of(w->input + w->in_pos, head_len), &w->x.head, &why);
  w->in_pos += head_len;
  w->in_floor = w->in_pos;
  if (status != 0) {
    refuse(w, c, status, why);
    return false;
  }
  if (!admit_client(s, c, &w->x.head)) {
    exchange_refuse(w, c, 503, why_of(503));
    linger(w, c);
    return false;
  }
  if (c->wait.began_ns == 0) atomic_fetch_add_explicit(&s->requests, 1, memory_order_relaxed);
  exchange_begin(w, c);
  /* Who writes waits for a disk; who reads mostly finds what it wants in memory. */
  if (w->x.head.method != WIRE_METHOD_GET && w->x.head.method != WIRE_METHOD_HEAD) {
    w->has_blocked = true;
    crew_expect_block(&s->crew);
  }
  s->handler(&w->x, s->arg);
  if (w->x.put_aside) {
    dismiss_client(s, c);
    put_aside(w, c, head_len);
    return false;
  }
  places_settle(s, c);
  enum exchange_end end = exchange_finish(&w->x);
  dismiss_client(s, c);
  switch (end) {
  case EXCHANGE_KEEP:
    to_next(w, c);
    return true;
  case EXCHANGE_LINGER:
    linger(w, c);
    break;
  case EXCHANGE_RESET:
    conn_close(s, c, true);
    break;
  }
  arena_reset(w->arena);
  return false;
}

static void serve(struct wire_worker *w, struct wire_conn *c) {
  unpark(w, c);
  if (c->lingering) {
    linger_step(w, c);
    return;
  }
  for (;;) {
    size_t head_len = 0;
    unsigned status = 0;
    switch (collect(w, c, &head_len, &status)) {
    case COLLECT_HEAD:
      break;
    case COLLECT_PARK:
      park(w, c);
      return;
    case COLLECT_GONE:
      conn_close(w->server, c, false);
      return;
    case COLLECT_REFUSE:
      refuse(w, c, status, why_of(status));
      return;
    }
    assert(head_len > 0);
    if (!run(w, c, head_len)) return;
  }
}

void *worker_main(void *worker) {
  struct wire_worker *w = worker;
  struct wire_server *s = w->server;
  for (;;) {
    struct epoll_event e;
    atomic_fetch_add_explicit(&s->idle_workers, 1, memory_order_relaxed);
    if (!crew_join(&s->crew, w->has_blocked)) break;
    int n = epoll_wait(s->epoll_fd, &e, 1, -1);
    crew_leave(&s->crew);
    w->has_blocked = false;
    atomic_fetch_sub_explicit(&s->idle_workers, 1, memory_order_relaxed);
    assert(n <= 1);
    if (n == 1 && e.data.ptr != NULL) serve(w, e.data.ptr); /* NULL: the stop signal */
  }
  return NULL;
}
