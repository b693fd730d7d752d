/* One thing of a person as JSON. What an S3 client is told in headers is told in the same headers here. */
#include "serve/export_item.h"

#include <assert.h>

#include "policy/policy.h"
#include "s3/s3.h"
#include "serve/region.h"

/* Headers and metadata may be any bytes: what is no text is {"hex": …}. */
static json_t *text_json(struct slice s) {
  if (utf8_valid(s) && slice_find(s, 0) == s.len)
    return json_stringn(s.len ? (const char *)s.data : "", s.len);
  BUF_AUTO hex = BUF_INIT;
  hex_encode(&hex, s);
  return hex.failed ? NULL : json_pack("{s:s}", "hex", buf_str(&hex));
}

static json_t *hex_json(const void *bytes, size_t len) {
  BUF_AUTO hex = BUF_INIT;
  hex_encode(&hex, slice_of(bytes, len));
  return hex.failed ? NULL : json_string(buf_str(&hex));
}

/* Sets a member that has to be there. False without memory. */
static bool put(json_t *to, const char *name, json_t *value) {
  return json_object_set_new(to, name, value) == 0;
}

static bool put_number(json_t *to, const char *name, uint64_t value) {
  return put(to, name, json_integer((json_int_t)value));
}

/* Members of their own tell these. */
static bool is_told(struct slice name) {
  return slice_equal_nocase(name, SLICE_LIT("ETag")) ||
         slice_equal_nocase(name, SLICE_LIT("Last-Modified")) ||
         slice_equal_nocase(name, SLICE_LIT("Accept-Ranges"));
}

static bool put_headers(json_t *to, const struct s3_headers *headers) {
  json_t *all = json_object();
  bool good = all && !headers->failed;
  for (size_t i = 0; good && i < headers->count; i++) {
    const struct auth_header *h = &headers->items[i];
    if (is_told(h->name)) continue;
    BUF_AUTO name = BUF_INIT;
    buf_append_slice(&name, h->name);
    good = put(all, buf_str(&name), text_json(h->value)) && !name.failed;
  }
  return put(to, "headers", all) && good;
}

static bool put_tags(json_t *to, const struct s3_meta *m) {
  json_t *all = json_object();
  bool good = all != NULL;
  for (size_t i = 0; good && i < m->tag_count; i++) {
    BUF_AUTO name = BUF_INIT;
    buf_append_slice(&name, m->tags[i].key);
    good = put(all, buf_str(&name), text_json(m->tags[i].value)) && !name.failed;
  }
  return m->tag_count == 0 ? (json_decref(all), good) : put(to, "tags", all) && good;
}

static json_t *grant_json(const struct policy_grant *g) {
  static const struct {
    unsigned right;
    const char *name;
  } rights[] = {{POLICY_READ, "READ"},
                {POLICY_WRITE, "WRITE"},
                {POLICY_READ_ACP, "READ_ACP"},
                {POLICY_WRITE_ACP, "WRITE_ACP"}};
  json_t *list = json_array();
  for (size_t i = 0; list && i < sizeof rights / sizeof rights[0]; i++)
    if (g->rights & rights[i].right) json_array_append_new(list, json_string(rights[i].name));
  json_t *to = g->to == POLICY_TO_ACCOUNT ? text_json(g->account) : json_string(policy_group_uri(g->to));
  return json_pack("{s:o,s:o}", "to", to, "rights", list);
}

/* Grants stand in the metadata only where they say more than that the bucket's owner has full control. */
static enum dom_code put_acl(json_t *to, const struct s3_meta *m, struct arena *arena, struct dom_err *err) {
  if (m->acl.len == 0) return DOM_OK;
  struct policy_acl *acl = arena_alloc(arena, sizeof *acl);
  if (!acl) return dom_fail(err, DOM_NO_MEMORY, "serve/export", "no memory");
  if (policy_acl_parse(m->acl, acl, err)) return DOM_CORRUPT;
  json_t *grants = json_array();
  bool good = grants != NULL;
  for (size_t i = 0; good && i < acl->count; i++)
    good = json_array_append_new(grants, grant_json(&acl->grant[i])) == 0;
  json_t *j = json_pack("{s:o,s:o}", "owner", text_json(acl->owner), "grants", grants);
  good = put(to, "acl", j) && good;
  return good ? DOM_OK : dom_fail(err, DOM_NO_MEMORY, "serve/export", "no memory");
}

/* Everything that is kept beside the bytes of an object, or of an upload for the object to come. */
static enum dom_code put_meta(struct export_teller *t, json_t *to, const struct store_object *o,
                              const struct s3_meta *m, struct dom_err *err) {
  struct s3_headers headers = {.arena = t->arena};
  struct s3_object_view view = {
      .md5 = o->etag_md5, .part_count = o->etag_parts, .modified_ms = o->mtime_ms, .meta = m};
  s3_headers_object(&headers, &view, NULL, true);
  if (m->has_plan) s3_headers_plan(&headers, &m->plan);
  bool good = put_headers(to, &headers) && put_tags(to, m);
  if (good && o->classes.len) good = put(to, "inherited_classes", text_json(o->classes));
  if (good && m->customer.len) good = put(to, "sealed_by_client", json_true());
  return good ? put_acl(to, m, t->arena, err) : dom_fail(err, DOM_NO_MEMORY, "serve/export", "no memory");
}

