/* From a head to an S3 operation: routing, parameters, ranges, conditions, copy sources, metadata.
 * The same head is always understood the same, all that is handed out is memory that lives and keeps
 * to S3's limits, and a refusal touches nothing. */
#include "fuzz.h"

#include "s3/s3.h"
#include "text_request.h"

static void check_range(const struct s3_range *range, struct fuzz_random *r) {
  uint64_t size = fuzz_random_next(r) >> fuzz_random_below(r, 64), first = 7, count = 7;
  enum s3_error error = s3_range_resolve(range, size, &first, &count);
  if (error != S3_OK) {
    assert(error == S3_ERR_INVALID_RANGE && first == 7 && count == 7);
    return;
  }
  assert(first <= size && count <= size - first);
  assert(range->kind == S3_RANGE_NONE ? first == 0 && count == size : count > 0);
}

static void check_condition(const struct s3_condition *c, struct fuzz_random *r) {
  uint64_t modified = fuzz_random_next(r) >> 22;
  struct slice etag = SLICE_LIT("9e107d9d372bb6826bd81d3542a419d6");
  enum s3_error read = s3_condition_read(c, etag, modified), copy = s3_condition_copy(c, etag, modified);
  enum s3_error absent = s3_condition_write(c, false, (struct slice){0});
  assert(read == S3_OK || read == S3_ERR_PRECONDITION_FAILED || read == S3_ERR_NOT_MODIFIED);
  assert((copy == S3_OK) == (read == S3_OK) && (copy == S3_OK || copy == S3_ERR_PRECONDITION_FAILED));
  assert(absent == S3_OK || absent == S3_ERR_PRECONDITION_FAILED || absent == S3_ERR_NO_SUCH_KEY);
  if (s3_condition_is_empty(c))
    assert(read == S3_OK && absent == S3_OK && s3_condition_write(c, true, etag) == S3_OK);
}

/* What is stored of the metadata comes back, and is stored the same again. */
static void check_meta(const struct s3_meta *meta, struct arena *arena) {
  struct s3_meta back;
  BUF_AUTO once = BUF_INIT;
  BUF_AUTO twice = BUF_INIT;
  enum dom_code code = s3_meta_encode(meta, &once, NULL);
  if (code == DOM_TOO_LARGE) return;
  assert(code == DOM_OK && s3_meta_decode(buf_slice(&once), arena, &back, NULL) == DOM_OK);
  assert(back.user_count == meta->user_count && slice_equal(back.content_type, meta->content_type));
  assert(s3_meta_encode(&back, &twice, NULL) == DOM_OK && slice_equal(buf_slice(&once), buf_slice(&twice)));
}

static void check_request(const struct s3_request *q) {
  assert(q->op > S3_OP_NOT_IMPLEMENTED && q->op < S3_OP_COUNT && s3_op_name(q->op) != NULL);
  assert(q->op == S3_OP_LIST_BUCKETS ? q->bucket.len == 0 : s3_bucket_name_valid(q->bucket));
  assert(q->key.len == 0 || s3_key_check(q->key) == S3_OK);
  assert(q->list.page_max <= S3_PAGE_MAX && q->upload_id.len <= S3_UPLOAD_ID_BYTES_MAX);
  assert(q->part_number <= S3_PART_NUMBER_MAX && q->meta.user_count <= TEXT_REQUEST_HEADERS_MAX);
  const struct slice all[] = {q->list.prefix,
                              q->list.delimiter,
                              q->list.marker,
                              q->list.start_after,
                              q->list.continuation_token,
                              q->list.key_marker,
                              q->list.version_id_marker,
                              q->list.upload_id_marker,
                              q->copy.bucket,
                              q->copy.key,
                              q->overrides.content_type,
                              q->overrides.content_disposition,
                              q->expected_owner,
                              q->domicile_layout,
                              q->domicile_region,
                              q->upload_id};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) fuzz_touch(all[i]);
  for (size_t i = 0; i < q->overrides.content_type.len; i++) assert(q->overrides.content_type.data[i] >= ' ');
  bool copies = q->op == S3_OP_COPY_OBJECT || q->op == S3_OP_UPLOAD_PART_COPY;
  if (q->customer) fuzz_touch(q->customer->md5_text);
  assert(copies || !q->copy.customer);
  assert(!q->meta.has_plan || q->op == S3_OP_CREATE_MULTIPART_UPLOAD);
  assert(q->op != S3_OP_GET_OBJECT_ATTRIBUTES || q->attributes.parts_max <= S3_PAGE_MAX);
  if (copies) assert(s3_bucket_name_valid(q->copy.bucket) && s3_key_check(q->copy.key) == S3_OK);
}

