#include "client.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>

#include "base/clock.h"
#include "xml.h"

/* A connection that cannot be made in so long is a failure, and so is a transfer that moves
 * less than a byte a second for so long: a held request is answered within 2 s by design. */
#define CONNECT_TIMEOUT_MS 5000L
#define STALL_S            60L
/* An idle connection older than this is not used again: the server may be about to close it,
 * and a lost race would look like a failed operation. */
#define IDLE_S_MAX 10L

bool endpoint_parse(const char *text, struct endpoint *out) {
  assert(text != NULL && out != NULL);
  struct endpoint e = {.label = "*"};
  size_t label = strcspn(text, "=:");
  if (text[label] == '=') {
    if (label == 0 || label >= sizeof e.label) return false;
    memcpy(e.label, text, label);
    e.label[label] = '\0';
    text += label + 1;
  }
  bool https = strncmp(text, "https://", 8) == 0;
  if (!https && strncmp(text, "http://", 7) != 0) return false;
  const char *host = text + (https ? 8 : 7);
  size_t len = strcspn(host, "/?#@ ");
  if (len == 0 || len >= sizeof e.host || (host[len] != '\0' && strcmp(host + len, "/") != 0)) return false;
  memcpy(e.host, host, len);
  snprintf(e.url, sizeof e.url, "%s://%s", https ? "https" : "http", e.host);
  char *port = strrchr(e.host, ':');
  if (port != NULL && strcmp(port, https ? ":443" : ":80") == 0) *port = '\0';
  *out = e;
  return true;
}

bool client_open(struct client *c, const struct endpoint *endpoint, const struct sigv4_key *key) {
  assert(c != NULL && endpoint != NULL && key != NULL);
  *c = (struct client){.curl = curl_easy_init(), .endpoint = endpoint, .key = key};
  return c->curl != NULL;
}

void client_close(struct client *c) {
  assert(c != NULL);
  if (c->curl != NULL) curl_easy_cleanup(c->curl);
  *c = (struct client){0};
}

void answer_done(struct answer *a) {
  assert(a != NULL);
  buf_done(&a->body);
}

/* What the callbacks of one request work on. */
struct exchange {
  struct answer *answer;
  bool sent; /* the request was begun on some connection */
  struct slice upload_left;
  struct digest digest;
  bool hashing;
};

static size_t on_body(char *data, size_t one, size_t len, void *context) {
  struct exchange *x = context;
  assert(one == 1 && x->answer != NULL);
  x->answer->size_bytes += len;
  if (x->hashing) {
    digest_update(&x->digest, data, len);
    return len;
  }
  if (x->answer->body.len + len > ANSWER_BODY_MAX) return 0;
  buf_append(&x->answer->body, data, len);
  return x->answer->body.failed ? 0 : len;
}

static size_t on_upload(char *into, size_t one, size_t cap, void *context) {
  struct exchange *x = context;
  assert(one == 1);
  size_t take = x->upload_left.len < cap ? x->upload_left.len : cap;
  if (take > 0) memcpy(into, x->upload_left.data, take);
  x->upload_left = slice_cut(x->upload_left, take, x->upload_left.len);
  return take;
}

/* Copies a header's value, without quotes and blanks, when `line` is that header. */
static void take_header(struct slice line, const char *name, char *out, size_t cap) {
  assert(cap > 0);
  size_t len = strlen(name);
  if (line.len <= len || line.data[len] != ':') return;
  if (!slice_equal_nocase(slice_cut(line, 0, len), slice_str(name))) return;
  struct slice v = slice_cut(line, len + 1, line.len);
  while (v.len > 0 && strchr(" \t\"", v.data[0]) != NULL) v = slice_cut(v, 1, v.len);
  while (v.len > 0 && strchr(" \t\r\n\"", v.data[v.len - 1]) != NULL) v.len--;
  if (v.len >= cap) return;
  memcpy(out, v.data, v.len);
  out[v.len] = '\0';
}

static size_t on_header(char *data, size_t one, size_t len, void *context) {
  struct exchange *x = context;
  assert(one == 1);
  struct slice line = slice_of(data, len);
  take_header(line, "etag", x->answer->etag, sizeof x->answer->etag);
  take_header(line, "x-domicile-met", x->answer->met, sizeof x->answer->met);
  return len;
}

/* Fills headers[] with the signed ones, the fixed three first. Returns: their number. */
static size_t sign_list(const struct request *r, const char *host, const char *hash, const char *stamp,
                        struct sigv4_header headers[SIGV4_HEADERS_MAX]) {
  assert(r->header_count <= SIGV4_HEADERS_MAX - 3);
  size_t count = 0;
  headers[count++] = (struct sigv4_header){"host", host};
  headers[count++] = (struct sigv4_header){"x-amz-content-sha256", hash};
  headers[count++] = (struct sigv4_header){"x-amz-date", stamp};
  for (size_t i = 0; i < r->header_count; i++) headers[count++] = r->headers[i];
  return count;
}

