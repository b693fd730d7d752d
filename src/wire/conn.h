/* Connections, exchanges and workers from the inside. Only files of wire include this.
 *
 * Ownership: a connection is in the server's list from accept to close. Its `state` says who may
 * touch it: PARKED nobody (epoll watches it), ACTIVE one worker, DOOMED was parked and must
 * close; epoll is about to hand it to a worker. Only the worker that holds it closes it, under
 * the server's lock, so whoever holds the lock may look at any connection in the list. */
#ifndef DOMICILE_WIRE_CONN_H
#define DOMICILE_WIRE_CONN_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "wire/caps.h"
#include "wire/chunk.h"
#include "wire/crew.h"
#include "wire/io.h"
#include "wire/places.h"
#include "wire/server.h"
#include "wire/tls_io.h"

enum {
  /* A worker's input buffer: the largest head, and as much again so that a small body comes with
   * the same read and chunk lines have room. */
  CONN_INPUT_BYTES = 2 * WIRE_HEAD_BYTES_MAX,
  /* An unread body of up to this size is read and thrown away to keep the connection; a larger
   * one costs more than a new connection. */
  CONN_DRAIN_BYTES_MAX = 256 * 1024,
  /* It is on its way, or the connection is not worth keeping: whoever was refused, perhaps without any
   * credentials, must not hold a worker by sending the rest of its body drop by drop. */
  CONN_DRAIN_MS_MAX = 200,
  /* Connections over a cap that may wait for their 503 at a time; more are closed without words. */
  CONN_REFUSED_MAX = 256,
  /* Locks that order the last use of a descriptor by one thread before its close by another. */
  CONN_PARK_LOCKS = 64,
  /* While lingering we take at most this much; who sends on regardless is cut. */
  CONN_LINGER_BYTES_MAX = 16 << 20
};

/* WAITING: put aside for a place, in nobody's hands (places.h). */
enum conn_state { CONN_PARKED, CONN_ACTIVE, CONN_DOOMED, CONN_WAITING };

/* Of a request that waits, or waited, for a place. */
struct conn_wait {
  struct wire_conn *next; /* while WAITING */
  struct wire_errand errand;
  uint64_t began_ns, until_ns;
  bool placed; /* a place for it is handed over and not used yet */
  bool over;   /* its time is up: it waits no more */
};

struct wire_conn {
  struct wire_io io;
  struct wire_conn *prev, *next;
  _Atomic int state;            /* enum conn_state */
  _Atomic uint64_t deadline_ns; /* while parked: doomed after this instant */
  _Atomic bool idle;            /* while parked: nothing has begun, a drain may close it */
  struct caps_key address;
  struct caps_key client; /* of the present request: what a front says, else `address` */
  bool front;             /* the peer is a proxy that is believed */
  unsigned listener;
  bool counted;   /* in the per-address table */
  bool refused;   /* over a cap: answer 503 to whatever comes */
  bool doomed;    /* serve what is there, then close */
  bool lingering; /* the last reply is sent, its end too; throw away what comes */
  size_t lingered;
  uint64_t head_deadline_ns; /* of the head that is arriving, with the handshake before it; 0 for none */
  size_t scanned;            /* of the partial head */
  uint8_t *partial;          /* bytes of it, while parked; of a request, while it waits */
  size_t partial_len;
  struct conn_wait wait;
};

struct wire_listener {
  int fd;
  bool tcp;
  bool tls;
  unsigned port;
  char *path; /* of a unix socket, owned */
};

/* Options with the defaults filled in. */
struct wire_server {
  struct wire_server_options options;
  wire_handler handler;
  void *arg;
  struct wire_listener listeners[WIRE_LISTENERS_MAX];
  unsigned listener_count;
  int epoll_fd, wake_fd /* the accepting thread */, stop_fd /* the workers */;
  pthread_t accept_thread;
  struct wire_worker *workers;
  unsigned workers_started;
  bool started; /* the accepting thread runs */
  _Atomic bool draining, stopping;
  _Atomic unsigned idle_workers;
  struct wire_slow slow;
  struct crew crew;
  struct places places;
  _Atomic uint64_t accepted, requests, refused_heads, refused_full, slow_aborts;
  pthread_mutex_t park_locks[CONN_PARK_LOCKS]; /* by descriptor; see conn_park */
  pthread_mutex_t lock;                        /* guards what follows */
  pthread_cond_t empty;                        /* conn_count fell to 0 */
  struct wire_tls *tls;                        /* of new connections; NULL without TLS listeners */
  struct wire_conn *conns;
  unsigned conn_count;    /* all in the list */
  unsigned refused_count; /* of them, those over a cap that wait for their 503 */
  struct caps caps;
};

enum body_kind { BODY_NONE, BODY_LENGTH, BODY_CHUNKED };

