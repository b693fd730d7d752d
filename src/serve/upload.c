/* Multipart uploads: created, filled part by part, listed, aborted. Completion is in complete.c. */
#include <assert.h>
#include <stdio.h>

#include "serve/region.h"

bool upload_id_parse(struct slice text, uint8_t out[STORE_UPLOAD_ID_SIZE]) {
  uint8_t id[STORE_UPLOAD_ID_SIZE];
  size_t len = 0;
  if (hex_decode(text, id, sizeof id, &len) || len != sizeof id) return false;
  memcpy(out, id, sizeof id);
  return true;
}

/* A commit of one step, retried while guards change. */
enum s3_error upload_commit(struct call *c, upload_step step, void *arg) {
  for (int i = 0; i < SERVE_RETRIES_MAX; i++) {
    STORE_VIEW_AUTO *v = NULL;
    STORE_TX_AUTO *tx = NULL;
    struct dom_err err = {0};
    struct store_place place = call_place(c);
    enum s3_error error = call_view_to_write(c, &v);
    if (error) return error;
    enum dom_code code = call_tx_begin(c, v, &tx, &err);
    if (!code) code = step(arg, v, tx, &place, &err);
    if (code == DOM_NOT_FOUND) return S3_ERR_NO_SUCH_UPLOAD;
    if (code) return call_error_of(c, code, &err);
    struct store_tx *taken = tx;
    tx = NULL;
    code = store_tx_commit_take(taken, NULL, &err);
    if (code != DOM_RETRY) return call_error_of(c, code, &err);
  }
  return S3_ERR_SLOW_DOWN;
}

/* ---- CreateMultipartUpload ----------------------------------------------------------------- */

struct create {
  const struct permit *permit;
  struct store_upload upload;
};

static enum dom_code create_step(void *arg, struct store_view *v, struct store_tx *tx,
                                 const struct store_place *place, struct dom_err *err) {
  struct create *u = arg;
  (void)v;
  return store_tx_upload_create(tx, u->permit, place, &u->upload, err);
}

enum s3_error upload_create(struct call *c) {
  bool done = false;
  enum s3_error error = call_enter(c, &done);
  if (error || done) return error;
  struct call_permit permit;
  error = call_permit(c, PERMIT_STORE, c->q.key, SLICE_LIT(""), CHARTER_DESTROYS_NOTHING, &permit);
  if (error) return error;
  struct create u = {.permit = permit.permit,
                     .upload = {.key = c->q.key, .mtime_ms = clock_wall_ms(c->r->clock)}};
  struct s3_meta fields = c->q.meta;
  uint8_t sealed[CUSTOMER_SEALED_SIZE];
  struct customer customer;
  if (c->q.customer) {
    error = customer_new(c->q.customer, &customer, sealed);
    wipe(&customer, sizeof customer); /* each part opens it anew */
    fields.customer = slice_of(sealed, sizeof sealed);
  }
  if (error) return error;
  BUF_AUTO meta = BUF_INIT;
  BUF_AUTO hex = BUF_INIT;
  BUF_AUTO xml = BUF_INIT;
  struct dom_err err = {0};
  error = access_new_acl(c, &fields.acl);
  if (!error) error = call_error_of(c, s3_meta_encode(&fields, &meta, &err), &err);
  u.upload.meta = buf_slice(&meta);
  random_bytes(u.upload.id, sizeof u.upload.id);
  if (!error) error = upload_commit(c, create_step, &u);
  if (error) return error;
  call_leave(c);
  hex_encode(&hex, slice_of(u.upload.id, sizeof u.upload.id));
  struct s3_headers headers = {.arena = wire_exchange_arena(c->x)};
  if (c->q.meta.has_plan) s3_headers_plan(&headers, &c->q.meta.plan);
  for (size_t i = 0; i < headers.count; i++)
    wire_reply_field(c->x, headers.items[i].name, headers.items[i].value);
  s3_result_initiate(c->q.bucket, c->q.key, buf_slice(&hex), &xml);
  return call_reply_xml(c, 200, &xml);
}

