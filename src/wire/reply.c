#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "wire/conn.h"

bool wire_reply_field_is_own(struct slice name) {
  assert(name.data != NULL);
  return wire_field_is_hop(name) || slice_equal_nocase(name, SLICE_LIT("date")) ||
         slice_equal_nocase(name, SLICE_LIT("server"));
}

static bool ends_a_line(struct slice s) {
  assert(s.data != NULL || s.len == 0);
  for (size_t i = 0; i < s.len; i++)
    if ((s.data[i] < 0x20 && s.data[i] != '\t') || s.data[i] == 0x7f) return true;
  return false;
}

enum dom_code wire_reply_field(struct wire_exchange *x, struct slice name, struct slice value) {
  assert(x->reply.phase <= REPLY_BEGUN && name.len > 0);
  assert(!wire_reply_field_is_own(name));
  struct buf *b = &x->worker->fields;
  if (ends_a_line(name) || ends_a_line(value)) return DOM_INVALID;
  if (b->len + name.len + value.len + 4 > WIRE_REPLY_FIELDS_BYTES_MAX) return DOM_TOO_LARGE;
  if (!buf_reserve(b, name.len + value.len + 4)) return DOM_NO_MEMORY;
  buf_append_slice(b, name);
  buf_append(b, ": ", 2);
  buf_append_slice(b, value);
  buf_append(b, "\r\n", 2);
  return DOM_OK;
}

enum dom_code wire_reply_field_str(struct wire_exchange *x, const char *name, const char *value) {
  assert(name != NULL && value != NULL);
  return wire_reply_field(x, slice_str(name), slice_str(value));
}

static void append_number(struct buf *b, uint64_t n) {
  char text[20];
  size_t at = sizeof text;
  do {
    assert(at > 0);
    text[--at] = (char)('0' + n % 10);
    n /= 10;
  } while (n > 0);
  buf_append(b, text + at, sizeof text - at);
}

/* The date changes once a second; every reply carries it (RFC 9110 §6.6.1). */
static const char *date_now(struct wire_worker *w) {
  uint64_t now_ms = clock_wall_ms(w->server->options.clock);
  if (now_ms / 1000 != w->date_s || w->date[0] == '\0') {
    w->date_s = now_ms / 1000;
    time_http(now_ms, w->date);
  }
  assert(w->date[0] != '\0');
  return w->date;
}

static bool decide_keep(const struct wire_exchange *x) {
  const struct wire_server *s = x->worker->server;
  assert(s != NULL);
  return x->head.keep_alive && !x->reply.close && !x->conn->doomed && !atomic_load(&s->draining) &&
         body_is_keepable(x);
}

static void append_framing(struct wire_exchange *x, struct buf *b) {
  assert(!x->reply.chunked || x->reply.length == WIRE_LENGTH_UNKNOWN);
  const struct exchange_reply *r = &x->reply;
  bool silent = r->status == 204 || (r->status == 304 && r->length == 0);
  if (r->chunked) {
    buf_append_str(b, "Transfer-Encoding: chunked\r\n");
  } else if (r->length != WIRE_LENGTH_UNKNOWN && !silent) {
    buf_append_str(b, "Content-Length: ");
    append_number(b, r->length);
    buf_append(b, "\r\n", 2);
  }
  if (!x->keep)
    buf_append_str(b, "Connection: close\r\n");
  else if (x->head.minor == 0)
    buf_append_str(b, "Connection: keep-alive\r\n");
}

/* Start line and own fields; the handler's fields follow with the blank line. */
static enum dom_code make_head(struct wire_exchange *x, struct dom_err *err) {
  struct wire_worker *w = x->worker;
  struct buf *b = &w->head_out;
  assert(x->reply.phase == REPLY_BEGUN);
  x->keep = decide_keep(x);
  buf_reset(b);
  buf_append_str(b, "HTTP/1.1 ");
  append_number(b, x->reply.status);
  buf_append_byte(b, ' ');
  buf_append_str(b, wire_status_text(x->reply.status));
  buf_append_str(b, "\r\nServer: Domicile\r\nDate: ");
  buf_append_str(b, date_now(w));
  buf_append(b, "\r\n", 2);
  append_framing(x, b);
  buf_append_slice(b, buf_slice(&w->fields));
  buf_append(b, "\r\n", 2);
  return buf_check(b, err);
}

/* What goes out with one system call. */
struct parts {
  struct iovec v[5];
  size_t count;
  char chunk_line[24];
};

static void parts_add(struct parts *p, const void *data, size_t len) {
  assert(p->count < sizeof p->v / sizeof p->v[0]);
  if (len > 0) p->v[p->count++] = (struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = len};
}

static void parts_add_body(struct parts *p, const struct exchange_reply *r, const void *data, size_t len,
                           bool last) {
  if (r->bodiless) return;
  if (!r->chunked) {
    parts_add(p, data, len);
    return;
  }
  if (len > 0) {
    int n = snprintf(p->chunk_line, sizeof p->chunk_line, "%zx\r\n", len);
    assert(n > 0 && (size_t)n < sizeof p->chunk_line);
    parts_add(p, p->chunk_line, (size_t)n);
    parts_add(p, data, len);
  }
  const char *tail = len == 0 ? "0\r\n\r\n" : last ? "\r\n0\r\n\r\n" : "\r\n";
  if (len > 0 || last) parts_add(p, tail, strlen(tail));
}