/* Where the reading of a request body stands. */
struct exchange_body {
  enum body_kind kind;
  uint64_t left; /* BODY_LENGTH */
  struct chunk_state chunk;
  bool continue_pending; /* the client waits for 100 Continue */
  bool done;
  enum dom_code failed; /* sticky */
  uint64_t taken;
};

enum reply_phase { REPLY_NONE, REPLY_BEGUN, REPLY_SENDING, REPLY_DONE, REPLY_FAILED };

struct exchange_reply {
  enum reply_phase phase;
  unsigned status;
  uint64_t length; /* declared, or WIRE_LENGTH_UNKNOWN */
  uint64_t written;
  bool bodiless; /* HEAD, 204, 304: nothing of the body is sent */
  bool chunked;
  bool close; /* the handler asked for it, or the framing needs it */
};

struct wire_exchange {
  struct wire_worker *worker;
  struct wire_conn *conn;
  struct wire_head head;
  struct exchange_body body;
  struct exchange_reply reply;
  struct wire_pace read_pace, write_pace;
  bool keep;      /* decided when the reply's head is made */
  bool put_aside; /* it waits for a place; the handler will run again */
  char peer[WIRE_PEER_TEXT_MAX];
};

struct wire_worker {
  struct wire_server *server;
  pthread_t thread;
  uint8_t *input;        /* CONN_INPUT_BYTES */
  size_t in_floor;       /* bytes before it belong to the head in use */
  size_t in_pos, in_len; /* unread bytes */
  struct arena *arena;
  struct buf head_out; /* start line and our own fields */
  struct buf fields;   /* the handler's fields */
  bool has_blocked;    /* since it last joined the watch */
  uint64_t date_s;     /* second that `date` shows */
  char date[30];
  struct wire_exchange x;
};

/* --- conn.c --- */
/* Takes over an accepted socket, puts it into the list and parks it. False: closed. */
bool conn_accept(struct wire_server *s, unsigned listener, int fd, const struct sockaddr_storage *from);
/* Removes from the list and closes. `reset` as in wire_io_ops. */
void conn_close(struct wire_server *s, struct wire_conn *c, bool reset);
/* Gives the connection to epoll until bytes come or the deadline passes. The caller must not
 * touch it afterwards. */
void conn_park(struct wire_server *s, struct wire_conn *c, bool idle, uint64_t deadline_ns);
/* Hands a connection that waited for a place to the next worker. */
void conn_wake(struct wire_server *s, struct wire_conn *c);
/* Dooms parked connections: those past their deadline, and when draining the idle ones. */
void conn_sweep(struct wire_server *s, uint64_t now_ns);
uint64_t conn_now(const struct wire_server *s);

/* --- front.c --- */
/* Whether an address is a front's. */
bool front_is(const struct wire_server *s, const struct caps_key *k);
/* Who asks, of a request that a front (`peer`) brought: the last address in its X-Forwarded-For that is no
 * front's; `peer` itself when it names none. */
struct caps_key front_client(const struct wire_server *s, const struct wire_head *h,
                             const struct caps_key *peer);

/* --- worker.c --- */
void *worker_main(void *worker);

/* --- exchange.c --- */
/* Sets up an exchange over the head parsed into x->head. */
void exchange_begin(struct wire_worker *w, struct wire_conn *c);
/* How a connection goes on after an exchange. */
enum exchange_end {
  EXCHANGE_KEEP,   /* the next request may come */
  EXCHANGE_LINGER, /* the reply was the last: let the client take it */
  EXCHANGE_RESET   /* no whole reply: the client must see a failure */
};
/* After the handler: makes up a missing reply, reads what is left of a short body. */
enum exchange_end exchange_finish(struct wire_exchange *x);
/* In place of it, when the exchange was put aside. */
void exchange_put_aside(struct wire_exchange *x);
/* Answers by ourselves, without a handler: a refused head, a connection over a cap. The
 * connection is to linger afterwards. */
void exchange_refuse(struct wire_worker *w, struct wire_conn *c, unsigned status, const char *why);

/* --- body.c --- */
void body_begin(struct wire_exchange *x);
/* After this reply the connection can be kept: what is left of the body is short and on its way. */
bool body_is_keepable(const struct wire_exchange *x);
/* Reads what is left of a keepable body. False: it did not come. */
bool body_drain(struct wire_exchange *x);

/* --- reply.c --- */
/* A whole reply made by ourselves: S3's error document for `status`. */
void reply_error(struct wire_exchange *x, unsigned status, const char *message);

/* --- status.c --- */
const char *status_error_code(unsigned status); /* S3's code for a status: "SlowDown" */

/* --- server.c --- */
/* Counts an abort of a client below the least rate. */
static inline void server_count_slow(struct wire_server *s) {
  atomic_fetch_add(&s->slow_aborts, 1);
}

#endif
