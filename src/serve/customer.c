#include "serve/customer.h"

#include <assert.h>

#include "base/codec.h"
#include "serve/region.h"

enum { SEALED_VERSION = 1, SALT_AT = 1, VERIFIER_AT = 17, WRAPPED_AT = 49, TAG_AT = 81 };
const uint8_t CUSTOMER_WHOLE[CUSTOMER_SALT_SIZE] = {0};

/* ---- the data key ---- */

/* A key from a key, for one purpose and salt. */
static void derive(const uint8_t key[KEY_SIZE], const char *purpose, const uint8_t salt[CUSTOMER_SALT_SIZE],
                   uint8_t out[KEY_SIZE]) {
  uint8_t info[64];
  size_t len = strlen(purpose);
  assert(len + CUSTOMER_SALT_SIZE <= sizeof info);
  memcpy(info, purpose, len);
  memcpy(info + len, salt, CUSTOMER_SALT_SIZE);
  hkdf_sha256(key, slice_of(info, len + CUSTOMER_SALT_SIZE), out);
}

enum s3_error customer_new(const struct s3_customer_key *key, struct customer *out,
                           uint8_t sealed[CUSTOMER_SEALED_SIZE]) {
  static const uint8_t nonce[GCM_NONCE_SIZE] = {0}; /* each wrapping key wraps once: the salt is random */
  uint8_t wrapping[KEY_SIZE];
  assert(key != NULL && out != NULL);
  sealed[0] = SEALED_VERSION;
  random_bytes(sealed + SALT_AT, CUSTOMER_SALT_SIZE);
  random_bytes(out->key, sizeof out->key);
  derive(key->key, "domicile sse-c verify", sealed + SALT_AT, sealed + VERIFIER_AT);
  derive(key->key, "domicile sse-c wrap", sealed + SALT_AT, wrapping);
  enum dom_code code = gcm_seal(wrapping, nonce, slice_of(sealed, WRAPPED_AT),
                                slice_of(out->key, sizeof out->key), sealed + WRAPPED_AT, sealed + TAG_AT);
  wipe(wrapping, sizeof wrapping);
  return code ? S3_ERR_SLOW_DOWN : S3_OK;
}

enum s3_error customer_open(struct slice sealed, const struct s3_customer_key *key, struct customer *out) {
  static const uint8_t nonce[GCM_NONCE_SIZE] = {0};
  uint8_t verifier[KEY_SIZE], wrapping[KEY_SIZE];
  assert(key != NULL && out != NULL);
  if (sealed.len != CUSTOMER_SEALED_SIZE || sealed.data[0] != SEALED_VERSION) return S3_ERR_INTERNAL_ERROR;
  derive(key->key, "domicile sse-c verify", sealed.data + SALT_AT, verifier);
  if (!slice_equal_secret(slice_of(verifier, sizeof verifier), slice_cut(sealed, VERIFIER_AT, WRAPPED_AT)))
    return S3_ERR_CUSTOMER_WRONG;
  derive(key->key, "domicile sse-c wrap", sealed.data + SALT_AT, wrapping);
  enum dom_code code = gcm_open(wrapping, nonce, slice_cut(sealed, 0, WRAPPED_AT),
                                slice_cut(sealed, WRAPPED_AT, TAG_AT), sealed.data + TAG_AT, out->key);
  wipe(wrapping, sizeof wrapping);
  return code == DOM_OK ? S3_OK : code == DOM_NO_MEMORY ? S3_ERR_SLOW_DOWN : S3_ERR_INTERNAL_ERROR;
}

enum s3_error customer_match(struct slice sealed, const struct s3_customer_key *key, struct customer *out) {
  assert(out != NULL);
  if (sealed.len == 0) return key ? S3_ERR_CUSTOMER_NOT_APPLICABLE : S3_OK;
  return key ? customer_open(sealed, key, out) : S3_ERR_CUSTOMER_NEEDED;
}

void customer_body_key(const struct customer *customer, const uint8_t salt[CUSTOMER_SALT_SIZE],
                       uint8_t out[KEY_SIZE]) {
  assert(customer != NULL && salt != NULL);
  derive(customer->key, "domicile sse-c body", salt, out);
}

