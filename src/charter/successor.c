#include <assert.h>
#include <inttypes.h>

#include "charter/model.h"

static const char where[] = "charter/successor";

static enum dom_code check_region(const struct charter *old, const struct charter_region *next,
                                  struct dom_err *err) {
  assert(next->number > 0);
  const struct charter_region *numbered = charter_region_by_number(old, next->number);
  const struct charter_region *named = charter_region_by_name(old, slice_str(next->name));
  if (numbered && strcmp(numbered->name, next->name) != 0)
    return dom_fail(err, DOM_INCOMPATIBLE, where, "regions.%s.number: %u was given to region %s", next->name,
                    (unsigned)next->number, numbered->name);
  if (numbered && strcmp(numbered->jurisdiction, next->jurisdiction) != 0)
    return dom_fail(err, DOM_INCOMPATIBLE, where,
                    "regions.%s.jurisdiction: number %u was given to a region in %s", next->name,
                    (unsigned)next->number, numbered->jurisdiction);
  if (named && named->number != next->number)
    return dom_fail(err, DOM_INCOMPATIBLE, where, "regions.%s.number: it was %u and stays so", next->name,
                    (unsigned)named->number);
  return DOM_OK;
}

enum dom_code charter_check_successor(const struct charter *old, const struct charter *next,
                                      struct dom_err *err) {
  assert(old != NULL && next != NULL);
  if (next->version <= old->version)
    return dom_fail(err, DOM_INCOMPATIBLE, where, "charter: version %" PRIu64 " is not newer than %" PRIu64,
                    next->version, old->version);
  if (strcmp(old->organization, next->organization) != 0)
    return dom_fail(err, DOM_INCOMPATIBLE, where, "organization: a charter of another organization");
  for (unsigned i = 0; i < next->region_count; i++) {
    enum dom_code code = check_region(old, &next->regions[i], err);
    if (code != DOM_OK) return code;
  }
  for (unsigned i = 0; i < old->class_count; i++) {
    unsigned index;
    if (charter_class_find(next, slice_str(old->classes[i].name), &index) != DOM_OK)
      return dom_fail(err, DOM_INCOMPATIBLE, where,
                      "classes.%s: dropped, but objects may have inherited it by copy", old->classes[i].name);
  }
  return DOM_OK;
}
