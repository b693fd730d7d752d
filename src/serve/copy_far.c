/* The target's side of a copy between two homes: the source's home is sent the client's head and streams the
 * source back. Nothing is committed before the source's home has signed that this was all of it. */
#include <assert.h>
#include <stdio.h>

#include "serve/copy_stream.h"
#include "serve/region.h"

struct far {
  struct call *c;
  struct copy_source *source;
  const struct copy_target *target;
  struct copy_stream stream;
  struct hash *md5;
  bool passing;        /* the source's home says no: its answer goes to the client as it is */
  enum s3_error error; /* of this side */
};

static enum dom_code take_answer(void *arg, unsigned status, const struct wire_field *fields, size_t count,
                                 struct dom_err *err) {
  struct far *f = arg;
  (void)err;
  if (status == 200) return DOM_OK;
  enum dom_code code = forward_answer_begin(f->c, status, fields, count);
  f->passing = code == DOM_OK;
  return code;
}

/* The source as its home describes it. This side inherits its own view of the classes, too: the two charters
 * may differ for a moment, and then the stricter one holds. */
static enum s3_error take_head(struct far *f) {
  const struct copy_head *h = &f->stream.head;
  struct copy_source *s = f->source;
  buf_reset(&s->meta);
  buf_reset(&s->classes);
  buf_append_slice(&s->meta, h->meta);
  if (s->meta.failed) return S3_ERR_SLOW_DOWN;
  enum s3_error error = copy_inherit(f->c, h->classes, &s->classes);
  return error ? error : f->target->ready(f->target->arg, s);
}

static enum dom_code sink(void *arg, struct slice bytes, struct dom_err *err) {
  struct far *f = arg;
  if (f->passing) return wire_reply_write(f->c->x, bytes.data, bytes.len, err);
  while (bytes.len) {
    struct slice body;
    bool had_head = f->stream.has_head;
    enum dom_code code = copy_stream_feed(&f->stream, &bytes, &body, err);
    if (code) return code;
    if (!had_head && f->stream.has_head) f->error = take_head(f);
    if (!f->error && body.len) {
      hash_update(f->md5, body.data, body.len);
      f->error = spool_append(f->target->spool, body);
    }
    if (f->error) return dom_fail(err, DOM_CANCELLED, "serve/copy", "not to be stored here");
  }
  return DOM_OK;
}

/* All of it came, and the region that was asked says so. */
static enum dom_code check_end(struct far *f, const struct reach *r, struct dom_err *err) {
  uint8_t sha[SHA256_SIZE];
  if (!copy_stream_end(&f->stream, sha))
    return dom_fail(err, DOM_UNAVAILABLE, "serve/copy", "the source ended early");
  return wire_envelope_check_stream(f->c->r->envelope, r->asked, r->nonce, 200, sha, f->stream.signature,
                                    err);
}

static enum s3_error finish(struct far *f, const struct reach *r, enum dom_code code, struct dom_err *err,
                            bool *out_done) {
  if (code == DOM_ELSEWHERE) return S3_ERR_SUBJECT_ELSEWHERE;
  if (f->error) return f->error;
  *out_done = f->passing;
  if (f->passing) return forward_finish(f->c, true, code, err);
  if (!code) code = check_end(f, r, err);
  if (code) {
    const struct log_field *fields =
        LOG_FIELDS({.name = "code", .text = dom_code_name(code)}, {.name = "detail", .text = err->text});
    log_event(LOG_WARN, "serve", f->c->id, "the source of a copy did not come", fields);
    return code == DOM_BUSY || code == DOM_NO_MEMORY ? S3_ERR_SLOW_DOWN : S3_ERR_SERVICE_UNAVAILABLE;
  }
  enum s3_error error = spool_seal(f->target->spool, f->target->object);
  if (!error) hash_final(f->md5, f->target->object->etag_md5);
  return error;
}

/* Without waiting for a place: the target's gate may be held. */
static enum dom_code ask_home(struct reach *r, struct dom_err *err) {
  struct wire_server *s = r->c->r->server;
  struct wire_errand errand = {.lane = WIRE_LANE_ALL, .group = r->who->home};
  if (!wire_place_try(s, &errand)) return DOM_BUSY;
  enum dom_code code = reach_home(r, err);
  wire_place_give(s, &errand);
  return code;
}

enum s3_error copy_far_take(struct copy_source *s, const struct copy_target *t, bool *out_done) {
  struct far f = {.c = s->c, .source = s, .target = t, .md5 = hash_new(HASH_MD5)};
  struct dom_err err = {0};
  char gateway[8];
  assert(s->who.where == SUBJECT_ELSEWHERE && !s->found);
  snprintf(gateway, sizeof gateway, "%u", (unsigned)s->c->gateway);
  REACH_AUTO r = {.c = s->c,
                  .who = &s->who,
                  .copy_gateway = slice_str(gateway),
                  .answer = take_answer,
                  .sink = sink,
                  .arg = &f};
  enum s3_error error = S3_ERR_SLOW_DOWN;
  if (!copy_stream_init(&f.stream) && f.md5) error = finish(&f, &r, ask_home(&r, &err), &err, out_done);
  copy_stream_done(&f.stream);
  hash_free(f.md5);
  return error;
}
