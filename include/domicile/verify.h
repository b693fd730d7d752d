/* Domicile's verifier library: checks ledgers and receipts offline, trusting nothing but the
 * keys it is given. It links libdomicile's base and ledger parts, libcrypto and libsodium only.
 *
 *   struct domicile_verifier *v = domicile_verifier_new();
 *   domicile_verifier_add_key(v, "example.org/prod/in+1a2b3c4d+AT...");
 *   struct domicile_result *r = domicile_verify_receipt(v, bytes, len);
 *   puts(domicile_result_text(r));
 *   int ok = domicile_result_code(r) == DOMICILE_VERIFIED;
 *
 * What a good result means: the record is what the holder of the key signed, whole and not
 * rewritten. It does not mean that no other record or copy exists.
 *
 * Ownership: what a `_new` or `domicile_verify_…` function returns is freed by the caller with
 * the `_free` function of its type; strings from getters live as long as their result.
 * Threads: one object belongs to one thread at a time; different objects are independent.
 * No function prints, logs, or reaches the network. */
#ifndef DOMICILE_VERIFY_H
#define DOMICILE_VERIFY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Grows when something is added; what is here keeps its meaning. */
#define DOMICILE_VERIFY_VERSION 1

#if defined(__GNUC__)
#define DOMICILE_API __attribute__((visibility("default")))
#else
#define DOMICILE_API
#endif

/* The number is stable; domicile_code_name gives a stable word for each. */
enum domicile_code {
  DOMICILE_VERIFIED = 0,        /* everything holds, and a given key signed it */
  DOMICILE_UNAUTHENTICATED = 1, /* internally consistent, but no key was given */
  DOMICILE_MALFORMED = 2,       /* not in the published format */
  DOMICILE_BAD_SIGNATURE = 3,   /* no given key signed it, or a signature is wrong */
  DOMICILE_BAD_HASH = 4,        /* bytes do not give the signed root */
  DOMICILE_BAD_OPENING = 5,     /* opening or payload are not those of the entry */
  DOMICILE_MISSING = 6,         /* a file that must be there is not, or is short */
  DOMICILE_EXTRA = 7,           /* a file or bytes that do not belong there */
  DOMICILE_REWRITTEN = 8,       /* not a continuation of the checkpoint that was kept */
  DOMICILE_UNSUPPORTED = 9,     /* cannot be answered from what was given */
  DOMICILE_FAILED = 10          /* could not run: memory, or a file could not be read */
};

struct domicile_verifier;
struct domicile_result;

/* The version of the library in use; compare with DOMICILE_VERIFY_VERSION. */
DOMICILE_API int domicile_verify_version(void);

/* A stable lower-case word for a code ("bad-hash"); never NULL. */
DOMICILE_API const char *domicile_code_name(enum domicile_code code);

/* A verifier without keys; NULL without memory. */
DOMICILE_API struct domicile_verifier *domicile_verifier_new(void);
DOMICILE_API void domicile_verifier_free(struct domicile_verifier *verifier); /* NULL is allowed */

/* Trusts one more key, given as a vkey (C2SP signed-note): "<origin>+<key id>+<base64>".
 * Returns: DOMICILE_VERIFIED; DOMICILE_MALFORMED; DOMICILE_FAILED (memory). */
DOMICILE_API enum domicile_code domicile_verifier_add_key(struct domicile_verifier *verifier,
                                                          const char *vkey);

/* Demands that a ledger continues `checkpoint` (the text of one that was kept; copied). Its
 * signature is checked with the keys given when something is verified.
 * Returns: DOMICILE_VERIFIED; DOMICILE_MALFORMED; DOMICILE_FAILED (memory). */
DOMICILE_API enum domicile_code domicile_verifier_since(struct domicile_verifier *verifier,
                                                        const void *checkpoint, size_t len);

/* Where a ledger's files come from. Paths are those of C2SP tlog-tiles ("checkpoint",
 * "tile/0/000.p/20"), relative to the ledger. */
struct domicile_source {
  void *context; /* handed to the functions */
  /* Reads up to `len` bytes from `offset` on; *out_len is less only at the end of the file.
   * Returns: 0; 1 when there is no such file; -1 when it cannot be read. */
  int (*read)(void *context, const char *path, uint64_t offset, void *out, size_t len, size_t *out_len);
  /* Calls `found` with each plain file's path, in any order; NULL where nothing can be listed
   * (HTTP): then files that do not belong there go unnoticed, and the result says so.
   * Stops and returns 1 when `found` returns non-zero. Returns: 0; 1; -1 on failure. */
  int (*list)(void *context, int (*found)(void *arg, const char *path), void *arg);
};

/* Verifies a whole ledger: the checkpoint's form and signature, every entry, every byte of
 * every tile and bundle, older partial tiles, the journal where it is there, no file missing
 * or too many, and the continuation of the kept checkpoint. A ledger that grows meanwhile is
 * verified as of the checkpoint read first. Returns: a result; NULL without memory. */
DOMICILE_API struct domicile_result *domicile_verify_ledger(const struct domicile_verifier *verifier,
                                                            const struct domicile_source *source);

/* Verifies a receipt (tlog-proof@v1 with an opening): form, signature, inclusion, opening.
 * With a kept checkpoint set the answer is DOMICILE_UNSUPPORTED: a receipt alone cannot prove
 * a continuation. Returns: a result; NULL without memory. */
DOMICILE_API struct domicile_result *domicile_verify_receipt(const struct domicile_verifier *verifier,
                                                             const void *bytes, size_t len);

DOMICILE_API void domicile_result_free(struct domicile_result *result); /* NULL is allowed */
/* The first thing found wrong, or DOMICILE_VERIFIED or DOMICILE_UNAUTHENTICATED. */
DOMICILE_API enum domicile_code domicile_result_code(const struct domicile_result *result);
/* What was proved, or what is wrong, in plain words; lines end in a newline. */
DOMICILE_API const char *domicile_result_text(const struct domicile_result *result);
/* Facts, as far as they were read: "" or 0 where not. The root is lower-case hex. */
DOMICILE_API const char *domicile_result_origin(const struct domicile_result *result);
DOMICILE_API uint64_t domicile_result_size(const struct domicile_result *result);
DOMICILE_API const char *domicile_result_root(const struct domicile_result *result);
/* A receipt's entry: its index, and the event in one line of words. */
DOMICILE_API uint64_t domicile_result_index(const struct domicile_result *result);
DOMICILE_API const char *domicile_result_event(const struct domicile_result *result);

#ifdef __cplusplus
}
#endif
#endif
