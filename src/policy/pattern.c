/* Patterns: text with '*', '?' and variables. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "policy/model.h"

/* ---- values of keys ------------------------------------------------------------------------- */

static struct slice principal_arn(struct eval *e) {
  const struct policy_request *q = e->request;
  assert(q->who != POLICY_ANONYMOUS);
  if (e->arn_text[0] == 0) {
    const char *kind = q->who == POLICY_TOKEN ? "sts" : "iam";
    const char *what = q->who == POLICY_TOKEN ? "federated-user" : "user";
    snprintf(e->arn_text, sizeof e->arn_text, "arn:aws:%s::%.*s:%s/%.*s", kind, (int)q->account.len,
             (const char *)q->account.data, what, (int)q->user.len, (const char *)q->user.data);
  }
  return slice_str(e->arn_text);
}

static struct slice current_time(struct eval *e) {
  assert(e->request != NULL);
  if (e->time_text[0] == 0) time_rfc3339(e->request->now_ms, e->time_text);
  return slice_str(e->time_text);
}

static struct slice epoch_time(struct eval *e) {
  assert(e->request != NULL);
  snprintf(e->epoch_text, sizeof e->epoch_text, "%" PRIu64, e->request->now_ms / 1000);
  return slice_str(e->epoch_text);
}

static struct slice principal_type(enum policy_who who) {
  static const char *const names[] = {
      [POLICY_ANONYMOUS] = "Anonymous", [POLICY_ACCESS_KEY] = "User", [POLICY_TOKEN] = "FederatedUser"};
  assert((unsigned)who < sizeof names / sizeof names[0]);
  return slice_str(names[who]);
}

struct slice eval_value(struct eval *e, enum policy_key key) {
  const struct policy_request *q = e->request;
  bool is_known = q->who != POLICY_ANONYMOUS;
  assert((unsigned)key < POLICY_KEY_COUNT);
  switch (key) {
  case POLICY_KEY_CURRENT_TIME:
    return current_time(e);
  case POLICY_KEY_EPOCH_TIME:
    return epoch_time(e);
  case POLICY_KEY_PRINCIPAL_ACCOUNT:
    return is_known ? q->account : (struct slice){0};
  case POLICY_KEY_PRINCIPAL_ARN:
    return is_known ? principal_arn(e) : (struct slice){0};
  case POLICY_KEY_PRINCIPAL_TYPE:
    return principal_type(q->who);
  case POLICY_KEY_USER_ID:
    return is_known ? q->user : slice_str("anonymous");
  case POLICY_KEY_USER_NAME:
    return q->who == POLICY_ACCESS_KEY ? q->user : (struct slice){0};
  case POLICY_KEY_RESOURCE_ACCOUNT:
  case POLICY_KEY_S3_RESOURCE_ACCOUNT:
    return e->bucket->owner;
  default:
    return q->value[key];
  }
}

/* ---- compiling ------------------------------------------------------------------------------- */

/* "${…}" at `at`: one unit, and how many bytes it took; 0 is no variable at all. */
static size_t variable_compile(struct slice text, size_t at, uint16_t *out, const char **out_why) {
  struct slice tail = slice_cut(text, at + 2, text.len), tag;
  size_t end = slice_find(tail, '}');
  enum policy_key key;
  assert(at + 2 <= text.len && out != NULL);
  *out_why = NULL;
  if (end == tail.len) {
    *out_why = "a variable has no closing brace";
    return 0;
  }
  struct slice name = slice_cut(tail, 0, end);
  bool is_char = name.len == 1 && (name.data[0] == '*' || name.data[0] == '?' || name.data[0] == '$');
  if (is_char) {
    *out = name.data[0];
    return end + 3;
  }
  if (!key_find(name, &key, &tag) || key_kind_of(key) == KIND_TAG || key_kind_of(key) == KIND_LIST) {
    *out_why = "a variable is no condition key with one value";
    return 0;
  }
  *out = (uint16_t)(UNIT_VARIABLE + key);
  return end + 3;
}

static bool unit_append(struct pattern *p, uint16_t unit) {
  assert(p->units != NULL);
  if (p->len == POLICY_PATTERN_UNITS_MAX) return false;
  p->units[p->len++] = unit;
  p->has_wild = p->has_wild || unit == UNIT_STAR || unit == UNIT_ANY;
  p->has_variable = p->has_variable || unit >= UNIT_VARIABLE;
  return true;
}

