/* Writers: several workers that put, overwrite, delete, copy and complete multipart uploads, each
 * on keys of its own, and record every operation. Shared by write (any failure counts) and
 * crash-writer (failures are expected). */
#ifndef DOMICILE_LOAD_WRITER_H
#define DOMICILE_LOAD_WRITER_H

#include "journal.h"
#include "session.h"

/* Whose data is written, and where. */
struct writer_subject {
  const char *subject; /* "" when the bucket has none */
  const char *country; /* "" when none is sent */
  const char *bucket;
  const char *prefix; /* keys begin with it */
};

/* States in which an operation can meet its subject, by the answer's x-domicile-met. */
enum writer_met {
  WRITER_HOME,      /* no move in sight */
  WRITER_COPYING,   /* journaled during COPYING */
  WRITER_HELD,      /* held at the fence, then done */
  WRITER_FORWARDED, /* sent on to the new home, or to the home by a gateway */
  WRITER_UNSAID,    /* the answer said nothing */
  WRITER_MET_COUNT
};
const char *writer_met_name(enum writer_met met);
enum writer_met writer_met_of(const char *header);

struct writer_config {
  struct session *session; /* workers use its first endpoint; borrowed, as all below */
  struct journal *journal;
  const struct writer_subject *subjects;
  size_t subject_count;
  const struct flag_list *kinds; /* folders under the prefix, e.g. "notes"; may be empty */
  size_t keys_each;              /* keys of one worker under one subject */
  bool tolerant;                 /* log intents before; outlive lost connections and refusals */
  uint64_t rate;                 /* operations a second of all workers; 0: as fast as it goes */
  uint64_t duration_ms;          /* 0: no end by time */
  uint64_t ops_max;              /* 0: no end by number */
  const char *stop_file;         /* ends when this exists; NULL: none */
  const char *status_file;       /* counts are kept here, one line; NULL: none */
  uint64_t run_id;               /* makes ids and values of this run unlike all others' */
};

struct writer_counts {
  atomic_ullong done[RECORD_OP_COUNT]; /* acknowledged */
  atomic_ullong met[WRITER_MET_COUNT]; /* acknowledged, by the state they met */
  atomic_ullong failed;                /* 5xx or no answer */
  atomic_ullong refused;               /* 4xx */
};

/* Runs until an end of the config or load_stop. Uploads still open are completed at the end.
 * Returns: false when the journal or memory failed; what was written is then not fully known. */
bool writer_run(const struct writer_config *config, struct writer_counts *counts);

/* "ops=… failed=… refused=… home=… copying=… held=… forwarded=… unsaid=… put=…", no newline. */
void writer_counts_print(const struct writer_counts *counts, struct buf *out);

#endif
