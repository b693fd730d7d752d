/* The operations, their records and their counting. */
#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "load.h"
#include "writer_internal.h"

/* Failures that are named; the rest is counted. */
#define NAMED_MAX 20

/* Whom and what a slot is. `key` is filled. */
static struct upload target_of(const struct writer_worker *w, size_t at, struct buf *key) {
  const struct writer_config *config = w->run->config;
  const struct writer_subject *s = &config->subjects[at / config->keys_each];
  size_t number = at % config->keys_each;
  assert(at < config->subject_count * config->keys_each);
  buf_append_str(key, s->prefix);
  if (config->kinds->count > 0) buf_printf(key, "%s/", config->kinds->values[number % config->kinds->count]);
  buf_printf(key, "write-w%02u-k%zu.dat", w->number, number);
  return (struct upload){.bucket = s->bucket, .key = buf_slice(key), .country = s->country};
}

static bool append(struct writer_worker *w, size_t at, const struct upload *u, char kind, enum record_op op,
                   const struct answer *a, const struct value *value) {
  const struct writer_config *config = w->run->config;
  const struct writer_subject *s = &config->subjects[at / config->keys_each];
  assert(kind == 'I' || a != NULL);
  char id[48];
  snprintf(id, sizeof id, "%llx-%u-%llu", (unsigned long long)config->run_id, w->number,
           (unsigned long long)w->serial);
  struct record r = {.kind = kind,
                     .id = id,
                     .op = op,
                     .start_ns = a == NULL ? 0 : a->start_ns,
                     .end_ns = a == NULL ? 0 : a->end_ns,
                     .status = a == NULL ? 0 : a->status,
                     .met = a == NULL ? "" : a->met,
                     .subject = s->subject,
                     .country = s->country,
                     .bucket = u->bucket,
                     .key = u->key,
                     .value = *value};
  if (journal_write(config->journal, &r)) return true;
  atomic_store(&w->run->broken, true);
  return false;
}

static void name_failure(struct writer_worker *w, const struct upload *u, enum record_op op,
                         const struct answer *a) {
  assert(!answer_ok(a));
  if (w->run->config->tolerant || atomic_fetch_add(&w->run->named, 1) >= NAMED_MAX) return;
  BUF_AUTO key = BUF_INIT;
  percent_encode(&key, u->key, true);
  load_complain("%s %s/%s: status %u %s%s after %.3f s", record_op_name(op), u->bucket, buf_str(&key),
                a->status, a->code, a->why, (double)(a->end_ns - a->start_ns) / 1e9);
}

/* Before an operation that changes a key: its intent, where intents are wanted. */
static bool intend(struct writer_worker *w, size_t at, const struct upload *u, enum record_op op,
                   const struct value *value) {
  assert(w != NULL && u != NULL);
  w->serial++;
  return !w->run->config->tolerant || append(w, at, u, 'I', op, NULL, value);
}

/* After it: its answer, counts, and what is now known of the slot. */
static bool conclude(struct writer_worker *w, size_t at, const struct upload *u, enum record_op op,
                     const struct answer *a, const struct value *value) {
  assert(a != NULL && value != NULL);
  struct writer_counts *counts = w->run->counts;
  bool changes = op != RECORD_CREATE && op != RECORD_PART;
  enum writer_met met = writer_met_of(a->met);
  w->stay = met == WRITER_COPYING || met == WRITER_HELD;
  if (answer_ok(a)) {
    atomic_fetch_add(&counts->done[op], 1);
    atomic_fetch_add(&counts->met[met], 1);
    if (changes) {
      w->slots[at].certain = true;
      w->slots[at].value = *value;
    }
  } else {
    bool refused = a->status >= 400 && a->status < 500;
    atomic_fetch_add(refused ? &counts->refused : &counts->failed, 1);
    bool unknown = a->status == 0 || a->status >= 500;
    if (changes && unknown) w->slots[at].certain = false;
    name_failure(w, u, op, a);
  }
  return append(w, at, u, 'A', op, a, value);
}

/* Bytes that no other operation of any run writes, in w->body. */
static struct value make_body(struct writer_worker *w, size_t len) {
  assert(len >= 16 && len <= WRITER_BODY_MAX);
  struct content c = {.seed = content_random(&w->random), .size_bytes = len};
  bool ok = content_read(&c, 0, w->body, len);
  assert(ok);
  struct value value = {.present = true, .size_bytes = len};
  digest_of(w->body, len, value.sha256);
  return value;
}

/* Mostly small, now and then larger than any buffer on the way. */
static size_t some_size(struct writer_worker *w) {
  assert(w != NULL);
  uint64_t r = content_random(&w->random);
  return r % 64 == 0 ? 300000 + (size_t)(r >> 8) % 65536 : 16 + (size_t)(r >> 8) % 16384;
}

bool writer_put(struct writer_worker *w, size_t at) {
  BUF_AUTO key = BUF_INIT;
  struct upload u = target_of(w, at, &key);
  struct value value = make_body(w, some_size(w));
  assert(value.present);
  if (!intend(w, at, &u, RECORD_PUT, &value)) return false;
  struct answer a;
  session_put(w->client, &u, slice_of(w->body, (size_t)value.size_bytes), &a);
  bool ok = conclude(w, at, &u, RECORD_PUT, &a, &value);
  answer_done(&a);
  return ok;
}

