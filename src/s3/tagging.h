/* Tags of an object: in a header, in a document, and in the order in which they are kept. The document's form
 * is that of a bucket's tags (config.h). Pure. Threads: any.
 * Source: AWS S3 API reference, PutObjectTagging, PutObject; S3 user guide, "Categorizing your storage using
 * tags". */
#ifndef DOMICILE_S3_TAGGING_H
#define DOMICILE_S3_TAGGING_H

#include "s3/config.h"

/* PutObjectTagging's document: at most S3_OBJECT_TAGS_MAX, ascending by key in *out. Codes as s3_tags_parse;
 * S3_ERR_INVALID_TAG also for a character that S3 does not let stand in a tag. */
enum s3_error s3_object_tags_parse(struct slice body, struct arena *arena, struct s3_tags *out);
/* x-amz-tagging: "key=value&key=value", form-encoded; empty: no tags. Slices of *out lie in the arena.
 * Returns: S3_ERR_INVALID_ARGUMENT another form, no UTF-8, or a key twice; S3_ERR_INVALID_TAG;
 * S3_ERR_INTERNAL_ERROR (no memory). */
enum s3_error s3_object_tags_header(struct slice text, struct arena *arena, struct s3_tags *out);

#endif
