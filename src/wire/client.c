#include "wire/client.h"

#include <assert.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "wire/client_pool.h"
#include "wire/head_rules.h"

enum {
  /* Fields of one answer: as many and as large as we take in a request. */
  ANSWER_BYTES_MAX = WIRE_HEAD_BYTES_MAX,
  UPLOAD_BUFFER_BYTES = 256 * 1024, /* one pull; curl's own 64 KiB costs four times the calls */
  KEPT_CONNECTIONS_MAX = 1          /* of one handle: the one that the pool looks after */
};

/* One request under way. */
struct call {
  const struct wire_request *request;
  struct wire_outcome *outcome;
  struct client_handle *handle;
  struct client_tls *tls;    /* held; NULL: none was put */
  char why[CURL_ERROR_SIZE]; /* curl's words of a failure */
  struct curl_slist *fields;
  struct buf answer;    /* raw field lines of the answer that is arriving */
  unsigned prepared;    /* how often curl was about to write the head */
  bool answered;        /* the answer callback ran */
  enum dom_code failed; /* of a callback of the caller, or of ours */
  struct dom_err *err;
  uint64_t moved_ns; /* last time that a byte moved */
};

static void call_done(struct call *k) {
  assert(k != NULL);
  curl_slist_free_all(k->fields);
  client_tls_release(k->tls);
  buf_done(&k->answer);
}

static uint64_t now_ns(void) {
  return clock_mono_ns(clock_posix());
}

static enum dom_code fail_call(struct call *k, enum dom_code c) {
  assert(c != DOM_OK);
  if (k->failed == DOM_OK) k->failed = c;
  return c;
}

/* curl calls this when the connection stands and the head is about to be written. A second time
 * means that it wants to send again on another connection. */
static int on_prepared(void *arg, char *ip, char *local_ip, int port, int local_port) {
  struct call *k = arg;
  (void)ip, (void)local_ip, (void)port, (void)local_port;
  assert(k->request != NULL);
  if (k->prepared++ > 0 && k->request->once) {
    fail_call(k, dom_fail(k->err, DOM_UNAVAILABLE, "wire/client: send",
                          "the connection broke after the request had left; it is not sent again"));
    return CURL_PREREQFUNC_ABORT;
  }
  k->outcome->connected = true;
  k->moved_ns = now_ns();
  return CURL_PREREQFUNC_OK;
}

static size_t on_pull(char *out, size_t size, size_t count, void *arg) {
  struct call *k = arg;
  const struct wire_request *r = k->request;
  size_t cap = size * count, n = 0;
  bool bounded = r->body_length != WIRE_CLIENT_CHUNKED;
  uint64_t left = bounded ? r->body_length - k->outcome->pulled : UINT64_MAX;
  if (left == 0) return 0;
  if (cap > left) cap = (size_t)left;
  enum dom_code c = r->pull(r->arg, out, cap, &n, k->err);
  assert(c != DOM_OK || n <= cap);
  if (c == DOM_OK && n == 0 && bounded)
    c = dom_fail(k->err, DOM_INVALID, "wire/client: body", "the body is shorter than declared");
  if (c != DOM_OK) {
    fail_call(k, c);
    return CURL_READFUNC_ABORT;
  }
  k->outcome->pulled += n;
  k->moved_ns = now_ns();
  return n;
}

