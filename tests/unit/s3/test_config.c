/* Configurations of buckets: read strictly, printed canonically, the same when read again. */
#include "base/alloc.h"
#include "s3_testing.h"

/* Any parser with its printer, as one function from document to canonical document. */
static enum s3_error tags(struct slice body, struct arena *arena, struct buf *out) {
  struct s3_tags t;
  enum s3_error error = s3_tags_parse(body, S3_BUCKET_TAGS_MAX, arena, &t);
  if (!error) s3_tags_print(&t, out);
  return error;
}
static enum s3_error encryption(struct slice body, struct arena *arena, struct buf *out) {
  struct s3_encryption e;
  enum s3_error error = s3_encryption_parse(body, arena, &e);
  if (!error) s3_encryption_print(&e, out);
  return error;
}
static enum s3_error public_access(struct slice body, struct arena *arena, struct buf *out) {
  struct s3_public_access p;
  enum s3_error error = s3_public_access_parse(body, arena, &p);
  if (!error) s3_public_access_print(&p, out);
  return error;
}
static enum s3_error ownership(struct slice body, struct arena *arena, struct buf *out) {
  const char *name;
  enum s3_error error = s3_ownership_parse(body, arena, &name);
  if (!error) s3_ownership_print(name, out);
  return error;
}
static enum s3_error object_lock(struct slice body, struct arena *arena, struct buf *out) {
  struct s3_object_lock lock;
  enum s3_error error = s3_object_lock_parse(body, arena, &lock);
  if (!error) s3_object_lock_print(&lock, out);
  return error;
}
static enum s3_error versioning(struct slice body, struct arena *arena, struct buf *out) {
  bool enabled;
  enum s3_error error = s3_versioning_parse(body, arena, &enabled);
  if (!error) s3_result_versioning(enabled ? "Enabled" : "Suspended", out);
  return error;
}
static enum s3_error cors(struct slice body, struct arena *arena, struct buf *out) {
  struct s3_cors c;
  enum s3_error error = s3_cors_parse(body, arena, &c);
  if (!error) s3_cors_print(&c, out);
  return error;
}

typedef enum s3_error (*canonical_fn)(struct slice body, struct arena *arena, struct buf *out);

#define XML "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define NS  " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

#define SSE(inside)                                                                                          \
  "<ServerSideEncryptionConfiguration><Rule>" inside "</Rule></ServerSideEncryptionConfiguration>"
#define SSE_BY(what) SSE("<ApplyServerSideEncryptionByDefault>" what "</ApplyServerSideEncryptionByDefault>")
#define LOCK(rule)                                                                                           \
  "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>" rule "</"                        \
  "ObjectLockConfiguration>"
#define KEEP(what) "<Rule><DefaultRetention>" what "</DefaultRetention></Rule>"
#define RULE(inside)                                                                                         \
  "<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>" inside "</CORSRule>"
#define CORS(inside) "<CORSConfiguration>" inside "</CORSConfiguration>"