/* The signed headers and Authorization as libcurl wants them; NULL without memory. */
static struct curl_slist *header_list(struct client *c, const struct request *r, const char *path) {
  assert(path[0] == '/');
  char stamp[SIGV4_STAMP_SIZE], hash[DIGEST_HEX];
  uint8_t raw[DIGEST_SIZE];
  sigv4_stamp(clock_wall_ms(clock_posix()), stamp);
  digest_of(r->body.data, r->body.len, raw);
  digest_hex(raw, hash);
  struct sigv4_header headers[SIGV4_HEADERS_MAX];
  size_t count = sign_list(r, c->endpoint->host, hash, stamp, headers);
  BUF_AUTO line = BUF_INIT;
  buf_append_str(&line, "Authorization: ");
  sigv4_authorize(c->key,
                  &(struct sigv4_input){.method = r->method,
                                        .path = path,
                                        .query = r->query == NULL ? "" : r->query,
                                        .headers = headers,
                                        .header_count = count,
                                        .payload_hash = hash,
                                        .stamp = stamp},
                  &line);
  struct curl_slist *list = curl_slist_append(NULL, buf_str(&line));
  for (size_t i = 0; i < count && list != NULL; i++) {
    buf_reset(&line);
    buf_printf(&line, "%s: %s", headers[i].name, headers[i].value);
    struct curl_slist *longer = curl_slist_append(list, buf_str(&line));
    if (longer == NULL) curl_slist_free_all(list);
    list = longer;
  }
  return list;
}

/* Asked before a request goes out. libcurl sends one anew when a connection that it used before ends without
 * an answer; the first one may have taken effect, so the second never leaves. */
static int on_send(void *arg, char *remote_address, char *local_address, int remote_port, int local_port) {
  (void)remote_address, (void)local_address, (void)remote_port, (void)local_port;
  struct exchange *x = arg;
  assert(x != NULL);
  bool again = x->sent;
  x->sent = true;
  return again ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static void set_options(CURL *curl, const struct request *r, struct exchange *x) {
  assert(curl != NULL && x != NULL);
  curl_easy_reset(curl);
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L); /* keys like a/../b are sent as they are */
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
  curl_easy_setopt(curl, CURLOPT_MAXAGE_CONN, IDLE_S_MAX);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STALL_S);
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, r->method);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, x);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, x);
  curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, on_send);
  curl_easy_setopt(curl, CURLOPT_PREREQDATA, x);
  if (strcmp(r->method, "HEAD") == 0) curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  if (strcmp(r->method, "PUT") != 0 && strcmp(r->method, "POST") != 0) return;
  curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_upload);
  curl_easy_setopt(curl, CURLOPT_READDATA, x);
  curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->body.len);
}

static void append_path(const struct request *r, struct buf *out) {
  assert(r->bucket != NULL || r->key.len == 0);
  buf_append_byte(out, '/');
  if (r->bucket != NULL) buf_append_str(out, r->bucket);
  if (r->key.len == 0) return;
  buf_append_byte(out, '/');
  percent_encode(out, r->key, true);
}

/* Reads the error's Code; a 200 that carries an error is none. */
static void judge_body(struct answer *a) {
  assert(a != NULL);
  struct slice body = buf_slice(&a->body), inner;
  if (a->body.len == 0 || a->status == 0 || !xml_find(body, "Error", &inner)) return;
  if (!xml_find(inner, "Code", &inner) || inner.len >= sizeof a->code) return;
  /* A DeleteObjects answer may hold errors of single keys; only a root element is meant. */
  struct slice root = slice_of("<Error>", 7);
  const uint8_t *at = memmem(body.data, body.len, root.data, root.len);
  bool is_root = at != NULL && (size_t)(at - body.data) < 80 &&
                 memmem(body.data, (size_t)(at - body.data), "Result", 6) == NULL;
  if (a->status == 200 && is_root) a->status = 500;
  memcpy(a->code, inner.data, inner.len);
  a->code[inner.len] = '\0';
}

static void perform(struct client *c, const struct request *r, const char *url, struct curl_slist *list,
                    struct exchange *x) {
  assert(list != NULL);
  struct answer *a = x->answer;
  char error[CURL_ERROR_SIZE] = "";
  set_options(c->curl, r, x);
  if (c->endpoint->ca_file != NULL) curl_easy_setopt(c->curl, CURLOPT_CAINFO, c->endpoint->ca_file);
  curl_easy_setopt(c->curl, CURLOPT_URL, url);
  curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, list);
  curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, error);
  a->start_ns = clock_mono_ns(clock_posix());
  CURLcode code = curl_easy_perform(c->curl);
  a->end_ns = clock_mono_ns(clock_posix());
  long status = 0;
  if (code == CURLE_OK) curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
  a->status = code == CURLE_COULDNT_CONNECT && !x->sent ? ANSWER_UNSENT : (unsigned)status;
  if (code != CURLE_OK) {
    snprintf(a->why, sizeof a->why, "%.150s", error[0] != '\0' ? error : curl_easy_strerror(code));
  }
  curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, NULL);
  curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, NULL);
}

void client_do(struct client *c, const struct request *r, struct answer *out) {
  assert(c != NULL && c->curl != NULL && r != NULL && out != NULL);
  *out = (struct answer){0};
  struct exchange x = {.answer = out, .upload_left = r->body, .hashing = r->hash_only};
  BUF_AUTO path = BUF_INIT;
  BUF_AUTO url = BUF_INIT;
  append_path(r, &path);
  buf_printf(&url, "%s%s%s%s", c->endpoint->url, buf_str(&path), r->query != NULL ? "?" : "",
             r->query != NULL ? r->query : "");
  struct curl_slist *list = path.failed || url.failed ? NULL : header_list(c, r, buf_str(&path));
  /* Without "Expect:" libcurl would wait for a 100 before larger bodies; the wait is wanted by
   * nobody here and hides how the server treats clients that send at once. */
  struct curl_slist *whole = list == NULL ? NULL : curl_slist_append(list, "Expect:");
  if (whole == NULL) {
    curl_slist_free_all(list);
    snprintf(out->why, sizeof out->why, "out of memory");
    return;
  }
  if (x.hashing) digest_init(&x.digest);
  perform(c, r, buf_str(&url), whole, &x);
  if (x.hashing) digest_done(&x.digest, out->sha256);
  curl_slist_free_all(whole);
  judge_body(out);
}