/* A rewind would be a second sending of the body: only what was never pulled can be sent anew. */
static int on_seek(void *arg, curl_off_t offset, int origin) {
  const struct call *k = arg;
  assert(k->outcome != NULL);
  return offset == 0 && origin == SEEK_SET && k->outcome->pulled == 0 ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

/* Splits the collected lines into fields; the first line is the status line. */
static size_t split_fields(struct slice text, struct wire_field out[WIRE_FIELDS_MAX]) {
  size_t count = 0;
  for (bool first = true; text.len > 0; first = false) {
    size_t end = slice_find(text, '\n');
    struct slice line = slice_cut(text, 0, end);
    text = slice_cut(text, end < text.len ? end + 1 : end, text.len);
    size_t colon = slice_find(line, ':');
    if (line.len > 0 && line.data[line.len - 1] == '\r') line.len--;
    if (first || colon == 0 || colon >= line.len || count == WIRE_FIELDS_MAX) continue;
    out[count++] = (struct wire_field){.name = head_trim(slice_cut(line, 0, colon)),
                                       .value = head_trim(slice_cut(line, colon + 1, line.len))};
  }
  assert(count <= WIRE_FIELDS_MAX);
  return count;
}

static enum dom_code deliver_answer(struct call *k) {
  long status = 0;
  curl_easy_getinfo(k->handle->easy, CURLINFO_RESPONSE_CODE, &status);
  assert(!k->answered);
  if (status < 200) return DOM_OK; /* 100 Continue and friends: the real one follows */
  if (status > 599) /* no such class (RFC 9110 §15): whoever passes it on would be wrong too */
    return dom_fail(k->err, DOM_UNAVAILABLE, "wire/client: answer", "the answer has an impossible status");
  k->answered = true;
  k->outcome->status = (unsigned)status;
  if (k->request->answer == NULL) return DOM_OK;
  struct wire_field fields[WIRE_FIELDS_MAX];
  size_t count = split_fields(buf_slice(&k->answer), fields);
  return k->request->answer(k->request->arg, k->outcome->status, fields, count, k->err);
}

static size_t on_field(char *line, size_t size, size_t count, void *arg) {
  struct call *k = arg;
  size_t len = size * count;
  k->moved_ns = now_ns();
  if (k->answered) return len; /* trailers of a chunked answer */
  if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) buf_reset(&k->answer);
  bool blank = len <= 2 && (len == 0 || line[0] == '\r' || line[0] == '\n');
  if (!blank) buf_append(&k->answer, line, len);
  enum dom_code c = DOM_OK;
  if (k->answer.len > ANSWER_BYTES_MAX)
    c = dom_fail(k->err, DOM_UNAVAILABLE, "wire/client: answer", "the answer's head is too large");
  if (c == DOM_OK) c = buf_check(&k->answer, k->err);
  if (c == DOM_OK && blank) c = deliver_answer(k);
  if (c == DOM_OK) return len;
  fail_call(k, c);
  return len + 1; /* anything but len makes curl stop */
}

static size_t on_body(char *data, size_t size, size_t count, void *arg) {
  struct call *k = arg;
  size_t len = size * count;
  assert(k->answered || len == 0);
  k->moved_ns = now_ns();
  k->outcome->received += len;
  if (k->request->sink == NULL) return len;
  enum dom_code c = k->request->sink(k->request->arg, slice_of(data, len), k->err);
  k->moved_ns = now_ns();
  if (c == DOM_OK) return len;
  fail_call(k, c);
  return len + 1;
}

static bool add_line(struct call *k, const char *line) {
  assert(line != NULL);
  struct curl_slist *longer = curl_slist_append(k->fields, line);
  if (longer == NULL) return false;
  k->fields = longer;
  return true;
}

/* Fields that curl would add by itself are switched off by "Name:", empty ones are "Name;". */
static bool add_fields(struct call *k) {
  const struct wire_request *r = k->request;
  bool accept = false, type = false;
  BUF_AUTO line = BUF_INIT;
  for (size_t i = 0; i < r->field_count; i++) {
    const struct wire_field *f = &r->fields[i];
    assert(f->name.len > 0);
    if (wire_field_is_hop(f->name)) continue;
    accept = accept || slice_equal_nocase(f->name, SLICE_LIT("accept"));
    type = type || slice_equal_nocase(f->name, SLICE_LIT("content-type"));
    buf_reset(&line);
    buf_append_slice(&line, f->name);
    buf_append_str(&line, f->value.len > 0 ? ": " : ";");
    buf_append_slice(&line, f->value);
    const char *text = buf_str(&line);
    if (line.failed || !add_line(k, text)) return false;
  }
  if (!accept && !add_line(k, "Accept:")) return false;
  if (!type && !add_line(k, "Content-Type:")) return false;
  if (!add_line(k, r->expect_continue && r->body_length > 0 ? "Expect: 100-continue" : "Expect:"))
    return false;
  if (r->body_length == WIRE_CLIENT_CHUNKED) return add_line(k, "Transfer-Encoding: chunked");
  return r->body_length > 0 || !r->length_header || add_line(k, "Content-Length: 0");
}

/* First refusal of an option; curl copies strings, so temporaries are fine. */
#define SET(option, value)                                                                                   \
  if (rc == CURLE_OK) rc = curl_easy_setopt(e, option, value)

static CURLcode set_request(struct call *k, const char *method, const char *target) {
  const struct wire_request *r = k->request;
  CURL *e = k->handle->easy;
  CURLcode rc = CURLE_OK;
  assert(e != NULL);
  SET(CURLOPT_URL, r->origin);
  SET(CURLOPT_REQUEST_TARGET, target);
  SET(CURLOPT_PATH_AS_IS, 1L);
  SET(CURLOPT_UNIX_SOCKET_PATH, r->unix_path);
  if (r->body_length > 0) {
    SET(CURLOPT_UPLOAD, 1L);
    SET(CURLOPT_READFUNCTION, on_pull);
    SET(CURLOPT_READDATA, k);
    SET(CURLOPT_SEEKFUNCTION, on_seek);
    SET(CURLOPT_SEEKDATA, k);
    SET(CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER_BYTES);
    SET(CURLOPT_INFILESIZE_LARGE,
        r->body_length == WIRE_CLIENT_CHUNKED ? (curl_off_t)-1 : (curl_off_t)r->body_length);
    /* Never start the body by itself: our own timers end a wait without an answer. */
    SET(CURLOPT_EXPECT_100_TIMEOUT_MS, 24L * 3600 * 1000);
  } else if (slice_equal(r->method, SLICE_LIT("HEAD"))) {
    SET(CURLOPT_NOBODY, 1L);
  }
  SET(CURLOPT_CUSTOMREQUEST, method);
  SET(CURLOPT_HTTPHEADER, k->fields);
  return rc;
}

