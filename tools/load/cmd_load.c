/* load: puts a plan's objects, each to its person's region, and journals what was acknowledged. */
#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "etag.h"
#include "journal.h"
#include "load.h"
#include "plan.h"
#include "session.h"
#include "table.h"
#include "xml.h"

/* Objects larger than this go by multipart upload. */
#define MULTIPART_ABOVE_BYTES (UINT64_C(16) << 20)
/* Most parts of one object: 512 MiB is far more than any plan of ours holds. */
#define PARTS_MAX 64
/* Failures named before the rest is only counted. */
#define NAMED_MAX 10

struct job {
  struct session session;
  struct plan plan;
  struct journal journal;
  struct progress progress;
  atomic_ullong bytes;
  atomic_uint failures;
};

static void name_failure(struct job *job, const struct plan_item *item, const struct answer *a) {
  assert(item != NULL && a != NULL);
  if (atomic_fetch_add(&job->failures, 1) >= NAMED_MAX) return;
  BUF_AUTO key = BUF_INIT;
  percent_encode(&key, item->key, true);
  load_complain("%s/%s: status %u %s%s", item->bucket, buf_str(&key), a->status, a->code, a->why);
}

/* All parts of one object; `last` takes the deciding answer, and is fine only when all were. */
static void put_parts(struct client *c, const struct upload *u, const struct plan_item *item, uint8_t *piece,
                      struct answer *last) {
  assert(item->content.size_bytes <= SESSION_PART_BYTES * PARTS_MAX);
  BUF_AUTO id = BUF_INIT;
  char etags[PARTS_MAX][96];
  unsigned count = 0;
  session_create(c, u, &id, last);
  for (uint64_t at = 0; answer_ok(last) && at < item->content.size_bytes; at += SESSION_PART_BYTES) {
    uint64_t left = item->content.size_bytes - at;
    size_t len = left < SESSION_PART_BYTES ? (size_t)left : SESSION_PART_BYTES;
    answer_done(last);
    *last = (struct answer){.why = "the source cannot be read"};
    if (!content_read(&item->content, at, piece, len)) return;
    session_part(c, u, buf_str(&id), count + 1, slice_of(piece, len), last);
    memcpy(etags[count++], last->etag, sizeof last->etag);
  }
  if (!answer_ok(last)) return;
  answer_done(last);
  session_complete(c, u, buf_str(&id), etags, count, last);
  struct slice inner;
  char expected[ETAG_HEX + 8];
  bool known = etag_of_parts(etags, count, expected);
  /* The answer's ETag stands in its XML, quotes as entities or plain. */
  BUF_AUTO etag = BUF_INIT;
  if (answer_ok(last) && xml_find(buf_slice(&last->body), "ETag", &inner)) xml_text(inner, &etag);
  if (answer_ok(last) && (!known || strstr(buf_str(&etag), expected) == NULL)) {
    last->status = 0;
    snprintf(last->why, sizeof last->why, "ETag differs from the parts'");
  }
}

static void put_whole(struct client *c, const struct upload *u, const struct plan_item *item,
                      struct answer *out) {
  assert(item->content.size_bytes <= MULTIPART_ABOVE_BYTES);
  size_t len = (size_t)item->content.size_bytes;
  AUTO_FREE uint8_t *body = dom_alloc(len + 1);
  *out = (struct answer){.why = "the source cannot be read"};
  if (body == NULL || !content_read(&item->content, 0, body, len)) return;
  session_put(c, u, slice_of(body, len), out);
  char expected[ETAG_HEX];
  etag_of(slice_of(body, len), expected);
  if (answer_ok(out) && strcmp(out->etag, expected) != 0) {
    out->status = 0;
    snprintf(out->why, sizeof out->why, "ETag differs from the body's MD5");
  }
}

static bool note(struct job *job, const struct plan_item *item, const struct answer *a, size_t index) {
  assert(item->key.len > 0 && a != NULL);
  char id[32];
  snprintf(id, sizeof id, "load-%zu", index);
  struct record r = {.kind = 'A',
                     .id = id,
                     .op = RECORD_PUT,
                     .start_ns = a->start_ns,
                     .end_ns = a->end_ns,
                     .status = a->status,
                     .met = a->met,
                     .subject = item->subject,
                     .country = item->country,
                     .bucket = item->bucket,
                     .key = item->key,
                     .value = {.present = true, .size_bytes = item->content.size_bytes}};
  memcpy(r.value.sha256, item->sha256, DIGEST_SIZE);
  return journal_write(&job->journal, &r);
}

