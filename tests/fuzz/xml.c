/* XML bodies. Every document a client may send is given to every reader of one; what was understood
 * is printed as the document it came from and understood the same. */
#include "fuzz.h"

#include "s3/document.h"
#include "s3/limits.h"
#include "s3/xmlread.h"

enum { ARENA_BYTES = S3_REQUEST_ARENA_BYTES };

static void escape(struct buf *out, struct slice text) {
  for (size_t i = 0; i < text.len; i++) {
    uint8_t c = text.data[i];
    if (c == '<' || c == '&' || c == '>' || c == '\r' || c == '\n' || c == '\t' || c == ' ')
      buf_printf(out, "&#%u;", c);
    else
      buf_append_byte(out, c);
  }
}

static bool is_known(enum s3_error error) {
  return error == S3_OK || (error < S3_ERROR_COUNT && s3_error_status(error) >= 400);
}

static void check_delete(struct slice in, struct arena *arena) {
  struct s3_delete_list list, again;
  BUF_AUTO printed = BUF_INIT;
  fuzz_mark(&list, sizeof list);
  enum s3_error error = s3_delete_parse(in, arena, &list);
  assert(is_known(error));
  if (error != S3_OK) {
    assert(fuzz_is_marked(&list, sizeof list));
    return;
  }
  assert(list.count >= 1 && list.count <= S3_DELETE_KEYS_MAX);
  buf_append_str(&printed, list.quiet ? "<Delete><Quiet>true</Quiet>" : "<Delete>");
  for (size_t i = 0; i < list.count; i++) {
    fuzz_touch(list.keys[i].key);
    fuzz_touch(list.keys[i].version_id);
    assert(utf8_valid(list.keys[i].key) && list.keys[i].key.len <= XMLREAD_TEXT_BYTES_MAX);
    buf_append_str(&printed, "<Object><Key>");
    escape(&printed, list.keys[i].key);
    buf_append_str(&printed, "</Key>");
    if (list.keys[i].version_id.len > 0) {
      buf_append_str(&printed, "<VersionId>");
      escape(&printed, list.keys[i].version_id);
      buf_append_str(&printed, "</VersionId>");
    }
    buf_append_str(&printed, "</Object>");
  }
  buf_append_str(&printed, "</Delete>");
  assert(s3_delete_parse(buf_slice(&printed), arena, &again) == S3_OK);
  assert(again.count == list.count && again.quiet == list.quiet);
  for (size_t i = 0; i < list.count; i++) {
    assert(slice_equal(list.keys[i].key, again.keys[i].key));
    assert(slice_equal(list.keys[i].version_id, again.keys[i].version_id));
  }
}

static void check_complete(struct slice in, struct arena *arena) {
  struct s3_part_list list, again;
  BUF_AUTO printed = BUF_INIT;
  fuzz_mark(&list, sizeof list);
  enum s3_error error = s3_complete_parse(in, arena, &list);
  assert(is_known(error));
  if (error != S3_OK) {
    assert(fuzz_is_marked(&list, sizeof list));
    return;
  }
  assert(list.count >= 1 && list.count <= S3_PART_NUMBER_MAX);
  buf_append_str(&printed, "<CompleteMultipartUpload>");
  for (size_t i = 0; i < list.count; i++) {
    assert(list.parts[i].number >= 1 && list.parts[i].number <= S3_PART_NUMBER_MAX);
    assert(i == 0 || list.parts[i].number > list.parts[i - 1].number);
    buf_printf(&printed, "<Part><PartNumber>%u</PartNumber><ETag>\"", list.parts[i].number);
    hex_encode(&printed, slice_of(list.parts[i].md5, MD5_SIZE));
    buf_append_str(&printed, "\"</ETag></Part>");
  }
  buf_append_str(&printed, "</CompleteMultipartUpload>");
  assert(s3_complete_parse(buf_slice(&printed), arena, &again) == S3_OK && again.count == list.count);
  for (size_t i = 0; i < list.count; i++) {
    assert(list.parts[i].number == again.parts[i].number);
    assert(memcmp(list.parts[i].md5, again.parts[i].md5, MD5_SIZE) == 0);
  }
}

static void check_location(struct slice in, struct arena *arena) {
  struct slice location;
  fuzz_mark(&location, sizeof location);
  enum s3_error error = s3_location_parse(in, arena, &location);
  assert(is_known(error));
  if (error != S3_OK) {
    assert(fuzz_is_marked(&location, sizeof location));
    return;
  }
  fuzz_touch(location);
  assert(location.len <= XMLREAD_TEXT_BYTES_MAX && in.len <= S3_XML_BUCKET_BYTES_MAX);
}

/* Whatever element is called with: its path begins with the root, path and text keep to their bounds. */
static enum s3_error look(void *context, struct slice path, struct slice text) {
  size_t *count = context;
  assert(slice_starts_with(path, SLICE_LIT("Delete")) && path.len <= XMLREAD_PATH_BYTES_MAX);
  assert(text.len <= XMLREAD_TEXT_BYTES_MAX && utf8_valid(text));
  ++*count;
  return S3_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct arena *arena;
  struct slice in = slice_of(data, size);
  size_t first = 0, second = 0;
  if (arena == NULL) arena = arena_new(ARENA_BYTES);
  assert(arena != NULL);
  arena_reset(arena);
  check_delete(in, arena);
  check_complete(in, arena);
  check_location(in, arena);
  enum s3_error error = xmlread_document(in, S3_XML_DELETE_BYTES_MAX, "Delete", look, &first);
  assert(xmlread_document(in, S3_XML_DELETE_BYTES_MAX, "Delete", look, &second) == error && first == second);
  if (size > 0) assert(xmlread_document(in, size - 1, "Delete", look, &second) == S3_ERR_MAX_MESSAGE_LENGTH);
  return 0;
}
