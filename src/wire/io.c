#include "wire/io.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum {
  SLOW_CHECK_MS = 250, /* how often a waiting worker looks whether it has to give way */
  /* The same, and how soon a client counts as slow, while slow ones hold all they may and no worker is idle.
   * 300 of them a second then take a tenth of the workers that are left; at 100 ms they took all of them
   * twice over. */
  SLOW_CROWDED_MS = 10
};

static ssize_t socket_read(struct wire_io *io, void *out, size_t cap) {
  assert(io->fd >= 0 && cap > 0);
  ssize_t n;
  do n = recv(io->fd, out, cap, MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  return n;
}

static ssize_t socket_write(struct wire_io *io, const struct iovec *parts, size_t count) {
  assert(io->fd >= 0 && count > 0);
  struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = count};
  ssize_t n;
  do n = sendmsg(io->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  return n;
}

static void socket_finish(struct wire_io *io) {
  assert(io->fd >= 0);
  (void)shutdown(io->fd, SHUT_WR); /* fails only when the peer is gone already */
}

static void socket_close(struct wire_io *io, bool reset) {
  assert(io->fd >= 0);
  if (reset) {
    struct linger l = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(io->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
  }
  (void)close(io->fd);
  io->fd = -1;
}

static const struct wire_io_ops socket_ops = {
    .read = socket_read, .write = socket_write, .finish = socket_finish, .close = socket_close};

bool wire_io_init_socket(struct wire_io *io, int fd, bool tcp) {
  assert(io != NULL && fd >= 0);
  *io = (struct wire_io){.ops = &socket_ops, .fd = fd};
  int on = 1;
  /* Without TCP_NODELAY small replies wait 40 ms for an acknowledgement. */
  return !tcp || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
}

int wire_io_wait(const struct wire_io *io, short events, uint64_t timeout_ms) {
  assert(io->fd >= 0);
  struct pollfd p = {.fd = io->fd, .events = io->wants != 0 ? io->wants : events};
  int n = poll(&p, 1, timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms);
  return n == 0 ? 0 : 1; /* an interrupted poll counts as ready: the caller tries and comes back */
}

void wire_pace_init(struct wire_pace *p, uint32_t rate_min, uint32_t grace_ms, struct wire_slow *slow) {
  assert(rate_min > 0 && grace_ms > 0 && slow != NULL);
  uint64_t grace_us = 1000ull * grace_ms;
  *p = (struct wire_pace){.patience_us = grace_us, .grace_us = grace_us, .rate_min = rate_min, .slow = slow};
}

void wire_slow_init(struct wire_slow *s, unsigned max, uint32_t after_ms, _Atomic unsigned *idle_workers) {
  assert(max > 0 && after_ms > 0 && idle_workers != NULL);
  *s = (struct wire_slow){.max = max, .after_ms = after_ms, .idle_workers = idle_workers};
  pthread_mutex_init(&s->lock, NULL);
}

void wire_slow_done(struct wire_slow *s) {
  assert(s->oldest == NULL && atomic_load(&s->held) == 0);
  pthread_mutex_destroy(&s->lock);
}

/* Under the lock. */
static void slow_join(struct wire_slow *s, struct wire_pace *p) {
  assert(!p->listed);
  p->older = s->newest;
  p->newer = NULL;
  if (s->newest != NULL)
    s->newest->newer = p;
  else
    s->oldest = p;
  s->newest = p;
  p->listed = true;
  atomic_fetch_add(&s->held, 1);
}

/* Under the lock. */
static void slow_leave(struct wire_slow *s, struct wire_pace *p) {
  assert(p->listed && atomic_load(&s->held) > 0);
  if (p->older != NULL)
    p->older->newer = p->newer;
  else
    s->oldest = p->newer;
  if (p->newer != NULL)
    p->newer->older = p->older;
  else
    s->newest = p->older;
  p->listed = false;
  atomic_fetch_sub(&s->held, 1);
}

static bool slow_is_crowded(struct wire_slow *s) {
  return atomic_load(&s->held) >= s->max && atomic_load(s->idle_workers) == 0;
}

void wire_pace_done(struct wire_pace *p) {
  if (!p->counted) return;
  pthread_mutex_lock(&p->slow->lock);
  if (p->listed) slow_leave(p->slow, p);
  pthread_mutex_unlock(&p->slow->lock);
  p->counted = false;
}

void wire_pace_limit(struct wire_pace *p, uint32_t grace_ms) {
  uint64_t grace_us = 1000ull * grace_ms;
  assert(grace_ms > 0);
  if (grace_us < p->grace_us) p->grace_us = grace_us;
  if (p->patience_us > p->grace_us) p->patience_us = p->grace_us;
}

void wire_pace_earn(struct wire_pace *p, size_t bytes) {
  uint64_t earned = (bytes > UINT32_MAX ? UINT32_MAX : (uint64_t)bytes) * 1000000 / p->rate_min;
  p->patience_us = p->patience_us + earned < p->grace_us ? p->patience_us + earned : p->grace_us;
  uint64_t made_up = (bytes > UINT32_MAX ? UINT32_MAX : (uint64_t)bytes) * 1000000 / IO_RATE_FAIR;
  p->waited_us = p->waited_us > made_up ? p->waited_us - made_up : 0;
  if (p->waited_us == 0) wire_pace_done(p);
  assert(p->patience_us <= p->grace_us);
}

/* Waits once, for a slice of the patience, and pays for it. */
static bool wait_slice(struct wire_pace *p, const struct wire_io *io, short events) {
  uint64_t slice_us = 1000ull * (p->slow->after_ms < SLOW_CHECK_MS ? p->slow->after_ms : SLOW_CHECK_MS);
  if (slow_is_crowded(p->slow) && slice_us > 1000ull * SLOW_CROWDED_MS) slice_us = 1000ull * SLOW_CROWDED_MS;
  if (slice_us > p->patience_us) slice_us = p->patience_us;
  struct clock *clock = clock_posix();
  uint64_t from = clock_mono_ns(clock);
  int ready = wire_io_wait(io, events, slice_us / 1000 + 1);
  uint64_t spent = (clock_mono_ns(clock) - from) / 1000;
  p->waited_us += spent;
  p->patience_us = spent < p->patience_us ? p->patience_us - spent : 0;
  assert(p->patience_us <= p->grace_us);
  return ready != 0;
}

/* Joins the slow ones after a while, and cuts the oldest of them where there are too many. True: it was this
 * one, by its own doing or another's. */
static bool is_one_too_many(struct wire_pace *p) {
  struct wire_slow *s = p->slow;
  uint32_t after_ms = slow_is_crowded(s) && s->after_ms > SLOW_CROWDED_MS ? SLOW_CROWDED_MS : s->after_ms;
  if (!p->counted && p->waited_us < 1000ull * after_ms) return false;
  pthread_mutex_lock(&s->lock);
  if (!p->counted) slow_join(s, p);
  p->counted = true;
  if (atomic_load(&s->held) > s->max && atomic_load(s->idle_workers) == 0) slow_leave(s, s->oldest);
  bool cut = !p->listed;
  pthread_mutex_unlock(&s->lock);
  if (cut) p->counted = false;
  return cut;
}

enum dom_code wire_pace_wait(struct wire_pace *p, const struct wire_io *io, short events) {
  while (p->patience_us > 0) {
    if (wait_slice(p, io, events)) return DOM_OK;
    if (is_one_too_many(p)) return DOM_BUSY;
  }
  assert(p->patience_us == 0);
  return DOM_TIMEOUT;
}

enum dom_code wire_io_read(struct wire_io *io, struct wire_pace *pace, void *out, size_t cap,
                           size_t *out_len) {
  assert(cap > 0);
  for (;;) {
    ssize_t n = io->ops->read(io, out, cap);
    if (n >= 0) {
      *out_len = (size_t)n;
      wire_pace_earn(pace, (size_t)n);
      return DOM_OK;
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK) return DOM_IO;
    enum dom_code c = wire_pace_wait(pace, io, POLLIN);
    if (c != DOM_OK) return c;
  }
}

/* Moves the list of parts past `n` written bytes; returns how many parts are done. */
static size_t advance(struct iovec *parts, size_t count, size_t n) {
  assert(parts != NULL);
  size_t done = 0;
  while (done < count && n >= parts[done].iov_len) n -= parts[done++].iov_len;
  if (done < count) {
    parts[done].iov_base = (uint8_t *)parts[done].iov_base + n;
    parts[done].iov_len -= n;
  }
  return done;
}

enum dom_code wire_io_write(struct wire_io *io, struct wire_pace *pace, struct iovec *parts, size_t count) {
  assert(count > 0);
  size_t at = advance(parts, count, 0);
  while (at < count) {
    ssize_t n = io->ops->write(io, parts + at, count - at);
    if (n >= 0) {
      wire_pace_earn(pace, (size_t)n);
      at += advance(parts + at, count - at, (size_t)n);
      continue;
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK) return DOM_IO;
    enum dom_code c = wire_pace_wait(pace, io, POLLOUT);
    if (c != DOM_OK) return c;
  }
  return DOM_OK;
}