static bool load_one(void *context, size_t worker, size_t index) {
  struct job *job = context;
  assert(index < job->plan.count);
  const struct plan_item *item = &job->plan.items[index];
  int endpoint = session_endpoint(&job->session, item->country);
  assert(endpoint >= 0);
  struct client *c = session_client(&job->session, worker, (size_t)endpoint);
  if (c == NULL) return load_complain("out of memory") == LOAD_OK;
  struct upload u = {.bucket = item->bucket, .key = item->key, .country = item->country};
  struct answer a;
  if (item->content.size_bytes > MULTIPART_ABOVE_BYTES) {
    AUTO_FREE uint8_t *piece = dom_alloc(SESSION_PART_BYTES);
    if (piece == NULL) return load_complain("out of memory") == LOAD_OK;
    put_parts(c, &u, item, piece, &a);
  } else {
    put_whole(c, &u, item, &a);
  }
  bool ok = note(job, item, &a, index);
  if (!answer_ok(&a)) name_failure(job, item, &a);
  answer_done(&a);
  atomic_fetch_add(&job->bytes, item->content.size_bytes);
  progress_add(&job->progress, 1);
  return ok;
}

/* Creates the plan's buckets with their layouts at the first endpoint; one that is ours already
 * is fine. Returns: the exit code. */
static int make_buckets(struct job *job, const char *plan_path) {
  assert(job != NULL && plan_path != NULL);
  BUF_AUTO text = BUF_INIT;
  struct plan_bucket buckets[PLAN_BUCKETS_MAX];
  if (!table_read(plan_path, &text)) return LOAD_FAILED;
  size_t count = plan_buckets(&text, buckets);
  struct client *c = session_client(&job->session, 0, 0);
  if (c == NULL) return load_complain("out of memory");
  for (size_t i = 0; i < count; i++) {
    struct sigv4_header layout = {"x-domicile-layout", buckets[i].layout};
    struct answer a;
    client_do(
        c,
        &(struct request){.method = "PUT", .bucket = buckets[i].name, .headers = &layout, .header_count = 1},
        &a);
    bool fine = answer_ok(&a) || strcmp(a.code, "BucketAlreadyOwnedByYou") == 0;
    if (!fine) load_complain("bucket %s: status %u %s%s", buckets[i].name, a.status, a.code, a.why);
    answer_done(&a);
    if (!fine) return LOAD_FAILED;
  }
  return LOAD_OK;
}

/* Every country of the plan needs an endpoint. */
static int check_countries(const struct job *job, const struct flag_set *set) {
  assert(job != NULL && job->session.endpoint_count > 0);
  for (size_t i = 0; i < job->plan.count; i++) {
    const char *country = job->plan.items[i].country;
    if (session_endpoint(&job->session, country) < 0) {
      return flags_complain(set, "no --endpoint for country %s (nor a default)", country);
    }
  }
  return LOAD_OK;
}

static int run(struct job *job, const char *journal_path) {
  assert(job->plan.items != NULL || job->plan.count == 0);
  if (!journal_open(&job->journal, journal_path)) return LOAD_FAILED;
  progress_begin(&job->progress, "loading", job->plan.count);
  bool whole = pool_run(job->session.workers, job->plan.count, load_one, job);
  progress_end(&job->progress);
  bool kept = journal_close(&job->journal);
  unsigned failures = atomic_load(&job->failures);
  uint64_t done = atomic_load(&job->progress.done);
  double seconds = (double)(clock_mono_ns(clock_posix()) - job->progress.start_ns) / 1e9;
  printf("loaded %llu of %zu objects, %.1f MB in %.1f s, failures %u\n",
         (unsigned long long)(done - failures), job->plan.count, (double)atomic_load(&job->bytes) / 1e6,
         seconds, failures);
  if (atomic_load(&load_stop)) return LOAD_INTERRUPTED;
  if (!whole || !kept) return LOAD_FAILED;
  return failures > 0 ? LOAD_MISMATCH : LOAD_OK;
}

int cmd_load(int argc, char **argv) {
  const char *plan = NULL, *journal = NULL, *key = NULL;
  uint64_t workers = 8;
  bool create = false;
  struct flag_list endpoints = {0};
  const struct flag flags[] = {
      {"--plan", "FILE", "the plan, made by people", FLAG_STRING, true, &plan},
      {"--journal", "FILE", "append every answer here", FLAG_STRING, true, &journal},
      {"--endpoint", "[CC=]URL", "where a country's people are put; CC left out: everybody else", FLAG_LIST,
       true, &endpoints},
      {"--key", "ACCESS:SECRET", "else DOMICILE_LOAD_KEY", FLAG_STRING, false, &key},
      {"--connections", "N", "parallel connections (8)", FLAG_NUMBER, false, &workers},
      {"--create-buckets", NULL, "create the plan's buckets first, at the first endpoint", FLAG_SWITCH, false,
       &create},
      {0}};
  const struct flag_set set = {"load", "Puts a plan's objects, each to its person's region.", NULL, flags};
  int code = flags_parse(&set, argc, argv, NULL);
  if (code >= 0) return code;
  struct job job = {0};
  code = session_init(&job.session, &set, key, &endpoints, workers);
  if (code < 0) code = plan_read(plan, &job.plan) ? LOAD_OK : LOAD_FAILED;
  if (code == LOAD_OK) code = check_countries(&job, &set);
  if (code == LOAD_OK && create) code = make_buckets(&job, plan);
  if (code == LOAD_OK) code = run(&job, journal);
  plan_done(&job.plan);
  session_done(&job.session);
  return code;
}
