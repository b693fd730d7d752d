/* One client's call on its way: what call.c and look.c share. */
#ifndef DOMICILE_TESTS_SIM_CALL_H
#define DOMICILE_TESTS_SIM_CALL_H

#include "sim.h"

struct sim_call {
  struct sim *s;
  size_t op; /* index into s->op */
  const struct sim_key *key;
  uint16_t gateway, at; /* `at`: the home that serves it */
  unsigned phase, tries;
  bool in_file;
  bool in_step; /* its frame is on the stack */
  struct store_view *v;
  struct store_tx *tx;
  struct store_found *found;
  struct subject_bucket bucket;
  struct subject_who who;
  struct store_place place;
  struct charter_permit_storage storage;
  const struct permit *permit;
  struct store_body_ref ref; /* of a body of its own that no commit names yet */
  bool has_ref;
};

static inline struct history_op *call_op(struct sim_call *c) {
  return &c->s->op[c->op];
}
static inline struct sim_fact *call_fact(struct sim_call *c) {
  return &c->s->fact[c->op];
}

/* Opens c->v at c->at and finds there whose key it is; c->place and a permit for `action`.
 * Returns: DOM_ELSEWHERE; DOM_NOT_FOUND nobody is registered; what the asked functions return. */
enum dom_code call_resolve_at(struct sim_call *c, enum permit_action action);
/* From the gateway to the home, as serve does it: over peers that name another home. */
enum dom_code call_route(struct sim_call *c, enum permit_action action);
enum dom_code call_permit(struct sim_call *c, enum permit_action action,
                          struct charter_permit_storage *storage, const struct permit **out);
/* Ends what it holds open; not the body. */
void call_let_go(struct sim_call *c);
struct slice call_key(const struct sim_call *c);

/* look.c: reads what was found and compares all of it with what was written; the id, or 0 and a finding, or 0
 * when it cannot be read just now. */
uint32_t look_at_found(struct sim_call *c, struct store_found *found, uint32_t *out_meta, enum dom_code *out);
/* The id that a tag stands for. */
uint32_t look_tag_id(const uint8_t md5[MD5_SIZE]);
void look_tag_make(uint32_t id, uint8_t out[MD5_SIZE]);

#endif