static void good_documents_become_canonical(void **state) {
  static const struct {
    canonical_fn fn;
    const char *given, *want; /* NULL: as given */
  } rows[] = {
      {versioning, "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>", NULL},
      {versioning,
       XML "<v:VersioningConfiguration xmlns:v='x'>\n <v:MfaDelete>Disabled</v:MfaDelete>"
           "<v:Status> Suspended </v:Status></v:VersioningConfiguration>",
       "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"},
      {tags, "<Tagging><TagSet></TagSet></Tagging>", NULL},
      {tags,
       "<Tagging><TagSet><Tag><Value> a&lt;b </Value><Key>k&amp;</Key></Tag><Tag><Key>e</Key><Value/></Tag>"
       "</TagSet></Tagging>",
       "<Tagging><TagSet><Tag><Key>k&amp;</Key><Value> a&lt;b </Value></Tag><Tag><Key>e</Key><Value></Value>"
       "</Tag></TagSet></Tagging>"},
      {encryption, SSE_BY("<SSEAlgorithm>AES256</SSEAlgorithm>"), NULL},
      {encryption,
       SSE("<BucketKeyEnabled>TRUE</BucketKeyEnabled><ApplyServerSideEncryptionByDefault>"
           "<SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>"),
       SSE("<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"
           "</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled>")},
      {public_access,
       "<PublicAccessBlockConfiguration><BlockPublicPolicy>true</BlockPublicPolicy>"
       "</PublicAccessBlockConfiguration>",
       "<PublicAccessBlockConfiguration><BlockPublicAcls>false</BlockPublicAcls>"
       "<IgnorePublicAcls>false</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy>"
       "<RestrictPublicBuckets>false</RestrictPublicBuckets></PublicAccessBlockConfiguration>"},
      {ownership,
       "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>"
       "</OwnershipControls>",
       NULL},
      {object_lock, LOCK(""), NULL},
      {object_lock, LOCK(KEEP("<Mode>COMPLIANCE</Mode><Years>7</Years>")), NULL},
      {object_lock, LOCK(KEEP("<Days>0030</Days><Mode>GOVERNANCE</Mode>")),
       LOCK(KEEP("<Mode>GOVERNANCE</Mode><Days>30</Days>"))},
      {cors, CORS(RULE("")), NULL},
      {cors,
       CORS("<CORSRule><MaxAgeSeconds>10</MaxAgeSeconds><AllowedMethod>PUT</AllowedMethod><AllowedOrigin>"
            "https://*.example.com</AllowedOrigin><ExposeHeader>ETag</ExposeHeader><AllowedMethod>GET"
            "</AllowedMethod><AllowedHeader>x-amz-*</AllowedHeader><ID>one</ID></CORSRule>"),
       CORS("<CORSRule><ID>one</ID><AllowedOrigin>https://*.example.com</AllowedOrigin><AllowedMethod>PUT"
            "</AllowedMethod><AllowedMethod>GET</AllowedMethod><AllowedHeader>x-amz-*</AllowedHeader>"
            "<ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>10</MaxAgeSeconds></CORSRule>")},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    BUF_AUTO once = BUF_INIT;
    BUF_AUTO twice = BUF_INIT;
    BUF_AUTO want = BUF_INIT;
    const char *text = rows[i].want ? rows[i].want : rows[i].given;
    const char *root_end = strchr(text, '>');
    if (rows[i].fn(slice_str(rows[i].given), *state, &once) != S3_OK) fail_msg("row %zu", i);
    buf_append_str(&want, XML);
    buf_append(&want, text, (size_t)(root_end - text));
    buf_append_str(&want, NS);
    buf_append_str(&want, root_end);
    assert_string_equal(buf_str(&once), buf_str(&want));
    assert_int_equal(rows[i].fn(buf_slice(&once), *state, &twice), S3_OK);
    assert_string_equal(buf_str(&twice), buf_str(&once));
  }
}

