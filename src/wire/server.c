#include "wire/server.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "wire/conn.h"

enum {
  SWEEP_MS_MAX = 1000,         /* how late a deadline may be noticed */
  SWEEP_MS_MIN = 5,            /* short deadlines are for tests; no busy loop for them */
  DRAIN_SWEEP_MS = 10,         /* connections that fall idle during a drain go soon */
  ACCEPT_BATCH = 64,           /* then look at the other listeners */
  ACCEPT_PAUSE_MS = 100,       /* out of descriptors: wait for some to come back */
  WORKER_STACK_BYTES = 4 << 20 /* only touched pages count; sanitizers triple the frames of a handler */
};

static uint32_t or_default(uint32_t value, uint32_t otherwise) {
  assert(otherwise > 0);
  return value != 0 ? value : otherwise;
}

static struct wire_server_options filled(const struct wire_server_options *o) {
  struct wire_server_options r = {
      .workers = or_default(o->workers, WIRE_WORKERS_DEFAULT),
      .connections_max = or_default(o->connections_max, WIRE_CONNECTIONS_DEFAULT),
      .connections_per_address_max =
          or_default(o->connections_per_address_max, WIRE_CONNECTIONS_PER_ADDRESS_DEFAULT),
      .head_timeout_ms = or_default(o->head_timeout_ms, WIRE_HEAD_TIMEOUT_MS_DEFAULT),
      .idle_timeout_ms = or_default(o->idle_timeout_ms, WIRE_IDLE_TIMEOUT_MS_DEFAULT),
      .rate_min = or_default(o->rate_min, WIRE_RATE_MIN_DEFAULT),
      .grace_ms = or_default(o->grace_ms, WIRE_GRACE_MS_DEFAULT),
      .slow_after_ms = or_default(o->slow_after_ms, WIRE_SLOW_AFTER_MS_DEFAULT),
      .linger_ms = or_default(o->linger_ms, WIRE_LINGER_MS_DEFAULT),
      .waiting_max = or_default(o->waiting_max, WIRE_WAITING_DEFAULT),
      .wait_ms = or_default(o->wait_ms, WIRE_WAIT_MS_DEFAULT),
      .arena_bytes_max = o->arena_bytes_max != 0 ? o->arena_bytes_max : WIRE_ARENA_BYTES_DEFAULT,
      .front_count = o->front_count,
      .clock = o->clock != NULL ? o->clock : clock_posix()};
  memcpy(r.fronts, o->fronts, sizeof r.fronts);
  assert(r.front_count <= WIRE_FRONTS_MAX);
  assert(r.workers <= WIRE_WORKERS_MAX);
  r.slow_workers_max = or_default(o->slow_workers_max, r.workers > 4 ? r.workers / 4 : 1);
  r.places_max = or_default(o->places_max, r.workers > 1 ? r.workers / 2 : 1);
  r.most_places_max = or_default(o->most_places_max, r.places_max > 1 ? r.places_max * 7 / 8 : 1);
  r.few_places_max = or_default(o->few_places_max, r.places_max > 4 ? r.places_max / 4 : 1);
  r.group_places_max = or_default(o->group_places_max, r.places_max > 1 ? r.places_max * 3 / 4 : 1);
  return r;
}

/* The condition waits on the monotonic clock: a jump of the wall clock must not end a drain. */
static void init_sync(struct wire_server *s) {
  pthread_condattr_t attr;
  int rc = pthread_condattr_init(&attr);
  rc |= pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  rc |= pthread_cond_init(&s->empty, &attr);
  rc |= pthread_mutex_init(&s->lock, NULL);
  for (size_t i = 0; i < CONN_PARK_LOCKS; i++) rc |= pthread_mutex_init(&s->park_locks[i], NULL);
  assert(rc == 0);
  (void)rc;
  pthread_condattr_destroy(&attr);
}

static bool open_descriptors(struct wire_server *s) {
  s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
  assert(e.data.ptr == NULL);
  return s->epoll_fd >= 0 && s->wake_fd >= 0 && s->stop_fd >= 0 &&
         epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->stop_fd, &e) == 0;
}

enum dom_code wire_server_new(const struct wire_server_options *options, wire_handler handler, void *arg,
                              struct wire_server **out_server, struct dom_err *err) {
  assert(options != NULL && handler != NULL && out_server != NULL);
  struct wire_server *s = dom_calloc(1, sizeof *s);
  if (s == NULL) return dom_fail(err, DOM_NO_MEMORY, "wire/server: new", "no memory");
  s->options = filled(options);
  wire_slow_init(&s->slow, s->options.slow_workers_max, s->options.slow_after_ms, &s->idle_workers);
  s->handler = handler;
  s->arg = arg;
  init_sync(s);
  crew_init(&s->crew, s->options.workers);
  places_init(&s->places);
  s->epoll_fd = s->wake_fd = s->stop_fd = -1;
  bool opened = open_descriptors(s);
  if (opened && caps_init(&s->caps, s->options.connections_max)) {
    *out_server = s;
    return DOM_OK;
  }
  enum dom_code c = opened ? dom_fail(err, DOM_NO_MEMORY, "wire/server: new", "no memory")
                           : dom_fail(err, DOM_IO, "wire/server: new", "no descriptors");
  wire_server_close(s);
  return c;
}

