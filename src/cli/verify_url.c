/* A ledger behind a URL as a source, fetched with libcurl. */
#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "cli/verify.h"

enum {
  BODY_MAX = 1 << 20, /* the longest file of a ledger is a bundle, 25 KiB */
  CONNECT_MS_MAX = 10000,
  TRANSFER_MS_MAX = 60000
};

struct remote {
  CURL *curl;
  struct buf base; /* the URL, without a final slash */
  struct buf path; /* what `body` is of */
  struct buf body;
};

static size_t take_body(char *data, size_t size, size_t count, void *arg) {
  struct buf *body = arg;
  assert(size == 1 && body);
  (void)size;
  if (body->len + count > BODY_MAX) return 0;
  buf_append(body, data, count);
  return body->failed ? 0 : count;
}

/* Fetches `path` into r->body. Returns: 0; 1 on 404 and 410; -1 on anything else. */
static int fetch(struct remote *r, const char *path) {
  assert(r->curl && path);
  BUF_AUTO url = BUF_INIT;
  long status = 0;
  buf_append_slice(&url, buf_slice(&r->base));
  buf_printf(&url, "/%s", path);
  buf_reset(&r->path);
  buf_reset(&r->body);
  if (url.failed || curl_easy_setopt(r->curl, CURLOPT_URL, buf_str(&url)) != CURLE_OK) return -1;
  CURLcode code = curl_easy_perform(r->curl);
  if (code != CURLE_OK) {
    fprintf(stderr, "%s: %s\n", buf_str(&url), curl_easy_strerror(code));
    return -1;
  }
  curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
  if (status == 404 || status == 410) return 1;
  if (status == 200)
    buf_append_str(&r->path, path);
  else
    fprintf(stderr, "%s: HTTP status %ld\n", buf_str(&url), status);
  return status == 200 && !r->path.failed ? 0 : -1;
}

static int remote_read(void *context, const char *path, uint64_t offset, void *out, size_t len,
                       size_t *out_len) {
  struct remote *r = context;
  assert(r && path && out_len);
  if (r->path.len == 0 || !slice_equal(buf_slice(&r->path), slice_str(path))) {
    int status = fetch(r, path);
    if (status != 0) return status;
  }
  size_t from = offset < r->body.len ? (size_t)offset : r->body.len;
  size_t count = r->body.len - from < len ? r->body.len - from : len;
  if (count > 0) memcpy(out, r->body.data + from, count);
  *out_len = count;
  return 0;
}

static void remote_close(struct domicile_source *source) {
  struct remote *r = source->context;
  assert(r);
  if (r->curl) curl_easy_cleanup(r->curl);
  buf_done(&r->base);
  buf_done(&r->path);
  buf_done(&r->body);
  dom_free(r);
}

/* The name of the host as seen by the operator; no redirects: evidence stays where it was asked for. */
static bool set_options(struct remote *r) {
  assert(r);
  if (!r->curl) return false;
  bool good = curl_easy_setopt(r->curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
  good = good && curl_easy_setopt(r->curl, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1") == CURLE_OK;
  good = good && curl_easy_setopt(r->curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
  const char *authorities = getenv("DOMICILE_CA_FILE"); /* of an https:// ledger; else the system's */
  if (authorities && *authorities) {
    good = good && curl_easy_setopt(r->curl, CURLOPT_CAINFO, authorities) == CURLE_OK;
    good = good && curl_easy_setopt(r->curl, CURLOPT_CAPATH, NULL) == CURLE_OK;
  }
  good = good && curl_easy_setopt(r->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS_MAX) == CURLE_OK;
  good = good && curl_easy_setopt(r->curl, CURLOPT_TIMEOUT_MS, (long)TRANSFER_MS_MAX) == CURLE_OK;
  good = good && curl_easy_setopt(r->curl, CURLOPT_ACCEPT_ENCODING, "") == CURLE_OK;
  good = good && curl_easy_setopt(r->curl, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK;
  return good && curl_easy_setopt(r->curl, CURLOPT_WRITEDATA, &r->body) == CURLE_OK;
}

static bool remote_open(const char *url, struct domicile_source *out_source) {
  assert(url && out_source);
  struct remote *r = dom_calloc(1, sizeof *r);
  if (!r) return false;
  size_t len = strlen(url);
  while (len > 0 && url[len - 1] == '/') len--;
  buf_append(&r->base, url, len);
  r->curl = curl_easy_init();
  struct domicile_source source = {.context = r, .read = remote_read};
  if (!set_options(r) || r->base.failed) {
    fprintf(stderr, "%s: libcurl cannot be set up\n", url);
    remote_close(&source);
    return false;
  }
  *out_source = source;
  return true;
}

int cli_verify(int argc, char **argv) {
  static const struct verify_remote remote = {.open = remote_open, .close = remote_close};
  assert(argc >= 1 && argv);
  return verify_run(argc, argv, &remote);
}