/* ---- UploadPart, UploadPartCopy ----------------------------------------------------------------- */

struct part {
  struct call *c;
  const struct permit *permit;
  uint8_t id[STORE_UPLOAD_ID_SIZE];
  struct slice classes; /* that the part's source brings along */
  struct s3_meta meta;  /* of the upload */
  struct s3_part_meta kept;
  struct store_part part;
};

/* The upload inherits what the sources of its parts are, and so does the object to come. */
static enum dom_code upload_inherit(struct part *p, struct store_view *v, struct store_tx *tx,
                                    const struct store_place *place, struct dom_err *err) {
  struct store_upload upload;
  BUF_AUTO classes = BUF_INIT;
  assert(p->classes.len > 0);
  enum dom_code code = store_upload_get(v, place, p->c->q.key, p->id, &upload, err);
  if (code) return code;
  buf_append_slice(&classes, upload.classes);
  if (!copy_classes_add(&classes, p->classes)) return DOM_OK;
  upload.classes = buf_slice(&classes);
  code = buf_check(&classes, err);
  return code ? code : store_tx_upload_create(tx, p->permit, place, &upload, err);
}

static enum dom_code part_step(void *arg, struct store_view *v, struct store_tx *tx,
                               const struct store_place *place, struct dom_err *err) {
  struct part *p = arg;
  enum dom_code code = p->classes.len ? upload_inherit(p, v, tx, place, err) : DOM_OK;
  return code ? code : store_tx_part(tx, p->permit, place, p->c->q.key, p->id, &p->part, err);
}

/* The upload must be there before its part's body is read. */
static enum s3_error find_upload(struct call *c, struct part *p) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_upload upload;
  struct dom_err err = {0};
  struct store_place place = call_place(c);
  enum dom_code code = store_view_open(c->r->store, &v, &err);
  if (!code) code = store_upload_get(v, &place, c->q.key, p->id, &upload, &err);
  if (code == DOM_NOT_FOUND) return S3_ERR_NO_SUCH_UPLOAD;
  struct slice meta = {0};
  struct arena *arena = wire_exchange_arena(c->x);
  if (!code) meta = arena_copy(arena, upload.meta); /* it outlives the view */
  if (!code && !meta.data) return S3_ERR_SLOW_DOWN;
  if (!code) code = s3_meta_decode(meta, arena, &p->meta, &err);
  return call_error_of(c, code, &err);
}

/* The checksum of a part is the one that the upload was begun with; where the client sends none, it is
 * computed. */
static enum s3_error plan_part(struct call *c, const struct part *p) {
  const struct s3_checksum_plan *plan = &p->meta.plan;
  enum auth_checksum_kind kind = c->q.has_checksum     ? c->q.checksum.kind
                                 : c->auth.has_trailer ? c->auth.trailer
                                                       : c->q.checksum_algorithm;
  bool sent = c->q.has_checksum || c->auth.has_trailer || c->q.has_checksum_algorithm;
  if (!p->meta.has_plan) return S3_OK;
  if (sent && kind != plan->kind) {
    snprintf(c->detail, sizeof c->detail, "Checksum Type mismatch occurred, expected %s, actual %s",
             auth_checksum_algorithm(plan->kind), auth_checksum_algorithm(kind));
    return S3_ERR_INVALID_REQUEST;
  }
  c->q.has_checksum_algorithm = true;
  c->q.checksum_algorithm = plan->kind;
  return S3_OK;
}

/* From the gate to the permit; what both kinds of part begin with. */
static enum s3_error part_begin(struct call *c, struct part *p, struct call_permit *permit, bool *out_done) {
  *p = (struct part){.c = c};
  enum s3_error error = call_enter(c, out_done);
  if (error || *out_done) return error;
  if (!upload_id_parse(c->q.upload_id, p->id)) return S3_ERR_NO_SUCH_UPLOAD;
  error = call_permit(c, PERMIT_STORE, c->q.key, SLICE_LIT(""), CHARTER_DESTROYS_NOTHING, permit);
  if (!error) error = find_upload(c, p);
  p->permit = permit->permit;
  p->part.number = c->q.part_number;
  return error;
}

