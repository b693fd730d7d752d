/* The room itself: open, close, and the one way its changes are committed. */
#include <assert.h>

#include "subject/subject_internal.h"

enum dom_code subject_change(struct subjects *s, subject_change_fn fn, void *arg, struct dom_err *err) {
  for (int i = 0; i < SUBJECT_RETRIES_MAX; i++) {
    STORE_VIEW_AUTO *v = NULL;
    STORE_TX_AUTO *tx = NULL;
    enum dom_code code = store_view_open(s->o.store, &v, err);
    if (!code) code = store_tx_begin(s->o.store, v, &tx, err);
    if (!code) code = fn(arg, s, v, tx, err);
    if (code == DOM_EXISTS) return DOM_OK;
    if (!code) {
      struct store_tx *taken = tx;
      tx = NULL;
      code = store_tx_commit_take(taken, NULL, err);
    }
    if (code != DOM_RETRY) return code;
  }
  return dom_fail(err, DOM_RETRY, "subject: change", "too many concurrent changes of the same row");
}

enum dom_code subject_tx_entry(struct subjects *s, struct store_tx *tx, struct ledger_payload *payload,
                               uint64_t epoch, const uint8_t *peer_log_id, uint64_t peer_index,
                               struct dom_err *err) {
  struct charter *c = subject_charter(s);
  assert(tx && payload->type != 0);
  payload->time_ms = clock_wall_ms(s->o.clock);
  if (payload->charter == 0 && c) payload->charter = charter_version(c);
  charter_release(c);
  struct ledger_entry entry = {.type = payload->type,
                               .region = s->o.region,
                               .epoch = epoch,
                               .time_ms = ledger_time_round(payload->time_ms)};
  if (peer_log_id) {
    entry.flags = LEDGER_HAS_PEER;
    memcpy(entry.peer_log_id, peer_log_id, LEDGER_LOG_ID_SIZE);
    entry.peer_index = peer_index;
  }
  uint8_t opening[LEDGER_OPENING_SIZE], bytes[LEDGER_ENTRY_SIZE];
  BUF_AUTO content = BUF_INIT;
  enum dom_code code = ledger_entry_seal(&entry, payload, opening, &content, bytes);
  if (code) return dom_fail(err, code, "subject: ledger entry", "no memory");
  return store_tx_entry(tx, payload->token, slice_of(bytes, sizeof bytes), opening, buf_slice(&content), err);
}

/* Finds the newest charter kept in the store and puts it in force. */
struct newest {
  struct buf text;
  enum dom_code code;
};
static bool keep_newest(void *arg, struct slice key, struct slice value) {
  struct newest *n = arg;
  (void)key;
  struct reader r = reader_of(value);
  struct slice yaml = get_bytes32be(&r);
  get_bytes32be(&r); /* signature: checked when it was put in force */
  if (!reader_end(&r)) n->code = DOM_CORRUPT;
  buf_reset(&n->text);
  buf_append_slice(&n->text, yaml);
  return n->code == DOM_OK;
}

static enum dom_code load_charter(struct subjects *s, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  enum dom_code code = store_view_open(s->o.store, &v, err);
  if (code) return code;
  struct newest n = {0};
  code = store_row_scan(v, STORE_TABLE_CHARTER, SLICE_LIT(""), SLICE_LIT(""), keep_newest, &n, err);
  if (!code) code = n.code;
  if (!code) code = buf_check(&n.text, err);
  if (!code && n.text.len) code = charter_parse(buf_slice(&n.text), "charter in force", &s->charter, err);
  buf_done(&n.text);
  return code;
}

/* Another route key would give everybody another token: all data would seem gone, and what is written then
 * would be gone once the right key is back. So the region remembers what its key makes of a known text. */
