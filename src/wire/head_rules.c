#include "wire/head_rules.h"

#include <assert.h>

#define REFUSE(code, text) ((struct head_refusal){.status = (code), .why = (text)})
#define ACCEPT             ((struct head_refusal){0})

bool head_is_token_char(uint8_t c) {
  if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
  return c > 0x20 && c < 0x7f && memchr("!#$%&'*+-.^_`|~", c, 15) != NULL;
}

struct slice head_trim(struct slice s) {
  assert(s.data != NULL || s.len == 0);
  while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) s = slice_cut(s, 1, s.len);
  while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t')) s.len--;
  return s;
}

static bool all_token(struct slice s) {
  assert(s.data != NULL || s.len == 0);
  for (size_t i = 0; i < s.len; i++)
    if (!head_is_token_char(s.data[i])) return false;
  return s.len > 0;
}

/* The fields that say where a message ends and whom it is for. */
static bool is_framing(struct slice name) {
  assert(name.len > 0);
  return slice_equal_nocase(name, SLICE_LIT("content-length")) ||
         slice_equal_nocase(name, SLICE_LIT("host")) ||
         slice_equal_nocase(name, SLICE_LIT("transfer-encoding"));
}

/* One field line without its CRLF: name, colon, value. Blanks before the colon and folded
 * lines are how requests are smuggled past a second reader (RFC 9112 §5.1, §5.2). */
static struct head_refusal check_field_line(struct slice line) {
  assert(line.len > 0);
  if (line.data[0] == ' ' || line.data[0] == '\t') return REFUSE(400, "folded header line");
  size_t colon = slice_find(line, ':');
  if (colon == line.len) return REFUSE(400, "header line without a colon");
  if (!all_token(slice_cut(line, 0, colon))) return REFUSE(400, "bad byte in a header name");
  for (size_t i = colon + 1; i < line.len; i++) {
    uint8_t c = line.data[i];
    if ((c < 0x20 && c != '\t') || c == 0x7f) return REFUSE(400, "control byte in a header value");
    /* A blank by RFC 9110 §5.6.3, but not by every reader in front of us. */
    if (c == '\t' && is_framing(slice_cut(line, 0, colon)))
      return REFUSE(400, "tab in a header that frames the message");
  }
  return ACCEPT;
}

static struct head_refusal check_start_bytes(struct slice line) {
  assert(line.len > 0);
  for (size_t i = 0; i < line.len; i++)
    if (line.data[i] < 0x20 || line.data[i] >= 0x7f) return REFUSE(400, "bad byte in the request line");
  return ACCEPT;
}

struct head_refusal head_rules_bytes(struct slice head) {
  if (head.len < 4 || memcmp(head.data + head.len - 4, "\r\n\r\n", 4) != 0)
    return REFUSE(400, "head does not end with a blank line");
  size_t at = 0;
  for (size_t lines = 0; at < head.len - 2; lines++) {
    const uint8_t *lf = memchr(head.data + at, '\n', head.len - at);
    assert(lf != NULL);
    size_t end = (size_t)(lf - head.data);
    if (end == at || head.data[end - 1] != '\r') return REFUSE(400, "line feed without carriage return");
    struct slice line = slice_cut(head, at, end - 1);
    if (line.len == 0) return REFUSE(400, "blank line inside the head");
    if (lines > WIRE_FIELDS_MAX) return REFUSE(431, "too many header lines");
    struct head_refusal r = lines == 0 ? check_start_bytes(line) : check_field_line(line);
    if (r.status != 0) return r;
    at = end + 1;
  }
  return ACCEPT;
}

