#include "s3/meta.h"

#include <assert.h>

#include "base/codec.h"
#include "s3/limits.h"

enum { META_VERSION = 1 };

/* Stored field numbers, docs/formats/object-metadata.md. */
enum {
  FIELD_CONTENT_TYPE = 1,
  FIELD_CONTENT_ENCODING = 2,
  FIELD_CACHE_CONTROL = 3,
  FIELD_CONTENT_DISPOSITION = 4,
  FIELD_CONTENT_LANGUAGE = 5,
  FIELD_EXPIRES = 6,
  FIELD_CHECKSUM = 16,
  FIELD_COMPOSITE = 17,
  FIELD_PLAN = 18,
  FIELD_CUSTOMER = 19,
  FIELD_PARTS = 20,
  FIELD_USER = 32,
  /* From here on what may be changed of a version that is there. */
  FIELD_TAG = 64,
  FIELD_RETENTION = 65,
  FIELD_LEGAL_HOLD = 66,
  FIELD_ACL = 67
};
enum { RETENTION_BYTES = 9, LEGAL_HOLD_BYTES = 1 };

/* Stored values of FIELD_PLAN's second byte. */
enum { PLAN_COMPOSITE = 1, PLAN_FULL_OBJECT = 2 };

static const char user_prefix[] = "x-amz-meta-";

/* Where each plain field lies in struct s3_meta, in the order of the stored form. */
static const struct {
  uint8_t field;
  size_t offset;
  const char *header;
} plain[] = {
    {FIELD_CONTENT_TYPE, offsetof(struct s3_meta, content_type), "content-type"},
    {FIELD_CONTENT_ENCODING, offsetof(struct s3_meta, content_encoding), "content-encoding"},
    {FIELD_CACHE_CONTROL, offsetof(struct s3_meta, cache_control), "cache-control"},
    {FIELD_CONTENT_DISPOSITION, offsetof(struct s3_meta, content_disposition), "content-disposition"},
    {FIELD_CONTENT_LANGUAGE, offsetof(struct s3_meta, content_language), "content-language"},
    {FIELD_EXPIRES, offsetof(struct s3_meta, expires), "expires"},
};
enum { PLAIN_COUNT = sizeof plain / sizeof plain[0] };

static struct slice *plain_at(struct s3_meta *meta, size_t i) {
  assert(i < PLAIN_COUNT);
  return (struct slice *)(void *)((char *)meta + plain[i].offset);
}

static const struct slice *plain_of(const struct s3_meta *meta, size_t i) {
  assert(i < PLAIN_COUNT);
  return (const struct slice *)(const void *)((const char *)meta + plain[i].offset);
}

/* ---- from a head ---- */

/* The list of codings without aws-chunked; untouched where it does not occur. */
static bool encoding_strip(struct slice value, struct arena *arena, struct slice *out) {
  BUF_AUTO kept = BUF_INIT;
  bool found = false;
  struct slice rest = value;
  assert(out != NULL);
  while (rest.len > 0) {
    size_t comma = slice_find(rest, ',');
    struct slice coding = auth_value_trim(slice_cut(rest, 0, comma));
    rest = slice_cut(rest, comma < rest.len ? comma + 1 : comma, rest.len);
    if (slice_equal_nocase(coding, SLICE_LIT("aws-chunked"))) {
      found = true;
      continue;
    }
    if (coding.len == 0) continue;
    if (kept.len > 0) buf_append_byte(&kept, ',');
    buf_append_slice(&kept, coding);
  }
  if (kept.failed) return false;
  *out = found ? arena_copy(arena, buf_slice(&kept)) : value;
  return !found || kept.len == 0 || out->data != NULL;
}

static bool user_name(const struct auth_header *header, struct slice *out_name) {
  const size_t prefix_len = sizeof user_prefix - 1;
  assert(header != NULL && out_name != NULL);
  if (header->name.len <= prefix_len) return false;
  if (!slice_equal_nocase(slice_cut(header->name, 0, prefix_len), slice_str(user_prefix))) return false;
  *out_name = slice_cut(header->name, prefix_len, header->name.len);
  return true;
}

