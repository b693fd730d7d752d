/* What the ledger's tests share: keys, entries, a ledger on a simulated disk, and a folder of
 * files in memory as a source for the verifier. */
#ifndef TEST_LEDGER_SUPPORT_H
#define TEST_LEDGER_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first. */
#include <cmocka.h>

#include "domicile/verify.h"
#include "ledger/ledger.h"

#define ORIGIN   "example.org/test/in"
#define OK(call) assert_int_equal((call), DOM_OK)

extern const uint8_t SEED[ED25519_KEY_SIZE];
extern const uint8_t OTHER_SEED[ED25519_KEY_SIZE];

/* Entry number `n`, sealed; the opening is `n` repeated so that receipts can be made later. */
void make_entry(uint64_t n, uint8_t out_bytes[LEDGER_ENTRY_SIZE], uint8_t out_opening[LEDGER_OPENING_SIZE],
                struct buf *out_payload);
/* Appends entries first..first+count-1; entry n has the cursor 10·(n+1). */
enum dom_code append_range(struct ledger *ledger, uint64_t first, size_t count, struct dom_err *err);
/* The same, not published. */
enum dom_code take_up_range(struct ledger *ledger, uint64_t first, size_t count, struct dom_err *err);
uint64_t cursor_of(uint64_t n);

/* The vkey text of a seed for ORIGIN. */
void vkey_of(const uint8_t seed[ED25519_KEY_SIZE], struct buf *out);

/* Files in memory. */
struct memory_file {
  char path[128];
  struct buf bytes;
};
struct memory_folder {
  struct memory_file files[512];
  size_t count;
};
/* All files of `folder` on `disk`. */
void memory_load(struct memory_folder *m, struct disk *disk, const char *folder);
void memory_done(struct memory_folder *m);
struct memory_file *memory_find(struct memory_folder *m, const char *path);
struct memory_file *memory_add(struct memory_folder *m, const char *path);
void memory_remove(struct memory_folder *m, const char *path);
struct domicile_source memory_source(struct memory_folder *m);
/* Verifies `m` with the key (or none when NULL) and a kept checkpoint (or none). */
enum domicile_code memory_verify(struct memory_folder *m, const char *vkey, struct slice since);

#endif
