#include "power.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/codec.h"

enum {
  KEYS = 40,
  KEYS_HOT = 6,             /* most changes are of these: cold ones keep old segments in use */
  HELD_MAX = 12,            /* versions of one key; then only deletes */
  PURGE_ONE_IN = 60,        /* steps */
  TX_KEYS = 3,              /* keys a change touches at most */
  LEAP_EVERY = 37,          /* LSNs: then a change leaves out … */
  LEAP = 1000,              /* … so many */
  OPERATIONS_MAX = 150,     /* changes a cycle, if no cut comes first */
  CUT_WITHIN = 900,         /* disk operations until the cut */
  SEGMENT_BYTES = 64 << 10, /* few: compaction has work in every run */
  INLINE_BYTES_MAX = 6000,
  FILE_BYTES_MAX = 70000,
  REGION = 7
};

/* What a key holds, one version of it: its number tells size, bytes and time. */
struct held {
  uint64_t number;
  bool is_null, is_marker, in_file;
  uint64_t lsn;    /* of its order; 0 until it was seen */
  uint64_t amends; /* its metadata: how often it was written anew */
};
struct key_held { /* newest first */
  struct held at[HELD_MAX];
  uint32_t count;
};

/* What a change does to a key. */
enum op_kind { OP_PUT, OP_MARK, OP_DELETE_NULL, OP_DELETE_VERSION, OP_AMEND, OP_KINDS };
struct op {
  enum op_kind kind;
  struct held made; /* PUT, MARK; AMEND: is_null and amends */
  uint64_t lsn;     /* DELETE_VERSION, AMEND */
};

struct world {
  const struct power_options *o;
  struct power_result *result;
  struct disk *disk, *kek_disk;
  struct clock *clock;
  struct vault_kek *kek;
  struct store *store;
  uint64_t rng;
  struct key_held known[KEYS]; /* as acknowledged */
  uint64_t next_version;
  uint64_t entries_known; /* entries acknowledged: their count */
  uint64_t ledger_lsn;    /* what a ledger would hold durably */
  /* The change without an answer. */
  bool open_change;
  uint32_t open_count;
  uint32_t open_keys[TX_KEYS];
  struct op open_ops[TX_KEYS];
  bool failed;
};

static uint64_t roll(struct world *w, uint64_t below) {
  w->rng = w->rng * 6364136223846793005u + 1442695040888963407u;
  return (w->rng >> 33) % below;
}

__attribute__((format(printf, 2, 3))) static void world_fail(struct world *w, const char *format, ...) {
  va_list args;
  if (w->failed) return;
  w->failed = true;
  va_start(args, format);
  vsnprintf(w->result->why, sizeof w->result->why, format, args);
  va_end(args);
}

static uint32_t roll_key(struct world *w) {
  return (uint32_t)roll(w, roll(w, 4) ? KEYS_HOT : KEYS);
}

/* ---- content ---- */

static bool version_in_file(uint64_t version) {
  return version % 5 == 0;
}

static size_t version_size(uint64_t version) {
  return (size_t)(version * 7919 % (version_in_file(version) ? FILE_BYTES_MAX : INLINE_BYTES_MAX));
}

static void content_make(uint32_t key, uint64_t version, struct buf *out) {
  size_t size = version_size(version);
  bool ok = buf_reserve(out, size + 1);
  assert(ok);
  for (size_t i = 0; i < size; i++) out->data[i] = (uint8_t)(i * 31 + key * 7 + version * 13 + i / 251);
  out->len = size;
}

static void key_name(uint32_t key, char out[32]) {
  snprintf(out, 32, "people/%c/%02u", key % 2 ? 'b' : 'a', key);
}

static struct store_place place_of(uint32_t key) {
  struct store_place p = {.epoch = 1, .prefix = slice_str(key % 2 ? "people/b/" : "people/a/")};
  memset(p.bucket, 9, sizeof p.bucket);
  memset(p.token, (int)(key % 2) + 1, sizeof p.token);
  return p;
}