static enum dom_code check_step(void *arg, struct subjects *s, struct store_view *v, struct store_tx *tx,
                                struct dom_err *err) {
  uint8_t mark[SHA256_SIZE];
  BUF_AUTO have = BUF_INIT;
  (void)arg;
  hmac_sha256(slice_of(s->o.route_key, KEY_SIZE), SLICE_LIT("domicile route key"), mark);
  enum dom_code code = store_row_get(v, STORE_TABLE_META, SLICE_LIT("route-key"), &have, NULL);
  if (code == DOM_NOT_FOUND)
    return store_tx_row_put(tx, STORE_TABLE_META, SLICE_LIT("route-key"), slice_of(mark, sizeof mark), err);
  if (code) return dom_fail(err, code, "subject: route key", "its mark cannot be read");
  if (slice_equal(buf_slice(&have), slice_of(mark, sizeof mark))) return DOM_EXISTS;
  return dom_fail(err, DOM_DENIED, "subject: route key",
                  "the route key is not the one that this data folder was written with");
}

static enum dom_code check_route_key(struct subjects *s, struct dom_err *err) {
  struct dom_err failed = {0};
  enum dom_code code = subject_change(s, check_step, NULL, &failed);
  /* A region that takes no writes just now can still be read; the mark is then made another time. */
  if (code == DOM_NO_SPACE || code == DOM_READ_ONLY) return DOM_OK;
  return code ? dom_fail(err, code, failed.where, "%s", failed.text) : DOM_OK;
}

enum dom_code subjects_open(const struct subjects_options *o, struct subjects **out, struct dom_err *err) {
  assert(o && o->store && o->clock && o->region);
  struct subjects *s = dom_calloc(1, sizeof *s);
  if (!s) return dom_fail(err, DOM_NO_MEMORY, "subject: open", "no memory");
  s->o = *o;
  pthread_mutex_init(&s->charter_lock, NULL);
  pthread_mutex_init(&s->charter_change, NULL);
  pthread_mutex_init(&s->registry_lock, NULL);
  s->cache = home_cache_new();
  s->gate = gate_table_new();
  s->configs = config_cache_new();
  enum dom_code code = s->cache && s->gate && s->configs ? load_charter(s, err) : DOM_NO_MEMORY;
  if (!code) code = check_route_key(s, err);
  if (code) {
    subjects_close(s);
    return dom_fail(err, code, "subject: open", "cannot open");
  }
  *out = s;
  return DOM_OK;
}

void subjects_close(struct subjects *s) {
  if (!s) return;
  charter_release(s->charter);
  home_cache_free(s->cache);
  gate_table_free(s->gate);
  config_cache_free(s->configs);
  pthread_mutex_destroy(&s->charter_lock);
  pthread_mutex_destroy(&s->charter_change);
  pthread_mutex_destroy(&s->registry_lock);
  wipe(s->o.route_key, sizeof s->o.route_key);
  wipe(s->o.region_seed, sizeof s->o.region_seed);
  dom_free(s);
}

enum dom_code subject_message(struct subjects *s, uint16_t from, const char *path, struct slice body,
                              struct buf *reply, struct dom_err *err) {
  struct slice p = slice_str(path);
  enum dom_code held = hold_check(s, err);
  if (held) return held;
  if (slice_starts_with(p, SLICE_LIT("registrar/")))
    return registrar_message(s, from, path, body, reply, err);
  if (slice_starts_with(p, SLICE_LIT("registry/"))) return registry_message(s, path, body, reply, err);
  if (slice_starts_with(p, SLICE_LIT("bucket/"))) return bucket_message(s, from, path, body, reply, err);
  if (slice_starts_with(p, SLICE_LIT("subject/"))) return register_message(s, path, body, reply, err);
  return dom_fail(err, DOM_NOT_FOUND, "subject: message", "no such message");
}

enum dom_code subject_upkeep(struct subjects *s, struct dom_err *err) {
  if (registrar_is_here(s, NULL)) return DOM_OK;
  return registry_upkeep(s, err);
}