enum dom_code pattern_compile(struct slice text, bool has_variables, struct arena *arena, struct pattern *out,
                              const char **out_why) {
  assert(arena != NULL && out != NULL && out_why != NULL);
  *out_why = "a pattern is longer than 2048 characters";
  size_t cap = text.len < POLICY_PATTERN_UNITS_MAX ? text.len : POLICY_PATTERN_UNITS_MAX;
  struct pattern p = {.units = arena_alloc(arena, (cap + 1) * sizeof *p.units)};
  if (p.units == NULL) return DOM_NO_MEMORY;
  for (size_t at = 0; at < text.len;) {
    uint8_t c = text.data[at];
    uint16_t unit = c == '*' ? UNIT_STAR : c == '?' ? UNIT_ANY : c;
    size_t taken = 1;
    if (has_variables && c == '$' && at + 1 < text.len && text.data[at + 1] == '{') {
      const char *why = NULL;
      taken = variable_compile(text, at, &unit, &why);
      if (taken == 0) {
        *out_why = why;
        return DOM_INVALID;
      }
    }
    if (!unit_append(&p, unit)) return DOM_TOO_LARGE;
    at += taken;
  }
  *out = p;
  return DOM_OK;
}

/* ---- matching --------------------------------------------------------------------------------- */

struct units {
  const uint16_t *data;
  size_t len;
};

/* The pattern with its variables put in. False: one has no value, or the whole grew too long. */
static bool expand(struct eval *e, const struct pattern *p, uint16_t space[POLICY_EXPANDED_UNITS_MAX],
                   struct units *out) {
  assert(p->units != NULL || p->len == 0);
  *out = (struct units){p->units, p->len};
  if (!p->has_variable) return true;
  size_t len = 0;
  for (size_t i = 0; i < p->len; i++) {
    uint16_t unit = p->units[i];
    if (unit < UNIT_VARIABLE) {
      if (len == POLICY_EXPANDED_UNITS_MAX) break;
      space[len++] = unit;
      continue;
    }
    struct slice value = eval_value(e, (enum policy_key)(unit - UNIT_VARIABLE));
    if (value.data == NULL || value.len > POLICY_EXPANDED_UNITS_MAX - len) {
      e->unresolved = true;
      return false;
    }
    for (size_t k = 0; k < value.len; k++) space[len++] = value.data[k];
  }
  *out = (struct units){space, len};
  return true;
}

/* False also when the decision's work is used up; policy_decide looks at steps_left. */
static bool units_match(struct eval *e, struct units p, struct slice text) {
  size_t at = 0, t = 0, star = SIZE_MAX, star_t = 0;
  while (t < text.len) {
    if (e->steps_left == 0) return false;
    e->steps_left--;
    if (at < p.len && p.data[at] == UNIT_STAR) {
      star = at++;
      star_t = t;
      if (at == p.len) return true;
    } else if (at < p.len && (p.data[at] == UNIT_ANY || p.data[at] == text.data[t])) {
      at++;
      t++;
    } else if (star != SIZE_MAX) {
      at = star + 1;
      t = ++star_t;
    } else {
      return false;
    }
  }
  while (at < p.len && p.data[at] == UNIT_STAR) at++;
  assert(at <= p.len);
  return at == p.len;
}

bool pattern_match(struct eval *e, const struct pattern *p, struct slice text) {
  uint16_t space[POLICY_EXPANDED_UNITS_MAX];
  struct units units;
  assert(e != NULL && p != NULL);
  return expand(e, p, space, &units) && units_match(e, units, text);
}

static uint16_t unit_lower(uint16_t c) {
  return c >= 'A' && c <= 'Z' ? (uint16_t)(c - 'A' + 'a') : c;
}

static uint16_t unit_character(uint16_t unit) {
  return unit == UNIT_STAR ? '*' : unit == UNIT_ANY ? '?' : unit;
}

bool pattern_equal(struct eval *e, const struct pattern *p, struct slice text, bool nocase) {
  uint16_t space[POLICY_EXPANDED_UNITS_MAX];
  struct units units;
  assert(e != NULL && p != NULL);
  if (!expand(e, p, space, &units) || units.len != text.len) return false;
  if (e->steps_left < text.len) {
    e->steps_left = 0;
    return false;
  }
  e->steps_left -= text.len;
  for (size_t i = 0; i < text.len; i++) {
    uint16_t a = unit_character(units.data[i]), b = text.data[i];
    if (a != b && !(nocase && unit_lower(a) == unit_lower(b))) return false;
  }
  return true;
}

bool pattern_match_arn(struct eval *e, const struct pattern *p, struct slice text) {
  uint16_t space[POLICY_EXPANDED_UNITS_MAX];
  struct units units;
  assert(e != NULL && p != NULL);
  if (!expand(e, p, space, &units)) return false;
  for (int part = 0; part < 5; part++) {
    size_t end = 0, colon = slice_find(text, ':');
    while (end < units.len && units.data[end] != ':') end++;
    if (end == units.len || colon == text.len) return false;
    if (!units_match(e, (struct units){units.data, end}, slice_cut(text, 0, colon))) return false;
    units = (struct units){units.data + end + 1, units.len - end - 1};
    text = slice_cut(text, colon + 1, text.len);
  }
  return units_match(e, units, text);
}
