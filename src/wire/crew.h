/* Crew: which workers wait for events. Inside wire only.
 *
 * Requirement: few awake threads serve quick requests (waking a thread for one request costs more
 * than the request), yet all workers serve when handlers block.
 *
 * So only a few workers, the *watch*, wait in epoll at a time; the others sleep. A worker that
 * expects to block calls a stand-in when it was the last of the watch. Who comes back from a request
 * that blocked joins the watch however many are on it: it had to be woken for its request anyway, and
 * with many of them waiting in epoll nobody needs to be called. The next quick requests make the
 * watch small again, since who served one of those finds no place. For handlers that block
 * unexpectedly a *mate*, one thread, looks every millisecond while the watch is empty, and calls
 * stand-ins when no worker came back, or the process hardly used its processors. */
#ifndef DOMICILE_WIRE_CREW_H
#define DOMICILE_WIRE_CREW_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/bytes.h"

struct crew {
  _Atomic unsigned on_watch; /* in epoll, or about to be */
  _Atomic unsigned asleep;
  _Atomic uint64_t turns;    /* how often a worker joined */
  _Atomic bool looked_after; /* the mate is up */
  _Atomic bool dismissed;
  unsigned cores;       /* asked once: the answer is read from files */
  unsigned watch_max;   /* places for those who did not block */
  unsigned wide_max;    /* all workers */
  pthread_mutex_t lock; /* for the two conditions */
  pthread_cond_t stand_in, wake_mate;
  pthread_t mate;
  bool mate_started;
};

/* `workers` is their number in all. */
void crew_init(struct crew *c, unsigned workers);
/* Starts the mate. Returns: false without memory. */
bool crew_start(struct crew *c);
/* Wakes everybody; crew_join returns false from now on. Then ends the mate. */
void crew_dismiss(struct crew *c);
void crew_done(struct crew *c);

/* Joins the watch, sleeping until there is a place. `has_blocked`: the worker's last request was one that
 * blocks (crew_expect_block). False: dismissed. */
bool crew_join(struct crew *c, bool has_blocked);
/* Leaves the watch with an event in hand. */
void crew_leave(struct crew *c);
/* This worker is about to block: somebody must watch. */
void crew_expect_block(struct crew *c);

#endif
