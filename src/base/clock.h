/* Clock: wall time is data (stamps), monotonic time drives timers; both can be simulated.
 * Threads: the posix clock any, a simulated one the thread that advances it. */
#ifndef DOMICILE_BASE_CLOCK_H
#define DOMICILE_BASE_CLOCK_H

#include "base/bytes.h"

struct clock;
/* What a clock can do; used through the calls below. */
struct clock_ops {
  uint64_t (*wall_ms)(struct clock *c);           /* since 1970-01-01 UTC, never negative */
  uint64_t (*mono_ns)(struct clock *c);           /* never goes back; its zero means nothing */
  void (*sleep_ms)(struct clock *c, uint64_t ms); /* simulated: advances the clock */
};
struct clock {
  const struct clock_ops *ops;
};
/* Milliseconds since 1970-01-01 UTC; may jump either way. Never orders events. */
static inline uint64_t clock_wall_ms(struct clock *c) {
  return c->ops->wall_ms(c);
}
/* Nanoseconds since some fixed moment; for deadlines and durations. */
static inline uint64_t clock_mono_ns(struct clock *c) {
  return c->ops->mono_ns(c);
}
/* Waits that long, signals notwithstanding; a simulated clock advances and returns. */
static inline void clock_sleep_ms(struct clock *c, uint64_t ms) {
  c->ops->sleep_ms(c, ms);
}

/* The system's clocks. Process-wide, not freed. */
struct clock *clock_posix(void);
/* A clock that stands still until it is advanced. Released with clock_sim_free.
 * Threads: each may read it, sleep on it and advance it; the wall time and the monotonic time move one after
 * the other. Returns: NULL without memory. */
struct clock *clock_sim_new(uint64_t wall_ms);
/* Both times go on by `ms`. */
void clock_sim_advance(struct clock *c, uint64_t ms);
void clock_sim_jump_wall(struct clock *c, int64_t ms); /* wall only, as NTP or an operator does */
void clock_sim_free(struct clock *c);                  /* NULL is allowed */

/* Formats. All UTC, all without setlocale. Times past the year 9999 are written as its last
 * millisecond. Parsers take the whole slice or nothing, and no year before 1970.
 * Returns (all parsers): DOM_OK, DOM_INVALID for another form or a date that does not exist. */
void time_rfc3339(uint64_t wall_ms, char out[25]); /* 2026-12-31T23:59:59.123Z + NUL */
void time_http(uint64_t wall_ms, char out[30]); /* Thu, 31 Dec 2026 23:59:59 GMT + NUL (RFC 9110 §5.6.7) */
/* The three forms of RFC 9110 §5.6.7: IMF-fixdate, RFC 850 (years 70 to 99 are 19xx), asctime.
 * The weekday must be one, but need not be the right one. */
enum dom_code time_parse_http(struct slice s, uint64_t *out_ms);
enum dom_code time_parse_amz(struct slice s, uint64_t *out_ms); /* 20261231T235959Z */
/* A bare date YYYY-MM-DD; yields the first millisecond of that day, UTC. DOM_INVALID. */
enum dom_code time_parse_date(struct slice s, uint64_t *out_ms);

#endif
