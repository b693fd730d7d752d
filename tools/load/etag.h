/* ETags as S3 makes them: the MD5 of a simple PUT; for a multipart object the MD5 of its parts'
 * MD5s, '-' and their number. */
#ifndef DOMICILE_LOAD_ETAG_H
#define DOMICILE_LOAD_ETAG_H

#include "base/bytes.h"

#define ETAG_HEX 33 /* 32 digits and the NUL */

/* The ETag, without quotes, of an object put in one piece. Threads: any. */
void etag_of(struct slice body, char out[ETAG_HEX]);
/* `parts` are parts' ETags without quotes. Returns: false when one is no MD5. */
bool etag_of_parts(char parts[][96], unsigned count, char out[ETAG_HEX + 8]);

#endif
