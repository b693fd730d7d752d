/* The registrar's table: token → home, epoch, country. Nothing else is kept, and nothing is dropped: who is
 * erased leaves a tombstone. */
#include <assert.h>

#include "subject/subject_internal.h"

enum dom_code registrar_is_here(struct subjects *s, struct dom_err *err) {
  struct charter *c = subject_charter(s);
  bool here = c && charter_registrar(c)->number == s->o.region;
  charter_release(c);
  if (here) return DOM_OK;
  return dom_fail(err, DOM_DENIED, "subject/registrar",
                  "this region is not the registrar of the charter in force");
}

enum dom_code registrar_ask(struct subjects *s, const char *path, struct slice body, struct buf *reply,
                            struct dom_err *err) {
  return registrar_ask_within(s, path, body, SUBJECT_ASK_TIMEOUT_MS, reply, err);
}

enum dom_code registrar_ask_within(struct subjects *s, const char *path, struct slice body,
                                   uint32_t timeout_ms, struct buf *reply, struct dom_err *err) {
  struct charter *c = subject_charter(s);
  if (!c)
    return dom_fail(err, DOM_UNAVAILABLE, "subject/registrar: ask", "no charter is in force in this region");
  uint16_t registrar = charter_registrar(c)->number;
  charter_release(c);
  if (registrar == s->o.region) return subject_message(s, s->o.region, path, body, reply, err);
  if (!s->o.net) return dom_fail(err, DOM_UNAVAILABLE, "subject/registrar: ask", "this region has no peers");
  return net_call(s->o.net, registrar, path, body, timeout_ms, reply, err);
}

static enum dom_code table_get(struct store_view *v, const uint8_t *token, struct home_answer *out,
                               struct dom_err *err) {
  BUF_AUTO value = BUF_INIT;
  enum dom_code code = store_row_get(v, STORE_TABLE_REGISTRAR, slice_of(token, TOKEN_SIZE), &value, NULL);
  if (code == DOM_NOT_FOUND) {
    *out = (struct home_answer){0};
    return DOM_OK;
  }
  if (code) return dom_fail(err, code, "subject/registrar: table", "row cannot be read");
  if (!home_answer_get(buf_slice(&value), out))
    return dom_fail(err, DOM_CORRUPT, "subject/registrar: table", "bad row");
  return DOM_OK;
}

static enum dom_code table_put(struct store_tx *tx, const uint8_t *token, const struct home_answer *a,
                               struct dom_err *err) {
  assert(a->kind != HOME_NONE && a->home && a->epoch);
  BUF_AUTO value = BUF_INIT;
  home_answer_put(&value, a);
  enum dom_code code = buf_check(&value, err);
  return code ? code
              : store_tx_row_put(tx, STORE_TABLE_REGISTRAR, slice_of(token, TOKEN_SIZE), buf_slice(&value),
                                 err);
}

struct ask {
  const uint8_t *token;
  uint16_t from;
  char country[2];
  bool anew;      /* create: also over a tombstone */
  uint64_t epoch; /* erased: the highest that its home allotted; epoch: the one it goes on under */
  struct subject_statement statement;
  struct home_answer answer;
};

static enum dom_code create_step(void *arg, struct subjects *s, struct store_view *v, struct store_tx *tx,
                                 struct dom_err *err) {
  struct ask *a = arg;
  (void)s;
  assert(a->from != 0);
  enum dom_code code = table_get(v, a->token, &a->answer, err);
  if (code) return code;
  bool erased = a->answer.kind == HOME_ERASED;
  if (a->answer.found || (erased && !a->anew)) return DOM_EXISTS;
  /* Above every epoch that was ever allotted: nothing of before can be taken for the person's again. */
  a->answer = (struct home_answer){.found = true,
                                   .kind = erased ? HOME_RENEWED : HOME_KNOWN,
                                   .home = a->from,
                                   .epoch = erased ? a->answer.epoch + 1 : 1};
  memcpy(a->answer.country, a->country, 2);
  return table_put(tx, a->token, &a->answer, err);
}

static enum dom_code moved_step(void *arg, struct subjects *s, struct store_view *v, struct store_tx *tx,
                                struct dom_err *err) {
  struct ask *a = arg;
  (void)s;
  const struct subject_statement *st = &a->statement;
  enum dom_code code = table_get(v, st->token, &a->answer, err);
  if (code) return code;
  if (a->answer.kind == HOME_NONE)
    return dom_fail(err, DOM_NOT_FOUND, "subject/registrar: moved", "no such token");
  /* Said before, or the subject moved on since: the source that repeats it must come to an end. */
  if (st->epoch <= a->answer.epoch) return DOM_EXISTS;
  if (!a->answer.found || a->answer.home != st->from)
    return dom_fail(err, DOM_DENIED, "subject/registrar: moved", "not signed by the home on record");
  assert(st->to != st->from && st->epoch > a->answer.epoch); /* a home changes forward only */
  a->answer.kind = HOME_KNOWN;
  a->answer.home = st->to;
  a->answer.epoch = st->epoch;
  return table_put(tx, st->token, &a->answer, err);
}

