#include "lib/regions.h"

#include <assert.h>
#include <stdio.h>

static const char *const NAME[] = {"", "cn", "sg", "us", "in"};
static const char *const JURISDICTION[] = {"", "CN", "SG", "US", "IN"};
static const char OWNER[] = "phones-inc", BUCKET[] = "phones";

static void append_regions(struct test_regions *t, struct buf *out) {
  buf_append_str(out, "regions:\n");
  for (unsigned i = 1; i <= t->count; i++) {
    uint8_t key[ED25519_KEY_SIZE];
    char name[64];
    ed25519_public(t->region[i].seed, key);
    snprintf(name, sizeof name, "test.example/1/%s", NAME[i]);
    buf_printf(out, "  %s: {number: %u, jurisdiction: %s, endpoint: \"http://127.0.0.1:%u\", vkey: \"",
               NAME[i], i, JURISDICTION[i], 9100 + i);
    charter_vkey_write(slice_str(name), key, out);
    buf_append_str(out, "\"}\n");
  }
}

void regions_charter(struct test_regions *t, int which, struct buf *out) {
  static const char *const RULE_IN[] = {
      "",
      "  IN:\n    home: cn\n    restricted: {store: [CN, SG, US], read: any, transit: any}\n"
      "    personal: {store: any, read: any, transit: any}\n",
      "  IN:\n    home: sg\n    restricted: {store: [SG, US], read: [SG, US], transit: [SG, US]}\n"
      "    personal: {store: [SG, US], read: any, transit: any}\n    leave: {cn: 2035-12-31}\n",
      "  IN:\n    home: in\n    restricted: {store: [IN], read: [IN], transit: [IN]}\n"
      "    personal: {store: [IN], read: any, transit: any}\n"
      "    leave: {cn: 2035-12-31, sg: 2035-12-31, us: 2035-12-31}\n",
      "  IN:\n    home: sg\n    restricted: {store: any, read: any, transit: any}\n"
      "    personal: {store: any, read: any, transit: any}\n"};
  assert(which >= 1 && which <= 4);
  buf_printf(out, "charter: %d\norganization: example-phones\nregistrars: [sg]\n", which);
  append_regions(t, out);
  buf_append_str(out, "subjects: {unregistered: refuse}\nclasses:\n"
                      "  restricted: {keys: [\"*/contacts/**\", \"*/sms/**\"]}\n  personal: {}\nrules:\n");
  buf_append_str(out, RULE_IN[which]);
  buf_append_str(out, "  \"*\":\n    home: sg\n    restricted: {store: any, read: any, transit: any}\n"
                      "    personal: {store: any, read: any, transit: any}\n");
}

enum dom_code regions_force(struct test_regions *t, int which, bool force) {
  BUF_AUTO yaml = BUF_INIT;
  BUF_AUTO signature = BUF_INIT;
  regions_charter(t, which, &yaml);
  charter_sign(buf_slice(&yaml), t->charter_seed, &signature);
  for (unsigned i = 1; i <= t->count; i++) {
    struct dom_err err = {0};
    if (!t->region[i].subjects) continue;
    enum dom_code code =
        subject_charter_put(t->region[i].subjects, buf_slice(&yaml), buf_slice(&signature), force, &err);
    if (code) {
      fprintf(stderr, "charter %d at %s: %s: %s\n", which, NAME[i], err.where, err.text);
      return code;
    }
  }
  return DOM_OK;
}

static enum dom_code answer(struct test_region *r, uint16_t from, const char *path, struct slice body,
                            struct buf *reply, struct dom_err *err) {
  if (mover_takes(path)) return mover_message(r->mover, from, path, body, reply, err);
  return subject_message(r->subjects, from, path, body, reply, err);
}

