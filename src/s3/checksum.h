/* Headers of a request about checksums. Internal to the room. */
#ifndef DOMICILE_S3_CHECKSUM_H
#define DOMICILE_S3_CHECKSUM_H

#include "auth/auth.h"
#include "s3/request.h"

/* Reads x-amz-checksum-…, x-amz-sdk-checksum-algorithm and x-amz-mp-object-size into the request, as its
 * operation takes them. Returns: S3_OK, or as *fault says, S3_ERR_INVALID_REQUEST for most.
 * Source: AWS S3 user guide, "Checking object integrity"; API reference, CreateMultipartUpload. */
enum s3_error checksum_head_parse(const struct auth_request *head, struct s3_request *request,
                                  struct s3_fault *fault);

/* The same once request->meta is read: what the upload that the request begins keeps of it. */
enum s3_error checksum_plan_take(struct s3_request *request, struct s3_fault *fault);

#endif
