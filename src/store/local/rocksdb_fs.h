/* RocksDB on base/disk, encrypted: what turns `rocksdb_options_t` into an index of ours. The C
 * API takes no file system, so this is the project's one piece of C++.
 *
 * Use: attach to options before rocksdb_open(options, rocksdb_fs_path(fs), …); free after
 * rocksdb_close. Every file but the empty LOCK is an index file (index_file.h); the info log
 * and the OPTIONS file are not written. RocksDB's error texts carry base/disk's.
 *
 * Simulation (`inline_background`): RocksDB must not run work by itself, or no run could be
 * repeated. Its background jobs queue up and run only inside two calls:
 *   rocksdb_fs_run_background   after each write, in the calling thread
 *   rocksdb_fs_call             around every call that waits for background work (rocksdb_flush
 *                               with wait, rocksdb_compact_range): the call runs in a helper
 *                               thread while the calling thread carries out the jobs it waits for
 * Only one of the two threads is ever able to go on, so the order of disk operations is fixed.
 * rocksdb_put and rocksdb_write do not wait as long as the queue is run after each of them. */
#ifndef DOMICILE_STORE_LOCAL_ROCKSDB_FS_H
#define DOMICILE_STORE_LOCAL_ROCKSDB_FS_H

#include <rocksdb/c.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "base/err.h"

struct disk;
struct rocksdb_fs;

/* Points `options` at `folder` of `disk`, under `index_key`, and switches off what would write
 * names in clear or repeat failed writes (RocksDB's own resume).
 *   disk               borrowed until rocksdb_fs_free
 *   folder             below the disk's root, not empty; made by rocksdb_open
 *   index_key          32 bytes, copied to locked memory
 *   inline_background  see above
 * A wrong index key makes rocksdb_open fail with "the index key does not open this index file".
 * Returns: DOM_TOO_LARGE (folder), DOM_NO_MEMORY, DOM_INCOMPATIBLE (the RocksDB library keeps
 *   its options elsewhere than this build knows). Threads: one per fs. */
enum dom_code rocksdb_fs_attach(rocksdb_options_t *options, struct disk *disk, const char *folder,
                                const uint8_t index_key[32], bool inline_background, struct rocksdb_fs **out,
                                struct dom_err *err);
/* After rocksdb_close, and after the options are destroyed or pointed elsewhere. NULL is allowed. */
void rocksdb_fs_free(struct rocksdb_fs *fs);

/* The name to give rocksdb_open; lives as long as fs. */
const char *rocksdb_fs_path(const struct rocksdb_fs *fs);

/* Runs queued background jobs, and those they queue, until none is left. Without
 * inline_background it does nothing. Threads: not while another is in it or in rocksdb_fs_call. */
void rocksdb_fs_run_background(struct rocksdb_fs *fs);

/* Runs fn(arg), and background jobs until fn has returned and none is left. Without
 * inline_background it just calls fn. Threads: as rocksdb_fs_run_background. Returns:
 * DOM_NO_MEMORY when the helper thread cannot start; fn was not called then. */
enum dom_code rocksdb_fs_call(struct rocksdb_fs *fs, void (*fn)(void *arg), void *arg, struct dom_err *err);

#ifdef __cplusplus
}
#endif

#endif