static enum dom_code handle(void *arg, uint16_t from, const char *path, struct slice body, struct buf *reply,
                            struct dom_err *err) {
  struct test_region *r = arg;
  struct test_regions *t = r->all;
  if (!t->message) return answer(r, from, path, body, reply, err);
  bool here = t->message(t->fault_arg, from, r->number, false);
  enum dom_code code = here ? answer(r, from, path, body, reply, err) : DOM_OK;
  bool there = t->message(t->fault_arg, from, r->number, true);
  return here && there ? code : dom_fail(err, DOM_UNAVAILABLE, "test", "lost");
}

enum dom_code region_start(struct test_regions *t, uint16_t number, struct dom_err *err) {
  struct test_region *r = &t->region[number];
  struct store_options so = {.disk = r->disk,
                             .clock = t->clock,
                             .kek = r->kek,
                             .region = number,
                             .create = true,
                             .inline_threads = true,
                             .segment_bytes = t->segment_bytes ? t->segment_bytes : 4 << 20};
  memcpy(so.deployment, t->deployment, 16);
  enum dom_code code = store_open(&so, &r->store, err);
  if (code) return code;
  r->net = net_sim_join(t->net, number, handle, r);
  struct subjects_options uo = {.store = r->store, .net = r->net, .clock = t->clock, .region = number};
  memcpy(uo.deployment, t->deployment, 16);
  memcpy(uo.route_key, t->route_key, KEY_SIZE);
  memcpy(uo.region_seed, r->seed, ED25519_KEY_SIZE);
  memcpy(uo.charter_key, t->charter_key, ED25519_KEY_SIZE);
  code = subjects_open(&uo, &r->subjects, err);
  if (code) return code;
  struct mover_options mo = {.store = r->store,
                             .subjects = r->subjects,
                             .net = r->net,
                             .clock = t->clock,
                             .region = number,
                             .inline_threads = true,
                             .start_confirmed = r->start_confirmed,
                             .fault_point = t->fault_point,
                             .fault_arg = t->fault_arg};
  code = mover_open(&mo, &r->mover, err);
  if (!code) mover_confirm(r->mover);
  return code;
}

void region_stop(struct test_regions *t, uint16_t number) {
  struct test_region *r = &t->region[number];
  net_sim_leave(t->net, number);
  mover_close(r->mover);
  subjects_close(r->subjects);
  if (r->store) store_close(r->store);
  r->mover = NULL;
  r->subjects = NULL;
  r->store = NULL;
}

void regions_open(struct test_regions *t, unsigned count, uint64_t seed, int which) {
  assert(count >= 2 && count <= REGIONS_MAX);
  t->count = count;
  t->clock = clock_sim_new(UINT64_C(1767225600000));
  t->net = net_sim_new(seed);
  random_bytes(t->charter_seed, sizeof t->charter_seed);
  ed25519_public(t->charter_seed, t->charter_key);
  random_bytes(t->route_key, sizeof t->route_key);
  random_bytes(t->deployment, sizeof t->deployment);
  for (uint16_t i = 1; i <= count; i++) {
    struct test_region *r = &t->region[i];
    struct dom_err err = {0};
    r->number = i;
    r->all = t;
    random_bytes(r->seed, sizeof r->seed);
    r->disk = disk_sim_new(seed + i);
    r->keys = disk_sim_new(seed + 100 + i);
    enum dom_code code = vault_kek_folder_open(r->keys, "kek", NULL, true, &r->kek, &err);
    if (!code) code = region_start(t, i, &err);
    if (code) fprintf(stderr, "region %u: %s: %s\n", i, err.where, err.text);
    assert(code == DOM_OK);
  }
  enum dom_code code = regions_force(t, which, false);
  assert(code == DOM_OK);
  (void)code;
}

void regions_close(struct test_regions *t) {
  for (uint16_t i = 1; i <= t->count; i++) {
    region_stop(t, i);
    vault_kek_close(t->region[i].kek);
    disk_sim_free(t->region[i].disk);
    disk_sim_free(t->region[i].keys);
  }
  net_sim_free(t->net);
  clock_sim_free(t->clock);
}

