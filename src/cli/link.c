/* The way to the daemon: its socket, or HTTP with an operator's signature. */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "auth/auth.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/file.h"
#include "serve/serve.h"
#include "wire/wire.h"

enum {
  ANSWER_BYTES_MAX = 64 << 20, /* 1,000 receipts of 2 KiB are far below */
  ARENA_BYTES = 1 << 20,       /* of one signature */
  STALL_MS = 24 * 3600 * 1000, /* a rotation or a big move answers when it is done */
  CA_BYTES_MAX = 4 << 20,      /* the system's bundle has 250 KiB */
  FIELDS = 4                   /* Host and those of the signature */
};

struct cli_link {
  struct wire_client *client;
  struct buf origin, socket, host;
  bool has_key;
  struct auth_key key;
};

/* ---- Ctrl-C --------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number) {
  (void)number;
  interrupted = 1;
}

void cli_catch_interrupt(void) {
  struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
  sigaction(SIGINT, &action, NULL); /* a second one ends the program in any case */
}

bool cli_interrupted(void) {
  return interrupted != 0;
}

/* ---- open ------------------------------------------------------------------------------ */

static int find_data(const struct cli_common *c, struct cli_link *l) {
  const char *config = c->config ? c->config : getenv("DOMICILE_CONFIG"), *data = c->data;
  if (!data && !c->config) data = getenv("DOMICILE_DATA");
  if (!data && (!config || !*config)) {
    cli_complain("which region? say --data DIR, --config FILE (or DOMICILE_CONFIG), or --endpoint URL");
    return CLI_USAGE;
  }
  if (data) {
    serve_admin_path(data, &l->socket);
    return CLI_CONTINUE;
  }
  struct serve_config settings;
  struct dom_err err = {0};
  enum dom_code code = serve_config_init(&settings, &err);
  if (!code) code = serve_config_load(&settings, config, &err);
  if (!code && !settings.data) code = dom_fail(&err, DOM_INVALID, "cli", "%s: \"data\" is missing", config);
  if (!code) serve_admin_path(settings.data, &l->socket);
  if (code) cli_complain("%s", err.text);
  serve_config_done(&settings);
  return code ? CLI_USAGE : CLI_CONTINUE;
}

static int find_endpoint(const struct cli_common *c, struct cli_link *l) {
  const char *key = c->key ? c->key : getenv("DOMICILE_OPERATOR_KEY");
  const char *host = strstr(c->endpoint, "://");
  struct dom_err err = {0};
  if (!host || !host[3]) {
    cli_complain("--endpoint %s: expected http://HOST:PORT or https://HOST:PORT", c->endpoint);
    return CLI_USAGE;
  }
  if (!key || !*key) {
    cli_complain("--endpoint needs an operator's --key ACCESS:SECRET, or DOMICILE_OPERATOR_KEY");
    return CLI_USAGE;
  }
  struct auth_key_spec spec = {.text = slice_str(key), .is_operator = true};
  if (auth_key_parse(spec, &l->key, &err)) {
    cli_complain("%s", err.text);
    return CLI_USAGE;
  }
  l->has_key = true;
  size_t len = strlen(c->endpoint);
  while (len && c->endpoint[len - 1] == '/') len--;
  buf_append(&l->origin, c->endpoint, len);
  buf_append(&l->host, host + 3, len - (size_t)(host + 3 - c->endpoint));
  return CLI_CONTINUE;
}

/* Whom to believe that the endpoint is what it says. */
static int trust(const struct cli_common *c, struct cli_link *l) {
  const char *path = c->ca_file ? c->ca_file : getenv("DOMICILE_CA_FILE");
  struct dom_err err = {0};
  BUF_AUTO text = BUF_INIT;
  if (!l->client || !path || !*path) return CLI_CONTINUE;
  if (!cli_file_read(path, CA_BYTES_MAX, &text)) return CLI_USAGE;
  struct wire_client_tls tls = {.authorities = buf_slice(&text)};
  if (wire_client_tls_put(l->client, &tls, &err) == DOM_OK) return CLI_CONTINUE;
  cli_complain("%s", err.text);
  return CLI_FAILED;
}

