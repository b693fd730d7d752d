/* One handler for all listeners: S3 for buckets, and "/-/…" where the Host names none. */
#include <assert.h>
#include <stdio.h>

#include "serve/daemon.h"

void dispatch_reply(struct wire_exchange *x, unsigned status, const char *type, struct slice body) {
  wire_reply_field_str(x, "Content-Type", type);
  wire_reply(x, status, body, NULL);
}

static void not_found(struct wire_exchange *x) {
  dispatch_reply(x, 404, "text/plain", SLICE_LIT("no such page\n"));
}

/* A public resource of the ledger: tiles and the checkpoint, as any static server would give them. */
static void ledger_page(struct region *r, struct wire_exchange *x, struct slice path) {
  BUF_AUTO body = BUF_INIT;
  const char *type = NULL;
  bool immutable = false;
  char *text = arena_str(wire_exchange_arena(x), path);
  enum dom_code code =
      text ? ledger_resource(r->ledger, text, &body, &type, &immutable, NULL) : DOM_NO_MEMORY;
  if (code == DOM_NOT_FOUND) {
    not_found(x);
    return;
  }
  if (code) {
    dispatch_reply(x, 500, "text/plain", SLICE_LIT("the ledger cannot be read\n"));
    return;
  }
  wire_reply_field_str(x, "Cache-Control", immutable ? "public, max-age=31536000, immutable" : "no-cache");
  dispatch_reply(x, 200, type, buf_slice(&body));
}

static bool take_prefix(struct slice *path, struct slice prefix) {
  if (!slice_starts_with(*path, prefix)) return false;
  *path = slice_cut(*path, prefix.len, path->len);
  return true;
}

static void own_page(struct daemon *d, struct wire_exchange *x) {
  struct region *r = &d->region;
  const struct wire_head *h = wire_exchange_head(x);
  struct slice path = h->path;
  bool get = h->method == WIRE_METHOD_GET || h->method == WIRE_METHOD_HEAD;
  if (get && slice_equal(path, SLICE_LIT("/-/healthz")))
    healthz(r, x);
  else if (get && slice_equal(path, SLICE_LIT("/-/metrics")))
    metrics(r, x);
  else if (get && slice_equal(path, SLICE_LIT("/-/home")))
    home_page(r, x);
  else if (slice_starts_with(path, SLICE_LIT("/-/admin/")))
    admin_handle(d, x, false);
  else if (get && take_prefix(&path, SLICE_LIT("/-/ledger/")))
    ledger_page(r, x, path);
  else if (h->method == WIRE_METHOD_POST && r->envelope &&
           slice_starts_with(path, SLICE_LIT(WIRE_PEER_PREFIX)))
    wire_envelope_serve(r->envelope, x, peer_message, r);
  else
    not_found(x);
}

void dispatch(struct wire_exchange *x, void *daemon) {
  struct daemon *d = daemon;
  struct region *r = &d->region;
  struct slice label;
  if (wire_exchange_listener(x) == r->admin_listener)
    admin_handle(d, x, true);
  else if (slice_starts_with(wire_exchange_head(x)->path, SLICE_LIT("/-/")) &&
           !s3_host_bucket(wire_exchange_field(x, "Host"), &r->domains, &label))
    own_page(d, x);
  else
    call_handle(r, x);
}