static void bad_documents_are_refused(void **state) {
  static const struct {
    canonical_fn fn;
    const char *given;
    enum s3_error error;
  } rows[] = {
      {versioning, "", S3_ERR_MALFORMED_XML},
      {versioning, "<VersioningConfiguration/>", S3_ERR_ILLEGAL_VERSIONING},
      {versioning, "<VersioningConfiguration><Status>Off</Status></VersioningConfiguration>",
       S3_ERR_MALFORMED_XML},
      {versioning,
       "<VersioningConfiguration><Status>Enabled</Status><Status>Suspended</Status></"
       "VersioningConfiguration>",
       S3_ERR_MALFORMED_XML},
      {versioning,
       "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>"
       "</VersioningConfiguration>",
       S3_ERR_NOT_IMPLEMENTED},
      {versioning, "<VersioningConfiguration><Status>Enabled</Status><More/></VersioningConfiguration>",
       S3_ERR_MALFORMED_XML},
      {tags, "<Tagging/>", S3_ERR_MALFORMED_XML},
      {tags, "<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>", S3_ERR_MALFORMED_XML},
      {tags, "<Tagging><TagSet><Tag><Key></Key><Value>v</Value></Tag></TagSet></Tagging>",
       S3_ERR_INVALID_TAG},
      {tags, "<Tagging><TagSet><Tag><Key>aws:k</Key><Value>v</Value></Tag></TagSet></Tagging>",
       S3_ERR_INVALID_TAG},
      {tags,
       "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag><Tag><Key>k</Key><Value>w</Value></Tag>"
       "</TagSet></Tagging>",
       S3_ERR_INVALID_TAG},
      {tags, "<!DOCTYPE Tagging [<!ENTITY e 'k'>]><Tagging><TagSet>&e;</TagSet></Tagging>",
       S3_ERR_MALFORMED_XML},
      {encryption, SSE_BY("<SSEAlgorithm>aws:kms</SSEAlgorithm>"), S3_ERR_NOT_IMPLEMENTED},
      {encryption, SSE_BY("<SSEAlgorithm>DES</SSEAlgorithm>"), S3_ERR_MALFORMED_XML},
      {encryption, SSE_BY("<SSEAlgorithm>AES256</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID>"),
       S3_ERR_INVALID_ARGUMENT},
      {encryption, SSE(""), S3_ERR_MALFORMED_XML},
      {encryption, "<ServerSideEncryptionConfiguration/>", S3_ERR_MALFORMED_XML},
      {public_access,
       "<PublicAccessBlockConfiguration><BlockPublicAcls>yes</BlockPublicAcls></"
       "PublicAccessBlockConfiguration>",
       S3_ERR_MALFORMED_XML},
      {public_access, "<PublicAccessBlockConfiguration><Block>true</Block></PublicAccessBlockConfiguration>",
       S3_ERR_MALFORMED_XML},
      {ownership, "<OwnershipControls><Rule><ObjectOwnership>Me</ObjectOwnership></Rule></OwnershipControls>",
       S3_ERR_MALFORMED_XML},
      {ownership, "<OwnershipControls/>", S3_ERR_MALFORMED_XML},
      {object_lock, "<ObjectLockConfiguration/>", S3_ERR_MALFORMED_XML},
      {object_lock, LOCK(KEEP("<Mode>COMPLIANCE</Mode>")), S3_ERR_MALFORMED_XML},
      {object_lock, LOCK(KEEP("<Mode>COMPLIANCE</Mode><Days>1</Days><Years>1</Years>")),
       S3_ERR_MALFORMED_XML},
      {object_lock, LOCK(KEEP("<Mode>LOOSE</Mode><Days>1</Days>")), S3_ERR_MALFORMED_XML},
      {object_lock, LOCK(KEEP("<Mode>GOVERNANCE</Mode><Days>0</Days>")), S3_ERR_INVALID_ARGUMENT},
      {object_lock, LOCK(KEEP("<Mode>GOVERNANCE</Mode><Days>-1</Days>")), S3_ERR_MALFORMED_XML},
      {object_lock, LOCK(KEEP("<Mode>GOVERNANCE</Mode><Years>101</Years>")), S3_ERR_INVALID_ARGUMENT},
      {cors, CORS(""), S3_ERR_MALFORMED_XML},
      {cors, CORS("<CORSRule><AllowedMethod>GET</AllowedMethod></CORSRule>"), S3_ERR_MALFORMED_XML},
      {cors, CORS("<CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule>"), S3_ERR_MALFORMED_XML},
      {cors, CORS(RULE("<AllowedMethod>PATCH</AllowedMethod>")), S3_ERR_INVALID_REQUEST},
      {cors, CORS(RULE("<AllowedOrigin>*.a.*</AllowedOrigin>")), S3_ERR_INVALID_REQUEST},
      {cors, CORS(RULE("<AllowedHeader>**</AllowedHeader>")), S3_ERR_INVALID_REQUEST},
      {cors, CORS(RULE("<ExposeHeader>a&#13;&#10;b</ExposeHeader>")), S3_ERR_MALFORMED_XML},
      {cors, CORS(RULE("<MaxAgeSeconds>soon</MaxAgeSeconds>")), S3_ERR_MALFORMED_XML},
      {cors, CORS(RULE("<AllowedThing>x</AllowedThing>")), S3_ERR_MALFORMED_XML},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    BUF_AUTO out = BUF_INIT;
    enum s3_error error = rows[i].fn(slice_str(rows[i].given), *state, &out);
    if (error != rows[i].error) fail_msg("row %zu: %s", i, error ? s3_error_code(error) : "taken");
    assert_int_equal(out.len, 0);
  }
}

