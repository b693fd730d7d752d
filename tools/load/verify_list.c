/* Listings: each person's prefix, page by page. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "load.h"
#include "verify_internal.h"
#include "xml.h"

/* The keys of one listing: a run of `sorted`. */
struct group {
  size_t from, to;
  struct slice prefix;
};

struct listing_job {
  struct verify *verify;
  const struct oracle_key **sorted; /* by bucket, then key */
  struct group *groups;
  size_t group_count;
};

/* One listing while its pages come. */
struct listing {
  struct verify *verify;
  const struct endpoint *endpoint;
  const char *bucket;
  struct buf last; /* the last key, to see order and doubles */
  size_t certain;  /* listed keys that must be there */
  bool differs;
};

static int key_order(const void *a, const void *b) {
  assert(a != NULL && b != NULL);
  const struct oracle_key *x = *(const struct oracle_key *const *)a;
  const struct oracle_key *y = *(const struct oracle_key *const *)b;
  int bucket = strcmp(x->bucket, y->bucket);
  return bucket != 0 ? bucket : slice_compare(x->key, y->key);
}

/* The key's part up to and with "SUBJECT/"; empty without a subject. */
static struct slice prefix_of(const struct oracle_key *k) {
  assert(k->subject != NULL);
  size_t len = strlen(k->subject);
  if (len == 0) return slice_cut(k->key, 0, 0);
  const uint8_t *at = memmem(k->key.data, k->key.len, k->subject, len);
  if (at == NULL) return slice_cut(k->key, 0, 0);
  size_t end = (size_t)(at - k->key.data) + len;
  if (end < k->key.len && k->key.data[end] == '/') end++;
  return slice_cut(k->key, 0, end);
}

static void differ(struct listing *l, struct slice key, const char *what) {
  assert(l != NULL);
  l->differs = true;
  verify_mismatch(l->verify, l->endpoint, l->bucket, key, what);
}

static bool size_allowed(const struct oracle_key *k, uint64_t size_bytes) {
  assert(k != NULL && (k->maybes != NULL || k->maybe_count == 0));
  if (k->value.present && k->value.size_bytes == size_bytes) return true;
  for (size_t i = 0; i < k->maybe_count; i++) {
    if (k->maybes[i].value.present && k->maybes[i].value.size_bytes == size_bytes) return true;
  }
  return false;
}

static bool may_be_present(const struct oracle_key *k) {
  assert(k != NULL && (k->maybes != NULL || k->maybe_count == 0));
  for (size_t i = 0; i < k->maybe_count; i++) {
    if (k->maybes[i].value.present) return true;
  }
  return k->value.present;
}

static void judge_entry(struct listing *l, struct slice key, uint64_t size_bytes) {
  assert(l != NULL);
  if (l->last.len > 0 && slice_compare(buf_slice(&l->last), key) >= 0) {
    differ(l, key, "listed out of order or twice");
  }
  buf_reset(&l->last);
  buf_append_slice(&l->last, key);
  const struct oracle_key *k = oracle_find(l->verify->oracle, l->bucket, key);
  if (k == NULL) {
    differ(l, key, "listed, but never written");
  } else if (!may_be_present(k)) {
    differ(l, key, "listed, but deleted");
  } else if (!size_allowed(k, size_bytes)) {
    differ(l, key, "listed with another size");
  } else if (oracle_certain(k)) {
    l->certain++;
  }
}

/* Judges one page. Returns: true when another follows; its token, percent-encoded, is put into
 * `token`. */
static bool take_page(struct listing *l, struct slice page, struct buf *token) {
  assert(l->bucket != NULL && token != NULL);
  struct slice entry, inner;
  struct slice rest = page;
  while (xml_next(&rest, "Contents", &entry)) {
    BUF_AUTO encoded = BUF_INIT;
    BUF_AUTO key = BUF_INIT;
    uint64_t size;
    bool ok = xml_find(entry, "Key", &inner);
    if (ok) xml_text(inner, &encoded);
    ok = ok && percent_decode(buf_slice(&encoded), true, &key) == DOM_OK;
    ok = ok && xml_find(entry, "Size", &inner) && slice_to_u64(inner, &size) == DOM_OK;
    if (!ok) {
      differ(l, entry, "unreadable entry of a listing");
      continue;
    }
    judge_entry(l, buf_slice(&key), size);
  }
  buf_reset(token);
  if (!xml_find(page, "IsTruncated", &inner) || !slice_equal(inner, SLICE_LIT("true"))) return false;
  if (!xml_find(page, "NextContinuationToken", &inner)) return false;
  BUF_AUTO plain = BUF_INIT;
  xml_text(inner, &plain);
  percent_encode(token, buf_slice(&plain), false);
  return token->len > 0;
}

