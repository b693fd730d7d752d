/* A backup in tests: every file of a disk whose region is stopped, on another disk. */
#ifndef DOMICILE_TESTS_DISK_COPY_H
#define DOMICILE_TESTS_DISK_COPY_H

#include "base/disk.h"

/* Copies folders and files from `from`, which must be quiet, to the empty `to`, durably. Asserts. */
void disk_copy(struct disk *from, struct disk *to);

#endif
