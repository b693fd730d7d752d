/* Logging sink: one JSON object a line on stderr. Only `serve` and `cli` call log_event; other
 * rooms return errors. Never pass personal data (subject ids, object names, contents): use
 * tokens. Threads: any; lines are written whole. */
#ifndef DOMICILE_BASE_LOG_H
#define DOMICILE_BASE_LOG_H

#include "base/clock.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* One field; text XOR number. */
struct log_field {
  const char *name;
  const char *text; /* NULL: number is meant */
  int64_t number;
};

void log_init(int fd, enum log_level least, struct clock *clock);
/* `request` is the request id ("" for none); fields end with {0}. */
void log_event(enum log_level level, const char *room, const char *request, const char *message,
               const struct log_field *fields);
#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__, {0}})
/* Appends s as a JSON string with quotes; invalid UTF-8 becomes U+FFFD. */
void json_string(struct buf *out, struct slice s);

#endif
