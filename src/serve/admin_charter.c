/* Admin: the charter in force. */
#include "serve/admin.h"

static json_t *charter_json(struct charter *c) {
  struct slice yaml = charter_bytes(c);
  uint8_t hash[SHA256_SIZE];
  charter_hash(c, hash);
  json_t *regions = json_array();
  for (unsigned i = 0; i < charter_region_count(c); i++) {
    const struct charter_region *r = charter_region_at(c, i);
    json_array_append_new(regions, json_pack("{s:s,s:i,s:s,s:s,s:s}", "name", r->name, "number", r->number,
                                             "jurisdiction", r->jurisdiction, "endpoint", r->endpoint, "vkey",
                                             r->vkey));
  }
  return json_pack("{s:I,s:s,s:o,s:s,s:o,s:s%}", "version", (json_int_t)charter_version(c), "organization",
                   charter_organization(c), "sha256", admin_hex(hash, sizeof hash), "registrar",
                   charter_registrar(c)->name, "regions", regions, "yaml", yaml.data, yaml.len);
}

void admin_charter_get(struct admin *a) {
  struct charter *c = subject_charter(a->r->subjects);
  if (!c) {
    admin_fail(a, DOM_NOT_FOUND, NULL);
    return;
  }
  json_t *j = charter_json(c);
  charter_release(c);
  admin_reply_take(a, 200, j);
}

void admin_charter_put(struct admin *a) {
  const char *yaml = NULL, *signature = NULL;
  size_t yaml_len = 0, signature_len = 0;
  int force = 0;
  struct dom_err err = {0};
  if (!admin_unpack(a, "{s:s%,s:s%,s?b}", "yaml", &yaml, &yaml_len, "signature", &signature, &signature_len,
                    "force", &force))
    return;
  enum dom_code code = charter_check_endpoints(a->d->config, slice_of(yaml, yaml_len), &err);
  if (!code)
    code = subject_charter_put(a->r->subjects, slice_of(yaml, yaml_len), slice_of(signature, signature_len),
                               force != 0, &err);
  if (code) {
    admin_fail(a, code, &err);
    return;
  }
  struct charter *c = subject_charter(a->r->subjects);
  uint64_t version = charter_version(c);
  charter_release(c);
  log_event(LOG_INFO, "serve", "", "charter in force",
            LOG_FIELDS({.name = "version", .number = (int64_t)version}));
  admin_reply_take(a, 200, json_pack("{s:I}", "version", (json_int_t)version));
}