/* The key must be the one that the upload was begun with. Each attempt at a part has a salt of its own. */
static enum s3_error part_seal(struct call *c, struct part *p, struct spool *s) {
  struct customer customer;
  enum s3_error error = customer_match(p->meta.customer, c->q.customer, &customer);
  if (error == S3_ERR_CUSTOMER_NEEDED) return S3_ERR_CUSTOMER_UPLOAD_NEEDED;
  if (error == S3_ERR_CUSTOMER_WRONG || error == S3_ERR_CUSTOMER_NOT_APPLICABLE)
    return S3_ERR_CUSTOMER_UPLOAD_WRONG;
  if (error || !c->q.customer) return error;
  p->kept.has_salt = true;
  random_bytes(p->kept.salt, sizeof p->kept.salt);
  spool_customer(s, &customer, p->kept.salt);
  wipe(&customer, sizeof customer);
  return S3_OK;
}

static enum s3_error part_commit(struct part *p, struct spool *s, const struct store_object *o) {
  assert(o->body_count == 1);
  p->part.mtime_ms = clock_wall_ms(p->c->r->clock);
  p->part.body = s->ref;
  if (p->kept.has_salt) random_bytes(p->part.md5, MD5_SIZE); /* as of a whole object, no hash of it */
  s3_part_meta_encode(&p->kept, p->part.meta, &p->part.meta_len);
  enum s3_error error = upload_commit(p->c, part_step, p);
  if (error) return error;
  spool_keep(s);
  call_leave(p->c);
  return S3_OK;
}

enum s3_error upload_part(struct call *c) {
  struct part p;
  struct call_permit permit;
  bool done = false;
  enum s3_error error = part_begin(c, &p, &permit, &done);
  if (!error && !done) error = plan_part(c, &p);
  if (error || done) return error;
  SPOOL_AUTO s;
  spool_begin(&s, c, PERMIT_STORE, permit.permit, true);
  struct store_object o = {0};
  struct s3_headers headers = {.arena = wire_exchange_arena(c->x)};
  error = part_seal(c, &p, &s);
  if (!error) error = spool_request(&s, S3_PUT_BYTES_MAX, &o, &p.kept.has_checksum, &p.kept.checksum);
  memcpy(p.part.md5, o.etag_md5, MD5_SIZE);
  if (!error) error = part_commit(&p, &s, &o);
  if (error) return error;
  s3_headers_etag(&headers, p.part.md5, 0);
  if (p.kept.has_checksum) s3_headers_checksum(&headers, &p.kept.checksum);
  call_headers(c, &headers);
  wire_reply(c->x, 200, SLICE_LIT(""), NULL);
  return S3_OK;
}

struct part_copy {
  struct part part;
  struct call_permit permit;
  struct spool spool;
};

static enum s3_error part_ready(void *arg, const struct copy_source *s) {
  struct part_copy *k = arg;
  struct part *p = &k->part;
  p->classes = buf_slice(&s->classes);
  enum s3_error error =
      call_permit(p->c, PERMIT_STORE, p->c->q.key, p->classes, CHARTER_DESTROYS_NOTHING, &k->permit);
  p->permit = k->permit.permit;
  if (error) return error;
  spool_begin(&k->spool, p->c, PERMIT_STORE, p->permit, true);
  error = part_seal(p->c, p, &k->spool);
  if (error) return error;
  return p->meta.has_plan ? spool_sum(&k->spool, p->meta.plan.kind) : S3_OK;
}