static void close_listeners(struct wire_server *s) {
  assert(s->listener_count <= WIRE_LISTENERS_MAX);
  for (unsigned i = 0; i < s->listener_count; i++) {
    struct wire_listener *l = &s->listeners[i];
    if (l->fd < 0) continue;
    close(l->fd);
    l->fd = -1;
    if (l->path != NULL) (void)unlink(l->path);
    dom_free(l->path);
    l->path = NULL;
  }
}

/* Returns: false when the machine is out of descriptors or memory. */
static bool accept_some(struct wire_server *s, unsigned listener) {
  assert(listener < s->listener_count);
  for (int i = 0; i < ACCEPT_BATCH; i++) {
    struct sockaddr_storage from = {0};
    socklen_t len = sizeof from;
    int fd = accept4(s->listeners[listener].fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM;
    if (!s->listeners[listener].tcp) from.ss_family = AF_UNIX;
    (void)conn_accept(s, listener, fd, &from); /* what is refused is counted there */
  }
  return true;
}

static uint64_t sweep_period_ms(const struct wire_server *s) {
  const struct wire_server_options *o = &s->options;
  uint64_t least = o->head_timeout_ms < o->idle_timeout_ms ? o->head_timeout_ms : o->idle_timeout_ms;
  if (o->linger_ms < least) least = o->linger_ms;
  if (o->wait_ms < least) least = o->wait_ms;
  assert(least > 0);
  if (atomic_load(&s->draining)) return DRAIN_SWEEP_MS;
  if (least / 4 > SWEEP_MS_MAX) return SWEEP_MS_MAX;
  return least / 4 < SWEEP_MS_MIN ? SWEEP_MS_MIN : least / 4;
}

/* Waits for a connection, a wake-up or the next sweep, and accepts. */
static bool accept_round(struct wire_server *s, bool paused, int timeout_ms) {
  struct pollfd p[1 + WIRE_LISTENERS_MAX] = {{.fd = s->wake_fd, .events = POLLIN}};
  for (unsigned i = 0; i < s->listener_count; i++)
    p[1 + i] = (struct pollfd){.fd = paused ? -1 : s->listeners[i].fd, .events = POLLIN};
  int ready = poll(p, 1 + s->listener_count, timeout_ms);
  bool healthy = true;
  if (ready <= 0) return healthy;
  uint64_t wakes;
  ssize_t n = p[0].revents != 0 ? read(s->wake_fd, &wakes, sizeof wakes) : 0;
  assert(n <= (ssize_t)sizeof wakes);
  for (unsigned i = 0; i < s->listener_count && !atomic_load(&s->draining); i++)
    if ((p[1 + i].revents & POLLIN) != 0) healthy = accept_some(s, i) && healthy;
  return healthy;
}

static void *accept_main(void *arg) {
  struct wire_server *s = arg;
  uint64_t swept_ns = conn_now(s);
  bool paused = false;
  assert(s->listener_count <= WIRE_LISTENERS_MAX);
  while (!atomic_load(&s->stopping)) {
    uint64_t period = sweep_period_ms(s);
    int timeout = paused && period > ACCEPT_PAUSE_MS ? ACCEPT_PAUSE_MS : (int)period;
    paused = !accept_round(s, paused, timeout);
    if (atomic_load(&s->draining)) close_listeners(s);
    uint64_t now = conn_now(s);
    if (now - swept_ns < sweep_period_ms(s) * 1000000) continue;
    conn_sweep(s, now);
    places_sweep(s, now);
    swept_ns = now;
  }
  return NULL;
}

static bool worker_init(struct wire_worker *w, struct wire_server *s) {
  assert(s != NULL);
  w->server = s;
  w->input = dom_alloc(CONN_INPUT_BYTES);
  w->arena = arena_new(s->options.arena_bytes_max);
  return w->input != NULL && w->arena != NULL;
}

static void worker_done(struct wire_worker *w) {
  assert(w != NULL);
  dom_free(w->input);
  if (w->arena != NULL) arena_free(w->arena);
  buf_done(&w->head_out);
  buf_done(&w->fields);
}

static bool start_workers(struct wire_server *s, const pthread_attr_t *attr) {
  for (unsigned i = 0; i < s->options.workers; i++) {
    struct wire_worker *w = &s->workers[i];
    if (!worker_init(w, s) || pthread_create(&w->thread, attr, worker_main, w) != 0) {
      worker_done(w);
      return false;
    }
    s->workers_started++;
  }
  assert(s->workers_started == s->options.workers);
  return true;
}

enum dom_code wire_server_start(struct wire_server *s, struct dom_err *err) {
  assert(s != NULL && !s->started);
  for (unsigned i = 0; i < s->listener_count; i++) assert(!s->listeners[i].tls || s->tls != NULL);
  s->workers = dom_calloc(s->options.workers, sizeof *s->workers);
  if (s->workers == NULL) return dom_fail(err, DOM_NO_MEMORY, "wire/server: start", "no memory");
  sigset_t all, before;
  pthread_attr_t attr;
  sigfillset(&all);
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, WORKER_STACK_BYTES);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the main thread */
  bool ok = crew_start(&s->crew) && start_workers(s, &attr);
  if (ok) ok = s->started = pthread_create(&s->accept_thread, NULL, accept_main, s) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attr);
  return ok ? DOM_OK : dom_fail(err, DOM_NO_MEMORY, "wire/server: start", "cannot start threads");
}

