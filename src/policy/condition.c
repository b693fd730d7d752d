/* One condition of a statement against one request. */
#include <assert.h>

#include "policy/model.h"

/* ---- the values that the request has for the key ------------------------------------------------ */

/* Either one value or the keys of a list of tags. */
struct have {
  struct slice one;
  const struct policy_tag *tags; /* their keys, when is_list */
  size_t count;                  /* 0: the request does not say */
  bool is_list;
};

static bool tag_find(const struct policy_tag *tags, size_t count, struct slice key, struct slice *out) {
  assert(tags != NULL || count == 0);
  for (size_t i = 0; i < count; i++) {
    if (!slice_equal(tags[i].key, key)) continue;
    *out = tags[i].value.data ? tags[i].value : SLICE_LIT("");
    return true;
  }
  return false;
}

/* False: nobody knows yet, the object has not been read. */
static bool look_up(struct eval *e, const struct condition *c, struct have *out) {
  const struct policy_request *q = e->request;
  struct have have = {0};
  assert(out != NULL);
  if (c->key == POLICY_KEY_REQUEST_TAG_KEYS) {
    have = (struct have){.tags = q->request_tags, .count = q->request_tag_count, .is_list = true};
  } else if (c->key == POLICY_KEY_REQUEST_TAG) {
    have.count = tag_find(q->request_tags, q->request_tag_count, c->tag, &have.one) ? 1 : 0;
  } else if (c->key == POLICY_KEY_EXISTING_TAG) {
    if (!q->object_is_known) return false;
    have.count = tag_find(q->object_tags, q->object_tag_count, c->tag, &have.one) ? 1 : 0;
  } else {
    have.one = eval_value(e, c->key);
    have.count = have.one.data != NULL ? 1 : 0;
  }
  *out = have;
  return true;
}

/* ---- one value against one ----------------------------------------------------------------------- */

static bool ordered(enum relation relation, int order) {
  switch (relation) {
  case REL_EQUAL:
    return order == 0;
  case REL_LESS:
    return order < 0;
  case REL_LESS_EQUAL:
    return order <= 0;
  case REL_GREATER:
    return order > 0;
  case REL_GREATER_EQUAL:
    return order >= 0;
  default:
    assert(false);
    return false;
  }
}

static bool string_matches(struct eval *e, const struct condition *c, const struct value *want,
                           struct slice have) {
  assert(c->kind->family == FAMILY_STRING);
  if (c->kind->relation == REL_LIKE) return pattern_match(e, &want->pattern, have);
  return pattern_equal(e, &want->pattern, have, c->kind->relation == REL_EQUAL_NOCASE);
}

/* A value of the request that is not of the operator's kind matches nothing. */
static bool value_matches(struct eval *e, const struct condition *c, const struct value *want,
                          struct slice have) {
  double number = 0;
  int64_t date_ms = 0;
  bool truth = false;
  struct address address;
  assert(have.data != NULL);
  switch (c->kind->family) {
  case FAMILY_STRING:
    return string_matches(e, c, want, have);
  case FAMILY_ARN:
    return pattern_match_arn(e, &want->pattern, have);
  case FAMILY_NUMERIC:
    return number_parse(have, &number) &&
           ordered(c->kind->relation, (number > want->number) - (number < want->number));
  case FAMILY_DATE:
    return date_parse(have, &date_ms) &&
           ordered(c->kind->relation, (date_ms > want->date_ms) - (date_ms < want->date_ms));
  case FAMILY_BOOL:
    return bool_parse(have, &truth) && truth == want->truth;
  case FAMILY_ADDRESS:
    return address_parse(have, &address) && address_covers(&want->address, &address);
  case FAMILY_NULL:
    break;
  }
  assert(false);
  return false;
}

/* One value of the request against all of the policy's: any of them, or none for a negated operator. */
static bool value_holds(struct eval *e, const struct condition *c, struct slice have) {
  bool any = false;
  assert(c->count > 0);
  for (uint32_t i = 0; i < c->count && !any; i++) any = value_matches(e, c, &c->values[i], have);
  return any != c->kind->negated;
}

/* ---- all of them ----------------------------------------------------------------------------------- */

/* A key that the request does not say anything about. Source: AWS IAM, "Condition operators": negated ones
 * hold, the others do not. */
static bool absent_holds(const struct condition *c) {
  assert(c->kind->family != FAMILY_NULL);
  if (c->if_exists || c->quantifier == FOR_ALL) return true;
  return c->quantifier == FOR_ONE && c->kind->negated;
}

enum truth condition_holds(struct eval *e, const struct condition *c) {
  struct have have;
  assert(e != NULL && c != NULL);
  if (!look_up(e, c, &have)) return TRUTH_UNKNOWN;
  if (c->kind->family == FAMILY_NULL) {
    bool any = false;
    for (uint32_t i = 0; i < c->count; i++) any = any || c->values[i].truth == (have.count == 0);
    return any ? TRUTH_YES : TRUTH_NO;
  }
  if (have.count == 0) return absent_holds(c) ? TRUTH_YES : TRUTH_NO;
  bool all = true, any = false;
  for (size_t i = 0; i < have.count; i++) {
    bool holds = value_holds(e, c, have.is_list ? have.tags[i].key : have.one);
    all = all && holds;
    any = any || holds;
  }
  /* Without a quantifier several values are taken as "any"; S3 has no such key in a bucket policy. */
  return (c->quantifier == FOR_ALL ? all : any) ? TRUTH_YES : TRUTH_NO;
}