/* RFC 9112 §2.3: "HTTP/" DIGIT "." DIGIT, nothing else. */
static struct head_refusal take_version(struct slice text, struct wire_head *h) {
  assert(h->minor == 0);
  if (text.len != 8 || memcmp(text.data, "HTTP/", 5) != 0 || text.data[6] != '.')
    return REFUSE(400, "malformed HTTP version");
  uint8_t major = text.data[5], minor = text.data[7];
  if (major < '0' || major > '9' || minor < '0' || minor > '9') return REFUSE(400, "malformed HTTP version");
  if (major != '1' || minor > '1') return REFUSE(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
  h->minor = (unsigned)(minor - '0');
  return ACCEPT;
}

struct head_refusal head_rules_start_line(struct slice line, struct wire_head *h) {
  assert(h != NULL);
  size_t first = slice_find(line, ' ');
  if (first == line.len) return REFUSE(400, "malformed request line");
  struct slice rest = slice_cut(line, first + 1, line.len);
  size_t second = slice_find(rest, ' ');
  if (second == rest.len) return REFUSE(400, "malformed request line");
  h->method_text = slice_cut(line, 0, first);
  h->target = slice_cut(rest, 0, second);
  if (!all_token(h->method_text)) return REFUSE(400, "malformed method");
  if (h->target.len == 0) return REFUSE(400, "empty request target");
  if (h->target.len > WIRE_TARGET_BYTES_MAX) return REFUSE(414, "request target too long");
  return take_version(slice_cut(rest, second + 1, rest.len), h);
}

/* RFC 3986 §3.2: host and port, without userinfo. Lenient inside, strict about separators. */
static bool host_is_sound(struct slice host) {
  assert(host.data != NULL);
  for (size_t i = 0; i < host.len; i++) {
    uint8_t c = host.data[i];
    if (c <= ' ' || c >= 0x7f || memchr("/?#@\\\"<>^`{|}", c, 13) != NULL) return false;
    if (c == '.' && i + 1 < host.len && host.data[i + 1] == '.') return false;
  }
  return host.len > 0;
}

static struct head_refusal check_host(struct wire_head *h) {
  assert(h->host.data == NULL);
  size_t hosts = wire_head_count(h, "host");
  if (hosts > 1) return REFUSE(400, "more than one Host");
  if (hosts == 0) return h->minor == 0 ? ACCEPT : REFUSE(400, "Host is missing");
  h->host = wire_head_get(h, "host");
  return host_is_sound(h->host) ? ACCEPT : REFUSE(400, "malformed Host");
}

/* RFC 9112 §3.2.2: a server must accept the absolute form. Its authority must say what Host
 * says, so that no two readers see two hosts. Cuts `rest` down to the path. */
static struct head_refusal take_absolute(const struct wire_head *h, struct slice *rest) {
  assert(rest->len > 0 && rest->data[0] != '/');
  size_t skip = 0;
  if (rest->len > 7 && slice_equal_nocase(slice_cut(*rest, 0, 7), SLICE_LIT("http://"))) skip = 7;
  if (rest->len > 8 && slice_equal_nocase(slice_cut(*rest, 0, 8), SLICE_LIT("https://"))) skip = 8;
  if (skip == 0) return REFUSE(400, "request target is neither a path nor an http URL");
  struct slice after = slice_cut(*rest, skip, rest->len);
  size_t slash = slice_find(after, '/');
  if (slash == after.len) return REFUSE(400, "absolute request target without a path");
  if (!slice_equal_nocase(slice_cut(after, 0, slash), h->host))
    return REFUSE(400, "request target and Host name different hosts");
  *rest = slice_cut(after, slash, after.len);
  return ACCEPT;
}

static struct head_refusal split_target(struct wire_head *h) {
  struct slice rest = h->target;
  if (slice_find(rest, '#') < rest.len) return REFUSE(400, "fragment in the request target");
  if (slice_equal(rest, SLICE_LIT("*"))) {
    h->path = rest;
    return h->method == WIRE_METHOD_OPTIONS ? ACCEPT : REFUSE(400, "* is a target for OPTIONS only");
  }
  if (rest.data[0] != '/') {
    struct head_refusal r = take_absolute(h, &rest);
    if (r.status != 0) return r;
  }
  size_t mark = slice_find(rest, '?');
  h->path = slice_cut(rest, 0, mark);
  h->query = mark < rest.len ? slice_cut(rest, mark + 1, rest.len) : (struct slice){0};
  assert(h->path.len > 0 && h->path.data[0] == '/');
  return ACCEPT;
}

/* Content-Length and Transfer-Encoding: exactly one way to tell where the body ends
 * (RFC 9112 §6.3; what may be repaired there is refused here). */
static struct head_refusal check_framing(struct wire_head *h) {
  assert(!h->has_length && !h->chunked);
  size_t lengths = wire_head_count(h, "content-length");
  size_t codings = wire_head_count(h, "transfer-encoding");
  if (lengths > 1) return REFUSE(400, "more than one Content-Length");
  if (codings > 1) return REFUSE(400, "more than one Transfer-Encoding");
  if (lengths + codings > 1) return REFUSE(400, "Content-Length together with Transfer-Encoding");
  if (lengths == 1) {
    if (slice_to_u64(wire_head_get(h, "content-length"), &h->length) != DOM_OK || h->length > INT64_MAX)
      return REFUSE(400, "malformed Content-Length");
    h->has_length = true;
  }
  if (codings == 1) {
    if (!slice_equal_nocase(wire_head_get(h, "transfer-encoding"), SLICE_LIT("chunked")))
      return REFUSE(400, "Transfer-Encoding other than chunked");
    if (h->minor == 0) return REFUSE(400, "Transfer-Encoding in HTTP/1.0");
    h->chunked = true;
  }
  return ACCEPT;
}

/* True when the comma-separated list in `value` holds `token`. */
static bool list_has(struct slice value, struct slice token) {
  assert(token.len > 0);
  while (value.len > 0) {
    size_t comma = slice_find(value, ',');
    struct slice item = head_trim(slice_cut(value, 0, comma));
    if (slice_equal_nocase(item, token)) return true;
    value = slice_cut(value, comma < value.len ? comma + 1 : comma, value.len);
  }
  return false;
}

/* RFC 9112 §9.3: 1.1 stays open unless told, 1.0 closes unless told; close always wins. */
static void take_keep_alive(struct wire_head *h) {
  assert(h->minor <= 1);
  h->keep_alive = h->minor >= 1;
  bool close = false;
  struct slice value;
  for (size_t at = 0; wire_head_next(h, "connection", &at, &value);) {
    if (list_has(value, SLICE_LIT("close"))) close = true;
    if (list_has(value, SLICE_LIT("keep-alive"))) h->keep_alive = true;
  }
  if (close) h->keep_alive = false;
}

static struct head_refusal check_expect(struct wire_head *h) {
  assert(!h->expect_continue);
  if (wire_head_count(h, "expect") > 1) return REFUSE(400, "more than one Expect");
  struct slice value;
  for (size_t at = 0; wire_head_next(h, "expect", &at, &value);) {
    if (!slice_equal_nocase(value, SLICE_LIT("100-continue"))) return REFUSE(417, "unknown expectation");
    h->expect_continue = h->minor >= 1; /* RFC 9110 §10.1.1: ignored from an HTTP/1.0 client */
  }
  return ACCEPT;
}

struct head_refusal head_rules_meaning(struct wire_head *h) {
  assert(h != NULL && h->field_count <= WIRE_FIELDS_MAX);
  struct head_refusal (*const rules[])(struct wire_head *) = {check_host, split_target, check_framing,
                                                              check_expect};
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    struct head_refusal r = rules[i](h);
    if (r.status != 0) return r;
  }
  take_keep_alive(h);
  return ACCEPT;
}
