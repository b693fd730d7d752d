/* Headers of answers. */
#include "s3_testing.h"

static const uint8_t md5[16] = {0x9e, 0x10, 0x7d, 0x9d, 0x37, 0x2b, 0xb6, 0x82,
                                0x6b, 0xd8, 0x1d, 0x35, 0x42, 0xa4, 0x19, 0xd6};

static const char *value_of(const struct s3_headers *h, const char *name, char *out, size_t size) {
  const char *found = NULL;
  for (size_t i = 0; i < h->count; i++) {
    if (!slice_equal(h->items[i].name, slice_str(name))) continue;
    assert_null(found); /* no header twice */
    snprintf(out, size, "%.*s", (int)h->items[i].value.len, (const char *)h->items[i].value.data);
    found = out;
  }
  return found;
}

#define assert_header(h, name, wanted)                                                                       \
  do {                                                                                                       \
    char value_[256];                                                                                        \
    const char *found_ = value_of((h), (name), value_, sizeof value_);                                       \
    assert_non_null(found_);                                                                                 \
    assert_string_equal(found_, (wanted));                                                                   \
  } while (0)

static void an_object_is_described_in_full(void **state) {
  const struct auth_header user[] = {{SLICE_LIT("camera"), SLICE_LIT("M1")},
                                     {SLICE_LIT("empty"), SLICE_LIT("")}};
  struct s3_meta meta = {
      .content_type = SLICE_LIT("image/png"),
      .content_encoding = SLICE_LIT("gzip"),
      .cache_control = SLICE_LIT("no-cache"),
      .content_disposition = SLICE_LIT("inline"),
      .content_language = SLICE_LIT("hi"),
      .expires = SLICE_LIT("never"),
      .user = user,
      .user_count = 2,
      .has_checksum = true,
      .checksum = {.kind = AUTH_CHECKSUM_CRC32C, .size = 4, .data = {0xc9, 0x94, 0x65, 0xaa}}};
  struct s3_object_view view = {.md5 = md5, .part_count = 2, .modified_ms = 1369353600999, .meta = &meta};
  struct s3_headers h = {.arena = *state};
  s3_headers_object(&h, &view, NULL, true);
  assert_false(h.failed);
  assert_header(&h, "ETag", "\"9e107d9d372bb6826bd81d3542a419d6-2\"");
  assert_header(&h, "Last-Modified", "Fri, 24 May 2013 00:00:00 GMT");
  assert_header(&h, "Accept-Ranges", "bytes");
  assert_header(&h, "Content-Type", "image/png");
  assert_header(&h, "Content-Encoding", "gzip");
  assert_header(&h, "Cache-Control", "no-cache");
  assert_header(&h, "Content-Disposition", "inline");
  assert_header(&h, "Content-Language", "hi");
  assert_header(&h, "Expires", "never");
  assert_header(&h, "x-amz-meta-camera", "M1");
  assert_header(&h, "x-amz-meta-empty", "");
  assert_header(&h, "x-amz-checksum-crc32c", "yZRlqg==");
  assert_header(&h, "x-amz-checksum-type", "FULL_OBJECT");
  assert_int_equal(h.count, 13);
  meta.is_composite = true;
  struct s3_headers parts = {.arena = *state};
  s3_headers_object(&parts, &view, NULL, true);
  assert_header(&parts, "x-amz-checksum-crc32c", "yZRlqg==-2");
  assert_header(&parts, "x-amz-checksum-type", "COMPOSITE");
}

static void overrides_replace_and_nothing_else(void **state) {
  struct s3_meta meta = {.cache_control = SLICE_LIT("no-cache"),
                         .has_checksum = true,
                         .checksum = {.kind = AUTH_CHECKSUM_CRC32, .size = 4}};
  struct s3_object_view view = {.md5 = md5, .meta = &meta};
  struct s3_overrides overrides = {.content_type = SLICE_LIT("text/html"), .expires = SLICE_LIT("soon")};
  struct s3_headers h = {.arena = *state};
  char unused[8];
  s3_headers_object(&h, &view, &overrides, false);
  assert_header(&h, "Content-Type", "text/html");
  assert_header(&h, "Expires", "soon");
  assert_header(&h, "Cache-Control", "no-cache");
  assert_null(value_of(&h, "x-amz-checksum-crc32", unused, sizeof unused));
  struct s3_headers plain = {.arena = *state};
  s3_headers_object(&plain, &view, NULL, false);
  assert_header(&plain, "Content-Type", "binary/octet-stream");
}

static void ranges_are_told(void **state) {
  struct s3_headers h = {.arena = *state};
  s3_headers_range(&h, 5, 10, 100);
  assert_header(&h, "Content-Range", "bytes 5-14/100");
}

static void many_headers_fit_and_too_many_fail(void **state) {
  (void)state;
  struct arena *small = arena_new(16 * 1024);
  struct s3_headers h = {.arena = small};
  for (int i = 0; i < 100; i++) s3_headers_add(&h, SLICE_LIT("n"), SLICE_LIT("v"));
  assert_false(h.failed);
  assert_int_equal(h.count, 100);
  for (int i = 0; i < 10000; i++) s3_headers_add_copy(&h, SLICE_LIT("n"), SLICE_LIT("v"));
  assert_true(h.failed);
  arena_free(small);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      arena_test(an_object_is_described_in_full),
      arena_test(overrides_replace_and_nothing_else),
      arena_test(ranges_are_told),
      cmocka_unit_test(many_headers_fit_and_too_many_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
