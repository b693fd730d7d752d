/* Export item: one thing of a person as the export tells it. Only serve includes this.
 * Members: docs/formats/export.md. */
#ifndef DOMICILE_SERVE_EXPORT_ITEM_H
#define DOMICILE_SERVE_EXPORT_ITEM_H

#include <jansson.h>

#include "base/arena.h"
#include "subject/subject.h"

/* What one item needs of those before it. */
struct export_teller {
  struct store_view *view;
  struct arena *arena; /* reset for each item */
  uint8_t bucket[STORE_BUCKET_ID_SIZE];
  char name[SUBJECT_BUCKET_NAME_MAX + 1]; /* of that bucket; "" before the first */
};
/* The item as JSON. A body that the region can hand out is named by a `stamp`; of one that its client's key
 * seals nothing but what is kept beside it is told.
 *   *out  the caller's to json_decref
 * Returns: DOM_NO_MEMORY; DOM_CORRUPT, DOM_INCOMPATIBLE metadata that this build cannot tell. Threads: one
 * teller belongs to one at a time. */
enum dom_code export_item(struct export_teller *t, const struct store_item *item, json_t **out,
                          struct dom_err *err);

#endif
