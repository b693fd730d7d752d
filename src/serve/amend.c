/* What may be changed of a version that is there: its metadata is read, changed and committed under one view.
 */
#include <assert.h>

#include "serve/region.h"

/* Nothing of the version leaves its home by this: so the gateway of the permit to read it is the home. */
static enum s3_error find_here(struct call *c, struct store_view *v, struct store_found **out) {
  uint16_t gateway = c->gateway;
  c->gateway = c->r->number;
  enum s3_error error = object_find(c, v, out);
  c->gateway = gateway;
  return error;
}

static enum s3_error meta_change(struct call *c, const struct store_object *o, amend_fn change, void *arg,
                                 struct buf *out) {
  struct s3_meta meta;
  struct dom_err err = {0};
  enum s3_error error = object_meta(c, o, &meta);
  if (!error) error = change(c, arg, &meta);
  return error ? error : call_error_of(c, s3_meta_encode(&meta, out, &err), &err);
}

static enum s3_error amend_commit(struct call *c, struct store_view *v, struct store_found *found,
                                  struct slice meta, bool *out_retry) {
  STORE_TX_AUTO *tx = NULL;
  struct call_permit permit;
  struct dom_err err = {0};
  struct store_place place = call_place(c);
  struct slice classes = store_found_object(found)->classes;
  enum s3_error error = call_permit(c, PERMIT_STORE, c->q.key, classes, CHARTER_DESTROYS_NOTHING, &permit);
  if (error) return error;
  enum dom_code code = call_tx_begin(c, v, &tx, &err);
  if (!code) code = store_tx_amend(tx, permit.permit, &place, found, meta, &err);
  if (code) return call_error_of(c, code, &err);
  struct store_tx *taken = tx;
  tx = NULL;
  code = store_tx_commit_take(taken, NULL, &err);
  *out_retry = code == DOM_RETRY;
  return *out_retry ? S3_OK : call_error_of(c, code, &err);
}

static enum s3_error amend_once(struct call *c, amend_fn change, void *arg, bool *out_retry) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_found *found = NULL;
  BUF_AUTO meta = BUF_INIT;
  *out_retry = false;
  enum s3_error error = call_view_to_write(c, &v);
  if (!error) error = find_here(c, v, &found);
  if (error) return error;
  error = meta_change(c, store_found_object(found), change, arg, &meta);
  if (!error) error = amend_commit(c, v, found, buf_slice(&meta), out_retry);
  store_found_free(found);
  return error;
}

enum s3_error object_amend(struct call *c, amend_fn change, void *arg) {
  assert(c->in_gate && change);
  for (int i = 0; i < SERVE_RETRIES_MAX; i++) {
    bool retry = false;
    enum s3_error error = amend_once(c, change, arg, &retry);
    if (error || !retry) return error;
  }
  return S3_ERR_SLOW_DOWN;
}
