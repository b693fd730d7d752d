#include <assert.h>

#include "wire/conn.h"

void body_begin(struct wire_exchange *x) {
  const struct wire_head *h = &x->head;
  x->body = (struct exchange_body){.kind = BODY_NONE, .done = true};
  if (h->chunked)
    x->body = (struct exchange_body){.kind = BODY_CHUNKED};
  else if (h->length > 0)
    x->body = (struct exchange_body){.kind = BODY_LENGTH, .left = h->length};
  x->body.continue_pending = h->expect_continue;
  assert(x->body.done == (x->body.kind == BODY_NONE));
}

bool wire_body_length(const struct wire_exchange *x, uint64_t *out_length) {
  assert(out_length != NULL);
  if (x->head.chunked) return false;
  *out_length = x->head.length;
  return true;
}

uint64_t wire_body_taken(const struct wire_exchange *x) {
  assert(x != NULL);
  return x->body.taken;
}

static size_t buffered(const struct wire_worker *w) {
  assert(w->in_pos <= w->in_len && w->in_len <= CONN_INPUT_BYTES);
  return w->in_len - w->in_pos;
}

/* Reads from the socket into `out`; an end of input here is too early. */
static enum dom_code read_more(struct wire_exchange *x, void *out, size_t cap, size_t *out_len,
                               struct dom_err *err) {
  assert(cap > 0 && !x->body.done);
  size_t n;
  enum dom_code c = wire_io_read(&x->conn->io, &x->read_pace, out, cap, &n);
  if (c == DOM_TIMEOUT || c == DOM_BUSY) {
    server_count_slow(x->worker->server);
    return dom_fail(err, c, "wire/body: read", "%s",
                    c == DOM_BUSY ? "too many clients send their bodies slowly"
                                  : "the client sends its body too slowly");
  }
  if (c != DOM_OK) return dom_fail(err, c, "wire/body: read", "the connection broke inside a request body");
  if (n == 0) return dom_fail(err, DOM_IO, "wire/body: read", "the client closed inside a request body");
  *out_len = n;
  return DOM_OK;
}

/* Refills the empty input buffer behind the head. */
static enum dom_code refill(struct wire_exchange *x, struct dom_err *err) {
  struct wire_worker *w = x->worker;
  assert(buffered(w) == 0 && w->in_floor < CONN_INPUT_BYTES);
  w->in_pos = w->in_len = w->in_floor;
  size_t n = 0;
  enum dom_code c = read_more(x, w->input + w->in_len, CONN_INPUT_BYTES - w->in_len, &n, err);
  w->in_len += n;
  return c;
}

/* Up to `limit` bytes of body: what is buffered, else straight from the socket when that saves a
 * copy of something large. */
static enum dom_code take_bytes(struct wire_exchange *x, uint8_t *out, size_t limit, size_t *out_len,
                                struct dom_err *err) {
  struct wire_worker *w = x->worker;
  assert(limit > 0);
  if (buffered(w) == 0) {
    bool direct = x->body.kind == BODY_LENGTH || limit >= WIRE_HEAD_BYTES_MAX;
    if (direct) return read_more(x, out, limit, out_len, err);
    enum dom_code c = refill(x, err);
    if (c != DOM_OK) return c;
  }
  size_t n = buffered(w) < limit ? buffered(w) : limit;
  memcpy(out, w->input + w->in_pos, n);
  w->in_pos += n;
  *out_len = n;
  return DOM_OK;
}

static enum dom_code read_length(struct wire_exchange *x, uint8_t *out, size_t cap, size_t *out_len,
                                 struct dom_err *err) {
  struct exchange_body *b = &x->body;
  assert(b->left > 0);
  enum dom_code c = take_bytes(x, out, b->left < cap ? (size_t)b->left : cap, out_len, err);
  if (c != DOM_OK) return c;
  b->left -= *out_len;
  b->done = b->left == 0;
  return DOM_OK;
}

/* Goes through framing until body bytes come or the body ends. */
static enum dom_code to_chunk_data(struct wire_exchange *x, struct dom_err *err) {
  struct wire_worker *w = x->worker;
  struct chunk_state *k = &x->body.chunk;
  for (;;) {
    w->in_pos += chunk_feed(k, slice_of(w->input + w->in_pos, buffered(w)));
    if (k->phase == CHUNK_BAD) return dom_fail(err, DOM_INVALID, "wire/body: chunk", "malformed chunk");
    if (k->phase == CHUNK_DATA || k->phase == CHUNK_END) return DOM_OK;
    assert(buffered(w) == 0);
    enum dom_code c = refill(x, err);
    if (c != DOM_OK) return c;
  }
}

