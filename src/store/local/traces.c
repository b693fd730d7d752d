/* Everything a region that is not running still has of one subject. */
#include "store/local/traces.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "store/local/record.h"
#include "store/local/rows.h"

static const char where[] = "store/traces";
enum { PROGRESS_ROWS = 4096, BODY_TOKEN_AT = 48, BODY_HEAD = 88 };

void traces_note(struct traces *t, enum store_trace kind, const char *format, ...) {
  assert(kind < TRACE_COUNT);
  struct store_trace_line *line = &t->report.line[kind];
  va_list args;
  if (line->count++ > 0) return;
  va_start(args, format);
  vsnprintf(line->first, sizeof line->first, format, args);
  va_end(args);
}

void traces_progress(const struct traces *t, const char *stage, uint64_t done, uint64_t total) {
  if (t->o->progress) t->o->progress(t->o->arg, stage, done, total);
}

bool store_trace_stays(enum store_trace kind) {
  return kind >= TRACE_TOMBSTONE;
}

const char *store_trace_name(enum store_trace kind) {
  static const char *const names[TRACE_COUNT] = {
      [TRACE_KEY] = "data key in the vault",
      [TRACE_SLOT] = "damaged vault slot",
      [TRACE_OBJECT] = "object row",
      [TRACE_UPLOAD] = "upload row",
      [TRACE_DELETE] = "row of a delete",
      [TRACE_PRESENCE] = "place row",
      [TRACE_JOURNAL] = "journal row",
      [TRACE_BODY_ROW] = "body row",
      [TRACE_HOME] = "home row",
      [TRACE_HANDOFF] = "unfinished move or erasure",
      [TRACE_STATE] = "state row",
      [TRACE_RECORD] = "readable log record",
      [TRACE_BODY] = "body file",
      [TRACE_BYTES] = "token in a file",
      [TRACE_NEEDLE] = "needle in a file",
      [TRACE_TOMBSTONE] = "tombstone",
      [TRACE_MOVED] = "finished move or erasure",
      [TRACE_REGISTRATION] = "registration",
      [TRACE_JOB] = "job",
      [TRACE_FACT] = "statement, or revoked tokens",
      [TRACE_ENTRY] = "ledger entry",
      [TRACE_SHRED] = "mark of a dropped key",
      [TRACE_SEALED] = "unreadable log record",
      [TRACE_STATE_RECORD] = "log record of the region's own",
      [TRACE_LOG_BYTES] = "token in a log file",
  };
  assert(kind < TRACE_COUNT);
  return names[kind];
}

static bool has_token(const struct traces *t, struct slice bytes) {
  return memmem(bytes.data, bytes.len, t->o->token, TOKEN_SIZE) != NULL;
}

/* ---- vault ------------------------------------------------------------------------------- */

static bool key_seen(void *arg, const struct vault_key *key) {
  struct traces *t = arg;
  if (memcmp(key->token, t->o->token, VAULT_TOKEN_SIZE) == 0) {
    *t->alive = true;
    traces_note(t, TRACE_KEY, "epoch %llu", (unsigned long long)key->epoch);
  }
  return true;
}

static bool slot_seen(void *arg, uint32_t slot) {
  traces_note(arg, TRACE_SLOT, "slot %u, bad in both files: what it held cannot be told", slot);
  return true;
}

/* ---- log --------------------------------------------------------------------------------- */

struct log_walk {
  struct traces *t;
  struct store *s;
  struct record_plain plain;
};

static enum dom_code own_record(struct log_walk *w, const struct log_record *r, struct dom_err *err) {
  struct change change;
  struct dom_err why = {0};
  enum dom_code code = record_decode(w->s->vault, r->type, r->payload, &w->plain, &change, &why);
  if (code == DOM_NO_MEMORY || code == DOM_IO) return dom_fail(err, code, where, "%s", why.text);
  if (code != DOM_OK || !has_token(w->t, buf_slice(&w->plain.text))) return DOM_OK;
  traces_note(w->t, TRACE_STATE_RECORD, "segment %u offset %u", r->at.segment, r->at.offset);
  return DOM_OK;
}

