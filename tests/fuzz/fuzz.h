/* What the fuzz targets share. A target is one function over bytes that nobody vouches for; it
 * asserts more than "no crash": the same reading however the bytes are cut, print and parse back,
 * outputs left alone on failure. Choices that a target makes (where to cut, what to change) are
 * drawn from the input itself, so that a finding is one file and replays for ever. */
#ifndef DOMICILE_TESTS_FUZZ_H
#define DOMICILE_TESTS_FUZZ_H

#include <assert.h>

#include "base/bytes.h"

/* The target. Source: LLVM, libFuzzer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Numbers that follow from an input: FNV-1a into splitmix64. */
struct fuzz_random {
  uint64_t state;
};
struct fuzz_random fuzz_random_of(struct slice input);
uint64_t fuzz_random_next(struct fuzz_random *r);
/* 0 … bound - 1; 0 for a bound of 0. */
size_t fuzz_random_below(struct fuzz_random *r, size_t bound);

/* A copy of exactly s.len bytes on the heap, so that AddressSanitizer sees a read past its end. */
uint8_t *fuzz_copy(struct slice s);
void fuzz_free(uint8_t **copy);
#define FUZZ_COPY_AUTO __attribute__((cleanup(fuzz_free))) uint8_t *

/* Reads every byte: what a parser gave out must be memory that lives. */
void fuzz_touch(struct slice s);
/* `part` is empty or lies inside `whole`. */
bool fuzz_inside(struct slice whole, struct slice part);
/* Cuts the next line off *rest, at LF, a CR before it dropped; the last line needs no LF. False at the end.
 */
bool fuzz_line(struct slice *rest, struct slice *out_line);
/* Cuts *rest at its first `mark`, or takes all of it. */
struct slice fuzz_cut(struct slice *rest, struct slice mark);

/* Fills an output with a pattern before a call that must not touch it when it fails. */
void fuzz_mark(void *out, size_t len);
bool fuzz_is_marked(const void *out, size_t len);

#endif