void regions_bucket(struct test_regions *t) {
  struct subject_bucket want = {.region = 1}, have;
  struct dom_err err = {0};
  snprintf(want.name, sizeof want.name, "%s", BUCKET);
  snprintf(want.owner, sizeof want.owner, "%s", OWNER);
  snprintf(want.layout_text, sizeof want.layout_text, "{subject}/");
  enum dom_code code = subject_bucket_create(t->region[1].subjects, &want, &have, &err);
  if (code) fprintf(stderr, "bucket: %s: %s\n", err.where, err.text);
  assert(code == DOM_OK);
}

/* ---- one operation ------------------------------------------------------------------------ */

struct op {
  struct test_region *r;
  struct store_view *v;
  struct store_tx *tx;
  struct subject_bucket bucket;
  struct subject_who who;
  struct store_place place;
  struct charter_permit_storage storage;
  const struct permit *permit;
  char key[256];
};

static void op_done(struct op *o) {
  store_tx_abort_take(o->tx);
  store_view_close(o->v);
}

static enum dom_code op_once(struct op *o, enum permit_action action) {
  struct subjects *s = o->r->subjects;
  enum dom_code code = store_view_open(o->r->store, &o->v, NULL);
  if (!code) code = subject_bucket_get(s, o->v, slice_str(BUCKET), &o->bucket, NULL);
  if (!code) code = subject_resolve(s, o->v, &o->bucket, slice_str(o->key), &o->who, NULL);
  if (code) return code;
  if (o->who.where == SUBJECT_UNREGISTERED) return DOM_NOT_FOUND;
  if (o->who.where == SUBJECT_ELSEWHERE) return DOM_ELSEWHERE;
  struct subject_intent intent = {.action = action,
                                  .who = &o->who,
                                  .place_region = o->who.home,
                                  .gateway = o->r->number,
                                  .key = slice_str(o->key),
                                  .destroys_ms = CHARTER_DESTROYS_NOTHING};
  struct charter_refusal refusal;
  code = subject_permit(s, &intent, &o->storage, &o->permit, &refusal);
  if (code) return code;
  o->place = (struct store_place){.epoch = o->who.epoch, .prefix = o->who.prefix};
  memcpy(o->place.bucket, o->bucket.id, sizeof o->place.bucket);
  memcpy(o->place.token, o->who.token, TOKEN_SIZE);
  return store_tx_begin(o->r->store, o->v, &o->tx, NULL);
}

static enum dom_code op_begin(struct op *o, struct test_regions *t, uint16_t number, const char *subject,
                              const char *name, enum permit_action action) {
  enum dom_code code = DOM_RETRY;
  for (int i = 0; code == DOM_RETRY && i < 8; i++) {
    *o = (struct op){.r = &t->region[number]};
    snprintf(o->key, sizeof o->key, "%s/%s", subject, name);
    code = op_once(o, action);
    if (code == DOM_RETRY) op_done(o);
  }
  return code;
}

static enum dom_code op_commit(struct op *o) {
  struct store_tx *tx = o->tx;
  o->tx = NULL;
  return store_tx_commit_take(tx, NULL, NULL);
}

static void fill(struct store_object *object, struct test_regions *t, struct slice key, struct slice value) {
  struct hash *md5 = hash_new(HASH_MD5);
  *object = (struct store_object){.key = key,
                                  .size = value.len,
                                  .mtime_ms = clock_wall_ms(t->clock),
                                  .inline_body = value,
                                  .meta = SLICE_LIT("meta")};
  hash_update(md5, value.data, value.len);
  hash_final(md5, object->etag_md5);
  hash_free(md5);
  if (!t->unhashed) sha256(value.data, value.len, object->sha256);
}

