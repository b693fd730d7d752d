#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

static const char *const code_names[DOM_CODE_COUNT] = {
    [DOM_OK] = "ok",
    [DOM_NOT_FOUND] = "not-found",
    [DOM_EXISTS] = "exists",
    [DOM_INVALID] = "invalid",
    [DOM_TOO_LARGE] = "too-large",
    [DOM_IO] = "io",
    [DOM_NO_SPACE] = "no-space",
    [DOM_NO_MEMORY] = "no-memory",
    [DOM_CORRUPT] = "corrupt",
    [DOM_INCOMPATIBLE] = "incompatible",
    [DOM_BUSY] = "busy",
    [DOM_RETRY] = "retry",
    [DOM_STALE_EPOCH] = "stale-epoch",
    [DOM_FENCED] = "fenced",
    [DOM_ELSEWHERE] = "elsewhere",
    [DOM_REFUSED] = "refused",
    [DOM_DENIED] = "denied",
    [DOM_UNAVAILABLE] = "unavailable",
    [DOM_TIMEOUT] = "timeout",
    [DOM_READ_ONLY] = "read-only",
    [DOM_CANCELLED] = "cancelled",
};

/* What is neither printable UTF-8 nor a line end becomes '?': parts of it came from other machines, or were
 * cut. */
static void clean(char *text) {
  for (size_t i = 0; text[i];) {
    size_t len = 1, left = strnlen(text + i, 4);
    bool control = ((uint8_t)text[i] < 0x20 && text[i] != '\n') || text[i] == 0x7f;
    while (len < left && !utf8_valid(slice_of(text + i, len))) len++;
    if (control || !utf8_valid(slice_of(text + i, len))) {
      text[i] = '?';
      len = 1;
    }
    i += len;
  }
}

enum dom_code dom_fail(struct dom_err *err, enum dom_code code, const char *where, const char *format, ...) {
  int saved_errno = errno;
  assert(code > DOM_OK);
  assert(code < DOM_CODE_COUNT);
  assert(where);
  assert(format);
  if (err && err->code == DOM_OK) {
    err->code = code;
    err->sys_errno = code == DOM_IO || code == DOM_NO_SPACE ? saved_errno : 0;
    err->where = where;
    va_list args;
    va_start(args, format);
    if (vsnprintf(err->text, sizeof err->text, format, args) < 0) err->text[0] = 0;
    va_end(args);
    clean(err->text);
  }
  errno = saved_errno;
  return code;
}

static enum dom_code code_of_errno(int sys_errno) {
  switch (sys_errno) {
  case ENOSPC:
  case EDQUOT:
    return DOM_NO_SPACE;
  case ENOENT:
    return DOM_NOT_FOUND;
  case EEXIST:
    return DOM_EXISTS;
  case ENOMEM:
    return DOM_NO_MEMORY;
  case EWOULDBLOCK:
    return DOM_BUSY;
  default:
    return DOM_IO;
  }
}

enum dom_code dom_fail_errno(struct dom_err *err, int sys_errno, const char *where, const char *what) {
  assert(sys_errno > 0);
  assert(what);
  char reason[128];
  errno = sys_errno;
  /* The GNU strerror_r is thread-safe and may return a static text instead of `reason`. */
  const char *text = strerror_r(sys_errno, reason, sizeof reason);
  errno = sys_errno;
  return dom_fail(err, code_of_errno(sys_errno), where, "%s: %s", what, text);
}

const char *dom_code_name(enum dom_code code) {
  /* A code may come from another region's answer, so an unknown one is no mistake of ours. */
  if ((unsigned)code >= DOM_CODE_COUNT) return "unknown";
  assert(code_names[code]);
  return code_names[code];
}
