/* Country codes of ISO 3166-1 alpha-2 as small numbers, so that a list of jurisdictions is a set of
 * bits. The numbers are this build's own: never stored, never sent. */
#ifndef DOMICILE_CHARTER_ISO3166_H
#define DOMICILE_CHARTER_ISO3166_H

#include "base/bytes.h"

enum { ISO3166_COUNT = 249, ISO3166_CODE_SIZE = 3 };

/* True for an assigned code in capitals; *out_index is then below ISO3166_COUNT. */
bool iso3166_find(struct slice code, uint8_t *out_index);
/* The code of an index, with its NUL. */
void iso3166_code(uint8_t index, char out_code[ISO3166_CODE_SIZE]);

#endif