static enum dom_code country_step(void *arg, struct subjects *s, struct store_view *v, struct store_tx *tx,
                                  struct dom_err *err) {
  struct ask *a = arg;
  (void)s;
  enum dom_code code = table_get(v, a->token, &a->answer, err);
  if (code) return code;
  if (!a->answer.found || a->answer.home != a->from)
    return dom_fail(err, DOM_DENIED, "subject/registrar: country", "only the home on record may change it");
  memcpy(a->answer.country, a->country, 2);
  return table_put(tx, a->token, &a->answer, err);
}

/* The tombstone, kept for ever. A home that says it again, or late, changes nothing. */
static enum dom_code erased_step(void *arg, struct subjects *s, struct store_view *v, struct store_tx *tx,
                                 struct dom_err *err) {
  struct ask *a = arg;
  (void)s;
  enum dom_code code = table_get(v, a->token, &a->answer, err);
  if (code) return code;
  if (a->answer.kind == HOME_NONE)
    return dom_fail(err, DOM_NOT_FOUND, "subject/registrar: erased", "no such token");
  if (a->epoch < a->answer.epoch) return DOM_EXISTS; /* registered anew since */
  if (a->answer.home != a->from)
    return dom_fail(err, DOM_DENIED, "subject/registrar: erased", "only the home on record may say so");
  if (!a->answer.found && a->epoch == a->answer.epoch) return DOM_EXISTS;
  a->answer.found = false;
  a->answer.kind = HOME_ERASED;
  a->answer.epoch = a->epoch;
  return table_put(tx, a->token, &a->answer, err);
}

/* The home on record goes on under a higher epoch: what it had under the lower one is gone or set aside. */
static enum dom_code epoch_step(void *arg, struct subjects *s, struct store_view *v, struct store_tx *tx,
                                struct dom_err *err) {
  struct ask *a = arg;
  (void)s;
  enum dom_code code = table_get(v, a->token, &a->answer, err);
  if (code) return code;
  if (!a->answer.found || a->answer.home != a->from)
    return dom_fail(err, DOM_DENIED, "subject/registrar: epoch", "only the home on record may raise it");
  if (a->epoch <= a->answer.epoch) return DOM_EXISTS;
  a->answer.epoch = a->epoch;
  return table_put(tx, a->token, &a->answer, err);
}

static enum dom_code take_step(void *arg, struct subjects *s, struct store_view *v, struct store_tx *tx,
                               struct dom_err *err) {
  const struct subject_record *r = arg;
  struct home_answer have;
  (void)s;
  enum dom_code code = table_get(v, r->token, &have, err);
  if (code) return code;
  bool ends_it = have.found && r->erased && have.epoch == r->epoch;
  if (have.kind != HOME_NONE && have.epoch >= r->epoch && !ends_it) return DOM_EXISTS;
  have = (struct home_answer){
      .found = !r->erased, .kind = r->erased ? HOME_ERASED : HOME_KNOWN, .home = r->home, .epoch = r->epoch};
  memcpy(have.country, r->country, 2);
  return table_put(tx, r->token, &have, err);
}

static enum dom_code find(struct subjects *s, struct ask *a, struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  enum dom_code code = store_view_open(s->o.store, &v, err);
  return code ? code : table_get(v, a->token, &a->answer, err);
}

/* Body: token 32, then the country for create and country. */
static enum dom_code take_body(struct slice body, bool with_country, struct ask *a, struct dom_err *err) {
  size_t want = TOKEN_SIZE + (with_country ? 2u : 0u);
  if (body.len != want) return dom_fail(err, DOM_INVALID, "subject/registrar: message", "does not decode");
  a->token = body.data;
  if (with_country) memcpy(a->country, body.data + TOKEN_SIZE, 2);
  return DOM_OK;
}

/* Body: token 32 | epoch u64. */
static enum dom_code take_erased(struct slice body, struct ask *a, struct dom_err *err) {
  if (body.len != TOKEN_SIZE + 8)
    return dom_fail(err, DOM_INVALID, "subject/registrar: message", "does not decode");
  a->token = body.data;
  a->epoch = load_u64be(body.data + TOKEN_SIZE);
  return a->epoch > 0 && a->epoch < SUBJECT_EPOCH_MAX
             ? DOM_OK
             : dom_fail(err, DOM_INVALID, "subject/registrar: message", "an epoch that cannot be");
}