static enum dom_code send_parts(struct wire_exchange *x, struct parts *p, struct dom_err *err) {
  if (p->count == 0) return DOM_OK;
  enum dom_code c = wire_io_write(&x->conn->io, &x->write_pace, p->v, p->count);
  if (c == DOM_OK) return DOM_OK;
  assert(c == DOM_IO || c == DOM_TIMEOUT || c == DOM_BUSY);
  x->reply.phase = REPLY_FAILED;
  if (c != DOM_IO) server_count_slow(x->worker->server);
  return dom_fail(err, c, "wire/reply: write", "%s",
                  c == DOM_IO ? "the client is gone" : "the client takes the reply too slowly");
}

/* Sends `len` bytes of body, with the head before the first and the end mark after the last. */
static enum dom_code send_body(struct wire_exchange *x, const void *data, size_t len, bool last,
                               struct dom_err *err) {
  struct exchange_reply *r = &x->reply;
  struct parts p = {.count = 0};
  if (r->phase == REPLY_FAILED) return dom_fail(err, DOM_IO, "wire/reply: write", "the reply failed before");
  assert(r->phase == REPLY_BEGUN || r->phase == REPLY_SENDING);
  assert(r->length == WIRE_LENGTH_UNKNOWN || len <= r->length - r->written);
  if (r->phase == REPLY_BEGUN) {
    enum dom_code c = make_head(x, err);
    if (c != DOM_OK) {
      r->phase = REPLY_FAILED;
      return c;
    }
    r->phase = REPLY_SENDING;
    parts_add(&p, x->worker->head_out.data, x->worker->head_out.len);
  }
  parts_add_body(&p, r, data, len, last);
  enum dom_code c = send_parts(x, &p, err);
  if (c != DOM_OK) return c;
  r->written += len;
  if (last) r->phase = REPLY_DONE;
  return DOM_OK;
}

void wire_reply_begin(struct wire_exchange *x, unsigned status, uint64_t length) {
  struct exchange_reply *r = &x->reply;
  assert(r->phase == REPLY_NONE);
  assert(status >= 200 && status <= 599);
  r->phase = REPLY_BEGUN;
  r->status = status;
  r->length = length;
  r->bodiless = x->head.method == WIRE_METHOD_HEAD || status == 204 || status == 304;
  r->chunked = length == WIRE_LENGTH_UNKNOWN && x->head.minor >= 1 && !r->bodiless;
  /* HTTP/1.0 knows no chunks: the end of the connection ends the body. */
  if (length == WIRE_LENGTH_UNKNOWN && !r->chunked && !r->bodiless) r->close = true;
}

enum dom_code wire_reply_write(struct wire_exchange *x, const void *data, size_t len, struct dom_err *err) {
  assert(data != NULL || len == 0);
  return len == 0 && x->reply.phase != REPLY_FAILED ? DOM_OK : send_body(x, data, len, false, err);
}

enum dom_code wire_reply_end(struct wire_exchange *x, struct dom_err *err) {
  struct exchange_reply *r = &x->reply;
  assert(r->phase != REPLY_NONE && r->phase != REPLY_DONE);
  bool is_short = r->length != WIRE_LENGTH_UNKNOWN && r->written < r->length && !r->bodiless;
  if (is_short && r->phase != REPLY_FAILED) {
    r->phase = REPLY_FAILED;
    return dom_fail(err, DOM_INVALID, "wire/reply: end", "the reply is shorter than declared");
  }
  return send_body(x, NULL, 0, true, err);
}

enum dom_code wire_reply(struct wire_exchange *x, unsigned status, struct slice body, struct dom_err *err) {
  assert(body.data != NULL || body.len == 0);
  wire_reply_begin(x, status, body.len);
  if (x->reply.bodiless) {
    x->reply.written = body.len;
    return send_body(x, NULL, 0, true, err);
  }
  return send_body(x, body.data, body.len, true, err);
}

void wire_reply_abort(struct wire_exchange *x) {
  assert(x->reply.phase != REPLY_DONE);
  x->reply.phase = REPLY_FAILED;
}

bool wire_reply_is_open(const struct wire_exchange *x) {
  return x->reply.phase <= REPLY_BEGUN;
}

void wire_reply_restart(struct wire_exchange *x) {
  assert(wire_reply_is_open(x));
  bool close = x->reply.close;
  x->reply = (struct exchange_reply){.phase = REPLY_NONE, .close = close};
  buf_reset(&x->worker->fields);
}

void wire_reply_close(struct wire_exchange *x) {
  assert(wire_reply_is_open(x));
  x->reply.close = true;
}

unsigned wire_reply_status(const struct wire_exchange *x) {
  return x->reply.status;
}

uint64_t wire_reply_written(const struct wire_exchange *x) {
  return x->reply.written;
}

void reply_error(struct wire_exchange *x, unsigned status, const char *message) {
  char text[512];
  int n = snprintf(
      text, sizeof text,
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>%s</Message></Error>",
      status_error_code(status), message);
  assert(n > 0 && (size_t)n < sizeof text);
  (void)wire_reply_field_str(x, "Content-Type", "application/xml");
  if (status == 503) {
    char seconds[12];
    snprintf(seconds, sizeof seconds, "%d", WIRE_RETRY_AFTER_S);
    (void)wire_reply_field_str(x, "Retry-After", seconds);
  }
  (void)wire_reply(x, status, slice_of(text, (size_t)n), NULL); /* nobody is left to be told */
}
