/* Reading XML: expat behind a narrow door. Internal to the room. */
#ifndef DOMICILE_S3_XMLREAD_H
#define DOMICILE_S3_XMLREAD_H

#include "base/bytes.h"
#include "s3/error.h"

enum {
  /* Text of one element: a key of 1,024 bytes and blanks around; longer is no document of ours. */
  XMLREAD_TEXT_BYTES_MAX = 4096,
  /* Longest path of names, "CompleteMultipartUpload/Part/ChecksumCRC64NVME" and more. */
  XMLREAD_PATH_BYTES_MAX = 256
};

/* Called at the end of every element: its path from the root ("Delete/Object/Key") and the text
 * directly in it. Borrowed for the call. Anything but S3_OK ends the reading with that error. */
typedef enum s3_error xmlread_element(void *context, struct slice path, struct slice text);

/* Reads one document of at most `bytes_max` bytes whose root is `root`.
 * Returns: S3_OK; S3_ERR_MALFORMED_XML (not well-formed, another root, a DTD, too deep, too long a text);
 * S3_ERR_MAX_MESSAGE_LENGTH; S3_ERR_INTERNAL_ERROR (no memory); or what `element` returned. */
enum s3_error xmlread_document(struct slice body, size_t bytes_max, const char *root,
                               xmlread_element *element, void *context);

#endif
