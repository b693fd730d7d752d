/* Bench steps: what a measurement needs around the engine: objects that are there before it, and
 * whole multipart uploads. They complain about what fails. */
#ifndef DOMICILE_LOAD_BENCH_STEPS_H
#define DOMICILE_LOAD_BENCH_STEPS_H

#include "bench.h"

/* Creates the bucket; ours already is fine. Returns: false after a complaint. */
bool bench_make_bucket(struct client *c, const char *bucket);

/* Puts `objects` objects as `config` names them, whatever its operation, on a few connections.
 * Returns: false after a complaint, also when one was refused. */
bool bench_fill(struct bench_config config, size_t objects);

/* Walks the listing of the config's prefix by continuation tokens and counts its keys: a page that is fast
 * because it is short is found out. Returns: false after a complaint unless there are exactly `objects`. */
bool bench_walk(struct client *c, const struct bench_config *config, size_t objects);

/* Uploads one object in config->objects equal parts, each the config's payload, on its connections, and
 * completes it. *out counts parts; its time is that of the whole upload, first request to last answer.
 * Returns: false after a complaint, also when a part was refused. */
bool bench_upload(struct client *c, struct bench_config config, struct bench_result *out);

/* Removes one object. Returns: false after a complaint. */
bool bench_remove(struct client *c, const struct bench_config *config);

#endif
