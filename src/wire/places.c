#include "wire/places.h"

#include <assert.h>

#include "wire/conn.h"

void places_init(struct places *p) {
  *p = (struct places){0};
  int rc = pthread_mutex_init(&p->lock, NULL);
  assert(rc == 0);
  (void)rc;
}

void places_done(struct places *p) {
  assert(p->first == NULL);
  pthread_mutex_destroy(&p->lock);
}

static bool has_room(const struct wire_server *s, const struct wire_errand *e) {
  const struct places *p = &s->places;
  const struct wire_server_options *o = &s->options;
  bool all = e->lane == WIRE_LANE_ALL;
  assert(p->few_taken <= p->most_taken && p->most_taken <= p->taken);
  if (p->taken >= o->places_max) return false;
  if (p->group_taken[e->group % PLACES_GROUPS] >= (all ? o->most_places_max : o->group_places_max))
    return false;
  if (!all && p->most_taken >= o->most_places_max) return false;
  return e->lane != WIRE_LANE_FEW || p->few_taken < o->few_places_max;
}

static void take(struct places *p, const struct wire_errand *e) {
  p->taken++;
  p->group_taken[e->group % PLACES_GROUPS]++;
  if (e->lane != WIRE_LANE_ALL) p->most_taken++;
  if (e->lane == WIRE_LANE_FEW) p->few_taken++;
  assert(p->few_taken <= p->most_taken && p->most_taken <= p->taken);
}

static bool same_client(const struct wire_conn *c, const uint8_t counted[16]) {
  uint8_t own[16];
  caps_key_counted(&c->client, own);
  return memcmp(own, counted, sizeof own) == 0;
}

/* Who is next: whoever waits longest, but not twice in a row of one address while others wait. */
static struct wire_conn *next_turn(const struct wire_server *s) {
  struct wire_conn *longest = NULL;
  for (struct wire_conn *c = s->places.first; c != NULL; c = c->wait.next) {
    if (!has_room(s, &c->wait.errand)) continue;
    if (!same_client(c, s->places.turn)) return c;
    if (longest == NULL) longest = c;
  }
  return longest;
}

static void take_out(struct places *p, struct wire_conn *c) {
  struct wire_conn *before = NULL;
  for (struct wire_conn *at = p->first; at != c; at = at->wait.next) before = at;
  if (before != NULL)
    before->wait.next = c->wait.next;
  else
    p->first = c->wait.next;
  if (p->last == c) p->last = before;
  c->wait.next = NULL;
  assert(p->waiting > 0);
  p->waiting--;
}

/* Under the lock. */
static void hand_out(struct wire_server *s) {
  struct wire_conn *c;
  while ((c = next_turn(s)) != NULL) {
    take_out(&s->places, c);
    take(&s->places, &c->wait.errand);
    caps_key_counted(&c->client, s->places.turn);
    assert(!c->wait.placed);
    c->wait.placed = true;
    conn_wake(s, c);
  }
}

void wire_place_give(struct wire_server *s, const struct wire_errand *e) {
  struct places *p = &s->places;
  pthread_mutex_lock(&p->lock);
  unsigned *group = &p->group_taken[e->group % PLACES_GROUPS];
  assert(p->taken > 0 && *group > 0);
  assert((e->lane == WIRE_LANE_ALL || p->most_taken > 0) && (e->lane != WIRE_LANE_FEW || p->few_taken > 0));
  p->taken--;
  (*group)--;
  if (e->lane != WIRE_LANE_ALL) p->most_taken--;
  if (e->lane == WIRE_LANE_FEW) p->few_taken--;
  hand_out(s);
  pthread_mutex_unlock(&p->lock);
}

bool wire_place_try(struct wire_server *s, const struct wire_errand *e) {
  struct places *p = &s->places;
  pthread_mutex_lock(&p->lock);
  bool room = has_room(s, e);
  if (room) take(p, e);
  pthread_mutex_unlock(&p->lock);
  return room;
}

