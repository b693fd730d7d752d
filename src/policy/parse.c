/* A policy's document: JSON in, or what is wrong with it and where. */
#include <assert.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/alloc.h"
#include "policy/reader.h"

/* Units take two bytes for one of text, statements and lists the rest. */
enum { PARSED_BYTES_MAX = 1024 * 1024 };

/* ---- the reader ------------------------------------------------------------------------------ */

enum dom_code reader_fail(struct reader *r, const char *format, ...) {
  char text[DOM_ERR_TEXT_MAX];
  va_list args;
  assert(r != NULL && format != NULL);
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  const char *colon = r->place[0] ? ": " : "";
  return dom_fail(r->err, DOM_INVALID, "policy/parse", "%s%s%.200s", r->place, colon, text);
}

enum dom_code reader_no_memory(struct reader *r) {
  assert(r != NULL);
  return dom_fail(r->err, DOM_NO_MEMORY, "policy/parse", "no memory for the policy");
}

const char *reader_echo(struct slice name, char out[READER_ECHO_MAX + 1]) {
  size_t len = name.len < READER_ECHO_MAX ? name.len : READER_ECHO_MAX;
  assert(out != NULL);
  for (size_t i = 0; i < len; i++)
    out[i] = name.data[i] >= ' ' && name.data[i] <= '~' ? (char)name.data[i] : '?';
  out[len] = 0;
  return out;
}

struct slice reader_text(const json_t *value) {
  if (!json_is_string(value)) return (struct slice){0};
  assert(json_string_value(value) != NULL);
  return slice_of(json_string_value(value), json_string_length(value));
}

size_t reader_list_count(const json_t *value) {
  assert(value != NULL);
  return json_is_array(value) ? json_array_size(value) : 1;
}

const json_t *reader_list_at(const json_t *value, size_t i) {
  assert(i < reader_list_count(value));
  return json_is_array(value) ? json_array_get(value, i) : value;
}

enum dom_code reader_pattern(struct reader *r, struct slice text, bool has_variables, struct pattern *out) {
  const char *why = NULL;
  assert(out != NULL);
  enum dom_code code = pattern_compile(text, has_variables, r->arena, out, &why);
  if (code == DOM_NO_MEMORY) return reader_no_memory(r);
  for (uint32_t i = 0; code == DOM_OK && out->has_variable && i < out->len; i++)
    if (out->units[i] >= UNIT_VARIABLE) r->keys |= UINT64_C(1) << (out->units[i] - UNIT_VARIABLE);
  return code == DOM_OK ? DOM_OK : reader_fail(r, "%s", why);
}

/* ---- the document ------------------------------------------------------------------------------ */

/* Before a recursive parser sees it. Brackets inside strings do not count. */
static bool depth_fits(struct slice text) {
  unsigned depth = 0;
  bool in_string = false;
  assert(text.len <= POLICY_BYTES_MAX);
  for (size_t i = 0; i < text.len; i++) {
    uint8_t c = text.data[i];
    if (in_string) {
      if (c == '\\') i++;
      in_string = c != '"';
      continue;
    }
    in_string = c == '"';
    if ((c == '{' || c == '[') && ++depth > POLICY_DEPTH_MAX) return false;
    if ((c == '}' || c == ']') && depth > 0) depth--;
  }
  return true;
}

static enum dom_code version_read(struct reader *r, const json_t *value) {
  struct slice text = reader_text(value);
  assert(r != NULL);
  r->has_variables = slice_equal(text, SLICE_LIT("2012-10-17"));
  if (value == NULL || r->has_variables || slice_equal(text, SLICE_LIT("2008-10-17"))) return DOM_OK;
  return reader_fail(r, "Version must be 2012-10-17 or 2008-10-17");
}

static enum dom_code elements_check(struct reader *r, const json_t *root) {
  const char *name;
  json_t *value;
  char echo[READER_ECHO_MAX + 1];
  assert(root != NULL);
  json_object_foreach((json_t *)root, name, value) {
    bool known = strcmp(name, "Version") == 0 || strcmp(name, "Id") == 0 || strcmp(name, "Statement") == 0;
    if (!known) return reader_fail(r, "unknown element \"%s\"", reader_echo(slice_str(name), echo));
  }
  const json_t *id = json_object_get(root, "Id");
  if (id != NULL && !json_is_string(id)) return reader_fail(r, "Id must be a string");
  return version_read(r, json_object_get(root, "Version"));
}

