/* Registration: the registrar creates the token if absent, then the home makes it durable. */
#include <assert.h>
#include <stdio.h>

#include "subject/subject_internal.h"

struct adopt {
  const uint8_t *token;
  const struct home_answer *answer;
};

static enum dom_code adopt_step(void *arg, struct subjects *s, struct store_view *v, struct store_tx *tx,
                                struct dom_err *err) {
  const struct adopt *a = arg;
  struct store_subject row;
  assert(a->answer->home == s->o.region); /* a row here says that nobody else serves */
  enum dom_code code = store_subject_get(v, a->token, &row, NULL);
  if (code == DOM_OK && row.epoch >= a->answer->epoch) return DOM_EXISTS;
  if (code && code != DOM_NOT_FOUND)
    return dom_fail(err, code, "subject/register: adopt", "row cannot be read");
  uint64_t allotted = code == DOM_OK ? row.epoch_allotted : 0; /* it never falls */
  if (allotted < a->answer->epoch) allotted = a->answer->epoch;
  row = (struct store_subject){.state = SUBJECT_HOME,
                               .epoch = a->answer->epoch,
                               .epoch_allotted = allotted,
                               .home = s->o.region,
                               .since_ms = clock_wall_ms(s->o.clock)};
  memcpy(row.token, a->token, TOKEN_SIZE);
  memcpy(row.country, a->answer->country, 2);
  code = store_tx_subject_put(tx, &row, err);
  struct ledger_payload payload = {
      .type = LEDGER_SUBJECT_HOMED, .to_region = s->o.region, .to_epoch = row.epoch};
  memcpy(payload.token, a->token, TOKEN_SIZE);
  return code ? code : subject_tx_entry(s, tx, &payload, row.epoch, NULL, 0, err);
}

/* Whether the row tells of this epoch or a later one: its key may have been dropped since, and must not be
 * made again. */
static enum dom_code is_known(struct subjects *s, const uint8_t token[TOKEN_SIZE], uint64_t epoch, bool *out,
                              struct dom_err *err) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_subject row;
  enum dom_code code = store_view_open(s->o.store, &v, err);
  if (code) return code;
  code = store_subject_get(v, token, &row, NULL);
  if (code && code != DOM_NOT_FOUND)
    return dom_fail(err, code, "subject/register: adopt", "row cannot be read");
  *out = code == DOM_OK && row.epoch >= epoch;
  return DOM_OK;
}

enum dom_code register_adopt(struct subjects *s, const uint8_t token[TOKEN_SIZE], const struct home_answer *a,
                             struct dom_err *err) {
  assert(a->found && a->home == s->o.region && a->epoch >= 1);
  struct vault_key key = {.epoch = a->epoch};
  memcpy(key.token, token, TOKEN_SIZE);
  bool known = false;
  enum dom_code code = is_known(s, token, a->epoch, &known, err);
  if (code || known) return code;
  code = vault_key_create(store_vault(s->o.store), &key, err);
  if (code && code != DOM_EXISTS) return code;
  if (code == DOM_EXISTS && err) *err = (struct dom_err){0}; /* a crash came between key and row */
  return subject_change(s, adopt_step, &(struct adopt){token, a}, err);
}

/* The charter's home for a country, as a region number. */
static enum dom_code home_for(struct subjects *s, const char country[2], uint16_t *out, struct dom_err *err) {
  struct charter *c = subject_charter(s);
  if (!c)
    return dom_fail(err, DOM_REFUSED, "subject/register: home", "no charter is in force in this region");
  char text[CHARTER_COUNTRY_SIZE] = {country[0], country[1], 0};
  const struct charter_region *region = NULL;
  struct charter_refusal refusal = {0};
  enum dom_code code =
      charter_country_valid(text) ? charter_home_for(c, text, &region, &refusal) : DOM_INVALID;
  if (code == DOM_OK)
    *out = region->number;
  else if (code == DOM_INVALID)
    dom_fail(err, code, "subject/register: home",
             "the country must be an ISO 3166-1 alpha-2 code such as IN");
  else
    dom_fail(err, code, "subject/register: home", "charter %llu, %s: %s", (unsigned long long)refusal.version,
             refusal.clause, refusal.why);
  charter_release(c);
  return code;
}

