/* A form's fields as the head of a PUT: so that all that describes an object, or protects it, means in a form
 * exactly what it means in a head. Pure. Threads: any. */
#ifndef DOMICILE_S3_FORM_HEAD_H
#define DOMICILE_S3_FORM_HEAD_H

#include "auth/auth.h"
#include "s3/form.h"
#include "s3/request.h"

/* Who signed a form, as its fields claim. Everything is borrowed.
 * Returns: S3_OK, with *out_signed false for a form without policy and signature;
 * S3_ERR_INVALID_ARGUMENT one of the fields that go together is missing; S3_ERR_INVALID_SIGV2. */
enum s3_error s3_form_credential(const struct s3_form_fields *fields, bool *out_signed, struct auth_form *out,
                                 struct s3_fault *fault);

/* Fills key, metadata, checksum, ACL and the like of `request`, a PostObject, from the fields. `*out_head` is
 * the request's head as it counts from here: of `head` only what no field can say (Host, Referer, Origin,
 * User-Agent), since nobody signed the rest, and the fields as headers. Both in the arena.
 * Returns: S3_OK; S3_ERR_INVALID_ARGUMENT no key, another bucket than the head's, or a value that no header
 * can have; S3_ERR_KEY_TOO_LONG; S3_ERR_NOT_IMPLEMENTED an x-amz- field that means nothing here; or as a head
 * is refused. */
enum s3_error s3_form_request(const struct s3_form_fields *fields, const struct auth_request *head,
                              struct arena *arena, struct s3_request *request, struct auth_request *out_head,
                              struct s3_fault *fault);

/* What the client wants to be told. */
struct s3_form_answer {
  unsigned status;       /* 200, 201, 204; 303 with a redirect */
  struct slice redirect; /* an http or https URL; empty: none */
};
/* As S3: an unknown status is 204, an address that is none is left alone. */
struct s3_form_answer s3_form_answer(const struct s3_form_fields *fields);

/* Appends the address of the new object: where a form was sent to, and its key.
 * `host`: the Host field; may be empty. */
void s3_form_location(const struct s3_request *request, struct slice host, bool is_tls, struct buf *out);
/* PostResponse, the body of a 201. `etag` without quotes. */
void s3_form_result(const struct s3_request *request, struct slice location, struct slice etag,
                    struct buf *out);
/* Where a browser is sent: the redirect with bucket, key and entity tag in its query. */
void s3_form_redirect(const struct s3_request *request, struct slice redirect, struct slice etag,
                      struct buf *out);

#endif
