/* Query, canonical request, credentials and presigned URLs. A query printed from what was read is read
 * the same; the canonical form of a canonical form is itself; what is signed here verifies, and a
 * changed request does not. Nobody without the secret gets past the verifier. */
#include "fuzz.h"

#include "auth/canon.h"
#include "auth/claim.h"
#include "text_request.h"

enum { ARENA_BYTES = 1 << 20 };
#define SECRET "fuzz-secret-nobody-knows"

static bool lookup(void *context, struct slice access, struct auth_key *out) {
  (void)context;
  if (!slice_equal(access, SLICE_LIT("FUZZKEY"))) return false;
  *out = (struct auth_key){.access = "FUZZKEY", .secret = SECRET, .account = "main"};
  return true;
}

static void check_query(const struct auth_request *request, struct arena *arena) {
  struct auth_query query, again;
  fuzz_mark(&query, sizeof query);
  if (auth_query_parse(request->raw_query, arena, &query) != AUTH_OK) return;
  BUF_AUTO printed = BUF_INIT;
  for (size_t i = 0; i < query.count; i++) {
    if (i > 0) buf_append_byte(&printed, '&');
    percent_encode(&printed, query.params[i].name, false);
    buf_append_byte(&printed, '=');
    percent_encode(&printed, query.params[i].value, false);
  }
  assert(query.count <= AUTH_QUERY_PARAMS_MAX && !printed.failed);
  assert(auth_query_parse(buf_slice(&printed), arena, &again) == AUTH_OK && again.count == query.count);
  for (size_t i = 0; i < query.count; i++) {
    struct slice first;
    assert(slice_equal(query.params[i].name, again.params[i].name));
    assert(slice_equal(query.params[i].value, again.params[i].value));
    assert(auth_query_find(&query, query.params[i].name, &first) > 0);
  }
}

/* Path and query of the canonical request, given back as a request, give the same canonical request. */
static void check_canonical(const struct auth_request *request, struct arena *arena) {
  struct auth_query query;
  BUF_AUTO once = BUF_INIT;
  BUF_AUTO twice = BUF_INIT;
  if (auth_query_parse(request->raw_query, arena, &query) != AUTH_OK) return;
  if (canon_head(request, &query, (struct slice){0}, SLICE_LIT("host"), &once) != AUTH_OK) return;
  struct slice rest = buf_slice(&once), line;
  struct auth_request again = *request;
  assert(fuzz_line(&rest, &line)); /* the method */
  size_t end = slice_find(rest, '\n');
  again.raw_path = slice_cut(rest, 0, end);
  rest = slice_cut(rest, end + 1, rest.len);
  again.raw_query = slice_cut(rest, 0, slice_find(rest, '\n'));
  if (slice_find(request->method, '\r') < request->method.len) return; /* wire lets no such method through */
  assert(auth_query_parse(again.raw_query, arena, &query) == AUTH_OK);
  assert(canon_head(&again, &query, (struct slice){0}, SLICE_LIT("host"), &twice) == AUTH_OK);
  assert(slice_equal(buf_slice(&once), buf_slice(&twice)));
}

static enum auth_error verify(const struct auth_request *request, struct arena *arena,
                              struct auth_result *out) {
  static struct auth_verifier *verifier;
  struct auth_config config = {.lookup = lookup};
  if (verifier == NULL) verifier = auth_verifier_new(&config);
  assert(verifier != NULL);
  fuzz_mark(out, sizeof *out);
  enum auth_error error = auth_verify_head(verifier, request, arena, out);
  assert(error == AUTH_OK || fuzz_is_marked(out, sizeof *out));
  assert(auth_error_name(error) != NULL);
  return error;
}

static bool is_own(struct slice name) {
  return slice_equal_nocase(name, SLICE_LIT("authorization")) ||
         slice_equal_nocase(name, SLICE_LIT("x-amz-date")) ||
         slice_equal_nocase(name, SLICE_LIT("x-amz-content-sha256")) ||
         slice_equal_nocase(name, SLICE_LIT("date")) ||
         slice_equal_nocase(name, SLICE_LIT("x-amz-security-token")) ||
         slice_equal_nocase(name, SLICE_LIT("host"));
}

