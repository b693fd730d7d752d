#include "s3/form_head.h"

#include <assert.h>
#include <string.h>

#include "s3/head.h"
#include "s3/hoist.h"
#include "s3/name.h"
#include "s3/route.h"
#include "s3/tagging.h"
#include "s3/xml.h"

static bool begins(struct slice name, const char *prefix) {
  size_t len = strlen(prefix);
  assert(len > 0);
  return name.len >= len && slice_equal_nocase(slice_cut(name, 0, len), slice_str(prefix));
}

static bool is_one_of(struct slice name, const char *const *names, size_t count) {
  assert(names != NULL);
  for (size_t i = 0; i < count; i++)
    if (slice_equal_nocase(name, slice_str(names[i]))) return true;
  return false;
}
#define IS_ONE_OF(name, names) is_one_of(name, names, sizeof(names) / sizeof(names)[0])

/* ---- who signed it ----------------------------------------------------------------------------------- */

enum s3_error s3_form_credential(const struct s3_form_fields *fields, bool *out_signed, struct auth_form *out,
                                 struct s3_fault *fault) {
  struct auth_form f = {.algorithm = s3_form_field(fields, "x-amz-algorithm"),
                        .credential = s3_form_field(fields, "x-amz-credential"),
                        .date = s3_form_field(fields, "x-amz-date"),
                        .signature = s3_form_field(fields, "x-amz-signature"),
                        .token = s3_form_field(fields, "x-amz-security-token"),
                        .policy = s3_form_field(fields, "policy")};
  const struct {
    struct slice value;
    const char *missing;
  } together[] = {
      {f.policy, "Bucket POST must contain a field named 'policy'"},
      {f.algorithm, "Bucket POST must contain a field named 'x-amz-algorithm'"},
      {f.credential, "Bucket POST must contain a field named 'x-amz-credential'"},
      {f.date, "Bucket POST must contain a field named 'x-amz-date'"},
      {f.signature, "Bucket POST must contain a field named 'x-amz-signature'"},
  };
  bool any = f.token.data != NULL;
  assert(out_signed != NULL && out != NULL);
  if (s3_form_field(fields, "AWSAccessKeyId").data != NULL)
    return fault_set(fault, S3_ERR_INVALID_SIGV2, NULL);
  for (size_t i = 0; i < sizeof together / sizeof together[0]; i++)
    any = any || together[i].value.data != NULL;
  for (size_t i = 0; any && i < sizeof together / sizeof together[0]; i++)
    if (together[i].value.data == NULL) return fault_set(fault, S3_ERR_INVALID_ARGUMENT, together[i].missing);
  *out_signed = any;
  *out = f;
  return S3_OK;
}

/* ---- as a head ----------------------------------------------------------------------------------------- */

/* Of the real head: what a browser says by itself. */
static const char *const kept[] = {"host", "user-agent", "referer", "origin"};
/* Fields that are headers as they stand, by name and by prefix. */
static const char *const headers[] = {"content-type",
                                      "cache-control",
                                      "content-disposition",
                                      "content-encoding",
                                      "content-language",
                                      "expires",
                                      "x-amz-storage-class",
                                      "x-amz-website-redirect-location",
                                      "x-amz-sdk-checksum-algorithm"};
static const char *const prefixes[] = {"x-amz-meta-", "x-amz-checksum-", "x-amz-server-side-encryption",
                                       "x-amz-object-lock-"};
/* x-amz- fields that are about the form itself. */
static const char *const form_own[] = {"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature",
                                       "x-amz-security-token"};

struct head {
  struct auth_header *lines;
  size_t count;
};

static bool is_header(struct slice name) {
  if (IS_ONE_OF(name, headers)) return true;
  for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
    if (begins(name, prefixes[i])) return true;
  return false;
}