int cli_link_open(const struct cli_common *c, struct cli_link **out) {
  assert(c && out);
  struct cli_link *l = dom_calloc(1, sizeof *l);
  if (!l) return CLI_FAILED;
  int status;
  if (c->endpoint) {
    status = find_endpoint(c, l);
  } else {
    buf_append_str(&l->origin, "http://localhost");
    buf_append_str(&l->host, "localhost");
    status = find_data(c, l);
  }
  if (status == CLI_CONTINUE) l->client = wire_client_new(1);
  if (status == CLI_CONTINUE && (!l->client || l->origin.failed || l->socket.failed || l->host.failed)) {
    cli_complain("no memory");
    status = CLI_FAILED;
  }
  if (status == CLI_CONTINUE) status = trust(c, l);
  if (status == CLI_CONTINUE)
    *out = l;
  else
    cli_link_close(l);
  return status;
}

void cli_link_close(struct cli_link *l) {
  if (!l) return;
  wire_client_free(l->client);
  buf_done(&l->origin);
  buf_done(&l->socket);
  buf_done(&l->host);
  auth_key_done(&l->key);
  dom_free(l);
}

/* ---- ask --------------------------------------------------------------------------------------- */

struct ask {
  struct slice body;
  size_t sent;
  struct buf answer; /* JSON, all of it */
  unsigned status;   /* as it began */
  cli_take_fn take;  /* NULL, or who takes the bytes of an answer that is none of failure */
  void *arg;
  bool take_failed; /* it, not the way to the daemon, ended the request */
};

static enum dom_code pull(void *arg, void *out, size_t cap, size_t *out_len, struct dom_err *err) {
  struct ask *a = arg;
  (void)err;
  size_t left = a->body.len - a->sent, n = left < cap ? left : cap;
  if (n) memcpy(out, a->body.data + a->sent, n);
  a->sent += n;
  *out_len = n;
  return DOM_OK;
}

static enum dom_code begun(void *arg, unsigned status, const struct wire_field *fields, size_t count,
                           struct dom_err *err) {
  struct ask *a = arg;
  (void)fields, (void)count, (void)err;
  a->status = status;
  return DOM_OK;
}

static enum dom_code sink(void *arg, struct slice bytes, struct dom_err *err) {
  struct ask *a = arg;
  if (a->take && a->status < 300) {
    enum dom_code code = a->take(a->arg, bytes, err);
    a->take_failed = code != DOM_OK;
    return code;
  }
  if (a->answer.len + bytes.len > ANSWER_BYTES_MAX)
    return dom_fail(err, DOM_TOO_LARGE, "cli", "the answer is too long");
  buf_append_slice(&a->answer, bytes);
  return buf_check(&a->answer, err);
}

static bool gone(void *arg) {
  (void)arg;
  return cli_interrupted();
}

/* Adds the fields of the signature behind Host. */
static bool sign(struct cli_link *l, struct wire_request *r, struct slice body, struct arena *arena,
                 struct wire_field *fields) {
  struct auth_header host = {.name = SLICE_LIT("Host"), .value = buf_slice(&l->host)};
  size_t question = slice_find(r->target, '?');
  struct auth_request head = {
      .method = r->method,
      .raw_path = slice_cut(r->target, 0, question),
      .raw_query = slice_cut(r->target, question < r->target.len ? question + 1 : question, r->target.len),
      .headers = &host,
      .header_count = 1,
      .now_ms = clock_wall_ms(clock_posix())};
  struct auth_signer signer = {slice_str(l->key.access), slice_str(l->key.secret), SLICE_LIT("us-east-1")};
  struct auth_signed *out = arena_alloc(arena, sizeof *out);
  uint8_t hash[SHA256_SIZE];
  BUF_AUTO hex = BUF_INIT;
  sha256(body.data, body.len, hash);
  hex_encode(&hex, slice_of(hash, sizeof hash));
  if (!out || hex.failed || auth_sign_request(&signer, &head, buf_slice(&hex), arena, out)) return false;
  fields[r->field_count++] = (struct wire_field){SLICE_LIT("x-amz-date"), slice_str(out->date)};
  fields[r->field_count++] =
      (struct wire_field){SLICE_LIT("x-amz-content-sha256"), slice_str(out->content_sha256)};
  fields[r->field_count++] = (struct wire_field){SLICE_LIT("Authorization"), out->authorization};
  return true;
}

