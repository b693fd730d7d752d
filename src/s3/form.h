/* Forms of browsers: multipart/form-data with fields and one file, read piece by piece.
 *
 * The reader keeps no bytes: it is shown what has come, says how much of it it has taken, and is shown the
 * rest again, with more after it. So whoever reads decides about memory, and a form means the same however
 * its bytes arrive. Pure. Threads: one reader, one thread.
 *
 * Glossary
 *   boundary   the text between parts, named by the head's Content-Type
 *   part       lines of a small head, an empty line, and bytes up to the next boundary
 *   field      a part that is not the file: a name and a value
 *   file       the part called "file"; what comes after it is looked through and ignored, as S3 does
 * Source: RFC 7578, RFC 2046 §5.1.1; AWS S3 API reference, "POST Object", "Creating an HTML form". */
#ifndef DOMICILE_S3_FORM_H
#define DOMICILE_S3_FORM_H

#include "auth/auth.h"
#include "base/arena.h"
#include "s3/error.h"

enum {
  S3_FORM_BOUNDARY_MAX = 70,            /* RFC 2046 §5.1.1 */
  S3_FORM_FIELDS_BYTES_MAX = 20 * 1024, /* S3's: all that precedes the file's first byte */
  S3_FORM_TAIL_BYTES_MAX = 20 * 1024,   /* what follows the file and means nothing: as much again */
  S3_FORM_FIELDS_MAX = 128              /* S3 knows about 40, the rest is user metadata */
};

enum s3_form_kind {
  S3_FORM_MORE,  /* nothing whole yet: show the rest again with more bytes after it */
  S3_FORM_FIELD, /* name and value */
  S3_FORM_FILE,  /* the file begins; value: its name as sent, perhaps empty */
  S3_FORM_DATA,  /* value: next bytes of the file, at least one */
  S3_FORM_END    /* the last boundary has come; said once, then MORE */
};
struct s3_form_event {
  enum s3_form_kind kind;
  struct slice name, value; /* of the bytes that were shown */
};

/* A reader. By value, nothing to free. */
struct s3_form {
  char delimiter[4 + S3_FORM_BOUNDARY_MAX]; /* CR LF "--" and the boundary */
  size_t delimiter_len;
  int state;
  bool has_file;
  size_t taken; /* before the file, or after it */
};

/* A reader for a body of this Content-Type.
 * Returns: S3_OK; S3_ERR_POST_NOT_FORM another type; S3_ERR_MALFORMED_POST no boundary that fits. */
enum s3_error s3_form_begin(struct slice content_type, struct s3_form *out);
/* Takes the next thing off the front of `in`: *out_used of its bytes. Slices of *out borrow from `in`. With
 * MORE, fewer than S3_FORM_FIELDS_BYTES_MAX bytes are left over; within the file fewer than a delimiter has.
 * Returns: S3_OK; S3_ERR_MALFORMED_POST; S3_ERR_MAX_POST_DATA too much before the file; S3_ERR_POST_FILES a
 * second file. */
enum s3_error s3_form_next(struct s3_form *f, struct slice in, size_t *out_used, struct s3_form_event *out);
/* The last boundary has come. False at the end of a body: it is torn. */
bool s3_form_is_done(const struct s3_form *f);

/* The fields of one form, in the order sent. */
struct s3_form_fields {
  struct auth_header item[S3_FORM_FIELDS_MAX]; /* names as sent: compared without regard to case */
  size_t count;
  struct slice file_name; /* what follows the last slash or backslash of the file's name */
};

/* Adds a FIELD, or the name of a FILE, copied into the arena.
 * Returns: S3_OK; S3_ERR_INVALID_ARGUMENT a field twice; S3_ERR_MAX_POST_DATA too many;
 * S3_ERR_INTERNAL_ERROR no memory. */
enum s3_error s3_form_add(struct s3_form_fields *fields, const struct s3_form_event *event,
                          struct arena *arena, struct s3_fault *fault);
/* Puts the file's name for each ${filename}, in every field but the policy.
 * Returns: S3_OK; S3_ERR_MAX_POST_DATA a value grows too long; S3_ERR_INTERNAL_ERROR. */
enum s3_error s3_form_expand(struct s3_form_fields *fields, struct arena *arena);
/* A field's value; data NULL: there is none of that name. */
struct slice s3_form_field(const struct s3_form_fields *fields, const char *name);

#endif
