#include "harness.h"

#include <assert.h>

const struct permit permit_any = {1};

bool permit_covers(const struct permit *p, enum permit_action action, uint16_t region,
                   const uint8_t token[TOKEN_SIZE]) {
  assert(action < PERMIT_ACTION_COUNT && token != NULL && region != 0);
  return p == &permit_any;
}

uint64_t permit_charter_version(const struct permit *p) {
  assert(p != NULL);
  return 1;
}

enum dom_code region_reopen(struct region *r, struct dom_err *err) {
  struct store_options o = {.disk = r->disk,
                            .clock = r->clock,
                            .kek = r->kek,
                            .deployment = "test-deployment",
                            .region = 7,
                            .create = true,
                            .inline_threads = r->inline_threads,
                            .segment_bytes = r->segment_bytes,
                            .reserve_bytes = r->reserve_bytes};
  store_close(r->store);
  r->store = NULL;
  return store_open(&o, &r->store, err);
}

void region_init(struct region *r, uint64_t seed, bool inline_threads) {
  struct dom_err err = {0};
  *r = (struct region){.inline_threads = inline_threads, .segment_bytes = 4 << 20, .reserve_bytes = 1};
  r->disk = disk_sim_new(seed);
  r->kek_disk = disk_sim_new(seed + 1);
  r->clock = clock_sim_new(1700000000000u);
  assert_true(r->disk && r->kek_disk && r->clock);
  assert_dom_ok(vault_kek_folder_open(r->kek_disk, "kek", NULL, true, &r->kek, &err), err);
  assert_dom_ok(region_reopen(r, &err), err);
}

void region_done(struct region *r) {
  store_close(r->store);
  vault_kek_close(r->kek);
  clock_sim_free(r->clock);
  disk_sim_free(r->kek_disk);
  disk_sim_free(r->disk);
}

static bool name_note(void *arg, const char *name, bool is_dir) {
  struct buf *names = arg;
  if (!is_dir) buf_append(names, name, strlen(name) + 1);
  return true;
}

void index_wipe(struct region *r) {
  BUF_AUTO names = BUF_INIT;
  struct dom_err err = {0};
  char path[512];
  assert_null(r->store);
  assert_dom_ok(disk_list(r->disk, "index", name_note, &names, &err), err);
  assert_true(names.len > 0);
  for (size_t at = 0; at < names.len; at += strlen((char *)names.data + at) + 1) {
    snprintf(path, sizeof path, "index/%s", (char *)names.data + at);
    assert_dom_ok(disk_unlink(r->disk, path, &err), err);
  }
}

void token_of(uint8_t out[TOKEN_SIZE], uint8_t fill) {
  memset(out, fill, TOKEN_SIZE);
}

enum dom_code subject_state(struct region *r, const struct store_subject *s) {
  struct store_view *v = NULL;
  struct store_tx *tx = NULL;
  struct dom_err err = {0};
  enum dom_code code = store_view_open(r->store, &v, &err);
  if (code == DOM_OK) code = store_tx_begin(r->store, v, &tx, &err);
  if (code == DOM_OK) code = store_tx_subject_put(tx, s, &err);
  if (code == DOM_OK)
    code = store_tx_commit_take(tx, NULL, &err);
  else
    store_tx_abort_take(tx);
  store_view_close(v);
  return code;
}

void subject_home(struct region *r, uint8_t fill, uint64_t epoch) {
  struct dom_err err = {0};
  struct vault_key key = {.epoch = epoch};
  struct store_subject s = {
      .state = SUBJECT_HOME, .epoch = epoch, .epoch_allotted = epoch, .home = 7, .country = {'I', 'N'}};
  token_of(key.token, fill);
  token_of(s.token, fill);
  enum dom_code code = vault_key_create(store_vault(r->store), &key, &err);
  assert_true(code == DOM_OK || code == DOM_EXISTS);
  assert_int_equal(subject_state(r, &s), DOM_OK);
}

struct store_place place_of(uint8_t bucket, uint8_t fill, uint64_t epoch, const char *prefix) {
  struct store_place p = {.epoch = epoch, .prefix = slice_str(prefix)};
  memset(p.bucket, bucket, sizeof p.bucket);
  token_of(p.token, fill);
  return p;
}

