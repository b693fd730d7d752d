/* Logging sink: one JSON object a line on stderr. Only `serve` and `cli` call log_event; other
 * rooms return errors. Never pass personal data (subject ids, object names, contents): use
 * tokens. Threads: any; lines are written whole. */
#ifndef DOMICILE_BASE_LOG_H
#define DOMICILE_BASE_LOG_H

#include "base/clock.h"

/* Levels, least first: for developers; what happened; what an operator should look at; what
 * failed. */
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* One field; text XOR number. Everything is borrowed for the call. */
struct log_field {
  const char *name; /* NULL ends a list */
  const char *text; /* NULL: number is meant */
  int64_t number;
};

/* From now on lines of level `least` and above go to `fd`, stamped by `clock`; both are borrowed
 * until the next log_init. Before the first one nothing is written. */
void log_init(int fd, enum log_level least, struct clock *clock);
/* Writes one line: time (RFC 3339, UTC, milliseconds), level, room, request, message, the fields.
 * `request` is the request id ("" for none); fields may be NULL and end with {0}. A line that
 * cannot be built or written is lost: logging never fails its caller. */
void log_event(enum log_level level, const char *room, const char *request, const char *message,
               const struct log_field *fields);
/* LOG_FIELDS({"name", "text", 0}, {"name", NULL, 5}) makes such a list in place. */
#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__, {0}})
/* Appends s as a JSON string with quotes (RFC 8259 §7); each byte that is not part of well-formed
 * UTF-8 becomes U+FFFD. Sticky failure as in bytes.h. */
void log_json_string(struct buf *out, struct slice s);

#endif
