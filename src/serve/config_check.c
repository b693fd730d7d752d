/* Whether the settings make sense together, before anything is opened. */
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/age.h"
#include "base/crypto.h"
#include "serve/daemon.h"

static const char where[] = "serve/config";

/* ---- paths ------------------------------------------------------------------------------ */

/* The real path of something that need not exist yet: that of its nearest existing parent, and the rest as
 * written. False when it is too long. */
static bool real_path(const char *path, char out[PATH_MAX]) {
  char full[PATH_MAX], head[PATH_MAX], real[PATH_MAX];
  int n = snprintf(full, sizeof full, "%s%s", path[0] == '/' ? "" : "./", path);
  if (n < 0 || (size_t)n >= sizeof full) return false;
  memcpy(head, full, (size_t)n + 1);
  while (!realpath(head, real)) {
    char *slash = strrchr(head, '/');
    if (!slash) return false;
    slash[slash == head ? 1 : 0] = 0;
  }
  const char *rest = full + strlen(head);
  while (*rest == '/') rest++;
  if (strstr(rest, "..")) return false;
  n = snprintf(out, PATH_MAX, "%s%s%s", real, *rest && real[1] ? "/" : "", rest);
  return n > 0 && n < PATH_MAX;
}

static bool is_below(const char *path, const char *folder) {
  char inner[PATH_MAX], outer[PATH_MAX];
  if (!real_path(path, inner) || !real_path(folder, outer)) return true; /* refuse what cannot be told */
  size_t n = strlen(outer);
  while (n > 1 && outer[n - 1] == '/') n--;
  return strncmp(inner, outer, n) == 0 && (n == 1 || inner[n] == 0 || inner[n] == '/');
}

enum dom_code config_check_apart(const struct serve_config *c, struct dom_err *err) {
  const struct {
    const char *path, *what;
  } secrets[] = {{c->kek_folder, "kek_folder"},
                 {c->kek_pin_file, "kek_pin_file"},
                 {c->vault_backup_file, "vault_backup_file"},
                 {c->seed_file, "region.seed_file"},
                 {c->route_key_file, "route_key_file"},
                 {c->accounts_file, "accounts_file"},
                 {c->operators_file, "operators_file"}};
  for (size_t i = 0; i < c->tls.count; i++)
    if (is_below(c->tls.certificate[i].key_file, c->data))
      return dom_fail(err, DOM_INVALID, where,
                      "%s lies below the data folder; put the key of a certificate elsewhere",
                      c->tls.certificate[i].key_file);
  for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++)
    if (secrets[i].path && is_below(secrets[i].path, c->data))
      return dom_fail(err, DOM_INVALID, where,
                      "%s lies below the data folder: whoever gets that folder would have the key to it; put "
                      "it elsewhere",
                      secrets[i].what);
  return DOM_OK;
}

/* ---- completeness ------------------------------------------------------------------------- */

static enum dom_code check_present(const struct serve_config *c, struct dom_err *err) {
  const struct {
    bool there;
    const char *what;
  } needed[] = {{c->data, "data"},
                {c->kek_folder, "kek_folder"},
                {c->region_name, "region.name"},
                {c->region_number, "region.number"},
                {c->seed_file, "region.seed_file"},
                {c->route_key_file, "route_key_file"},
                {c->dev || c->charter_public_key_file, "charter.public_key_file"},
                {c->deployment, "deployment"},
                {c->domain, "domain"},
                {c->listen_count, "listen"}};
  for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
    if (!needed[i].there) return dom_fail(err, DOM_INVALID, where, "\"%s\" is missing", needed[i].what);
  if (!c->charter_file != !c->charter_signature_file)
    return dom_fail(err, DOM_INVALID, where, "charter.file and charter.signature_file go together");
  if (!c->kek && (c->kek_module || c->kek_pin_file))
    return dom_fail(err, DOM_INVALID, where, "kek_module and kek_pin_file go with kek, which is missing");
  uint8_t recipient[KEY_SIZE];
  if (!c->vault_backup_file != !c->vault_backup_recipient)
    return dom_fail(err, DOM_INVALID, where, "vault_backup_file and vault_backup_recipient go together");
  if (!c->vault_backup_recipient) return DOM_OK;
  return age_recipient_parse(slice_str(c->vault_backup_recipient), recipient, err);
}

/* Words of a ledger's origin: they end up in paths and signed notes. */
static bool word_valid(const char *s, bool dots) {
  for (const char *p = s; *p; p++) {
    bool good = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-' || (dots && *p == '.');
    if (!good) return false;
  }
  return *s != 0;
}

