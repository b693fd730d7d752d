/* The tables of names: actions, condition keys, operators. */
#include <assert.h>

#include "policy/model.h"

static const struct {
  const char *name; /* with "s3:" */
  enum action_level level;
} actions[POLICY_ACTION_COUNT] = {
#define POLICY_ACTION(enumerator, text, level_)                                                              \
  [POLICY_##enumerator] = {.name = "s3:" text, .level = LEVEL_##level_},
#include "policy/actions.def"
#undef POLICY_ACTION
};

static const struct {
  const char *name;
  enum key_kind kind;
} keys[POLICY_KEY_COUNT] = {
#define POLICY_KEY(enumerator, text, kind_)                                                                  \
  [POLICY_KEY_##enumerator] = {.name = (text), .kind = KIND_##kind_},
#include "policy/keys.def"
#undef POLICY_KEY
};

static const struct operator_kind operators[] = {
    {"StringEquals", FAMILY_STRING, REL_EQUAL, false},
    {"StringNotEquals", FAMILY_STRING, REL_EQUAL, true},
    {"StringEqualsIgnoreCase", FAMILY_STRING, REL_EQUAL_NOCASE, false},
    {"StringNotEqualsIgnoreCase", FAMILY_STRING, REL_EQUAL_NOCASE, true},
    {"StringLike", FAMILY_STRING, REL_LIKE, false},
    {"StringNotLike", FAMILY_STRING, REL_LIKE, true},
    {"NumericEquals", FAMILY_NUMERIC, REL_EQUAL, false},
    {"NumericNotEquals", FAMILY_NUMERIC, REL_EQUAL, true},
    {"NumericLessThan", FAMILY_NUMERIC, REL_LESS, false},
    {"NumericLessThanEquals", FAMILY_NUMERIC, REL_LESS_EQUAL, false},
    {"NumericGreaterThan", FAMILY_NUMERIC, REL_GREATER, false},
    {"NumericGreaterThanEquals", FAMILY_NUMERIC, REL_GREATER_EQUAL, false},
    {"DateEquals", FAMILY_DATE, REL_EQUAL, false},
    {"DateNotEquals", FAMILY_DATE, REL_EQUAL, true},
    {"DateLessThan", FAMILY_DATE, REL_LESS, false},
    {"DateLessThanEquals", FAMILY_DATE, REL_LESS_EQUAL, false},
    {"DateGreaterThan", FAMILY_DATE, REL_GREATER, false},
    {"DateGreaterThanEquals", FAMILY_DATE, REL_GREATER_EQUAL, false},
    {"Bool", FAMILY_BOOL, REL_EQUAL, false},
    {"IpAddress", FAMILY_ADDRESS, REL_EQUAL, false},
    {"NotIpAddress", FAMILY_ADDRESS, REL_EQUAL, true},
    {"ArnEquals", FAMILY_ARN, REL_LIKE, false}, /* AWS: the same as ArnLike */
    {"ArnLike", FAMILY_ARN, REL_LIKE, false},
    {"ArnNotEquals", FAMILY_ARN, REL_LIKE, true},
    {"ArnNotLike", FAMILY_ARN, REL_LIKE, true},
    {"Null", FAMILY_NULL, REL_EQUAL, false},
};

const char *policy_action_name(enum policy_action action) {
  assert((unsigned)action < POLICY_ACTION_COUNT);
  return actions[action].name;
}

enum action_level action_level_of(enum policy_action action) {
  assert((unsigned)action < POLICY_ACTION_COUNT);
  return actions[action].level;
}

enum key_kind key_kind_of(enum policy_key key) {
  assert((unsigned)key < POLICY_KEY_COUNT);
  return keys[key].kind;
}

bool key_find(struct slice name, enum policy_key *out, struct slice *out_tag) {
  size_t slash = slice_find(name, '/');
  assert(out != NULL && out_tag != NULL);
  for (unsigned i = 0; i < POLICY_KEY_COUNT; i++) {
    bool is_tag = keys[i].kind == KIND_TAG;
    struct slice stem = is_tag ? slice_cut(name, 0, slash) : name;
    if (!slice_equal_nocase(stem, slice_str(keys[i].name))) continue;
    if (is_tag && slash + 1 >= name.len) return false;
    *out = (enum policy_key)i;
    *out_tag = is_tag ? slice_cut(name, slash + 1, name.len) : (struct slice){0};
    return true;
  }
  return false;
}

static uint8_t lower(uint8_t c) {
  return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

/* '*' and '?', any case; both texts are short. */
static bool action_matches(struct slice pattern, struct slice name) {
  size_t p = 0, n = 0, star = SIZE_MAX, star_n = 0;
  assert(name.len > 0);
  while (n < name.len) {
    if (p < pattern.len && pattern.data[p] == '*') {
      star = p++;
      star_n = n;
    } else if (p < pattern.len && (pattern.data[p] == '?' || lower(pattern.data[p]) == lower(name.data[n]))) {
      p++;
      n++;
    } else if (star != SIZE_MAX) {
      p = star + 1;
      n = ++star_n;
    } else {
      return false;
    }
  }
  while (p < pattern.len && pattern.data[p] == '*') p++;
  return p == pattern.len;
}

unsigned actions_match(struct slice pattern, uint64_t bits[ACTION_WORDS]) {
  unsigned count = 0;
  assert(bits != NULL);
  for (unsigned i = 0; i < POLICY_ACTION_COUNT; i++) {
    if (!action_matches(pattern, slice_str(actions[i].name))) continue;
    bits[i / 64] |= (uint64_t)1 << (i % 64);
    count++;
  }
  return count;
}

const struct operator_kind *operator_find(struct slice name) {
  for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
    assert(operators[i].name != NULL);
    if (slice_equal(name, slice_str(operators[i].name))) return &operators[i];
  }
  return NULL;
}

bool operator_suits(const struct operator_kind *kind, enum key_kind key) {
  assert(kind != NULL);
  switch (kind->family) {
  case FAMILY_STRING:
  case FAMILY_NULL:
    return true;
  case FAMILY_NUMERIC:
    return key == KIND_NUMBER || key == KIND_TIME_NUMBER || key == KIND_TAG;
  case FAMILY_DATE:
    return key == KIND_DATE || key == KIND_TIME_NUMBER || key == KIND_TAG;
  case FAMILY_BOOL:
    return key == KIND_BOOL || key == KIND_TAG;
  case FAMILY_ADDRESS:
    return key == KIND_ADDRESS;
  case FAMILY_ARN:
    return key == KIND_ARN;
  }
  assert(false);
  return false;
}
