#include "verify.h"

#include <assert.h>
#include <stdio.h>

#include "load.h"
#include "table.h"
#include "verify_internal.h"

/* Mismatches that are named; the rest is counted. */
#define NAMED_MAX 10

bool verify_rule_parse(const char *text, struct verify_rule *out) {
  assert(text != NULL && out != NULL);
  struct verify_rule rule = {0};
  size_t label = strcspn(text, ":");
  if (label == 0 || label >= sizeof rule.label || text[label] != ':') return false;
  memcpy(rule.label, text, label);
  text += label + 1;
  size_t country = strcspn(text, ":");
  if (country == 0 || country >= sizeof rule.country || text[country] != ':') return false;
  memcpy(rule.country, text, country);
  rule.pattern = text + country + 1;
  if (rule.pattern[0] == '\0') return false;
  *out = rule;
  return true;
}

bool verify_glob(const char *pattern, struct slice key) {
  assert(pattern != NULL);
  for (; *pattern != '\0'; pattern++, key = slice_cut(key, 1, key.len)) {
    if (*pattern == '*') {
      bool across = pattern[1] == '*';
      const char *rest = pattern + (across ? 2 : 1);
      for (size_t skip = 0;; skip++) {
        if (verify_glob(rest, slice_cut(key, skip, key.len))) return true;
        if (skip == key.len || (!across && key.data[skip] == '/')) return false;
      }
    }
    if (key.len == 0 || key.data[0] != (uint8_t)*pattern) return false;
  }
  return key.len == 0;
}

/* Labels may be negated: rules name the jurisdictions that may read, refusals are all others. */
static bool label_matches(const char *rule, const char *label) {
  assert(rule[0] != '\0');
  if (rule[0] == '!') return strcmp(rule + 1, label) != 0;
  return strcmp(rule, "*") == 0 || strcmp(rule, label) == 0;
}

static bool same_or_any(const char *rule, const char *value) {
  assert(rule != NULL && value != NULL);
  return strcmp(rule, "*") == 0 || strcmp(rule, value) == 0;
}

bool verify_refused(const struct verify *v, const struct endpoint *endpoint, const struct oracle_key *k) {
  assert(v != NULL && endpoint != NULL && k != NULL);
  for (size_t i = 0; i < v->rule_count; i++) {
    const struct verify_rule *rule = &v->rules[i];
    if (label_matches(rule->label, endpoint->label) && same_or_any(rule->country, k->country) &&
        verify_glob(rule->pattern, k->key)) {
      return true;
    }
  }
  return false;
}

void verify_mismatch(struct verify *v, const struct endpoint *endpoint, const char *bucket, struct slice key,
                     const char *what) {
  assert(v != NULL && what != NULL);
  if (atomic_fetch_add(&v->mismatches, 1) >= NAMED_MAX) return;
  BUF_AUTO name = BUF_INIT;
  percent_encode(&name, key, true);
  load_complain("mismatch at %s (%s): %s/%s: %s", endpoint->label, endpoint->url, bucket, buf_str(&name),
                what);
}

/* What an answer says about a key. Returns: false when it says nothing (an error). */
static bool seen_value(const struct answer *a, struct value *out) {
  assert(a != NULL && out != NULL);
  *out = (struct value){0};
  if (a->status == 404) return true;
  if (a->status != 200) return false;
  out->present = true;
  out->size_bytes = a->size_bytes;
  memcpy(out->sha256, a->sha256, DIGEST_SIZE);
  return true;
}

static void name_difference(struct verify *v, const struct endpoint *endpoint, const struct oracle_key *k,
                            const struct answer *a) {
  assert(endpoint != NULL && k != NULL);
  char what[320], hex[DIGEST_HEX], expected[DIGEST_HEX];
  digest_hex(a->sha256, hex);
  digest_hex(k->value.sha256, expected);
  snprintf(what, sizeof what, "expected %s%.12s (%llu bytes)%s, got status %u, %.12s (%llu bytes)%s",
           k->value.present ? "sha256 " : "404, not ", k->value.present ? expected : "an object",
           (unsigned long long)k->value.size_bytes, k->maybe_count > 0 ? " or an unsettled one" : "",
           a->status, a->status == 200 ? hex : "-", (unsigned long long)a->size_bytes, a->why);
  verify_mismatch(v, endpoint, k->bucket, k->key, what);
}