static enum dom_code put_once(struct region *r, const struct store_place *place, struct slice key,
                              struct slice body, struct dom_err *err) {
  struct store_view *v = NULL;
  struct store_tx *tx = NULL;
  struct store_object o = {
      .key = key, .size = body.len, .mtime_ms = 1, .inline_body = body, .meta = SLICE_LIT("m=1")};
  sha256(body.data, body.len, o.sha256);
  memcpy(o.etag_md5, o.sha256, MD5_SIZE);
  enum dom_code code = store_view_open(r->store, &v, err);
  if (code == DOM_OK) code = store_tx_begin(r->store, v, &tx, err);
  if (code == DOM_OK) code = store_tx_put(tx, &permit_any, place, &o, err);
  if (code == DOM_OK) {
    code = store_tx_commit_take(tx, NULL, err);
    tx = NULL;
  }
  store_tx_abort_take(tx);
  store_view_close(v);
  return code;
}

enum dom_code put_bytes(struct region *r, const struct store_place *place, struct slice key,
                        struct slice body, struct dom_err *err) {
  enum dom_code code;
  do {
    *err = (struct dom_err){0};
    code = put_once(r, place, key, body, err);
  } while (code == DOM_RETRY);
  return code;
}

enum dom_code get_bytes(struct region *r, const struct store_place *place, struct slice key, struct buf *out,
                        struct dom_err *err) {
  struct store_view *v = NULL;
  struct store_found *f = NULL;
  enum dom_code code = store_view_open(r->store, &v, err);
  if (code == DOM_OK) code = store_object_get(v, PERMIT_READ, &permit_any, place, key, &f, err);
  store_view_close(v);
  if (code != DOM_OK) return code;
  size_t size = (size_t)store_found_object(f)->size, len = 0;
  assert_true(buf_reserve(out, size + 1));
  code = store_found_read(f, 0, out->data + out->len, size + 1, &len, err);
  if (code == DOM_OK) {
    assert_int_equal(len, size);
    out->len += len;
  }
  store_found_free(f);
  return code;
}

enum dom_code delete_key(struct region *r, const struct store_place *place, struct slice key,
                         struct dom_err *err) {
  enum dom_code code;
  do {
    struct store_view *v = NULL;
    struct store_tx *tx = NULL;
    *err = (struct dom_err){0};
    code = store_view_open(r->store, &v, err);
    if (code == DOM_OK) code = store_tx_begin(r->store, v, &tx, err);
    if (code == DOM_OK) code = store_tx_delete(tx, &permit_any, place, key, err);
    if (code == DOM_OK) {
      code = store_tx_commit_take(tx, NULL, err);
      tx = NULL;
    }
    store_tx_abort_take(tx);
    store_view_close(v);
  } while (code == DOM_RETRY);
  return code;
}

struct page {
  struct buf *out;
  struct buf last;
};

static void page_show(void *arg, const struct store_object *object, struct slice common) {
  struct page *p = arg;
  struct slice name = object ? object->key : common;
  if (!object) buf_append_byte(p->out, '+');
  buf_append_slice(p->out, name);
  buf_append_byte(p->out, '\n');
  buf_reset(&p->last);
  buf_append_slice(&p->last, name);
}

void list_all(struct region *r, uint8_t bucket, struct slice prefix, struct slice delimiter, uint32_t max,
              struct buf *out) {
  struct store_view *v = NULL;
  struct dom_err err = {0};
  struct page p = {.out = out};
  BUF_AUTO after = BUF_INIT;
  bool more = true;
  assert_dom_ok(store_view_open(r->store, &v, &err), err);
  while (more) {
    struct store_listing l = {.prefix = prefix,
                              .delimiter = delimiter,
                              .after = buf_slice(&after),
                              .max = max,
                              .show = page_show,
                              .arg = &p};
    memset(l.bucket, bucket, sizeof l.bucket);
    assert_dom_ok(store_list(v, &l, &more, &err), err);
    buf_reset(&after);
    buf_append_slice(&after, buf_slice(&p.last));
  }
  buf_done(&p.last);
  store_view_close(v);
}
