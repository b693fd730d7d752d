/* Writes a ledger with receipts, its vkey and an older checkpoint into a folder, for checkers
 * that nobody here wrote. Usage: ledger_sample DIR. */
#include <stdio.h>
#include <stdlib.h>

#include "support.h"

enum { KEPT = 77, SIZE = 66200 /* into the second level of tiles */, RECEIPT_STEP = 9001 };

static void put(struct disk *disk, const char *path, struct buf *content) {
  if (disk_replace_file(disk, path, buf_slice(content), NULL) != DOM_OK) exit(1);
}

static void put_receipt(struct disk *disk, struct ledger *ledger, uint64_t n) {
  uint8_t entry[LEDGER_ENTRY_SIZE], opening[LEDGER_OPENING_SIZE];
  BUF_AUTO payload = BUF_INIT, text = BUF_INIT;
  char path[64];
  make_entry(n, entry, opening, &payload);
  if (ledger_receipt(ledger, n, opening, buf_slice(&payload), &text, NULL) != DOM_OK) exit(1);
  snprintf(path, sizeof path, "%llu.tlog-proof", (unsigned long long)n);
  put(disk, path, &text);
}

int main(int argc, char **argv) {
  struct disk *disk;
  struct ledger *ledger;
  struct dom_err err = {.code = DOM_OK};
  BUF_AUTO vkey = BUF_INIT, kept = BUF_INIT;
  if (argc != 2 || disk_posix_open(argv[1], &disk, &err) != DOM_OK) return 2;
  enum dom_code code = ledger_open(disk, "ledger", ORIGIN, SEED, &ledger, &err);
  if (code == DOM_OK) code = append_range(ledger, 0, KEPT, &err);
  if (code == DOM_OK) ledger_checkpoint(ledger, &kept);
  for (uint64_t n = KEPT; code == DOM_OK && n < SIZE; n = ledger_size(ledger))
    code = append_range(ledger, n, SIZE - n < 3000 ? (size_t)(SIZE - n) : 3000, &err);
  if (code != DOM_OK) {
    fprintf(stderr, "%s: %s\n", argv[1], err.text);
    return 1;
  }
  vkey_of(SEED, &vkey);
  put(disk, "vkey", &vkey);
  put(disk, "kept", &kept);
  for (uint64_t n = 0; n < SIZE; n += RECEIPT_STEP) put_receipt(disk, ledger, n);
  put_receipt(disk, ledger, SIZE - 1);
  ledger_close(ledger);
  disk_posix_close(disk);
  return 0;
}
