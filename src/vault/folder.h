/* Making a folder whose name survives a power cut. */
#ifndef DOMICILE_VAULT_FOLDER_H
#define DOMICILE_VAULT_FOLDER_H

#include "base/disk.h"

enum { FOLDER_PATH_MAX = 200 }; /* longest folder below a disk's root, for vault and KEKs */

/* Makes `folder` ("" is the disk's root, already there) and syncs the folder that holds it.
 * Durable: at return. DOM_TOO_LARGE past FOLDER_PATH_MAX; disk's codes. */
enum dom_code folder_make(struct disk *disk, const char *folder, struct dom_err *err);

#endif
