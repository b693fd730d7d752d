/* A request whose subject lives elsewhere: sent there as the client signed it, streaming both ways. The home
 * checks the client's signature itself; this region's envelope only says who the gateway is. */
#include <assert.h>
#include <stdio.h>

#include "serve/region.h"

struct forward {
  struct call *c;
  const struct slice *body; /* in memory, or NULL: still on the wire */
  struct slice begun_body;  /* what was read of it already, as a form's fields are */
  size_t body_at;
  bool begun; /* an answer is on its way to the client */
};

static enum dom_code pull(void *arg, void *out, size_t cap, size_t *out_len, struct dom_err *err) {
  struct forward *f = arg;
  struct slice held = f->body ? *f->body : f->begun_body;
  size_t left = held.len - f->body_at, n = left < cap ? left : cap;
  if (!f->body && left == 0) return wire_body_read(f->c->x, out, cap, out_len, err);
  memcpy(out, held.data + f->body_at, n);
  f->body_at += n;
  *out_len = n;
  return DOM_OK;
}

enum dom_code forward_answer_begin(struct call *c, unsigned status, const struct wire_field *fields,
                                   size_t count) {
  struct slice length = reach_field(fields, count, SLICE_LIT("Content-Length"));
  uint64_t known = WIRE_LENGTH_UNKNOWN;
  if (length.len && slice_to_u64(length, &known)) return DOM_UNAVAILABLE;
  for (size_t i = 0; i < count; i++) {
    struct slice name = fields[i].name;
    bool ours = wire_reply_field_is_own(name) || wire_field_is_internal(name) ||
                slice_equal_nocase(name, SLICE_LIT("Content-Length")) ||
                slice_equal_nocase(name, SLICE_LIT("x-domicile-met")) ||
                slice_equal_nocase(name, SLICE_LIT("x-amz-request-id"));
    if (!ours) wire_reply_field(c->x, name, fields[i].value);
  }
  call_fields(c);
  if (status < 300) call_encryption_field(c);
  wire_reply_begin(c->x, status, known);
  return DOM_OK;
}

static enum dom_code take_answer(void *arg, unsigned status, const struct wire_field *fields, size_t count,
                                 struct dom_err *err) {
  struct forward *f = arg;
  (void)err;
  enum dom_code code = forward_answer_begin(f->c, status, fields, count);
  f->begun = code == DOM_OK;
  return code;
}

static enum dom_code sink(void *arg, struct slice bytes, struct dom_err *err) {
  struct forward *f = arg;
  return wire_reply_write(f->c->x, bytes.data, bytes.len, err);
}

enum s3_error forward_finish(struct call *c, bool begun, enum dom_code code, const struct dom_err *err) {
  if (code == DOM_OK) {
    wire_reply_end(c->x, NULL);
    return S3_OK;
  }
  if (begun) { /* half an answer must not look whole */
    wire_reply_abort(c->x);
    return S3_OK;
  }
  if (code == DOM_TIMEOUT || code == DOM_UNAVAILABLE || code == DOM_CANCELLED)
    return S3_ERR_SERVICE_UNAVAILABLE;
  return call_error_of(c, code, err);
}

static uint64_t body_length(const struct forward *f) {
  uint64_t length = 0;
  if (f->body) return f->body->len;
  return wire_body_length(f->c->x, &length) ? length : WIRE_CLIENT_CHUNKED;
}

/* The answer to a copy comes when its last byte is stored; any other is on its way by then. */
static uint32_t patience_ms(const struct call *c) {
  bool copy = c->q.op == S3_OP_COPY_OBJECT || c->q.op == S3_OP_UPLOAD_PART_COPY;
  return copy ? SERVE_COPY_WAIT_MS : 0;
}

/* A place among those that wait for other regions. S3_OK with *out_placed false: it is put aside until there
 * is one. */
static enum s3_error take_place(struct call *c, bool may_wait, const struct wire_errand *e,
                                bool *out_placed) {
  enum wire_place place = WIRE_PLACE_NONE;
  *out_placed = false;
  if (c->auth.is_unverified && !relay_may_pass(c)) return S3_ERR_SLOW_DOWN;
  if (may_wait)
    place = wire_place_take(c->x, e);
  else if (wire_place_try(c->r->server, e))
    place = WIRE_PLACE_TAKEN;
  *out_placed = place == WIRE_PLACE_TAKEN;
  return place == WIRE_PLACE_NONE ? S3_ERR_SLOW_DOWN : S3_OK;
}

/* With a place: there and back. */
static enum dom_code send_and_answer(struct forward *f, struct dom_err *err) {
  struct call *c = f->c;
  if (c->met == MET_HOME) c->met = MET_FORWARDED;
  atomic_fetch_add(&c->r->metrics.forwarded, 1);
  REACH_AUTO r = {.c = c,
                  .who = &c->who,
                  .body_length = body_length(f),
                  .once = s3_op_is_write(c->q.op),
                  .stall_ms = patience_ms(c),
                  .pull = pull,
                  .answer = take_answer,
                  .sink = sink,
                  .arg = f};
  enum dom_code code = reach_home(&r, err);
  if (c->auth.is_unverified) relay_note(c, f->begun ? wire_reply_status(c->x) : 0);
  return code;
}

enum s3_error call_forward(struct call *c, const struct slice *body) {
  assert(!c->in_gate && !c->is_forwarded);
  if (!c->r->envelope) return S3_ERR_SERVICE_UNAVAILABLE;
  struct call_permit permit;
  struct dom_err err = {0};
  struct wire_errand errand = {.lane = c->auth.is_unverified ? WIRE_LANE_FEW : WIRE_LANE_MOST,
                               .group = c->who.home};
  bool placed = false;
  enum s3_error error = call_permit(c, PERMIT_TRANSIT, c->q.key, SLICE_LIT(""), 0, &permit);
  if (!error) error = take_place(c, !body && !c->came_home, &errand, &placed);
  if (error || !placed) return error;
  struct forward f = {.c = c, .body = body, .begun_body = post_begun(c->post)};
  enum dom_code code = send_and_answer(&f, &err);
  wire_place_give(c->r->server, &errand);
  if (code != DOM_ELSEWHERE || f.begun) return forward_finish(c, f.begun, code, &err);
  if (c->came_home) return S3_ERR_SERVICE_UNAVAILABLE; /* sent away a second time: somebody is behind */
  c->came_home = true;
  return body ? S3_ERR_SUBJECT_ELSEWHERE : call_operation(c);
}

enum s3_error call_misdirected(struct call *c) {
  assert(c->is_forwarded && c->who.where == SUBJECT_ELSEWHERE);
  char text[64];
  snprintf(text, sizeof text, "%u %llu", c->who.home, (unsigned long long)c->who.epoch);
  wire_reply_field_str(c->x, "x-domicile-home", text);
  BUF_AUTO statement = BUF_INIT;
  if (c->who.has_statement) base64_encode(&statement, slice_of(c->who.statement, c->who.statement_len));
  if (statement.len) wire_reply_field(c->x, SLICE_LIT("x-domicile-statement"), buf_slice(&statement));
  wire_reply_field_str(c->x, "x-amz-request-id", c->id);
  wire_reply(c->x, 421, SLICE_LIT(""), NULL);
  return S3_OK;
}