/* ---- changes ---- */

static enum dom_code body_store(struct world *w, uint32_t key, struct slice content,
                                struct store_body_ref *out) {
  struct store_body *b = NULL;
  struct store_place p = place_of(key);
  enum dom_code code = store_body_create(w->store, PERMIT_STORE, w->o->permit, p.token, 1, &b, NULL);
  if (code != DOM_OK) return code;
  code = store_body_append(b, content, NULL);
  if (code == DOM_OK) return store_body_seal_take(b, out, NULL);
  store_body_abort_take(b);
  return code;
}

static void held_drop(struct key_held *k, uint32_t i) {
  assert(i < k->count);
  memmove(&k->at[i], &k->at[i + 1], (k->count - i - 1) * sizeof k->at[0]);
  k->count--;
}

/* The model: what a key holds after the change. */
static void held_apply(struct key_held *k, const struct op *op) {
  bool makes = op->kind == OP_PUT || op->kind == OP_MARK;
  for (uint32_t i = 0; i < k->count && op->kind == OP_AMEND; i++)
    if (k->at[i].is_null == op->made.is_null && (op->made.is_null || k->at[i].lsn == op->lsn))
      k->at[i].amends = op->made.amends;
  bool null_goes = op->kind == OP_DELETE_NULL || (makes && op->made.is_null);
  for (uint32_t i = k->count; i-- > 0;)
    if (null_goes ? k->at[i].is_null
                  : op->kind == OP_DELETE_VERSION && !k->at[i].is_null && k->at[i].lsn == op->lsn)
      held_drop(k, i);
  if (!makes) return;
  assert(k->count < HELD_MAX);
  memmove(&k->at[1], &k->at[0], k->count * sizeof k->at[0]);
  k->at[0] = op->made;
  k->count++;
}

static struct op op_roll(struct world *w, uint32_t key) {
  const struct key_held *k = &w->known[key];
  struct op op = {.kind = OP_PUT, .made = {.number = w->next_version++, .is_null = roll(w, 2)}};
  uint64_t what = roll(w, 8);
  bool full = k->count + 1 >= HELD_MAX;
  if (what == 0) op.kind = OP_DELETE_NULL;
  if (what == 1 && !full) op.kind = OP_MARK;
  op.made.is_marker = op.kind == OP_MARK;
  op.made.in_file = op.kind == OP_PUT && version_in_file(op.made.number);
  if ((what == 2 || what == 3 || full) && k->count > 0) {
    uint32_t i = (uint32_t)roll(w, k->count);
    op.kind = k->at[i].is_null ? OP_DELETE_NULL : OP_DELETE_VERSION;
    op.lsn = k->at[i].lsn;
  }
  const struct held *h = what == 4 && !full && k->count > 0 ? &k->at[roll(w, k->count)] : NULL;
  if (h && !h->is_marker)
    op = (struct op){
        .kind = OP_AMEND, .lsn = h->lsn, .made = {.is_null = h->is_null, .amends = h->amends + 1}};
  return op;
}

static enum dom_code put_add(struct world *w, struct store_tx *tx, uint32_t key, const struct held *made) {
  BUF_AUTO content = BUF_INIT;
  char name[32];
  struct store_body_ref ref;
  struct store_place p = place_of(key);
  enum dom_code code = DOM_OK;
  key_name(key, name);
  content_make(key, made->number, &content);
  struct store_object o = {
      .key = slice_str(name), .is_version = !made->is_null, .size = content.len, .mtime_ms = made->number};
  o.meta = SLICE_LIT("0");
  if (made->in_file) {
    code = body_store(w, key, buf_slice(&content), &ref);
    o.bodies = &ref;
    o.body_count = 1;
  } else {
    o.inline_body = buf_slice(&content);
  }
  return code == DOM_OK ? store_tx_put(tx, w->o->permit, &p, &o, NULL) : code;
}

