/* The simulated net of net.h. */
#include <assert.h>

#include "base/alloc.h"
#include "base/codec.h"
#include "base/net.h"

enum {
  REGIONS_MAX = 16, /* simulations run 2 to 4; the cut table stays small */
  PATH_MAX_SIM = 64,
  LATE_MAX = 8 /* messages under way at most; an older one gives way */
};

/* One region's end. */
struct sim_net {
  struct net base;
  struct net_sim *sim;
  uint16_t number;
  bool joined;
  net_handler handler;
  void *arg;
};

/* A message that its sender gave up and that arrives later. */
struct late {
  uint16_t from, to;
  char path[PATH_MAX_SIM];
  struct buf body;
};

struct net_sim {
  struct sim_net regions[REGIONS_MAX];
  size_t region_count;
  bool cut[REGIONS_MAX][REGIONS_MAX]; /* by index, both ways */
  struct late late[LATE_MAX];
  size_t late_count;
  unsigned lost, reply_lost, twice, spoilt; /* permille */
  unsigned depth;                           /* of calls inside handlers */
  uint64_t dice;
};

/* SplitMix64 (Steele et al. 2014). */
static uint64_t roll(struct net_sim *s, uint64_t bound) {
  assert(bound > 0);
  uint64_t z = s->dice += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (z ^ (z >> 31)) % bound;
}

static bool chance(struct net_sim *s, unsigned permille) {
  return permille > 0 && roll(s, 1000) < permille;
}

/* Index of the region, or region_count when nobody ever joined with that number. */
static size_t index_of(const struct net_sim *s, uint16_t number) {
  size_t i = 0;
  while (i < s->region_count && s->regions[i].number != number) i++;
  return i;
}

/* The receiver when a message can get there now, else NULL. */
static struct sim_net *reachable(struct net_sim *s, uint16_t from, uint16_t to) {
  size_t a = index_of(s, from), b = index_of(s, to);
  if (b == s->region_count || !s->regions[b].joined) return NULL;
  assert(a < s->region_count); /* a sender has joined */
  return s->cut[a][b] ? NULL : &s->regions[b];
}

/* What no signature covers may come as somebody on the way likes it. */
static struct slice spoil(struct net_sim *s, const char *path, struct slice body, struct buf *memory) {
  size_t sealed = net_sealed(path, body).len;
  if (sealed == body.len || !chance(s, s->spoilt)) return body;
  buf_append_slice(memory, body);
  if (memory->failed) return body;
  memory->data[sealed + roll(s, body.len - sealed)] ^= (uint8_t)(1u << roll(s, 8));
  return buf_slice(memory);
}

/* Runs the handler; *reply gets its answer only when that is DOM_OK and fits. */
static enum dom_code deliver(struct net_sim *s, const struct sim_net *to, uint16_t from, const char *path,
                             struct slice body, struct buf *reply, struct dom_err *err) {
  /* The first copy of a message may have made the region leave (a simulated crash). */
  if (!to->joined) return dom_fail(err, DOM_UNAVAILABLE, "base/net_sim: deliver", "the region left");
  BUF_AUTO answer = BUF_INIT;
  BUF_AUTO spoilt = BUF_INIT;
  body = spoil(s, path, body, &spoilt);
  s->depth++;
  enum dom_code code = to->handler(to->arg, from, path, body, &answer, err);
  s->depth--;
  if (code != DOM_OK) return code;
  assert(answer.len <= NET_MESSAGE_MAX);
  code = buf_check(&answer, err);
  if (code == DOM_OK) buf_append_slice(reply, buf_slice(&answer));
  return code == DOM_OK ? buf_check(reply, err) : code;
}

static void late_drop(struct net_sim *s, size_t i) {
  assert(i < s->late_count);
  buf_done(&s->late[i].body);
  s->late[i] = s->late[--s->late_count];
}

