/* What verify.c and verify_list.c share. */
#ifndef DOMICILE_LOAD_VERIFY_INTERNAL_H
#define DOMICILE_LOAD_VERIFY_INTERNAL_H

#include "verify.h"

/* Counts a mismatch and names it if it is among the first. `what` holds no secrets; names of
 * objects are what this tool is for. */
void verify_mismatch(struct verify *v, const struct endpoint *endpoint, const char *bucket, struct slice key,
                     const char *what);
/* Whether the rules refuse reading this key through this endpoint. */
bool verify_refused(const struct verify *v, const struct endpoint *endpoint, const struct oracle_key *k);

#endif
