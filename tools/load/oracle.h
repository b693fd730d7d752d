/* Oracle: what each key must hold after a history of operations.
 *
 * Per key it keeps the last certain value and the values of operations whose outcome is unknown
 * since then. An acknowledged operation makes its value certain and settles the unknown ones
 * before it; one refused with a 4xx, or never sent, had no effect; one without an answer, or with a 5xx, may
 * or may not have taken effect, whole. A key has at most one operation in flight at a time, so the records of
 * one key are in its true order.
 *
 * Why a check settles what it saw: of two possible values the store holds one; if it answers with
 * the other later, without a write between, that is a fault which a check of each moment alone
 * would miss. Hence the records of kind O.
 *
 * Threads: apply from one thread; find, allows and certain from any number while nobody applies. */
#ifndef DOMICILE_LOAD_ORACLE_H
#define DOMICILE_LOAD_ORACLE_H

#include "record.h"

struct oracle_maybe {
  struct value value;
  /* of the operation */
  const char *id;
};

struct oracle_key {
  const char *subject;
  const char *country;
  const char *bucket;
  struct slice key;
  /* the last certain one; absent before the first */
  struct value value;
  struct oracle_maybe *maybes;
  size_t maybe_count;
  /* acknowledged operations */
  uint64_t writes;
};

struct oracle {
  /* in order of first mention */
  struct oracle_key *keys;
  size_t count;
  size_t cap;
  /* hash table of index+1 into keys; 0 is empty */
  uint32_t *slots;
  size_t slot_count;
};

/* An oracle that has heard of no key. */
void oracle_init(struct oracle *o);
/* Frees the states; the records' strings were only borrowed. */
void oracle_done(struct oracle *o);
/* Takes one record into account; borrows its strings until oracle_done.
 * Returns: false without memory. */
bool oracle_apply(struct oracle *o, const struct record *r);
/* The key's state, or NULL when it was never mentioned. Valid until the next oracle_apply. */
struct oracle_key *oracle_find(const struct oracle *o, const char *bucket, struct slice key);

/* Whether the key may hold `seen` now. */
bool oracle_allows(const struct oracle_key *k, const struct value *seen);
/* Whether only one value is possible. */
bool oracle_certain(const struct oracle_key *k);

#endif
