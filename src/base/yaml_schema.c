/* Typed schema tables over the tree of yaml.c. */
#include <assert.h>
#include <inttypes.h>

#include "base/yaml.h"

/* Keys longer than this are compared by their beginning; no schema has such keys. */
enum { NEAREST_BYTES_MAX = 48 };

static size_t min3(size_t a, size_t b, size_t c) {
  size_t m = a < b ? a : b;
  return m < c ? m : c;
}

/* Levenshtein's distance, one row at a time. */
static size_t edit_distance(struct slice a, struct slice b) {
  size_t row[NEAREST_BYTES_MAX + 1];
  size_t a_len = a.len < NEAREST_BYTES_MAX ? a.len : NEAREST_BYTES_MAX;
  size_t b_len = b.len < NEAREST_BYTES_MAX ? b.len : NEAREST_BYTES_MAX;
  for (size_t j = 0; j <= b_len; j++) row[j] = j;
  for (size_t i = 1; i <= a_len; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b_len; j++) {
      size_t above = row[j];
      row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a.data[i - 1] == b.data[j - 1] ? 0 : 1));
      diagonal = above;
    }
  }
  assert(row[b_len] <= NEAREST_BYTES_MAX);
  return row[b_len];
}

enum dom_code yaml_fail_unknown(const struct yaml_doc *doc, const struct yaml_node *at,
                                const char *const *known, size_t known_count, struct dom_err *err) {
  assert(known_count > 0 && at->key.len > 0);
  const char *nearest = known[0];
  size_t nearest_distance = SIZE_MAX;
  for (size_t i = 0; i < known_count; i++) {
    size_t distance = edit_distance(at->key, slice_str(known[i]));
    if (distance >= nearest_distance) continue;
    nearest_distance = distance;
    nearest = known[i];
  }
  return yaml_fail_key(doc, at, err, "unknown key \"%s\"; the nearest known key is \"%s\"",
                       yaml_show(at->key).text, nearest);
}

enum dom_code yaml_to_string(const struct yaml_doc *doc, const struct yaml_node *at, size_t bytes_min,
                             size_t bytes_max, const char **out, struct dom_err *err) {
  assert(bytes_min <= bytes_max && out != NULL);
  enum dom_code code = yaml_expect(doc, at, YAML_TEXT, err);
  if (code != DOM_OK) return code;
  if (at->text.len < bytes_min && at->text.len == 0) return yaml_fail(doc, at, err, "the value is empty");
  if (at->text.len < bytes_min) return yaml_fail(doc, at, err, "at least %zu bytes are needed", bytes_min);
  if (at->text.len > bytes_max) return yaml_fail(doc, at, err, "more than %zu bytes", bytes_max);
  *out = (const char *)at->text.data;
  return DOM_OK;
}

enum dom_code yaml_to_u64(const struct yaml_doc *doc, const struct yaml_node *at, uint64_t min, uint64_t max,
                          uint64_t *out, struct dom_err *err) {
  assert(min <= max && out != NULL);
  enum dom_code code = yaml_expect(doc, at, YAML_TEXT, err);
  if (code != DOM_OK) return code;
  uint64_t value;
  bool leading_zero = at->text.len > 1 && at->text.data[0] == '0';
  if (!at->plain || leading_zero || slice_to_u64(at->text, &value) != DOM_OK)
    return yaml_fail(doc, at, err, "expected a whole number, found \"%s\"", yaml_show(at->text).text);
  if (value < min || value > max)
    return yaml_fail(doc, at, err, "%" PRIu64 " is not in %" PRIu64 " to %" PRIu64, value, min, max);
  *out = value;
  return DOM_OK;
}

enum dom_code yaml_to_bool(const struct yaml_doc *doc, const struct yaml_node *at, bool *out,
                           struct dom_err *err) {
  assert(out != NULL);
  enum dom_code code = yaml_expect(doc, at, YAML_TEXT, err);
  if (code != DOM_OK) return code;
  bool yes = slice_equal(at->text, SLICE_LIT("true"));
  if (!at->plain || (!yes && !slice_equal(at->text, SLICE_LIT("false"))))
    return yaml_fail(doc, at, err, "expected true or false, found \"%s\"", yaml_show(at->text).text);
  *out = yes;
  return DOM_OK;
}

