/* One JSON line for each S3 request, for operators: what was asked of whom, and what became of it. No subject
 * id, object name, address or secret is in it: keys and subjects are tokens. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/codec.h"
#include "serve/region.h"

enum {
  ACCESS_LOG_MODE = 0640, /* the operator's group may collect it */
  ACCESS_KEY_HEX = 16,    /* of a key's token: 64 bits tell the keys of one run apart */
  TIME_TEXT_SIZE = 25     /* time_rfc3339 */
};

struct access_log {
  pthread_mutex_t lock; /* guards fd against reopen */
  int fd;
  char *path;
  uint8_t salt[KEY_SIZE]; /* of this run: tokens of keys cannot be compared with another run's */
  _Atomic uint64_t lost;
};

static enum dom_code file_open(const char *path, int *out_fd, struct dom_err *err) {
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, ACCESS_LOG_MODE);
  if (fd < 0) return dom_fail_errno(err, errno, "serve/access log", path);
  *out_fd = fd;
  return DOM_OK;
}

enum dom_code access_log_open(const char *path, struct access_log **out, struct dom_err *err) {
  assert(path && path[0] && out);
  struct access_log *log = dom_calloc(1, sizeof *log);
  size_t size = strlen(path) + 1;
  if (log) log->path = dom_alloc(size);
  if (!log || !log->path) {
    dom_free(log);
    return dom_fail(err, DOM_NO_MEMORY, "serve/access log", "no memory");
  }
  memcpy(log->path, path, size);
  pthread_mutex_init(&log->lock, NULL);
  random_bytes(log->salt, sizeof log->salt);
  log->fd = -1;
  enum dom_code code = file_open(path, &log->fd, err);
  if (code) {
    access_log_close(log);
    return code;
  }
  *out = log;
  return DOM_OK;
}

void access_log_close(struct access_log *log) {
  if (!log) return;
  if (log->fd >= 0) close(log->fd);
  pthread_mutex_destroy(&log->lock);
  wipe(log->salt, sizeof log->salt);
  dom_free(log->path);
  dom_free(log);
}

enum dom_code access_log_reopen(struct access_log *log, struct dom_err *err) {
  int fd = -1;
  enum dom_code code = file_open(log->path, &fd, err);
  if (code) return code;
  pthread_mutex_lock(&log->lock);
  int old = log->fd;
  log->fd = fd;
  pthread_mutex_unlock(&log->lock);
  close(old);
  return DOM_OK;
}

uint64_t access_log_lost(const struct access_log *log) {
  return atomic_load(&log->lost);
}

/* ---- a line ---------------------------------------------------------------------------------- */

static void put_text(struct buf *b, const char *name, struct slice value) {
  buf_printf(b, ",\"%s\":", name);
  log_json_string(b, value);
}

static void put_hex(struct buf *b, const char *name, const uint8_t *bytes, size_t count) {
  buf_printf(b, ",\"%s\":\"", name);
  for (size_t i = 0; i < count; i++) buf_printf(b, "%02x", bytes[i]);
  buf_append_str(b, "\"");
}

/* HMAC of bucket and key under the run's salt. */
static void put_key(struct buf *b, const struct access_log *log, const struct s3_request *q) {
  uint8_t mac[SHA256_SIZE];
  BUF_AUTO named = BUF_INIT;
  put_bytes16le(&named, q->bucket);
  buf_append_slice(&named, q->key);
  if (named.failed) return;
  hmac_sha256(slice_of(log->salt, sizeof log->salt), buf_slice(&named), mac);
  put_hex(b, "key", mac, ACCESS_KEY_HEX / 2);
}

static void put_line(struct buf *b, const struct access_log *log, const struct call *c, enum s3_error error,
                     uint64_t took_us) {
  static const uint8_t nobody[TOKEN_SIZE];
  char time[TIME_TEXT_SIZE];
  time_rfc3339(clock_wall_ms(c->r->clock), time);
  buf_printf(b, "{\"time\":\"%s\",\"request\":\"%s\",\"operation\":\"%s\",\"status\":%u,\"us\":%llu", time,
             c->id, s3_op_name(c->q.op), wire_reply_status(c->x), (unsigned long long)took_us);
  buf_printf(b, ",\"bytes_in\":%llu,\"bytes_out\":%llu", (unsigned long long)wire_body_taken(c->x),
             (unsigned long long)wire_reply_written(c->x));
  if (c->auth.account.len) put_text(b, "account", c->auth.account);
  /* One that is there: what else a path begins with may be anything, a person's id too. */
  if (c->bucket.name[0]) put_text(b, "bucket", slice_str(c->bucket.name));
  if (c->q.key.len) put_key(b, log, &c->q);
  if (memcmp(c->who.token, nobody, TOKEN_SIZE) != 0) put_hex(b, "subject", c->who.token, TOKEN_SIZE);
  put_text(b, "met", slice_str(call_met_name(c->met)));
  char certificate[WIRE_TLS_NAME_SIZE] = ""; /* the client's own, not its gateway's */
  if (!c->is_forwarded) wire_exchange_certified_name(c->x, certificate);
  if (certificate[0]) put_text(b, "client_certificate", slice_str(certificate));
  if (c->is_forwarded) buf_printf(b, ",\"gateway\":%u", c->gateway);
  if (error) put_text(b, "error", slice_str(s3_error_code(error)));
  if (error == S3_ERR_RESIDENCY_VIOLATION) {
    buf_printf(b, ",\"charter\":%llu", (unsigned long long)c->refusal.version);
    put_text(b, "clause", slice_str(c->refusal.clause));
  }
  buf_append_str(b, "}\n");
}

void access_log_note(struct access_log *log, const struct call *c, enum s3_error error, uint64_t took_us) {
  assert(log && c);
  BUF_AUTO line = BUF_INIT;
  put_line(&line, log, c, error, took_us);
  pthread_mutex_lock(&log->lock);
  bool whole = !line.failed && write(log->fd, line.data, line.len) == (ssize_t)line.len;
  pthread_mutex_unlock(&log->lock);
  if (!whole) atomic_fetch_add(&log->lost, 1);
}
