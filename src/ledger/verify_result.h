/* Inside of the verifier library: its objects, and how findings are recorded. */
#ifndef DOMICILE_LEDGER_VERIFY_RESULT_H
#define DOMICILE_LEDGER_VERIFY_RESULT_H

#include "domicile/verify.h"
#include "ledger/note.h"

enum { VERIFIER_KEYS_MAX = 64 /* more regions than a charter is likely to name */ };

/* What the caller trusts. `since` keeps the text: its signature is checked with the keys that
 * are there when something is verified, in whatever order both were given. */
struct domicile_verifier {
  struct note_key keys[VERIFIER_KEYS_MAX];
  size_t key_count;
  struct buf since; /* empty = none */
};

/* What was found. `code` only ever gets worse: verified, unauthenticated, then the first thing
 * found wrong. `text` and `event` end in a NUL after result_end. */
struct domicile_result {
  enum domicile_code code;
  struct buf text;
  struct buf event;
  char origin[LEDGER_ORIGIN_MAX + 1];
  char root[2 * MERKLE_HASH + 1];
  uint64_t size, index;
};

/* A result that so far holds nothing against anything; NULL without memory. */
struct domicile_result *result_new(void);
/* Adds a line of words; no newline in `format`. A line without memory is noticed by
 * result_end. */
void result_say(struct domicile_result *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Records a finding with a line of words and returns false, so that checks can be chained with
 * && and stop at the first one. The first finding gives the code. */
bool result_fail(struct domicile_result *r, enum domicile_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Ends a result before it goes to the caller: one without memory becomes DOMICILE_FAILED, one
 * without a key says so. Returns its argument. */
struct domicile_result *result_end(struct domicile_result *r);

/* Reads a checkpoint's text and checks its signature with the verifier's keys; without keys
 * the result turns DOMICILE_UNAUTHENTICATED. `what` names it in the words. */
bool verify_head(const struct domicile_verifier *v, struct domicile_result *r, struct slice text,
                 const char *what, struct checkpoint *out);

#endif
