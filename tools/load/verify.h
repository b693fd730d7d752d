/* Verification: compares what gateways serve with what the oracle allows, object by object and
 * listing by listing.
 *
 * A listing must hold each key that is certainly there, exactly once, in byte order, with an
 * allowed size, and none that is certainly absent or was never written. Where the charter refuses
 * a name that may be there, the whole listing must be refused. */
#ifndef DOMICILE_LOAD_VERIFY_H
#define DOMICILE_LOAD_VERIFY_H

#include "journal.h"
#include "oracle.h"
#include "session.h"

/* What the charter refuses: reads through the gateway `label`, of keys of a country's people
 * that match the pattern. */
struct verify_rule {
  /* "*": any gateway; "!in": any but "in" */
  char label[32];
  /* "*": any */
  char country[8];
  /* as in charters: * within a segment, ** across */
  const char *pattern;
};
/* "LABEL:COUNTRY:PATTERN"; borrows the pattern. Returns: false when malformed. */
bool verify_rule_parse(const char *text, struct verify_rule *out);
/* Whether `pattern` matches the whole of `key`, bytewise. */
bool verify_glob(const char *pattern, struct slice key);

struct verify {
  /* borrowed */
  struct session *session;
  /* borrowed, not changed while tasks run */
  const struct oracle *oracle;
  const struct verify_rule *rules;
  size_t rule_count;
  /* NULL, or where the seen values of uncertain keys are appended */
  struct journal *resolve;
  struct progress progress;
  /* reads that gave an allowed value */
  atomic_ullong identical;
  /* reads that gave the 404 they should */
  atomic_ullong absent;
  /* reads and listings that gave the 451 they should */
  atomic_ullong refused;
  /* reads of keys with operations of unknown outcome, all allowed */
  atomic_ullong unsettled;
  /* listings equal to the expectation */
  atomic_ullong listings;
  atomic_ullong mismatches;
};

/* Reads every key through every endpoint of the session.
 * Returns: false when it could not be done; mismatches are counted and the first named. */
bool verify_objects(struct verify *v);
/* Lists every person's prefix in every bucket through every endpoint. Keys without a subject are
 * listed by their whole bucket. Returns: as verify_objects. */
bool verify_listings(struct verify *v);
/* Prints the counts. Returns: LOAD_OK or LOAD_MISMATCH. */
int verify_report(const struct verify *v);

/* Reads a journal into the oracle; `out_text` holds what the oracle borrows.
 * Returns: false after a complaint. */
bool verify_read_journal(const char *path, struct oracle *o, struct buf *out_text);

#endif
