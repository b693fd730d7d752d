#include "s3/condition.h"

#include <assert.h>

#include "auth/auth.h"

/* One member of a list, without W/ and quotes: S3's tags are all strong, clients quote or not. */
static struct slice tag_bare(struct slice tag) {
  tag = auth_value_trim(tag);
  if (slice_starts_with(tag, SLICE_LIT("W/"))) tag = slice_cut(tag, 2, tag.len);
  bool quoted = tag.len >= 2 && tag.data[0] == '"' && tag.data[tag.len - 1] == '"';
  assert(!quoted || tag.len >= 2);
  return quoted ? slice_cut(tag, 1, tag.len - 1) : tag;
}

/* Tags hold no commas (hex digits and '-'), so splitting needs no quotes. */
static bool list_holds(struct slice list, struct slice etag) {
  assert(list.len > 0);
  for (;;) {
    size_t comma = slice_find(list, ',');
    struct slice tag = tag_bare(slice_cut(list, 0, comma));
    if (slice_equal(tag, SLICE_LIT("*")) || slice_equal(tag, etag)) return true;
    if (comma == list.len) return false;
    list = slice_cut(list, comma + 1, list.len);
  }
}

bool s3_condition_is_empty(const struct s3_condition *c) {
  assert(c != NULL);
  return c->if_match.len == 0 && c->if_none_match.len == 0 && !c->has_modified_since &&
         !c->has_unmodified_since;
}

enum s3_error s3_condition_read(const struct s3_condition *c, struct slice etag, uint64_t modified_ms) {
  assert(c != NULL && etag.len > 0);
  uint64_t modified_s = modified_ms / 1000;
  if (c->if_match.len > 0) {
    if (!list_holds(c->if_match, etag)) return S3_ERR_PRECONDITION_FAILED;
  } else if (c->has_unmodified_since && modified_s > c->unmodified_since_ms / 1000) {
    return S3_ERR_PRECONDITION_FAILED;
  }
  if (c->if_none_match.len > 0) return list_holds(c->if_none_match, etag) ? S3_ERR_NOT_MODIFIED : S3_OK;
  if (c->has_modified_since && modified_s <= c->modified_since_ms / 1000) return S3_ERR_NOT_MODIFIED;
  return S3_OK;
}

enum s3_error s3_condition_copy(const struct s3_condition *c, struct slice etag, uint64_t modified_ms) {
  enum s3_error error = s3_condition_read(c, etag, modified_ms);
  assert(error == S3_OK || error == S3_ERR_NOT_MODIFIED || error == S3_ERR_PRECONDITION_FAILED);
  return error == S3_ERR_NOT_MODIFIED ? S3_ERR_PRECONDITION_FAILED : error;
}

enum s3_error s3_condition_write(const struct s3_condition *c, bool exists, struct slice etag) {
  assert(c != NULL && (!exists || etag.len > 0));
  if (c->if_match.len > 0) {
    if (!exists) return S3_ERR_NO_SUCH_KEY;
    if (!list_holds(c->if_match, etag)) return S3_ERR_PRECONDITION_FAILED;
  }
  if (c->if_none_match.len > 0 && exists && list_holds(c->if_none_match, etag))
    return S3_ERR_PRECONDITION_FAILED;
  return S3_OK;
}
