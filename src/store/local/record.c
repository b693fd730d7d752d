#include "store/local/record.h"

#include <assert.h>

#include "base/alloc.h"

enum { FLAG_INLINE = 1, FLAG_VERSIONED = 2, FLAG_MARKER = 4, FLAGS_KNOWN = 7 };
enum { FIRST_LSN_AT = 44, ORDER_LSN_AT = 60, ID_AT = 84 };

/* Where the fixed part's fields stand; see docs/formats/log.md. */
enum {
  AT_TOKEN = 4,
  AT_EPOCH = 36,
  AT_ORDER_EPOCH = 52,
  AT_BUCKET = 68,
  AT_SIZE = 116,
  AT_BODIES = 124,
  AT_SEALED = 128
};

void record_order_resolve(struct change *c, uint64_t lsn) {
  assert(lsn > 0);
  if (c->order.lsn == 0) c->order.lsn = c->first_lsn ? c->first_lsn : lsn;
}

void record_plain_done(struct record_plain *p) {
  buf_wipe_done(&p->text);
  wipe(p->key, sizeof p->key);
  dom_free(p->bodies);
  *p = (struct record_plain){0};
}

/* ---- subject codec ---- */

void subject_encode(const struct store_subject *s, struct buf *out) {
  assert(s->state >= SUBJECT_HOME && s->state <= SUBJECT_ERASED);
  buf_append(out, s->token, TOKEN_SIZE);
  put_u8(out, (uint8_t)s->state);
  put_u64le(out, s->epoch);
  put_u64le(out, s->epoch_allotted);
  put_u16le(out, s->home);
  put_u64le(out, s->since_ms);
  buf_append(out, s->country, 2);
  put_u64le(out, s->handoff_epoch);
  put_u16le(out, s->handoff_to);
}

bool subject_decode(struct reader *r, struct store_subject *out) {
  struct store_subject s = {0};
  assert(out != NULL);
  get_copy(r, s.token, TOKEN_SIZE);
  s.state = get_u8(r);
  s.epoch = get_u64le(r);
  s.epoch_allotted = get_u64le(r);
  s.home = get_u16le(r);
  s.since_ms = get_u64le(r);
  get_copy(r, s.country, 2);
  s.handoff_epoch = get_u64le(r);
  s.handoff_to = get_u16le(r);
  if (r->bad || s.state < SUBJECT_HOME || s.state > SUBJECT_ERASED) return false;
  *out = s;
  return true;
}

/* ---- the sealed text, by kind ---- */

static void text_place(const struct change *c, struct buf *b) {
  assert(c->prefix_len <= c->key.len && c->key.len <= STORE_KEY_MAX);
  put_u16le(b, (uint16_t)c->prefix_len);
  put_bytes16le(b, c->key);
}

static void text_object(const struct change *c, struct buf *b) {
  text_place(c, b);
  put_u64le(b, c->mtime_ms);
  buf_append(b, c->md5, MD5_SIZE);
  put_u32le(b, c->etag_parts);
  buf_append(b, c->sha256, SHA256_SIZE);
  put_bytes32le(b, c->meta);
  put_bytes16le(b, c->classes);
  for (uint32_t i = 0; i < c->body_count; i++) buf_append(b, c->bodies[i].sha256, SHA256_SIZE);
}

static void text_upload(const struct change *c, struct buf *b) {
  text_place(c, b);
  buf_append(b, c->upload, STORE_UPLOAD_ID_SIZE);
  put_u64le(b, c->mtime_ms);
  put_bytes32le(b, c->meta);
  put_bytes16le(b, c->classes);
}

static void text_part(const struct change *c, struct buf *b) {
  assert(c->body_count == 1 && c->meta.len <= STORE_PART_META_MAX);
  text_place(c, b);
  buf_append(b, c->upload, STORE_UPLOAD_ID_SIZE);
  put_u32le(b, c->part);
  put_u64le(b, c->mtime_ms);
  buf_append(b, c->md5, MD5_SIZE);
  buf_append(b, c->bodies[0].sha256, SHA256_SIZE);
  if (c->meta.len > 0) put_bytes16le(b, c->meta);
}

static void text_delete(const struct change *c, struct buf *b) {
  put_u8(b, (uint8_t)c->item);
  text_place(c, b);
  buf_append(b, c->upload, STORE_UPLOAD_ID_SIZE);
  put_u32le(b, c->part);
  if (!c->versioned) return;
  put_u64le(b, c->order.epoch); /* which one goes must not be changeable without the key */
  put_u64le(b, c->order.lsn);
}

