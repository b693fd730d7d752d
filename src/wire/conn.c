#include "wire/conn.h"

#include <assert.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/alloc.h"

uint64_t conn_now(const struct wire_server *s) {
  return clock_mono_ns(s->options.clock);
}

static pthread_mutex_t *park_lock(struct wire_server *s, int fd) {
  assert(fd >= 0);
  return &s->park_locks[fd % CONN_PARK_LOCKS];
}

static void list_add(struct wire_server *s, struct wire_conn *c) {
  assert(c->next == NULL && c->prev == NULL);
  c->next = s->conns;
  if (s->conns != NULL) s->conns->prev = c;
  s->conns = c;
  s->conn_count++;
  if (c->refused) s->refused_count++;
}

static void list_remove(struct wire_server *s, struct wire_conn *c) {
  assert(s->conn_count > 0 && (c->prev != NULL || s->conns == c));
  if (c->prev != NULL)
    c->prev->next = c->next;
  else
    s->conns = c->next;
  if (c->next != NULL) c->next->prev = c->prev;
  s->conn_count--;
  if (c->refused) s->refused_count--;
  if (s->conn_count == 0) pthread_cond_broadcast(&s->empty);
}

/* Decides under the lock whether the connection is admitted, refused with 503, or dropped. */
static bool admit(struct wire_server *s, struct wire_conn *c) {
  assert(s->refused_count <= s->conn_count);
  unsigned admitted = s->conn_count - s->refused_count;
  bool room = admitted < s->options.connections_max;
  if (room && !c->address.local && !c->front) {
    c->counted = caps_take(&s->caps, &c->address, s->options.connections_per_address_max);
    room = c->counted;
  }
  c->refused = !room;
  if (c->refused && s->refused_count >= CONN_REFUSED_MAX) return false;
  list_add(s, c);
  return true;
}

static bool watch_first(struct wire_server *s, struct wire_conn *c) {
  assert(c->io.fd >= 0);
  struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, .data.ptr = c};
  return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, c->io.fd, &e) == 0;
}

static bool init_io(struct wire_server *s, const struct wire_listener *l, struct wire_io *io, int fd) {
  assert(fd >= 0 && (l->tcp || !l->tls));
  if (!wire_io_init_socket(io, fd, l->tcp)) return false;
  if (!l->tls) return true;
  pthread_mutex_lock(&s->lock);
  struct wire_tls *tls = wire_tls_hold(s->tls);
  pthread_mutex_unlock(&s->lock);
  if (wire_io_init_tls(io, tls)) return true;
  wire_tls_release(tls);
  return false;
}

bool conn_accept(struct wire_server *s, unsigned listener, int fd, const struct sockaddr_storage *from) {
  assert(listener < s->listener_count && fd >= 0);
  struct wire_conn *c = dom_calloc(1, sizeof *c);
  if (c == NULL || !init_io(s, &s->listeners[listener], &c->io, fd)) {
    dom_free(c);
    close(fd);
    return false;
  }
  c->listener = listener;
  c->address = c->client = caps_key_of(from);
  c->front = front_is(s, &c->address);
  pthread_mutex_lock(&s->lock);
  bool admitted = admit(s, c);
  uint64_t patience_ms = c->refused ? s->options.linger_ms : s->options.head_timeout_ms;
  atomic_store(&c->deadline_ns, conn_now(s) + patience_ms * 1000000);
  if (s->listeners[listener].tls) c->head_deadline_ns = atomic_load(&c->deadline_ns);
  atomic_store(&c->idle, true);
  atomic_store(&c->state, CONN_PARKED);
  pthread_mutex_unlock(&s->lock);
  atomic_fetch_add(&s->accepted, 1);
  if (!admitted || c->refused) atomic_fetch_add(&s->refused_full, 1);
  if (!admitted) {
    c->io.ops->close(&c->io, false);
    dom_free(c);
    return false;
  }
  /* From here on a worker may own it. */
  if (watch_first(s, c)) return true;
  conn_close(s, c, true);
  return false;
}

void conn_close(struct wire_server *s, struct wire_conn *c, bool reset) {
  assert(c != NULL);
  places_settle(s, c);
  pthread_mutex_lock(&s->lock);
  list_remove(s, c);
  if (c->counted) caps_give(&s->caps, &c->address);
  pthread_mutex_t *order = park_lock(s, c->io.fd);
  pthread_mutex_lock(order); /* whoever parked it last may not have come back from the kernel yet */
  c->io.ops->close(&c->io, reset);
  pthread_mutex_unlock(order);
  pthread_mutex_unlock(&s->lock);
  dom_free(c->partial);
  dom_free(c);
}

static void watch_again(struct wire_server *s, struct wire_conn *c, uint32_t direction, bool idle,
                        uint64_t deadline_ns) {
  struct epoll_event e = {.events = direction | EPOLLONESHOT, .data.ptr = c};
  int fd = c->io.fd;
  atomic_store(&c->deadline_ns, deadline_ns);
  atomic_store(&c->idle, idle);
  atomic_store(&c->state, CONN_PARKED);
  pthread_mutex_t *order = park_lock(s, fd);
  pthread_mutex_lock(order);
  int rc = epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, fd, &e);
  pthread_mutex_unlock(order);
  assert(rc == 0); /* the descriptor is ours and registered: this cannot fail */
  (void)rc;
}

void conn_park(struct wire_server *s, struct wire_conn *c, bool idle, uint64_t deadline_ns) {
  assert(atomic_load(&c->state) == CONN_ACTIVE);
  /* A handshake that waits to write must not be woken by what it cannot read yet. */
  watch_again(s, c, c->io.wants == POLLOUT ? EPOLLOUT : EPOLLIN | EPOLLRDHUP, idle, deadline_ns);
}

void conn_wake(struct wire_server *s, struct wire_conn *c) {
  assert(atomic_load(&c->state) == CONN_WAITING && c->partial != NULL);
  /* All its replies are sent, so it is writable at once. */
  uint64_t soon_ns = conn_now(s) + 1000000ull * s->options.head_timeout_ms;
  watch_again(s, c, EPOLLIN | EPOLLOUT | EPOLLRDHUP, false, soon_ns);
}

void conn_sweep(struct wire_server *s, uint64_t now_ns) {
  assert(s != NULL);
  bool draining = atomic_load(&s->draining);
  pthread_mutex_lock(&s->lock);
  for (struct wire_conn *c = s->conns; c != NULL; c = c->next) {
    int parked = CONN_PARKED;
    if (atomic_load(&c->state) != parked) continue;
    if (atomic_load(&c->deadline_ns) > now_ns && !(draining && atomic_load(&c->idle))) continue;
    /* The end of input makes it readable, so that epoll hands it to a worker. */
    if (atomic_compare_exchange_strong(&c->state, &parked, CONN_DOOMED)) (void)shutdown(c->io.fd, SHUT_RD);
  }
  pthread_mutex_unlock(&s->lock);
}
