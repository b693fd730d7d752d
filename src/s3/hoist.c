#include "s3/hoist.h"

#include <assert.h>
#include <string.h>

#include "s3/route.h"

static const char *const own[] = {
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
    "x-amz-decoded-content-length",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-trailer",
};

static bool begins(struct slice name, const char *prefix) {
  assert(prefix != NULL);
  size_t len = strlen(prefix);
  return name.len >= len && slice_equal_nocase(slice_cut(name, 0, len), slice_str(prefix));
}

static bool is_hoisted(const struct auth_request *head, struct slice name) {
  struct slice unused;
  assert(head != NULL);
  if (!begins(name, "x-amz-") || begins(name, "x-amz-checksum-")) return false;
  for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
    if (slice_equal_nocase(name, slice_str(own[i]))) return false;
  return auth_header_find(head, name, &unused) == 0;
}

/* A token (RFC 9110 §5.6.2): decoded from the query it could be anything, and it is sent back. */
static bool name_fits(struct slice name) {
  static const char marks[] = "!#$%&'*+-.^_`|~";
  assert(name.len > 0);
  for (size_t i = 0; i < name.len; i++) {
    uint8_t c = name.data[i];
    bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!plain && memchr(marks, c, sizeof marks - 1) == NULL) return false;
  }
  return true;
}

static bool value_fits(struct slice value) {
  for (size_t i = 0; i < value.len; i++)
    if ((value.data[i] < ' ' && value.data[i] != '\t') || value.data[i] == 0x7f) return false;
  return true;
}

bool hoist_fits(struct slice name, struct slice value) {
  return name.len > 0 && name_fits(name) && value_fits(value);
}

enum s3_error hoist_undo(const struct auth_request *head, const struct auth_query *query, struct arena *arena,
                         struct auth_request *out, struct s3_fault *fault) {
  struct slice unused;
  assert(head != NULL && query != NULL && arena != NULL && out != NULL);
  *out = *head;
  if (auth_query_find(query, SLICE_LIT("X-Amz-Signature"), &unused) == 0) return S3_OK;
  struct auth_header *lines = arena_alloc(arena, (head->header_count + query->count) * sizeof *lines);
  if (lines == NULL) return fault_set(fault, S3_ERR_INTERNAL_ERROR, NULL);
  if (head->header_count > 0) memcpy(lines, head->headers, head->header_count * sizeof *lines);
  size_t count = head->header_count;
  for (size_t i = 0; i < query->count; i++) {
    const struct auth_param *param = &query->params[i];
    if (!is_hoisted(head, param->name)) continue;
    if (!hoist_fits(param->name, param->value))
      return fault_set(fault, S3_ERR_INVALID_ARGUMENT, "an x-amz-* parameter that can be no header");
    lines[count++] = (struct auth_header){param->name, param->value};
  }
  out->headers = lines;
  out->header_count = count;
  return S3_OK;
}
