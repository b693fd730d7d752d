/* Traces: what the parts of a search for a subject's remains share. */
#ifndef DOMICILE_STORE_LOCAL_TRACES_H
#define DOMICILE_STORE_LOCAL_TRACES_H

#include "store/local/engine.h"

struct traces {
  const struct store_traces_options *o;
  bool *alive; /* the token has a key in the vault under some epoch */
  struct store_traces_report report;
};
/* Counts one; the first of its kind leaves its place. */
void traces_note(struct traces *t, enum store_trace kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void traces_progress(const struct traces *t, const char *stage, uint64_t done, uint64_t total);

/* Byte strings to be searched for together, at about a gigabyte a second whatever their number. */
struct scan;
/* Needles are borrowed; each has SCAN_NEEDLE_MIN bytes or more. NULL without memory. */
struct scan *scan_new(const struct slice *needles, size_t count);
void scan_free(struct scan *s); /* NULL is allowed */
enum { SCAN_NEEDLE_MIN = 8, SCAN_NEEDLE_MAX = 4096, SCAN_WINDOW = 1 << 20 };
/* Called with the needle's number and where it begins in what is searched. */
typedef void (*scan_hit_fn)(void *arg, size_t needle, uint64_t offset);
/* All needles that begin in bytes[0, starts) and lie whole in `bytes`; `offset` is that of its first byte. */
void scan_bytes(const struct scan *s, struct slice bytes, size_t starts, uint64_t offset, scan_hit_fn fn,
                void *arg);
/* Every file of the data folder, in windows. DOM_IO, DOM_NO_MEMORY. */
enum dom_code traces_scan_files(struct traces *t, struct dom_err *err);

#endif