static enum dom_code amend_add(struct world *w, struct store_view *v, struct store_tx *tx,
                               const struct store_place *p, struct slice key, const struct op *op) {
  struct store_version which = {.is_null = op->made.is_null, .order = {1, op->lsn}};
  struct store_found *f = NULL;
  char meta[24];
  snprintf(meta, sizeof meta, "%llu", (unsigned long long)op->made.amends);
  enum dom_code code = store_version_get(v, PERMIT_READ, w->o->permit, p, key, &which, &f, NULL);
  if (code == DOM_OK) code = store_tx_amend(tx, w->o->permit, p, f, slice_str(meta), NULL);
  store_found_free(f);
  return code;
}

static enum dom_code op_add(struct world *w, struct store_view *v, struct store_tx *tx, uint32_t key,
                            const struct op *op) {
  char name[32];
  bool marker = false;
  struct store_place p = place_of(key);
  struct store_version which = {.is_null = op->kind == OP_DELETE_NULL, .order = {1, op->lsn}};
  key_name(key, name);
  switch (op->kind) {
  case OP_PUT:
    return put_add(w, tx, key, &op->made);
  case OP_AMEND:
    return amend_add(w, v, tx, &p, slice_str(name), op);
  case OP_MARK:
    return store_tx_mark(tx, w->o->permit, &p, slice_str(name), !op->made.is_null, op->made.number, NULL);
  default:
    return store_tx_delete_version(tx, w->o->permit, &p, slice_str(name), &which, &marker, NULL);
  }
}

/* Every change that changes something carries one ledger entry; a delete of nothing has none. */
static enum dom_code change_fill(struct world *w, struct store_view *v, struct store_tx *tx) {
  uint8_t opening[16] = {0}, number[8];
  enum dom_code code = DOM_OK;
  for (uint32_t i = 0; i < w->open_count && code == DOM_OK; i++)
    code = op_add(w, v, tx, w->open_keys[i], &w->open_ops[i]);
  store_u64be(number, w->entries_known + 1);
  if (code == DOM_OK) code = store_tx_entry(tx, NULL, slice_of(number, 8), opening, (struct slice){0}, NULL);
  return code;
}

/* lsn 0: not known; a look at the key will tell. */
static void change_settle(struct world *w, bool done, uint64_t lsn) {
  for (uint32_t i = 0; done && i < w->open_count; i++) {
    w->open_ops[i].made.lsn = lsn;
    held_apply(&w->known[w->open_keys[i]], &w->open_ops[i]);
  }
  if (done) w->entries_known++;
  w->open_change = false;
}

/* One change of one or more keys; what it answered. */
static enum dom_code change_make(struct world *w) {
  struct store_view *v = NULL;
  struct store_tx *tx = NULL;
  uint64_t lsn = 0;
  w->open_count = 1 + (uint32_t)roll(w, TX_KEYS);
  for (uint32_t i = 0; i < w->open_count; i++) {
    w->open_keys[i] = i ? (w->open_keys[i - 1] + 1) % KEYS : roll_key(w);
    w->open_ops[i] = op_roll(w, w->open_keys[i]);
  }
  w->open_change = true;
  enum dom_code code = store_view_open(w->store, &v, NULL);
  if (code == DOM_OK) code = store_tx_begin(w->store, v, &tx, NULL);
  if (code == DOM_OK) code = change_fill(w, v, tx);
  if (code == DOM_OK) {
    uint64_t at = store_view_lsn(v);
    if (at % LEAP_EVERY == 0) store_tx_lsn_min(tx, at + LEAP); /* as after a restore */
    code = store_tx_commit_take(tx, &lsn, NULL);
    tx = NULL;
  }
  store_tx_abort_take(tx);
  store_view_close(v);
  if (code == DOM_OK) {
    change_settle(w, true, lsn);
    w->result->commits++;
  }
  return code;
}