static enum dom_code send_request(struct cli_link *l, const char *method, const char *path, struct ask *a,
                                  unsigned *out_status, struct dom_err *err) {
  struct arena *arena = arena_new(ARENA_BYTES);
  struct wire_field fields[FIELDS] = {{SLICE_LIT("Host"), buf_slice(&l->host)}};
  BUF_AUTO target = BUF_INIT;
  buf_printf(&target, "/-/admin/%s", path);
  struct wire_request r = {.origin = buf_str(&l->origin),
                           .unix_path = l->has_key ? NULL : buf_str(&l->socket),
                           .method = slice_str(method),
                           .target = buf_slice(&target),
                           .fields = fields,
                           .field_count = 1,
                           .body_length = a->body.len,
                           .length_header = strcmp(method, "GET") != 0,
                           .once = strcmp(method, "GET") != 0,
                           .pull = pull,
                           .answer = begun,
                           .sink = sink,
                           .cancel = gone,
                           .arg = a,
                           .stall_ms = STALL_MS};
  struct wire_outcome outcome = {0};
  enum dom_code code = DOM_NO_MEMORY;
  if (arena && !target.failed && (!l->has_key || sign(l, &r, a->body, arena, fields)))
    code = wire_client_send(l->client, &r, &outcome, err);
  *out_status = outcome.status;
  arena_free(arena);
  return code;
}

static int complain_unreachable(const struct cli_link *l, enum dom_code code, const struct dom_err *err) {
  struct buf where = l->has_key ? l->origin : l->socket;
  if (code == DOM_CANCELLED) return CLI_INTERRUPTED;
  if (code == DOM_UNAVAILABLE && !l->has_key && access((const char *)where.data, F_OK) != 0)
    cli_complain("no daemon serves this folder (%.*s: %s)", (int)where.len, where.data, strerror(errno));
  else
    cli_complain("%.*s: %s", (int)where.len, where.data, err->text[0] ? err->text : dom_code_name(code));
  return CLI_FAILED;
}

/* What is not there, is there already, or is refused: found. Settings: usage. The rest: could not. */
static int status_exit(unsigned status) {
  if (status == 404 || status == 409 || status == 451) return CLI_FOUND;
  return status == 400 || status == 413 ? CLI_USAGE : CLI_FAILED;
}

/* Either the answer's JSON in *out, or its bytes to a->take. */
static int ask(struct cli_link *l, const char *method, const char *path, const json_t *body, struct ask *a,
               json_t **out) {
  char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
  struct dom_err err = {0};
  unsigned status = 0;
  a->body = slice_str(text);
  enum dom_code code = send_request(l, method, path, a, &status, &err);
  free(text);
  json_error_t error;
  json_t *answer =
      code || !a->answer.len ? NULL : json_loadb((char *)a->answer.data, a->answer.len, 0, &error);
  buf_done(&a->answer);
  if (code && a->take_failed) {
    cli_complain("%s", err.text[0] ? err.text : dom_code_name(code));
    return CLI_FAILED;
  }
  if (code) return complain_unreachable(l, code, &err);
  if (a->take && status < 300) return CLI_CONTINUE;
  if (answer && status < 300) {
    *out = answer;
    return CLI_CONTINUE;
  }
  const char *why = cli_text(json_object_get(answer, "error"), "message");
  cli_complain("%s", why[0] ? why : "the daemon's answer is no JSON");
  json_decref(answer);
  return status_exit(status);
}

int cli_ask(struct cli_link *l, const char *method, const char *path, const json_t *body, json_t **out) {
  struct ask a = {0};
  assert(l && method && path && out);
  return ask(l, method, path, body, &a, out);
}

int cli_ask_bytes(struct cli_link *l, const char *path, const json_t *body, cli_take_fn take, void *arg) {
  struct ask a = {.take = take, .arg = arg};
  json_t *none = NULL;
  assert(l && path && body && take);
  return ask(l, "POST", path, body, &a, &none);
}
