/* Parameters in the query. Internal to the room. */
#ifndef DOMICILE_S3_PARAMS_H
#define DOMICILE_S3_PARAMS_H

#include "auth/auth.h"
#include "s3/request.h"

/* Reads what request->op takes from the query: listing parameters, upload id and part number,
 * response overrides. Returns: S3_OK; S3_ERR_INVALID_ARGUMENT with the parameter as the fault's detail;
 * S3_ERR_NO_SUCH_UPLOAD (an upload id that cannot be one of ours). */
enum s3_error params_parse(const struct auth_query *query, struct s3_request *request,
                           struct s3_fault *fault);

#endif
