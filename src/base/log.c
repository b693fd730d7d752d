#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

static pthread_mutex_t sink_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
  int fd;
  enum log_level least;
  struct clock *clock;
} sink = {.fd = -1};

void log_init(int fd, enum log_level least, struct clock *clock) {
  assert(fd >= 0);
  assert(clock);
  (void)pthread_mutex_lock(&sink_lock);
  sink.fd = fd;
  sink.least = least;
  sink.clock = clock;
  (void)pthread_mutex_unlock(&sink_lock);
}

/* Length of the longest well-formed UTF-8 sequence at the head of s, 0 for none. */
static size_t utf8_head(struct slice s) {
  assert(s.len > 0);
  for (size_t len = 1; len <= 4 && len <= s.len; len++) {
    if (utf8_valid(slice_of(s.data, len))) return len;
  }
  return 0;
}

/* One character below 0x20, or one of " and \. */
static void json_escape(struct buf *out, uint8_t c) {
  switch (c) {
  case '"':
    buf_append_str(out, "\\\"");
    break;
  case '\\':
    buf_append_str(out, "\\\\");
    break;
  case '\n':
    buf_append_str(out, "\\n");
    break;
  case '\r':
    buf_append_str(out, "\\r");
    break;
  case '\t':
    buf_append_str(out, "\\t");
    break;
  default:
    assert(c < 0x20 || c == 0x7f);
    buf_printf(out, "\\u%04x", c);
  }
}

void log_json_string(struct buf *out, struct slice s) {
  assert(out);
  assert(s.data || s.len == 0);
  buf_append_byte(out, '"');
  for (size_t i = 0; i < s.len;) {
    uint8_t c = s.data[i];
    if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f) {
      json_escape(out, c);
      i++;
      continue;
    }
    size_t len = utf8_head(slice_cut(s, i, s.len));
    if (len == 0) {
      buf_append_str(out, "\xef\xbf\xbd"); /* U+FFFD */
      i++;
    } else {
      buf_append(out, s.data + i, len);
      i += len;
    }
  }
  buf_append_byte(out, '"');
}

static void put_member(struct buf *line, const char *name, const char *text) {
  assert(name);
  assert(text);
  buf_append_byte(line, ',');
  log_json_string(line, slice_str(name));
  buf_append_byte(line, ':');
  log_json_string(line, slice_str(text));
}

static void put_line(struct buf *line, enum log_level level, const char *room, const char *request,
                     const char *message, const struct log_field *fields) {
  static const char *const level_names[] = {"debug", "info", "warn", "error"};
  assert(sink.clock);
  char stamp[25];
  time_rfc3339(clock_wall_ms(sink.clock), stamp);
  buf_printf(line, "{\"time\":\"%s\"", stamp);
  put_member(line, "level", level_names[level]);
  put_member(line, "room", room);
  if (request[0]) put_member(line, "request", request);
  put_member(line, "message", message);
  for (; fields && fields->name; fields++) {
    if (fields->text) {
      put_member(line, fields->name, fields->text);
    } else {
      buf_append_byte(line, ',');
      log_json_string(line, slice_str(fields->name));
      buf_printf(line, ":%lld", (long long)fields->number);
    }
  }
  buf_append_str(line, "}\n");
}

void log_event(enum log_level level, const char *room, const char *request, const char *message,
               const struct log_field *fields) {
  assert((unsigned)level <= LOG_ERROR);
  assert(room);
  assert(request);
  assert(message);
  (void)pthread_mutex_lock(&sink_lock);
  if (sink.fd >= 0 && level >= sink.least) {
    BUF_AUTO line = BUF_INIT;
    put_line(&line, level, room, request, message, fields);
    /* Without memory the line is lost: there is nobody left to tell. */
    for (size_t done = 0; !line.failed && done < line.len;) {
      ssize_t len = TEMP_FAILURE_RETRY(write(sink.fd, line.data + done, line.len - done));
      if (len <= 0) break;
      done += (size_t)len;
    }
  }
  (void)pthread_mutex_unlock(&sink_lock);
}
