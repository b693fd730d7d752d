#include "auth/verify.h"

#include <assert.h>

#include "auth/canon.h"
#include "auth/claim.h"
#include "auth/keycache.h"
#include "base/alloc.h"

struct auth_verifier {
  auth_key_lookup *lookup;
  void *lookup_context;
  uint8_t *token_key; /* locked memory, or NULL */
  uint16_t region;
  char region_pinned[AUTH_REGION_BYTES_MAX + 1];
  struct keycache *cache;
};

struct auth_verifier *auth_verifier_new(const struct auth_config *config) {
  assert(config != NULL && config->lookup != NULL);
  assert(config->region_pinned.len <= AUTH_REGION_BYTES_MAX);
  struct auth_verifier *verifier = dom_calloc(1, sizeof *verifier);
  if (verifier == NULL) return NULL;
  verifier->lookup = config->lookup;
  verifier->lookup_context = config->lookup_context;
  if (config->region_pinned.len > 0)
    memcpy(verifier->region_pinned, config->region_pinned.data, config->region_pinned.len);
  verifier->region = config->region;
  verifier->token_key = config->token_key != NULL ? secret_alloc(KEY_SIZE) : NULL;
  if (verifier->token_key != NULL) memcpy(verifier->token_key, config->token_key, KEY_SIZE);
  verifier->cache = keycache_new();
  if (verifier->cache == NULL || (config->token_key != NULL && verifier->token_key == NULL)) {
    auth_verifier_free(verifier);
    return NULL;
  }
  return verifier;
}

void auth_verifier_free(struct auth_verifier *verifier) {
  if (verifier == NULL) return;
  assert(verifier->token_key == NULL || verifier->region != 0);
  keycache_free(verifier->cache);
  if (verifier->token_key != NULL) secret_free(verifier->token_key, KEY_SIZE);
  dom_free(verifier);
}

bool auth_result_is_proven(const struct auth_result *result) {
  assert(result != NULL);
  return result->payload != AUTH_PAYLOAD_DEFERRED && !result->is_unverified;
}

/* ---- how the body is bound ---- */

/* The head's view of the payload. `hash` is what stands in the canonical request. */
struct payload {
  enum auth_payload mode;
  struct slice hash;
  uint8_t sha256[SHA256_SIZE];
};

/* True when the head announces no body at all. */
static bool body_is_absent(const struct auth_request *request) {
  struct slice value = {0};
  assert(request != NULL);
  if (auth_header_find(request, SLICE_LIT("transfer-encoding"), &value) > 0) return false;
  if (auth_header_find(request, SLICE_LIT("content-length"), &value) == 0) return true;
  return slice_equal(value, SLICE_LIT("0"));
}