/* Signs the request with the real secret; *text then carries the three headers. */
static bool sign(struct text_request *text, struct arena *arena, struct auth_signed *out) {
  struct auth_signer signer = {SLICE_LIT("FUZZKEY"), SLICE_LIT(SECRET), SLICE_LIT("in")};
  size_t kept = 0;
  for (size_t i = 0; i < text->request.header_count; i++) {
    if (!is_own(text->headers[i].name)) text->headers[kept++] = text->headers[i];
  }
  if (kept + 4 > TEXT_REQUEST_HEADERS_MAX) return false;
  text->headers[kept++] = (struct auth_header){SLICE_LIT("Host"), SLICE_LIT("s3.example.org")};
  text->request.header_count = kept;
  if (auth_sign_request(&signer, &text->request, SLICE_LIT(AUTH_UNSIGNED_PAYLOAD), arena, out) != AUTH_OK)
    return false;
  text->headers[kept++] = (struct auth_header){SLICE_LIT("x-amz-date"), slice_str(out->date)};
  text->headers[kept++] =
      (struct auth_header){SLICE_LIT("x-amz-content-sha256"), slice_str(out->content_sha256)};
  text->headers[kept++] = (struct auth_header){SLICE_LIT("Authorization"), out->authorization};
  text->request.header_count = kept;
  return true;
}

static void check_signing(struct text_request *text, struct fuzz_random *r, struct arena *arena) {
  struct auth_result result;
  struct auth_signed head;
  BUF_AUTO path = BUF_INIT;
  if (!sign(text, arena, &head)) return;
  /* Of what else the verifier refuses (two mechanisms in one request, odd names) signing knows nothing. */
  if (verify(&text->request, arena, &result) != AUTH_OK) return;
  assert(result.scheme == AUTH_HEADER && slice_equal(result.access_key, SLICE_LIT("FUZZKEY")));
  buf_append_slice(&path, text->request.raw_path);
  buf_append_byte(&path, 'x'); /* one byte more in the path */
  struct auth_request changed = text->request;
  changed.raw_path = buf_slice(&path);
  assert(verify(&changed, arena, &result) != AUTH_OK);
  changed = text->request;
  changed.method = slice_equal(changed.method, SLICE_LIT("GET")) ? SLICE_LIT("PUT") : SLICE_LIT("GET");
  assert(verify(&changed, arena, &result) != AUTH_OK);
  size_t which = fuzz_random_below(r, text->request.header_count - 3);
  struct auth_header kept = text->headers[which];
  text->headers[which].value = SLICE_LIT("something else");
  assert(slice_equal(kept.value, SLICE_LIT("something else")) ||
         verify(&text->request, arena, &result) != AUTH_OK);
  text->headers[which] = kept;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct arena *arena;
  static struct text_request text;
  struct fuzz_random r = fuzz_random_of(slice_of(data, size));
  struct auth_result result;
  struct auth_query query;
  struct claim claim;
  if (arena == NULL) arena = arena_new(ARENA_BYTES);
  assert(arena != NULL);
  arena_reset(arena);
  if (!text_request_parse(slice_of(data, size), &text)) return 0;
  check_query(&text.request, arena);
  check_canonical(&text.request, arena);
  if (auth_query_parse(text.request.raw_query, arena, &query) == AUTH_OK &&
      claim_parse(&text.request, &query, (struct slice){0}, &claim) == AUTH_OK &&
      claim.scheme != AUTH_ANONYMOUS)
    assert(claim.signature.len == AUTH_SIGNATURE_HEX && claim.date_ms > 0);
  enum auth_error error = verify(&text.request, arena, &result);
  /* The fuzzer does not have the secret; only the deferred mode proves nothing by its head alone. */
  assert(error != AUTH_OK || result.scheme == AUTH_ANONYMOUS || !auth_result_is_proven(&result));
  check_signing(&text, &r, arena);
  return 0;
}