enum dom_code registrar_message(struct subjects *s, uint16_t from, const char *path, struct slice body,
                                struct buf *reply, struct dom_err *err) {
  enum dom_code code = registrar_is_here(s, err);
  if (code) return code;
  struct ask a = {.from = from};
  struct slice p = slice_str(path);
  if (slice_equal(p, SLICE_LIT("registrar/find"))) {
    code = take_body(body, false, &a, err);
    if (!code) code = find(s, &a, err);
  } else if (slice_equal(p, SLICE_LIT("registrar/erased"))) {
    code = take_erased(body, &a, err);
    if (!code) code = subject_change(s, erased_step, &a, err);
  } else if (slice_equal(p, SLICE_LIT("registrar/epoch"))) {
    code = take_erased(body, &a, err);
    if (!code) code = subject_change(s, epoch_step, &a, err);
  } else if (slice_equal(p, SLICE_LIT("registrar/create")) || slice_equal(p, SLICE_LIT("registrar/renew"))) {
    a.anew = slice_equal(p, SLICE_LIT("registrar/renew"));
    code = take_body(body, true, &a, err);
    if (!code) code = subject_change(s, create_step, &a, err);
  } else if (slice_equal(p, SLICE_LIT("registrar/country"))) {
    code = take_body(body, true, &a, err);
    if (!code) code = subject_change(s, country_step, &a, err);
  } else if (slice_equal(p, SLICE_LIT("registrar/moved"))) {
    code = subject_statement_check(s, body, &a.statement, err);
    if (!code) code = subject_change(s, moved_step, &a, err);
  } else {
    return dom_fail(err, DOM_NOT_FOUND, "subject/registrar: message", "no such message");
  }
  if (code) return code;
  home_answer_put(reply, &a.answer);
  return buf_check(reply, err);
}

/* ---- for regions that are behind ----------------------------------------------------------- */

bool subject_is_registrar(struct subjects *s) {
  return registrar_is_here(s, NULL) == DOM_OK;
}

enum dom_code subject_record_find(struct subjects *s, const uint8_t token[TOKEN_SIZE],
                                  struct subject_record *out, struct dom_err *err) {
  struct home_answer a = {0};
  BUF_AUTO reply = BUF_INIT;
  enum dom_code code;
  if (subject_is_registrar(s)) {
    struct ask ask = {.token = token};
    code = find(s, &ask, err);
    a = ask.answer;
  } else {
    code = registrar_ask(s, "registrar/find", slice_of(token, TOKEN_SIZE), &reply, err);
    if (!code && !home_answer_get(buf_slice(&reply), &a))
      code =
          dom_fail(err, DOM_UNAVAILABLE, "subject/registrar: find", "the registrar's answer does not decode");
  }
  if (code) return code;
  *out = (struct subject_record){
      .home = a.found ? a.home : 0, .erased = a.kind == HOME_ERASED, .epoch = a.epoch};
  memcpy(out->token, token, TOKEN_SIZE);
  memcpy(out->country, a.country, 2);
  return DOM_OK;
}

struct record_scan {
  subject_record_fn fn;
  void *arg;
  bool bad;
};

static bool record_one(void *arg, struct slice key, struct slice value) {
  struct record_scan *scan = arg;
  struct home_answer a;
  scan->bad = key.len != TOKEN_SIZE || !home_answer_get(value, &a);
  if (scan->bad) return false;
  struct subject_record record = {.home = a.home, .erased = a.kind == HOME_ERASED, .epoch = a.epoch};
  memcpy(record.token, key.data, TOKEN_SIZE);
  memcpy(record.country, a.country, 2);
  return scan->fn(scan->arg, &record);
}

enum dom_code subject_record_scan(struct store_view *v, struct slice after, subject_record_fn fn, void *arg,
                                  struct dom_err *err) {
  struct record_scan scan = {.fn = fn, .arg = arg};
  enum dom_code code = store_row_scan(v, STORE_TABLE_REGISTRAR, SLICE_LIT(""), after, record_one, &scan, err);
  if (!code && scan.bad) code = dom_fail(err, DOM_CORRUPT, "subject/registrar: table", "bad row");
  return code;
}

enum dom_code subject_record_take(struct subjects *s, const struct subject_record *record,
                                  struct dom_err *err) {
  struct subject_record copy = *record;
  assert(record->home && record->epoch);
  return subject_change(s, take_step, &copy, err);
}

enum dom_code subject_record_raise(struct subjects *s, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                                   struct dom_err *err) {
  uint8_t body[TOKEN_SIZE + 8];
  BUF_AUTO reply = BUF_INIT;
  assert(epoch > 0);
  memcpy(body, token, TOKEN_SIZE);
  store_u64be(body + TOKEN_SIZE, epoch);
  if (!subject_is_registrar(s))
    return registrar_ask(s, "registrar/epoch", slice_of(body, sizeof body), &reply, err);
  struct ask ask = {.token = token, .from = s->o.region, .epoch = epoch};
  return subject_change(s, epoch_step, &ask, err);
}
