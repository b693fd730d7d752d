#include "s3/config.h"

#include <assert.h>

#include "s3/tree.h"
#include "s3/xml.h"

/* ---- versioning -------------------------------------------------------------------------------- */

enum s3_error s3_versioning_parse(struct slice body, struct arena *arena, bool *out_enabled) {
  struct tree_node *root;
  enum s3_error error = tree_read(body, S3_CONFIG_BYTES_MAX, "VersioningConfiguration", arena, &root);
  if (error != S3_OK) return error;
  if (!TREE_OBEYS(root, {"Status", 0, 1}, {"MfaDelete", 0, 1})) return S3_ERR_MALFORMED_XML;
  struct slice status = tree_value(root, "Status"), mfa = tree_value(root, "MfaDelete");
  bool enabled = slice_equal(status, SLICE_LIT("Enabled"));
  if (slice_equal(mfa, SLICE_LIT("Enabled"))) return S3_ERR_NOT_IMPLEMENTED;
  if (mfa.len > 0 && !slice_equal(mfa, SLICE_LIT("Disabled"))) return S3_ERR_MALFORMED_XML;
  if (status.len == 0) return S3_ERR_ILLEGAL_VERSIONING;
  if (!enabled && !slice_equal(status, SLICE_LIT("Suspended"))) return S3_ERR_MALFORMED_XML;
  *out_enabled = enabled;
  return S3_OK;
}

/* ---- tags ------------------------------------------------------------------------------------------ */

/* Characters of UTF-8 text: bytes that do not continue one. expat gives nothing else. */
static size_t chars_of(struct slice text) {
  size_t count = 0;
  for (size_t i = 0; i < text.len; i++) count += (text.data[i] & 0xC0) != 0x80;
  return count;
}

enum s3_error s3_tags_add(struct s3_tags *tags, size_t tags_max, struct s3_tag tag) {
  assert(tags_max <= S3_BUCKET_TAGS_MAX && tags->count <= tags_max);
  bool fits = tag.key.len > 0 && chars_of(tag.key) <= S3_TAG_KEY_CHARS_MAX &&
              chars_of(tag.value) <= S3_TAG_VALUE_CHARS_MAX;
  bool reserved = tag.key.len >= 4 && slice_equal_nocase(slice_cut(tag.key, 0, 4), SLICE_LIT("aws:"));
  if (!fits || reserved || tags->count == tags_max) return S3_ERR_INVALID_TAG;
  for (size_t i = 0; i < tags->count; i++)
    if (slice_equal(tags->tag[i].key, tag.key)) return S3_ERR_INVALID_TAG;
  tags->tag[tags->count++] = tag;
  return S3_OK;
}

enum s3_error s3_tags_parse(struct slice body, size_t tags_max, struct arena *arena, struct s3_tags *out) {
  struct tree_node *root;
  struct s3_tags tags = {.count = 0};
  enum s3_error error = tree_read(body, S3_TAGGING_BYTES_MAX, "Tagging", arena, &root);
  if (error != S3_OK) return error;
  if (!TREE_OBEYS(root, {"TagSet", 1, 1})) return S3_ERR_MALFORMED_XML;
  const struct tree_node *set = tree_child(root, "TagSet");
  if (!TREE_OBEYS(set, {"Tag", 0, UINT32_MAX})) return S3_ERR_MALFORMED_XML;
  for (const struct tree_node *tag = set->first; tag != NULL && error == S3_OK; tag = tag->next) {
    if (!TREE_OBEYS(tag, {"Key", 1, 1}, {"Value", 1, 1})) return S3_ERR_MALFORMED_XML;
    /* Blanks are part of them. */
    error = s3_tags_add(&tags, tags_max,
                        (struct s3_tag){tree_child(tag, "Key")->text, tree_child(tag, "Value")->text});
  }
  if (error == S3_OK) *out = tags;
  return error;
}

void s3_tags_print(const struct s3_tags *tags, struct buf *out) {
  assert(tags->count <= S3_BUCKET_TAGS_MAX);
  xml_begin(out);
  xml_open_root(out, "Tagging");
  xml_open(out, "TagSet");
  for (size_t i = 0; i < tags->count; i++) {
    xml_open(out, "Tag");
    xml_text(out, "Key", tags->tag[i].key);
    xml_text(out, "Value", tags->tag[i].value);
    xml_close(out, "Tag");
  }
  xml_close(out, "TagSet");
  xml_close(out, "Tagging");
}