static void text_entry(const struct change *c, struct buf *b) {
  buf_append(b, c->subject.token, TOKEN_SIZE);
  put_u32le(b, c->position);
  buf_append(b, c->opening, sizeof c->opening);
  put_bytes32le(b, c->value);
  put_bytes32le(b, c->payload);
}

static void text_put(const struct change *c, struct buf *b) {
  switch (c->kind) {
  case CHANGE_PUT:
    text_object(c, b);
    return;
  case CHANGE_DELETE:
    text_delete(c, b);
    return;
  case CHANGE_UPLOAD:
    text_upload(c, b);
    return;
  case CHANGE_PART:
    text_part(c, b);
    return;
  case CHANGE_ROW:
  case CHANGE_ROW_DELETE:
    put_u8(b, (uint8_t)c->table);
    put_bytes16le(b, c->key);
    if (c->kind == CHANGE_ROW) put_bytes32le(b, c->value);
    return;
  case CHANGE_SUBJECT:
    subject_encode(&c->subject, b);
    return;
  case CHANGE_ENTRY:
    text_entry(c, b);
    return;
  case CHANGE_SHRED:
    buf_append(b, c->subject.token, TOKEN_SIZE);
    put_u64le(b, c->subject.epoch);
    return;
  case CHANGE_INTENT:
    buf_append(b, c->body_id, STORE_BODY_ID_SIZE);
    buf_append(b, c->subject.token, TOKEN_SIZE);
    put_u64le(b, c->subject.epoch);
    return;
  case CHANGE_INTENT_END:
    buf_append(b, c->body_id, STORE_BODY_ID_SIZE);
    return;
  }
  assert(false);
}

static void place_get(struct reader *r, struct change *c) {
  c->prefix_len = get_u16le(r);
  c->key = get_bytes16le(r);
  if (c->prefix_len > c->key.len) r->bad = true;
}

static void object_get(struct reader *r, struct change *c, struct store_body_ref *bodies) {
  place_get(r, c);
  c->mtime_ms = get_u64le(r);
  get_copy(r, c->md5, MD5_SIZE);
  c->etag_parts = get_u32le(r);
  get_copy(r, c->sha256, SHA256_SIZE);
  c->meta = get_bytes32le(r);
  c->classes = get_bytes16le(r);
  for (uint32_t i = 0; i < c->body_count; i++) get_copy(r, bodies[i].sha256, SHA256_SIZE);
}

static void upload_get(struct reader *r, struct change *c) {
  place_get(r, c);
  get_copy(r, c->upload, STORE_UPLOAD_ID_SIZE);
  c->mtime_ms = get_u64le(r);
  c->meta = get_bytes32le(r);
  c->classes = get_bytes16le(r);
}

static void part_get(struct reader *r, struct change *c, struct store_body_ref *bodies) {
  place_get(r, c);
  get_copy(r, c->upload, STORE_UPLOAD_ID_SIZE);
  c->part = get_u32le(r);
  c->mtime_ms = get_u64le(r);
  get_copy(r, c->md5, MD5_SIZE);
  if (c->body_count != 1) {
    r->bad = true;
    return;
  }
  get_copy(r, bodies[0].sha256, SHA256_SIZE);
  if (r->bad || r->left == 0) return; /* as all were before there was a note */
  c->meta = get_bytes16le(r);
  if (c->meta.len == 0 || c->meta.len > STORE_PART_META_MAX) r->bad = true;
}

static void delete_get(struct reader *r, struct change *c) {
  c->item = get_u8(r);
  place_get(r, c);
  get_copy(r, c->upload, STORE_UPLOAD_ID_SIZE);
  c->part = get_u32le(r);
  if (c->versioned) c->order.epoch = get_u64le(r);
  if (c->versioned) c->order.lsn = get_u64le(r);
  if (c->versioned && (c->item != STORE_ITEM_OBJECT || c->order.lsn == 0)) r->bad = true;
  if (c->item < STORE_ITEM_OBJECT || c->item > STORE_ITEM_PART) r->bad = true;
}

static void entry_get(struct reader *r, struct change *c) {
  get_copy(r, c->subject.token, TOKEN_SIZE);
  c->position = get_u32le(r);
  get_copy(r, c->opening, sizeof c->opening);
  c->value = get_bytes32le(r);
  c->payload = get_bytes32le(r);
}

