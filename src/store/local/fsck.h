/* Fsck: what its parts share. */
#ifndef DOMICILE_STORE_LOCAL_FSCK_H
#define DOMICILE_STORE_LOCAL_FSCK_H

#include "store/local/engine.h"

struct fsck {
  struct store_options o;
  struct vault *vault;
  store_finding_fn found; /* may be NULL */
  store_progress_fn progress;
  void *arg;
  struct store_fsck_report report;
  bool log_ok;
};
void fsck_find(struct fsck *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fsck_progress(struct fsck *f, const char *stage, uint64_t done, uint64_t total);
/* Every segment: header, batches, records, that each opens under its key, its inline body too. */
enum dom_code fsck_log(struct fsck *f, struct dom_err *err);
/* Every row against the record it names, every body file, files without a row. */
enum dom_code fsck_rows(struct fsck *f, struct store *s, struct dom_err *err);

#endif