static void signal_fd(int fd) {
  uint64_t one = 1;
  ssize_t n = write(fd, &one, sizeof one);
  assert(n == (ssize_t)sizeof one);
  (void)n;
}

/* Waits until the list is empty. */
static bool wait_empty(struct wire_server *s, uint32_t deadline_ms) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += deadline_ms / 1000;
  until.tv_nsec += (long)(deadline_ms % 1000) * 1000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_nsec -= 1000000000;
    until.tv_sec++;
  }
  int rc = 0;
  pthread_mutex_lock(&s->lock);
  while (s->conn_count > 0 && rc == 0) rc = pthread_cond_timedwait(&s->empty, &s->lock, &until);
  bool empty = s->conn_count == 0;
  pthread_mutex_unlock(&s->lock);
  assert(empty || rc == ETIMEDOUT);
  return empty;
}

enum dom_code wire_server_drain(struct wire_server *s, uint32_t deadline_ms, struct dom_err *err) {
  assert(s != NULL && s->started && !atomic_load(&s->draining));
  atomic_store(&s->draining, true);
  signal_fd(s->wake_fd);
  if (wait_empty(s, deadline_ms)) return DOM_OK;
  return dom_fail(err, DOM_TIMEOUT, "wire/server: drain", "requests were still in flight after %u ms",
                  (unsigned)deadline_ms);
}

/* Makes every read and write of every connection fail, so that workers come back. */
static void cut_all(struct wire_server *s) {
  assert(atomic_load(&s->stopping));
  pthread_mutex_lock(&s->lock);
  for (struct wire_conn *c = s->conns; c != NULL; c = c->next) (void)shutdown(c->io.fd, SHUT_RDWR);
  pthread_mutex_unlock(&s->lock);
}

static void stop_threads(struct wire_server *s) {
  atomic_store(&s->stopping, true);
  if (s->started) {
    signal_fd(s->wake_fd);
    pthread_join(s->accept_thread, NULL);
  }
  cut_all(s);
  crew_dismiss(&s->crew);
  if (s->workers_started > 0) signal_fd(s->stop_fd);
  for (unsigned i = 0; i < s->workers_started; i++) {
    pthread_join(s->workers[i].thread, NULL);
    worker_done(&s->workers[i]);
  }
  assert(s->workers != NULL || s->workers_started == 0);
}

void wire_server_close(struct wire_server *s) {
  if (s == NULL) return;
  stop_threads(s);
  places_drop(s);
  while (s->conns != NULL) conn_close(s, s->conns, true);
  assert(s->conn_count == 0);
  close_listeners(s);
  wire_tls_release(s->tls);
  caps_done(&s->caps);
  crew_done(&s->crew);
  places_done(&s->places);
  dom_free(s->workers);
  if (s->epoll_fd >= 0) close(s->epoll_fd);
  if (s->wake_fd >= 0) close(s->wake_fd);
  if (s->stop_fd >= 0) close(s->stop_fd);
  pthread_cond_destroy(&s->empty);
  pthread_mutex_destroy(&s->lock);
  wire_slow_done(&s->slow);
  for (size_t i = 0; i < CONN_PARK_LOCKS; i++) pthread_mutex_destroy(&s->park_locks[i]);
  dom_free(s);
}

void wire_server_stats(struct wire_server *s, struct wire_server_stats *out) {
  assert(s != NULL && out != NULL);
  pthread_mutex_lock(&s->lock);
  out->connections = s->conn_count;
  pthread_mutex_unlock(&s->lock);
  out->accepted = atomic_load(&s->accepted);
  out->requests = atomic_load(&s->requests);
  out->refused_heads = atomic_load(&s->refused_heads);
  out->refused_full = atomic_load(&s->refused_full);
  out->slow_aborts = atomic_load(&s->slow_aborts);
  out->waiting = places_waiting(&s->places);
}
