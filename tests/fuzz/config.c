/* Configurations of a bucket: every parser over every document. What is accepted prints to the canonical
 * form; that is read again, and prints to the same bytes; a refusal touches nothing. CORS: a rule that
 * matches is one of the rules. */
#include "fuzz.h"

#include "policy/policy.h"
#include "s3/access.h"
#include "s3/config.h"
#include "s3/cors.h"
#include "s3/lifecycle.h"
#include "s3/lock.h"
#include "s3/meta.h"
#include "s3/tagging.h"

enum { ARENA_BYTES = 1 << 20 };

static bool is_known(enum s3_error error) {
  return error == S3_OK || (error < S3_ERROR_COUNT && s3_error_status(error) >= 400);
}

/* Defines a check of one kind of document with a parser and a printer of the usual form. */
#define CONFIG_CHECK(kind, type, pass)                                                                       \
  static void check_##kind(struct slice in, struct arena *arena) {                                           \
    static type first;                                                                                       \
    static type second;                                                                                      \
    BUF_AUTO once = BUF_INIT;                                                                                \
    BUF_AUTO twice = BUF_INIT;                                                                               \
    fuzz_mark(&first, sizeof first);                                                                         \
    enum s3_error error = s3_##kind##_parse(in, arena, &first);                                              \
    assert(is_known(error));                                                                                 \
    if (error != S3_OK) {                                                                                    \
      assert(fuzz_is_marked(&first, sizeof first));                                                          \
      return;                                                                                                \
    }                                                                                                        \
    s3_##kind##_print(pass first, &once);                                                                    \
    assert(!once.failed);                                                                                    \
    assert(s3_##kind##_parse(buf_slice(&once), arena, &second) == S3_OK);                                    \
    s3_##kind##_print(pass second, &twice);                                                                  \
    assert(slice_equal(buf_slice(&once), buf_slice(&twice)));                                                \
  }
CONFIG_CHECK(encryption, struct s3_encryption, &)
CONFIG_CHECK(public_access, struct s3_public_access, &)
CONFIG_CHECK(ownership, const char *, )
CONFIG_CHECK(object_lock, struct s3_object_lock, &)
CONFIG_CHECK(retention, struct s3_retention, &)
CONFIG_CHECK(legal_hold, enum s3_legal_hold, )
CONFIG_CHECK(cors, struct s3_cors, &)
CONFIG_CHECK(lifecycle, struct s3_lifecycle, &)

static void check_versioning(struct slice in, struct arena *arena) {
  bool enabled, again;
  enum s3_error error = s3_versioning_parse(in, arena, &enabled);
  assert(is_known(error) && s3_versioning_parse(in, arena, &again) == error);
  assert(error != S3_OK || enabled == again);
}

static void check_tags(struct slice in, size_t max, struct arena *arena) {
  static struct s3_tags tags, again;
  BUF_AUTO printed = BUF_INIT;
  fuzz_mark(&tags, sizeof tags);
  enum s3_error error = s3_tags_parse(in, max, arena, &tags);
  assert(is_known(error));
  if (error != S3_OK) {
    assert(fuzz_is_marked(&tags, sizeof tags));
    return;
  }
  assert(tags.count <= max);
  s3_tags_print(&tags, &printed);
  assert(s3_tags_parse(buf_slice(&printed), max, arena, &again) == S3_OK && again.count == tags.count);
  for (size_t i = 0; i < tags.count; i++) {
    assert(utf8_valid(tags.tag[i].key) && slice_equal(tags.tag[i].key, again.tag[i].key));
    assert(utf8_valid(tags.tag[i].value) && slice_equal(tags.tag[i].value, again.tag[i].value));
  }
}