static enum dom_code to_choice(const struct yaml_doc *doc, const struct yaml_node *at,
                               const char *const *choices, unsigned *out, struct dom_err *err) {
  assert(choices != NULL && choices[0] != NULL);
  enum dom_code code = yaml_expect(doc, at, YAML_TEXT, err);
  if (code != DOM_OK) return code;
  BUF_AUTO known = BUF_INIT;
  for (unsigned i = 0; choices[i]; i++) {
    if (slice_equal(at->text, slice_str(choices[i]))) {
      *out = i;
      return DOM_OK;
    }
    buf_printf(&known, "%s%s", i ? ", " : "", choices[i]);
  }
  return yaml_fail(doc, at, err, "\"%s\" is none of: %s", yaml_show(at->text).text, buf_str(&known));
}

/* A member's new value; `out` is the struct's base, or NULL to check only. */
static enum dom_code read_field(const struct yaml_doc *doc, const struct yaml_node *at,
                                const struct yaml_field *field, char *out, struct dom_err *err) {
  assert(field->key != NULL);
  union {
    const char *string;
    uint64_t u64;
    bool boolean;
    unsigned choice;
    const void *node;
  } value = {.u64 = 0};
  size_t size = 0;
  enum dom_code code = DOM_INVALID;
  switch (field->type) {
  case YAML_AS_STRING:
    size = sizeof value.string;
    code = yaml_to_string(doc, at, (size_t)field->min, (size_t)field->max, &value.string, err);
    break;
  case YAML_AS_U64:
    size = sizeof value.u64;
    code = yaml_to_u64(doc, at, field->min, field->max, &value.u64, err);
    break;
  case YAML_AS_BOOL:
    size = sizeof value.boolean;
    code = yaml_to_bool(doc, at, &value.boolean, err);
    break;
  case YAML_AS_CHOICE:
    size = sizeof value.choice;
    code = to_choice(doc, at, field->choices, &value.choice, err);
    break;
  case YAML_AS_MAP:
  case YAML_AS_LIST:
    size = sizeof(const void *);
    value.node = at;
    code = yaml_expect(doc, at, field->type == YAML_AS_MAP ? YAML_MAP : YAML_LIST, err);
    break;
  }
  if (code == DOM_OK && out) memcpy(out + field->offset, &value, size);
  return code;
}

static const struct yaml_field *find_field(const struct yaml_field *fields, size_t count, struct slice key) {
  assert(fields != NULL);
  for (size_t i = 0; i < count; i++)
    if (slice_equal(slice_str(fields[i].key), key)) return &fields[i];
  return NULL;
}

static enum dom_code fail_unknown_field(const struct yaml_doc *doc, const struct yaml_node *at,
                                        const struct yaml_field *fields, size_t count, struct dom_err *err) {
  enum { KNOWN_MAX = 64 }; /* more keys than any one map of ours has */
  const char *known[KNOWN_MAX];
  assert(count > 0 && count <= KNOWN_MAX);
  for (size_t i = 0; i < count; i++) known[i] = fields[i].key;
  return yaml_fail_unknown(doc, at, known, count, err);
}

enum dom_code yaml_read_map(const struct yaml_doc *doc, const struct yaml_node *map,
                            const struct yaml_field *fields, size_t field_count, void *out,
                            struct dom_err *err) {
  assert(fields != NULL && out != NULL);
  enum dom_code code = yaml_expect(doc, map, YAML_MAP, err);
  if (code != DOM_OK) return code;
  for (const struct yaml_node *n = map->first; n; n = n->next) {
    const struct yaml_field *field = find_field(fields, field_count, n->key);
    if (!field) return fail_unknown_field(doc, n, fields, field_count, err);
    code = read_field(doc, n, field, NULL, err);
    if (code != DOM_OK) return code;
  }
  for (size_t i = 0; i < field_count; i++)
    if (fields[i].required && !yaml_get(map, fields[i].key))
      return yaml_fail(doc, map, err, "the key \"%s\" is missing", fields[i].key);
  for (const struct yaml_node *n = map->first; n; n = n->next) {
    code = read_field(doc, n, find_field(fields, field_count, n->key), out, err);
    assert(code == DOM_OK); /* checked above, and nothing allocates */
  }
  return DOM_OK;
}