/* <Tagging> as x-amz-tagging has it. */
static enum s3_error tagging_text(struct slice xml, struct arena *arena, struct slice *out) {
  struct s3_tags *tags = arena_alloc(arena, sizeof *tags);
  BUF_AUTO text = BUF_INIT;
  assert(out != NULL);
  if (tags == NULL) return S3_ERR_INTERNAL_ERROR;
  enum s3_error error = s3_object_tags_parse(xml, arena, tags);
  if (error) return error;
  for (size_t i = 0; i < tags->count; i++) {
    if (i > 0) buf_append_byte(&text, '&');
    percent_encode(&text, tags->tag[i].key, false);
    buf_append_byte(&text, '=');
    percent_encode(&text, tags->tag[i].value, false);
  }
  *out = arena_copy(arena, buf_slice(&text));
  if (text.len == 0) *out = SLICE_LIT("");
  return !text.failed && out->data != NULL ? S3_OK : S3_ERR_INTERNAL_ERROR;
}

static enum s3_error line_add(struct head *h, const struct auth_header *field, struct arena *arena,
                              struct s3_fault *fault) {
  struct auth_header line = *field;
  assert(line.name.len > 0);
  if (slice_equal_nocase(line.name, SLICE_LIT("acl"))) {
    line.name = SLICE_LIT("x-amz-acl");
  } else if (slice_equal_nocase(line.name, SLICE_LIT("tagging"))) {
    line.name = SLICE_LIT("x-amz-tagging");
    enum s3_error error = tagging_text(line.value, arena, &line.value);
    if (error) return fault_set(fault, error, NULL);
  } else if (!is_header(line.name)) {
    bool means = begins(line.name, "x-amz-") && !IS_ONE_OF(line.name, form_own);
    return means ? fault_set(fault, S3_ERR_NOT_IMPLEMENTED, "an x-amz- field of the form") : S3_OK;
  }
  if (!hoist_fits(line.name, line.value))
    return fault_set(fault, S3_ERR_INVALID_ARGUMENT, "a field that can be no header");
  h->lines[h->count++] = line;
  return S3_OK;
}

static enum s3_error head_make(const struct s3_form_fields *fields, const struct auth_request *head,
                               struct arena *arena, struct auth_request *out, struct s3_fault *fault) {
  struct head h = {.lines = arena_alloc(arena, (head->header_count + fields->count + 1) * sizeof *h.lines)};
  if (h.lines == NULL) return fault_set(fault, S3_ERR_INTERNAL_ERROR, NULL);
  for (size_t i = 0; i < head->header_count; i++)
    if (IS_ONE_OF(head->headers[i].name, kept)) h.lines[h.count++] = head->headers[i];
  for (size_t i = 0; i < fields->count; i++) {
    enum s3_error error = line_add(&h, &fields->item[i], arena, fault);
    if (error) return error;
  }
  assert(h.count <= head->header_count + fields->count);
  *out = *head;
  out->headers = h.lines;
  out->header_count = h.count;
  return S3_OK;
}

static enum s3_error key_take(const struct s3_form_fields *fields, struct slice bucket, struct slice *out,
                              struct s3_fault *fault) {
  struct slice key = s3_form_field(fields, "key");
  assert(out != NULL);
  /* npm's SDK sends it along. */
  struct slice named = s3_form_field(fields, "bucket");
  if (named.data != NULL && !slice_equal(named, bucket))
    return fault_set(fault, S3_ERR_INVALID_ARGUMENT, "the form's bucket is another one than it was sent to");
  if (key.data == NULL)
    return fault_set(fault, S3_ERR_INVALID_ARGUMENT,
                     "Bucket POST must contain a field named 'key'.  If it is specified, please check the "
                     "order of the fields.");
  if (key.len == 0)
    return fault_set(fault, S3_ERR_INVALID_ARGUMENT, "User key must have a length greater than 0.");
  enum s3_error error = s3_key_check(key);
  if (error) return fault_set(fault, error, NULL);
  *out = key;
  return S3_OK;
}