static enum dom_code read_chunked(struct wire_exchange *x, uint8_t *out, size_t cap, size_t *out_len,
                                  struct dom_err *err) {
  struct chunk_state *k = &x->body.chunk;
  enum dom_code c = to_chunk_data(x, err);
  if (c != DOM_OK) return c;
  if (k->phase == CHUNK_END) {
    x->body.done = true;
    *out_len = 0;
    return DOM_OK;
  }
  assert(k->phase == CHUNK_DATA && k->left > 0);
  c = take_bytes(x, out, k->left < cap ? (size_t)k->left : cap, out_len, err);
  if (c == DOM_OK) chunk_take(k, *out_len);
  return c;
}

/* RFC 9110 §10.1.1: only now does the client learn that its body is wanted. An empty body is announced, too:
 * botocore 1.29 waits for it, and takes a final status in its place for the next answer's on the connection.
 */
static enum dom_code send_continue(struct wire_exchange *x, struct dom_err *err) {
  assert(x->body.continue_pending && x->body.taken == 0);
  static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
  x->body.continue_pending = false;
  if (x->reply.phase > REPLY_BEGUN) return DOM_OK; /* the final reply is under way: too late to ask */
  struct iovec part = {.iov_base = (void *)(uintptr_t)text, .iov_len = sizeof text - 1};
  enum dom_code c = wire_io_write(&x->conn->io, &x->write_pace, &part, 1);
  if (c != DOM_OK) return dom_fail(err, c, "wire/body: continue", "the client did not take 100 Continue");
  return DOM_OK;
}

enum dom_code wire_body_read(struct wire_exchange *x, void *out, size_t cap, size_t *out_len,
                             struct dom_err *err) {
  assert(cap > 0 && out != NULL && out_len != NULL);
  struct exchange_body *b = &x->body;
  if (b->failed != DOM_OK) return dom_fail(err, b->failed, "wire/body: read", "the body failed before");
  size_t n = 0;
  enum dom_code c = b->continue_pending ? send_continue(x, err) : DOM_OK;
  if (c == DOM_OK && !b->done)
    c = b->kind == BODY_LENGTH ? read_length(x, out, cap, &n, err) : read_chunked(x, out, cap, &n, err);
  b->failed = c;
  if (c != DOM_OK) return c;
  b->taken += n;
  *out_len = n;
  return DOM_OK;
}

enum dom_code wire_body_read_all(struct wire_exchange *x, size_t size_max, struct buf *out,
                                 struct dom_err *err) {
  enum { STEP_BYTES = 16 * 1024 };
  size_t begin = out->len;
  if (x->head.length > size_max)
    return dom_fail(err, DOM_TOO_LARGE, "wire/body: whole", "the body is too large");
  for (;;) {
    if (!buf_reserve(out, STEP_BYTES)) return dom_fail(err, DOM_NO_MEMORY, "wire/body: whole", "no memory");
    size_t n;
    enum dom_code c = wire_body_read(x, out->data + out->len, out->cap - out->len, &n, err);
    if (c != DOM_OK) return c;
    if (n == 0) return DOM_OK;
    out->len += n;
    assert(out->len <= out->cap);
    if (out->len - begin > size_max)
      return dom_fail(err, DOM_TOO_LARGE, "wire/body: whole", "the body is too large");
  }
}

bool body_is_keepable(const struct wire_exchange *x) {
  assert(x->worker != NULL);
  const struct exchange_body *b = &x->body;
  /* A client that still waits for 100 Continue may or may not send its body after the reply. */
  if (b->failed != DOM_OK || b->continue_pending) return false;
  return b->done || (b->kind == BODY_LENGTH && b->left <= CONN_DRAIN_BYTES_MAX);
}

bool body_drain(struct wire_exchange *x) {
  assert(body_is_keepable(x));
  uint8_t scrap[4096];
  wire_pace_limit(&x->read_pace, CONN_DRAIN_MS_MAX);
  while (!x->body.done) {
    size_t n;
    if (wire_body_read(x, scrap, sizeof scrap, &n, NULL) != DOM_OK) return false;
  }
  return true;
}
