/* Io: one connected byte stream, as a table of functions: plain sockets here, TLS in tls_io.h.
 * Inside wire only. */
#ifndef DOMICILE_WIRE_IO_H
#define DOMICILE_WIRE_IO_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/bytes.h"

struct wire_io;
struct wire_io_ops {
  /* As recv: bytes read, 0 at the end, -1 with errno. EAGAIN: nothing there now, nor held back. */
  ssize_t (*read)(struct wire_io *io, void *out, size_t cap);
  /* As writev without SIGPIPE; -1 with EAGAIN when the peer does not take more now. */
  ssize_t (*write)(struct wire_io *io, const struct iovec *parts, size_t count);
  /* Says that nothing more will be written. */
  void (*finish)(struct wire_io *io);
  /* Closes. `reset`: so that the peer sees an error instead of an end. */
  void (*close)(struct wire_io *io, bool reset);
};

struct wire_io {
  const struct wire_io_ops *ops;
  int fd;      /* what poll and epoll watch */
  short wants; /* after EAGAIN: what to wait for, POLLIN or POLLOUT; 0: what the call suggests */
  bool begun;  /* bytes have come that no read has returned yet: part of a record, of a handshake */
  void *state; /* of TLS */
};

enum {
  /* Bytes per second at which waiting is made up for: a home's uplink is faster, a dripping client is not. */
  IO_RATE_FAIR = 64 * 1024
};

/* Takes over the connected socket `fd`, sets its options. Returns: false when it is dead. */
bool wire_io_init_socket(struct wire_io *io, int fd, bool tcp);

/* Waits until the socket is ready for `events` (POLLIN, POLLOUT; io->wants instead, where set) or
 * timeout_ms pass.
 * Returns: 1 ready (or broken: the next call tells), 0 time is up. */
int wire_io_wait(const struct wire_io *io, short events, uint64_t timeout_ms);

/* Slow clients, all together: each holds a worker while it is waited for. Past `max` of them, and
 * with no worker idle, the one that has been among them longest is cut: so they never hold all, and a
 * newcomer, who may be honest and only far away, has his turn however many there are. */
struct wire_slow {
  pthread_mutex_t lock;              /* guards the list */
  struct wire_pace *oldest, *newest; /* those that are held */
  _Atomic unsigned held;             /* their number; changed under the lock */
  _Atomic unsigned *idle_workers;
  unsigned max;
  uint32_t after_ms; /* waited for so long in one exchange, a client counts as slow */
};
/* Before the first pace; `idle_workers` is borrowed. */
void wire_slow_init(struct wire_slow *s, unsigned max, uint32_t after_ms, _Atomic unsigned *idle_workers);
void wire_slow_done(struct wire_slow *s);

/* Pace: how patient we are with a client. Patience is time; waiting spends it, bytes that moved
 * earn it back at the least rate, up to the grace. Spent: the client is too slow. */
struct wire_pace {
  uint64_t patience_us;
  uint64_t grace_us;
  uint64_t waited_us; /* not yet made up for at IO_RATE_FAIR */
  uint32_t rate_min;  /* bytes per second */
  struct wire_slow *slow;
  bool counted; /* joined the slow ones, until wire_pace_done */
  bool listed;  /* still among them, not cut; under slow->lock, as are the neighbours */
  struct wire_pace *older, *newer;
};
void wire_pace_init(struct wire_pace *p, uint32_t rate_min, uint32_t grace_ms, struct wire_slow *slow);
void wire_pace_done(struct wire_pace *p);
/* From now on at most this patient. */
void wire_pace_limit(struct wire_pace *p, uint32_t grace_ms);
void wire_pace_earn(struct wire_pace *p, size_t bytes);
/* Waits for `events` as long as patience lasts. Returns: DOM_TIMEOUT when it is spent, DOM_BUSY
 * when slow clients hold too many workers. */
enum dom_code wire_pace_wait(struct wire_pace *p, const struct wire_io *io, short events);

/* Reads at least one byte, *out_len 0 at the end. DOM_IO, DOM_TIMEOUT, DOM_BUSY. */
enum dom_code wire_io_read(struct wire_io *io, struct wire_pace *pace, void *out, size_t cap,
                           size_t *out_len);
/* Writes all parts; changes them as it goes. DOM_IO, DOM_TIMEOUT, DOM_BUSY. */
enum dom_code wire_io_write(struct wire_io *io, struct wire_pace *pace, struct iovec *parts, size_t count);

#endif