/* Bytes as what is kept of parts: what is read of them is stored the same again. */
static void check_parts(struct slice bytes, struct fuzz_random *r) {
  struct s3_part_meta meta;
  struct s3_parts parts;
  uint8_t stored[S3_PART_META_MAX], len = 0;
  uint32_t count = bytes.len < 4 || fuzz_random_below(r, 2) ? (uint32_t)fuzz_random_below(r, 8)
                                                            : bytes.data[2] + 256u * bytes.data[3];
  if (s3_part_meta_decode(bytes, &meta, NULL) == DOM_OK) {
    s3_part_meta_encode(&meta, stored, &len);
    assert(slice_equal(slice_of(stored, len), bytes));
  }
  if (count > S3_PART_NUMBER_MAX || s3_parts_decode(bytes, count, &parts, NULL) != DOM_OK) return;
  for (uint32_t i = 0; i < count; i++) {
    struct s3_part_entry entry;
    uint32_t index = count;
    s3_parts_get(&parts, i, &entry);
    assert(s3_parts_find(&parts, entry.number, &index) && index == i);
  }
}

static void check_ranges(struct slice value, struct fuzz_random *r) {
  struct s3_range range = s3_range_parse(value), copy;
  BUF_AUTO printed = BUF_INIT;
  check_range(&range, r);
  fuzz_mark(&copy, sizeof copy);
  if (!s3_copy_range_parse(value, &copy)) {
    assert(fuzz_is_marked(&copy, sizeof copy));
    return;
  }
  assert(copy.kind == S3_RANGE_BOUNDS && copy.first <= copy.last);
  buf_printf(&printed, "bytes=%llu-%llu", (unsigned long long)copy.first, (unsigned long long)copy.last);
  struct s3_range again = s3_range_parse(buf_slice(&printed));
  assert(again.kind == copy.kind && again.first == copy.first && again.last == copy.last);
}

static void check_names(const struct auth_request *head, const struct s3_domains *domains,
                        struct arena *arena) {
  struct s3_target target;
  struct slice host = {0};
  (void)auth_header_find(head, SLICE_LIT("host"), &host);
  fuzz_mark(&target, sizeof target);
  if (s3_target_parse(host, head->raw_path, domains, arena, &target) != S3_OK) {
    assert(fuzz_is_marked(&target, sizeof target));
    return;
  }
  assert(target.key.len == 0 || target.bucket.len > 0);
  fuzz_touch(target.key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const struct slice names[] = {{(const uint8_t *)"s3.example.org", 14},
                                       {(const uint8_t *)"localhost", 9}};
  static const struct s3_domains domains = {names, 2};
  static struct arena *arena;
  static struct text_request text;
  static struct s3_request request, again;
  struct s3_fault fault = {0}, fault_again = {0};
  struct fuzz_random r = fuzz_random_of(slice_of(data, size));
  if (arena == NULL) arena = arena_new(S3_REQUEST_ARENA_BYTES);
  assert(arena != NULL);
  arena_reset(arena);
  check_parts(slice_of(data, size), &r);
  if (!text_request_parse(slice_of(data, size), &text)) return 0;
  for (size_t i = 0; i < text.request.header_count; i++) check_ranges(text.headers[i].value, &r);
  fuzz_touch(s3_resource(&text.request, &domains, arena));
  check_names(&text.request, &domains, arena);
  fuzz_mark(&request, sizeof request);
  enum s3_error error = s3_request_parse(&text.request, &domains, arena, &request, &fault);
  assert(s3_request_parse(&text.request, &domains, arena, &again, &fault_again) == error);
  if (error != S3_OK) {
    assert(fuzz_is_marked(&request, sizeof request) && fault.error == error &&
           fault_again.detail == fault.detail);
    return 0;
  }
  assert(request.op == again.op && slice_equal(request.bucket, again.bucket) &&
         slice_equal(request.key, again.key));
  check_request(&request);
  check_range(&request.range, &r);
  check_range(&request.copy.range, &r);
  check_condition(&request.condition, &r);
  check_condition(&request.copy.condition, &r);
  check_meta(&request.meta, arena);
  return 0;
}
