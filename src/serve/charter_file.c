/* Charters from files, and the built-in one of a region alone. */
#include <assert.h>
#include <ctype.h>
#include <stdio.h>

#include "serve/daemon.h"

static const char where[] = "serve/charter";
enum { SIGNATURE_BYTES_MAX = 4096 }; /* two short lines */

enum dom_code charter_check_endpoints(const struct serve_config *c, struct slice yaml, struct dom_err *err) {
  struct charter *charter = NULL;
  if (c->insecure) return DOM_OK;
  enum dom_code code = charter_parse(yaml, "charter", &charter, err);
  if (code) return code;
  for (unsigned i = 0; i < charter_region_count(charter) && !code; i++) {
    const struct charter_region *region = charter_region_at(charter, i);
    if (strncmp(region->endpoint, "http://", 7) != 0) continue;
    char address[WIRE_ENDPOINT_MAX + 4];
    const char *host = region->endpoint + 7;
    const char *colon = strrchr(host, ':'), *bracket = strrchr(host, ']');
    bool has_port = colon && (!bracket || bracket < colon);
    snprintf(address, sizeof address, "%s%s", host, has_port ? "" : ":80");
    if (!wire_address_is_loopback(address))
      code = dom_fail(err, DOM_INVALID, where,
                      "region %s: %s is plain HTTP beyond this machine: people's data would be readable on "
                      "the way; use https://, or say --insecure",
                      region->name, region->endpoint);
  }
  charter_release(charter);
  return code;
}

static uint64_t version_in_force(struct region *r) {
  struct charter *c = subject_charter(r->subjects);
  uint64_t version = c ? charter_version(c) : 0;
  charter_release(c);
  return version;
}

static enum dom_code read_files(const struct serve_config *c, struct buf *yaml, struct buf *signature,
                                struct dom_err *err) {
  enum dom_code code = serve_file_read(c->charter_file, false, CHARTER_BYTES_MAX, yaml, err);
  return code ? code : serve_file_read(c->charter_signature_file, false, SIGNATURE_BYTES_MAX, signature, err);
}

enum dom_code charter_file_check(const struct serve_config *c, struct dom_err *err) {
  if (!c->charter_file || c->dev) return DOM_OK;
  BUF_AUTO yaml = BUF_INIT;
  BUF_AUTO signature = BUF_INIT;
  struct charter *charter = NULL;
  uint8_t key[ED25519_KEY_SIZE];
  enum dom_code code = read_files(c, &yaml, &signature, err);
  if (!code) code = serve_public_read(c->charter_public_key_file, key, err);
  if (!code) code = charter_parse(buf_slice(&yaml), c->charter_file, &charter, err);
  charter_release(charter);
  if (!code) code = charter_verify(buf_slice(&yaml), buf_slice(&signature), key, err);
  return code ? code : charter_check_endpoints(c, buf_slice(&yaml), err);
}

enum dom_code charter_file_put(struct daemon *d, struct dom_err *err) {
  const struct serve_config *c = d->config;
  assert(!c->dev && d->region.subjects);
  if (!c->charter_file) return DOM_OK;
  BUF_AUTO yaml = BUF_INIT;
  BUF_AUTO signature = BUF_INIT;
  struct charter *charter = NULL;
  enum dom_code code = read_files(c, &yaml, &signature, err);
  if (!code) code = charter_parse(buf_slice(&yaml), c->charter_file, &charter, err);
  if (code) return code;
  bool newer = charter_version(charter) > version_in_force(&d->region);
  charter_release(charter);
  if (!newer) return DOM_OK;
  code = charter_check_endpoints(c, buf_slice(&yaml), err);
  if (code) return code;
  return subject_charter_put(d->region.subjects, buf_slice(&yaml), buf_slice(&signature), false, err);
}

/* ---- the built-in charter ------------------------------------------------------------------- */

/* "in" and "in-west" are India; names that begin with no country's code are taken for the US. */
static void jurisdiction_of(const char *name, char out[CHARTER_COUNTRY_SIZE]) {
  char code[CHARTER_COUNTRY_SIZE] = {0};
  bool two = name[0] && name[1] && (name[2] == 0 || name[2] == '-');
  for (int i = 0; two && i < 2; i++) code[i] = (char)toupper((unsigned char)name[i]);
  memcpy(out, two && charter_country_valid(code) ? code : "US", CHARTER_COUNTRY_SIZE);
}

static void dev_yaml(const struct serve_config *c, const char *vkey, struct buf *out) {
  char country[CHARTER_COUNTRY_SIZE];
  jurisdiction_of(c->region_name, country);
  buf_printf(out,
             "charter: 1\norganization: dev\nregistrars: [%s]\nregions:\n"
             "  %s: {number: %u, jurisdiction: %s, endpoint: \"http://127.0.0.1:1\", vkey: \"%s\"}\n"
             "subjects: {unregistered: refuse}\nclasses:\n  personal: {}\nrules:\n  \"*\":\n    home: %s\n"
             "    personal: {store: any, read: any, transit: any}\n",
             c->region_name, c->region_name, (unsigned)c->region_number, country, vkey, c->region_name);
}

enum dom_code charter_dev_put(struct daemon *d, struct dom_err *err) {
  const struct serve_config *c = d->config;
  assert(c->dev && d->region.subjects);
  if (version_in_force(&d->region) > 0) return DOM_OK;
  uint8_t seed[ED25519_KEY_SIZE], own[ED25519_KEY_SIZE];
  BUF_AUTO origin = BUF_INIT;
  BUF_AUTO vkey = BUF_INIT;
  BUF_AUTO yaml = BUF_INIT;
  BUF_AUTO signature = BUF_INIT;
  enum dom_code code = serve_secret_read(c->seed_file, seed, err);
  if (code) return code;
  ed25519_public(seed, own);
  serve_origin(c, &origin);
  charter_vkey_write(buf_slice(&origin), own, &vkey);
  dev_yaml(c, buf_str(&vkey), &yaml);
  code = serve_secret_read(c->charter_public_key_file, seed, err); /* in dev: the seed itself */
  if (!code) charter_sign(buf_slice(&yaml), seed, &signature);
  wipe(seed, sizeof seed);
  if (!code) code = buf_check(&yaml, err);
  if (!code) code = buf_check(&signature, err);
  if (code) return code;
  return subject_charter_put(d->region.subjects, buf_slice(&yaml), buf_slice(&signature), false, err);
}