/* A multipart upload of one key, or one that is left lying. */
static enum dom_code upload_step(struct world *w, struct store_place *p, struct store_upload *u,
                                 uint32_t step, struct store_part *part, struct store_object *o,
                                 uint64_t *out_lsn) {
  struct store_view *v = NULL;
  struct store_tx *tx = NULL;
  enum dom_code code = store_view_open(w->store, &v, NULL);
  if (code == DOM_OK) code = store_tx_begin(w->store, v, &tx, NULL);
  if (code == DOM_OK && step == 0) code = store_tx_upload_create(tx, w->o->permit, p, u, NULL);
  if (code == DOM_OK && step == 1) code = store_tx_part(tx, w->o->permit, p, u->key, u->id, part, NULL);
  if (code == DOM_OK && step == 2) {
    uint8_t opening[16] = {0}, number[8];
    store_u64be(number, w->entries_known + 1);
    code = store_tx_complete(tx, w->o->permit, p, u->id, o, NULL);
    if (code == DOM_OK)
      code = store_tx_entry(tx, NULL, slice_of(number, 8), opening, (struct slice){0}, NULL);
  }
  if (code == DOM_OK) {
    code = store_tx_commit_take(tx, out_lsn, NULL);
    tx = NULL;
  }
  store_tx_abort_take(tx);
  store_view_close(v);
  return code;
}

static enum dom_code upload_make(struct world *w) {
  BUF_AUTO content = BUF_INIT;
  char name[32];
  uint32_t key = roll_key(w);
  uint64_t version = w->next_version++;
  struct store_place p = place_of(key);
  struct store_part part = {.number = 1};
  key_name(key, name);
  struct store_upload u = {.key = slice_str(name)};
  random_bytes(u.id, sizeof u.id);
  content_make(key, version, &content);
  enum dom_code code = upload_step(w, &p, &u, 0, NULL, NULL, NULL);
  for (int again = 0; again < 2 && code == DOM_OK; again++) { /* a part sent twice */
    code = body_store(w, key, buf_slice(&content), &part.body);
    if (code == DOM_OK) code = upload_step(w, &p, &u, 1, &part, NULL, NULL);
  }
  if (code != DOM_OK || roll(w, 4) == 0 || w->known[key].count + 1 >= HELD_MAX) return code;
  struct op op = {.kind = OP_PUT, .made = {.number = version, .is_null = roll(w, 2), .in_file = true}};
  struct store_object o = {.key = u.key,
                           .is_version = !op.made.is_null,
                           .size = content.len,
                           .bodies = &part.body,
                           .body_count = 1,
                           .mtime_ms = version,
                           .meta = SLICE_LIT("0")};
  uint64_t lsn = 0;
  w->open_change = true;
  w->open_count = 1;
  w->open_keys[0] = key;
  w->open_ops[0] = op;
  code = upload_step(w, &p, &u, 2, NULL, &o, &lsn);
  if (code == DOM_OK) change_settle(w, true, lsn);
  return code;
}

/* A few steps of collection and compaction. */
static enum dom_code upkeep_some(struct world *w) {
  enum dom_code code = DOM_OK;
  bool did = true;
  for (uint64_t i = 1 + roll(w, 6); i > 0 && did && code == DOM_OK; i--)
    code = store_upkeep(w->store, &did, NULL);
  if (code == DOM_OK) w->result->upkeeps++;
  return code;
}

static enum dom_code ledger_take(struct world *w) {
  struct store_stats stats;
  store_stats(w->store, &stats);
  w->ledger_lsn = stats.applied_lsn;
  store_ledger_reached(w->store, w->ledger_lsn);
  return DOM_OK;
}

static enum dom_code names_purge(struct world *w) {
  enum dom_code code = store_names_purge(w->store, NULL);
  if (code == DOM_OK) w->result->purges++;
  return code;
}