static enum s3_error part_copy(struct part_copy *k, struct copy_source *source) {
  struct store_object o = {0};
  struct copy_target t = {.ready = part_ready, .arg = k, .spool = &k->spool, .object = &o};
  bool done = false;
  enum s3_error error = copy_source_take(source, &t, &done);
  if (error || done) return error;
  memcpy(k->part.part.md5, o.etag_md5, MD5_SIZE);
  struct s3_part_meta *kept = &k->part.kept;
  kept->has_checksum = k->spool.sum != NULL;
  if (kept->has_checksum) auth_checksum_final(k->spool.sum, &kept->checksum);
  error = part_commit(&k->part, &k->spool, &o);
  if (error) return error;
  BUF_AUTO xml = BUF_INIT;
  copy_source_field(source);
  s3_result_copy(true, k->part.part.md5, k->part.part.mtime_ms, kept->has_checksum ? &kept->checksum : NULL,
                 &xml);
  return call_reply_xml(k->part.c, 200, &xml);
}

enum s3_error upload_part_copy(struct call *c) {
  struct part_copy k = {.part = {.c = c}};
  struct copy_source source = {.c = c};
  bool done = false;
  enum s3_error error = part_begin(c, &k.part, &k.permit, &done);
  if (!error && !done) error = part_copy(&k, &source);
  spool_done(&k.spool);
  copy_source_done(&source);
  return error;
}

/* ---- AbortMultipartUpload ---------------------------------------------------------------------------- */

static enum dom_code abort_step(void *arg, struct store_view *v, struct store_tx *tx,
                                const struct store_place *place, struct dom_err *err) {
  struct part *p = arg;
  (void)v;
  return store_tx_upload_abort(tx, p->permit, place, p->c->q.key, p->id, err);
}

enum s3_error upload_abort(struct call *c) {
  struct part p = {.c = c};
  struct call_permit permit;
  bool done = false;
  enum s3_error error = call_enter(c, &done);
  if (error || done) return error;
  if (!upload_id_parse(c->q.upload_id, p.id)) return S3_ERR_NO_SUCH_UPLOAD;
  error = call_permit(c, PERMIT_DELETE, c->q.key, SLICE_LIT(""), CHARTER_DESTROYS_NOTHING, &permit);
  p.permit = permit.permit;
  if (!error) error = upload_commit(c, abort_step, &p);
  if (error) return error;
  call_leave(c);
  return call_reply_empty(c, 204);
}

/* ---- ListParts, ListMultipartUploads ------------------------------------------------------------------- */

struct parts_page {
  struct s3_listing listing;
  uint32_t left;
  bool more;
  enum dom_code code; /* of a part that cannot be read */
  struct dom_err *err;
};

static bool show_part(void *arg, const struct store_part *part) {
  struct parts_page *p = arg;
  if (p->left == 0) {
    p->more = true;
    return false;
  }
  p->left--;
  struct s3_part_meta kept;
  p->code = s3_part_meta_decode(slice_of(part->meta, part->meta_len), &kept, p->err);
  if (p->code) return false;
  struct s3_listed_part listed = {.number = part->number,
                                  .size = part->body.size,
                                  .modified_ms = part->mtime_ms,
                                  .md5 = part->md5,
                                  .checksum = kept.has_checksum ? &kept.checksum : NULL};
  s3_listing_part(&p->listing, &listed);
  return true;
}

enum s3_error upload_list_parts(struct call *c) {
  STORE_VIEW_AUTO *v = NULL;
  uint8_t id[STORE_UPLOAD_ID_SIZE];
  struct call_permit permit;
  struct store_upload upload;
  struct dom_err err = {0};
  bool done = false;
  enum s3_error error = call_look(c, &v, &done);
  if (error || done) return error == S3_ERR_NO_SUCH_KEY ? S3_ERR_NO_SUCH_UPLOAD : error;
  if (!upload_id_parse(c->q.upload_id, id)) return S3_ERR_NO_SUCH_UPLOAD;
  error = call_permit(c, PERMIT_LIST, c->q.key, SLICE_LIT(""), 0, &permit);
  if (error) return error;
  struct store_place place = call_place(c);
  enum dom_code code = store_upload_get(v, &place, c->q.key, id, &upload, &err);
  if (code == DOM_NOT_FOUND) return S3_ERR_NO_SUCH_UPLOAD;
  BUF_AUTO xml = BUF_INIT;
  struct parts_page p = {.left = c->q.list.page_max, .err = &err};
  struct s3_meta meta = {0};
  if (!code) code = s3_meta_decode(upload.meta, wire_exchange_arena(c->x), &meta, &err);
  s3_listing_begin(&p.listing, &c->q, slice_str(c->bucket.owner), &xml);
  if (meta.has_plan) s3_listing_plan(&p.listing, &meta.plan);
  if (!code && p.left)
    code = store_part_scan(v, &place, c->q.key, id, c->q.list.part_number_marker, show_part, &p, &err);
  if (!code) code = p.code;
  if (!code) code = s3_listing_end(&p.listing, p.more, &err);
  s3_listing_done(&p.listing);
  return code ? call_error_of(c, code, &err) : call_reply_xml(c, 200, &xml);
}

