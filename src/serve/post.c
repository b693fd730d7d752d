/* A browser's form. Its fields are read first, since they say whose the key is and who signed; then it goes
 * the way of a PUT: to its home with all that was read and the rest, or its file into the store. */
#include <assert.h>
#include <stdio.h>

#include "serve/region.h"

/* One form on its way in. The bytes read so far stay until the file begins here: a home elsewhere gets them
 * as they came, and nothing of a foreigner's form is kept but that. */
struct post {
  struct call *c;
  struct s3_form form;
  struct s3_form_fields *fields;
  struct s3_form_range range;
  uint8_t *bytes; /* SERVE_CHUNK */
  size_t len, at; /* read, and of these taken */
  bool is_taken;  /* the file goes into the store: what was taken may go */
};

static void post_done(struct post *p) {
  p->c->post = NULL;
  dom_free(p->bytes);
}
#define POST_AUTO __attribute__((cleanup(post_done))) struct post

uint64_t post_bytes_min(const struct post *p) {
  return p->range.bytes_min;
}

uint64_t post_bytes_max(const struct post *p) {
  assert(p->range.bytes_max <= S3_PUT_BYTES_MAX);
  return p->range.bytes_max;
}

struct slice post_begun(const struct post *p) {
  assert(!p || !p->is_taken);
  return p ? slice_of(p->bytes, p->len) : slice_of(NULL, 0);
}

/* ---- reading --------------------------------------------------------------------------------------- */

/* More of the body behind what is left of it; *out_got 0: it has ended. */
static enum s3_error fill(struct post *p, size_t *out_got) {
  struct dom_err err = {0};
  if (p->is_taken && p->at > 0) {
    memmove(p->bytes, p->bytes + p->at, p->len - p->at);
    p->len -= p->at;
    p->at = 0;
  }
  assert(p->len < SERVE_CHUNK); /* the reader bounds what it leaves over */
  enum dom_code code = wire_body_read(p->c->x, p->bytes + p->len, SERVE_CHUNK - p->len, out_got, &err);
  if (code) return intake_failed(p->c, code, &err);
  p->len += *out_got;
  return S3_OK;
}

/* The next thing of the form, from as many bytes as it takes. MORE: the body has ended after the form. */
static enum s3_error next(struct post *p, struct s3_form_event *out) {
  for (;;) {
    size_t used = 0, got = 0;
    enum s3_error error = s3_form_next(&p->form, slice_of(p->bytes + p->at, p->len - p->at), &used, out);
    if (error) return error;
    p->at += used;
    if (out->kind != S3_FORM_MORE) return S3_OK;
    error = fill(p, &got);
    if (error) return error;
    if (got == 0) return s3_form_is_done(&p->form) ? S3_OK : S3_ERR_MALFORMED_POST;
  }
}

enum s3_error post_read(struct post *p, struct slice *out) {
  struct s3_form_event event;
  *out = slice_of(NULL, 0);
  p->is_taken = true;
  do {
    enum s3_error error = next(p, &event);
    if (error) return error;
  } while (event.kind != S3_FORM_DATA && event.kind != S3_FORM_MORE);
  if (event.kind == S3_FORM_DATA) *out = event.value;
  return S3_OK;
}

static enum s3_error fault_detail(struct call *c, enum s3_error error, const struct s3_fault *fault) {
  if (error && fault->detail) snprintf(c->detail, sizeof c->detail, "%s", fault->detail);
  return error;
}

/* All fields, up to the file's first byte. */
static enum s3_error read_fields(struct post *p) {
  struct arena *arena = wire_exchange_arena(p->c->x);
  struct s3_form_event event;
  struct s3_fault fault = {0};
  do {
    enum s3_error error = next(p, &event);
    if (error) return error;
    if (event.kind == S3_FORM_END) return S3_ERR_POST_FILES;
    error = s3_form_add(p->fields, &event, arena, &fault);
    if (error) return fault_detail(p->c, error, &fault);
  } while (event.kind != S3_FORM_FILE);
  return s3_form_expand(p->fields, arena);
}

/* ---- judging ------------------------------------------------------------------------------------------ */

/* Who signed the form, and whether its policy lets these fields be. Without a policy it is anybody's: then
 * only the bucket's own rules can say yes. */
static enum s3_error verify(struct post *p) {
  struct call *c = p->c;
  struct auth_form signature;
  struct s3_fault fault = {0};
  bool is_signed = false;
  enum s3_error error = s3_form_credential(p->fields, &is_signed, &signature, &fault);
  if (error || !is_signed) return fault_detail(c, error, &fault);
  struct arena *arena = wire_exchange_arena(c->x);
  error = s3_error_of_auth(auth_verify_form(c->r->verifier, &signature, c->head.now_ms, arena, &c->auth));
  if (error) return error;
  error = s3_form_policy_check(signature.policy, p->fields, c->q.bucket, c->head.now_ms, arena, &p->range,
                               &fault);
  return fault_detail(c, error, &fault);
}

