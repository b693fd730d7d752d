/* History: what clients did to one key, and whether some order of it explains what they were told.
 *
 * Glossary
 *   operation   one call of one client: from `began` to `ended`, two moments of one counter
 *   id          every write has one of its own, so a value that is read names the write it came from
 *   outcome     what the client was told; of one without an answer, nothing is known: it may have happened
 *               at any later moment, or not at all
 *   state       what the key holds: its versions and delete markers, newest first, and its open uploads
 *
 * A history is linearizable when each operation can be given one moment between its two, such that a key on
 * one machine, used by one client at a time, would have given the same answers (Herlihy and Wing 1990). The
 * search is that of Wing and Gong (1993), with the memory of Lowe (2017): a set of finished operations and
 * the state that they left are looked at once. */
#ifndef DOMICILE_TESTS_SIM_HISTORY_H
#define DOMICILE_TESTS_SIM_HISTORY_H

#include "base/bytes.h"

enum {
  HISTORY_OPS_MAX = 128,     /* of one key: the set of finished ones is two words */
  HISTORY_VERSIONS_MAX = 40, /* of one key at one time; plans write less to a key */
  HISTORY_UPLOADS_MAX = 4,
  HISTORY_PARTS_MAX = 3
};

/* A version or delete marker as it is seen or held. */
struct history_version {
  uint32_t id;   /* of the operation that wrote it; 0 in what was read: a marker that nobody was told of */
  uint32_t meta; /* of the operation that last gave it metadata; 0 for a marker */
  bool is_null, is_marker;
};

struct history_upload {
  uint32_t id;                      /* of the operation that began it */
  uint32_t part[HISTORY_PARTS_MAX]; /* of the operation that wrote part i + 1; 0: not there */
};

/* All of one key. Uploads stand in the order of their ids. */
struct history_state {
  uint32_t version_count, upload_count;
  struct history_version version[HISTORY_VERSIONS_MAX];
  struct history_upload upload[HISTORY_UPLOADS_MAX];
};

enum history_kind {
  HISTORY_PUT,      /* writes a version: the null one, or a new one beside what is there */
  HISTORY_MARK,     /* puts a delete marker, null or not */
  HISTORY_REMOVE,   /* removes version `target` for good, or, with is_null, the null version whatever it is */
  HISTORY_AMEND,    /* other metadata (tags, locks, holds) for version `target`; NOT_FOUND when it is gone */
  HISTORY_GET,      /* the current version: seen.version[0], or NOT_FOUND */
  HISTORY_LIST,     /* all there is: seen */
  HISTORY_BEGIN,    /* begins an upload */
  HISTORY_PART,     /* part number `part` of upload `target` */
  HISTORY_COMPLETE, /* upload `target` with exactly `parts` becomes a version */
  HISTORY_ABORT     /* upload `target` goes */
};

enum history_outcome {
  HISTORY_UNKNOWN,   /* no answer, or one that says nothing */
  HISTORY_OK,        /* done */
  HISTORY_NOT_FOUND, /* the key, version or upload is not there */
  HISTORY_NOT_MET    /* the condition, or the part, is not what was asked for: nothing was done */
};

enum history_condition { HISTORY_ALWAYS, HISTORY_IF_ABSENT, HISTORY_IF_MATCH };

struct history_op {
  uint64_t began, ended; /* `ended` counts only with an answer */
  uint32_t id;           /* of a write: not 0, and no other's */
  enum history_kind kind;
  enum history_outcome outcome;
  enum history_condition condition; /* of PUT and COMPLETE */
  uint32_t match;                   /* IF_MATCH: the current version is the one with this id */
  uint32_t target;
  bool is_null;
  uint32_t part;                     /* from 1 */
  uint32_t parts[HISTORY_PARTS_MAX]; /* of COMPLETE */
  const struct history_state *seen;  /* of GET and LIST */
};

enum history_verdict { HISTORY_GOOD, HISTORY_BAD, HISTORY_TOO_LONG };
/* Whether a key that began empty can have given these answers. TOO_LONG: the search was given up; that is no
 * verdict, and a caller counts it as a failure. *out_stuck (may be NULL): of a bad one, the index of the
 * answered operation that no order reached, in the order that came furthest. */
enum history_verdict history_check(const struct history_op *ops, size_t count, size_t *out_stuck);

#endif
