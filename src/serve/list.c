/* Listings of objects. A prefix that fixes one subject is answered by that subject's home, whole or not at
 * all; one that spans subjects shows those that live here, each whole or not at all, and says so. */
#include <assert.h>
#include <stdio.h>

#include "serve/region.h"

struct page {
  struct call *c;
  struct s3_listing listing;
  bool one_subject;          /* the prefix fixes one: names are asked for one by one */
  uint8_t token[TOKEN_SIZE]; /* of the last subject asked for, and its answer */
  bool has_token, admitted;
};

/* The charter's word for a name, or for all of a subject (key empty). */
static enum s3_error may_list(struct call *c, const struct store_subject *row, struct slice key) {
  struct subject_who who = {.where = SUBJECT_HERE, .home = row->home};
  memcpy(who.token, row->token, TOKEN_SIZE);
  memcpy(who.country, row->country, 2);
  struct subject_intent intent = {.action = PERMIT_LIST,
                                  .who = &who,
                                  .place_region = row->home,
                                  .gateway = c->gateway,
                                  .key = key,
                                  .all_classes = key.len == 0};
  struct charter_permit_storage storage;
  const struct permit *permit;
  struct charter_refusal refusal = {0};
  enum dom_code code = subject_permit(c->r->subjects, &intent, &storage, &permit, &refusal);
  if (code == DOM_OK) return S3_OK;
  call_detail_refusal(c, &refusal);
  return S3_ERR_RESIDENCY_VIOLATION;
}

static enum store_admit admit(void *arg, const struct store_subject *row, struct slice key) {
  struct page *p = arg;
  if (p->one_subject) return may_list(p->c, row, key) ? STORE_STOP : STORE_SHOW;
  bool known = p->has_token && memcmp(p->token, row->token, TOKEN_SIZE) == 0;
  if (!known) {
    p->admitted = may_list(p->c, row, SLICE_LIT("")) == S3_OK;
    memcpy(p->token, row->token, TOKEN_SIZE);
    p->has_token = true;
    p->c->detail[0] = 0;
  }
  return p->admitted ? STORE_SHOW : STORE_SKIP;
}

static void show(void *arg, const struct store_object *o, struct slice common_prefix) {
  struct page *p = arg;
  if (!o) {
    s3_listing_prefix(&p->listing, common_prefix);
    return;
  }
  struct s3_listed_object listed = {.key = o->key,
                                    .size = o->size,
                                    .modified_ms = o->mtime_ms,
                                    .md5 = o->etag_md5,
                                    .part_count = o->etag_parts,
                                    .is_latest = o->is_latest,
                                    .is_marker = o->is_marker};
  struct store_version version = {.is_null = !o->is_version, .order = o->order};
  char id[S3_VERSION_ID_SIZE];
  if (p->c->q.op == S3_OP_LIST_OBJECT_VERSIONS) {
    version_text(p->c->bucket.id, &version, id);
    listed.version_id = slice_str(id);
  }
  s3_listing_object(&p->listing, &listed);
}

/* Where the listing is to be answered. *out_done: it was forwarded. */
static enum s3_error locate(struct call *c, struct store_view **v, bool *out_one, bool *out_done) {
  struct slice id, prefix;
  *out_done = false;
  *out_one = subject_layout_match(&c->bucket.layout, c->q.list.prefix, &id, &prefix);
  if (!*out_one && c->bucket.layout.count == 0) { /* all keys are the bucket's own */
    *out_one = true;
    enum s3_error error = call_resolve(c, &c->bucket, SLICE_LIT("-"), v, &c->who);
    if (error) return error;
  } else if (*out_one) {
    enum s3_error error = call_resolve(c, &c->bucket, c->q.list.prefix, v, &c->who);
    if (error) return error;
  } else {
    struct dom_err err = {0};
    return call_error_of(c, store_view_open(c->r->store, v, &err), &err);
  }
  if (c->who.where != SUBJECT_ELSEWHERE) return S3_OK;
  *out_done = true;
  store_view_close(*v);
  *v = NULL;
  c->q.key = c->q.list.prefix;
  return c->is_forwarded ? call_misdirected(c) : call_forward(c, NULL);
}

enum s3_error list_locate(struct call *c, struct store_view **v, bool *out_one, bool *out_done) {
  enum s3_error error = call_bucket(c, c->q.bucket);
  return error ? error : locate(c, v, out_one, out_done);
}

enum store_admit list_admit(struct call *c, const struct store_subject *row, struct slice key,
                            bool one_subject) {
  enum s3_error error = may_list(c, row, one_subject ? key : SLICE_LIT(""));
  if (!error) return STORE_SHOW;
  return one_subject ? STORE_STOP : STORE_SKIP;
}

void list_partial_field(struct call *c, bool one_subject) {
  struct charter *charter = subject_charter(c->r->subjects);
  bool several = charter && charter_region_count(charter) > 1;
  charter_release(charter);
  if (!one_subject && several) wire_reply_field_str(c->x, "x-domicile-partial", "true");
}

enum s3_error list_objects(struct call *c) {
  STORE_VIEW_AUTO *v = NULL;
  struct page p = {.c = c};
  bool done = false, more = false;
  struct store_listing query = {.prefix = c->q.list.prefix,
                                .delimiter = c->q.list.delimiter,
                                .max = c->q.list.page_max,
                                .versions = c->q.op == S3_OP_LIST_OBJECT_VERSIONS,
                                .admit = admit,
                                .show = show,
                                .arg = &p};
  enum s3_error error = s3_listing_after(&c->q, wire_exchange_arena(c->x), &query.after);
  if (!error) error = list_locate(c, &v, &p.one_subject, &done);
  if (error || done) return error;
  struct store_version marker;
  if (c->q.list.version_id_marker.len) {
    if (!version_parse(c->bucket.id, c->q.list.version_id_marker, &marker)) return S3_ERR_INVALID_ARGUMENT;
    query.after_version = &marker;
  }
  memcpy(query.bucket, c->bucket.id, sizeof query.bucket);
  BUF_AUTO xml = BUF_INIT;
  struct dom_err err = {0};
  s3_listing_begin(&p.listing, &c->q, slice_str(c->bucket.owner), &xml);
  enum dom_code code = query.max ? store_list(v, &query, &more, &err) : DOM_OK;
  if (!code) code = s3_listing_end(&p.listing, more, &err);
  s3_listing_done(&p.listing);
  if (code == DOM_REFUSED) return S3_ERR_RESIDENCY_VIOLATION;
  if (code) return call_error_of(c, code, &err);
  list_partial_field(c, p.one_subject);
  return call_reply_xml(c, 200, &xml);
}