static bool name_lower(struct slice name, struct arena *arena, struct slice *out) {
  uint8_t *bytes = arena_alloc(arena, name.len);
  assert(name.len > 0);
  if (bytes == NULL) return false;
  for (size_t i = 0; i < name.len; i++) {
    uint8_t c = name.data[i];
    bytes[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
  }
  *out = slice_of(bytes, name.len);
  return true;
}

static bool value_join(struct slice *value, struct slice more, struct arena *arena) {
  BUF_AUTO joined = BUF_INIT;
  assert(value != NULL);
  buf_append_slice(&joined, *value);
  buf_append_byte(&joined, ',');
  buf_append_slice(&joined, more);
  if (joined.failed) return false;
  *value = arena_copy(arena, buf_slice(&joined));
  return value->data != NULL;
}

/* Puts one line into the list, which is kept sorted by name. */
static bool user_insert(struct auth_header *list, size_t *count, struct slice name, struct slice value,
                        struct arena *arena) {
  size_t at = 0;
  assert(list != NULL && count != NULL);
  while (at < *count && slice_compare(list[at].name, name) < 0) at++;
  if (at < *count && slice_equal(list[at].name, name)) return value_join(&list[at].value, value, arena);
  memmove(&list[at + 1], &list[at], (*count - at) * sizeof *list);
  list[at] = (struct auth_header){name, value};
  (*count)++;
  return true;
}

static enum s3_error user_from_head(const struct auth_request *head, struct arena *arena,
                                    struct s3_meta *meta) {
  size_t lines = 0;
  size_t bytes = 0;
  struct slice name;
  assert(meta != NULL && meta->user_count == 0);
  for (size_t i = 0; i < head->header_count; i++) {
    if (!user_name(&head->headers[i], &name)) continue;
    lines++;
    bytes += name.len + auth_value_trim(head->headers[i].value).len;
  }
  if (lines == 0) return S3_OK;
  if (bytes > S3_METADATA_BYTES_MAX) return S3_ERR_METADATA_TOO_LARGE;
  struct auth_header *list = arena_alloc(arena, lines * sizeof *list);
  if (list == NULL) return S3_ERR_INTERNAL_ERROR;
  for (size_t i = 0; i < head->header_count; i++) {
    if (!user_name(&head->headers[i], &name)) continue;
    struct slice value = auth_value_trim(head->headers[i].value);
    if (!name_lower(name, arena, &name)) return S3_ERR_INTERNAL_ERROR;
    if (!user_insert(list, &meta->user_count, name, value, arena)) return S3_ERR_INTERNAL_ERROR;
  }
  meta->user = list;
  return S3_OK;
}

enum s3_error s3_meta_from_head(const struct auth_request *head, struct arena *arena, struct s3_meta *out) {
  assert(head != NULL && arena != NULL && out != NULL);
  struct s3_meta meta = {0};
  for (size_t i = 0; i < PLAIN_COUNT; i++)
    (void)auth_header_find(head, slice_str(plain[i].header), plain_at(&meta, i));
  if (!encoding_strip(meta.content_encoding, arena, &meta.content_encoding)) return S3_ERR_INTERNAL_ERROR;
  enum s3_error error = user_from_head(head, arena, &meta);
  if (error == S3_OK) *out = meta;
  return error;
}

bool s3_meta_set_tags(struct s3_meta *meta, const struct s3_tags *tags, struct arena *arena) {
  assert(tags->count <= S3_OBJECT_TAGS_MAX);
  struct slice copy = arena_copy(arena, slice_of(tags->tag, tags->count * sizeof tags->tag[0]));
  if (tags->count > 0 && copy.data == NULL) return false;
  meta->tags = (const struct s3_tag *)(const void *)copy.data;
  meta->tag_count = tags->count;
  return true;
}

bool s3_checksum_plan_valid(const struct s3_checksum_plan *plan) {
  assert(plan != NULL && (unsigned)plan->kind < AUTH_CHECKSUM_KIND_COUNT);
  if (plan->full_object) return auth_checksum_joins(plan->kind);
  return plan->kind != AUTH_CHECKSUM_CRC64NVME;
}

void s3_meta_unpart(struct s3_meta *meta) {
  assert(meta != NULL);
  if (meta->is_composite) meta->has_checksum = false;
  meta->is_composite = false;
  meta->parts = (struct slice){0};
}

/* ---- the stored form ---- */

static uint16_t fields_count(const struct s3_meta *meta) {
  size_t count = meta->user_count + (meta->has_checksum ? 1 : 0) + meta->tag_count +
                 (meta->lock_mode != S3_LOCK_NONE ? 1 : 0) + (meta->legal_hold != S3_HOLD_NEVER ? 1 : 0);
  count += (meta->has_plan ? 1u : 0u) + (meta->parts.len > 0 ? 1u : 0u) + (meta->acl.len > 0 ? 1u : 0u);
  count += meta->customer.len > 0 ? 1u : 0u;
  for (size_t i = 0; i < PLAIN_COUNT; i++) count += plain_of(meta, i)->len > 0 ? 1 : 0;
  assert(count <= UINT16_MAX);
  return (uint16_t)count;
}

static bool fields_fit(const struct s3_meta *meta) {
  assert(meta != NULL);
  for (size_t i = 0; i < PLAIN_COUNT; i++)
    if (plain_of(meta, i)->len > UINT16_MAX) return false;
  for (size_t i = 0; i < meta->user_count; i++)
    if (meta->user[i].name.len > UINT16_MAX || meta->user[i].value.len > UINT16_MAX) return false;
  if (meta->customer.len > UINT16_MAX) return false;
  for (size_t i = 0; i < meta->tag_count; i++)
    if (meta->tags[i].key.len > UINT16_MAX || meta->tags[i].value.len > UINT16_MAX) return false;
  if (meta->acl.len > UINT16_MAX) return false;
  return meta->user_count <= S3_METADATA_BYTES_MAX && meta->tag_count <= S3_OBJECT_TAGS_MAX;
}

static void changeable_encode(const struct s3_meta *meta, struct buf *out) {
  assert(meta->lock_mode != S3_LOCK_NONE || meta->retain_until_ms == 0);
  for (size_t i = 0; i < meta->tag_count; i++) {
    assert(i == 0 || slice_compare(meta->tags[i - 1].key, meta->tags[i].key) < 0);
    put_u8(out, FIELD_TAG);
    put_bytes16le(out, meta->tags[i].key);
    put_bytes16le(out, meta->tags[i].value);
  }
  if (meta->lock_mode != S3_LOCK_NONE) {
    put_u8(out, FIELD_RETENTION);
    put_u16le(out, RETENTION_BYTES);
    put_u8(out, (uint8_t)meta->lock_mode);
    put_u64le(out, meta->retain_until_ms);
  }
  if (meta->legal_hold != S3_HOLD_NEVER) {
    put_u8(out, FIELD_LEGAL_HOLD);
    put_u16le(out, LEGAL_HOLD_BYTES);
    put_u8(out, (uint8_t)meta->legal_hold);
  }
  if (meta->acl.len > 0) {
    put_u8(out, FIELD_ACL);
    put_bytes16le(out, meta->acl);
  }
}

static void checksums_encode(const struct s3_meta *meta, struct buf *out) {
  if (meta->has_checksum) {
    put_u8(out, meta->is_composite ? FIELD_COMPOSITE : FIELD_CHECKSUM);
    put_u8(out, (uint8_t)meta->checksum.kind);
    put_bytes16le(out, slice_of(meta->checksum.data, meta->checksum.size));
  }
  if (!meta->has_plan) return;
  assert(s3_checksum_plan_valid(&meta->plan));
  const uint8_t plan[2] = {(uint8_t)meta->plan.kind,
                           meta->plan.full_object ? PLAN_FULL_OBJECT : PLAN_COMPOSITE};
  put_u8(out, FIELD_PLAN);
  put_bytes16le(out, slice_of(plan, sizeof plan));
}

enum dom_code s3_meta_encode(const struct s3_meta *meta, struct buf *out, struct dom_err *err) {
  assert(meta != NULL && out != NULL);
  assert(meta->user != NULL || meta->user_count == 0);
  if (!fields_fit(meta))
    return dom_fail(err, DOM_TOO_LARGE, "s3/meta: encode", "a metadata field is longer than 65535 bytes");
  put_u8(out, META_VERSION);
  put_u16le(out, fields_count(meta));
  for (size_t i = 0; i < PLAIN_COUNT; i++) {
    if (plain_of(meta, i)->len == 0) continue;
    put_u8(out, plain[i].field);
    put_bytes16le(out, *plain_of(meta, i));
  }
  checksums_encode(meta, out);
  if (meta->customer.len > 0) {
    put_u8(out, FIELD_CUSTOMER);
    put_bytes16le(out, meta->customer);
  }
  if (meta->parts.len > 0) {
    put_u8(out, FIELD_PARTS);
    put_bytes32le(out, meta->parts);
  }
  for (size_t i = 0; i < meta->user_count; i++) {
    assert(i == 0 || slice_compare(meta->user[i - 1].name, meta->user[i].name) < 0);
    put_u8(out, FIELD_USER);
    put_bytes16le(out, meta->user[i].name);
    put_bytes16le(out, meta->user[i].value);
  }
  changeable_encode(meta, out);
  return buf_check(out, err);
}

static enum dom_code checksum_decode(struct reader *r, struct s3_meta *meta) {
  uint8_t kind = get_u8(r);
  struct slice data = get_bytes16le(r);
  assert(meta != NULL);
  if (r->bad) return DOM_CORRUPT;
  if (kind >= AUTH_CHECKSUM_KIND_COUNT) return DOM_INCOMPATIBLE;
  if (data.len != auth_checksum_size((enum auth_checksum_kind)kind)) return DOM_CORRUPT;
  meta->checksum = (struct auth_digest){.kind = (enum auth_checksum_kind)kind, .size = data.len};
  memcpy(meta->checksum.data, data.data, data.len);
  meta->has_checksum = true;
  return DOM_OK;
}

static enum dom_code plan_decode(struct reader *r, struct s3_meta *meta) {
  struct slice data = get_bytes16le(r);
  if (r->bad || data.len != 2) return DOM_CORRUPT;
  if (data.data[0] >= AUTH_CHECKSUM_KIND_COUNT) return DOM_INCOMPATIBLE;
  meta->has_plan = true;
  meta->plan = (struct s3_checksum_plan){.kind = (enum auth_checksum_kind)data.data[0],
                                         .full_object = data.data[1] == PLAN_FULL_OBJECT};
  bool known = data.data[1] == PLAN_COMPOSITE || data.data[1] == PLAN_FULL_OBJECT;
  return known && s3_checksum_plan_valid(&meta->plan) ? DOM_OK : DOM_CORRUPT;
}

/* Fields about checksums and parts. */
static enum dom_code own_decode(struct reader *r, uint8_t field, struct s3_meta *meta) {
  switch (field) {
  case FIELD_COMPOSITE:
    if (meta->has_checksum) return DOM_CORRUPT; /* one or the other */
    meta->is_composite = true;
    return checksum_decode(r, meta);
  case FIELD_PLAN:
    return plan_decode(r, meta);
  case FIELD_CUSTOMER:
    meta->customer = get_bytes16le(r);
    return !r->bad && meta->customer.len > 0 ? DOM_OK : DOM_CORRUPT;
  case FIELD_PARTS:
    meta->parts = get_bytes32le(r);
    return !r->bad && meta->parts.len > 0 ? DOM_OK : DOM_CORRUPT;
  default:
    return DOM_INCOMPATIBLE;
  }
}

static enum dom_code plain_decode(struct reader *r, uint8_t field, struct s3_meta *meta) {
  assert(meta != NULL);
  for (size_t i = 0; i < PLAIN_COUNT; i++) {
    if (plain[i].field != field) continue;
    *plain_at(meta, i) = get_bytes16le(r);
    return plain_at(meta, i)->len > 0 ? DOM_OK : DOM_CORRUPT;
  }
  return DOM_INCOMPATIBLE;
}

static enum dom_code tag_decode(struct reader *r, struct s3_tag *list, struct s3_meta *meta) {
  if (meta->tag_count == S3_OBJECT_TAGS_MAX) return DOM_CORRUPT;
  struct s3_tag *tag = &list[meta->tag_count];
  tag->key = get_bytes16le(r);
  tag->value = get_bytes16le(r);
  if (r->bad || tag->key.len == 0) return DOM_CORRUPT;
  if (meta->tag_count > 0 && slice_compare(tag[-1].key, tag->key) >= 0) return DOM_CORRUPT;
  meta->tag_count++;
  meta->tags = list;
  return DOM_OK;
}

static enum dom_code acl_decode(struct reader *r, struct s3_meta *meta) {
  meta->acl = get_bytes16le(r);
  assert(!r->bad || meta->acl.len == 0);
  return !r->bad && meta->acl.len > 0 ? DOM_OK : DOM_CORRUPT;
}

static enum dom_code lock_decode(struct reader *r, uint8_t field, struct s3_meta *meta) {
  bool retention = field == FIELD_RETENTION;
  uint16_t length = get_u16le(r);
  uint8_t value = get_u8(r);
  assert(retention || field == FIELD_LEGAL_HOLD);
  if (r->bad || length != (retention ? RETENTION_BYTES : LEGAL_HOLD_BYTES)) return DOM_CORRUPT;
  if (value == 0) return DOM_CORRUPT;
  if (value > 2) return DOM_INCOMPATIBLE;
  if (retention) {
    meta->lock_mode = value;
    meta->retain_until_ms = get_u64le(r);
  } else {
    meta->legal_hold = value;
  }
  return r->bad ? DOM_CORRUPT : DOM_OK;
}

/* Memory for what repeats. */
struct lists {
  struct auth_header *user;
  struct s3_tag *tags; /* S3_OBJECT_TAGS_MAX */
};

/* One field. Fields ascend; only user fields and tags repeat, and their names ascend. */
static enum dom_code field_decode(struct reader *r, uint8_t *last, const struct lists *lists,
                                  struct s3_meta *meta) {
  uint8_t field = get_u8(r);
  assert(last != NULL && lists != NULL);
  if (r->bad || field < *last || (field == *last && field != FIELD_USER && field != FIELD_TAG))
    return DOM_CORRUPT;
  *last = field;
  if (field == FIELD_CHECKSUM) return checksum_decode(r, meta);
  if (field > FIELD_CHECKSUM && field < FIELD_USER) return own_decode(r, field, meta);
  if (field == FIELD_TAG) return tag_decode(r, lists->tags, meta);
  if (field == FIELD_RETENTION || field == FIELD_LEGAL_HOLD) return lock_decode(r, field, meta);
  if (field == FIELD_ACL) return acl_decode(r, meta);
  if (field != FIELD_USER) return plain_decode(r, field, meta);
  struct auth_header *user = &lists->user[meta->user_count];
  user->name = get_bytes16le(r);
  user->value = get_bytes16le(r);
  if (r->bad || user->name.len == 0) return DOM_CORRUPT;
  if (meta->user_count > 0 && slice_compare(user[-1].name, user->name) >= 0) return DOM_CORRUPT;
  meta->user_count++;
  return DOM_OK;
}

enum dom_code s3_meta_decode(struct slice bytes, struct arena *arena, struct s3_meta *out,
                             struct dom_err *err) {
  assert(arena != NULL && out != NULL);
  struct reader r = reader_of(bytes);
  struct s3_meta meta = {0};
  uint8_t version = get_u8(&r);
  uint16_t count = get_u16le(&r);
  uint8_t last = 0;
  enum dom_code code = DOM_OK;
  if (!r.bad && version != META_VERSION)
    return dom_fail(err, DOM_INCOMPATIBLE, "s3/meta: decode", "metadata of version %u", version);
  /* Every field takes at least four bytes, so a wrong count cannot ask for much memory. */
  if (r.bad || (size_t)count * 4 > r.left) code = DOM_CORRUPT;
  struct lists lists = {NULL, NULL};
  if (code == DOM_OK) {
    size_t tags = count < S3_OBJECT_TAGS_MAX ? count : S3_OBJECT_TAGS_MAX;
    lists.user = arena_alloc(arena, ((size_t)count + 1) * sizeof *lists.user);
    lists.tags = arena_alloc(arena, (tags + 1) * sizeof *lists.tags);
    if (lists.user == NULL || lists.tags == NULL) code = DOM_NO_MEMORY;
  }
  for (uint16_t i = 0; i < count && code == DOM_OK; i++) code = field_decode(&r, &last, &lists, &meta);
  if (code == DOM_OK && !reader_end(&r)) code = DOM_CORRUPT;
  if (code != DOM_OK) return dom_fail(err, code, "s3/meta: decode", "an object's metadata cannot be read");
  if (meta.user_count > 0) meta.user = lists.user;
  *out = meta;
  return DOM_OK;
}
