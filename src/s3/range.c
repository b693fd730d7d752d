#include "s3/range.h"

#include <assert.h>

/* Cuts "bytes=" off and splits at the hyphen. False: another unit, no hyphen or several ranges. */
static bool range_split(struct slice value, struct slice *out_first, struct slice *out_last) {
  static const char unit[] = "bytes=";
  assert(out_first != NULL && out_last != NULL);
  if (value.len < sizeof unit - 1 ||
      !slice_equal_nocase(slice_cut(value, 0, sizeof unit - 1), slice_str(unit)))
    return false;
  struct slice spec = slice_cut(value, sizeof unit - 1, value.len);
  size_t hyphen = slice_find(spec, '-');
  if (hyphen == spec.len || slice_find(spec, ',') < spec.len) return false;
  *out_first = slice_cut(spec, 0, hyphen);
  *out_last = slice_cut(spec, hyphen + 1, spec.len);
  return true;
}

struct s3_range s3_range_parse(struct slice value) {
  const struct s3_range whole = {.kind = S3_RANGE_NONE};
  struct s3_range range = {0};
  struct slice first;
  struct slice last;
  assert(value.data != NULL || value.len == 0);
  if (!range_split(value, &first, &last)) return whole;
  if (first.len == 0) {
    range.kind = S3_RANGE_SUFFIX;
    return slice_to_u64(last, &range.last) == DOM_OK ? range : whole;
  }
  if (slice_to_u64(first, &range.first) != DOM_OK) return whole;
  range.kind = S3_RANGE_FROM;
  if (last.len == 0) return range;
  range.kind = S3_RANGE_BOUNDS;
  if (slice_to_u64(last, &range.last) != DOM_OK || range.last < range.first) return whole;
  return range;
}

bool s3_copy_range_parse(struct slice value, struct s3_range *out) {
  assert(out != NULL);
  struct s3_range range = s3_range_parse(value);
  if (range.kind != S3_RANGE_BOUNDS) return false;
  *out = range;
  return true;
}

enum s3_error s3_range_resolve(const struct s3_range *range, uint64_t size, uint64_t *out_first,
                               uint64_t *out_count) {
  assert(range != NULL && out_first != NULL && out_count != NULL);
  uint64_t first = range->first;
  uint64_t end = size;
  switch (range->kind) {
  case S3_RANGE_NONE:
    first = 0;
    break;
  case S3_RANGE_FROM:
    break;
  case S3_RANGE_BOUNDS:
    if (range->last < size) end = range->last + 1;
    break;
  case S3_RANGE_SUFFIX:
    if (range->last == 0) return S3_ERR_INVALID_RANGE;
    first = range->last < size ? size - range->last : 0;
    break;
  }
  if (range->kind != S3_RANGE_NONE && first >= size) return S3_ERR_INVALID_RANGE;
  assert(first <= end);
  *out_first = first;
  *out_count = end - first;
  return S3_OK;
}
