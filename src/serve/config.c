/* The daemon's settings: the file by schema tables, then the environment. */
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "s3/s3.h"
#include "serve/serve.h"
#include "wire/wire.h"

enum {
  CONFIG_BYTES_MAX = 64 * 1024, /* a file a person can read */
  PATH_BYTES_MAX = 4000,        /* below PATH_MAX with room for names we append */
  NAME_BYTES_MAX = 64,
  ADDRESS_BYTES_MAX = 300 /* [host]:port, a host of 255 */
};
#define DRAIN_S_MAX 3600

static const char *const LEVELS[] = {"debug", "info", "warn", "error", NULL};

static const char *const STARTS[] = {"open", "confirmed", NULL}; /* as enum serve_start */

/* The maps of the file, read one after the other. */
struct maps {
  const struct yaml_node *region, *charter, *s3, *tls, *certificates;
  const struct yaml_node *listen, *host_names, *fronts;
  uint64_t drain_s;
};

#define TEXT(KEY, STRUCT, MEMBER, MAX)                                                                       \
  { .key = KEY, .type = YAML_AS_STRING, .offset = offsetof(struct STRUCT, MEMBER), .min = 1, .max = MAX }
#define NODE(KEY, KIND, MEMBER)                                                                              \
  { .key = KEY, .type = KIND, .offset = offsetof(struct top, MEMBER) }

struct top {
  struct serve_config c;
  struct maps m;
};

static const struct yaml_field TOP[] = {
    TEXT("data", top, c.data, PATH_BYTES_MAX),
    TEXT("kek_folder", top, c.kek_folder, PATH_BYTES_MAX),
    TEXT("kek", top, c.kek, PATH_BYTES_MAX),
    TEXT("kek_module", top, c.kek_module, PATH_BYTES_MAX),
    TEXT("kek_pin_file", top, c.kek_pin_file, PATH_BYTES_MAX),
    TEXT("vault_backup_file", top, c.vault_backup_file, PATH_BYTES_MAX),
    TEXT("vault_backup_recipient", top, c.vault_backup_recipient, NAME_BYTES_MAX),
    TEXT("deployment", top, c.deployment, NAME_BYTES_MAX),
    TEXT("domain", top, c.domain, NAME_BYTES_MAX),
    TEXT("route_key_file", top, c.route_key_file, PATH_BYTES_MAX),
    TEXT("accounts_file", top, c.accounts_file, PATH_BYTES_MAX),
    TEXT("operators_file", top, c.operators_file, PATH_BYTES_MAX),
    TEXT("access_log", top, c.access_log, PATH_BYTES_MAX),
    NODE("region", YAML_AS_MAP, m.region),
    NODE("charter", YAML_AS_MAP, m.charter),
    NODE("s3", YAML_AS_MAP, m.s3),
    NODE("tls", YAML_AS_MAP, m.tls),
    NODE("listen", YAML_AS_LIST, m.listen),
    NODE("fronts", YAML_AS_LIST, m.fronts),
    {.key = "workers",
     .type = YAML_AS_U64,
     .offset = offsetof(struct top, c.workers),
     .min = 1,
     .max = WIRE_WORKERS_MAX},
    {.key = "drain_seconds",
     .type = YAML_AS_U64,
     .offset = offsetof(struct top, m.drain_s),
     .min = 1,
     .max = DRAIN_S_MAX},
    {.key = "start", .type = YAML_AS_CHOICE, .offset = offsetof(struct top, c.start), .choices = STARTS},
    {.key = "log", .type = YAML_AS_CHOICE, .offset = offsetof(struct top, c.log), .choices = LEVELS},
    {.key = "insecure", .type = YAML_AS_BOOL, .offset = offsetof(struct top, c.insecure)},
};
static const struct yaml_field REGION[] = {
    TEXT("name", top, c.region_name, NAME_BYTES_MAX),
    {.key = "number",
     .type = YAML_AS_U64,
     .offset = offsetof(struct top, c.region_number),
     .min = 1,
     .max = UINT16_MAX},
    TEXT("seed_file", top, c.seed_file, PATH_BYTES_MAX),
};
static const struct yaml_field CHARTER[] = {
    TEXT("file", top, c.charter_file, PATH_BYTES_MAX),
    TEXT("signature_file", top, c.charter_signature_file, PATH_BYTES_MAX),
    TEXT("public_key_file", top, c.charter_public_key_file, PATH_BYTES_MAX),
};
static const struct yaml_field S3[] = {
    NODE("host_names", YAML_AS_LIST, m.host_names),
    TEXT("region", top, c.pinned_region, NAME_BYTES_MAX),
    {.key = "lifecycle_day_ms",
     .type = YAML_AS_U64,
     .offset = offsetof(struct top, c.lifecycle_day_ms),
     .min = 1,
     .max = S3_DAY_MS},
    {.key = "default_layout",
     .type = YAML_AS_STRING,
     .offset = offsetof(struct top, c.default_layout),
     .min = 0,
     .max = 1024},
};
static const char *const CLIENTS[] = {"optional", "require", NULL}; /* as enum serve_clients */
static const struct yaml_field TLS[] = {
    NODE("certificates", YAML_AS_LIST, m.certificates),
    TEXT("client_ca_file", top, c.tls.client_ca_file, PATH_BYTES_MAX),
    TEXT("peer_ca_file", top, c.tls.peer_ca_file, PATH_BYTES_MAX),
    {.key = "client_certificates",
     .type = YAML_AS_CHOICE,
     .offset = offsetof(struct top, c.tls.client_certificates),
     .choices = CLIENTS},
};
#define CERTIFICATE_FILE(KEY)                                                                                \
  {                                                                                                          \
    .key = #KEY, .type = YAML_AS_STRING, .required = true,                                                   \
    .offset = offsetof(struct serve_certificate, KEY), .min = 1, .max = PATH_BYTES_MAX                       \
  }
