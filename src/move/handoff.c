#include "move/handoff.h"

#include <assert.h>

#include "base/codec.h"

enum { HANDOFF_ROW_VERSION = 1 };

#define STEP(side_, state_, event_, next_, action_)                                                          \
  {HANDOFF_##side_, HANDOFF_##state_, EVENT_##event_, HANDOFF_##next_, ACTION_##action_},
static const struct handoff_rule {
  enum handoff_side side;
  enum handoff_state state;
  enum handoff_event event;
  enum handoff_state next;
  enum handoff_action action;
} RULES[] = {
#include "move/move_states.def"
};
#undef STEP

enum { RULE_COUNT = sizeof RULES / sizeof RULES[0] };

bool handoff_step(enum handoff_side side, enum handoff_state state, enum handoff_event event,
                  enum handoff_state *out_next, enum handoff_action *out_action) {
  assert(side == HANDOFF_SOURCE || side == HANDOFF_TARGET);
  for (size_t i = 0; i < RULE_COUNT; i++) {
    if (RULES[i].side != side || RULES[i].state != state || RULES[i].event != event) continue;
    *out_next = RULES[i].next;
    *out_action = RULES[i].action;
    return true;
  }
  return false;
}

bool handoff_row_at(size_t i, enum handoff_side *side, enum handoff_state *state, enum handoff_event *event,
                    enum handoff_state *next, enum handoff_action *action) {
  if (i >= RULE_COUNT) return false;
  *side = RULES[i].side;
  *state = RULES[i].state;
  *event = RULES[i].event;
  *next = RULES[i].next;
  *action = RULES[i].action;
  return true;
}

const char *handoff_state_name(enum handoff_state state) {
  switch (state) {
  case HANDOFF_NONE:
    return "none";
  case HANDOFF_COPYING:
    return "copying";
  case HANDOFF_FENCED:
    return "fenced";
  case HANDOFF_COMMITTED:
    return "committed";
  case HANDOFF_ERASING:
    return "erasing";
  case HANDOFF_DROPPED:
    return "key-dropped";
  case HANDOFF_ERASED:
    return "erased";
  case HANDOFF_PURGED:
    return "names-purged";
  case HANDOFF_ABORTED:
    return "aborted";
  case HANDOFF_STAGING:
    return "staging";
  case HANDOFF_PREPARED:
    return "prepared";
  case HANDOFF_ACTIVE:
    return "active";
  case HANDOFF_DISCARDED:
    return "discarded";
  }
  return "unknown";
}

static bool state_known(uint8_t state) {
  return strcmp(handoff_state_name((enum handoff_state)state), "unknown") != 0;
}

bool handoff_is_open(const struct handoff *h) {
  if (h->side == HANDOFF_SOURCE) return h->state >= HANDOFF_COPYING && h->state <= HANDOFF_ERASING;
  return h->state == HANDOFF_STAGING || h->state == HANDOFF_PREPARED || h->state == HANDOFF_DISCARDED;
}

void handoff_key(const struct handoff *h, uint8_t out[HANDOFF_KEY_SIZE]) {
  memcpy(out, h->token, TOKEN_SIZE);
  store_u64be(out + TOKEN_SIZE, h->epoch);
  out[TOKEN_SIZE + 8] = (uint8_t)h->side;
}

void handoff_head_put(struct buf *out, const struct handoff *h) {
  buf_append(out, h->token, TOKEN_SIZE);
  put_u64be(out, h->epoch);
}

void handoff_encode(const struct handoff *h, struct buf *out) {
  assert(h->epoch > h->epoch_from && h->peer);
  put_u8(out, HANDOFF_ROW_VERSION);
  put_u8(out, (uint8_t)h->state);
  put_u16be(out, h->peer);
  put_u64be(out, h->epoch_from);
  buf_append(out, h->country, 2);
  put_u64be(out, h->charter_version);
  buf_append(out, h->manifest, SHA256_SIZE);
  put_u64be(out, h->objects);
  put_u64be(out, h->bytes);
  put_u64be(out, h->started_ms);
  put_u64be(out, h->kek);
  put_u64be(out, h->commit_lsn);
}

enum dom_code handoff_decode(struct slice key, struct slice value, struct handoff *out, struct dom_err *err) {
  struct handoff h = {0};
  struct reader k = reader_of(key), r = reader_of(value);
  get_copy(&k, h.token, TOKEN_SIZE);
  h.epoch = get_u64be(&k);
  h.side = (enum handoff_side)get_u8(&k);
  uint8_t version = get_u8(&r), state = get_u8(&r);
  h.state = (enum handoff_state)state;
  h.peer = get_u16be(&r);
  h.epoch_from = get_u64be(&r);
  get_copy(&r, h.country, 2);
  h.charter_version = get_u64be(&r);
  get_copy(&r, h.manifest, SHA256_SIZE);
  h.objects = get_u64be(&r);
  h.bytes = get_u64be(&r);
  h.started_ms = get_u64be(&r);
  h.kek = get_u64be(&r);
  h.commit_lsn = get_u64be(&r);
  bool good = reader_end(&k) && reader_end(&r) && version == HANDOFF_ROW_VERSION && state_known(state) &&
              (h.side == HANDOFF_SOURCE || h.side == HANDOFF_TARGET);
  if (!good) return dom_fail(err, DOM_CORRUPT, "move/handoff: row", "a handoff row does not decode");
  *out = h;
  return DOM_OK;
}

enum dom_code handoff_get(struct store_view *v, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                          enum handoff_side side, struct handoff *out, struct dom_err *err) {
  struct handoff want = {.epoch = epoch, .side = side};
  assert(epoch > 0);
  memcpy(want.token, token, TOKEN_SIZE);
  uint8_t key[HANDOFF_KEY_SIZE];
  handoff_key(&want, key);
  BUF_AUTO value = BUF_INIT;
  enum dom_code code = store_row_get(v, STORE_TABLE_HANDOFF, slice_of(key, sizeof key), &value, NULL);
  if (code == DOM_NOT_FOUND) return code;
  if (code) return dom_fail(err, code, "move/handoff: row", "cannot be read");
  return handoff_decode(slice_of(key, sizeof key), buf_slice(&value), out, err);
}

enum dom_code handoff_put(struct store_tx *tx, const struct handoff *h, struct dom_err *err) {
  uint8_t key[HANDOFF_KEY_SIZE];
  assert(h->state != HANDOFF_NONE);
  handoff_key(h, key);
  BUF_AUTO value = BUF_INIT;
  handoff_encode(h, &value);
  enum dom_code code = buf_check(&value, err);
  return code ? code
              : store_tx_row_put(tx, STORE_TABLE_HANDOFF, slice_of(key, sizeof key), buf_slice(&value), err);
}

struct scan {
  handoff_fn fn;
  void *arg;
  enum dom_code code;
  struct dom_err *err;
};

static bool scan_one(void *arg, struct slice key, struct slice value) {
  struct scan *s = arg;
  struct handoff h;
  s->code = handoff_decode(key, value, &h, s->err);
  return s->code == DOM_OK && s->fn(s->arg, &h);
}

enum dom_code handoff_scan(struct store_view *v, const uint8_t *token, handoff_fn fn, void *arg,
                           struct dom_err *err) {
  struct scan s = {.fn = fn, .arg = arg, .err = err};
  struct slice prefix = slice_of(token, token ? TOKEN_SIZE : 0);
  enum dom_code code = store_row_scan(v, STORE_TABLE_HANDOFF, prefix, SLICE_LIT(""), scan_one, &s, err);
  return code ? code : s.code;
}

enum dom_code handoff_scan_after(struct store_view *v, const struct handoff *after, handoff_fn fn, void *arg,
                                 struct dom_err *err) {
  struct scan s = {.fn = fn, .arg = arg, .err = err};
  uint8_t key[HANDOFF_KEY_SIZE];
  handoff_key(after, key);
  enum dom_code code =
      store_row_scan(v, STORE_TABLE_HANDOFF, SLICE_LIT(""), slice_of(key, sizeof key), scan_one, &s, err);
  return code ? code : s.code;
}