static void who_from(const uint8_t token[TOKEN_SIZE], const struct home_answer *a, const struct subjects *s,
                     struct subject_who *out) {
  assert(a->home != 0);
  *out = (struct subject_who){.where = a->home == s->o.region ? SUBJECT_HERE : SUBJECT_ELSEWHERE,
                              .home = a->home,
                              .epoch = a->epoch,
                              .state = SUBJECT_HOME};
  memcpy(out->token, token, TOKEN_SIZE);
  memcpy(out->country, a->country, 2);
}

/* What this region knows of an erasure, which the registrar may have yet to hear of. */
static enum dom_code check_erased(struct subjects *s, const uint8_t token[TOKEN_SIZE],
                                  const struct home_answer *a, bool anew, struct dom_err *err) {
  static const char where[] = "subject/register: erased";
  STORE_VIEW_AUTO *v = NULL;
  struct store_subject row;
  bool erased = a->kind == HOME_ERASED, unheard = false;
  enum dom_code code = store_view_open(s->o.store, &v, err);
  if (code) return code;
  code = store_subject_get(v, token, &row, NULL);
  if (code && code != DOM_NOT_FOUND) return dom_fail(err, code, where, "row cannot be read");
  if (code == DOM_OK && row.state == SUBJECT_ERASED) unheard = a->epoch <= row.epoch_allotted;
  if (unheard && anew)
    return dom_fail(err, DOM_BUSY, where,
                    "the subject's erasure is not known at the registrar yet: try again when it is");
  if (erased || unheard)
    return dom_fail(err, DOM_DENIED, where,
                    "the subject was erased: only an operator registers it anew (domicile subject register)");
  return DOM_OK;
}

/* Asks the registrar to create the token with this region as home; *out is what it has now. */
static enum dom_code create_token(struct subjects *s, const uint8_t token[TOKEN_SIZE], const char country[2],
                                  bool anew, struct home_answer *out, struct dom_err *err) {
  BUF_AUTO body = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  buf_append(&body, token, TOKEN_SIZE);
  buf_append(&body, country, 2);
  enum dom_code code = buf_check(&body, err);
  if (!code)
    code = registrar_ask(s, anew ? "registrar/renew" : "registrar/create", buf_slice(&body), &reply, err);
  if (!code && (!home_answer_get(buf_slice(&reply), out) || out->kind == HOME_NONE))
    code =
        dom_fail(err, DOM_UNAVAILABLE, "subject/register: create", "the registrar's answer does not decode");
  return code;
}

static enum dom_code register_one(struct subjects *s, struct slice tenant, struct slice id,
                                  const char country[2], bool anew, struct subject_who *out,
                                  struct dom_err *err) {
  assert(s && out);
  if (id.len == 0 || id.len > SUBJECT_ID_MAX || slice_find(id, '/') != id.len)
    return dom_fail(err, DOM_INVALID, "subject/register: id",
                    "a subject id is one path segment of 1 to %d bytes", SUBJECT_ID_MAX);
  uint16_t home = 0;
  enum dom_code code = hold_check(s, err);
  if (!code) code = home_for(s, country, &home, err);
  if (code) return code;
  uint8_t token[TOKEN_SIZE];
  subject_token(s, tenant, id, token);
  struct home_answer a = {.home = home, .epoch = 0, .country = {country[0], country[1]}};
  if (home != s->o.region) {
    who_from(token, &a, s, out);
    return DOM_ELSEWHERE;
  }
  code = create_token(s, token, country, anew, &a, err);
  if (!code) code = check_erased(s, token, &a, anew, err);
  if (code) return code;
  if (memcmp(a.country, country, 2) != 0)
    return dom_fail(err, DOM_EXISTS, "subject/register: country",
                    "the subject is registered with another country");
  if (a.home == s->o.region && home_answer_registers(&a)) code = register_adopt(s, token, &a, err);
  if (code) return code;
  who_from(token, &a, s, out);
  return a.home == s->o.region ? DOM_OK : DOM_ELSEWHERE;
}

