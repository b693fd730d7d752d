/* One statement: effect, principals, actions, resources. */
#include <assert.h>
#include <stdio.h>

#include "policy/reader.h"

static const char *const elements[] = {"Sid",       "Effect",   "Principal",   "NotPrincipal", "Action",
                                       "NotAction", "Resource", "NotResource", "Condition"};

static enum dom_code elements_check(struct reader *r, const json_t *object) {
  const char *name;
  json_t *value;
  char echo[READER_ECHO_MAX + 1];
  assert(object != NULL);
  json_object_foreach((json_t *)object, name, value) {
    bool known = false;
    for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++)
      known = known || strcmp(name, elements[i]) == 0;
    if (!known) return reader_fail(r, "unknown element \"%s\"", reader_echo(slice_str(name), echo));
  }
  return DOM_OK;
}

/* Exactly one of an element and its negation. */
static enum dom_code either(struct reader *r, const json_t *object, const char *name, const char *not_name,
                            const json_t **out, bool *out_not) {
  const json_t *plain = json_object_get(object, name), *negated = json_object_get(object, not_name);
  assert(out != NULL && out_not != NULL);
  if (plain == NULL && negated == NULL) return reader_fail(r, "Missing required field %s", name);
  if (plain != NULL && negated != NULL) return reader_fail(r, "%s and %s exclude each other", name, not_name);
  *out = plain != NULL ? plain : negated;
  *out_not = plain == NULL;
  return DOM_OK;
}

static enum dom_code sid_read(struct reader *r, const json_t *value, struct statement *out) {
  struct slice text = reader_text(value);
  if (value == NULL) return DOM_OK;
  bool fits = text.data != NULL && text.len <= POLICY_SID_BYTES_MAX;
  for (size_t i = 0; i < text.len; i++) fits = fits && text.data[i] >= ' ' && text.data[i] <= '~';
  if (!fits) return reader_fail(r, "a Sid is plain text of at most %d characters", POLICY_SID_BYTES_MAX);
  out->sid = arena_copy(r->arena, text);
  assert(out->sid.len <= POLICY_SID_BYTES_MAX);
  return out->sid.len == text.len ? DOM_OK : reader_no_memory(r);
}

static enum dom_code effect_read(struct reader *r, const json_t *value, struct statement *out) {
  struct slice text = reader_text(value);
  if (value == NULL) return reader_fail(r, "Missing required field Effect");
  out->is_deny = slice_equal(text, SLICE_LIT("Deny"));
  assert(out->principals == NULL);
  if (out->is_deny || slice_equal(text, SLICE_LIT("Allow"))) return DOM_OK;
  return reader_fail(r, "Invalid effect: Allow or Deny");
}

/* ---- principals --------------------------------------------------------------------------------- */

static bool account_is_clean(struct slice s) {
  for (size_t i = 0; i < s.len; i++) {
    uint8_t c = s.data[i];
    if (c <= ' ' || c > '~' || c == ':' || c == '/' || c == ',' || c == '*' || c == '?') return false;
  }
  assert(s.data != NULL || s.len == 0);
  return s.len > 0 && s.len <= POLICY_ACCOUNT_BYTES_MAX;
}

/* "arn:aws:iam::ACCOUNT:root", "…:user/KEY", "arn:aws:sts::ACCOUNT:federated-user/TOKEN". */
static bool arn_read(struct slice text, struct principal *out) {
  static const char *const stems[] = {"arn:aws:iam::", "arn:aws:sts::"};
  static const char *const kinds[] = {"user/", "federated-user/"};
  assert(out != NULL);
  for (size_t i = 0; i < 2; i++) {
    struct slice stem = slice_str(stems[i]), kind = slice_str(kinds[i]);
    if (!slice_starts_with(text, stem)) continue;
    struct slice rest = slice_cut(text, stem.len, text.len);
    size_t colon = slice_find(rest, ':');
    out->account = slice_cut(rest, 0, colon);
    rest = slice_cut(rest, colon < rest.len ? colon + 1 : colon, rest.len);
    if (!account_is_clean(out->account)) return false;
    if (i == 0 && slice_equal(rest, SLICE_LIT("root"))) return true;
    if (!slice_starts_with(rest, kind)) return false;
    out->user = slice_cut(rest, kind.len, rest.len);
    return out->user.len > 0 && slice_find(out->user, '*') == out->user.len;
  }
  return false;
}

