/* What the store's tests share: a region on a simulated disk, permits that cover anything when
 * not NULL, and one-call versions of common steps. */
#ifndef DOMICILE_TESTS_STORE_HARNESS_H
#define DOMICILE_TESTS_STORE_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "store/store.h"

/* Opaque to the store; the double below says yes to the one that is not NULL. */
struct permit {
  int any;
};
extern const struct permit permit_any;

struct region {
  struct disk *disk, *kek_disk;
  struct clock *clock;
  struct vault_kek *kek;
  struct store *store;
  bool inline_threads;
  uint64_t segment_bytes, reserve_bytes;
};

/* A region on a fresh simulated disk, opened. */
void region_init(struct region *r, uint64_t seed, bool inline_threads);
void region_done(struct region *r);
/* Closes (if open) and opens again; returns the code. */
enum dom_code region_reopen(struct region *r, struct dom_err *err);

/* Removes every index file; the store must be closed. */
void index_wipe(struct region *r);

/* Fills a token with one byte; makes its key and its HOME row under `epoch`. */
void token_of(uint8_t out[TOKEN_SIZE], uint8_t fill);
void subject_home(struct region *r, uint8_t fill, uint64_t epoch);
enum dom_code subject_state(struct region *r, const struct store_subject *s);
struct store_place place_of(uint8_t bucket, uint8_t fill, uint64_t epoch, const char *prefix);

/* Put, get and delete with a view and tx of their own; retry on DOM_RETRY. */
enum dom_code put_bytes(struct region *r, const struct store_place *place, struct slice key,
                        struct slice body, struct dom_err *err);
enum dom_code get_bytes(struct region *r, const struct store_place *place, struct slice key, struct buf *out,
                        struct dom_err *err);
enum dom_code delete_key(struct region *r, const struct store_place *place, struct slice key,
                         struct dom_err *err);
/* "key\n" of each name shown, common prefixes with a leading '+'. Pages of `max`, all of them. */
void list_all(struct region *r, uint8_t bucket, struct slice prefix, struct slice delimiter, uint32_t max,
              struct buf *out);

/* Fails the test with the error's text. */
#define assert_dom_ok(code_, err_)                                                                           \
  do {                                                                                                       \
    enum dom_code c_ = (code_);                                                                              \
    if (c_ != DOM_OK)                                                                                        \
      fail_msg("%s: %s: %s", dom_code_name(c_), (err_).where ? (err_).where : "", (err_).text);              \
  } while (0)

#endif