enum dom_code region_put(struct test_regions *t, uint16_t number, const char *subject, const char *name,
                         const char *value) {
  struct op o;
  struct store_object object;
  enum dom_code code = op_begin(&o, t, number, subject, name, PERMIT_STORE);
  fill(&object, t, slice_str(o.key), slice_str(value));
  if (!code) code = store_tx_put(o.tx, o.permit, &o.place, &object, NULL);
  if (!code) code = op_commit(&o);
  op_done(&o);
  return code;
}

enum dom_code region_put_large(struct test_regions *t, uint16_t number, const char *subject, const char *name,
                               uint64_t size, uint8_t seed) {
  struct op o;
  struct store_object object = {0};
  struct store_body *body = NULL;
  struct store_body_ref ref;
  enum dom_code code = op_begin(&o, t, number, subject, name, PERMIT_STORE);
  if (!code)
    code = store_body_create(o.r->store, PERMIT_STORE, o.permit, o.who.token, o.who.epoch, &body, NULL);
  if (!code && t->unhashed) store_body_leave_hash(body);
  uint8_t chunk[4096];
  memset(chunk, seed, sizeof chunk);
  for (uint64_t at = 0; !code && at < size; at += sizeof chunk) {
    size_t n = size - at < sizeof chunk ? (size_t)(size - at) : sizeof chunk;
    store_u64le(chunk, at);
    code = store_body_append(body, slice_of(chunk, n), NULL);
  }
  if (!code) code = store_body_seal_take(body, &ref, NULL);
  object = (struct store_object){
      .key = slice_str(o.key), .size = size, .mtime_ms = 1, .bodies = &ref, .body_count = 1};
  memcpy(object.sha256, ref.sha256, SHA256_SIZE);
  if (!code) code = store_tx_put(o.tx, o.permit, &o.place, &object, NULL);
  if (!code) code = op_commit(&o);
  op_done(&o);
  return code;
}

enum dom_code region_upload(struct test_regions *t, uint16_t number, const char *subject, const char *name,
                            uint8_t id) {
  struct op o;
  enum dom_code code = op_begin(&o, t, number, subject, name, PERMIT_STORE);
  struct store_upload u = {.key = slice_str(o.key), .mtime_ms = clock_wall_ms(t->clock)};
  memset(u.id, id, sizeof u.id);
  if (!code) code = store_tx_upload_create(o.tx, o.permit, &o.place, &u, NULL);
  if (!code) code = op_commit(&o);
  op_done(&o);
  return code;
}

/* Parts of an upload, for the object that they become. */
struct complete_parts {
  struct store_body_ref body[16];
  uint32_t count;
};

static bool complete_part(void *arg, const struct store_part *part) {
  struct complete_parts *p = arg;
  assert(p->count < sizeof p->body / sizeof p->body[0]);
  p->body[p->count++] = part->body;
  return true;
}

enum dom_code region_part(struct test_regions *t, uint16_t number, const char *subject, const char *name,
                          uint8_t id, uint32_t part_number, const char *value) {
  struct op o;
  struct store_body *body = NULL;
  struct store_part part = {.number = part_number, .mtime_ms = clock_wall_ms(t->clock)};
  uint8_t upload[STORE_UPLOAD_ID_SIZE];
  memset(upload, id, sizeof upload);
  enum dom_code code = op_begin(&o, t, number, subject, name, PERMIT_STORE);
  if (!code)
    code = store_body_create(o.r->store, PERMIT_STORE, o.permit, o.who.token, o.who.epoch, &body, NULL);
  if (!code && t->unhashed) store_body_leave_hash(body);
  if (!code) code = store_body_append(body, slice_str(value), NULL);
  if (!code) code = store_body_seal_take(body, &part.body, NULL);
  if (!code) code = store_tx_part(o.tx, o.permit, &o.place, slice_str(o.key), upload, &part, NULL);
  if (!code) code = op_commit(&o);
  op_done(&o);
  return code;
}