static enum auth_error payload_from_value(struct slice value, bool is_anonymous, struct payload *out) {
  static const struct {
    const char *name;
    enum auth_payload mode;
  } modes[] = {
      {"UNSIGNED-PAYLOAD", AUTH_PAYLOAD_UNSIGNED},
      {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", AUTH_PAYLOAD_UNSIGNED_TRAILER},
      {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", AUTH_PAYLOAD_CHUNKED},
      {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", AUTH_PAYLOAD_CHUNKED_TRAILER},
  };
  struct payload payload = {.hash = value};
  size_t len = 0;
  assert(out != NULL);
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
    if (!slice_equal(value, slice_str(modes[i].name))) continue;
    bool needs_key = modes[i].mode == AUTH_PAYLOAD_CHUNKED || modes[i].mode == AUTH_PAYLOAD_CHUNKED_TRAILER;
    if (needs_key && is_anonymous) return AUTH_INVALID_PAYLOAD_HASH;
    payload.mode = modes[i].mode;
    *out = payload;
    return AUTH_OK;
  }
  if (hex_decode(value, payload.sha256, sizeof payload.sha256, &len) != DOM_OK || len != SHA256_SIZE)
    return AUTH_INVALID_PAYLOAD_HASH;
  payload.mode = AUTH_PAYLOAD_SIGNED;
  *out = payload;
  return AUTH_OK;
}

static enum auth_error payload_parse(const struct auth_request *request, const struct auth_query *query,
                                     enum auth_scheme scheme, struct payload *out) {
  struct slice value = {0};
  assert(request != NULL && query != NULL);
  size_t count = auth_header_find(request, SLICE_LIT("x-amz-content-sha256"), &value);
  if (count == 0 && scheme == AUTH_QUERY)
    count = auth_query_find(query, SLICE_LIT("X-Amz-Content-Sha256"), &value);
  if (count > 1) return AUTH_INVALID_PAYLOAD_HASH;
  if (count == 1) return payload_from_value(value, scheme == AUTH_ANONYMOUS, out);
  if (scheme != AUTH_HEADER) {
    *out = (struct payload){.mode = AUTH_PAYLOAD_UNSIGNED, .hash = SLICE_LIT("UNSIGNED-PAYLOAD")};
    return AUTH_OK;
  }
  if (body_is_absent(request)) return payload_from_value(SLICE_LIT(CANON_EMPTY_SHA256), false, out);
  *out = (struct payload){.mode = AUTH_PAYLOAD_DEFERRED};
  return AUTH_OK;
}

static bool mode_is_chunked(enum auth_payload mode) {
  assert(mode <= AUTH_PAYLOAD_UNSIGNED_TRAILER);
  return mode == AUTH_PAYLOAD_CHUNKED || mode == AUTH_PAYLOAD_CHUNKED_TRAILER ||
         mode == AUTH_PAYLOAD_UNSIGNED_TRAILER;
}

/* x-amz-decoded-content-length and x-amz-trailer, which go with aws-chunked. */
static enum auth_error framing_parse(const struct auth_request *request, struct auth_result *result) {
  struct slice value = {0};
  assert(request != NULL && result != NULL);
  bool may_trail =
      result->payload == AUTH_PAYLOAD_CHUNKED_TRAILER || result->payload == AUTH_PAYLOAD_UNSIGNED_TRAILER;
  size_t count = auth_header_find(request, SLICE_LIT("x-amz-trailer"), &value);
  if (count > 0) {
    /* A promise that would not be checked is refused. */
    if (!may_trail || count > 1 || !auth_checksum_by_header(value, &result->trailer))
      return AUTH_INVALID_TRAILER;
    result->has_trailer = true;
  }
  if (!mode_is_chunked(result->payload)) return AUTH_OK;
  count = auth_header_find(request, SLICE_LIT("x-amz-decoded-content-length"), &value);
  if (count == 0) return AUTH_MISSING_LENGTH;
  if (count > 1 || slice_to_u64(value, &result->decoded_length) != DOM_OK) return AUTH_INVALID_LENGTH;
  result->has_decoded_length = true;
  return AUTH_OK;
}

/* ---- who sent it ---- */

static bool name_must_be_signed(struct slice name) {
  assert(name.data != NULL || name.len == 0);
  static const char *const prefixes[] = {"x-amz-", "x-domicile-"};
  for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
    struct slice prefix = slice_str(prefixes[i]);
    if (name.len >= prefix.len && slice_equal_nocase(slice_cut(name, 0, prefix.len), prefix)) return true;
  }
  return false;
}

/* Whoever can add a header that changes the meaning of a request must not be able to. */
static enum auth_error signed_headers_check(const struct auth_request *request, struct slice names) {
  assert(names.len > 0);
  if (!canon_names_hold(names, SLICE_LIT("host"))) return AUTH_UNSIGNED_HEADERS;
  for (size_t i = 0; i < request->header_count; i++) {
    struct slice name = request->headers[i].name;
    if (name_must_be_signed(name) && !canon_names_hold(names, name)) return AUTH_UNSIGNED_HEADERS;
  }
  return AUTH_OK;
}

static enum auth_error time_check(const struct claim *claim, uint64_t now_ms) {
  assert(claim->scheme != AUTH_ANONYMOUS);
  if (claim->scheme == AUTH_HEADER) {
    uint64_t skew_ms = claim->date_ms > now_ms ? claim->date_ms - now_ms : now_ms - claim->date_ms;
    return skew_ms > AUTH_SKEW_MS_MAX ? AUTH_TIME_SKEWED : AUTH_OK;
  }
  if (claim->date_ms > now_ms + AUTH_SKEW_MS_MAX) return AUTH_NOT_YET_VALID;
  return now_ms >= claim->date_ms + claim->expires_s * 1000 ? AUTH_EXPIRED : AUTH_OK;
}

/* The one session token of the request; data NULL: it has none. */
static enum auth_error token_find(const struct auth_request *request, const struct auth_query *query,
                                  struct slice *out) {
  assert(request != NULL && query != NULL);
  *out = (struct slice){0};
  size_t headers = auth_header_find(request, SLICE_LIT("x-amz-security-token"), out);
  size_t params = auth_query_find(query, SLICE_LIT("X-Amz-Security-Token"), out);
  if (headers + params > 0 && out->data == NULL) return AUTH_INVALID_TOKEN;
  return headers + params > 1 ? AUTH_INVALID_TOKEN : AUTH_OK;
}

/* The credential of a token: its key, where this region made it. Its times are looked at wherever it is. */
static enum auth_error token_key(struct auth_verifier *verifier, struct slice text, const struct claim *claim,
                                 uint64_t now_ms, struct auth_result *result, struct auth_key *out) {
  assert(text.data != NULL);
  if (verifier->token_key == NULL) return AUTH_INVALID_TOKEN;
  enum auth_error error = auth_token_peek(text, &result->token);
  if (error != AUTH_OK) return error;
  if (result->payload == AUTH_PAYLOAD_DEFERRED) return AUTH_INVALID_PAYLOAD_HASH; /* heads must prove it */
  if (result->token.issued_ms > now_ms + AUTH_SKEW_MS_MAX) return AUTH_INVALID_TOKEN;
  if (result->token.expires_ms <= now_ms) return AUTH_EXPIRED_TOKEN;
  result->has_token = true;
  result->is_unverified = result->token.region != verifier->region;
  if (result->is_unverified) return AUTH_OK;
  return auth_token_open(verifier->token_key, text, claim->access, &result->token, out);
}

/* A lasting key stands in the table and has no token; a temporary one stands nowhere. */
static enum auth_error key_find(struct auth_verifier *verifier, struct slice token, const struct claim *claim,
                                uint64_t now_ms, struct auth_result *result, struct auth_key *out) {
  assert(out != NULL);
  if (token.data != NULL) return token_key(verifier, token, claim, now_ms, result, out);
  return verifier->lookup(verifier->lookup_context, claim->access, out) ? AUTH_OK : AUTH_UNKNOWN_ACCESS_KEY;
}

/* Copies into *result what the body's check needs; the arena keeps the texts. */
static enum auth_error chain_keep(const struct claim *claim, struct slice head, struct arena *arena,
                                  const uint8_t key[KEY_SIZE], struct auth_result *result) {
  assert(claim->signature.len == AUTH_SIGNATURE_HEX);
  memcpy(result->signature, claim->signature.data, AUTH_SIGNATURE_HEX);
  result->scope = claim->scope;
  bool needs_key = result->payload == AUTH_PAYLOAD_DEFERRED || result->payload == AUTH_PAYLOAD_CHUNKED ||
                   result->payload == AUTH_PAYLOAD_CHUNKED_TRAILER;
  if (needs_key) memcpy(result->signing_key, key, KEY_SIZE);
  if (result->payload != AUTH_PAYLOAD_DEFERRED) return AUTH_OK;
  result->canonical_head = arena_copy(arena, head);
  return result->canonical_head.data == NULL ? AUTH_NO_MEMORY : AUTH_OK;
}

static enum auth_error signature_check(struct auth_verifier *verifier, const struct auth_request *request,
                                       const struct auth_query *query, const struct claim *claim,
                                       const struct auth_key *key, struct slice payload_hash,
                                       struct arena *arena, struct auth_result *result) {
  BUF_AUTO head = BUF_INIT;
  uint8_t signing_key[KEY_SIZE];
  char expected[AUTH_SIGNATURE_HEX + 1];
  assert(claim->scheme != AUTH_ANONYMOUS);
  struct slice skip = claim->scheme == AUTH_QUERY ? SLICE_LIT("X-Amz-Signature") : (struct slice){0};
  enum auth_error error = canon_head(request, query, skip, claim->signed_headers, &head);
  if (error != AUTH_OK) return error;
  keycache_get(verifier->cache, key, claim->scope_date, claim->region, signing_key);
  error = chain_keep(claim, buf_slice(&head), arena, signing_key, result);
  if (error == AUTH_OK && result->payload != AUTH_PAYLOAD_DEFERRED) {
    canon_sign_request(signing_key, slice_of(claim->date_text, AUTH_DATE_SIZE), claim->scope,
                       buf_slice(&head), payload_hash, expected);
    bool equal = slice_equal_secret(slice_of(expected, AUTH_SIGNATURE_HEX),
                                    slice_of(result->signature, AUTH_SIGNATURE_HEX));
    if (!equal) error = AUTH_SIGNATURE_MISMATCH;
  }
  wipe(signing_key, sizeof signing_key);
  return error;
}

/* Into *result who it is, whatever was found so far; ends the key. */
static enum auth_error sender_take(const struct claim *claim, struct auth_key *key, struct arena *arena,
                                   enum auth_error error, struct auth_result *result) {
  assert(claim->scheme != AUTH_ANONYMOUS);
  size_t account_len = strlen(key->account);
  memcpy(result->date, claim->date_text, sizeof result->date);
  result->is_operator = key->is_operator;
  result->access_key = claim->access;
  result->account = arena_copy(arena, slice_str(key->account));
  auth_key_done(key);
  if (error == AUTH_OK && result->account.len < account_len) error = AUTH_NO_MEMORY;
  return error;
}

static enum auth_error sender_check(struct auth_verifier *verifier, const struct auth_request *request,
                                    const struct auth_query *query, const struct claim *claim,
                                    struct slice payload_hash, struct arena *arena,
                                    struct auth_result *result) {
  struct auth_key key = {0};
  struct slice token;
  assert(verifier != NULL && result != NULL);
  enum auth_error error = signed_headers_check(request, claim->signed_headers);
  if (error == AUTH_OK) error = token_find(request, query, &token);
  if (error == AUTH_OK) error = key_find(verifier, token, claim, request->now_ms, result, &key);
  if (error != AUTH_OK) return error;
  error = time_check(claim, request->now_ms);
  if (error == AUTH_OK && !result->is_unverified)
    error = signature_check(verifier, request, query, claim, &key, payload_hash, arena, result);
  return sender_take(claim, &key, arena, error, result);
}

enum auth_error auth_verify_head(struct auth_verifier *verifier, const struct auth_request *request,
                                 struct arena *arena, struct auth_result *out) {
  assert(verifier != NULL && request != NULL && arena != NULL && out != NULL);
  struct auth_query query;
  struct claim claim;
  struct payload payload;
  struct auth_result result = {0};
  enum auth_error error = auth_query_parse(request->raw_query, arena, &query);
  if (error == AUTH_OK) error = claim_parse(request, &query, slice_str(verifier->region_pinned), &claim);
  if (error == AUTH_OK) error = payload_parse(request, &query, claim.scheme, &payload);
  if (error != AUTH_OK) return error;
  result.scheme = claim.scheme;
  result.payload = payload.mode;
  memcpy(result.payload_sha256, payload.sha256, sizeof result.payload_sha256);
  error = framing_parse(request, &result);
  if (error == AUTH_OK && claim.scheme != AUTH_ANONYMOUS)
    error = sender_check(verifier, request, &query, &claim, payload.hash, arena, &result);
  if (error == AUTH_OK) *out = result;
  return error;
}

/* ---- forms ---- */

static enum auth_error form_signature_check(struct auth_verifier *verifier, const struct auth_form *form,
                                            const struct claim *claim, const struct auth_key *key) {
  uint8_t signing_key[KEY_SIZE], mac[SHA256_SIZE];
  char expected[AUTH_SIGNATURE_HEX + 1];
  assert(claim->scheme == AUTH_FORM && claim->signature.len == AUTH_SIGNATURE_HEX);
  keycache_get(verifier->cache, key, claim->scope_date, claim->region, signing_key);
  hmac_sha256(slice_of(signing_key, KEY_SIZE), form->policy, mac);
  wipe(signing_key, sizeof signing_key);
  canon_hex(mac, expected);
  bool equal = slice_equal_secret(slice_of(expected, AUTH_SIGNATURE_HEX), claim->signature);
  return equal ? AUTH_OK : AUTH_SIGNATURE_MISMATCH;
}

enum auth_error auth_verify_form(struct auth_verifier *verifier, const struct auth_form *form,
                                 uint64_t now_ms, struct arena *arena, struct auth_result *out) {
  assert(verifier != NULL && form != NULL && arena != NULL && out != NULL);
  struct claim claim;
  struct auth_key key = {0};
  struct auth_result result = {.scheme = AUTH_FORM, .payload = AUTH_PAYLOAD_UNSIGNED};
  enum auth_error error = claim_parse_form(form, slice_str(verifier->region_pinned), &claim);
  if (error == AUTH_OK) error = key_find(verifier, form->token, &claim, now_ms, &result, &key);
  if (error != AUTH_OK) return error;
  error = time_check(&claim, now_ms);
  if (error == AUTH_OK && !result.is_unverified) error = form_signature_check(verifier, form, &claim, &key);
  error = sender_take(&claim, &key, arena, error, &result);
  if (error == AUTH_OK) *out = result;
  return error;
}