static enum dom_code check_names(const struct serve_config *c, struct dom_err *err) {
  if (!word_valid(c->region_name, false) || c->region_name[0] < 'a' ||
      strlen(c->region_name) > CHARTER_NAME_BYTES_MAX)
    return dom_fail(err, DOM_INVALID, where,
                    "the region's name is a lower-case letter, then letters, digits and '-', at most %d",
                    CHARTER_NAME_BYTES_MAX);
  if (!word_valid(c->domain, true))
    return dom_fail(err, DOM_INVALID, where, "domain: lower-case letters, digits, '-' and '.' only");
  if (!word_valid(c->deployment, false))
    return dom_fail(err, DOM_INVALID, where, "deployment: lower-case letters, digits and '-' only");
  struct subject_layout layout;
  return subject_layout_parse(slice_str(c->default_layout), &layout, err);
}

static enum dom_code check_listen(const struct serve_config *c, struct dom_err *err) {
  for (size_t i = 0; i < c->listen_count; i++) {
    bool tls = false;
    const char *address = serve_listen_address(c, i, &tls);
    if (tls && c->tls.count == 0)
      return dom_fail(err, DOM_INVALID, where,
                      "%s needs a certificate: tls.certificates (or --tls-cert and --tls-key)", c->listen[i]);
    if (!tls && !c->insecure && !wire_address_is_loopback(address))
      return dom_fail(
          err, DOM_INVALID, where,
          "listen address %s is no loopback address (or does not resolve): without TLS clients' "
          "data would be readable on the way; name a certificate, put a TLS proxy in front, or say "
          "--insecure",
          address);
  }
  return DOM_OK;
}

static enum dom_code check_fronts(const struct serve_config *c, struct dom_err *err) {
  struct wire_front front;
  enum dom_code code = DOM_OK;
  for (size_t i = 0; i < c->front_count && !code; i++) code = wire_front_parse(c->fronts[i], &front, err);
  return code;
}

static enum dom_code check_tls(const struct serve_config *c, struct dom_err *err) {
  const struct serve_tls *t = &c->tls;
  if (t->client_certificates == SERVE_CLIENTS_REQUIRE && !t->client_ca_file)
    return dom_fail(
        err, DOM_INVALID, where,
        "tls.client_certificates: require needs tls.client_ca_file, which says whose are believed");
  if (t->client_ca_file && t->count == 0)
    return dom_fail(err, DOM_INVALID, where, "tls.client_ca_file needs tls.certificates");
  return tls_files_check(c, false, err);
}

static enum dom_code check_secrets(const struct serve_config *c, struct dom_err *err) {
  uint8_t key[32];
  enum dom_code code = serve_secret_read(c->seed_file, key, err);
  if (!code) code = serve_secret_read(c->route_key_file, key, err);
  if (!code && !c->dev) code = serve_public_read(c->charter_public_key_file, key, err);
  wipe(key, sizeof key);
  if (code) return code;
  struct auth_keys *trial = auth_keys_new();
  code = trial ? keys_load(c, trial, err) : dom_fail(err, DOM_NO_MEMORY, where, "no memory");
  auth_keys_free(trial);
  return code;
}

enum dom_code serve_config_check(const struct serve_config *c, struct dom_err *err) {
  assert(c->memory);
  enum dom_code code = check_present(c, err);
  if (!code) code = check_names(c, err);
  if (!code) code = config_check_apart(c, err);
  if (!code) code = check_listen(c, err);
  if (!code) code = check_secrets(c, err);
  if (!code) code = check_tls(c, err);
  if (!code) code = check_fronts(c, err);
  return code ? code : charter_file_check(c, err);
}

/* ---- names made from settings ----------------------------------------------------------------- */

void serve_origin(const struct serve_config *c, struct buf *out) {
  assert(c->domain && c->deployment && c->region_name);
  buf_printf(out, "%s/%s/%s", c->domain, c->deployment, c->region_name);
}

void serve_deployment_id(const struct serve_config *c, uint8_t out[16]) {
  assert(c->domain && c->deployment);
  struct slice parts[] = {SLICE_LIT("domicile deployment 1\n"), slice_str(c->domain), SLICE_LIT("/"),
                          slice_str(c->deployment)};
  uint8_t digest[SHA256_SIZE];
  sha256_slices(parts, 4, digest);
  memcpy(out, digest, 16);
}

void serve_admin_path(const char *data, struct buf *out) {
  buf_append_str(out, data);
  buf_append_str(out, "/admin.sock");
}
