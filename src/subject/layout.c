#include <assert.h>

#include "subject/subject.h"

static const struct slice MARK = {(const uint8_t *)"{subject}/", 10};

static bool is_blank(uint8_t c) {
  return c == ' ' || c == ',' || c == '\t' || c == '\n';
}

/* The next word of *rest, or an empty slice at its end. */
static struct slice next_word(struct slice *rest) {
  size_t from = 0;
  while (from < rest->len && is_blank(rest->data[from])) from++;
  size_t to = from;
  while (to < rest->len && !is_blank(rest->data[to])) to++;
  struct slice word = slice_cut(*rest, from, to);
  *rest = slice_cut(*rest, to, rest->len);
  return word;
}

static enum dom_code check_template(struct slice word, struct slice *out_prefix, struct dom_err *err) {
  if (word.len < MARK.len || !slice_equal(slice_cut(word, word.len - MARK.len, word.len), MARK))
    return dom_fail(err, DOM_INVALID, "subject/layout: template",
                    "a key template is a literal prefix followed by {subject}/ at its end, "
                    "for example photos/{subject}/");
  struct slice prefix = slice_cut(word, 0, word.len - MARK.len);
  for (size_t i = 0; i < prefix.len; i++)
    if (prefix.data[i] == '{' || prefix.data[i] == '}' || prefix.data[i] < 0x20)
      return dom_fail(err, DOM_INVALID, "subject/layout: template",
                      "the literal prefix of a key template may hold no braces or control characters");
  *out_prefix = prefix;
  return DOM_OK;
}

enum dom_code subject_layout_parse(struct slice text, struct subject_layout *out, struct dom_err *err) {
  assert(out);
  if (text.len > SUBJECT_LAYOUT_TEXT_MAX)
    return dom_fail(err, DOM_TOO_LARGE, "subject/layout: parse", "a layout has at most %d bytes",
                    SUBJECT_LAYOUT_TEXT_MAX);
  struct subject_layout l = {0};
  for (struct slice word = next_word(&text); word.len; word = next_word(&text)) {
    struct slice prefix;
    enum dom_code code = check_template(word, &prefix, err);
    if (code) return code;
    if (l.count == SUBJECT_LAYOUT_TEMPLATES_MAX)
      return dom_fail(err, DOM_TOO_LARGE, "subject/layout: parse", "a layout has at most %d templates",
                      SUBJECT_LAYOUT_TEMPLATES_MAX);
    for (uint32_t i = 0; i < l.count; i++)
      if (slice_starts_with(l.prefix[i], prefix) || slice_starts_with(prefix, l.prefix[i]))
        return dom_fail(err, DOM_INVALID, "subject/layout: parse",
                        "no template's prefix may begin another's: templates %u and %u do", i + 1,
                        l.count + 1);
    l.prefix[l.count++] = prefix;
  }
  *out = l;
  return DOM_OK;
}

bool subject_layout_match(const struct subject_layout *l, struct slice key, struct slice *out_id,
                          struct slice *out_prefix) {
  assert(l && out_id && out_prefix && l->count <= SUBJECT_LAYOUT_TEMPLATES_MAX);
  for (uint32_t i = 0; i < l->count; i++) {
    if (!slice_starts_with(key, l->prefix[i])) continue;
    struct slice rest = slice_cut(key, l->prefix[i].len, key.len);
    size_t end = slice_find(rest, '/');
    struct slice id = slice_cut(rest, 0, end);
    if (end == rest.len || id.len == 0 || id.len > SUBJECT_ID_MAX) return false;
    if (slice_equal(id, SLICE_LIT(".")) || slice_equal(id, SLICE_LIT(".."))) return false;
    *out_id = id;
    *out_prefix = slice_cut(key, 0, l->prefix[i].len + end + 1);
    return true;
  }
  return false;
}