/* ---- encryption --------------------------------------------------------------------------------------- */

enum s3_error s3_encryption_parse(struct slice body, struct arena *arena, struct s3_encryption *out) {
  struct tree_node *root;
  struct s3_encryption e = {.has_bucket_key = false};
  enum s3_error error =
      tree_read(body, S3_CONFIG_BYTES_MAX, "ServerSideEncryptionConfiguration", arena, &root);
  if (error != S3_OK) return error;
  if (!TREE_OBEYS(root, {"Rule", 1, 1})) return S3_ERR_MALFORMED_XML;
  const struct tree_node *rule = tree_child(root, "Rule");
  if (!TREE_OBEYS(rule, {"ApplyServerSideEncryptionByDefault", 1, 1}, {"BucketKeyEnabled", 0, 1}))
    return S3_ERR_MALFORMED_XML;
  const struct tree_node *apply = tree_child(rule, "ApplyServerSideEncryptionByDefault"),
                         *key = tree_child(rule, "BucketKeyEnabled");
  if (!TREE_OBEYS(apply, {"SSEAlgorithm", 1, 1}, {"KMSMasterKeyID", 0, 1})) return S3_ERR_MALFORMED_XML;
  struct slice algorithm = tree_value(apply, "SSEAlgorithm");
  if (slice_equal(algorithm, SLICE_LIT("aws:kms")) || slice_equal(algorithm, SLICE_LIT("aws:kms:dsse")))
    return S3_ERR_NOT_IMPLEMENTED;
  if (!slice_equal(algorithm, SLICE_LIT("AES256"))) return S3_ERR_MALFORMED_XML;
  if (tree_child(apply, "KMSMasterKeyID") != NULL) return S3_ERR_INVALID_ARGUMENT;
  e.has_bucket_key = key != NULL;
  if (key != NULL && !tree_bool(key, &e.bucket_key)) return S3_ERR_MALFORMED_XML;
  *out = e;
  return S3_OK;
}

void s3_encryption_print(const struct s3_encryption *e, struct buf *out) {
  assert(e->has_bucket_key || !e->bucket_key);
  xml_begin(out);
  xml_open_root(out, "ServerSideEncryptionConfiguration");
  xml_open(out, "Rule");
  xml_open(out, "ApplyServerSideEncryptionByDefault");
  xml_text(out, "SSEAlgorithm", SLICE_LIT("AES256"));
  xml_close(out, "ApplyServerSideEncryptionByDefault");
  if (e->has_bucket_key) xml_bool(out, "BucketKeyEnabled", e->bucket_key);
  xml_close(out, "Rule");
  xml_close(out, "ServerSideEncryptionConfiguration");
}

/* ---- public access, ownership ---------------------------------------------------------------------------
 */

enum s3_error s3_public_access_parse(struct slice body, struct arena *arena, struct s3_public_access *out) {
  struct tree_node *root;
  struct s3_public_access p = {false};
  const struct {
    const char *name;
    bool *out;
  } rows[] = {{"BlockPublicAcls", &p.block_acls},
              {"IgnorePublicAcls", &p.ignore_acls},
              {"BlockPublicPolicy", &p.block_policy},
              {"RestrictPublicBuckets", &p.restrict_buckets}};
  enum s3_error error = tree_read(body, S3_CONFIG_BYTES_MAX, "PublicAccessBlockConfiguration", arena, &root);
  if (error != S3_OK) return error;
  if (!TREE_OBEYS(root, {"BlockPublicAcls", 0, 1}, {"IgnorePublicAcls", 0, 1}, {"BlockPublicPolicy", 0, 1},
                  {"RestrictPublicBuckets", 0, 1}))
    return S3_ERR_MALFORMED_XML;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const struct tree_node *child = tree_child(root, rows[i].name);
    if (child != NULL && !tree_bool(child, rows[i].out)) return S3_ERR_MALFORMED_XML;
  }
  *out = p;
  return S3_OK;
}

void s3_public_access_print(const struct s3_public_access *p, struct buf *out) {
  assert(p != NULL);
  xml_begin(out);
  xml_open_root(out, "PublicAccessBlockConfiguration");
  xml_bool(out, "BlockPublicAcls", p->block_acls);
  xml_bool(out, "IgnorePublicAcls", p->ignore_acls);
  xml_bool(out, "BlockPublicPolicy", p->block_policy);
  xml_bool(out, "RestrictPublicBuckets", p->restrict_buckets);
  xml_close(out, "PublicAccessBlockConfiguration");
}