enum dom_code subject_register(struct subjects *s, struct slice tenant, struct slice id,
                               const char country[2], struct subject_who *out, struct dom_err *err) {
  return register_one(s, tenant, id, country, false, out, err);
}

enum dom_code subject_register_anywhere(struct subjects *s, struct slice tenant, struct slice id,
                                        const char country[2], struct subject_who *out, struct dom_err *err) {
  struct subject_who who;
  enum dom_code code = register_one(s, tenant, id, country, true, &who, err);
  if (code != DOM_ELSEWHERE || who.epoch > 0) {
    if (code == DOM_OK || code == DOM_ELSEWHERE) *out = who;
    return code == DOM_ELSEWHERE ? DOM_OK : code;
  }
  if (!s->o.net) return dom_fail(err, DOM_UNAVAILABLE, "subject/register: home", "this region has no peers");
  BUF_AUTO body = BUF_INIT;
  BUF_AUTO reply = BUF_INIT;
  put_bytes16be(&body, tenant);
  put_bytes16be(&body, id);
  buf_append(&body, country, 2);
  code = buf_check(&body, err);
  if (!code)
    code = net_call(s->o.net, who.home, "subject/register", buf_slice(&body), SUBJECT_ASK_TIMEOUT_MS, &reply,
                    err);
  struct home_answer a;
  if (!code && !home_answer_get(buf_slice(&reply), &a))
    code = dom_fail(err, DOM_UNAVAILABLE, "subject/register: home", "the answer does not decode");
  if (!code) who_from(who.token, &a, s, out);
  return code;
}

static enum dom_code register_asked(struct subjects *s, struct slice body, struct buf *reply,
                                    struct dom_err *err) {
  struct reader r = reader_of(body);
  struct slice tenant = get_bytes16be(&r), id = get_bytes16be(&r), country = get_slice(&r, 2);
  if (!reader_end(&r) || tenant.len > SUBJECT_ACCOUNT_MAX)
    return dom_fail(err, DOM_INVALID, "subject/register: message", "does not decode");
  struct subject_who who;
  char text[2] = {(char)country.data[0], (char)country.data[1]};
  enum dom_code code = register_one(s, tenant, id, text, true, &who, err);
  if (code == DOM_ELSEWHERE && who.epoch == 0)
    return dom_fail(err, DOM_STALE_EPOCH, "subject/register: message",
                    "the charters of the two regions differ");
  if (code && code != DOM_ELSEWHERE) return code;
  struct home_answer a = {.found = true, .kind = HOME_KNOWN, .home = who.home, .epoch = who.epoch};
  memcpy(a.country, who.country, 2);
  home_answer_put(reply, &a);
  return buf_check(reply, err);
}

struct country_change {
  const uint8_t *token;
  const char *country;
};

static enum dom_code country_step(void *arg, struct subjects *s, struct store_view *v, struct store_tx *tx,
                                  struct dom_err *err) {
  const struct country_change *u = arg;
  struct store_subject row;
  enum dom_code code = store_subject_get(v, u->token, &row, err);
  if (code) return code;
  if (row.state == SUBJECT_MOVED)
    return dom_fail(err, DOM_ELSEWHERE, "subject/country: set", "the subject left");
  if (row.state == SUBJECT_ERASED)
    return dom_fail(err, DOM_NOT_FOUND, "subject/country: set", "the subject was erased");
  if (row.state != SUBJECT_HOME)
    return dom_fail(err, DOM_BUSY, "subject/country: set",
                    "the subject is being moved; try again afterwards");
  assert(row.handoff_epoch == 0 && row.home == s->o.region);
  if (memcmp(row.country, u->country, 2) == 0) return DOM_EXISTS;
  memcpy(row.country, u->country, 2);
  code = store_tx_subject_put(tx, &row, err);
  struct ledger_payload payload = {
      .type = LEDGER_SUBJECT_HOMED, .to_region = s->o.region, .to_epoch = row.epoch};
  memcpy(payload.token, row.token, TOKEN_SIZE);
  payload.text_len = (uint16_t)snprintf(payload.text, sizeof payload.text, "country set to %.2s", u->country);
  return code ? code : subject_tx_entry(s, tx, &payload, row.epoch, NULL, 0, err);
}

