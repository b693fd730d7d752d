#include "xml.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const uint8_t *find_text(struct slice in, const char *what) {
  assert(what[0] != '\0');
  return in.len == 0 ? NULL : memmem(in.data, in.len, what, strlen(what));
}

bool xml_next(struct slice *doc, const char *name, struct slice *out_inner) {
  assert(doc != NULL && strlen(name) < 48);
  char tag[64];
  struct slice rest = *doc;
  for (;;) {
    snprintf(tag, sizeof tag, "<%s", name);
    const uint8_t *open = find_text(rest, tag);
    if (open == NULL) return false;
    size_t after = (size_t)(open - rest.data) + strlen(tag);
    rest = slice_cut(rest, after, rest.len);
    if (rest.len > 0 && (rest.data[0] == '>' || rest.data[0] == ' ')) break;
  }
  size_t start = slice_find(rest, '>');
  if (start == rest.len) return false;
  rest = slice_cut(rest, start + 1, rest.len);
  snprintf(tag, sizeof tag, "</%s>", name);
  const uint8_t *close = find_text(rest, tag);
  if (close == NULL) return false;
  size_t len = (size_t)(close - rest.data);
  *out_inner = slice_cut(rest, 0, len);
  *doc = slice_cut(rest, len + strlen(tag), rest.len);
  return true;
}

bool xml_find(struct slice doc, const char *name, struct slice *out_inner) {
  assert(name != NULL && out_inner != NULL);
  return xml_next(&doc, name, out_inner);
}

/* Appends what the entity `name` (without & and ;) stands for; nothing if unknown. */
static void append_entity(struct slice name, struct buf *out) {
  assert(out != NULL);
  static const struct {
    const char *name;
    char c;
  } known[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (slice_equal(name, slice_str(known[i].name))) buf_append_byte(out, (uint8_t)known[i].c);
  }
  if (name.len < 2 || name.len > 7 || name.data[0] != '#') return;
  char digits[8] = {0};
  memcpy(digits, name.data + 1, name.len - 1);
  bool hex = digits[0] == 'x';
  unsigned long code = strtoul(digits + hex, NULL, hex ? 16 : 10);
  if (code > 0 && code < 0x80) buf_append_byte(out, (uint8_t)code);
}

void xml_text(struct slice inner, struct buf *out) {
  assert(out != NULL);
  while (inner.len > 0) {
    size_t plain = slice_find(inner, '&');
    buf_append_slice(out, slice_cut(inner, 0, plain));
    if (plain == inner.len) return;
    inner = slice_cut(inner, plain + 1, inner.len);
    size_t end = slice_find(inner, ';');
    append_entity(slice_cut(inner, 0, end), out);
    inner = slice_cut(inner, end == inner.len ? end : end + 1, inner.len);
  }
}
