#include "s3/customer.h"

#include <assert.h>

#include "s3/route.h"

/* The headers of one key, as they came. */
struct parts {
  struct slice algorithm, key, md5;
  bool any;
};

static bool ends_with(struct slice name, struct slice stem, const char *end) {
  return slice_equal_nocase(slice_cut(name, stem.len, name.len), slice_str(end));
}

/* One pass over the head: most requests have none of these. */
static void collect(const struct auth_request *head, struct slice stem, struct parts *out) {
  assert(head != NULL && out != NULL);
  for (size_t i = 0; i < head->header_count; i++) {
    struct slice name = head->headers[i].name;
    if (name.len <= stem.len || !slice_equal_nocase(slice_cut(name, 0, stem.len), stem)) continue;
    struct slice value = auth_value_trim(head->headers[i].value);
    struct slice *to = ends_with(name, stem, "algorithm") ? &out->algorithm
                       : ends_with(name, stem, "key")     ? &out->key
                       : ends_with(name, stem, "key-MD5") ? &out->md5
                                                          : NULL;
    if (to == NULL) continue;
    *to = value;
    out->any = true;
  }
}

static enum s3_error check_md5(const struct s3_customer_key *key) {
  uint8_t md5[MD5_SIZE];
  BUF_AUTO sent = BUF_INIT;
  struct hash *hash = hash_new(HASH_MD5);
  if (hash == NULL) return S3_ERR_INTERNAL_ERROR;
  hash_update(hash, key->key, sizeof key->key);
  hash_final(hash, md5);
  hash_free(hash);
  enum dom_code code = base64_decode(key->md5_text, &sent);
  if (sent.failed) return S3_ERR_INTERNAL_ERROR;
  bool same = code == DOM_OK && slice_equal(buf_slice(&sent), slice_of(md5, sizeof md5));
  return same ? S3_OK : S3_ERR_CUSTOMER_MD5_MISMATCH;
}

static enum s3_error read_key(const struct parts *parts, struct s3_customer_key *out) {
  if (!slice_equal(parts->algorithm, SLICE_LIT("AES256"))) return S3_ERR_CUSTOMER_ALGORITHM;
  if (parts->key.len == 0) return S3_ERR_CUSTOMER_KEY_MISSING;
  if (parts->md5.len == 0) return S3_ERR_CUSTOMER_MD5_MISSING;
  struct buf bytes = BUF_INIT;
  enum dom_code code = base64_decode(parts->key, &bytes);
  enum s3_error error = bytes.failed                                     ? S3_ERR_INTERNAL_ERROR
                        : code != DOM_OK || bytes.len != sizeof out->key ? S3_ERR_CUSTOMER_KEY_INVALID
                                                                         : S3_OK;
  if (error == S3_OK) memcpy(out->key, bytes.data, sizeof out->key);
  buf_wipe_done(&bytes);
  out->md5_text = parts->md5;
  return error == S3_OK ? check_md5(out) : error;
}

enum s3_error s3_customer_from_head(const struct auth_request *head, enum s3_customer_which which,
                                    struct arena *arena, const struct s3_customer_key **out,
                                    struct s3_fault *out_fault) {
  struct parts parts = {0};
  assert(arena != NULL && out != NULL && out_fault != NULL);
  *out = NULL;
  collect(head,
          which == S3_CUSTOMER_OWN ? SLICE_LIT("x-amz-server-side-encryption-customer-")
                                   : SLICE_LIT("x-amz-copy-source-server-side-encryption-customer-"),
          &parts);
  if (!parts.any) return S3_OK;
  struct s3_customer_key *key = arena_alloc(arena, sizeof *key);
  if (key == NULL) return fault_set(out_fault, S3_ERR_INTERNAL_ERROR, NULL);
  enum s3_error error = read_key(&parts, key);
  if (error != S3_OK) return fault_set(out_fault, error, NULL);
  *out = key;
  return S3_OK;
}