static enum dom_code country_here(struct subjects *s, const uint8_t token[TOKEN_SIZE], const char country[2],
                                  struct dom_err *err) {
  struct charter *c = subject_charter(s);
  char text[CHARTER_COUNTRY_SIZE] = {country[0], country[1], 0};
  struct charter_refusal refusal = {0};
  enum dom_code held = hold_check(s, err);
  if (held) {
    charter_release(c);
    return held;
  }
  bool forbidden = !c || charter_forbids_home(c, text, s->o.region, clock_wall_ms(s->o.clock), &refusal);
  charter_release(c);
  if (forbidden)
    return dom_fail(err, DOM_REFUSED, "subject/country: set", "%s: %s: move the subject first",
                    refusal.clause, refusal.why);
  enum dom_code code = subject_change(s, country_step, &(struct country_change){token, country}, err);
  if (code) return code;
  uint8_t body[TOKEN_SIZE + 2];
  memcpy(body, token, TOKEN_SIZE);
  memcpy(body + TOKEN_SIZE, country, 2);
  BUF_AUTO reply = BUF_INIT;
  return registrar_ask(s, "registrar/country", slice_of(body, sizeof body), &reply, err);
}

enum dom_code subject_set_country(struct subjects *s, const uint8_t token[TOKEN_SIZE], const char country[2],
                                  struct dom_err *err) {
  char text[CHARTER_COUNTRY_SIZE] = {country[0], country[1], 0};
  if (!charter_country_valid(text))
    return dom_fail(err, DOM_INVALID, "subject/country: set",
                    "the country must be an ISO 3166-1 alpha-2 code");
  STORE_VIEW_AUTO *v = NULL;
  struct subject_who who;
  enum dom_code code = store_view_open(s->o.store, &v, err);
  if (!code) code = subject_resolve_token(s, v, token, &who, err);
  if (code) return code;
  if (who.where == SUBJECT_UNREGISTERED)
    return dom_fail(err, DOM_NOT_FOUND, "subject/country: set", "the subject is not registered");
  if (who.where == SUBJECT_HERE) return country_here(s, token, country, err);
  if (!s->o.net) return dom_fail(err, DOM_UNAVAILABLE, "subject/country: set", "this region has no peers");
  uint8_t body[TOKEN_SIZE + 2];
  memcpy(body, token, TOKEN_SIZE);
  memcpy(body + TOKEN_SIZE, country, 2);
  BUF_AUTO reply = BUF_INIT;
  return net_call(s->o.net, who.home, "subject/country", slice_of(body, sizeof body), SUBJECT_ASK_TIMEOUT_MS,
                  &reply, err);
}

enum dom_code subject_report_erased(struct subjects *s, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                                    struct dom_err *err) {
  uint8_t body[TOKEN_SIZE + 8];
  BUF_AUTO reply = BUF_INIT;
  assert(epoch > 0);
  memcpy(body, token, TOKEN_SIZE);
  store_u64be(body + TOKEN_SIZE, epoch);
  return registrar_ask(s, "registrar/erased", slice_of(body, sizeof body), &reply, err);
}

enum dom_code register_message(struct subjects *s, const char *path, struct slice body, struct buf *reply,
                               struct dom_err *err) {
  struct slice p = slice_str(path);
  if (slice_equal(p, SLICE_LIT("subject/register"))) return register_asked(s, body, reply, err);
  if (!slice_equal(p, SLICE_LIT("subject/country")))
    return dom_fail(err, DOM_NOT_FOUND, "subject: message", "no such message");
  if (body.len != TOKEN_SIZE + 2)
    return dom_fail(err, DOM_INVALID, "subject/country: message", "does not decode");
  char text[CHARTER_COUNTRY_SIZE] = {(char)body.data[TOKEN_SIZE], (char)body.data[TOKEN_SIZE + 1], 0};
  if (!charter_country_valid(text))
    return dom_fail(err, DOM_INVALID, "subject/country: message", "no such country");
  return country_here(s, body.data, text, err);
}
