/* Jobs: the durable move of many subjects. Only the move room includes this. */
#ifndef DOMICILE_MOVE_JOB_H
#define DOMICILE_MOVE_JOB_H

#include "move/move_internal.h"

void job_encode(const struct move_job_status *job, struct buf *out);
enum dom_code job_decode(struct slice value, struct move_job_status *out, struct dom_err *err);
enum dom_code job_put(struct mover *m, const struct move_job_status *job, struct dom_err *err);
enum dom_code job_get(struct mover *m, uint64_t id, struct move_job_status *out, struct dom_err *err);
/* DOM_INVALID with what is wrong: shares, country, percentages. */
enum dom_code job_check_spec(struct mover *m, const struct move_spec *spec, struct dom_err *err);
bool job_same_selection(const struct move_spec *a, const struct move_spec *b);
/* The region that the spec's shares give a token: by its hash, so that a rerun splits alike. */
uint16_t job_target(const struct move_spec *spec, const uint8_t token[TOKEN_SIZE]);

/* Held times in powers of √2 of a millisecond, for a percentile without keeping every value. */
enum { HELD_BUCKETS = 40 };
struct held_histogram {
  uint64_t count[HELD_BUCKETS], total;
};
void held_add(struct held_histogram *h, uint64_t ms);
uint64_t held_p99(const struct held_histogram *h); /* upper border of the bucket, ms; 0 when empty */

#endif