enum dom_code region_complete(struct test_regions *t, uint16_t number, const char *subject, const char *name,
                              uint8_t id) {
  struct op o;
  struct complete_parts parts = {0};
  uint8_t upload[STORE_UPLOAD_ID_SIZE];
  memset(upload, id, sizeof upload);
  enum dom_code code = op_begin(&o, t, number, subject, name, PERMIT_STORE);
  if (!code) code = store_part_scan(o.v, &o.place, slice_str(o.key), upload, 0, complete_part, &parts, NULL);
  struct store_object object = {.key = slice_str(o.key),
                                .mtime_ms = clock_wall_ms(t->clock),
                                .etag_parts = parts.count,
                                .bodies = parts.body,
                                .body_count = parts.count};
  for (uint32_t i = 0; i < parts.count; i++) object.size += parts.body[i].size;
  if (!code) code = store_tx_complete(o.tx, o.permit, &o.place, upload, &object, NULL);
  if (!code) code = op_commit(&o);
  op_done(&o);
  return code;
}

enum dom_code region_delete(struct test_regions *t, uint16_t number, const char *subject, const char *name) {
  struct op o;
  enum dom_code code = op_begin(&o, t, number, subject, name, PERMIT_DELETE);
  if (!code) code = store_tx_delete(o.tx, o.permit, &o.place, slice_str(o.key), NULL);
  if (!code) code = op_commit(&o);
  op_done(&o);
  return code;
}

enum dom_code region_get(struct test_regions *t, uint16_t number, const char *subject, const char *name,
                         struct buf *out) {
  struct op o;
  struct store_found *found = NULL;
  enum dom_code code = op_begin(&o, t, number, subject, name, PERMIT_READ);
  if (!code) code = store_object_get(o.v, PERMIT_READ, o.permit, &o.place, slice_str(o.key), &found, NULL);
  if (!code) {
    uint64_t size = store_found_object(found)->size;
    size_t got = 0;
    buf_reset(out);
    bool room = buf_reserve(out, (size_t)size + 1);
    assert(room);
    (void)room;
    code = store_found_read(found, 0, out->data, (size_t)size, &got, NULL);
    out->len = got;
  }
  store_found_free(found);
  op_done(&o);
  return code;
}

enum dom_code region_who(struct test_regions *t, uint16_t number, const char *subject,
                         struct subject_who *out) {
  uint8_t token[TOKEN_SIZE];
  subject_token(t->region[number].subjects, slice_str(OWNER), slice_str(subject), token);
  STORE_VIEW_AUTO *v = NULL;
  enum dom_code code = store_view_open(t->region[number].store, &v, NULL);
  return code ? code : subject_resolve_token(t->region[number].subjects, v, token, out, NULL);
}

/* ---- versions ---------------------------------------------------------------------------------- */

static enum dom_code version_put(struct op *o, struct test_regions *t, bool in_file, const char *value,
                                 bool is_version) {
  struct store_object object;
  struct store_body *body = NULL;
  struct store_body_ref ref;
  enum dom_code code = DOM_OK;
  fill(&object, t, slice_str(o->key), slice_str(value));
  object.is_version = is_version;
  if (in_file) {
    code = store_body_create(o->r->store, PERMIT_STORE, o->permit, o->who.token, o->who.epoch, &body, NULL);
    if (!code && t->unhashed) store_body_leave_hash(body);
    if (!code) code = store_body_append(body, slice_str(value), NULL);
    if (!code) code = store_body_seal_take(body, &ref, NULL);
    if (code) return code;
    object.inline_body = (struct slice){0};
    object.bodies = &ref;
    object.body_count = 1;
  }
  return store_tx_put(o->tx, o->permit, &o->place, &object, NULL);
}

static enum dom_code version_amend(struct op *o, const struct store_version *which, struct slice meta) {
  struct store_found *found = NULL;
  struct charter_permit_storage storage;
  const struct permit *read;
  struct subject_intent intent = {.action = PERMIT_READ,
                                  .who = &o->who,
                                  .place_region = o->r->number,
                                  .gateway = o->r->number,
                                  .key = slice_str(o->key)};
  struct charter_refusal refusal;
  enum dom_code code = subject_permit(o->r->subjects, &intent, &storage, &read, &refusal);
  if (!code)
    code = store_version_get(o->v, PERMIT_READ, read, &o->place, slice_str(o->key), which, &found, NULL);
  if (!code) code = store_tx_amend(o->tx, o->permit, &o->place, found, meta, NULL);
  store_found_free(found);
  return code;
}