static enum dom_code step(struct world *w) {
  if (roll(w, PURGE_ONE_IN) == 0) return names_purge(w);
  switch (roll(w, 12)) {
  case 0:
    return upkeep_some(w);
  case 2:
    return ledger_take(w);
  case 1:
    return upload_make(w);
  default:
    return change_make(w);
  }
}

/* ---- checks ---- */

/* Whether one version is there, whole. */
static bool version_holds(struct world *w, struct store_view *v, uint32_t key, const struct held *want,
                          const struct store_version *which) {
  BUF_AUTO content = BUF_INIT;
  BUF_AUTO got = BUF_INIT;
  struct store_found *f = NULL;
  struct store_place p = place_of(key);
  char name[32], meta[24];
  size_t len = 0;
  key_name(key, name);
  if (store_version_get(v, PERMIT_READ, w->o->permit, &p, slice_str(name), which, &f, NULL) != DOM_OK)
    return false;
  if (!want->is_marker) content_make(key, want->number, &content);
  bool ok = buf_reserve(&got, content.len + 1);
  assert(ok);
  enum dom_code code = store_found_read(f, 0, got.data, content.len + 1, &len, NULL);
  const struct store_object *o = store_found_object(f);
  snprintf(meta, sizeof meta, "%llu", (unsigned long long)want->amends);
  ok = code == DOM_OK && len == content.len && o->mtime_ms == want->number &&
       (want->is_marker || slice_equal(o->meta, slice_str(meta))) && o->is_marker == want->is_marker &&
       o->is_version == !want->is_null && (len == 0 || memcmp(got.data, content.data, len) == 0);
  store_found_free(f);
  return ok;
}

static void version_note(void *arg, const struct store_object *o, struct slice common) {
  struct key_held *k = arg;
  (void)common;
  assert(o->is_latest == (k->count == 0));
  if (k->count == HELD_MAX) return; /* one too many is seen by the count */
  k->at[k->count++] = (struct held){
      .number = o->mtime_ms, .is_null = !o->is_version, .is_marker = o->is_marker, .lsn = o->order.lsn};
}

/* Whether the key holds exactly these versions, in this order, each of them whole. Orders that were not known
 * yet are noted in *want. */
static bool key_holds(struct world *w, struct store_view *v, uint32_t key, struct key_held *want) {
  struct key_held got = {.count = 0};
  struct store_place p = place_of(key);
  char name[32];
  bool more = false, ok = true;
  key_name(key, name);
  struct store_listing l = {
      .prefix = slice_str(name), .max = HELD_MAX, .versions = true, .show = version_note, .arg = &got};
  memcpy(l.bucket, p.bucket, sizeof l.bucket);
  if (store_list(v, &l, &more, NULL) != DOM_OK || more || got.count != want->count) return false;
  for (uint32_t i = 0; i < got.count && ok; i++) {
    struct store_version which = {.is_null = got.at[i].is_null, .order = {1, got.at[i].lsn}};
    if (want->at[i].lsn == 0) want->at[i].lsn = got.at[i].lsn;
    ok = want->at[i].lsn == got.at[i].lsn && version_holds(w, v, key, &want->at[i], &which);
  }
  return ok && (got.count == 0 || version_holds(w, v, key, &want->at[0], NULL));
}

struct entries {
  uint64_t count;
  bool in_order;
};

static bool entry_count(void *arg, const struct store_entry *e) {
  struct entries *n = arg;
  n->count++;
  n->in_order = n->in_order && e->entry.len == 8 && load_u64be(e->entry.data) == n->count;
  return true;
}

static uint32_t open_index(const struct world *w, uint32_t key) {
  uint32_t i = 0;
  while (w->open_change && i < w->open_count && w->open_keys[i] != key) i++;
  return w->open_change ? i : w->open_count;
}

