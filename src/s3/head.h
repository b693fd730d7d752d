/* Headers of a request that S3 gives a meaning. Internal to the room. */
#ifndef DOMICILE_S3_HEAD_H
#define DOMICILE_S3_HEAD_H

#include "auth/auth.h"
#include "s3/request.h"

/* Reads what request->op takes from the headers. Returns: S3_OK or the error of the first header
 * that is wrong, named by the fault's detail. */
enum s3_error head_parse(const struct auth_request *head, struct arena *arena, struct s3_request *request,
                         struct s3_fault *fault);

#endif
