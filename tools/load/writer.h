/* Writers: several workers that put, overwrite, delete, copy and complete multipart uploads, each
 * on keys of its own, and record every operation. Shared by write (any failure counts) and
 * crash-writer (failures are expected).
 *
 * A worker owns its keys, so that no two operations on a key overlap and the journal's order is
 * the key's order. Uploads are left open over later operations, so that some are older than a
 * move or a crash. A worker whose answer met a moving person stays with that person for a while,
 * because a fence is short and would be missed by chance alone.
 *
 * Threads: writer_run starts and joins its own; the counts may be read meanwhile. */
#ifndef DOMICILE_LOAD_WRITER_H
#define DOMICILE_LOAD_WRITER_H

#include "journal.h"
#include "session.h"

/* Whose data is written, and where. */
struct writer_subject {
  /* "" when the bucket has none */
  const char *subject;
  /* "" when none is sent */
  const char *country;
  const char *bucket;
  /* keys begin with it */
  const char *prefix;
};

/* States in which an operation can meet its subject, by the answer's x-domicile-met. */
enum writer_met {
  /* no move in sight */
  WRITER_HOME,
  /* journaled during COPYING */
  WRITER_COPYING,
  /* held at the fence, then done */
  WRITER_HELD,
  /* sent on to the new home, or to the home by a gateway */
  WRITER_FORWARDED,
  /* the answer said nothing */
  WRITER_UNSAID,
  WRITER_MET_COUNT
};
/* The header's word for a state; "unsaid" for none. */
const char *writer_met_name(enum writer_met met);
/* The state that an answer's header names; WRITER_UNSAID for an empty or unknown word. */
enum writer_met writer_met_of(const char *header);

struct writer_config {
  /* workers use its first endpoint; borrowed, as all below */
  struct session *session;
  struct journal *journal;
  const struct writer_subject *subjects;
  size_t subject_count;
  /* folders under the prefix, e.g. "notes"; may be empty */
  const struct flag_list *kinds;
  /* keys of one worker under one subject */
  size_t keys_each;
  /* log intents before; outlive lost connections and refusals */
  bool tolerant;
  /* operations a second of all workers; 0: as fast as it goes */
  uint64_t rate;
  /* 0: no end by time */
  uint64_t duration_ms;
  /* 0: no end by number */
  uint64_t ops_max;
  /* ends when this exists; NULL: none */
  const char *stop_file;
  /* counts are kept here, one line; NULL: none */
  const char *status_file;
  /* makes ids and values of this run unlike all others' */
  uint64_t run_id;
};

struct writer_counts {
  /* acknowledged */
  atomic_ullong done[RECORD_OP_COUNT];
  /* acknowledged, by the state they met */
  atomic_ullong met[WRITER_MET_COUNT];
  /* 5xx or no answer */
  atomic_ullong failed;
  /* 4xx */
  atomic_ullong refused;
};

/* Runs until an end of the config or load_stop. Uploads still open are completed at the end.
 * Returns: false when the journal or memory failed; what was written is then not fully known. */
bool writer_run(const struct writer_config *config, struct writer_counts *counts);

/* "ops=… failed=… refused=… home=… copying=… held=… forwarded=… unsaid=… put=…", no newline. */
void writer_counts_print(const struct writer_counts *counts, struct buf *out);

#endif