static const struct yaml_field CERTIFICATE[] = {CERTIFICATE_FILE(chain_file), CERTIFICATE_FILE(key_file)};
#define COUNT(A) (sizeof(A) / sizeof(A)[0])

enum dom_code serve_config_init(struct serve_config *c, struct dom_err *err) {
  *c = (struct serve_config){
      .log = LOG_INFO, .drain_ms = SERVE_DRAIN_MS_DEFAULT, .default_layout = "{subject}/"};
  c->memory = arena_new(SERVE_CONFIG_MEMORY_MAX);
  return c->memory ? DOM_OK : dom_fail(err, DOM_NO_MEMORY, "serve/config", "no memory");
}

void serve_config_done(struct serve_config *c) {
  yaml_doc_free(c->doc);
  arena_free(c->memory);
  *c = (struct serve_config){0};
}

static enum dom_code read_list(const struct yaml_doc *doc, const struct yaml_node *list, const char **out,
                               size_t max, size_t *out_count, struct dom_err *err) {
  if (!list) return DOM_OK;
  if (list->count > max) return yaml_fail(doc, list, err, "more than %zu values", max);
  size_t n = 0;
  for (const struct yaml_node *at = list->first; at; at = at->next) {
    enum dom_code code = yaml_to_string(doc, at, 1, ADDRESS_BYTES_MAX, &out[n++], err);
    if (code) return code;
  }
  *out_count = n;
  return DOM_OK;
}

static enum dom_code read_certificates(const struct yaml_doc *doc, const struct yaml_node *list,
                                       struct serve_tls *t, struct dom_err *err) {
  if (!list) return DOM_OK;
  if (list->count > SERVE_CERTIFICATES_MAX)
    return yaml_fail(doc, list, err, "more than %d certificates", SERVE_CERTIFICATES_MAX);
  for (const struct yaml_node *at = list->first; at; at = at->next) {
    enum dom_code code =
        yaml_read_map(doc, at, CERTIFICATE, COUNT(CERTIFICATE), &t->certificate[t->count], err);
    if (code) return code;
    t->count++;
  }
  return DOM_OK;
}

static enum dom_code read_maps(const struct yaml_doc *doc, struct top *top, struct dom_err *err) {
  enum dom_code code = yaml_read_map(doc, yaml_root(doc), TOP, COUNT(TOP), top, err);
  if (!code && top->m.region) code = yaml_read_map(doc, top->m.region, REGION, COUNT(REGION), top, err);
  if (!code && top->m.charter) code = yaml_read_map(doc, top->m.charter, CHARTER, COUNT(CHARTER), top, err);
  if (!code && top->m.s3) code = yaml_read_map(doc, top->m.s3, S3, COUNT(S3), top, err);
  if (!code) code = read_list(doc, top->m.listen, top->c.listen, SERVE_LISTEN_MAX, &top->c.listen_count, err);
  if (!code)
    code = read_list(doc, top->m.host_names, top->c.host_names, SERVE_DOMAINS_MAX, &top->c.host_count, err);
  if (!code) code = read_list(doc, top->m.fronts, top->c.fronts, WIRE_FRONTS_MAX, &top->c.front_count, err);
  if (!code && top->m.tls) code = yaml_read_map(doc, top->m.tls, TLS, COUNT(TLS), top, err);
  if (!code) code = read_certificates(doc, top->m.certificates, &top->c.tls, err);
  if (!code && top->m.drain_s) top->c.drain_ms = top->m.drain_s * 1000;
  return code;
}