enum s3_error s3_ownership_parse(struct slice body, struct arena *arena, const char **out) {
  static const char *const names[] = {"BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"};
  struct tree_node *root;
  enum s3_error error = tree_read(body, S3_CONFIG_BYTES_MAX, "OwnershipControls", arena, &root);
  if (error != S3_OK) return error;
  if (!TREE_OBEYS(root, {"Rule", 1, 1})) return S3_ERR_MALFORMED_XML;
  const struct tree_node *rule = tree_child(root, "Rule");
  if (!TREE_OBEYS(rule, {"ObjectOwnership", 1, 1})) return S3_ERR_MALFORMED_XML;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (!slice_equal(tree_value(rule, "ObjectOwnership"), slice_str(names[i]))) continue;
    *out = names[i];
    return S3_OK;
  }
  return S3_ERR_MALFORMED_XML;
}

void s3_ownership_print(const char *ownership, struct buf *out) {
  assert(ownership != NULL);
  xml_begin(out);
  xml_open_root(out, "OwnershipControls");
  xml_open(out, "Rule");
  xml_text(out, "ObjectOwnership", slice_str(ownership));
  xml_close(out, "Rule");
  xml_close(out, "OwnershipControls");
}

/* ---- object lock ------------------------------------------------------------------------------------------
 */

static enum s3_error retention_parse(const struct tree_node *rule, struct s3_object_lock *lock) {
  if (!TREE_OBEYS(rule, {"DefaultRetention", 1, 1})) return S3_ERR_MALFORMED_XML;
  const struct tree_node *retention = tree_child(rule, "DefaultRetention");
  if (!TREE_OBEYS(retention, {"Mode", 1, 1}, {"Days", 0, 1}, {"Years", 0, 1})) return S3_ERR_MALFORMED_XML;
  struct slice mode = tree_value(retention, "Mode");
  const struct tree_node *days = tree_child(retention, "Days"), *years = tree_child(retention, "Years");
  lock->has_default = true;
  lock->compliance = slice_equal(mode, SLICE_LIT("COMPLIANCE"));
  lock->in_years = years != NULL;
  bool known = lock->compliance || slice_equal(mode, SLICE_LIT("GOVERNANCE"));
  if (!known || (days == NULL) == (years == NULL) || !tree_u64(days ? days : years, &lock->period))
    return S3_ERR_MALFORMED_XML;
  uint64_t max = lock->in_years ? S3_LOCK_YEARS_MAX : S3_LOCK_DAYS_MAX;
  return lock->period >= 1 && lock->period <= max ? S3_OK : S3_ERR_INVALID_ARGUMENT;
}

enum s3_error s3_object_lock_parse(struct slice body, struct arena *arena, struct s3_object_lock *out) {
  struct tree_node *root;
  struct s3_object_lock lock = {.has_default = false};
  enum s3_error error = tree_read(body, S3_CONFIG_BYTES_MAX, "ObjectLockConfiguration", arena, &root);
  if (error != S3_OK) return error;
  if (!TREE_OBEYS(root, {"ObjectLockEnabled", 1, 1}, {"Rule", 0, 1})) return S3_ERR_MALFORMED_XML;
  if (!slice_equal(tree_value(root, "ObjectLockEnabled"), SLICE_LIT("Enabled"))) return S3_ERR_MALFORMED_XML;
  const struct tree_node *rule = tree_child(root, "Rule");
  if (rule != NULL) error = retention_parse(rule, &lock);
  if (error == S3_OK) *out = lock;
  return error;
}

void s3_object_lock_print(const struct s3_object_lock *lock, struct buf *out) {
  xml_begin(out);
  xml_open_root(out, "ObjectLockConfiguration");
  xml_text(out, "ObjectLockEnabled", SLICE_LIT("Enabled"));
  if (lock->has_default) {
    assert(lock->period > 0);
    xml_open(out, "Rule");
    xml_open(out, "DefaultRetention");
    xml_text(out, "Mode", lock->compliance ? SLICE_LIT("COMPLIANCE") : SLICE_LIT("GOVERNANCE"));
    xml_u64(out, lock->in_years ? "Years" : "Days", lock->period);
    xml_close(out, "DefaultRetention");
    xml_close(out, "Rule");
  }
  xml_close(out, "ObjectLockConfiguration");
}