static void text_get(struct reader *r, struct change *c, struct store_body_ref *bodies) {
  switch (c->kind) {
  case CHANGE_PUT:
    object_get(r, c, bodies);
    return;
  case CHANGE_DELETE:
    delete_get(r, c);
    return;
  case CHANGE_UPLOAD:
    upload_get(r, c);
    return;
  case CHANGE_PART:
    part_get(r, c, bodies);
    return;
  case CHANGE_ROW:
  case CHANGE_ROW_DELETE:
    c->table = get_u8(r);
    c->key = get_bytes16le(r);
    if (c->kind == CHANGE_ROW) c->value = get_bytes32le(r);
    return;
  case CHANGE_SUBJECT:
    if (!subject_decode(r, &c->subject)) r->bad = true;
    return;
  case CHANGE_ENTRY:
    entry_get(r, c);
    return;
  case CHANGE_SHRED:
    get_copy(r, c->subject.token, TOKEN_SIZE);
    c->subject.epoch = get_u64le(r);
    return;
  case CHANGE_INTENT:
    get_copy(r, c->body_id, STORE_BODY_ID_SIZE);
    get_copy(r, c->subject.token, TOKEN_SIZE);
    c->subject.epoch = get_u64le(r);
    return;
  case CHANGE_INTENT_END:
    get_copy(r, c->body_id, STORE_BODY_ID_SIZE);
    return;
  }
  r->bad = true;
}

/* ---- sealing ---- */

/* Binds everything in clear except first LSN and order's LSN, which a compaction copy makes explicit. */
static void aad_put(enum change_kind kind, struct slice head, uint32_t clear_len, struct buf *out) {
  assert(clear_len >= RECORD_FIXED && head.len >= clear_len);
  buf_append(out, "DOMREC1", 8);
  put_u8(out, (uint8_t)kind);
  buf_append_slice(out, slice_cut(head, 0, FIRST_LSN_AT));
  buf_append_slice(out, slice_cut(head, AT_ORDER_EPOCH, ORDER_LSN_AT));
  buf_append_slice(out, slice_cut(head, AT_BUCKET, AT_SEALED));
  buf_append_slice(out, slice_cut(head, RECORD_FIXED, clear_len));
}

static void body_aad(const uint8_t id[VAULT_ID_SIZE], uint8_t out[8 + VAULT_ID_SIZE]) {
  memcpy(out, "DOMINL1", 8);
  memcpy(out + 8, id, VAULT_ID_SIZE);
}

static enum dom_code key_of(struct vault *vault, const uint8_t *head, uint8_t out[KEY_SIZE],
                            struct dom_err *err) {
  struct vault_key owner = {.epoch = load_u64le(head + AT_EPOCH)};
  assert(vault != NULL);
  memcpy(owner.token, head + AT_TOKEN, TOKEN_SIZE);
  return vault_key_derive(vault, &owner, "record", head + ID_AT, out, err);
}

static void clear_put(const struct change *c, uint32_t sealed_len, struct buf *out) {
  uint8_t id[VAULT_ID_SIZE];
  size_t start = out->len;
  random_bytes(id, sizeof id);
  put_u8(out, RECORD_VERSION);
  put_u8(out, (uint8_t)((c->inlined ? FLAG_INLINE : 0) | (c->versioned ? FLAG_VERSIONED : 0) |
                        (c->marker ? FLAG_MARKER : 0)));
  put_u16le(out, 0);
  buf_append(out, c->token, TOKEN_SIZE);
  put_u64le(out, c->epoch);
  put_u64le(out, c->first_lsn);
  put_u64le(out, c->order.epoch);
  put_u64le(out, c->order.lsn);
  buf_append(out, c->bucket, STORE_BUCKET_ID_SIZE);
  buf_append(out, id, sizeof id);
  put_u64le(out, c->size);
  put_u32le(out, c->body_count);
  put_u32le(out, sealed_len);
  assert(out->failed || out->len - start == RECORD_FIXED);
  for (uint32_t i = 0; i < c->body_count; i++) {
    buf_append(out, c->bodies[i].id, STORE_BODY_ID_SIZE);
    put_u64le(out, c->bodies[i].size);
  }
}

static enum dom_code record_seal(const struct change *c, const uint8_t key[KEY_SIZE], size_t start,
                                 struct slice text, struct slice inline_body, struct buf *out,
                                 struct dom_err *err) {
  BUF_AUTO aad = BUF_INIT;
  uint8_t nonce[GCM_NONCE_SIZE], inline_aad[8 + VAULT_ID_SIZE];
  struct slice head = slice_of(out->data + start, out->len - start);
  aad_put(c->kind, head, (uint32_t)head.len, &aad);
  body_aad(head.data + ID_AT, inline_aad);
  if (aad.failed || !buf_reserve(out, text.len + GCM_TAG_SIZE))
    return dom_fail(err, DOM_NO_MEMORY, "store/record: seal", "text");
  frame_nonce(0, FRAME_FLAG_META, nonce);
  uint8_t *to = out->data + out->len;
  enum dom_code code = gcm_seal(key, nonce, buf_slice(&aad), text, to, to + text.len);
  if (code != DOM_OK) return dom_fail(err, code, "store/record: seal", "cipher");
  out->len += text.len + GCM_TAG_SIZE;
  if (!c->inlined) return DOM_OK;
  return frames_seal(key, slice_of(inline_aad, sizeof inline_aad), inline_body, out, err);
}