/* Tags of an object, from a document or a header: ascending, and stored and read back as they are. */
static void check_object_tags(struct slice in, bool is_header, struct arena *arena) {
  static struct s3_tags tags;
  struct s3_meta meta = {0}, back;
  BUF_AUTO stored = BUF_INIT;
  fuzz_mark(&tags, sizeof tags);
  enum s3_error error =
      is_header ? s3_object_tags_header(in, arena, &tags) : s3_object_tags_parse(in, arena, &tags);
  assert(is_known(error));
  if (error != S3_OK) {
    assert(fuzz_is_marked(&tags, sizeof tags));
    return;
  }
  assert(tags.count <= S3_OBJECT_TAGS_MAX && s3_meta_set_tags(&meta, &tags, arena));
  assert(s3_meta_encode(&meta, &stored, NULL) == DOM_OK);
  assert(s3_meta_decode(buf_slice(&stored), arena, &back, NULL) == DOM_OK && back.tag_count == tags.count);
  for (size_t i = 0; i < tags.count; i++) {
    assert(utf8_valid(tags.tag[i].key) && utf8_valid(tags.tag[i].value));
    assert(slice_equal(tags.tag[i].key, back.tags[i].key) &&
           slice_equal(tags.tag[i].value, back.tags[i].value));
  }
}

/* What a document grants, kept as lines and read back, is what was granted: no grant more. */
static void check_acl(struct slice in, struct arena *arena) {
  static struct s3_acl read;
  static struct policy_acl acl, back;
  BUF_AUTO lines = BUF_INIT;
  fuzz_mark(&read, sizeof read);
  enum s3_error error = s3_acl_parse(in, arena, &read);
  assert(is_known(error));
  if (error != S3_OK) {
    assert(fuzz_is_marked(&read, sizeof read));
    return;
  }
  acl = (struct policy_acl){.owner = SLICE_LIT("owner")};
  for (size_t i = 0; i < read.count; i++) {
    struct policy_grant g = {.rights = POLICY_READ, .account = read.grant[i].id};
    if (read.grant[i].uri.len > 0 && !policy_group_of_uri(read.grant[i].uri, &g.to)) return;
    if (!policy_acl_add(&acl, &g)) return;
  }
  policy_acl_print(&acl, &lines);
  assert(policy_acl_parse(buf_slice(&lines), &back, NULL) == DOM_OK && back.count == acl.count);
  for (size_t i = 0; i < acl.count; i++)
    assert(back.grant[i].to == acl.grant[i].to && back.grant[i].rights == acl.grant[i].rights);
}

static void check_match(struct slice in, struct fuzz_random *r, struct arena *arena) {
  static const char *const methods[] = {"GET", "PUT", "POST", "DELETE", "HEAD", "FROB"};
  struct s3_cors cors;
  if (s3_cors_parse(in, arena, &cors) != S3_OK) return;
  assert(cors.count >= 1 && cors.count <= S3_CORS_RULES_MAX);
  for (int i = 0; i < 8; i++) {
    size_t from = fuzz_random_below(r, in.len), end = from + fuzz_random_below(r, in.len - from);
    struct slice text = slice_cut(in, from, end);
    const struct s3_cors_rule *rule =
        s3_cors_match(&cors, text, slice_str(methods[fuzz_random_below(r, 6)]), (struct slice){0});
    assert(rule == NULL || (rule >= cors.rule && rule < cors.rule + cors.count));
    (void)s3_cors_match(&cors, SLICE_LIT("https://example.org"), SLICE_LIT("PUT"), text);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct arena *arena;
  struct slice in = slice_of(data, size);
  struct fuzz_random r = fuzz_random_of(in);
  if (arena == NULL) arena = arena_new(ARENA_BYTES);
  assert(arena != NULL);
  arena_reset(arena);
  check_versioning(in, arena);
  check_encryption(in, arena);
  check_public_access(in, arena);
  check_ownership(in, arena);
  check_object_lock(in, arena);
  check_retention(in, arena);
  check_legal_hold(in, arena);
  arena_reset(arena);
  check_cors(in, arena);
  arena_reset(arena);
  check_lifecycle(in, arena);
  arena_reset(arena);
  check_match(in, &r, arena);
  arena_reset(arena);
  check_acl(in, arena);
  arena_reset(arena);
  check_tags(in, S3_BUCKET_TAGS_MAX, arena);
  arena_reset(arena);
  check_tags(in, S3_OBJECT_TAGS_MAX, arena);
  arena_reset(arena);
  check_object_tags(in, false, arena);
  arena_reset(arena);
  check_object_tags(in, true, arena);
  return 0;
}