bool writer_delete(struct writer_worker *w, size_t at) {
  BUF_AUTO key = BUF_INIT;
  struct upload u = target_of(w, at, &key);
  struct value gone = {0};
  assert(!gone.present);
  if (!intend(w, at, &u, RECORD_DELETE, &gone)) return false;
  struct answer a;
  client_do(w->client, &(struct request){.method = "DELETE", .bucket = u.bucket, .key = u.key}, &a);
  bool ok = conclude(w, at, &u, RECORD_DELETE, &a, &gone);
  answer_done(&a);
  return ok;
}

/* Another key of the same person and bucket that certainly holds something; `at` when none does. */
static size_t copy_source(const struct writer_worker *w, size_t at) {
  assert(at / w->run->config->keys_each < w->run->config->subject_count);
  size_t each = w->run->config->keys_each;
  size_t first = at - at % each;
  for (size_t i = first; i < first + each; i++) {
    if (i != at && w->slots[i].certain && w->slots[i].value.present) return i;
  }
  return at;
}

bool writer_copy(struct writer_worker *w, size_t at) {
  size_t from = copy_source(w, at);
  if (from == at) return writer_put(w, at);
  BUF_AUTO key = BUF_INIT;
  BUF_AUTO source_key = BUF_INIT;
  BUF_AUTO header = BUF_INIT;
  struct upload u = target_of(w, at, &key);
  struct upload source = target_of(w, from, &source_key);
  struct value value = w->slots[from].value;
  assert(value.present);
  buf_printf(&header, "/%s/", source.bucket);
  percent_encode(&header, source.key, true);
  if (!intend(w, at, &u, RECORD_COPY, &value)) return false;
  struct sigv4_header copy = {"x-amz-copy-source", buf_str(&header)};
  struct answer a;
  client_do(w->client,
            &(struct request){
                .method = "PUT", .bucket = u.bucket, .key = u.key, .headers = &copy, .header_count = 1},
            &a);
  bool ok = conclude(w, at, &u, RECORD_COPY, &a, &value);
  answer_done(&a);
  return ok;
}

void writer_forget_upload(struct writer_worker *w, size_t at) {
  struct writer_upload *upload = w->slots[at].upload;
  assert(upload != NULL);
  buf_done(&upload->id);
  dom_free(upload);
  w->slots[at].upload = NULL;
  size_t kept = 0;
  for (size_t i = 0; i < w->open_count; i++) {
    if (w->open[i] != at) w->open[kept++] = w->open[i];
  }
  assert(kept == w->open_count - 1);
  w->open_count = kept;
}

/* Sends the parts of the body; all but the last are whole ones. Returns: whether the run goes
 * on; *out_sent tells whether all parts are there. */
static bool send_parts(struct writer_worker *w, size_t at, const struct upload *u,
                       struct writer_upload *upload, bool *out_sent) {
  size_t len = (size_t)upload->value.size_bytes;
  assert(len > 0 && len <= WRITER_BODY_MAX);
  bool ok = true, sent = true;
  for (size_t done = 0; ok && sent && done < len;) {
    size_t take = len - done < WRITER_PART_BYTES ? len - done : WRITER_PART_BYTES;
    struct answer a;
    w->serial++;
    session_part(w->client, u, buf_str(&upload->id), upload->parts + 1, slice_of(w->body + done, take), &a);
    memcpy(upload->etags[upload->parts++], a.etag, sizeof a.etag);
    sent = answer_ok(&a);
    ok = conclude(w, at, u, RECORD_PART, &a, &(struct value){0});
    answer_done(&a);
    done += take;
  }
  *out_sent = sent;
  return ok;
}

bool writer_begin_upload(struct writer_worker *w, size_t at) {
  assert(w->slots[at].upload == NULL && w->open_count < WRITER_OPEN_MAX);
  BUF_AUTO key = BUF_INIT;
  struct upload u = target_of(w, at, &key);
  struct writer_upload *upload = dom_calloc(1, sizeof *upload);
  if (upload == NULL) {
    atomic_store(&w->run->broken, true);
    return false;
  }
  w->slots[at].upload = upload;
  w->open[w->open_count++] = at;
  /* One in eight has two parts. */
  size_t tail = 16 + (size_t)content_random(&w->random) % 49152;
  upload->value = make_body(w, content_random(&w->random) % 8 == 0 ? WRITER_PART_BYTES + tail : tail);
  struct answer a;
  w->serial++;
  session_create(w->client, &u, &upload->id, &a);
  bool ready = answer_ok(&a) && !upload->id.failed;
  bool ok = conclude(w, at, &u, RECORD_CREATE, &a, &(struct value){0});
  answer_done(&a);
  if (ok && ready) ok = send_parts(w, at, &u, upload, &ready);
  if (!ok || !ready) writer_forget_upload(w, at);
  return ok;
}

bool writer_complete_upload(struct writer_worker *w, size_t at) {
  struct writer_upload *upload = w->slots[at].upload;
  assert(upload != NULL && upload->parts >= 1);
  BUF_AUTO key = BUF_INIT;
  struct upload u = target_of(w, at, &key);
  bool ok = intend(w, at, &u, RECORD_COMPLETE, &upload->value);
  if (ok) {
    struct answer a;
    session_complete(w->client, &u, buf_str(&upload->id), upload->etags, upload->parts, &a);
    ok = conclude(w, at, &u, RECORD_COMPLETE, &a, &upload->value);
    answer_done(&a);
  }
  writer_forget_upload(w, at);
  return ok;
}