/* The fields as the head of a PUT: from here on nothing asks how they came. */
static enum s3_error take_fields(struct post *p) {
  struct call *c = p->c;
  struct s3_fault fault = {0};
  enum s3_error error = verify(p);
  if (error) return error;
  error = s3_form_request(p->fields, &c->head, wire_exchange_arena(c->x), &c->q, &c->head, &fault);
  if (error) return fault_detail(c, error, &fault);
  error = customer_secure(c);
  return error ? error : access_begin(c);
}

/* ---- answering ------------------------------------------------------------------------------------------
 */

static enum s3_error answer(struct post *p, const struct store_object *o, const struct s3_meta *meta) {
  struct call *c = p->c;
  BUF_AUTO location = BUF_INIT;
  BUF_AUTO body = BUF_INIT;
  char etag[S3_ETAG_SIZE];
  struct slice host = {0};
  struct s3_form_answer wanted = s3_form_answer(p->fields);
  struct s3_headers headers = {.arena = wire_exchange_arena(c->x)};
  object_etag(o, etag);
  (void)auth_header_find(&c->head, SLICE_LIT("host"), &host);
  s3_form_location(&c->q, host, c->client_tls > 0, &location);
  if (wanted.status == 201) {
    s3_form_result(&c->q, buf_slice(&location), slice_str(etag), &body);
    s3_headers_add(&headers, SLICE_LIT("Content-Type"), SLICE_LIT("application/xml"));
  } else if (wanted.status == 303) {
    buf_reset(&location);
    s3_form_redirect(&c->q, wanted.redirect, slice_str(etag), &location);
  }
  s3_headers_add_copy(&headers, SLICE_LIT("Location"), buf_slice(&location));
  s3_headers_etag(&headers, o->etag_md5, 0);
  s3_headers_object_checksum(&headers, meta, 0);
  if (location.failed || body.failed || headers.failed) return S3_ERR_SLOW_DOWN;
  expiration_field(c, o, meta);
  call_headers(c, &headers);
  wire_reply(c->x, wanted.status, buf_slice(&body), NULL);
  return S3_OK;
}

static enum s3_error store(struct post *p) {
  struct call *c = p->c;
  struct store_object o;
  struct s3_meta meta;
  bool done = false;
  enum s3_error error = call_enter(c, &done);
  if (error || done) return error;
  error = object_store(c, &o, &meta);
  return error ? error : answer(p, &o, &meta);
}

/* A gateway that is behind sent it here: said before the body is asked for, which could not be sent again. */
static enum s3_error look_away(struct call *c, bool *out_done) {
  if (!c->has_route) return S3_OK;
  STORE_VIEW_AUTO *v = NULL;
  struct subject_who who = {0};
  struct dom_err err = {0};
  assert(c->is_forwarded);
  enum dom_code code = store_view_open(c->r->store, &v, &err);
  if (!code) code = subject_resolve_token(c->r->subjects, v, c->route, &who, &err);
  if (code || who.where != SUBJECT_ELSEWHERE) return S3_OK; /* the fields will tell */
  c->who = who;
  *out_done = true;
  return call_misdirected(c);
}

enum s3_error post_object(struct call *c) {
  uint64_t length = 0;
  bool done = false;
  if (c->post) return store(c->post); /* sent on, and sent back: the fields are known */
  if (c->auth.scheme != AUTH_ANONYMOUS) return S3_ERR_INVALID_TWO_MECHANISMS;
  if (!wire_body_length(c->x, &length)) return S3_ERR_MISSING_CONTENT_LENGTH;
  enum s3_error away = look_away(c, &done);
  if (away || done) return away;
  POST_AUTO p = {.c = c, .range = {.bytes_max = S3_PUT_BYTES_MAX}};
  enum s3_error error = s3_form_begin(wire_exchange_field(c->x, "Content-Type"), &p.form);
  if (error) return error;
  p.fields = arena_alloc(wire_exchange_arena(c->x), sizeof *p.fields);
  p.bytes = dom_alloc(SERVE_CHUNK);
  if (!p.fields || !p.bytes) return S3_ERR_SLOW_DOWN;
  p.fields->count = 0;
  p.fields->file_name = SLICE_LIT("");
  error = read_fields(&p);
  if (!error) error = take_fields(&p);
  if (error) return error;
  c->post = &p;
  return store(&p);
}
