#include "auth/sign.h"

#include <assert.h>

#include "auth/canon.h"

/* Names of all headers of `request`, lower case, sorted, without repeats, joined by ';'. */
static enum auth_error names_join(const struct auth_request *request, struct buf *out) {
  struct slice previous = {0};
  assert(request->header_count > 0);
  if (request->header_count > AUTH_SIGNED_HEADERS_MAX) return AUTH_TOO_MANY_PARTS;
  for (size_t round = 0; round < request->header_count; round++) {
    struct slice least = {0};
    for (size_t i = 0; i < request->header_count; i++) {
      struct slice name = request->headers[i].name;
      bool is_next = previous.len == 0 || slice_compare(name, previous) > 0;
      if (is_next && (least.len == 0 || slice_compare(name, least) < 0)) least = name;
    }
    if (least.len == 0) break; /* only repeats were left */
    if (out->len > 0) buf_append_byte(out, ';');
    buf_append_slice(out, least);
    previous = least;
  }
  return out->failed ? AUTH_NO_MEMORY : AUTH_OK;
}

static struct slice name_lower(struct slice name, struct arena *arena) {
  assert(name.len > 0);
  uint8_t *bytes = arena_alloc(arena, name.len);
  if (bytes == NULL) return (struct slice){0};
  for (size_t i = 0; i < name.len; i++) {
    uint8_t c = name.data[i];
    bytes[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
  }
  return slice_of(bytes, name.len);
}

/* The request's headers with lower-case names, and the two that this room adds. */
static enum auth_error headers_complete(const struct auth_request *request, const struct auth_signed *made,
                                        struct slice payload_hash, struct arena *arena,
                                        struct auth_request *out) {
  size_t count = request->header_count;
  struct auth_header *headers = arena_alloc(arena, (count + 2) * sizeof *headers);
  if (headers == NULL) return AUTH_NO_MEMORY;
  for (size_t i = 0; i < count; i++) {
    headers[i] = (struct auth_header){name_lower(request->headers[i].name, arena), request->headers[i].value};
    if (headers[i].name.data == NULL) return AUTH_NO_MEMORY;
    assert(!slice_equal(headers[i].name, SLICE_LIT("x-amz-date")));
  }
  headers[count] = (struct auth_header){SLICE_LIT("x-amz-date"), slice_of(made->date, AUTH_DATE_SIZE)};
  headers[count + 1] = (struct auth_header){SLICE_LIT("x-amz-content-sha256"), payload_hash};
  *out = *request;
  out->headers = headers;
  out->header_count = count + 2;
  return AUTH_OK;
}

static struct slice authorization_make(const struct auth_signer *signer, struct slice scope,
                                       struct slice names, const char *signature, struct arena *arena) {
  BUF_AUTO text = BUF_INIT;
  assert(strlen(signature) == AUTH_SIGNATURE_HEX);
  buf_append_str(&text, CANON_ALGORITHM " Credential=");
  buf_append_slice(&text, signer->access);
  buf_append_byte(&text, '/');
  buf_append_slice(&text, scope);
  buf_append_str(&text, ",SignedHeaders=");
  buf_append_slice(&text, names);
  buf_append_str(&text, ",Signature=");
  buf_append_str(&text, signature);
  return text.failed ? (struct slice){0} : arena_copy(arena, buf_slice(&text));
}

enum auth_error auth_sign_request(const struct auth_signer *signer, const struct auth_request *request,
                                  struct slice payload_hash, struct arena *arena, struct auth_signed *out) {
  assert(signer != NULL && request != NULL && arena != NULL && out != NULL);
  assert(signer->region.len <= AUTH_REGION_BYTES_MAX && payload_hash.len <= AUTH_SIGNATURE_HEX);
  struct slice unused;
  assert(auth_header_find(request, SLICE_LIT("host"), &unused) == 1);
  BUF_AUTO names = BUF_INIT;
  BUF_AUTO head = BUF_INIT;
  BUF_AUTO scope = BUF_INIT;
  struct auth_signed made = {0};
  struct auth_request full;
  struct auth_query query;
  uint8_t key[KEY_SIZE];
  char signature[AUTH_SIGNATURE_HEX + 1];

  canon_date(request->now_ms, made.date);
  memcpy(made.content_sha256, payload_hash.data, payload_hash.len);
  enum auth_error error = headers_complete(request, &made, payload_hash, arena, &full);
  if (error == AUTH_OK) error = auth_query_parse(request->raw_query, arena, &query);
  if (error == AUTH_OK) error = names_join(&full, &names);
  if (error == AUTH_OK) error = canon_head(&full, &query, (struct slice){0}, buf_slice(&names), &head);
  if (error != AUTH_OK) return error;
  struct slice day = slice_of(made.date, 8);
  buf_append_slice(&scope, day);
  buf_append_byte(&scope, '/');
  buf_append_slice(&scope, signer->region);
  buf_append_str(&scope, "/" CANON_SERVICE "/" CANON_TERMINATOR);
  if (scope.failed) return AUTH_NO_MEMORY;
  canon_signing_key(signer->secret, day, signer->region, key);
  canon_sign_request(key, slice_of(made.date, AUTH_DATE_SIZE), buf_slice(&scope), buf_slice(&head),
                     payload_hash, signature);
  wipe(key, sizeof key);
  made.authorization = authorization_make(signer, buf_slice(&scope), buf_slice(&names), signature, arena);
  if (made.authorization.data == NULL) return AUTH_NO_MEMORY;
  *out = made;
  return AUTH_OK;
}