/* libcurl copies what it keeps with a connection, and uses a connection again only for the very same texts.
 */
static struct curl_blob blob_of(const struct buf *b) {
  assert(b->len > 0);
  return (struct curl_blob){.data = b->data, .len = b->len, .flags = CURL_BLOB_NOCOPY};
}

static CURLcode set_tls(struct call *k) {
  CURL *e = k->handle->easy;
  CURLcode rc = CURLE_OK;
  assert(e != NULL);
  SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  SET(CURLOPT_SSL_VERIFYPEER, 1L);
  SET(CURLOPT_SSL_VERIFYHOST, 2L);
  if (k->tls != NULL && k->tls->authorities.len > 0) {
    struct curl_blob ca = blob_of(&k->tls->authorities);
    SET(CURLOPT_CAINFO_BLOB, &ca);
    SET(CURLOPT_CAPATH, NULL); /* or the system's would be believed as well */
  }
  if (k->tls != NULL && k->tls->chain.len > 0) {
    struct curl_blob chain = blob_of(&k->tls->chain), key = blob_of(&k->tls->key);
    SET(CURLOPT_SSLCERT_BLOB, &chain);
    SET(CURLOPT_SSLKEY_BLOB, &key);
  }
  return rc;
}

static CURLcode set_habits(struct call *k) {
  CURL *e = k->handle->easy;
  CURLcode rc = CURLE_OK;
  uint32_t connect_ms = k->request->connect_ms != 0 ? k->request->connect_ms : WIRE_CLIENT_CONNECT_MS_DEFAULT;
  assert(connect_ms > 0);
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_ERRORBUFFER, k->why);
  SET(CURLOPT_PROXY, "");
  SET(CURLOPT_NOPROXY, "*");
  SET(CURLOPT_PROTOCOLS_STR, "http,https");
  SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  SET(CURLOPT_TCP_NODELAY, 1L);
  SET(CURLOPT_FOLLOWLOCATION, 0L);
  SET(CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
  SET(CURLOPT_MAXAGE_CONN, (long)WIRE_CLIENT_IDLE_S);
  SET(CURLOPT_BUFFERSIZE, (long)UPLOAD_BUFFER_BYTES);
  SET(CURLOPT_PREREQFUNCTION, on_prepared);
  SET(CURLOPT_PREREQDATA, k);
  SET(CURLOPT_HEADERFUNCTION, on_field);
  SET(CURLOPT_HEADERDATA, k);
  SET(CURLOPT_WRITEFUNCTION, on_body);
  SET(CURLOPT_WRITEDATA, k);
  if (rc == CURLE_OK &&
      curl_multi_setopt(k->handle->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS_MAX) != 0)
    rc = CURLE_OUT_OF_MEMORY;
  return rc;
}
#undef SET

static enum dom_code prepare(struct call *k) {
  BUF_AUTO method = BUF_INIT;
  BUF_AUTO target = BUF_INIT;
  assert(k->request->method.len > 0 && k->request->target.len > 0);
  buf_append_slice(&method, k->request->method);
  buf_append_slice(&target, k->request->target);
  const char *m = buf_str(&method), *t = buf_str(&target);
  if (method.failed || target.failed || !add_fields(k))
    return dom_fail(k->err, DOM_NO_MEMORY, "wire/client: prepare", "no memory");
  CURLcode rc = set_request(k, m, t);
  if (rc == CURLE_OK) rc = set_habits(k);
  if (rc == CURLE_OK) rc = set_tls(k);
  if (rc == CURLE_OK) return DOM_OK;
  return dom_fail(k->err, rc == CURLE_OUT_OF_MEMORY ? DOM_NO_MEMORY : DOM_INVALID, "wire/client: prepare",
                  "%s", curl_easy_strerror(rc));
}

