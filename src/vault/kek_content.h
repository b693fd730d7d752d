/* What a key file may contain, and who may read it. */
#ifndef DOMICILE_VAULT_KEK_CONTENT_H
#define DOMICILE_VAULT_KEK_CONTENT_H

#include "vault/vault.h"

enum { KEK_CONTENT_MAX = 80 }; /* 64 hex digits and a line end, with room to see what is too much */

/* 32 raw bytes, or 64 hex digits and line ends. DOM_INVALID. The caller wipes out_key. */
enum dom_code kek_content_parse(struct slice content, uint8_t out_key[KEY_SIZE], struct dom_err *err);
/* DOM_DENIED unless group and others have no access at all to `path` of the real file system;
 * DOM_NOT_FOUND, DOM_IO. */
enum dom_code kek_path_check(const char *path, struct dom_err *err);

#endif
