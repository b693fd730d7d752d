/* Plan: the objects to put, one line each, tab-separated:
 *   subject country bucket key source size sha256
 * The key is percent-encoded; the source is content.h's. Lines "#bucket NAME LAYOUT" say which
 * buckets the plan needs. Beside it lies subjects.txt: subject country bucket prefix. */
#ifndef DOMICILE_LOAD_PLAN_H
#define DOMICILE_LOAD_PLAN_H

#include "base/bytes.h"
#include "content.h"

struct plan_item {
  const char *subject;
  /* two letters */
  const char *country;
  const char *bucket;
  /* decoded */
  struct slice key;
  struct content content;
  uint8_t sha256[DIGEST_SIZE];
};

struct plan {
  /* items borrow from it */
  struct buf text;
  struct plan_item *items;
  size_t count;
};

/* Reads a plan. `plan_done` releases it. Returns: false after a complaint that names the line. */
bool plan_read(const char *path, struct plan *out);
/* Frees the items and the text that they borrow from. A zeroed plan is fine. */
void plan_done(struct plan *p);
/* One line with its newline, appended to `out`. */
void plan_print(const struct plan_item *item, struct buf *out);

struct plan_bucket {
  char *name;
  char *layout;
};
/* Most buckets of one plan. */
#define PLAN_BUCKETS_MAX 8
/* The plan's "#bucket" lines; `text` is a copy of the file's text and is written to.
 * Returns: their number. */
size_t plan_buckets(struct buf *text, struct plan_bucket out[PLAN_BUCKETS_MAX]);

#endif