static enum dom_code principal_read(struct reader *r, const json_t *value, bool is_canonical,
                                    struct principal *out) {
  struct slice text = reader_text(value);
  struct principal p = {.is_anybody = !is_canonical && slice_equal(text, SLICE_LIT("*"))};
  assert(out != NULL);
  bool known = p.is_anybody || (!is_canonical && arn_read(text, &p));
  if (!known && account_is_clean(text)) {
    p.account = text;
    known = true;
  }
  if (!known) return reader_fail(r, "Invalid principal in policy: an account, its ARN, a key's ARN, or *");
  struct slice account = arena_copy(r->arena, p.account), user = arena_copy(r->arena, p.user);
  if (account.len != p.account.len || user.len != p.user.len) return reader_no_memory(r);
  *out = (struct principal){.is_anybody = p.is_anybody, .account = account, .user = user};
  return DOM_OK;
}

static enum dom_code principals_add(struct reader *r, const json_t *list, bool is_canonical,
                                    struct statement *s) {
  assert(s->principals != NULL);
  for (size_t i = 0; i < reader_list_count(list); i++) {
    enum dom_code code =
        principal_read(r, reader_list_at(list, i), is_canonical, &s->principals[s->principal_count]);
    if (code != DOM_OK) return code;
    s->principal_count++;
  }
  return DOM_OK;
}

static enum dom_code principals_read(struct reader *r, const json_t *object, struct statement *s) {
  const json_t *value = NULL;
  const char *kind;
  json_t *list;
  enum dom_code code = either(r, object, "Principal", "NotPrincipal", &value, &s->not_principal);
  if (code != DOM_OK) return code;
  size_t count = json_is_object(value) ? 0 : 1;
  if (count == 0) json_object_foreach((json_t *)value, kind, list) count += reader_list_count(list);
  if (count == 0) return reader_fail(r, "Invalid principal in policy: it names nobody");
  s->principals = arena_alloc(r->arena, count * sizeof *s->principals);
  if (s->principals == NULL) return reader_no_memory(r);
  if (json_is_string(value)) {
    if (!slice_equal(reader_text(value), SLICE_LIT("*")))
      return reader_fail(r, "Invalid principal in policy: a string other than *");
    return principals_add(r, value, false, s);
  }
  if (!json_is_object(value)) return reader_fail(r, "Invalid principal in policy: neither * nor an object");
  json_object_foreach((json_t *)value, kind, list) {
    bool is_canonical = strcmp(kind, "CanonicalUser") == 0;
    if (!is_canonical && strcmp(kind, "AWS") != 0)
      return reader_fail(r, "Invalid principal in policy: only AWS and CanonicalUser are known here");
    code = principals_add(r, list, is_canonical, s);
    if (code != DOM_OK) return code;
  }
  assert(s->principal_count == count);
  return s->principal_count > 0 ? DOM_OK : reader_fail(r, "Invalid principal in policy: it names nobody");
}

/* ---- resources ------------------------------------------------------------------------------------- */

/* Whether what is before the first '/' may be this bucket. */
static bool is_of_bucket(struct reader *r, const struct pattern *p) {
  struct policy_bucket bucket = {.name = r->bucket};
  struct policy_request request = {0};
  struct eval e = {.bucket = &bucket, .request = &request, .steps_left = POLICY_STEPS_MAX};
  struct pattern stem = *p;
  assert(r->bucket.len > 0);
  stem.len = 0;
  while (stem.len < p->len && p->units[stem.len] != '/') stem.len++;
  return pattern_match(&e, &stem, r->bucket);
}

static enum dom_code resource_read(struct reader *r, const json_t *value, struct pattern *out) {
  struct slice text = reader_text(value), stem = SLICE_LIT("arn:aws:s3:::");
  assert(out != NULL);
  if (!slice_equal(text, SLICE_LIT("*"))) {
    if (!slice_starts_with(text, stem)) return reader_fail(r, "Policy has invalid resource");
    text = slice_cut(text, stem.len, text.len);
  }
  enum dom_code code = reader_pattern(r, text, r->has_variables, out);
  if (code != DOM_OK) return code;
  return is_of_bucket(r, out) ? DOM_OK : reader_fail(r, "Policy has invalid resource: of another bucket");
}