static void name_count(void *arg, const struct store_object *object, struct slice common) {
  (void)common;
  *(uint32_t *)arg += object != NULL;
}

static void listing_check(struct world *w, struct store_view *v) {
  uint32_t shown = 0, want = 0;
  bool more = false;
  struct store_listing l = {.max = 1000, .show = name_count, .arg = &shown};
  memset(l.bucket, 9, sizeof l.bucket);
  for (uint32_t k = 0; k < KEYS; k++) want += w->known[k].count > 0 && !w->known[k].at[0].is_marker;
  if (store_list(v, &l, &more, NULL) != DOM_OK || more || shown != want)
    world_fail(w, "listing shows %u keys, not %u", shown, want);
}

/* Compares everything with what is known; a change without an answer must be there whole or not
 * at all, and with `settle` it is known from then on. */
static void world_check(struct world *w, bool settle) {
  struct store_view *v = NULL;
  struct entries n = {.in_order = true};
  if (store_view_open(w->store, &v, NULL) != DOM_OK) {
    world_fail(w, "no view");
    return;
  }
  if (store_outbox_scan(w->store, 0, entry_count, &n, NULL) != DOM_OK || !n.in_order)
    world_fail(w, "entries out of order");
  bool done = n.count == w->entries_known + 1 && w->open_change;
  if (!done && n.count != w->entries_known)
    world_fail(w, "%llu entries, not %llu", (unsigned long long)n.count,
               (unsigned long long)w->entries_known);
  for (uint32_t k = 0; k < KEYS; k++) {
    uint32_t i = open_index(w, k);
    struct key_held want = w->known[k];
    if (done && i < w->open_count) held_apply(&want, &w->open_ops[i]);
    if (!key_holds(w, v, k, &want))
      world_fail(w, "key %u does not hold its %u versions%s", k, want.count,
                 w->open_change ? " (a change was open)" : "");
    if (settle) w->known[k] = want;
  }
  if (settle) {
    if (w->open_change) w->result->unanswered++;
    if (done) w->entries_known++;
    w->open_change = false;
    listing_check(w, v);
  }
  store_view_close(v);
}

/* ---- starting and stopping ---- */

static enum dom_code world_open(struct world *w, struct dom_err *err) {
  struct store_options o = {.disk = w->disk,
                            .clock = w->clock,
                            .kek = w->kek,
                            .deployment = "power-deployment",
                            .region = REGION,
                            .create = true,
                            .inline_threads = true,
                            .segment_bytes = SEGMENT_BYTES,
                            .reserve_bytes = 1};
  w->result->recoveries++;
  return store_open(&o, &w->store, err);
}

static enum dom_code subject_home(struct world *w, uint32_t key) {
  struct store_view *v = NULL;
  struct store_tx *tx = NULL;
  struct store_place p = place_of(key);
  struct vault_key vk = {.epoch = 1};
  struct store_subject s = {.state = SUBJECT_HOME, .epoch = 1, .epoch_allotted = 1, .home = REGION};
  memcpy(vk.token, p.token, TOKEN_SIZE);
  memcpy(s.token, p.token, TOKEN_SIZE);
  enum dom_code code = vault_key_create(store_vault(w->store), &vk, NULL);
  if (code == DOM_OK) code = store_view_open(w->store, &v, NULL);
  if (code == DOM_OK) code = store_tx_begin(w->store, v, &tx, NULL);
  if (code == DOM_OK) code = store_tx_subject_put(tx, &s, NULL);
  if (code == DOM_OK) {
    code = store_tx_commit_take(tx, NULL, NULL);
    tx = NULL;
  }
  store_tx_abort_take(tx);
  store_view_close(v);
  return code;
}

static bool unlink_note(void *arg, const char *name, bool is_dir) {
  struct buf *names = arg;
  if (!is_dir) buf_append(names, name, strlen(name) + 1);
  return true;
}