static enum dom_code record_seen(void *arg, const struct log_record *r, bool commit_ends,
                                 struct dom_err *err) {
  struct log_walk *w = arg;
  struct change change;
  uint32_t head = 0;
  (void)commit_ends;
  w->t->report.records++;
  enum dom_code code = record_peek(r->type, r->payload, &change, &head, err);
  if (code != DOM_OK) return code;
  struct vault_key system = vault_system_key();
  if (memcmp(change.token, system.token, TOKEN_SIZE) == 0) return own_record(w, r, err);
  if (memcmp(change.token, w->t->o->token, TOKEN_SIZE) != 0) return DOM_OK;
  struct vault_key key = {.epoch = change.epoch};
  memcpy(key.token, change.token, TOKEN_SIZE);
  struct dom_err none = {0};
  code = vault_key_exists(w->s->vault, &key, &none);
  if (code != DOM_OK && code != DOM_NOT_FOUND) return dom_fail(err, code, where, "%s", none.text);
  traces_note(w->t, code == DOM_OK ? TRACE_RECORD : TRACE_SEALED, "segment %u offset %u, epoch %llu",
              r->at.segment, r->at.offset, (unsigned long long)change.epoch);
  return DOM_OK;
}

struct segment_list {
  struct log_segment_info *at;
  size_t count, cap;
  bool failed;
};

static bool segment_seen(void *arg, const struct log_segment_info *info) {
  struct segment_list *l = arg;
  if (info->free || info->last_lsn < info->first_lsn) return true;
  if (l->count == l->cap) {
    size_t cap = l->cap * 2 + 64;
    struct log_segment_info *grown = dom_realloc(l->at, cap * sizeof *grown);
    l->failed = grown == NULL;
    if (l->failed) return false;
    l->at = grown;
    l->cap = cap;
  }
  l->at[l->count++] = *info;
  return true;
}

static enum dom_code walk_log(struct traces *t, struct store *s, struct dom_err *err) {
  struct segment_list list = {0};
  struct log_walk w = {.t = t, .s = s};
  log_segments(s->log, segment_seen, &list);
  enum dom_code code = list.failed ? dom_fail(err, DOM_NO_MEMORY, where, "no memory") : DOM_OK;
  for (size_t i = 0; i < list.count && code == DOM_OK; i++) {
    traces_progress(t, "log segments", i, list.count);
    code = log_segment_scan(s->log, list.at[i].segment, list.at[i].generation, record_seen, &w, err);
  }
  record_plain_done(&w.plain);
  dom_free(list.at);
  return code;
}

/* ---- rows -------------------------------------------------------------------------------- */

static enum store_trace subject_kind(struct slice value) {
  struct row_state state;
  struct slice rest;
  struct store_subject subject;
  if (!row_state_parse(value, &state, &rest)) return TRACE_HOME;
  struct reader r = reader_of(rest);
  return subject_decode(&r, &subject) && !store_subject_lives(&subject) ? TRACE_TOMBSTONE : TRACE_HOME;
}

/* A named state of the region: what a move's row says, its room knows. */
static enum store_trace state_kind(const struct traces *t, struct slice key, struct slice value) {
  struct row_state state;
  struct slice rest = {0};
  if (key.len < 2 || !row_state_parse(value, &state, &rest)) return TRACE_STATE;
  enum store_table table = (enum store_table)key.data[1];
  if (table == STORE_TABLE_REGISTRAR) return TRACE_REGISTRATION;
  if (table == STORE_TABLE_JOB || table == STORE_TABLE_JOB_LIST || table == STORE_TABLE_JOB_FAILURE)
    return TRACE_JOB;
  if (table == STORE_TABLE_META) return TRACE_FACT;
  if (table != STORE_TABLE_HANDOFF && table != STORE_TABLE_FORGET) return TRACE_STATE;
  bool finished = t->o->move_finished && t->o->move_finished(table, slice_cut(key, 2, key.len), rest);
  return finished ? TRACE_MOVED : TRACE_HANDOFF;
}

static enum store_trace row_kind(const struct traces *t, struct slice key, struct slice value) {
  switch ((enum row_table)key.data[0]) {
  case ROW_OBJECT:
  case ROW_BODIES:
    return TRACE_OBJECT;
  case ROW_UPLOAD:
  case ROW_PART:
    return TRACE_UPLOAD;
  case ROW_TOMB:
    return TRACE_DELETE;
  case ROW_PRESENCE:
    return TRACE_PRESENCE;
  case ROW_JOURNAL:
  case ROW_COPYING:
    return TRACE_JOURNAL;
  case ROW_INTENT:
  case ROW_REMOVAL:
  case ROW_BODY:
    return TRACE_BODY_ROW;
  case ROW_SUBJECT:
    return subject_kind(value);
  case ROW_ENTRY:
  case ROW_ENTRY_OF:
    return TRACE_ENTRY;
  case ROW_SHRED:
    return TRACE_SHRED;
  case ROW_STATE:
    return state_kind(t, key, value);
  case ROW_SEGMENT:
  case ROW_META:
    break;
  }
  return TRACE_STATE;
}

