/* The conditions of a statement: operator, key, values. */
#include <assert.h>
#include <stdio.h>

#include "policy/reader.h"

/* "ForAnyValue:StringLikeIfExists" taken apart. */
static enum dom_code operator_read(struct reader *r, struct slice name, struct condition *out) {
  static const char *const prefixes[] = {[FOR_ANY] = "ForAnyValue:", [FOR_ALL] = "ForAllValues:"};
  struct slice suffix = SLICE_LIT("IfExists"), core = name;
  char echo[READER_ECHO_MAX + 1];
  assert(out != NULL);
  for (size_t i = FOR_ANY; i <= FOR_ALL; i++) {
    struct slice prefix = slice_str(prefixes[i]);
    if (!slice_starts_with(core, prefix)) continue;
    out->quantifier = (enum quantifier)i;
    core = slice_cut(core, prefix.len, core.len);
    break;
  }
  if (core.len > suffix.len && slice_equal(slice_cut(core, core.len - suffix.len, core.len), suffix)) {
    out->if_exists = true;
    core = slice_cut(core, 0, core.len - suffix.len);
  }
  out->kind = operator_find(core);
  bool odd =
      out->kind != NULL && out->kind->family == FAMILY_NULL && (out->if_exists || out->quantifier != FOR_ONE);
  if (out->kind != NULL && !odd) return DOM_OK;
  return reader_fail(r, "Invalid Condition type : %s", reader_echo(name, echo));
}

static enum dom_code key_read(struct reader *r, const char *name, struct condition *out) {
  char echo[READER_ECHO_MAX + 1];
  struct slice tag = {0};
  assert(out->kind != NULL);
  if (!key_find(slice_str(name), &out->key, &tag))
    return reader_fail(r, "Policy has an invalid condition key: %s", reader_echo(slice_str(name), echo));
  r->keys |= UINT64_C(1) << out->key;
  out->tag = arena_copy(r->arena, tag);
  if (out->tag.len != tag.len) return reader_no_memory(r);
  enum key_kind kind = key_kind_of(out->key);
  if (!operator_suits(out->kind, kind))
    return reader_fail(r, "%s says nothing about %s", out->kind->name, reader_echo(slice_str(name), echo));
  if (kind == KIND_LIST && out->quantifier == FOR_ONE && out->kind->family != FAMILY_NULL)
    return reader_fail(r, "%s needs ForAnyValue: or ForAllValues:", reader_echo(slice_str(name), echo));
  return DOM_OK;
}

/* Numbers and truths may stand without quotes. */
static struct slice scalar_text(const json_t *value, char space[48]) {
  if (json_is_boolean(value)) return slice_str(json_is_true(value) ? "true" : "false");
  if (json_is_integer(value))
    snprintf(space, 48, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
  else if (json_is_real(value))
    snprintf(space, 48, "%.15g", json_real_value(value));
  else
    return reader_text(value);
  assert(space[0] != 0);
  return slice_str(space);
}

static enum dom_code value_read(struct reader *r, const json_t *json, const struct condition *c,
                                struct value *out) {
  char space[48] = "";
  struct slice text = scalar_text(json, space);
  bool fits = true;
  assert(c->kind != NULL);
  if (text.data == NULL) return reader_fail(r, "a condition's value is a string, a number or a truth");
  switch (c->kind->family) {
  case FAMILY_STRING:
  case FAMILY_ARN:
    return reader_pattern(r, text, r->has_variables, &out->pattern);
  case FAMILY_NUMERIC:
    fits = number_parse(text, &out->number);
    break;
  case FAMILY_DATE:
    fits = date_parse(text, &out->date_ms);
    break;
  case FAMILY_ADDRESS:
    fits = address_parse(text, &out->address);
    break;
  case FAMILY_BOOL:
  case FAMILY_NULL:
    fits = bool_parse(text, &out->truth);
    break;
  }
  return fits ? DOM_OK : reader_fail(r, "a value does not suit %s", c->kind->name);
}

static enum dom_code condition_read(struct reader *r, const struct condition *stem, const char *name,
                                    const json_t *values, struct condition *out) {
  struct condition c = *stem;
  enum dom_code code = key_read(r, name, &c);
  if (code != DOM_OK) return code;
  size_t count = reader_list_count(values);
  if (count == 0) return reader_fail(r, "a condition without values");
  c.values = arena_alloc(r->arena, count * sizeof *c.values);
  if (c.values == NULL) return reader_no_memory(r);
  memset(c.values, 0, count * sizeof *c.values);
  for (size_t i = 0; i < count && code == DOM_OK; i++)
    code = value_read(r, reader_list_at(values, i), &c, &c.values[i]);
  c.count = (uint32_t)count;
  if (code == DOM_OK) *out = c;
  assert(c.kind != NULL);
  return code;
}

static enum dom_code block_read(struct reader *r, const char *name, const json_t *keys, struct statement *s) {
  struct condition stem = {0};
  const char *key;
  json_t *values;
  enum dom_code code = operator_read(r, slice_str(name), &stem);
  if (code != DOM_OK) return code;
  if (!json_is_object(keys)) return reader_fail(r, "%s must hold keys and values", stem.kind->name);
  json_object_foreach((json_t *)keys, key, values) {
    code = condition_read(r, &stem, key, values, &s->conditions[s->condition_count]);
    if (code != DOM_OK) return code;
    s->condition_count++;
  }
  assert(code == DOM_OK);
  return DOM_OK;
}

enum dom_code conditions_read(struct reader *r, const json_t *object, struct statement *out) {
  const char *name;
  json_t *keys;
  size_t count = 0, len = strlen(r->place);
  if (object == NULL) return DOM_OK;
  snprintf(r->place + len, sizeof r->place - len, ".Condition");
  if (!json_is_object(object)) return reader_fail(r, "must be an object of operators");
  json_object_foreach((json_t *)object, name, keys) count += json_object_size(keys);
  out->conditions = arena_alloc(r->arena, (count + 1) * sizeof *out->conditions);
  if (out->conditions == NULL) return reader_no_memory(r);
  json_object_foreach((json_t *)object, name, keys) {
    enum dom_code code = block_read(r, name, keys, out);
    if (code != DOM_OK) return code;
  }
  assert(out->condition_count == count);
  return DOM_OK;
}