enum s3_error s3_form_request(const struct s3_form_fields *fields, const struct auth_request *head,
                              struct arena *arena, struct s3_request *request, struct auth_request *out_head,
                              struct s3_fault *fault) {
  assert(fields != NULL && head != NULL && arena != NULL && request->op == S3_OP_POST_OBJECT);
  struct s3_request made = *request;
  struct auth_request whole = {0};
  enum s3_error error = key_take(fields, made.bucket, &made.key, fault);
  if (!error) error = head_make(fields, head, arena, &whole, fault);
  if (!error) error = head_parse(&whole, arena, &made, fault);
  if (error) return error;
  *request = made;
  *out_head = whole;
  return S3_OK;
}

/* ---- the answer -------------------------------------------------------------------------------------------
 */

static bool address_fits(struct slice url) {
  if (!begins(url, "http://") && !begins(url, "https://")) return false;
  for (size_t i = 0; i < url.len; i++)
    if (url.data[i] <= ' ' || url.data[i] >= 0x7f) return false;
  return true;
}

struct s3_form_answer s3_form_answer(const struct s3_form_fields *fields) {
  struct slice status = s3_form_field(fields, "success_action_status"),
               redirect = s3_form_field(fields, "success_action_redirect");
  if (redirect.data == NULL) redirect = s3_form_field(fields, "redirect");
  struct s3_form_answer answer = {.status = 204};
  if (slice_equal(status, SLICE_LIT("200"))) answer.status = 200;
  if (slice_equal(status, SLICE_LIT("201"))) answer.status = 201;
  if (address_fits(redirect)) answer = (struct s3_form_answer){.status = 303, .redirect = redirect};
  assert(answer.redirect.len == 0 || answer.status == 303);
  return answer;
}

void s3_form_location(const struct s3_request *request, struct slice host, bool is_tls, struct buf *out) {
  assert(request->key.len > 0);
  if (host.len > 0) {
    buf_append_str(out, is_tls ? "https://" : "http://");
    buf_append_slice(out, host);
  }
  buf_append_byte(out, '/');
  if (!request->is_host_style) {
    percent_encode(out, request->bucket, false);
    buf_append_byte(out, '/');
  }
  percent_encode(out, request->key, true);
}

static void etag_text(struct slice etag, struct buf *out) {
  assert(etag.len > 0);
  buf_append_byte(out, '"');
  buf_append_slice(out, etag);
  buf_append_byte(out, '"');
}

void s3_form_result(const struct s3_request *request, struct slice location, struct slice etag,
                    struct buf *out) {
  BUF_AUTO quoted = BUF_INIT;
  assert(location.len > 0);
  etag_text(etag, &quoted);
  xml_begin(out);
  xml_open(out, "PostResponse");
  xml_text(out, "Location", location);
  xml_text(out, "Bucket", request->bucket);
  xml_text(out, "Key", request->key);
  xml_text(out, "ETag", buf_slice(&quoted));
  xml_close(out, "PostResponse");
  if (quoted.failed) out->failed = true;
}

void s3_form_redirect(const struct s3_request *request, struct slice redirect, struct slice etag,
                      struct buf *out) {
  BUF_AUTO quoted = BUF_INIT;
  assert(redirect.len > 0);
  etag_text(etag, &quoted);
  size_t fragment = slice_find(redirect, '#');
  buf_append_slice(out, slice_cut(redirect, 0, fragment));
  buf_append_str(out, slice_find(slice_cut(redirect, 0, fragment), '?') < fragment ? "&bucket=" : "?bucket=");
  percent_encode(out, request->bucket, false);
  buf_append_str(out, "&key=");
  percent_encode(out, request->key, false);
  buf_append_str(out, "&etag=");
  percent_encode(out, buf_slice(&quoted), false);
  buf_append_slice(out, slice_cut(redirect, fragment, redirect.len));
  if (quoted.failed) out->failed = true;
}