/* A reason must name one statement. */
static enum dom_code sids_check(struct reader *r, const struct policy *p) {
  assert(p != NULL);
  for (uint32_t i = 0; i < p->count; i++)
    for (uint32_t k = 0; k < i && p->statements[i].sid.len > 0; k++)
      if (slice_equal(p->statements[i].sid, p->statements[k].sid))
        return reader_fail(r, "the Sid of Statement[%u] is used twice", i);
  return DOM_OK;
}

static enum dom_code statements_read(struct reader *r, const json_t *root, struct policy *p) {
  const json_t *list = json_object_get(root, "Statement");
  bool is_list = json_is_array(list) && json_array_size(list) > 0;
  if (!is_list && !json_is_object(list)) return reader_fail(r, "Missing required field Statement");
  size_t count = reader_list_count(list);
  if (count > POLICY_STATEMENTS_MAX) return reader_fail(r, "more than %d statements", POLICY_STATEMENTS_MAX);
  p->statements = arena_alloc(p->arena, count * sizeof *p->statements);
  if (p->statements == NULL) return reader_no_memory(r);
  for (size_t i = 0; i < count; i++) {
    struct statement s = {0};
    snprintf(r->place, sizeof r->place, "Statement[%zu]", i);
    enum dom_code code = statement_read(r, reader_list_at(list, i), &s);
    if (code != DOM_OK) return code;
    p->statements[p->count++] = s;
    p->is_public = p->is_public || statement_is_public(&s);
  }
  r->place[0] = 0;
  p->keys = r->keys;
  return sids_check(r, p);
}

static enum dom_code document_read(struct reader *r, struct slice text, struct policy *p) {
  json_error_t error;
  json_t *root = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &error);
  if (root == NULL)
    return reader_fail(r, "This policy contains invalid Json, line %d, column %d", error.line, error.column);
  enum dom_code code = json_is_object(root) ? DOM_OK : reader_fail(r, "a policy is a JSON object");
  if (code == DOM_OK) code = elements_check(r, root);
  if (code == DOM_OK) code = statements_read(r, root, p);
  json_decref(root);
  assert(code != DOM_OK || p->count > 0);
  return code;
}

enum dom_code policy_parse(struct slice text, struct slice bucket, struct policy **out, struct dom_err *err) {
  assert(out != NULL && bucket.len > 0);
  struct reader r = {.bucket = bucket, .err = err};
  if (text.len > POLICY_BYTES_MAX)
    return dom_fail(err, DOM_TOO_LARGE, "policy/parse", "a policy may have %d bytes", POLICY_BYTES_MAX);
  if (!depth_fits(text)) return reader_fail(&r, "nested deeper than %d", POLICY_DEPTH_MAX);
  struct policy *p = dom_calloc(1, sizeof *p);
  if (p == NULL) return reader_no_memory(&r);
  atomic_init(&p->references, 1);
  p->arena = r.arena = arena_new(PARSED_BYTES_MAX);
  enum dom_code code = p->arena ? document_read(&r, text, p) : reader_no_memory(&r);
  if (code == DOM_OK)
    *out = p;
  else
    policy_release(p);
  return code;
}

struct policy *policy_hold(struct policy *policy) {
  if (policy == NULL) return NULL;
  uint32_t before = atomic_fetch_add(&policy->references, 1);
  assert(before > 0);
  return policy;
}

void policy_release(struct policy *policy) {
  if (policy == NULL) return;
  uint32_t before = atomic_fetch_sub(&policy->references, 1);
  assert(before > 0);
  if (before > 1) return;
  arena_free(policy->arena);
  dom_free(policy);
}

bool policy_asks(const struct policy *policy, enum policy_key key) {
  assert(policy != NULL && (unsigned)key < POLICY_KEY_COUNT);
  return (policy->keys >> key) & 1;
}

bool policy_is_public(const struct policy *policy) {
  assert(policy != NULL);
  return policy->is_public;
}