/* Relative to the folder of the file that says so, wherever the daemon was started. */
static enum dom_code place(struct arena *memory, const char *file, const char **path, struct dom_err *err) {
  const char *slash = strrchr(file, '/');
  if (!*path || (*path)[0] == '/' || !slash) return DOM_OK;
  size_t folder = (size_t)(slash - file) + 1, rest = strlen(*path) + 1;
  char *whole = arena_alloc(memory, folder + rest);
  if (!whole) return dom_fail(err, DOM_NO_MEMORY, "serve/config", "paths are too long");
  memcpy(whole, file, folder);
  memcpy(whole + folder, *path, rest);
  *path = whole;
  return DOM_OK;
}

static enum dom_code place_all(struct serve_config *c, const char *file, struct dom_err *err) {
  const char **paths[] = {&c->data,
                          &c->kek_folder,
                          &c->kek_module,
                          &c->kek_pin_file,
                          &c->vault_backup_file,
                          &c->seed_file,
                          &c->route_key_file,
                          &c->charter_file,
                          &c->charter_signature_file,
                          &c->charter_public_key_file,
                          &c->accounts_file,
                          &c->operators_file,
                          &c->access_log,
                          &c->tls.client_ca_file,
                          &c->tls.peer_ca_file};
  enum dom_code code = DOM_OK;
  for (size_t i = 0; i < COUNT(paths) && !code; i++) code = place(c->memory, file, paths[i], err);
  for (size_t i = 0; i < c->tls.count && !code; i++) {
    code = place(c->memory, file, &c->tls.certificate[i].chain_file, err);
    if (!code) code = place(c->memory, file, &c->tls.certificate[i].key_file, err);
  }
  return code;
}

enum dom_code serve_config_load(struct serve_config *c, const char *path, struct dom_err *err) {
  assert(c->memory && !c->doc && path);
  BUF_AUTO bytes = BUF_INIT;
  enum dom_code code = serve_file_read(path, false, CONFIG_BYTES_MAX, &bytes, err);
  if (code) return code;
  struct yaml_doc *doc = NULL;
  code = yaml_load(buf_slice(&bytes), path, &doc, err);
  if (code) return code;
  struct top top = {.c = *c};
  code = read_maps(doc, &top, err);
  if (!code) code = place_all(&top.c, path, err);
  if (code) {
    yaml_doc_free(doc);
    return code;
  }
  *c = top.c;
  c->doc = doc;
  return DOM_OK;
}

const char *serve_listen_address(const struct serve_config *c, size_t listener, bool *out_tls) {
  static const char *const schemes[] = {"http://", "https://"};
  assert(listener < c->listen_count && out_tls);
  const char *text = c->listen[listener];
  for (size_t i = 0; i < COUNT(schemes); i++) {
    size_t len = strlen(schemes[i]);
    if (strncmp(text, schemes[i], len) != 0) continue;
    *out_tls = i == 1;
    return text + len;
  }
  *out_tls = c->tls.count > 0;
  return text;
}

enum dom_code serve_config_log(struct serve_config *c, const char *level, struct dom_err *err) {
  for (unsigned i = 0; LEVELS[i]; i++)
    if (strcmp(level, LEVELS[i]) == 0) {
      c->log = i;
      return DOM_OK;
    }
  return dom_fail(err, DOM_INVALID, "serve/config", "the log level must be debug, info, warn or error");
}

static enum dom_code listen_from(struct serve_config *c, const char *text, struct dom_err *err) {
  char *one = arena_str(c->memory, slice_str(text));
  if (!one) return dom_fail(err, DOM_NO_MEMORY, "serve/config", "DOMICILE_LISTEN is too long");
  c->listen_count = 0;
  while (one) {
    char *comma = strchr(one, ',');
    if (comma) *comma = 0;
    if (c->listen_count == SERVE_LISTEN_MAX)
      return dom_fail(err, DOM_INVALID, "serve/config", "DOMICILE_LISTEN names more than %d addresses",
                      SERVE_LISTEN_MAX);
    c->listen[c->listen_count++] = one;
    one = comma ? comma + 1 : NULL;
  }
  return DOM_OK;
}

enum dom_code serve_config_environment(struct serve_config *c, struct dom_err *err) {
  assert(c->memory);
  const char *data = getenv("DOMICILE_DATA"), *listen = getenv("DOMICILE_LISTEN");
  const char *workers = getenv("DOMICILE_WORKERS"), *level = getenv("DOMICILE_LOG");
  enum dom_code code = DOM_OK;
  if (data && *data) c->data = data;
  if (listen && *listen) code = listen_from(c, listen, err);
  if (!code && workers && *workers &&
      (slice_to_u64(slice_str(workers), &c->workers) || c->workers < 1 || c->workers > WIRE_WORKERS_MAX))
    code = dom_fail(err, DOM_INVALID, "serve/config", "DOMICILE_WORKERS must be 1 to %d", WIRE_WORKERS_MAX);
  if (!code && level && *level) code = serve_config_log(c, level, err);
  return code;
}
