/* Writing XML. Internal to the room; element names are ours, contents are anybody's. */
#ifndef DOMICILE_S3_XML_H
#define DOMICILE_S3_XML_H

#include "auth/auth.h"
#include "base/bytes.h"

#define XML_S3_NAMESPACE "http://s3.amazonaws.com/doc/2006-03-01/"

/* The XML declaration. */
void xml_begin(struct buf *out);
void xml_open(struct buf *out, const char *name);
/* As xml_open, with S3's namespace: for a document's root. */
void xml_open_root(struct buf *out, const char *name);
void xml_close(struct buf *out, const char *name);

/* Appends text so that a parser gives back the same bytes, except those that XML 1.0 §2.2 cannot
 * carry at all (most control characters, U+FFFE, U+FFFF, broken UTF-8): each becomes U+FFFD, so
 * that the document stays readable. A client that needs such names asks for encoding-type=url. */
void xml_escape(struct buf *out, struct slice text);

/* <name>text</name>, escaped. */
void xml_text(struct buf *out, const char *name, struct slice text);
void xml_u64(struct buf *out, const char *name, uint64_t value);
void xml_bool(struct buf *out, const char *name, bool value);
/* 2026-12-31T23:59:59.123Z. */
void xml_time(struct buf *out, const char *name, uint64_t wall_ms);
/* Text percent-encoded when `url` (S3's encoding-type), else escaped. */
void xml_key(struct buf *out, const char *name, struct slice key, bool url);

/* <ChecksumCRC32>base64</ChecksumCRC32>, by the digest's kind; with "-N" where it is composite, of `parts`
 * parts (0: it is not). */
void xml_checksum(struct buf *out, const struct auth_digest *digest, uint32_t parts);
/* <ChecksumType>. */
void xml_checksum_type(struct buf *out, bool is_composite);

#endif