/* All pages. Returns: the last answer's status. */
static unsigned list_all(struct client *c, struct listing *l, struct slice prefix) {
  assert(c != NULL);
  BUF_AUTO token = BUF_INIT;
  BUF_AUTO query = BUF_INIT;
  for (bool more = true; more;) {
    buf_reset(&query);
    if (token.len > 0) buf_printf(&query, "continuation-token=%s&", buf_str(&token));
    buf_append_str(&query, "encoding-type=url&list-type=2&max-keys=1000&prefix=");
    percent_encode(&query, prefix, false);
    struct answer a;
    client_do(c, &(struct request){.method = "GET", .bucket = l->bucket, .query = buf_str(&query)}, &a);
    unsigned status = a.status;
    more = status == 200 && take_page(l, buf_slice(&a.body), &token);
    answer_done(&a);
    if (status != 200 || l->differs) return status;
  }
  return 200;
}

/* Counts the group's keys that must be listed, and whether one makes the listing be refused. */
static size_t expect(const struct listing_job *job, const struct group *g, const struct endpoint *endpoint,
                     bool *out_refused) {
  size_t certain = 0;
  bool refused = false;
  for (size_t i = g->from; i < g->to; i++) {
    const struct oracle_key *k = job->sorted[i];
    if (may_be_present(k)) refused |= verify_refused(job->verify, endpoint, k);
    certain += k->value.present && oracle_certain(k);
  }
  assert(certain <= g->to - g->from);
  *out_refused = refused;
  return certain;
}

static bool list_one(void *context, size_t worker, size_t index) {
  struct listing_job *job = context;
  struct verify *v = job->verify;
  size_t number = index % v->session->endpoint_count;
  const struct group *g = &job->groups[index / v->session->endpoint_count];
  assert(g->from < g->to);
  struct client *c = session_client(v->session, worker, number);
  if (c == NULL) return load_complain("out of memory") == LOAD_OK;
  struct listing l = {
      .verify = v, .endpoint = &v->session->endpoints[number], .bucket = job->sorted[g->from]->bucket};
  bool refused;
  size_t certain = expect(job, g, l.endpoint, &refused);
  unsigned status = list_all(c, &l, g->prefix);
  char what[96];
  if (refused && status == 451) {
    atomic_fetch_add(&v->refused, 1);
  } else if (status != 200 || refused) {
    snprintf(what, sizeof what, "listing: status %u, expected %s", status, refused ? "451" : "200");
    verify_mismatch(v, l.endpoint, l.bucket, g->prefix, what);
  } else if (!l.differs && l.certain != certain) {
    snprintf(what, sizeof what, "listing: %zu of %zu objects", l.certain, certain);
    verify_mismatch(v, l.endpoint, l.bucket, g->prefix, what);
  } else if (!l.differs) {
    atomic_fetch_add(&v->listings, 1);
  }
  buf_done(&l.last);
  progress_add(&v->progress, 1);
  return true;
}

/* Cuts the sorted keys into groups; both arrays have room for all keys. */
static void make_groups(struct listing_job *job, size_t count) {
  assert(job->group_count == 0);
  for (size_t i = 0; i < count; i++) {
    struct slice prefix = prefix_of(job->sorted[i]);
    struct group *last = job->group_count == 0 ? NULL : &job->groups[job->group_count - 1];
    bool same = last != NULL && slice_equal(last->prefix, prefix) &&
                strcmp(job->sorted[last->from]->bucket, job->sorted[i]->bucket) == 0;
    if (same) {
      last->to = i + 1;
    } else {
      job->groups[job->group_count++] = (struct group){.from = i, .to = i + 1, .prefix = prefix};
    }
  }
}

bool verify_listings(struct verify *v) {
  assert(v != NULL && v->oracle != NULL);
  size_t count = v->oracle->count;
  if (count == 0) return true;
  AUTO_FREE const struct oracle_key **sorted = dom_calloc(count, sizeof *sorted);
  AUTO_FREE struct group *groups = dom_calloc(count, sizeof *groups);
  if (sorted == NULL || groups == NULL) return load_complain("out of memory") == LOAD_OK;
  for (size_t i = 0; i < count; i++) sorted[i] = &v->oracle->keys[i];
  qsort(sorted, count, sizeof *sorted, key_order);
  struct listing_job job = {.verify = v, .sorted = sorted, .groups = groups};
  make_groups(&job, count);
  size_t tasks = job.group_count * v->session->endpoint_count;
  progress_begin(&v->progress, "listing", tasks);
  bool ok = pool_run(v->session->workers, tasks, list_one, &job);
  progress_end(&v->progress);
  return ok;
}