/* Our own reasons to stop between two steps. */
static enum dom_code check_time(struct call *k, uint64_t begun_ns) {
  const struct wire_request *r = k->request;
  uint64_t now = now_ns();
  uint64_t stall_ms = r->stall_ms != 0 ? r->stall_ms : WIRE_CLIENT_STALL_MS_DEFAULT;
  assert(now >= begun_ns);
  if (r->cancel != NULL && r->cancel(r->arg))
    return dom_fail(k->err, DOM_CANCELLED, "wire/client: send", "the caller gave up");
  if (r->total_ms != 0 && now - begun_ns > r->total_ms * 1000000ull)
    return dom_fail(k->err, DOM_TIMEOUT, "wire/client: send", "%s did not finish in time", r->origin);
  if (now > k->moved_ns && now - k->moved_ns > stall_ms * 1000000ull)
    return dom_fail(k->err, DOM_TIMEOUT, "wire/client: send", "%s stalled", r->origin);
  return DOM_OK;
}

static int wait_ms(const struct wire_request *r) {
  uint32_t wait = WIRE_CLIENT_POLL_MS;
  if (r->total_ms != 0 && r->total_ms < wait) wait = r->total_ms;
  if (r->stall_ms != 0 && r->stall_ms < wait) wait = r->stall_ms;
  assert(wait > 0);
  return (int)wait;
}

/* Drives the transfer to its end. Returns curl's verdict in *out_result. */
static enum dom_code drive(struct call *k, CURLcode *out_result) {
  CURLM *m = k->handle->multi;
  uint64_t begun_ns = k->moved_ns = now_ns();
  for (;;) {
    int running = 0, left = 0;
    if (curl_multi_perform(m, &running) != CURLM_OK)
      return dom_fail(k->err, DOM_NO_MEMORY, "wire/client: send", "no memory");
    CURLMsg *message = curl_multi_info_read(m, &left);
    if (message != NULL && message->msg == CURLMSG_DONE) {
      *out_result = message->data.result;
      return DOM_OK;
    }
    assert(running > 0);
    enum dom_code c = check_time(k, begun_ns);
    if (c != DOM_OK) return c;
    if (curl_multi_poll(m, NULL, 0, wait_ms(k->request), NULL) != CURLM_OK)
      return dom_fail(k->err, DOM_NO_MEMORY, "wire/client: send", "no memory");
  }
}

static enum dom_code explain(struct call *k, CURLcode rc) {
  if (k->failed != DOM_OK) return k->failed;
  assert(k->request->origin != NULL);
  if (rc == CURLE_OK && k->answered) return DOM_OK;
  if (rc == CURLE_OK) return dom_fail(k->err, DOM_UNAVAILABLE, "wire/client: answer", "no answer");
  enum dom_code c = rc == CURLE_OPERATION_TIMEDOUT ? DOM_TIMEOUT
                    : rc == CURLE_OUT_OF_MEMORY    ? DOM_NO_MEMORY
                                                   : DOM_UNAVAILABLE;
  /* Not connecting in time is no doubt about what the peer did. */
  if (c == DOM_TIMEOUT && !k->outcome->connected) c = DOM_UNAVAILABLE;
  return dom_fail(k->err, c, "wire/client: send", "%s: %s", k->request->origin,
                  k->why[0] != '\0' ? k->why : curl_easy_strerror(rc));
}

static void note_connection(struct client_handle *h) {
  curl_socket_t fd = CURL_SOCKET_BAD;
  assert(h->easy != NULL);
  h->last_fd = curl_easy_getinfo(h->easy, CURLINFO_ACTIVESOCKET, &fd) == CURLE_OK ? fd : -1;
}

static enum dom_code perform(struct call *k) {
  enum dom_code c = prepare(k);
  if (c != DOM_OK) return c;
  if (curl_multi_add_handle(k->handle->multi, k->handle->easy) != CURLM_OK)
    return dom_fail(k->err, DOM_NO_MEMORY, "wire/client: send", "no memory");
  CURLcode rc = CURLE_OK;
  c = drive(k, &rc);
  note_connection(k->handle);
  /* A transfer that is removed half-way takes its connection with it. */
  curl_multi_remove_handle(k->handle->multi, k->handle->easy);
  assert(k->handle->easy != NULL);
  return c != DOM_OK ? c : explain(k, rc);
}

enum dom_code wire_client_send(struct wire_client *c, const struct wire_request *r,
                               struct wire_outcome *out_outcome, struct dom_err *err) {
  assert(c != NULL && r != NULL && out_outcome != NULL);
  assert(r->body_length == 0 || r->pull != NULL);
  *out_outcome = (struct wire_outcome){0};
  __attribute__((cleanup(call_done))) struct call k = {.request = r, .outcome = out_outcome, .err = err};
  k.handle = client_pool_take(c, r->unix_path != NULL ? r->unix_path : r->origin);
  k.tls = client_tls_hold(c);
  if (k.handle == NULL) return dom_fail(err, DOM_NO_MEMORY, "wire/client: send", "no memory");
  enum dom_code code = perform(&k);
  client_pool_give(c, k.handle, code == DOM_NO_MEMORY);
  return code;
}
