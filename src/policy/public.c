/* What "public" means of a policy. Source: S3 user guide, "Blocking public access: The meaning of public". */
#include <assert.h>

#include "policy/model.h"

enum { MAPPED_BITS = 96, V4_BITS_MIN = MAPPED_BITS + 8, V6_BITS_MIN = 32 };

/* A range that holds a good part of the Internet. */
static bool range_is_broad(const struct address *range) {
  static const uint8_t mapped[16] = {[10] = 0xFF, [11] = 0xFF};
  struct address stem = *range, all_v4 = {.prefix_bits = MAPPED_BITS};
  assert(range->prefix_bits <= 128);
  memcpy(all_v4.bytes, mapped, sizeof mapped);
  if (stem.prefix_bits > MAPPED_BITS) stem.prefix_bits = MAPPED_BITS;
  if (address_covers(&stem, &all_v4)) return range->prefix_bits < V4_BITS_MIN;
  return range->prefix_bits < V6_BITS_MIN;
}

static bool value_is_fixed(const struct condition *c, const struct value *v) {
  assert(c->kind != NULL);
  if (c->kind->family == FAMILY_ADDRESS) return !range_is_broad(&v->address);
  bool wild = c->kind->relation == REL_LIKE && v->pattern.has_wild;
  return !wild && !v->pattern.has_variable && v->pattern.len > 0;
}

/* A condition that only named accounts, keys or addresses can fulfil. */
static bool condition_closes(const struct condition *c) {
  bool by_name = c->key == POLICY_KEY_PRINCIPAL_ACCOUNT || c->key == POLICY_KEY_PRINCIPAL_ARN;
  bool by_address = c->key == POLICY_KEY_SOURCE_IP && c->kind->family == FAMILY_ADDRESS;
  bool names = c->kind->family == FAMILY_STRING || c->kind->family == FAMILY_ARN;
  if (c->kind->negated || c->if_exists || c->quantifier == FOR_ALL) return false;
  if (!by_address && !(by_name && names)) return false;
  assert(c->count > 0);
  for (uint32_t i = 0; i < c->count; i++)
    if (!value_is_fixed(c, &c->values[i])) return false;
  return true;
}

bool statement_is_public(const struct statement *s) {
  bool anybody = s->not_principal;
  assert(s->principal_count > 0);
  for (uint32_t i = 0; i < s->principal_count; i++) anybody = anybody || s->principals[i].is_anybody;
  if (s->is_deny || !anybody) return false;
  for (uint32_t i = 0; i < s->condition_count; i++)
    if (condition_closes(&s->conditions[i])) return false;
  return true;
}
