/* The row of an erasure of a person. Bytes: docs/formats/handoff.md. */
#include <assert.h>

#include "move/move_internal.h"

enum { FORGET_ROW_VERSION = 1 };

const char *forget_state_name(enum forget_state state) {
  static const char *const names[] = {"none", "checking", "erasing", "key-dropped", "erased", "names-purged"};
  assert(state <= FORGET_PURGED);
  return names[state];
}

static void key_of(const uint8_t token[TOKEN_SIZE], uint64_t epoch, uint8_t out[FORGET_KEY_SIZE]) {
  assert(epoch > 0);
  memcpy(out, token, TOKEN_SIZE);
  store_u64be(out + TOKEN_SIZE, epoch);
}

void forget_open_key(const struct forget *f, uint8_t out[OPEN_KEY_SIZE]) {
  key_of(f->token, f->epoch, out);
  out[FORGET_KEY_SIZE] = 0; /* no side of a handoff */
}

void forget_encode(const struct forget *f, struct buf *out) {
  assert(f->state > FORGET_NONE && f->state <= FORGET_PURGED && f->peer_count <= CHARTER_REGIONS_MAX);
  put_u8(out, FORGET_ROW_VERSION);
  put_u8(out, (uint8_t)f->state);
  put_u8(out, f->told);
  buf_append(out, f->country, 2);
  put_u64be(out, f->allotted);
  put_u64be(out, f->kek);
  put_u64be(out, f->objects);
  put_u64be(out, f->bytes);
  put_u64be(out, f->started_ms);
  put_u64be(out, f->dropped_ms);
  put_u64be(out, f->erased_ms);
  put_u64be(out, f->purged_ms);
  put_u8(out, (uint8_t)f->peer_count);
  for (uint32_t i = 0; i < f->peer_count; i++) {
    put_u16be(out, f->peer[i].region);
    put_u8(out, f->peer[i].stage);
  }
}

enum dom_code forget_decode(struct slice key, struct slice value, struct forget *out, struct dom_err *err) {
  struct forget f = {0};
  struct reader k = reader_of(key), r = reader_of(value);
  get_copy(&k, f.token, TOKEN_SIZE);
  f.epoch = get_u64be(&k);
  uint8_t version = get_u8(&r), state = get_u8(&r), told = get_u8(&r);
  f.state = (enum forget_state)state;
  f.told = told == 1;
  get_copy(&r, f.country, 2);
  f.allotted = get_u64be(&r);
  f.kek = get_u64be(&r);
  f.objects = get_u64be(&r);
  f.bytes = get_u64be(&r);
  f.started_ms = get_u64be(&r);
  f.dropped_ms = get_u64be(&r);
  f.erased_ms = get_u64be(&r);
  f.purged_ms = get_u64be(&r);
  f.peer_count = get_u8(&r);
  bool good = version == FORGET_ROW_VERSION && state > FORGET_NONE && state <= FORGET_PURGED && told <= 1 &&
              f.peer_count <= CHARTER_REGIONS_MAX && f.epoch > 0 && f.allotted >= f.epoch;
  for (uint32_t i = 0; good && i < f.peer_count; i++) {
    f.peer[i].region = get_u16be(&r);
    f.peer[i].stage = get_u8(&r);
    good = f.peer[i].stage <= FORGET_STAGE_PURGED;
  }
  if (!good || !reader_end(&k) || !reader_end(&r))
    return dom_fail(err, DOM_CORRUPT, "move/forget: row", "an erasure's row does not decode");
  *out = f;
  return DOM_OK;
}

enum dom_code forget_get(struct store_view *v, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                         struct forget *out, struct dom_err *err) {
  uint8_t key[FORGET_KEY_SIZE];
  BUF_AUTO value = BUF_INIT;
  key_of(token, epoch, key);
  enum dom_code code = store_row_get(v, STORE_TABLE_FORGET, slice_of(key, sizeof key), &value, NULL);
  if (code == DOM_NOT_FOUND) return dom_fail(err, code, "move/forget: row", "no erasure of that subject");
  if (code) return dom_fail(err, code, "move/forget: row", "cannot be read");
  return forget_decode(slice_of(key, sizeof key), buf_slice(&value), out, err);
}

enum dom_code forget_put(struct store_tx *tx, const struct forget *f, struct dom_err *err) {
  uint8_t key[FORGET_KEY_SIZE];
  BUF_AUTO value = BUF_INIT;
  key_of(f->token, f->epoch, key);
  struct slice k = slice_of(key, sizeof key);
  if (f->state == FORGET_NONE) return store_tx_row_delete(tx, STORE_TABLE_FORGET, k, err);
  forget_encode(f, &value);
  enum dom_code code = buf_check(&value, err);
  return code ? code : store_tx_row_put(tx, STORE_TABLE_FORGET, k, buf_slice(&value), err);
}

struct scan {
  forget_fn fn;
  void *arg;
  enum dom_code code;
  struct dom_err *err;
};

static bool scan_one(void *arg, struct slice key, struct slice value) {
  struct scan *s = arg;
  struct forget f;
  s->code = forget_decode(key, value, &f, s->err);
  return s->code == DOM_OK && s->fn(s->arg, &f);
}

enum dom_code forget_scan(struct store_view *v, const uint8_t *token, forget_fn fn, void *arg,
                          struct dom_err *err) {
  struct scan s = {.fn = fn, .arg = arg, .err = err};
  struct slice prefix = slice_of(token, token ? TOKEN_SIZE : 0);
  enum dom_code code = store_row_scan(v, STORE_TABLE_FORGET, prefix, SLICE_LIT(""), scan_one, &s, err);
  return code ? code : s.code;
}

bool forget_is_open(const struct forget *f) {
  if (f->state == FORGET_CHECKING || f->state == FORGET_ERASING || !f->told) return true;
  for (uint32_t i = 0; i < f->peer_count; i++)
    if (f->peer[i].stage == FORGET_STAGE_READABLE) return true;
  return false;
}

struct forget_peer *forget_peer(struct forget *f, uint16_t region) {
  for (uint32_t i = 0; i < f->peer_count; i++)
    if (f->peer[i].region == region) return &f->peer[i];
  if (f->peer_count == CHARTER_REGIONS_MAX) return NULL;
  f->peer[f->peer_count] = (struct forget_peer){.region = region};
  return &f->peer[f->peer_count++];
}