static bool append_seen(struct verify *v, const struct oracle_key *k, const struct value *seen,
                        const struct answer *a) {
  assert(v->resolve != NULL);
  struct record r = {.kind = 'O',
                     .id = "check",
                     .op = seen->present ? RECORD_PUT : RECORD_DELETE,
                     .start_ns = a->start_ns,
                     .end_ns = a->end_ns,
                     .status = a->status,
                     .subject = k->subject,
                     .country = k->country,
                     .bucket = k->bucket,
                     .key = k->key,
                     .value = *seen};
  return journal_write(v->resolve, &r);
}

/* Returns: false when the run must stop. */
static bool judge(struct verify *v, const struct endpoint *endpoint, const struct oracle_key *k,
                  const struct answer *a) {
  assert(k->bucket != NULL && a != NULL);
  struct value seen;
  bool refuses = verify_refused(v, endpoint, k);
  if (refuses && a->status == 451) {
    atomic_fetch_add(&v->refused, 1);
    return true;
  }
  bool known = seen_value(a, &seen);
  /* Where the charter refuses, even a deleted key's 404 is fine, but never an object. */
  if (!known || !oracle_allows(k, &seen) || (refuses && seen.present)) {
    name_difference(v, endpoint, k, a);
    return true;
  }
  if (!oracle_certain(k)) atomic_fetch_add(&v->unsettled, 1);
  atomic_fetch_add(seen.present ? &v->identical : &v->absent, 1);
  return v->resolve == NULL || oracle_certain(k) || append_seen(v, k, &seen, a);
}

static bool read_one(void *context, size_t worker, size_t index) {
  struct verify *v = context;
  size_t endpoint = index % v->session->endpoint_count;
  const struct oracle_key *k = &v->oracle->keys[index / v->session->endpoint_count];
  assert(k->bucket != NULL);
  struct client *c = session_client(v->session, worker, endpoint);
  if (c == NULL) return load_complain("out of memory") == LOAD_OK;
  struct answer a;
  client_do(c, &(struct request){.method = "GET", .bucket = k->bucket, .key = k->key, .hash_only = true}, &a);
  bool go_on = judge(v, &v->session->endpoints[endpoint], k, &a);
  answer_done(&a);
  progress_add(&v->progress, 1);
  return go_on;
}

bool verify_objects(struct verify *v) {
  assert(v != NULL && v->oracle != NULL && v->session != NULL);
  assert(v->resolve == NULL || v->session->endpoint_count == 1);
  size_t count = v->oracle->count * v->session->endpoint_count;
  progress_begin(&v->progress, "reading", count);
  bool ok = pool_run(v->session->workers, count, read_one, v);
  progress_end(&v->progress);
  return ok;
}

int verify_report(const struct verify *v) {
  assert(v != NULL);
  uint64_t mismatches = atomic_load(&v->mismatches);
  printf("checked %zu keys through %zu endpoints: identical %llu, absent as deleted %llu, refused as the "
         "charter says %llu, of unknown outcome but allowed %llu, listings equal %llu, mismatches %llu\n",
         v->oracle->count, v->session->endpoint_count, (unsigned long long)atomic_load(&v->identical),
         (unsigned long long)atomic_load(&v->absent), (unsigned long long)atomic_load(&v->refused),
         (unsigned long long)atomic_load(&v->unsettled), (unsigned long long)atomic_load(&v->listings),
         (unsigned long long)mismatches);
  return mismatches == 0 ? LOAD_OK : LOAD_MISMATCH;
}

bool verify_read_journal(const char *path, struct oracle *o, struct buf *out_text) {
  assert(o != NULL && out_text != NULL);
  if (!table_read(path, out_text)) return false;
  struct table_cursor cursor = table_begin(out_text);
  char *columns[TABLE_COLUMNS_MAX];
  size_t count;
  while (table_next(&cursor, columns, &count)) {
    struct record r;
    if (!record_parse(columns, count, &r)) {
      load_complain("%s:%llu: not a journal's line", path, (unsigned long long)cursor.line);
      return false;
    }
    if (!oracle_apply(o, &r)) {
      load_complain("out of memory");
      return false;
    }
  }
  return true;
}