static enum dom_code resources_read(struct reader *r, const json_t *object, struct statement *s) {
  const json_t *value = NULL;
  enum dom_code code = either(r, object, "Resource", "NotResource", &value, &s->not_resource);
  if (code != DOM_OK) return code;
  size_t count = reader_list_count(value);
  if (count == 0) return reader_fail(r, "Policy has invalid resource: none");
  s->resources = arena_alloc(r->arena, count * sizeof *s->resources);
  if (s->resources == NULL) return reader_no_memory(r);
  for (size_t i = 0; i < count && code == DOM_OK; i++) {
    code = resource_read(r, reader_list_at(value, i), &s->resources[i]);
    if (code == DOM_OK) s->resource_count++;
  }
  assert(code != DOM_OK || s->resource_count == count);
  return code;
}

/* Which levels the resources can name: the bucket itself, objects in it. */
static void levels_of(const struct statement *s, bool out[LEVEL_SERVICE + 1]) {
  assert(s->resource_count > 0);
  out[LEVEL_BUCKET] = out[LEVEL_OBJECT] = s->not_resource;
  out[LEVEL_SERVICE] = false;
  for (uint32_t i = 0; i < s->resource_count && !s->not_resource; i++) {
    bool slash = false, star = false;
    for (uint32_t k = 0; k < s->resources[i].len && !slash; k++) {
      slash = s->resources[i].units[k] == '/';
      star = star || s->resources[i].units[k] == UNIT_STAR;
    }
    out[LEVEL_BUCKET] = out[LEVEL_BUCKET] || !slash;
    out[LEVEL_OBJECT] = out[LEVEL_OBJECT] || slash || star;
  }
}

/* ---- actions ------------------------------------------------------------------------------------------ */

/* An action that none of the resources can be the object of would be a sentence without meaning. */
static bool action_has_resource(const struct statement *s, const uint64_t bits[ACTION_WORDS]) {
  bool levels[LEVEL_SERVICE + 1];
  levels_of(s, levels);
  for (unsigned i = 0; i < POLICY_ACTION_COUNT; i++)
    if (actions_have(bits, (enum policy_action)i) && levels[action_level_of((enum policy_action)i)])
      return true;
  return false;
}

static enum dom_code action_read(struct reader *r, const json_t *value, bool is_not, struct statement *s) {
  uint64_t bits[ACTION_WORDS] = {0};
  struct slice text = reader_text(value);
  char echo[READER_ECHO_MAX + 1];
  if (text.data == NULL || actions_match(text, bits) == 0)
    return reader_fail(r, "Policy has invalid action: %s", reader_echo(text, echo));
  if (!is_not && !action_has_resource(s, bits))
    return reader_fail(r, "Action does not apply to any resource(s) in statement: %s",
                       reader_echo(text, echo));
  for (size_t i = 0; i < ACTION_WORDS; i++) s->actions[i] |= bits[i];
  assert(s->resource_count > 0);
  return DOM_OK;
}

static enum dom_code actions_read(struct reader *r, const json_t *object, struct statement *s) {
  const json_t *value = NULL;
  bool is_not = false;
  enum dom_code code = either(r, object, "Action", "NotAction", &value, &is_not);
  if (code != DOM_OK) return code;
  size_t count = reader_list_count(value);
  if (count == 0) return reader_fail(r, "Policy has invalid action: none");
  for (size_t i = 0; i < count && code == DOM_OK; i++)
    code = action_read(r, reader_list_at(value, i), is_not, s);
  for (size_t i = 0; i < ACTION_WORDS && is_not; i++) s->actions[i] = ~s->actions[i];
  assert(count > 0);
  return code;
}

enum dom_code statement_read(struct reader *r, const json_t *object, struct statement *out) {
  struct statement s = {0};
  assert(r != NULL && out != NULL);
  if (!json_is_object(object)) return reader_fail(r, "a statement is a JSON object");
  enum dom_code code = elements_check(r, object);
  if (code == DOM_OK) code = sid_read(r, json_object_get(object, "Sid"), &s);
  if (code == DOM_OK) code = effect_read(r, json_object_get(object, "Effect"), &s);
  if (code == DOM_OK) code = principals_read(r, object, &s);
  if (code == DOM_OK) code = resources_read(r, object, &s);
  if (code == DOM_OK) code = actions_read(r, object, &s);
  if (code == DOM_OK) code = conditions_read(r, json_object_get(object, "Condition"), &s);
  if (code == DOM_OK) *out = s;
  return code;
}
