/* Places: how many workers may wait for something else than their client at a time, and who waits for one.
 * Inside wire only; the handlers' side is in server.h.
 *
 * A request without a place is put aside: its connection keeps the bytes that came, in no epoll and with no
 * worker, until a place is handed to it, its time is up or the server ends. Its handler then runs again from
 * the start. A place goes from who gives it to who waits, so nobody who comes later overtakes; addresses take
 * turns, so one of them with hundreds of requests does not keep another waiting behind all of these. */
#ifndef DOMICILE_WIRE_PLACES_H
#define DOMICILE_WIRE_PLACES_H

#include <pthread.h>

#include "base/bytes.h"

struct wire_conn;
struct wire_server;

/* Counters of what is waited for; several share one where there are more, which only makes them stricter. */
enum { PLACES_GROUPS = 1024 };

struct places {
  pthread_mutex_t lock; /* inside no other but those that conn_wake takes */
  unsigned taken;
  unsigned most_taken; /* of them, all but those of WIRE_LANE_ALL */
  unsigned few_taken;  /* of these, those of WIRE_LANE_FEW */
  unsigned group_taken[PLACES_GROUPS];
  unsigned waiting;               /* the list, and those on their way into it */
  struct wire_conn *first, *last; /* in the order in which they came */
  uint8_t turn[16];               /* the address that had the last place which somebody waited for */
};

void places_init(struct places *p);
void places_done(struct places *p);
/* Puts a connection into the list whose exchange was told WIRE_PLACE_WAIT; its worker must not touch it
 * afterwards. */
void places_wait(struct wire_server *s, struct wire_conn *c);
/* Such a connection closes instead. */
void places_leave(struct wire_server *s);
/* After an exchange, and before a connection closes: what was handed to it and not used goes on. */
void places_settle(struct wire_server *s, struct wire_conn *c);
/* Wakes those whose time is up. */
void places_sweep(struct wire_server *s, uint64_t now_ns);
/* Forgets those that wait: no worker runs any more. */
void places_drop(struct wire_server *s);
unsigned places_waiting(struct places *p);

#endif
