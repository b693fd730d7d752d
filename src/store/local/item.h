/* Loading one item of a subject by its name; for walk, journal and stage. */
#ifndef DOMICILE_STORE_LOCAL_ITEM_H
#define DOMICILE_STORE_LOCAL_ITEM_H

#include "store/local/engine.h"

/* Which item at a place. */
struct item_name {
  enum store_item_kind kind;
  struct slice key;
  struct store_version version; /* OBJECT */
  uint8_t upload[STORE_UPLOAD_ID_SIZE];
  uint32_t part;
};

/* An item and the memory it borrows from. Zero it before first use; it may be reused. */
struct item_state {
  struct store_item item;
  struct buf payload, names, row_key;
  struct record_plain plain;
  struct store_found *found; /* OBJECT: s->item.found */
};
void item_state_done(struct item_state *s);
/* Fills s->item with the state in this view; absent when it is not there. */
enum dom_code item_load(struct store_view *v, const struct store_place *place, const struct item_name *n,
                        struct item_state *s, struct dom_err *err);

/* The stamp of a row: its key and the LSN that first wrote its record. */
void item_stamp(struct slice row_key, uint64_t first_lsn, uint8_t out[SHA256_SIZE]);

/* A walk without a permit check and without loading items, for engine-internal use. */
enum dom_code walk_new(struct store_view *v, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                       struct slice cursor, struct store_walk **out, struct dom_err *err);
/* The next row and its name (memory of the walk, till the next step); *out NULL at the end. */
enum dom_code walk_step(struct store_walk *w, struct item_name *name, const struct index_iter **out,
                        struct dom_err *err);
/* The place of the row given last. */
void walk_place(const struct store_walk *w, struct store_place *out);

#endif
