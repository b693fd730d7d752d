/* What clients see, compared with what was written: bytes, tag, time, size, hash, class, metadata. */
#include <assert.h>
#include <stdlib.h>

#include "call.h"

void look_tag_make(uint32_t id, uint8_t out[MD5_SIZE]) {
  memset(out, 0xE7, MD5_SIZE);
  store_u32le(out, id);
}

uint32_t look_tag_id(const uint8_t md5[MD5_SIZE]) {
  uint8_t same[MD5_SIZE];
  look_tag_make(load_u32le(md5), same);
  return memcmp(same, md5, MD5_SIZE) == 0 ? load_u32le(md5) : 0;
}

static bool is_write_of(const struct sim_call *c, uint32_t id) {
  const struct sim *s = c->s;
  if (id == 0 || id > s->op_count || s->key_of[id - 1] != c->key - s->key) return false;
  return s->op[id - 1].kind == HISTORY_PUT || s->op[id - 1].kind == HISTORY_COMPLETE;
}

static bool body_agrees(struct sim_call *c, struct store_found *found, uint32_t id, enum dom_code *code) {
  BUF_AUTO want = BUF_INIT;
  BUF_AUTO have = BUF_INIT;
  size_t len = 0;
  sim_value(c->s, id, &want);
  bool room = buf_reserve(&have, want.len + 1);
  assert(room);
  *code = room ? store_found_read(found, 0, have.data, want.len + 1, &len, NULL) : DOM_NO_MEMORY;
  return *code == DOM_OK && len == want.len && memcmp(have.data, want.data, len) == 0;
}

/* "m" and an id. */
static uint32_t meta_id(struct slice meta) {
  uint64_t id = 0;
  if (meta.len < 2 || meta.data[0] != 'm' || slice_to_u64(slice_cut(meta, 1, meta.len), &id)) return 0;
  return (uint32_t)id;
}

uint32_t look_at_found(struct sim_call *c, struct store_found *found, uint32_t *out_meta,
                       enum dom_code *out) {
  const struct store_object *o = store_found_object(found);
  struct sim *s = c->s;
  uint32_t id = look_tag_id(o->etag_md5);
  *out = DOM_OK;
  *out_meta = meta_id(o->meta);
  if (!is_write_of(c, id) || !*out_meta) {
    sim_find(s, "%s at region %u holds what nobody wrote there", c->key->name, c->at);
    return 0;
  }
  const struct sim_fact *f = &s->fact[id - 1];
  bool same = body_agrees(c, found, id, out);
  /* A disk that fails, or a person who left while it was read, is no finding. */
  if (*out && *out != DOM_CORRUPT) return 0;
  if (!same)
    sim_find(s, "%s at region %u: the bytes of write %u are others (%s)", c->key->name, c->at, id,
             dom_code_name(*out));
  if (o->mtime_ms != f->mtime_ms) sim_find(s, "%s: the time of write %u changed", c->key->name, id);
  if (o->is_version == s->op[id - 1].is_null) sim_find(s, "%s: write %u is another kind", c->key->name, id);
  if ((o->classes.len > 0) != f->in_class)
    sim_find(s, "%s: the classes of write %u changed", c->key->name, id);
  if (f->has_order && (o->order.epoch != f->order.epoch || o->order.lsn != f->order.lsn))
    sim_find(s, "%s: the order of write %u changed", c->key->name, id);
  uint32_t parts = 0;
  for (int i = 0; i < HISTORY_PARTS_MAX; i++)
    parts += s->op[id - 1].kind == HISTORY_COMPLETE && f->part[i] != 0;
  if (o->etag_parts != parts) sim_find(s, "%s: the tag of write %u changed", c->key->name, id);
  return id;
}

/* ---- everything of a key --------------------------------------------------------------------------- */

struct look {
  struct sim_call *c;
  struct history_state *seen;
  enum dom_code code;
};

static uint32_t marker_id(const struct sim_call *c, struct store_order order) {
  const struct sim *s = c->s;
  for (size_t i = 0; i < s->op_count; i++) {
    const struct sim_fact *f = &s->fact[i];
    if (s->op[i].kind == HISTORY_MARK && s->key_of[i] == c->key - s->key && f->has_order &&
        f->order.epoch == order.epoch && f->order.lsn == order.lsn)
      return (uint32_t)i + 1;
  }
  return 0;
}

static void version_see(void *arg, const struct store_object *listed, struct slice common) {
  struct look *l = arg;
  struct sim_call *c = l->c;
  struct store_version which = {.is_null = !listed->is_version, .order = listed->order};
  struct store_found *found = NULL;
  (void)common;
  if (l->code || !slice_equal(listed->key, call_key(c))) return;
  if (l->seen->version_count == HISTORY_VERSIONS_MAX) {
    sim_find(c->s, "%s has more versions than were written", c->key->name);
    return;
  }
  struct history_version *v = &l->seen->version[l->seen->version_count++];
  *v = (struct history_version){.is_null = which.is_null, .is_marker = listed->is_marker};
  if (listed->is_marker) {
    v->id = marker_id(c, listed->order);
    return;
  }
  l->code = store_version_get(c->v, PERMIT_READ, c->permit, &c->place, listed->key, &which, &found, NULL);
  if (l->code == DOM_NOT_FOUND) sim_find(c->s, "%s: a version that is listed is not there", c->key->name);
  if (l->code) return;
  v->id = look_at_found(c, found, &v->meta, &l->code);
  if (look_tag_id(listed->etag_md5) != v->id && v->id)
    sim_find(c->s, "%s: the listing tells another tag", c->key->name);
  if (!v->id && !l->code) l->code = DOM_CORRUPT;
  store_found_free(found);
}

