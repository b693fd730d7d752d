/* The little XML reading that S3's answers need: named elements, one after another, and their
 * text. Not a validating parser: the answers are made by machines. */
#ifndef DOMICILE_LOAD_XML_H
#define DOMICILE_LOAD_XML_H

#include "base/bytes.h"

/* Finds the first <name>…</name> in *doc that does not nest itself, yields what lies between
 * and moves *doc behind it. Returns: false when there is none. */
bool xml_next(struct slice *doc, const char *name, struct slice *out_inner);
/* As xml_next on a copy of `doc`: its first element of that name. */
bool xml_find(struct slice doc, const char *name, struct slice *out_inner);
/* Appends text with the five predefined entities and character references below U+0080
 * replaced; our listings ask for percent-encoded keys, so others do not occur. */
void xml_text(struct slice inner, struct buf *out);

#endif
