#include "s3/attributes.h"

#include <assert.h>

#include "s3/etag.h"
#include "s3/limits.h"
#include "s3/route.h"
#include "s3/xml.h"

static const char asked_header[] = "x-amz-object-attributes";

static bool take_name(struct slice name, struct s3_attributes_asked *asked) {
  const struct {
    const char *name;
    bool *flag;
  } rows[] = {{"ETag", &asked->etag},
              {"Checksum", &asked->checksum},
              {"ObjectParts", &asked->parts},
              {"StorageClass", &asked->storage_class},
              {"ObjectSize", &asked->object_size}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    if (!slice_equal(name, slice_str(rows[i].name))) continue;
    *rows[i].flag = true;
    return true;
  }
  return false;
}

/* Adds the names of one header; whether all are known. */
static bool take_names(struct slice list, struct s3_attributes_asked *asked) {
  while (list.len > 0) {
    size_t comma = slice_find(list, ',');
    if (!take_name(auth_value_trim(slice_cut(list, 0, comma)), asked)) return false;
    list = slice_cut(list, comma < list.len ? comma + 1 : comma, list.len);
  }
  return true;
}

static bool take_number(const struct auth_request *head, const char *name, uint32_t most, uint32_t *out) {
  struct slice value;
  uint64_t number = 0;
  assert(name != NULL && out != NULL);
  if (auth_header_find(head, slice_str(name), &value) == 0) return true;
  if (slice_to_u64(value, &number) != DOM_OK || number > INT32_MAX) return false;
  *out = number < most ? (uint32_t)number : most;
  return true;
}

enum s3_error s3_attributes_from_head(const struct auth_request *head, struct s3_attributes_asked *out,
                                      struct s3_fault *out_fault) {
  struct s3_attributes_asked asked = {.parts_max = S3_PAGE_MAX};
  bool any = false;
  assert(head != NULL && out != NULL && out_fault != NULL);
  for (size_t i = 0; i < head->header_count; i++) {
    if (!slice_equal_nocase(head->headers[i].name, slice_str(asked_header))) continue;
    struct slice list = auth_value_trim(head->headers[i].value);
    if (!take_names(list, &asked)) return fault_set(out_fault, S3_ERR_INVALID_ARGUMENT, asked_header);
    any = any || list.len > 0;
  }
  if (!any) return fault_set(out_fault, S3_ERR_INVALID_ARGUMENT, asked_header);
  if (!take_number(head, "x-amz-max-parts", S3_PAGE_MAX, &asked.parts_max))
    return fault_set(out_fault, S3_ERR_INVALID_ARGUMENT, "x-amz-max-parts");
  if (!take_number(head, "x-amz-part-number-marker", S3_PART_NUMBER_MAX, &asked.part_number_marker))
    return fault_set(out_fault, S3_ERR_INVALID_ARGUMENT, "x-amz-part-number-marker");
  *out = asked;
  return S3_OK;
}

/* ---- the answer ---- */

static void one_part(const struct s3_attributes_part *part, struct buf *out) {
  assert(part->number >= 1 && part->number <= S3_PART_NUMBER_MAX);
  xml_open(out, "Part");
  xml_u64(out, "PartNumber", part->number);
  xml_u64(out, "Size", part->size);
  if (part->checksum != NULL) xml_checksum(out, part->checksum, 0);
  xml_close(out, "Part");
}

static void object_parts(const struct s3_attributes_asked *asked, const struct s3_attributes *o,
                         struct buf *out) {
  uint32_t first = 0;
  assert(o->parts != NULL && o->part_count > 0);
  xml_open(out, "ObjectParts");
  xml_u64(out, "PartsCount", o->part_count);
  if (o->checksum != NULL) {
    while (first < o->part_count && o->parts[first].number <= asked->part_number_marker) first++;
    uint32_t left = o->part_count - first, shown = left < asked->parts_max ? left : asked->parts_max;
    uint32_t last = shown > 0 ? o->parts[first + shown - 1].number : asked->part_number_marker;
    xml_u64(out, "PartNumberMarker", asked->part_number_marker);
    xml_u64(out, "NextPartNumberMarker", last);
    xml_u64(out, "MaxParts", asked->parts_max);
    xml_bool(out, "IsTruncated", shown < left);
    for (uint32_t i = 0; i < shown; i++) one_part(&o->parts[first + i], out);
  }
  xml_close(out, "ObjectParts");
}

void s3_result_attributes(const struct s3_attributes_asked *asked, const struct s3_attributes *object,
                          struct buf *out) {
  char etag[S3_ETAG_SIZE];
  assert(asked != NULL && object != NULL && object->md5 != NULL && out != NULL);
  xml_begin(out);
  xml_open_root(out, "GetObjectAttributesResponse");
  s3_etag_print(object->md5, object->part_count, etag);
  if (asked->etag) xml_text(out, "ETag", slice_str(etag)); /* without quotes, here alone */
  if (asked->checksum && object->checksum != NULL) {
    xml_open(out, "Checksum");
    xml_checksum(out, object->checksum, object->is_composite ? object->part_count : 0);
    xml_checksum_type(out, object->is_composite);
    xml_close(out, "Checksum");
  }
  if (asked->parts && object->part_count > 0) object_parts(asked, object, out);
  if (asked->storage_class) xml_text(out, "StorageClass", SLICE_LIT("STANDARD"));
  if (asked->object_size) xml_u64(out, "ObjectSize", object->size);
  xml_close(out, "GetObjectAttributesResponse");
}
