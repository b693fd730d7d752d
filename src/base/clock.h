/* Clock: wall time is data (stamps), monotonic time drives timers; both can be simulated. */
#ifndef DOMICILE_BASE_CLOCK_H
#define DOMICILE_BASE_CLOCK_H

#include "base/bytes.h"

struct clock;
struct clock_ops {
  uint64_t (*wall_ms)(struct clock *c);  /* since 1970-01-01 UTC, never negative */
  uint64_t (*mono_ns)(struct clock *c);
  void (*sleep_ms)(struct clock *c, uint64_t ms); /* simulated: advances the clock */
};
struct clock {
  const struct clock_ops *ops;
};
static inline uint64_t clock_wall_ms(struct clock *c) { return c->ops->wall_ms(c); }
static inline uint64_t clock_mono_ns(struct clock *c) { return c->ops->mono_ns(c); }
static inline void clock_sleep_ms(struct clock *c, uint64_t ms) { c->ops->sleep_ms(c, ms); }

struct clock *clock_posix(void); /* process-wide, not freed */
struct clock *clock_sim_new(uint64_t wall_ms); /* NULL without memory; one thread */
void clock_sim_advance(struct clock *c, uint64_t ms);
void clock_sim_jump_wall(struct clock *c, int64_t ms); /* wall only, as NTP or an operator does */
void clock_sim_free(struct clock *c);

/* Formats. All UTC, all without setlocale. */
void time_rfc3339(uint64_t wall_ms, char out[25]);      /* 2026-12-31T23:59:59.123Z + NUL */
void time_http(uint64_t wall_ms, char out[30]);         /* Thu, 31 Dec 2026 23:59:59 GMT + NUL (RFC 9110 §5.6.7) */
enum dom_code time_parse_http(struct slice s, uint64_t *out_ms);
enum dom_code time_parse_amz(struct slice s, uint64_t *out_ms); /* 20261231T235959Z */
/* A bare date YYYY-MM-DD; yields the first millisecond of that day, UTC. DOM_INVALID. */
enum dom_code time_parse_date(struct slice s, uint64_t *out_ms);

#endif