enum dom_code record_encode(struct vault *vault, const struct change *c, struct slice inline_body,
                            struct buf *out, uint32_t *out_head, struct dom_err *err) {
  __attribute__((cleanup(buf_wipe_done))) struct buf text = BUF_INIT;
  uint8_t key[KEY_SIZE];
  size_t start = out->len;
  assert(!c->inlined || (c->body_count == 0 && inline_body.len == c->size));
  text_put(c, &text);
  if (text.failed) return buf_check(&text, err);
  uint32_t sealed_len = (uint32_t)text.len + GCM_TAG_SIZE;
  buf_reserve(out, RECORD_FIXED + sealed_len + (size_t)c->body_count * RECORD_BODY_REF +
                       (size_t)frames_size(inline_body.len));
  clear_put(c, sealed_len, out);
  if (out->failed) return buf_check(out, err);
  enum dom_code code = key_of(vault, out->data + start, key, err);
  if (code == DOM_OK) code = record_seal(c, key, start, buf_slice(&text), inline_body, out, err);
  wipe(key, sizeof key);
  if (code == DOM_OK) *out_head = RECORD_FIXED + c->body_count * RECORD_BODY_REF + sealed_len;
  return code;
}

/* ---- opening ---- */

enum dom_code record_peek(enum change_kind kind, struct slice payload, struct change *out, uint32_t *out_head,
                          struct dom_err *err) {
  static const char where[] = "store/record: head";
  struct change c = {.kind = kind};
  if (payload.len < RECORD_FIXED) return dom_fail(err, DOM_CORRUPT, where, "short record");
  const uint8_t *p = payload.data;
  if (p[0] != RECORD_VERSION) return dom_fail(err, DOM_INCOMPATIBLE, where, "record version %u", p[0]);
  if ((p[1] & ~FLAGS_KNOWN) != 0) return dom_fail(err, DOM_INCOMPATIBLE, where, "record flags %u", p[1]);
  c.inlined = (p[1] & FLAG_INLINE) != 0;
  c.versioned = (p[1] & FLAG_VERSIONED) != 0;
  c.marker = (p[1] & FLAG_MARKER) != 0;
  memcpy(c.token, p + AT_TOKEN, TOKEN_SIZE);
  c.epoch = load_u64le(p + AT_EPOCH);
  c.first_lsn = load_u64le(p + FIRST_LSN_AT);
  c.order.epoch = load_u64le(p + AT_ORDER_EPOCH);
  c.order.lsn = load_u64le(p + ORDER_LSN_AT);
  memcpy(c.bucket, p + AT_BUCKET, STORE_BUCKET_ID_SIZE);
  c.size = load_u64le(p + AT_SIZE);
  c.body_count = load_u32le(p + AT_BODIES);
  uint32_t sealed = load_u32le(p + AT_SEALED);
  if (c.body_count > STORE_PART_MAX || sealed < GCM_TAG_SIZE || sealed > UINT32_MAX / 2) {
    return dom_fail(err, DOM_CORRUPT, where, "bad lengths");
  }
  bool flags_ok = (!c.versioned || kind == CHANGE_PUT || kind == CHANGE_DELETE) &&
                  (!c.marker || (kind == CHANGE_PUT && !c.inlined && c.body_count == 0 && c.size == 0));
  if (!flags_ok) return dom_fail(err, DOM_CORRUPT, where, "flags of another kind");
  *out = c;
  *out_head = RECORD_FIXED + c.body_count * RECORD_BODY_REF + sealed;
  return DOM_OK;
}

static enum dom_code bodies_get(struct slice payload, struct change *c, struct record_plain *plain,
                                struct dom_err *err) {
  if (c->body_count > plain->bodies_cap) {
    struct store_body_ref *grown = dom_realloc(plain->bodies, c->body_count * sizeof *grown);
    if (!grown) return dom_fail(err, DOM_NO_MEMORY, "store/record: decode", "%u bodies", c->body_count);
    plain->bodies = grown;
    plain->bodies_cap = c->body_count;
  }
  struct reader r = reader_of(slice_cut(payload, RECORD_FIXED, payload.len));
  for (uint32_t i = 0; i < c->body_count; i++) {
    get_copy(&r, plain->bodies[i].id, STORE_BODY_ID_SIZE);
    plain->bodies[i].size = get_u64le(&r);
  }
  assert(!r.bad);
  c->bodies = plain->bodies;
  return DOM_OK;
}

