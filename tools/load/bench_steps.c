#include "bench_steps.h"

#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "load.h"
#include "session.h"
#include "xml.h"

/* Connections that fill. */
#define FILL_CONNECTIONS 16

bool bench_make_bucket(struct client *c, const char *bucket) {
  struct answer a;
  client_do(c, &(struct request){.method = "PUT", .bucket = bucket}, &a);
  bool fine = answer_ok(&a) || a.status == 409;
  assert(fine || a.status != 200);
  if (!fine) load_complain("bucket %s: status %u %s%s", bucket, a.status, a.code, a.why);
  answer_done(&a);
  return fine;
}

bool bench_fill(struct bench_config config, size_t objects) {
  AUTO_FREE struct bench_result *result = dom_alloc(sizeof *result);
  if (result == NULL) return load_complain("out of memory") == LOAD_OK;
  config.op = BENCH_PUT;
  config.objects = objects;
  config.requests_max = objects;
  config.duration_ms = 0;
  config.hold = NULL;
  if (config.connections > FILL_CONNECTIONS) config.connections = FILL_CONNECTIONS;
  assert(objects > 0);
  if (!bench_run(&config, result)) return false;
  if (result->errors == 0 && result->requests == objects) return true;
  return load_complain("filling failed: %llu of %zu, the first error with status %u",
                       (unsigned long long)result->requests, objects, result->first_status) == LOAD_OK;
}

/* One page. Returns: false after a complaint; *token is empty after the last. */
static bool walk_page(struct client *c, const struct bench_config *config, struct buf *token, size_t *count) {
  BUF_AUTO query = BUF_INIT;
  if (token->len > 0) {
    buf_append_str(&query, "continuation-token=");
    percent_encode(&query, buf_slice(token), false);
    buf_append_byte(&query, '&');
  }
  buf_printf(&query, "list-type=2&max-keys=%d&prefix=", BENCH_PAGE_KEYS);
  percent_encode(&query, slice_str(config->prefix), false);
  struct answer a;
  client_do(c, &(struct request){.method = "GET", .bucket = config->bucket, .query = buf_str(&query)}, &a);
  bool fine = answer_ok(&a);
  if (!fine) load_complain("listing: status %u %s%s", a.status, a.code, a.why);
  struct slice page = buf_slice(&a.body), inner;
  buf_reset(token);
  if (fine && xml_find(page, "NextContinuationToken", &inner)) xml_text(inner, token);
  while (fine && xml_next(&page, "Contents", &inner)) ++*count;
  answer_done(&a);
  return fine && !token->failed;
}

bool bench_walk(struct client *c, const struct bench_config *config, size_t objects) {
  assert(config->bucket != NULL && config->prefix != NULL);
  BUF_AUTO token = BUF_INIT;
  size_t count = 0;
  do {
    if (!walk_page(c, config, &token, &count)) return false;
  } while (token.len > 0 && count <= objects && !atomic_load(&load_stop));
  if (count == objects) return true;
  return load_complain("the listing shows %zu keys of %zu", count, objects) == LOAD_OK;
}

bool bench_upload(struct client *c, struct bench_config config, struct bench_result *out) {
  assert(config.exact && config.objects >= 1 && config.objects <= 10000);
  struct upload u = {.bucket = config.bucket, .key = slice_str(config.prefix)};
  AUTO_FREE void *memory = dom_calloc(config.objects, sizeof *config.etags);
  if (memory == NULL) return load_complain("out of memory") == LOAD_OK;
  BUF_AUTO id = BUF_INIT;
  struct answer a;
  uint64_t start_ns = clock_mono_ns(clock_posix());
  session_create(c, &u, &id, &a);
  answer_done(&a);
  if (!answer_ok(&a)) return load_complain("upload: status %u %s%s", a.status, a.code, a.why) == LOAD_OK;
  config.op = BENCH_PART;
  config.upload_id = buf_str(&id);
  config.etags = memory;
  config.requests_max = config.objects;
  config.duration_ms = 0;
  if (!bench_run(&config, out)) return false;
  if (out->errors > 0 || out->requests != config.objects)
    return load_complain("parts failed, the first with status %u", out->first_status) == LOAD_OK;
  session_complete(c, &u, config.upload_id, config.etags, (unsigned)config.objects, &a);
  answer_done(&a);
  out->wall_ns = clock_mono_ns(clock_posix()) - start_ns;
  if (!answer_ok(&a)) return load_complain("complete: status %u %s%s", a.status, a.code, a.why) == LOAD_OK;
  return true;
}

bool bench_remove(struct client *c, const struct bench_config *config) {
  assert(config->exact);
  struct answer a;
  client_do(c,
            &(struct request){.method = "DELETE", .bucket = config->bucket, .key = slice_str(config->prefix)},
            &a);
  answer_done(&a);
  return answer_ok(&a) || load_complain("delete: status %u %s%s", a.status, a.code, a.why) == LOAD_OK;
}
