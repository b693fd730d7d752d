/* Other regions: who they are, and where their messages go. */
#include <assert.h>
#include <stdio.h>

#include "serve/admin.h"

enum dom_code peer_find(void *region, uint16_t number, struct wire_peer *out) {
  struct region *r = region;
  if (!r->subjects) return DOM_NOT_FOUND; /* still opening */
  struct charter *c = subject_charter(r->subjects);
  const struct charter_region *peer = c ? charter_region_by_number(c, number) : NULL;
  if (peer) {
    memcpy(out->public_key, peer->public_key, sizeof out->public_key);
    snprintf(out->endpoint, sizeof out->endpoint, "%s", peer->endpoint);
    out->certified = r->peers_certified;
  }
  charter_release(c);
  return peer ? DOM_OK : DOM_NOT_FOUND;
}

enum dom_code peer_message(void *region, uint16_t from, const char *path, struct slice body,
                           struct buf *reply, struct dom_err *err) {
  struct region *r = region;
  assert(from != 0 && path);
  if (mover_takes(path)) return mover_message(r->mover, from, path, body, reply, err);
  if (strcmp(path, "serve/subject") == 0) return admin_subject_message(r, body, reply, err);
  return subject_message(r->subjects, from, path, body, reply, err);
}
