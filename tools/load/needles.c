/* Making needles. */
#include "needles.h"

#include <assert.h>

/* Places of a body that are looked at: its begin, its end, and between. */
#define PLACES 6
/* Different bytes that a window of 64 needs: padding and tables of zeros have fewer, text and
 * pictures more. */
#define DIFFERENT_MIN 16
/* A place that tells nothing is moved on by a window so often. */
#define MOVES_MAX 32

static void append_line(struct buf *out, const char *label, const char *guise, struct slice bytes) {
  assert(label != NULL && guise != NULL);
  if (bytes.len < NEEDLE_BYTES_MIN || bytes.len > NEEDLE_BYTES_MAX) return;
  buf_printf(out, "%s %s\t", label, guise);
  hex_encode(out, bytes);
  buf_append_byte(out, '\n');
}

/* The code point that begins at *at, moving it on; a byte that begins none stands for itself. */
static uint32_t next_code(struct slice text, size_t *at) {
  assert(*at < text.len);
  uint8_t first = text.data[(*at)++];
  unsigned more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
  if (more == 0 || *at + more > text.len) return first;
  uint32_t code = first & (0x3fU >> more);
  for (unsigned i = 0; i < more; i++) code = code << 6 | (text.data[(*at)++] & 0x3f);
  return code;
}

static void append_unit(struct buf *out, uint32_t unit, bool big_endian) {
  assert(unit <= 0xffff);
  buf_append_byte(out, (uint8_t)(big_endian ? unit >> 8 : unit & 0xff));
  buf_append_byte(out, (uint8_t)(big_endian ? unit & 0xff : unit >> 8));
}

/* RFC 2781. */
static void to_utf16(struct slice text, bool big_endian, struct buf *out) {
  assert(out->len == 0);
  for (size_t at = 0; at < text.len;) {
    uint32_t code = next_code(text, &at);
    if (code < 0x10000) {
      append_unit(out, code, big_endian);
    } else {
      append_unit(out, 0xd800 | ((code - 0x10000) >> 10 & 0x3ff), big_endian);
      append_unit(out, 0xdc00 | ((code - 0x10000) & 0x3ff), big_endian);
    }
  }
}

/* The Base64 digits that `text` fully decides when `before` bytes of something else precede it
 * in its group of three. */
static void append_base64(struct buf *out, const char *label, struct slice text, size_t before) {
  static const char *const guises[3] = {"base64+0", "base64+1", "base64+2"};
  static const size_t undecided[3] = {0, 2, 3};
  assert(before < 3);
  BUF_AUTO padded = BUF_INIT;
  BUF_AUTO digits = BUF_INIT;
  buf_append_zero(&padded, before);
  buf_append_slice(&padded, text);
  base64_encode(&digits, buf_slice(&padded));
  size_t decided = padded.len * 8 / 6;
  if (padded.failed || digits.failed || decided <= undecided[before]) return;
  append_line(out, label, guises[before], slice_cut(buf_slice(&digits), undecided[before], decided));
}

void needles_of_text(struct buf *out, const char *label, struct slice text) {
  assert(out != NULL && label != NULL);
  if (text.len < NEEDLE_BYTES_MIN) return;
  append_line(out, label, "raw", text);
  BUF_AUTO guise = BUF_INIT;
  hex_encode(&guise, text);
  append_line(out, label, "hex", buf_slice(&guise));
  buf_reset(&guise);
  percent_encode(&guise, text, true);
  append_line(out, label, "percent", buf_slice(&guise));
  buf_reset(&guise);
  to_utf16(text, false, &guise);
  append_line(out, label, "utf16le", buf_slice(&guise));
  buf_reset(&guise);
  to_utf16(text, true, &guise);
  append_line(out, label, "utf16be", buf_slice(&guise));
  for (size_t before = 0; before < 3; before++) append_base64(out, label, text, before);
  out->failed |= guise.failed;
}

bool needles_window_tells(struct slice window) {
  assert(window.data != NULL || window.len == 0);
  bool seen[256] = {false};
  unsigned different = 0;
  for (size_t i = 0; i < window.len; i++) {
    different += !seen[window.data[i]];
    seen[window.data[i]] = true;
  }
  /* Preallocated files are full of zeros: a needle that began so would be compared at each of them. */
  bool begins =
      window.len < 2 || memcmp(window.data, window.data + 1,
                               window.len < NEEDLE_BYTES_MIN ? window.len - 1 : NEEDLE_BYTES_MIN - 1) != 0;
  return begins && different >= DIFFERENT_MIN;
}

/* One window at or behind `at`. Returns: false when the content cannot be read. */
static bool append_window(struct buf *out, const char *label, const struct content *content, uint64_t at) {
  assert(content->size_bytes >= NEEDLE_WINDOW);
  uint64_t last = content->size_bytes - NEEDLE_WINDOW;
  for (unsigned move = 0; move < MOVES_MAX && at <= last; move++, at += NEEDLE_WINDOW) {
    uint8_t window[NEEDLE_WINDOW];
    if (!content_read(content, at, window, sizeof window)) return false;
    if (!needles_window_tells(slice_of(window, sizeof window))) continue;
    append_line(out, label, "body", slice_of(window, sizeof window));
    break;
  }
  return true;
}

bool needles_of_content(struct buf *out, const char *label, const struct content *content) {
  assert(out != NULL && content != NULL);
  if (content->size_bytes < NEEDLE_WINDOW) return true;
  uint64_t last = content->size_bytes - NEEDLE_WINDOW;
  for (uint64_t i = 0; i < PLACES; i++) {
    if (!append_window(out, label, content,
                       last / (PLACES - 1) * i + (i == PLACES - 1 ? last % (PLACES - 1) : 0)))
      return false;
  }
  return true;
}