static void counts_and_sizes_are_bounded(void **state) {
  for (int count = 50; count <= 51; count++) {
    BUF_AUTO text = BUF_INIT;
    BUF_AUTO out = BUF_INIT;
    buf_append_str(&text, "<Tagging><TagSet>");
    for (int i = 0; i < count; i++) buf_printf(&text, "<Tag><Key>k%d</Key><Value>v</Value></Tag>", i);
    buf_append_str(&text, "</TagSet></Tagging>");
    assert_int_equal(tags(buf_slice(&text), *state, &out), count == 50 ? S3_OK : S3_ERR_INVALID_TAG);
  }
  for (int count = 100; count <= 101; count++) {
    BUF_AUTO text = BUF_INIT;
    BUF_AUTO out = BUF_INIT;
    buf_append_str(&text, "<CORSConfiguration>");
    for (int i = 0; i < count; i++) buf_append_str(&text, RULE(""));
    buf_append_str(&text, "</CORSConfiguration>");
    assert_int_equal(cors(buf_slice(&text), *state, &out), count == 100 ? S3_OK : S3_ERR_MALFORMED_XML);
  }
  for (int len = 256; len <= 257; len++) { /* characters, not bytes */
    BUF_AUTO text = BUF_INIT;
    BUF_AUTO out = BUF_INIT;
    buf_append_str(&text, "<Tagging><TagSet><Tag><Key>k</Key><Value>");
    for (int i = 0; i < len; i++) buf_append_str(&text, "\xC3\xA9");
    buf_append_str(&text, "</Value></Tag></TagSet></Tagging>");
    assert_int_equal(tags(buf_slice(&text), *state, &out), len == 256 ? S3_OK : S3_ERR_INVALID_TAG);
  }
  BUF_AUTO big = BUF_INIT;
  BUF_AUTO out = BUF_INIT;
  buf_append_str(&big, "<CORSConfiguration>");
  while (big.len <= S3_CORS_BYTES_MAX) buf_append_str(&big, "<a/>");
  assert_int_equal(cors(buf_slice(&big), *state, &out), S3_ERR_MAX_MESSAGE_LENGTH);
}

/* The n-th allocation fails: an error, and nothing half done. */
static void memory_may_run_out(void **state) {
  const char *text = CORS(RULE("<AllowedHeader>*</AllowedHeader>"));
  unsigned failed = 0;
  (void)state;
  for (bool whole = false; !whole; failed++) {
    BUF_AUTO out = BUF_INIT;
    struct arena *fresh = arena_new(1 << 20);
    dom_alloc_fail_after(failed, 1);
    enum s3_error error = cors(slice_str(text), fresh, &out);
    dom_alloc_fail_after(UINT64_MAX, 0);
    whole = error == S3_OK && !out.failed;
    if (error) assert_int_equal(out.len, 0);
    arena_free(fresh);
  }
  assert_true(failed > 10);
}

/* ---- what rules say of requests ------------------------------------------------------------------ */

static const char PAGES[] = CORS(
    "<CORSRule><AllowedOrigin>https://*.example.com</AllowedOrigin><AllowedMethod>PUT</AllowedMethod>"
    "<AllowedMethod>POST</AllowedMethod><AllowedHeader>Content-Type</AllowedHeader><AllowedHeader>x-amz-*"
    "</AllowedHeader><ExposeHeader>ETag</ExposeHeader><ExposeHeader>x-amz-request-id</ExposeHeader>"
    "<MaxAgeSeconds>600</MaxAgeSeconds></CORSRule>"
    "<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>");