static bool folder_note(void *arg, const char *name, bool is_dir) {
  struct buf *names = arg;
  if (is_dir && strncmp(name, "index", 5) == 0) buf_append(names, name, strlen(name) + 1);
  return true;
}

static void folder_empty(struct world *w, const char *folder) {
  BUF_AUTO names = BUF_INIT;
  char path[300];
  if (disk_list(w->disk, folder, unlink_note, &names, NULL) != DOM_OK) return;
  for (size_t at = 0; at < names.len; at += strlen((char *)names.data + at) + 1) {
    snprintf(path, sizeof path, "%s/%s", folder, (char *)names.data + at);
    disk_unlink(w->disk, path, NULL);
  }
}

/* Takes the index away: the log alone must give everything back. */
static void index_lose(struct world *w) {
  BUF_AUTO folders = BUF_INIT;
  if (disk_list(w->disk, ".", folder_note, &folders, NULL) != DOM_OK) return;
  for (size_t at = 0; at < folders.len; at += strlen((char *)folders.data + at) + 1)
    folder_empty(w, (char *)folders.data + at);
  w->result->rebuilds++;
}

/* Starts after a cut; the start itself may be cut, once. */
static void world_recover(struct world *w) {
  struct dom_err err = {0};
  if (roll(w, 4) == 0) index_lose(w);
  if (roll(w, 2)) disk_sim_cut_after(w->disk, 1 + roll(w, 60));
  enum dom_code code = world_open(w, &err);
  if (code != DOM_OK || disk_sim_is_off(w->disk)) {
    store_close(w->store);
    w->store = NULL;
    disk_sim_power_on(w->disk);
    disk_sim_cut_after(w->disk, 0);
    err = (struct dom_err){0};
    code = world_open(w, &err);
  }
  disk_sim_cut_after(w->disk, 0);
  if (code == DOM_OK) store_ledger_reached(w->store, w->ledger_lsn);
  if (code != DOM_OK)
    world_fail(w, "start: %s: %s: %s", dom_code_name(code), err.where ? err.where : "", err.text);
}

static void world_cycle(struct world *w) {
  enum dom_code code = DOM_OK;
  if (w->o->fault == DOM_OK)
    disk_sim_cut_after(w->disk, 1 + roll(w, CUT_WITHIN));
  else
    disk_sim_fail_after(w->disk, 1 + roll(w, CUT_WITHIN), w->o->fault);
  for (int i = 0; i < OPERATIONS_MAX && code == DOM_OK; i++) code = step(w);
  disk_sim_fail_after(w->disk, 0, DOM_OK);
  if (w->o->fault != DOM_OK) world_check(w, false); /* reads go on */
  if (w->o->fault == DOM_OK && !disk_sim_is_off(w->disk)) disk_sim_power_cut(w->disk);
  store_close(w->store);
  w->store = NULL;
  disk_sim_power_on(w->disk);
  disk_sim_cut_after(w->disk, 0);
  world_recover(w);
  if (!w->failed) world_check(w, true);
}

/* ---- what may be left at the end ---- */

static bool upload_note(void *arg, const struct store_subject *subject, const struct store_upload *u) {
  struct buf *out = arg;
  (void)subject;
  put_bytes16le(out, u->key);
  buf_append(out, u->id, sizeof u->id);
  return true;
}

/* Through a view of its own: guards are hashed, so what another abort wrote may stand in this one's way. */
static enum dom_code upload_abort(struct world *w, struct slice key, const uint8_t id[STORE_UPLOAD_ID_SIZE]) {
  struct store_view *v = NULL;
  struct store_tx *tx = NULL;
  struct store_place p = place_of(key.data[7] == 'b' ? 1 : 0);
  enum dom_code code = store_view_open(w->store, &v, NULL);
  if (code == DOM_OK) code = store_tx_begin(w->store, v, &tx, NULL);
  if (code == DOM_OK) code = store_tx_upload_abort(tx, w->o->permit, &p, key, id, NULL);
  if (code == DOM_OK)
    code = store_tx_commit_take(tx, NULL, NULL);
  else
    store_tx_abort_take(tx);
  store_view_close(v);
  return code;
}

