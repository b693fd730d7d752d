/* Errors: one small code crosses rooms, one optional detail record explains it.
 *
 * Rule of the house: functions that can fail return `enum dom_code`; an optional
 * `struct dom_err *err` comes last; the first failure wins (a filled err is never
 * overwritten); outputs (`out_x`) are touched only on success. Programmer mistakes
 * are asserts, and asserts stay on in release builds. */
#ifndef DOMICILE_BASE_ERR_H
#define DOMICILE_BASE_ERR_H

#include <stdbool.h>
#include <stdint.h>

enum dom_code {
  DOM_OK = 0,
  DOM_NOT_FOUND,    /* the named thing does not exist */
  DOM_EXISTS,       /* it exists already */
  DOM_INVALID,      /* the caller's input is malformed; the text says where */
  DOM_TOO_LARGE,    /* a named limit is exceeded */
  DOM_IO,           /* the disk or network failed; sys_errno is set where known */
  DOM_NO_SPACE,     /* the disk is full or below the reserve */
  DOM_NO_MEMORY,    /* an allocation failed */
  DOM_CORRUPT,      /* stored bytes do not verify (CRC, tag, hash) */
  DOM_INCOMPATIBLE, /* a format, feature flag or identity this build must not touch */
  DOM_BUSY,         /* locked or in use by somebody else */
  DOM_RETRY,        /* a guard changed; read again and retry */
  DOM_STALE_EPOCH,  /* the subject's epoch moved on */
  DOM_FENCED,       /* the subject is fenced for a handoff */
  DOM_ELSEWHERE,    /* the subject's home is another region */
  DOM_REFUSED,      /* the charter refuses (451) */
  DOM_DENIED,       /* authentication or authorisation failed (403) */
  DOM_UNAVAILABLE,  /* a peer or the registrar cannot be reached now (503) */
  DOM_TIMEOUT,      /* a deadline passed */
  DOM_READ_ONLY,    /* the region stopped taking writes after a disk failure */
  DOM_CANCELLED,    /* the caller asked to stop */
  DOM_CODE_COUNT
};

/* Longest detail text, with its final NUL; longer text is cut. One line of log: UTF-8 without control
 * characters but line ends, whatever the arguments held. */
#define DOM_ERR_TEXT_MAX 320

struct dom_err {
  enum dom_code code;
  int sys_errno;               /* errno at the failure, or 0 */
  const char *where;           /* static string: room and step, e.g. "store/segment: write" */
  char text[DOM_ERR_TEXT_MAX]; /* for operators; never personal data */
};

/* Fills *err (if not NULL and still empty) and returns `code`. `where` must be a
 * string literal. sys_errno is taken from `errno` only for DOM_IO and DOM_NO_SPACE. */
enum dom_code dom_fail(struct dom_err *err, enum dom_code code, const char *where, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Maps errno to DOM_NO_SPACE (ENOSPC, EDQUOT), DOM_NOT_FOUND (ENOENT), DOM_EXISTS
 * (EEXIST), DOM_NO_MEMORY (ENOMEM), DOM_BUSY (EWOULDBLOCK on locks) or DOM_IO, and
 * fills *err as dom_fail does with the errno's text appended. */
enum dom_code dom_fail_errno(struct dom_err *err, int sys_errno, const char *where, const char *what);

/* Stable lower-case name of a code ("not-found"); never NULL. */
const char *dom_code_name(enum dom_code code);

#endif