static void requests_match_the_first_rule(void **state) {
  static const struct {
    const char *origin, *method, *headers;
    int rule; /* -1: none */
  } rows[] = {
      {"https://www.example.com", "PUT", "", 0},
      {"https://www.example.com", "PUT", "content-type, X-Amz-Date,x-amz-meta-a", 0},
      {"https://www.example.com", "PUT", "authorization", -1},
      {"https://www.example.com", "DELETE", "", -1},
      {"https://example.com", "PUT", "", -1},
      {"https://.example.com", "PUT", "", 0},
      {"http://www.example.com", "PUT", "", -1},
      {"https://WWW.EXAMPLE.COM", "PUT", "", -1},
      {"https://www.example.com.evil.org", "PUT", "", -1},
      {"https://www.example.com", "put", "", -1},
      {"https://www.example.com", "GET", "", 1},
      {"null", "GET", "", 1},
      {"null", "GET", "range", -1},
      {"null", "GET", " , ,", 1},
  };
  struct s3_cors rules;
  assert_int_equal(s3_cors_parse(slice_str(PAGES), *state, &rules), S3_OK);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const struct s3_cors_rule *rule = s3_cors_match(&rules, slice_str(rows[i].origin),
                                                    slice_str(rows[i].method), slice_str(rows[i].headers));
    int got = rule ? (int)(rule - rules.rule) : -1;
    if (got != rows[i].rule) fail_msg("row %zu: rule %d", i, got);
  }
  BUF_AUTO many = BUF_INIT;
  for (int i = 0; i <= S3_CORS_HEADERS_ASKED_MAX; i++) buf_append_str(&many, "x-amz-a,");
  assert_null(s3_cors_match(&rules, SLICE_LIT("https://a.example.com"), SLICE_LIT("PUT"), buf_slice(&many)));
}

static const char *field(const struct s3_headers *h, const char *name) {
  static char text[256];
  for (size_t i = 0; i < h->count; i++) {
    if (!slice_equal(h->items[i].name, slice_str(name))) continue;
    snprintf(text, sizeof text, "%.*s", (int)h->items[i].value.len, (const char *)h->items[i].value.data);
    return text;
  }
  return "";
}

static void browsers_are_told_the_rule(void **state) {
  struct s3_cors rules;
  struct s3_headers one = {.arena = *state}, all = {.arena = *state};
  assert_int_equal(s3_cors_parse(slice_str(PAGES), *state, &rules), S3_OK);
  s3_cors_headers(&rules.rule[0], SLICE_LIT("https://a.example.com"), SLICE_LIT("Content-Type,X-Amz-Date"),
                  &one);
  assert_string_equal(field(&one, "Access-Control-Allow-Origin"), "https://a.example.com");
  assert_string_equal(field(&one, "Access-Control-Allow-Methods"), "PUT, POST");
  assert_string_equal(field(&one, "Access-Control-Allow-Headers"), "content-type, x-amz-date");
  assert_string_equal(field(&one, "Access-Control-Expose-Headers"), "ETag, x-amz-request-id");
  assert_string_equal(field(&one, "Access-Control-Max-Age"), "600");
  assert_string_equal(field(&one, "Access-Control-Allow-Credentials"), "true");
  assert_string_equal(field(&one, "Vary"),
                      "Origin, Access-Control-Request-Headers, Access-Control-Request-Method");
  s3_cors_headers(&rules.rule[1], SLICE_LIT("null"), SLICE_LIT(""), &all);
  assert_string_equal(field(&all, "Access-Control-Allow-Origin"), "*");
  assert_string_equal(field(&all, "Access-Control-Allow-Credentials"), "");
  assert_string_equal(field(&all, "Access-Control-Allow-Headers"), "");
  assert_false(one.failed || all.failed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      arena_test(good_documents_become_canonical), arena_test(bad_documents_are_refused),
      arena_test(counts_and_sizes_are_bounded),    arena_test(memory_may_run_out),
      arena_test(requests_match_the_first_rule),   arena_test(browsers_are_told_the_rule),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