struct uploads_page {
  struct call *c;
  struct s3_listing listing;
  struct buf last_prefix; /* common prefix shown last */
  uint32_t left;
  bool one_subject, more, refused;
};

/* The common prefix a key falls under; empty when the delimiter does not occur behind the prefix. */
static struct slice common_prefix(const struct s3_list_params *list, struct slice key) {
  size_t from = list->prefix.len, step = list->delimiter.len;
  for (size_t i = from; step && i + step <= key.len; i++)
    if (memcmp(key.data + i, list->delimiter.data, step) == 0) return slice_cut(key, 0, i + step);
  return slice_of(NULL, 0);
}

static bool show_upload(void *arg, const struct store_subject *row, const struct store_upload *u) {
  struct uploads_page *p = arg;
  enum store_admit admit = list_admit(p->c, row, u->key, p->one_subject);
  p->refused = admit == STORE_STOP;
  if (admit != STORE_SHOW) return !p->refused;
  struct slice prefix = common_prefix(&p->c->q.list, u->key);
  bool shown = prefix.len && (slice_equal(prefix, buf_slice(&p->last_prefix)) || /* on this page or before */
                              slice_compare(prefix, p->c->q.list.key_marker) <= 0);
  if (shown) return true;
  if (p->left == 0) {
    p->more = true;
    return false;
  }
  p->left--;
  if (prefix.len) {
    buf_reset(&p->last_prefix);
    buf_append_slice(&p->last_prefix, prefix);
    s3_listing_prefix(&p->listing, prefix);
    return true;
  }
  BUF_AUTO hex = BUF_INIT;
  hex_encode(&hex, slice_of(u->id, sizeof u->id));
  struct s3_listed_upload listed = {.key = u->key, .upload_id = buf_slice(&hex), .initiated_ms = u->mtime_ms};
  s3_listing_upload(&p->listing, &listed);
  return true;
}

enum s3_error upload_list(struct call *c) {
  STORE_VIEW_AUTO *v = NULL;
  struct uploads_page p = {.c = c, .left = c->q.list.page_max};
  bool done = false;
  enum s3_error error = list_locate(c, &v, &p.one_subject, &done);
  if (error || done) return error;
  uint8_t id[STORE_UPLOAD_ID_SIZE];
  bool has_id = c->q.list.key_marker.len && upload_id_parse(c->q.list.upload_id_marker, id);
  BUF_AUTO xml = BUF_INIT;
  struct dom_err err = {0};
  s3_listing_begin(&p.listing, &c->q, slice_str(c->bucket.owner), &xml);
  enum dom_code code = DOM_OK;
  if (p.left)
    code = store_upload_scan(v, c->bucket.id, c->q.list.prefix, c->q.list.key_marker, has_id ? id : NULL,
                             show_upload, &p, &err);
  if (!code) code = s3_listing_end(&p.listing, p.more, &err);
  s3_listing_done(&p.listing);
  buf_done(&p.last_prefix);
  if (p.refused) return S3_ERR_RESIDENCY_VIOLATION;
  if (code) return call_error_of(c, code, &err);
  list_partial_field(c, p.one_subject);
  return call_reply_xml(c, 200, &xml);
}