/* Keeps a copy on its way. Without memory it is simply lost, as messages are. */
static void late_add(struct net_sim *s, uint16_t from, uint16_t to, const char *path, struct slice body) {
  if (s->late_count == LATE_MAX) late_drop(s, (size_t)roll(s, LATE_MAX));
  assert(s->late_count < LATE_MAX);
  struct late *l = &s->late[s->late_count];
  *l = (struct late){.from = from, .to = to};
  memcpy(l->path, path, strlen(path) + 1);
  buf_append_slice(&l->body, body);
  s->late_count++;
  if (l->body.failed) late_drop(s, s->late_count - 1);
}

static void late_deliver_one(struct net_sim *s) {
  assert(s->depth == 0);
  assert(s->late_count > 0);
  size_t i = (size_t)roll(s, s->late_count);
  struct late l = s->late[i];
  s->late[i].body = BUF_INIT;
  late_drop(s, i);
  const struct sim_net *to = reachable(s, l.from, l.to);
  BUF_AUTO nobody_listens = BUF_INIT;
  if (to) (void)deliver(s, to, l.from, l.path, buf_slice(&l.body), &nobody_listens, NULL);
  buf_done(&l.body);
}

void net_sim_deliver_late(struct net_sim *s) {
  assert(s);
  assert(s->depth == 0);
  while (s->late_count > 0) late_deliver_one(s);
}

static enum dom_code fail_lost(struct net_sim *s, struct dom_err *err) {
  enum dom_code code = roll(s, 2) == 0 ? DOM_UNAVAILABLE : DOM_TIMEOUT;
  return dom_fail(err, code, "base/net_sim: call", "no answer");
}

static enum dom_code sim_call(struct net *n, uint16_t to, const char *path, const struct net_body *parts,
                              uint32_t timeout_ms, struct buf *reply, struct dom_err *err) {
  struct sim_net *me = (struct sim_net *)n;
  struct net_sim *s = me->sim;
  BUF_AUTO whole = BUF_INIT;
  (void)timeout_ms; /* simulated calls take no time */
  assert(strlen(path) < PATH_MAX_SIM);
  struct slice body = parts->sealed;
  if (parts->rest.len > 0) {
    buf_append_slice(&whole, parts->sealed);
    buf_append_slice(&whole, parts->rest);
    if (whole.failed) return buf_check(&whole, err);
    body = buf_slice(&whole);
  }
  /* Old messages arrive between calls, never inside a handler: a region handles one at a time. */
  while (s->depth == 0 && s->late_count > 0 && roll(s, 2) == 0) late_deliver_one(s);
  const struct sim_net *receiver = me->joined ? reachable(s, me->number, to) : NULL;
  if (!receiver)
    return dom_fail(err, DOM_UNAVAILABLE, "base/net_sim: call", "region %u is not reachable", to);
  if (chance(s, s->lost)) {
    if (roll(s, 2) == 0) late_add(s, me->number, to, path, body);
    return fail_lost(s, err);
  }
  if (chance(s, s->twice)) {
    if (roll(s, 2) == 0) {
      late_add(s, me->number, to, path, body);
    } else {
      BUF_AUTO first = BUF_INIT;
      (void)deliver(s, receiver, me->number, path, body, &first, NULL);
    }
  }
  if (!chance(s, s->reply_lost)) return deliver(s, receiver, me->number, path, body, reply, err);
  BUF_AUTO unheard = BUF_INIT;
  (void)deliver(s, receiver, me->number, path, body, &unheard, NULL);
  return fail_lost(s, err);
}

bool net_bulk_split(struct slice body, struct slice *out_sealed, struct slice *out_rest) {
  assert(out_sealed && out_rest);
  if (body.len < NET_BULK_LENGTH_SIZE || load_u32be(body.data) > body.len - NET_BULK_LENGTH_SIZE)
    return false;
  size_t end = NET_BULK_LENGTH_SIZE + load_u32be(body.data);
  *out_sealed = slice_cut(body, NET_BULK_LENGTH_SIZE, end);
  *out_rest = slice_cut(body, end, body.len);
  return true;
}

