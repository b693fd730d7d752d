/* Permits: the only place that knows what is inside. They are copied in and out of the caller's
 * storage, never read through a cast, so that the storage may be of any type. */
#include <assert.h>

#include "charter/model.h"

/* Tells a permit from memory that is not one. Not a secret: permits do not leave the process. */
static const uint64_t permit_mark = UINT64_C(0x646f6d2d7065726d); /* "dom-perm" */

struct permit {
  uint64_t mark;
  uint64_t version;
  uint32_t classes;
  uint16_t region, gateway;
  uint16_t source; /* MOVE only: the store that the bytes are read from */
  uint16_t action;
  uint8_t token[TOKEN_SIZE];
};
_Static_assert(sizeof(struct permit) <= sizeof(struct charter_permit_storage), "a permit fits its storage");

const struct permit *permit_write(struct charter_permit_storage *storage, const struct permit_terms *terms) {
  assert(storage != NULL && terms->token != NULL && terms->action < PERMIT_ACTION_COUNT);
  struct permit permit = {.mark = permit_mark,
                          .version = terms->version,
                          .classes = terms->classes,
                          .region = terms->region,
                          .gateway = terms->gateway,
                          .source = terms->source,
                          .action = (uint16_t)terms->action};
  memcpy(permit.token, terms->token, TOKEN_SIZE);
  memcpy(storage, &permit, sizeof permit);
  return (const struct permit *)storage;
}

static struct permit permit_read(const struct permit *p) {
  struct permit permit;
  assert(p != NULL);
  memcpy(&permit, (const void *)p, sizeof permit);
  return permit;
}

bool permit_covers(const struct permit *p, enum permit_action action, uint16_t region,
                   const uint8_t token[TOKEN_SIZE]) {
  assert(action < PERMIT_ACTION_COUNT && token != NULL);
  if (!p) return false;
  struct permit permit = permit_read(p);
  bool place = permit.region == region || (permit.source != 0 && permit.source == region);
  return permit.mark == permit_mark && permit.action == (uint16_t)action && place &&
         memcmp(permit.token, token, TOKEN_SIZE) == 0;
}

uint64_t permit_charter_version(const struct permit *p) {
  assert(p != NULL);
  struct permit permit = permit_read(p);
  assert(permit.mark == permit_mark);
  return permit.version;
}
