#include "s3/xml.h"

#include <assert.h>

#include "base/clock.h"

void xml_begin(struct buf *out) {
  assert(out != NULL);
  buf_append_str(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
}

/* One reservation for a tag: a listing has 14 of them for each key. */
static void tag(struct buf *out, struct slice before, const char *name) {
  assert(name != NULL && name[0] != '\0');
  size_t len = strlen(name);
  if (!buf_reserve(out, before.len + len + 1)) return;
  uint8_t *at = out->data + out->len;
  memcpy(at, before.data, before.len);
  memcpy(at + before.len, name, len);
  at[before.len + len] = '>';
  out->len += before.len + len + 1;
}

void xml_open(struct buf *out, const char *name) {
  tag(out, SLICE_LIT("<"), name);
}

void xml_open_root(struct buf *out, const char *name) {
  assert(name != NULL && name[0] != '\0');
  buf_append_byte(out, '<');
  buf_append_str(out, name);
  buf_append_str(out, " xmlns=\"" XML_S3_NAMESPACE "\">");
}

void xml_close(struct buf *out, const char *name) {
  tag(out, SLICE_LIT("</"), name);
}

/* Length of the well-formed UTF-8 character at the start of `s`, 0 when there is none. */
static size_t character_len(struct slice s) {
  assert(s.len > 0);
  for (size_t len = 1; len <= 4 && len <= s.len; len++)
    if (utf8_valid(slice_cut(s, 0, len))) return len;
  return 0;
}

/* What stands for one ASCII character, or NULL for itself. */
static const char *ascii_escape(uint8_t c) {
  assert(c < 0x80);
  switch (c) {
  case '&':
    return "&amp;";
  case '<':
    return "&lt;";
  case '>':
    return "&gt;";
  case '"':
    return "&quot;";
  case '\'':
    return "&apos;";
  case '\t':
    return "&#9;";
  case '\n':
    return "&#10;";
  case '\r':
    return "&#13;"; /* bare, a parser would make it a line feed */
  default:
    return c < 0x20 ? "\xEF\xBF\xBD" : NULL;
  }
}

static bool is_noncharacter(struct slice c) {
  static const uint8_t prefix[2] = {0xEF, 0xBF};
  assert(c.len > 0);
  return c.len == 3 && memcmp(c.data, prefix, 2) == 0 && (c.data[2] == 0xBE || c.data[2] == 0xBF);
}

/* How many bytes at the start of `s` stand for themselves. */
static size_t plain_len(struct slice s) {
  size_t len = 0;
  while (len < s.len && s.data[len] < 0x80 && ascii_escape(s.data[len]) == NULL) len++;
  return len;
}

void xml_escape(struct buf *out, struct slice text) {
  assert(out != NULL);
  for (size_t at = 0; at < text.len;) {
    size_t plain = plain_len(slice_cut(text, at, text.len));
    buf_append_slice(out, slice_cut(text, at, at + plain));
    at += plain;
    if (at == text.len) return;
    if (text.data[at] < 0x80) {
      buf_append_str(out, ascii_escape(text.data[at++]));
      continue;
    }
    struct slice rest = slice_cut(text, at, text.len);
    size_t len = character_len(rest);
    if (len == 0 || is_noncharacter(slice_cut(rest, 0, len)))
      buf_append_str(out, "\xEF\xBF\xBD");
    else
      buf_append_slice(out, slice_cut(rest, 0, len));
    at += len == 0 ? 1 : len;
  }
}

void xml_text(struct buf *out, const char *name, struct slice text) {
  assert(out != NULL);
  xml_open(out, name);
  xml_escape(out, text);
  xml_close(out, name);
}

void xml_u64(struct buf *out, const char *name, uint64_t value) {
  char digits[20]; /* of UINT64_MAX */
  size_t at = sizeof digits;
  assert(out != NULL);
  do digits[--at] = (char)('0' + value % 10);
  while ((value /= 10) > 0);
  xml_open(out, name);
  buf_append(out, digits + at, sizeof digits - at);
  xml_close(out, name);
}

void xml_bool(struct buf *out, const char *name, bool value) {
  assert(out != NULL);
  xml_text(out, name, value ? SLICE_LIT("true") : SLICE_LIT("false"));
}

void xml_time(struct buf *out, const char *name, uint64_t wall_ms) {
  char text[25];
  assert(out != NULL);
  time_rfc3339(wall_ms, text);
  xml_open(out, name);
  buf_append(out, text, sizeof text - 1);
  xml_close(out, name);
}

void xml_key(struct buf *out, const char *name, struct slice key, bool url) {
  assert(out != NULL);
  if (!url) {
    xml_text(out, name, key);
    return;
  }
  xml_open(out, name);
  percent_encode(out, key, true);
  xml_close(out, name);
}

void xml_checksum(struct buf *out, const struct auth_digest *digest, uint32_t parts) {
  assert(out != NULL && digest != NULL);
  const char *algorithm = auth_checksum_algorithm(digest->kind);
  buf_printf(out, "<Checksum%s>", algorithm);
  auth_digest_print(digest, out);
  if (parts > 0) buf_printf(out, "-%u", (unsigned)parts);
  buf_printf(out, "</Checksum%s>", algorithm);
}

void xml_checksum_type(struct buf *out, bool is_composite) {
  xml_text(out, "ChecksumType", slice_str(is_composite ? "COMPOSITE" : "FULL_OBJECT"));
}
