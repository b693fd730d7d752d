/* S3: the dialect, pure. Heads in, operations out; results in, XML and headers out. No I/O, no
 * clock, no log; memory is the request's arena or a buf of the caller.
 *
 * The facade of the room.
 *
 * Glossary
 *   operation     what a request asks for (enum s3_op), named as in the AWS S3 API reference
 *   subresource   a query parameter that selects an operation, such as ?uploads
 *   fault         why a head was not understood: an error and the thing it is about
 *   condition     If-Match and its three siblings, for a read, a write or a copy's source
 *   entity tag    MD5 of a simple object; MD5 of part MD5s with "-N" of a multipart one
 *   configuration  a document that a bucket's owner puts, such as ?cors; read strictly, given back
 * canonically lifecycle     rules by which objects and uploads end by themselves page          what one
 * listing answer holds, S3_PAGE_MAX entries at most token         the opaque place where the next page of a
 * V2 listing begins */
#ifndef DOMICILE_S3_S3_H
#define DOMICILE_S3_S3_H

#include "s3/access.h"
#include "s3/attributes.h"
#include "s3/condition.h"
#include "s3/config.h"
#include "s3/cors.h"
#include "s3/customer.h"
#include "s3/document.h"
#include "s3/error.h"
#include "s3/etag.h"
#include "s3/form.h"
#include "s3/form_head.h"
#include "s3/form_policy.h"
#include "s3/lifecycle.h"
#include "s3/limits.h"
#include "s3/listing.h"
#include "s3/lock.h"
#include "s3/meta.h"
#include "s3/name.h"
#include "s3/parts.h"
#include "s3/range.h"
#include "s3/reply.h"
#include "s3/request.h"
#include "s3/result.h"
#include "s3/tagging.h"
#include "s3/version.h"

#endif