/* ---- reading ---- */

enum s3_error customer_reader_open(struct call *c, struct store_found *found, const struct s3_meta *meta,
                                   const struct s3_customer_key *key, struct customer_reader *out) {
  assert(found != NULL && meta != NULL);
  out->found = found;
  out->is_sealed = meta->customer.len > 0;
  enum s3_error error = customer_match(meta->customer, key, &out->customer);
  if (error || !out->is_sealed) return error;
  out->first = out->end = 0;
  error = object_parts(c, store_found_object(found), meta, &out->parts);
  return !error && out->parts.count > 0 && !out->parts.has_salt ? S3_ERR_INTERNAL_ERROR : error;
}

/* Makes the body that holds `at` the one at hand. */
static void body_at(struct customer_reader *r, uint64_t at) {
  const struct store_object *o = store_found_object(r->found);
  const uint8_t *salt = CUSTOMER_WHOLE;
  struct s3_part_entry entry;
  assert(r->is_sealed && at < o->size);
  if (at >= r->first && at < r->end) return;
  r->first = 0;
  r->end = o->size;
  if (r->parts.count > 0) {
    uint32_t i = 0;
    for (r->end = o->bodies[0].size; at >= r->end; r->end += o->bodies[++i].size) r->first = r->end;
    s3_parts_get(&r->parts, i, &entry);
    salt = entry.meta.salt;
  }
  customer_body_key(&r->customer, salt, r->key);
}

enum dom_code customer_read(struct customer_reader *r, uint64_t at, void *out, size_t len, size_t *out_len,
                            struct dom_err *err) {
  assert(r->found != NULL);
  bool within = at < store_found_object(r->found)->size;
  if (!r->is_sealed || !within || len == 0) return store_found_read(r->found, at, out, len, out_len, err);
  body_at(r, at);
  if (len > r->end - at) len = (size_t)(r->end - at);
  enum dom_code code = store_found_read(r->found, at, out, len, out_len, err);
  if (!code) code = ctr_xor(r->key, at - r->first, slice_of(out, *out_len), out);
  return code;
}

void customer_reader_done(struct customer_reader *r) {
  if (!r->is_sealed) return;
  wipe(&r->customer, sizeof r->customer);
  wipe(r->key, sizeof r->key);
}

/* ---- the request ---- */

static bool is_key(struct slice name) {
  const struct slice end = SLICE_LIT("-server-side-encryption-customer-key");
  assert(end.len > 0);
  return name.len > end.len && slice_equal_nocase(slice_cut(name, name.len - end.len, name.len), end);
}

bool customer_is_sent(const struct call *c) {
  const struct wire_head *h = wire_exchange_head(c->x);
  bool sent = c->q.customer || c->q.copy.customer;
  for (size_t i = 0; !sent && i < h->field_count; i++) sent = is_key(h->fields[i].name);
  for (size_t i = 0; !sent && i < c->head.header_count; i++) sent = is_key(c->head.headers[i].name);
  return sent;
}

enum s3_error customer_secure(const struct call *c) {
  if (!customer_is_sent(c)) return S3_OK;
  bool link = !c->is_forwarded || wire_exchange_tls(c->x) != 0;
  return c->client_tls && link ? S3_OK : S3_ERR_CUSTOMER_INSECURE;
}

/* They lie in the request's arena, which is this call's to write to. */
void customer_forget(struct call *c) {
  const struct s3_customer_key *keys[] = {c->q.customer, c->q.copy.customer};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
    if (keys[i]) wipe((void *)(uintptr_t)keys[i]->key, KEY_SIZE);
  c->q.customer = c->q.copy.customer = NULL;
}

void customer_fields(struct call *c) {
  if (!c->q.customer || c->q.op == S3_OP_COMPLETE_MULTIPART_UPLOAD) return;
  wire_reply_field_str(c->x, "x-amz-server-side-encryption-customer-algorithm", "AES256");
  wire_reply_field(c->x, SLICE_LIT("x-amz-server-side-encryption-customer-key-MD5"), c->q.customer->md5_text);
}
