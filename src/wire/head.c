#include "wire/head.h"

#include <assert.h>

#if __has_include(<llhttp/llhttp.h>)
#include <llhttp/llhttp.h> /* node-llhttp */
#else
#include <llhttp.h> /* libllhttp-dev */
#endif

#include "wire/head_rules.h"

enum wire_scan wire_head_scan(struct slice bytes, size_t *scanned, size_t *out_len, unsigned *out_status) {
  assert(scanned != NULL && *scanned <= bytes.len);
  size_t limit = bytes.len < WIRE_HEAD_BYTES_MAX ? bytes.len : WIRE_HEAD_BYTES_MAX;
  while (*scanned < limit) {
    const uint8_t *lf = memchr(bytes.data + *scanned, '\n', limit - *scanned);
    if (lf == NULL) break;
    size_t at = (size_t)(lf - bytes.data);
    if (at == 0 || lf[-1] != '\r') {
      *out_status = 400;
      return WIRE_SCAN_BAD;
    }
    *scanned = at + 1;
    if (at >= 3 && lf[-2] == '\n') {
      *out_len = at + 1;
      return WIRE_SCAN_WHOLE;
    }
  }
  /* *scanned stays at the start of the unfinished line: 0 while even the first is unfinished. */
  if (*scanned == 0 && bytes.len > WIRE_TARGET_BYTES_MAX + 64) {
    *out_status = 414;
    return WIRE_SCAN_BAD;
  }
  if (bytes.len >= WIRE_HEAD_BYTES_MAX) {
    *out_status = 431;
    return WIRE_SCAN_BAD;
  }
  return WIRE_SCAN_MORE;
}

/* What llhttp's callbacks fill. One execute call sees the whole head, so each span comes once. */
struct collector {
  struct wire_head *head;
  bool complete;
};

static int on_field(llhttp_t *p, const char *at, size_t len) {
  assert(p->data != NULL && len > 0);
  struct wire_head *h = ((struct collector *)p->data)->head;
  if (h->field_count == WIRE_FIELDS_MAX) return HPE_USER;
  /* A value that never comes is empty, not absent: it keeps a place in the buffer. */
  h->fields[h->field_count++] =
      (struct wire_field){.name = slice_of(at, len), .value = slice_of(at + len, 0)};
  return HPE_OK;
}

static int on_value(llhttp_t *p, const char *at, size_t len) {
  assert(p->data != NULL && at != NULL);
  struct wire_head *h = ((struct collector *)p->data)->head;
  if (h->field_count == 0) return HPE_USER;
  h->fields[h->field_count - 1].value = head_trim(slice_of(at, len));
  return HPE_OK;
}

static int on_complete(llhttp_t *p) {
  assert(p->data != NULL);
  ((struct collector *)p->data)->complete = true;
  return 1; /* no body follows inside this buffer */
}

static void take_method(struct wire_head *h, unsigned method) {
  assert(method != HTTP_CONNECT);
  switch (method) {
  case HTTP_GET:
    h->method = WIRE_METHOD_GET;
    break;
  case HTTP_HEAD:
    h->method = WIRE_METHOD_HEAD;
    break;
  case HTTP_PUT:
    h->method = WIRE_METHOD_PUT;
    break;
  case HTTP_POST:
    h->method = WIRE_METHOD_POST;
    break;
  case HTTP_DELETE:
    h->method = WIRE_METHOD_DELETE;
    break;
  case HTTP_OPTIONS:
    h->method = WIRE_METHOD_OPTIONS;
    break;
  default:
    h->method = WIRE_METHOD_OTHER;
    break;
  }
}

static struct head_refusal parse_with_llhttp(struct slice bytes, struct wire_head *h) {
  assert(h->field_count == 0);
  static const llhttp_settings_t settings = {
      .on_header_field = on_field, .on_header_value = on_value, .on_headers_complete = on_complete};
  struct collector collector = {.head = h};
  llhttp_t parser;
  llhttp_init(&parser, HTTP_REQUEST, &settings);
  parser.data = &collector;
  llhttp_errno_t e = llhttp_execute(&parser, (const char *)bytes.data, bytes.len);
  if (!collector.complete) {
    if (e == HPE_INVALID_METHOD) return (struct head_refusal){501, "unknown method"};
    if (e == HPE_USER) return (struct head_refusal){431, "too many header lines"};
    return (struct head_refusal){400, "malformed request head"};
  }
  /* After the fields are complete only an announced upgrade may stop llhttp; we never upgrade. */
  if (e != HPE_OK && e != HPE_PAUSED_UPGRADE) return (struct head_refusal){400, "malformed request head"};
  if (parser.method == HTTP_CONNECT || parser.method == HTTP_PRI)
    return (struct head_refusal){501, "unknown method"};
  take_method(h, parser.method);
  return (struct head_refusal){0};
}

static struct head_refusal parse(struct slice bytes, struct wire_head *h) {
  assert(h->method_text.data == NULL);
  if (bytes.len > WIRE_HEAD_BYTES_MAX) return (struct head_refusal){431, "head too large"};
  struct head_refusal r = head_rules_bytes(bytes);
  if (r.status != 0) return r;
  r = head_rules_start_line(slice_cut(bytes, 0, slice_find(bytes, '\r')), h);
  if (r.status != 0) return r;
  r = parse_with_llhttp(bytes, h);
  return r.status != 0 ? r : head_rules_meaning(h);
}

unsigned wire_head_parse(struct slice bytes, struct wire_head *out, const char **out_why) {
  assert(out != NULL && out_why != NULL);
  assert(bytes.data != NULL || bytes.len == 0);
  /* The table of fields is large and read only up to field_count: it is not cleared. */
  memset(out, 0, offsetof(struct wire_head, fields));
  struct head_refusal r = parse(bytes, out);
  if (r.status == 0) return 0;
  out->field_count = 0;
  *out_why = r.why;
  return r.status;
}

bool wire_head_next(const struct wire_head *h, const char *name, size_t *at, struct slice *out_value) {
  assert(h != NULL && name != NULL);
  struct slice wanted = slice_str(name);
  for (; *at < h->field_count; ++*at) {
    if (h->fields[*at].name.len != wanted.len || !slice_equal_nocase(h->fields[*at].name, wanted)) continue;
    *out_value = h->fields[*at].value;
    ++*at;
    return true;
  }
  return false;
}

struct slice wire_head_get(const struct wire_head *h, const char *name) {
  size_t at = 0;
  struct slice value = {0};
  if (!wire_head_next(h, name, &at, &value)) return (struct slice){0};
  assert(value.data != NULL);
  return value;
}

size_t wire_head_count(const struct wire_head *h, const char *name) {
  size_t at = 0, count = 0;
  struct slice value;
  while (wire_head_next(h, name, &at, &value)) count++;
  assert(count <= WIRE_FIELDS_MAX);
  return count;
}

void wire_head_drop(struct wire_head *h, bool (*drop)(struct slice name)) {
  assert(h != NULL && drop != NULL);
  size_t kept = 0;
  for (size_t i = 0; i < h->field_count; i++)
    if (!drop(h->fields[i].name)) h->fields[kept++] = h->fields[i];
  h->field_count = kept;
}

bool wire_field_is_hop(struct slice name) {
  static const char *const hop[] = {"connection",     "keep-alive", "transfer-encoding",
                                    "content-length", "expect",     "te",
                                    "trailer",        "upgrade",    "proxy-connection"};
  assert(name.len > 0);
  for (size_t i = 0; i < sizeof hop / sizeof hop[0]; i++)
    if (slice_equal_nocase(name, slice_str(hop[i]))) return true;
  return false;
}