enum dom_code region_amend(struct test_regions *t, uint16_t number, const char *subject, const char *name,
                           const struct store_version *which, struct slice meta) {
  struct op o;
  enum dom_code code = op_begin(&o, t, number, subject, name, PERMIT_STORE);
  if (!code) code = version_amend(&o, which, meta);
  if (!code) code = op_commit(&o);
  op_done(&o);
  return code;
}

enum dom_code region_version(struct test_regions *t, uint16_t number, const char *subject, const char *name,
                             enum region_change change, const char *value, struct store_version *which) {
  struct op o;
  bool marker = false, puts = change == REGION_PUT || change == REGION_PUT_FILE;
  uint64_t lsn = 0;
  enum dom_code code = op_begin(&o, t, number, subject, name, puts ? PERMIT_STORE : PERMIT_DELETE);
  if (!code && puts) code = version_put(&o, t, change == REGION_PUT_FILE, value, !which->is_null);
  if (!code && change == REGION_MARK)
    code = store_tx_mark(o.tx, o.permit, &o.place, slice_str(o.key), !which->is_null, clock_wall_ms(t->clock),
                         NULL);
  if (!code && change == REGION_REMOVE)
    code = store_tx_delete_version(o.tx, o.permit, &o.place, slice_str(o.key), which, &marker, NULL);
  if (!code) {
    struct store_tx *tx = o.tx;
    o.tx = NULL;
    code = store_tx_commit_take(tx, &lsn, NULL);
  }
  if (!code && change != REGION_REMOVE) which->order = (struct store_order){o.who.epoch, lsn};
  op_done(&o);
  return code;
}

struct version_lines {
  struct op *o;
  struct buf *out;
  enum dom_code code;
};

static void version_line(void *arg, const struct store_object *listed, struct slice common) {
  struct version_lines *l = arg;
  struct store_version which = {.is_null = !listed->is_version, .order = listed->order};
  struct store_found *found = NULL;
  char value[256];
  size_t len = 0;
  (void)common;
  if (l->code) return;
  l->code =
      store_version_get(l->o->v, PERMIT_READ, l->o->permit, &l->o->place, listed->key, &which, &found, NULL);
  if (!l->code) l->code = store_found_read(found, 0, value, sizeof value, &len, NULL);
  struct slice meta = l->code ? SLICE_LIT("") : store_found_object(found)->meta;
  buf_printf(l->out, "%.*s %llu.%llu %s %.*s %.*s\n", (int)(listed->key.len - l->o->place.prefix.len),
             (const char *)listed->key.data + l->o->place.prefix.len, (unsigned long long)listed->order.epoch,
             (unsigned long long)listed->order.lsn, listed->is_version ? "id" : "null",
             listed->is_marker ? 6 : (int)len, listed->is_marker ? "MARKER" : value, (int)meta.len,
             (const char *)meta.data);
  store_found_free(found);
}

enum dom_code region_versions(struct test_regions *t, uint16_t number, const char *subject, struct buf *out) {
  struct op o;
  bool more = false;
  enum dom_code code = op_begin(&o, t, number, subject, "x", PERMIT_READ);
  struct version_lines lines = {.o = &o, .out = out};
  struct store_listing l = {.max = 100000, .versions = true, .show = version_line, .arg = &lines};
  if (!code) {
    l.prefix = o.place.prefix;
    memcpy(l.bucket, o.place.bucket, sizeof l.bucket);
    code = store_list(o.v, &l, &more, NULL);
  }
  op_done(&o);
  return code ? code : lines.code;
}