static enum dom_code uploads_abort(struct world *w) {
  BUF_AUTO found = BUF_INIT;
  struct store_view *v = NULL;
  struct store_place p = place_of(0);
  enum dom_code code = store_view_open(w->store, &v, NULL);
  if (code == DOM_OK)
    code =
        store_upload_scan(v, p.bucket, (struct slice){0}, (struct slice){0}, NULL, upload_note, &found, NULL);
  store_view_close(v);
  struct reader r = reader_of(buf_slice(&found));
  while (code == DOM_OK && r.left > 0) {
    uint8_t id[STORE_UPLOAD_ID_SIZE];
    struct slice key = get_bytes16le(&r);
    get_copy(&r, id, sizeof id);
    code = upload_abort(w, key, id);
  }
  return code;
}

struct files {
  struct disk *disk;
  char folder[32];
  uint32_t count;
};

static bool file_count(void *arg, const char *name, bool is_dir) {
  struct files *f = arg;
  if (is_dir) {
    struct files sub = {.disk = f->disk};
    snprintf(sub.folder, sizeof sub.folder, "bodies/%.8s", name);
    if (disk_list(f->disk, sub.folder, file_count, &sub, NULL) == DOM_OK) f->count += sub.count;
  } else {
    f->count++;
  }
  return true;
}

/* All known versions hold their bodies, and nothing else has one. */
static void leftovers_check(struct world *w) {
  struct files files = {.disk = w->disk, .folder = "bodies"};
  struct dom_err err = {0};
  uint32_t want = 0;
  enum dom_code code = uploads_abort(w);
  store_close(w->store); /* bodies that this process may still name become strays */
  w->store = NULL;
  if (code == DOM_OK) code = world_open(w, &err);
  for (bool did = true; code == DOM_OK && did;) code = store_upkeep(w->store, &did, &err);
  if (code != DOM_OK) world_fail(w, "clean-up: %s: %s", dom_code_name(code), err.text);
  for (uint32_t k = 0; k < KEYS; k++)
    for (uint32_t i = 0; i < w->known[k].count; i++) want += w->known[k].at[i].in_file;
  if (disk_list(w->disk, "bodies", file_count, &files, NULL) != DOM_OK || files.count != want)
    world_fail(w, "%u body files, not %u", files.count, want);
}

bool power_run(const struct power_options *o, struct power_result *out) {
  struct world w = {.o = o, .result = out, .rng = o->seed * 2654435761u + 1, .next_version = 1};
  struct dom_err err = {0};
  *out = (struct power_result){0};
  w.disk = disk_sim_new(o->seed);
  w.kek_disk = disk_sim_new(o->seed + 1);
  w.clock = clock_sim_new(1700000000000u);
  assert(w.disk && w.kek_disk && w.clock);
  disk_sim_ignore_sync(w.disk, o->ignore_sync);
  enum dom_code code = vault_kek_folder_open(w.kek_disk, "kek", NULL, true, &w.kek, &err);
  if (code == DOM_OK) code = world_open(&w, &err);
  if (code == DOM_OK) code = subject_home(&w, 0);
  if (code == DOM_OK) code = subject_home(&w, 1);
  if (code != DOM_OK) world_fail(&w, "first start: %s: %s", dom_code_name(code), err.text);
  for (uint32_t i = 0; i < o->cycles && !w.failed; i++) world_cycle(&w);
  if (!w.failed) leftovers_check(&w);
  if (!w.failed) world_check(&w, true);
  store_close(w.store);
  vault_kek_close(w.kek);
  clock_sim_free(w.clock);
  disk_sim_free(w.kek_disk);
  disk_sim_free(w.disk);
  return !w.failed;
}