static enum dom_code text_open(struct vault *vault, enum change_kind kind, struct slice payload,
                               uint32_t clear, uint32_t head, struct record_plain *plain,
                               struct dom_err *err) {
  struct buf *text = &plain->text;
  BUF_AUTO aad = BUF_INIT;
  uint8_t key[KEY_SIZE], nonce[GCM_NONCE_SIZE];
  size_t len = head - clear - GCM_TAG_SIZE;
  enum dom_code code = key_of(vault, payload.data, key, err);
  if (code != DOM_OK) return code;
  aad_put(kind, payload, clear, &aad);
  buf_reset(text);
  if (aad.failed || !buf_reserve(text, len + 1)) {
    wipe(key, sizeof key);
    return dom_fail(err, DOM_NO_MEMORY, "store/record: open", "text");
  }
  frame_nonce(0, FRAME_FLAG_META, nonce);
  code = gcm_open(key, nonce, buf_slice(&aad), slice_of(payload.data + clear, len),
                  payload.data + clear + len, text->data);
  plain->has_key = code == DOM_OK && plain->keep_key;
  if (plain->has_key) memcpy(plain->key, key, sizeof key);
  wipe(key, sizeof key);
  if (code != DOM_OK) return dom_fail(err, code, "store/record: open", "sealed text does not verify");
  text->len = len;
  return DOM_OK;
}

enum dom_code record_decode(struct vault *vault, enum change_kind kind, struct slice payload,
                            struct record_plain *plain, struct change *out, struct dom_err *err) {
  struct change c;
  uint32_t head = 0;
  enum dom_code code = record_peek(kind, payload, &c, &head, err);
  if (code != DOM_OK) return code;
  if (payload.len < head) return dom_fail(err, DOM_CORRUPT, "store/record: decode", "record is cut short");
  uint32_t clear = RECORD_FIXED + c.body_count * RECORD_BODY_REF;
  code = bodies_get(payload, &c, plain, err);
  if (code == DOM_OK) code = text_open(vault, kind, payload, clear, head, plain, err);
  if (code != DOM_OK) return code;
  struct reader r = reader_of(buf_slice(&plain->text));
  text_get(&r, &c, plain->bodies);
  if (!reader_end(&r))
    return dom_fail(err, DOM_CORRUPT, "store/record: decode", "text of kind %d", (int)kind);
  *out = c;
  return DOM_OK;
}

static enum dom_code body_read_with(const uint8_t key[KEY_SIZE], struct slice head, struct frame_source from,
                                    uint64_t offset, uint8_t *out, size_t len, struct dom_err *err) {
  uint8_t aad[8 + VAULT_ID_SIZE];
  assert(head.len >= RECORD_FIXED);
  body_aad(head.data + ID_AT, aad);
  return frames_read(key, slice_of(aad, sizeof aad), load_u64le(head.data + AT_SIZE), from, offset, out, len,
                     err);
}

enum dom_code record_body_read(struct vault *vault, struct slice head, struct frame_source from,
                               uint64_t offset, uint8_t *out, size_t len, struct dom_err *err) {
  uint8_t key[KEY_SIZE];
  assert(head.len >= RECORD_FIXED);
  enum dom_code code = key_of(vault, head.data, key, err);
  if (code != DOM_OK) return code;
  code = body_read_with(key, head, from, offset, out, len, err);
  wipe(key, sizeof key);
  return code;
}

enum dom_code record_body_read_kept(struct record_plain *plain, struct slice head, struct frame_source from,
                                    uint64_t offset, uint8_t *out, size_t len, struct dom_err *err) {
  assert(plain->has_key);
  enum dom_code code = body_read_with(plain->key, head, from, offset, out, len, err);
  wipe(plain->key, sizeof plain->key);
  plain->has_key = false;
  return code;
}

enum dom_code record_copy(struct slice payload, uint64_t first_lsn, uint64_t order_lsn, struct buf *out,
                          struct dom_err *err) {
  size_t start = out->len;
  assert(payload.len >= RECORD_FIXED && first_lsn != 0 && order_lsn != 0);
  buf_append_slice(out, payload);
  if (out->failed) return buf_check(out, err);
  store_u64le(out->data + start + FIRST_LSN_AT, first_lsn);
  store_u64le(out->data + start + ORDER_LSN_AT, order_lsn);
  return DOM_OK;
}