/* What names the bytes and what they must hash to, where that is known. */
static bool put_body(json_t *to, const struct store_item *item, const uint8_t sha256[SHA256_SIZE]) {
  return put(to, "stamp", hex_json(item->stamp, sizeof item->stamp)) &&
         (!store_sha256_known(sha256) || put(to, "sha256", hex_json(sha256, SHA256_SIZE)));
}

static enum dom_code put_object(struct export_teller *t, json_t *to, const struct store_item *item,
                                struct dom_err *err) {
  static const uint8_t none[SHA256_SIZE];
  const struct store_object *o = &item->object;
  struct store_version which = store_item_version(item);
  struct s3_meta m;
  char version[S3_VERSION_ID_SIZE], etag[S3_ETAG_SIZE];
  version_text(item->bucket, &which, version);
  bool good = put(to, "version_id", json_string(version)) && put_number(to, "modified_ms", o->mtime_ms);
  if (!good) return dom_fail(err, DOM_NO_MEMORY, "serve/export", "no memory");
  if (o->is_marker) return DOM_OK;
  enum dom_code code = s3_meta_decode(o->meta, t->arena, &m, err);
  if (code) return code;
  object_etag(o, etag);
  good = put_number(to, "size", o->size) && put(to, "etag", json_string(etag));
  if (good && o->etag_parts) good = put_number(to, "parts", o->etag_parts);
  const uint8_t *sha = o->body_count == 0 ? o->sha256 : o->body_count == 1 ? o->bodies[0].sha256 : none;
  if (good && !m.customer.len) good = put_body(to, item, sha);
  return good ? put_meta(t, to, o, &m, err) : dom_fail(err, DOM_NO_MEMORY, "serve/export", "no memory");
}

static bool put_upload_id(json_t *to, const struct store_item *item) {
  return put(to, "upload_id", hex_json(item->upload.id, STORE_UPLOAD_ID_SIZE));
}

static enum dom_code put_upload(struct export_teller *t, json_t *to, const struct store_item *item,
                                struct dom_err *err) {
  const struct store_upload *u = &item->upload;
  struct store_object to_come = {.mtime_ms = u->mtime_ms, .classes = u->classes};
  struct s3_meta m;
  enum dom_code code = s3_meta_decode(u->meta, t->arena, &m, err);
  if (!code && !(put_upload_id(to, item) && put_number(to, "initiated_ms", u->mtime_ms)))
    code = dom_fail(err, DOM_NO_MEMORY, "serve/export", "no memory");
  return code ? code : put_meta(t, to, &to_come, &m, err);
}

static enum dom_code put_part(struct export_teller *t, json_t *to, const struct store_item *item,
                              struct dom_err *err) {
  const struct store_part *p = &item->part;
  struct s3_part_meta m;
  char etag[S3_ETAG_SIZE];
  enum dom_code code = s3_part_meta_decode(slice_of(p->meta, p->meta_len), &m, err);
  if (code) return code;
  struct s3_headers headers = {.arena = t->arena};
  if (m.has_checksum) s3_headers_checksum(&headers, &m.checksum);
  s3_etag_print(p->md5, 0, etag);
  bool good = put_upload_id(to, item) && put_number(to, "part", p->number) &&
              put_number(to, "size", p->body.size) && put_number(to, "modified_ms", p->mtime_ms) &&
              put(to, "etag", json_string(etag)) && put_headers(to, &headers);
  if (good) good = m.has_salt ? put(to, "sealed_by_client", json_true()) : put_body(to, item, p->body.sha256);
  return good ? DOM_OK : dom_fail(err, DOM_NO_MEMORY, "serve/export", "no memory");
}

static const char *kind_name(const struct store_item *item) {
  if (item->kind == STORE_ITEM_UPLOAD) return "upload";
  if (item->kind == STORE_ITEM_PART) return "part";
  return item->object.is_marker ? "delete-marker" : "object";
}

/* A person may arrive with objects of a bucket that this region has yet to hear of. */
static json_t *bucket_id_json(const uint8_t id[STORE_BUCKET_ID_SIZE]) {
  return json_pack("{s:o}", "id", hex_json(id, STORE_BUCKET_ID_SIZE));
}

enum dom_code export_item(struct export_teller *t, const struct store_item *item, json_t **out,
                          struct dom_err *err) {
  enum dom_code code = DOM_OK;
  assert(t->view && t->arena && !item->absent);
  arena_reset(t->arena);
  if (!t->name[0] || memcmp(t->bucket, item->bucket, sizeof t->bucket) != 0) {
    memcpy(t->bucket, item->bucket, sizeof t->bucket);
    t->name[0] = 0;
    code = subject_bucket_name(t->view, item->bucket, t->name, err);
  }
  if (code && code != DOM_NOT_FOUND) return code;
  json_t *bucket = code ? bucket_id_json(item->bucket) : json_string(t->name);
  json_t *j =
      json_pack("{s:s,s:o,s:o}", "kind", kind_name(item), "bucket", bucket, "key", text_json(item->key));
  if (!j) return dom_fail(err, DOM_NO_MEMORY, "serve/export", "no memory");
  if (item->kind == STORE_ITEM_OBJECT)
    code = put_object(t, j, item, err);
  else
    code = item->kind == STORE_ITEM_UPLOAD ? put_upload(t, j, item, err) : put_part(t, j, item, err);
  if (code)
    json_decref(j);
  else
    *out = j;
  return code;
}