/* Under the lock. Whether one more of this client may wait. */
static bool may_wait(const struct wire_server *s, const struct wire_conn *c) {
  const struct places *p = &s->places;
  uint8_t counted[16];
  unsigned own = 0;
  if (c->wait.over || atomic_load(&s->draining) || p->waiting >= s->options.waiting_max) return false;
  caps_key_counted(&c->client, counted);
  for (const struct wire_conn *each = p->first; each != NULL; each = each->wait.next)
    own += same_client(each, counted);
  assert(own <= p->waiting);
  return own * WIRE_WAITING_SHARE < s->options.waiting_max;
}

/* Another run of the handler finds all as this one did. */
static bool is_untouched(const struct wire_exchange *x) {
  const struct wire_worker *w = x->worker;
  assert(w->in_pos >= w->in_floor);
  return x->body.taken == 0 && x->body.failed == DOM_OK && w->in_pos == w->in_floor &&
         x->body.continue_pending == x->head.expect_continue && wire_reply_is_open(x);
}

static bool same_errand(const struct wire_errand *a, const struct wire_errand *b) {
  return a->lane == b->lane && a->group == b->group;
}

enum wire_place wire_place_take(struct wire_exchange *x, const struct wire_errand *e) {
  struct wire_conn *c = x->conn;
  struct wire_server *s = x->worker->server;
  struct places *p = &s->places;
  if (c->wait.placed) {
    c->wait.placed = false;
    if (same_errand(&c->wait.errand, e)) return WIRE_PLACE_TAKEN;
    wire_place_give(s, &c->wait.errand);
  }
  pthread_mutex_lock(&p->lock);
  enum wire_place verdict = WIRE_PLACE_NONE;
  if (has_room(s, e)) {
    verdict = WIRE_PLACE_TAKEN;
    take(p, e);
  } else if (is_untouched(x) && may_wait(s, c)) {
    verdict = WIRE_PLACE_WAIT;
    p->waiting++;
    c->wait.errand = *e;
  }
  pthread_mutex_unlock(&p->lock);
  x->put_aside = verdict == WIRE_PLACE_WAIT;
  return verdict;
}

void places_wait(struct wire_server *s, struct wire_conn *c) {
  struct places *p = &s->places;
  assert(c->partial != NULL && c->wait.next == NULL && !c->wait.placed);
  uint64_t now_ns = conn_now(s);
  if (c->wait.began_ns == 0) c->wait.began_ns = now_ns;
  c->wait.until_ns = c->wait.began_ns + 1000000ull * s->options.wait_ms;
  pthread_mutex_lock(&p->lock);
  if (p->last != NULL)
    p->last->wait.next = c;
  else
    p->first = c;
  p->last = c;
  hand_out(s); /* a place may have come free since it was told to wait */
  pthread_mutex_unlock(&p->lock);
}

void places_leave(struct wire_server *s) {
  pthread_mutex_lock(&s->places.lock);
  assert(s->places.waiting > 0);
  s->places.waiting--;
  pthread_mutex_unlock(&s->places.lock);
}

void places_settle(struct wire_server *s, struct wire_conn *c) {
  bool placed = c->wait.placed;
  struct wire_errand errand = c->wait.errand;
  assert(c->wait.next == NULL);
  c->wait = (struct conn_wait){0};
  if (placed) wire_place_give(s, &errand);
}

void places_sweep(struct wire_server *s, uint64_t now_ns) {
  struct places *p = &s->places;
  pthread_mutex_lock(&p->lock);
  for (struct wire_conn *c = p->first, *next; c != NULL; c = next) {
    next = c->wait.next;
    if (c->wait.until_ns > now_ns) continue;
    take_out(p, c);
    c->wait.over = true;
    conn_wake(s, c);
  }
  pthread_mutex_unlock(&p->lock);
}

void places_drop(struct wire_server *s) {
  struct places *p = &s->places;
  assert(atomic_load(&s->stopping));
  while (p->first != NULL) take_out(p, p->first);
}

unsigned places_waiting(struct places *p) {
  pthread_mutex_lock(&p->lock);
  unsigned waiting = p->waiting;
  pthread_mutex_unlock(&p->lock);
  return waiting;
}
