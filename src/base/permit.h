/* Permit: the charter's answer to one intended movement of bytes. Declared here so that every
 * room can demand one; defined and made only by the charter room (charter_decide). */
#ifndef DOMICILE_BASE_PERMIT_H
#define DOMICILE_BASE_PERMIT_H

#include "base/bytes.h"

enum { TOKEN_SIZE = 32 }; /* route token of a subject: HMAC-SHA256, pseudonymous */

/* What is about to happen to the bytes. */
enum permit_action {
  PERMIT_STORE,   /* written into a region's store on behalf of a client */
  PERMIT_READ,    /* handed out to a client by a gateway */
  PERMIT_TRANSIT, /* pass through a gateway that is not home */
  PERMIT_LIST,    /* names shown to a client by a gateway */
  PERMIT_DELETE,  /* removed at a client's wish */
  PERMIT_COPY,    /* source side of CopyObject / UploadPartCopy */
  PERMIT_MOVE,    /* read out of one region and staged in another by a handoff; covers both */
  PERMIT_REPAIR,  /* kept in place: recovery, scrub, compaction, erasure bookkeeping */
  PERMIT_ACTION_COUNT
};

struct permit; /* opaque; made by charter_decide only */

/* True when `p` is not NULL and was given for exactly this action, at this storing region, for
 * this subject. Stores and movers call it themselves; they never trust their caller's word. */
bool permit_covers(const struct permit *p, enum permit_action action, uint16_t region,
                   const uint8_t token[TOKEN_SIZE]);
uint64_t permit_charter_version(const struct permit *p);

#endif
