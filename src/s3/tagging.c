#include "s3/tagging.h"

#include <assert.h>

/* S3: letters, digits and blanks of any script, and + - = . _ : / @. Of ASCII that is told exactly; beyond it
 * everything that is UTF-8. */
static bool chars_allowed(struct slice text) {
  static const char marks[] = " +-=._:/@";
  for (size_t i = 0; i < text.len; i++) {
    uint8_t c = text.data[i];
    bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!word && c < 0x80 && (c == 0 || strchr(marks, c) == NULL)) return false;
  }
  return utf8_valid(text);
}

static bool tags_allowed(const struct s3_tags *tags) {
  assert(tags->count <= S3_OBJECT_TAGS_MAX);
  for (size_t i = 0; i < tags->count; i++)
    if (!chars_allowed(tags->tag[i].key) || !chars_allowed(tags->tag[i].value)) return false;
  return true;
}

/* By insertion: there are ten at most. No key occurs twice. */
static void tags_sort(struct s3_tags *tags) {
  assert(tags->count <= S3_OBJECT_TAGS_MAX);
  for (size_t i = 1; i < tags->count; i++) {
    struct s3_tag tag = tags->tag[i];
    size_t at = i;
    for (; at > 0 && slice_compare(tags->tag[at - 1].key, tag.key) > 0; at--)
      tags->tag[at] = tags->tag[at - 1];
    tags->tag[at] = tag;
  }
}

enum s3_error s3_object_tags_parse(struct slice body, struct arena *arena, struct s3_tags *out) {
  struct s3_tags tags;
  enum s3_error error = s3_tags_parse(body, S3_OBJECT_TAGS_MAX, arena, &tags);
  if (error != S3_OK) return error;
  if (!tags_allowed(&tags)) return S3_ERR_INVALID_TAG;
  tags_sort(&tags);
  *out = tags;
  return S3_OK;
}

static enum s3_error text_decode(struct slice text, struct arena *arena, struct slice *out) {
  BUF_AUTO plain = BUF_INIT;
  enum dom_code code = percent_decode(text, true, &plain);
  assert(out != NULL);
  if (plain.failed) return S3_ERR_INTERNAL_ERROR;
  if (code != DOM_OK || !utf8_valid(buf_slice(&plain))) return S3_ERR_INVALID_ARGUMENT;
  *out = arena_copy(arena, buf_slice(&plain));
  return out->data == NULL && plain.len > 0 ? S3_ERR_INTERNAL_ERROR : S3_OK;
}

static bool has_key(const struct s3_tags *tags, struct slice key) {
  assert(tags->count <= S3_OBJECT_TAGS_MAX);
  for (size_t i = 0; i < tags->count; i++)
    if (slice_equal(tags->tag[i].key, key)) return true;
  return false;
}

static enum s3_error pair_add(struct slice pair, struct arena *arena, struct s3_tags *tags) {
  struct s3_tag tag = {.value = SLICE_LIT("")};
  size_t equals = slice_find(pair, '=');
  enum s3_error error = text_decode(slice_cut(pair, 0, equals), arena, &tag.key);
  if (error == S3_OK && equals < pair.len)
    error = text_decode(slice_cut(pair, equals + 1, pair.len), arena, &tag.value);
  if (error != S3_OK) return error;
  if (has_key(tags, tag.key)) return S3_ERR_INVALID_ARGUMENT;
  return s3_tags_add(tags, S3_OBJECT_TAGS_MAX, tag);
}

enum s3_error s3_object_tags_header(struct slice text, struct arena *arena, struct s3_tags *out) {
  struct s3_tags tags = {.count = 0};
  assert(arena != NULL && out != NULL);
  for (struct slice rest = text; rest.len > 0;) {
    size_t end = slice_find(rest, '&');
    enum s3_error error = pair_add(slice_cut(rest, 0, end), arena, &tags);
    if (error != S3_OK) return error;
    rest = slice_cut(rest, end < rest.len ? end + 1 : end, rest.len);
  }
  if (!tags_allowed(&tags)) return S3_ERR_INVALID_TAG;
  tags_sort(&tags);
  *out = tags;
  return S3_OK;
}