static bool part_see(void *arg, const struct store_part *part) {
  struct look *l = arg;
  struct sim *s = l->c->s;
  struct history_upload *u = &l->seen->upload[l->seen->upload_count - 1];
  uint32_t id = look_tag_id(part->md5);
  bool right = id && id <= s->op_count && s->op[id - 1].kind == HISTORY_PART &&
               s->op[id - 1].target == u->id && s->op[id - 1].part == part->number && part->meta_len == 4 &&
               load_u32le(part->meta) == id && part->body.size == s->fact[id - 1].size &&
               part->mtime_ms == s->fact[id - 1].mtime_ms;
  if (!right) sim_find(s, "%s: a part is not what was sent", l->c->key->name);
  if (right) u->part[part->number - 1] = id;
  return right;
}

static bool upload_see(void *arg, const struct store_subject *subject, const struct store_upload *upload) {
  struct look *l = arg;
  struct sim *s = l->c->s;
  struct store_upload whole;
  char meta[16];
  uint32_t id = load_u32le(upload->id);
  (void)subject;
  if (!slice_equal(upload->key, call_key(l->c))) return true;
  if (id == 0 || id > s->op_count || s->op[id - 1].kind != HISTORY_BEGIN ||
      l->seen->upload_count == HISTORY_UPLOADS_MAX) {
    sim_find(s, "%s: an upload that nobody began", l->c->key->name);
    return false;
  }
  l->seen->upload[l->seen->upload_count++] = (struct history_upload){.id = id};
  l->code = store_upload_get(l->c->v, &l->c->place, upload->key, upload->id, &whole, NULL);
  if (l->code) return false;
  snprintf(meta, sizeof meta, "u%u", id);
  const struct sim_fact *f = &s->fact[id - 1];
  if (!slice_equal(whole.meta, slice_str(meta)) || whole.mtime_ms != f->mtime_ms ||
      (whole.classes.len > 0) != f->in_class)
    sim_find(s, "%s: upload %u changed", l->c->key->name, id);
  l->code = store_part_scan(l->c->v, &l->c->place, upload->key, upload->id, 0, part_see, l, NULL);
  return l->code == DOM_OK;
}

static enum dom_code look_all(struct look *l) {
  struct sim_call *c = l->c;
  bool more = false;
  struct store_listing listing = {
      .prefix = call_key(c), .max = 1000, .versions = true, .show = version_see, .arg = l};
  memcpy(listing.bucket, c->place.bucket, sizeof listing.bucket);
  enum dom_code code = store_list(c->v, &listing, &more, NULL);
  if (!code) code = l->code;
  if (!code)
    code = store_upload_scan(c->v, c->place.bucket, call_key(c), SLICE_LIT(""), NULL, upload_see, l, NULL);
  return code ? code : l->code;
}

enum dom_code sim_look(struct sim *s, uint32_t key, uint16_t gateway) {
  if (s->op_count == SIM_OPS_MAX) return DOM_BUSY;
  struct sim_call *c = dom_calloc(1, sizeof *c);
  struct look l = {.c = c, .seen = dom_calloc(1, sizeof *l.seen)};
  assert(c && l.seen);
  *c = (struct sim_call){.s = s, .op = s->op_count++, .key = &s->key[key], .gateway = gateway};
  struct history_op *op = &s->op[c->op];
  *op = (struct history_op){.began = ++s->now, .kind = HISTORY_LIST, .seen = l.seen};
  s->key_of[c->op] = (uint8_t)key;
  s->seen[c->op] = l.seen;
  s->in_call++;
  s->busy[gateway]++;
  enum dom_code code = sim_is_up(s, gateway) ? call_route(c, PERMIT_READ) : DOM_UNAVAILABLE;
  if (!code) {
    s->busy[c->at]++;
    code = look_all(&l);
    s->busy[c->at]--;
  }
  s->busy[gateway]--;
  s->in_call--;
  if (code == DOM_CORRUPT) sim_find(s, "a look at %s met damage", c->key->name);
  op->ended = ++s->now;
  op->outcome = code ? HISTORY_UNKNOWN : HISTORY_OK;
  s->void_op[c->op] = code != DOM_OK;
  s->count.looks += !code;
  sim_trace(s, "look at %s through %u: %s, %u versions, %u uploads", c->key->name, gateway,
            dom_code_name(code), l.seen->version_count, l.seen->upload_count);
  call_let_go(c);
  dom_free(c);
  return code;
}