static bool is_bulk(const char *path) {
  return strncmp(path, NET_BULK_PREFIX, strlen(NET_BULK_PREFIX)) == 0;
}

struct slice net_sealed(const char *path, struct slice body) {
  struct slice sealed, rest;
  assert(body.data || body.len == 0);
  if (!is_bulk(path) || !net_bulk_split(body, &sealed, &rest)) return body;
  return slice_cut(body, 0, NET_BULK_LENGTH_SIZE + sealed.len);
}

static enum dom_code call(struct net *n, uint16_t to, const char *path, const struct net_body *body,
                          uint32_t timeout_ms, struct buf *reply, struct dom_err *err) {
  assert(n && path && reply);
  assert(body->sealed.data || body->sealed.len == 0);
  size_t len = body->sealed.len + body->rest.len;
  if (len > NET_MESSAGE_MAX)
    return dom_fail(err, DOM_TOO_LARGE, "base/net: call", "a message of %zu bytes", len);
  return n->ops->call(n, to, path, body, timeout_ms, reply, err);
}

enum dom_code net_call(struct net *n, uint16_t to, const char *path, struct slice body, uint32_t timeout_ms,
                       struct buf *reply, struct dom_err *err) {
  assert(!is_bulk(path));
  return call(n, to, path, &(struct net_body){.sealed = body}, timeout_ms, reply, err);
}

enum dom_code net_call_bulk(struct net *n, uint16_t to, const char *path, struct slice sealed,
                            struct slice rest, uint32_t timeout_ms, struct buf *reply, struct dom_err *err) {
  assert(is_bulk(path) && sealed.len >= NET_BULK_LENGTH_SIZE);
  assert(load_u32be(sealed.data) == sealed.len - NET_BULK_LENGTH_SIZE);
  return call(n, to, path, &(struct net_body){sealed, rest}, timeout_ms, reply, err);
}

struct net_sim *net_sim_new(uint64_t seed) {
  struct net_sim *s = dom_calloc(1, sizeof *s);
  if (s) s->dice = seed;
  return s;
}

void net_sim_free(struct net_sim *s) {
  if (!s) return;
  assert(s->depth == 0);
  while (s->late_count > 0) late_drop(s, s->late_count - 1);
  dom_free(s);
}

struct net *net_sim_join(struct net_sim *s, uint16_t number, net_handler handler, void *arg) {
  static const struct net_ops ops = {sim_call};
  assert(s);
  assert(handler);
  size_t i = index_of(s, number);
  assert(i < REGIONS_MAX);
  if (i == s->region_count) s->region_count++;
  s->regions[i] = (struct sim_net){{&ops}, s, number, true, handler, arg};
  return &s->regions[i].base;
}

void net_sim_leave(struct net_sim *s, uint16_t number) {
  assert(s);
  size_t i = index_of(s, number);
  if (i < s->region_count) s->regions[i].joined = false;
}

void net_sim_chances(struct net_sim *s, unsigned lost, unsigned reply_lost, unsigned twice) {
  assert(s);
  assert(lost <= 1000);
  assert(reply_lost <= 1000);
  assert(twice <= 1000);
  s->lost = lost;
  s->reply_lost = reply_lost;
  s->twice = twice;
}

void net_sim_spoil(struct net_sim *s, unsigned permille) {
  assert(s);
  assert(permille <= 1000);
  s->spoilt = permille;
}

void net_sim_cut(struct net_sim *s, uint16_t a, uint16_t b, bool cut) {
  assert(s);
  assert(a != b);
  size_t i = index_of(s, a), k = index_of(s, b);
  assert(i < s->region_count);
  assert(k < s->region_count); /* both have joined before */
  s->cut[i][k] = s->cut[k][i] = cut;
}