static enum dom_code walk_rows(struct traces *t, struct store *s, struct dom_err *err) {
  INDEX_VIEW_AUTO v = {0};
  INDEX_ITER_AUTO it = {0};
  const uint8_t first[1] = {0};
  enum dom_code code = index_view_init(&v, s->index, true, err);
  if (code == DOM_OK) code = index_iter_init(&it, &v, err);
  if (code != DOM_OK) return code;
  for (index_seek(&it, slice_of(first, 1)); it.valid; index_next(&it)) {
    assert(it.key.len > 0);
    if (++t->report.rows % PROGRESS_ROWS == 0) traces_progress(t, "rows", t->report.rows, 0);
    if (has_token(t, it.key) || has_token(t, it.value))
      traces_note(t, row_kind(t, it.key, it.value), "table %c, %u", it.key.data[0],
                  it.key.len > 1 ? it.key.data[1] : 0U);
  }
  return index_iter_check(&it, err);
}

/* ---- body files -------------------------------------------------------------------------- */

struct bodies {
  struct traces *t;
  char folder[16];
  enum dom_code code;
  struct dom_err *err;
};

static bool body_seen(void *arg, const char *name, bool is_dir) {
  struct bodies *b = arg;
  char path[128];
  uint8_t head[BODY_HEAD];
  size_t len = 0;
  struct disk_file *file = NULL;
  int n = snprintf(path, sizeof path, "%s/%s", b->folder, name);
  if (is_dir || n < 0 || (size_t)n >= sizeof path) return true;
  b->code = disk_open(b->t->o->store.disk, path, DISK_READ, &file, b->err);
  if (b->code == DOM_OK) b->code = disk_read(file, 0, head, sizeof head, &len, b->err);
  disk_close(file);
  if (b->code == DOM_OK && len == sizeof head &&
      memcmp(head + BODY_TOKEN_AT, b->t->o->token, TOKEN_SIZE) == 0)
    traces_note(b->t, TRACE_BODY, "%s", path);
  return b->code == DOM_OK;
}

static enum dom_code walk_bodies(struct traces *t, struct dom_err *err) {
  struct bodies b = {.t = t, .err = err};
  for (unsigned i = 0; i < 256 && b.code == DOM_OK; i++) {
    struct dom_err none = {0};
    snprintf(b.folder, sizeof b.folder, "bodies/%02x", i);
    traces_progress(t, "folders of bodies", i, 256);
    enum dom_code code = disk_list(t->o->store.disk, b.folder, body_seen, &b, &none);
    if (code != DOM_OK && code != DOM_NOT_FOUND) return dom_fail(err, code, where, "%s", none.text);
  }
  return b.code;
}

/* ---- all of it --------------------------------------------------------------------------- */

static enum dom_code walk_store(struct traces *t, struct dom_err *err) {
  struct store *s = NULL;
  struct store_options o = t->o->store;
  o.inline_threads = true; /* nothing moves but what is called here */
  o.create = false;
  enum dom_code code = store_open(&o, &s, err);
  if (code != DOM_OK) return code;
  code = vault_key_each(s->vault, key_seen, t, err);
  vault_damage_each(s->vault, slot_seen, t);
  if (code == DOM_OK) code = walk_log(t, s, err);
  if (code == DOM_OK) code = walk_rows(t, s, err);
  store_close(s);
  return code == DOM_OK ? walk_bodies(t, err) : code;
}

enum dom_code store_traces(const struct store_traces_options *options, struct store_traces_report *out,
                           struct dom_err *err) {
  assert(options && out && (options->token || options->needle_count > 0));
  bool alive = false;
  struct traces t = {.o = options, .alive = &alive};
  enum dom_code code = options->token ? walk_store(&t, err) : DOM_OK;
  if (code == DOM_OK) code = traces_scan_files(&t, err);
  if (code == DOM_OK) *out = t.report;
  return code;
}
