/* Bodies in files and multipart uploads. */
#include "harness.h"
#include "store/local/engine.h"

static struct store_body_ref body_of(struct region *r, uint8_t fill, uint64_t epoch, size_t size,
                                     uint8_t byte) {
  struct store_body *b = NULL;
  struct store_body_ref ref = {0};
  struct dom_err err = {0};
  uint8_t token[TOKEN_SIZE], chunk[50000];
  token_of(token, fill);
  memset(chunk, byte, sizeof chunk);
  assert_dom_ok(store_body_create(r->store, PERMIT_STORE, &permit_any, token, epoch, &b, &err), err);
  for (size_t left = size; left > 0;) {
    size_t take = left < sizeof chunk ? left : sizeof chunk;
    assert_dom_ok(store_body_append(b, slice_of(chunk, take), &err), err);
    left -= take;
  }
  assert_dom_ok(store_body_seal_take(b, &ref, &err), err);
  assert_int_equal(ref.size, size);
  return ref;
}

/* Who hashes what it appends gets the same file, and a reference without a hash. */
static void a_hash_may_be_left(void **state) {
  struct region r;
  struct dom_err err = {0};
  struct store_body *b = NULL;
  struct store_body_ref ref, other;
  static const uint8_t none[SHA256_SIZE];
  uint8_t token[TOKEN_SIZE], bytes[70000], sha[SHA256_SIZE];
  (void)state;
  region_init(&r, 77, true);
  subject_home(&r, 1, 1);
  token_of(token, 1);
  memset(bytes, 'x', sizeof bytes);
  sha256(bytes, sizeof bytes, sha);
  assert_dom_ok(store_body_create(r.store, PERMIT_STORE, &permit_any, token, 1, &b, &err), err);
  store_body_leave_hash(b);
  assert_dom_ok(store_body_append(b, slice_of(bytes, sizeof bytes), &err), err);
  assert_dom_ok(store_body_seal_take(b, &ref, &err), err);
  assert_memory_equal(ref.sha256, none, sizeof none);
  assert_int_equal(ref.size, sizeof bytes);
  other = body_of(&r, 1, 1, sizeof bytes, 'x');
  assert_memory_equal(other.sha256, sha, sizeof sha);
  region_done(&r);
}

/* Plaintext bytes that make a file of `size` bytes: header, frames, each with its tag. 0: no body does. */
static size_t plain_of(size_t size) {
  enum { HEADER = 96 };
  size_t sealed = size - HEADER, last = sealed % FRAME_SEALED;
  if (last > 0 && last <= GCM_TAG_SIZE) return 0;
  return sealed / FRAME_SEALED * FRAME_PLAIN + (last ? last - GCM_TAG_SIZE : 0);
}

/* Files are written in whole blocks, a MiB at a time: around every border the file is as long as its frames,
 * and is there after the power went. */
static void bodies_end_anywhere(void **state) {
  static const size_t border[] = {4096, 8192, 65536, 1 << 20, (1 << 20) + 4096, (1 << 20) + 65536, 3 << 20};
  struct region r;
  struct dom_err err = {0};
  struct store_body_ref ref[3 * sizeof border / sizeof border[0] + 2];
  uint8_t token[TOKEN_SIZE];
  size_t count = 0;
  bool there = false;
  (void)state;
  region_init(&r, 78, true);
  subject_home(&r, 1, 1);
  token_of(token, 1);
  ref[count++] = body_of(&r, 1, 1, 0, 'x');
  ref[count++] = body_of(&r, 1, 1, 1, 'x');
  for (size_t i = 0; i < sizeof border / sizeof border[0]; i++)
    for (size_t size = border[i] - 1; size <= border[i] + 1; size++)
      if (plain_of(size)) ref[count++] = body_of(&r, 1, 1, plain_of(size), 'x');
  for (size_t i = 0; i < count; i++) {
    assert_dom_ok(body_check(r.store, token, 1, &ref[i], &there, &err), err);
    assert_true(there);
  }
  region_done(&r);
}

struct counting {
  struct disk *disk;
  const char *folder;
  uint32_t files;
};

static bool count_file(void *arg, const char *name, bool is_dir) {
  struct counting *c = arg;
  char path[128];
  if (is_dir) {
    struct counting sub = {.disk = c->disk};
    snprintf(path, sizeof path, "%s/%s", c->folder, name);
    sub.folder = path;
    assert_int_equal(disk_list(c->disk, path, count_file, &sub, NULL), DOM_OK);
    c->files += sub.files;
  } else {
    c->files++;
  }
  return true;
}

static uint32_t body_files(struct region *r) {
  struct counting c = {.disk = r->disk, .folder = "bodies"};
  assert_int_equal(disk_list(r->disk, "bodies", count_file, &c, NULL), DOM_OK);
  return c.files;
}

static void upkeep(struct region *r) {
  struct dom_err err = {0};
  for (bool did = true; did;) assert_dom_ok(store_upkeep(r->store, &did, &err), err);
}

struct txn {
  struct store_view *v;
  struct store_tx *tx;
};
static struct txn txn_begin(struct region *r) {
  struct txn t = {0};
  struct dom_err err = {0};
  assert_dom_ok(store_view_open(r->store, &t.v, &err), err);
  assert_dom_ok(store_tx_begin(r->store, t.v, &t.tx, &err), err);
  return t;
}
static enum dom_code txn_end(struct txn *t) {
  enum dom_code code = store_tx_commit_take(t->tx, NULL, NULL);
  store_view_close(t->v);
  return code;
}

static void large_put(struct region *r, const struct store_place *p, const char *key,
                      const struct store_body_ref *bodies, uint32_t count) {
  struct dom_err err = {0};
  struct store_object o = {.key = slice_str(key), .bodies = bodies, .body_count = count};
  for (uint32_t i = 0; i < count; i++) o.size += bodies[i].size;
  struct txn t = txn_begin(r);
  assert_dom_ok(store_tx_put(t.tx, &permit_any, p, &o, &err), err);
  assert_int_equal(txn_end(&t), DOM_OK);
}

static void file_bodies(void **state) {
  static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 131072, 3000000};
  struct region r;
  struct dom_err err = {0};
  (void)state;
  region_init(&r, 21, true);
  subject_home(&r, 1, 1);
  struct store_place p = place_of(9, 1, 1, "a/");
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    BUF_AUTO got = BUF_INIT;
    struct store_body_ref refs[2] = {body_of(&r, 1, 1, sizes[i], 'x'), body_of(&r, 1, 1, 70000, 'y')};
    large_put(&r, &p, "a/big", refs, 2);
    assert_dom_ok(get_bytes(&r, &p, SLICE_LIT("a/big"), &got, &err), err);
    assert_int_equal(got.len, sizes[i] + 70000);
    for (size_t at = 0; at < got.len; at++) assert_int_equal(got.data[at], at < sizes[i] ? 'x' : 'y');
  }
  upkeep(&r);
  assert_int_equal(body_files(&r), 2); /* each overwrite freed two */
  assert_dom_ok(delete_key(&r, &p, SLICE_LIT("a/big"), &err), err);
  upkeep(&r);
  assert_int_equal(body_files(&r), 0);
  region_done(&r);
}

/* A reader that found the object before it went can finish; then the file goes. */
static void reader_keeps_body(void **state) {
  struct region r;
  struct dom_err err = {0};
  struct store_view *v = NULL;
  struct store_found *f = NULL;
  char byte = 0;
  size_t len = 0;
  (void)state;
  region_init(&r, 22, true);
  subject_home(&r, 1, 1);
  struct store_place p = place_of(9, 1, 1, "a/");
  struct store_body_ref ref = body_of(&r, 1, 1, 200000, 'x');
  large_put(&r, &p, "a/big", &ref, 1);
  assert_dom_ok(store_view_open(r.store, &v, &err), err);
  assert_dom_ok(store_object_get(v, PERMIT_READ, &permit_any, &p, SLICE_LIT("a/big"), &f, &err), err);
  store_view_close(v);
  assert_dom_ok(delete_key(&r, &p, SLICE_LIT("a/big"), &err), err);
  upkeep(&r);
  assert_int_equal(body_files(&r), 1);
  assert_dom_ok(store_found_read(f, 199999, &byte, 1, &len, &err), err);
  assert_int_equal(byte, 'x');
  store_found_free(f);
  upkeep(&r);
  assert_int_equal(body_files(&r), 0);
  region_done(&r);
}

/* Metadata of an object of many parts: as long as it may be, with an inline body behind it, and one byte
 * more.
 */
static void long_metadata(void **state) {
  static uint8_t meta[STORE_META_MAX + 1];
  struct region r;
  struct dom_err err = {0};
  struct store_found *f = NULL;
  char byte = 0;
  size_t len = 0;
  (void)state;
  for (size_t i = 0; i < sizeof meta; i++) meta[i] = (uint8_t)(i * 7 + i / 251);
  region_init(&r, 29, true);
  subject_home(&r, 1, 1);
  struct store_place p = place_of(9, 1, 1, "a/");
  struct store_object o = {.key = SLICE_LIT("a/k"),
                           .size = 3,
                           .inline_body = SLICE_LIT("abc"),
                           .meta = slice_of(meta, STORE_META_MAX)};
  struct txn t = txn_begin(&r);
  assert_dom_ok(store_tx_put(t.tx, &permit_any, &p, &o, &err), err);
  assert_int_equal(txn_end(&t), DOM_OK);
  for (int round = 0; round < 2; round++) {
    struct store_view *v = NULL;
    assert_dom_ok(store_view_open(r.store, &v, &err), err);
    assert_dom_ok(store_object_get(v, PERMIT_READ, &permit_any, &p, o.key, &f, &err), err);
    store_view_close(v);
    assert_true(slice_equal(store_found_object(f)->meta, o.meta));
    assert_dom_ok(store_found_read(f, 2, &byte, 1, &len, &err), err);
    assert_int_equal(byte, 'c');
    store_found_free(f);
    assert_dom_ok(region_reopen(&r, &err), err);
  }
  o.meta.len++;
  t = txn_begin(&r);
  assert_int_equal(store_tx_put(t.tx, &permit_any, &p, &o, NULL), DOM_TOO_LARGE);
  store_tx_abort_take(t.tx);
  store_view_close(t.v);
  region_done(&r);
}

static void stale_intents(void **state) {
  struct region r;
  struct dom_err err = {0};
  (void)state;
  region_init(&r, 23, true);
  subject_home(&r, 1, 1);
  body_of(&r, 1, 1, 100, 'x'); /* sealed, never named */
  struct store_body_ref gone = body_of(&r, 1, 1, 100, 'x');
  upkeep(&r);
  assert_int_equal(body_files(&r), 2); /* this process may still name them */
  store_body_discard(r.store, &gone);
  assert_int_equal(body_files(&r), 1);
  assert_dom_ok(region_reopen(&r, &err), err);
  upkeep(&r);
  assert_int_equal(body_files(&r), 0);
  region_done(&r);
}

struct parts_seen {
  uint32_t count, sum;
};
static bool part_seen(void *arg, const struct store_part *part) {
  struct parts_seen *seen = arg;
  uint8_t meta[STORE_PART_META_MAX];
  memset(meta, (int)part->number, sizeof meta);
  seen->count++;
  seen->sum += part->number;
  assert_int_equal(part->meta_len, part->number % 2 ? sizeof meta : 0); /* odd parts have some */
  assert_memory_equal(part->meta, meta, part->meta_len);
  return true;
}
static bool upload_seen(void *arg, const struct store_subject *subject, const struct store_upload *u) {
  struct buf *out = arg;
  assert_int_equal(subject->epoch, 1);
  buf_printf(out, "%.*s:%c ", (int)u->key.len, (const char *)u->key.data, u->id[0]);
  return true;
}

static struct store_part part_put(struct region *r, const struct store_place *p, const uint8_t *id,
                                  uint32_t number, size_t size, enum dom_code want) {
  struct dom_err err = {0};
  struct store_part part = {
      .number = number, .mtime_ms = 5, .body = body_of(r, 1, 1, size, (uint8_t)('0' + number))};
  if (number % 2) memset(part.meta, (int)number, part.meta_len = sizeof part.meta);
  struct txn t = txn_begin(r);
  enum dom_code code = store_tx_part(t.tx, &permit_any, p, SLICE_LIT("a/k"), id, &part, &err);
  if (code == DOM_OK) {
    code = txn_end(&t);
  } else {
    store_tx_abort_take(t.tx);
    store_view_close(t.v);
  }
  if (code != DOM_OK) store_body_discard(r->store, &part.body);
  assert_int_equal(code, want);
  return part;
}

static void upload_begin(struct region *r, const struct store_place *p, const char *key, const uint8_t *id) {
  struct dom_err err = {0};
  struct store_upload u = {.key = slice_str(key), .meta = SLICE_LIT("meta"), .mtime_ms = 4};
  memcpy(u.id, id, sizeof u.id);
  struct txn t = txn_begin(r);
  assert_dom_ok(store_tx_upload_create(t.tx, &permit_any, p, &u, &err), err);
  assert_int_equal(txn_end(&t), DOM_OK);
}

static void multipart(void **state) {
  const uint8_t id1[STORE_UPLOAD_ID_SIZE] = "1111111111111111",
                id2[STORE_UPLOAD_ID_SIZE] = "0222222222222222";
  struct region r;
  struct dom_err err = {0};
  struct store_upload u = {0};
  BUF_AUTO got = BUF_INIT;
  (void)state;
  region_init(&r, 24, true);
  subject_home(&r, 1, 1);
  struct store_place p = place_of(9, 1, 1, "a/");
  part_put(&r, &p, id1, 1, 10, DOM_NOT_FOUND);
  upload_begin(&r, &p, "a/k", id1);
  upload_begin(&r, &p, "a/k", id2);
  upload_begin(&r, &p, "a/j", id2);
  struct store_part parts[3] = {part_put(&r, &p, id1, 1, 70000, DOM_OK), part_put(&r, &p, id1, 2, 10, DOM_OK),
                                part_put(&r, &p, id1, 7, 20, DOM_OK)};
  parts[1] = part_put(&r, &p, id1, 2, 30, DOM_OK); /* again */
  struct txn t = txn_begin(&r);
  struct parts_seen seen = {0};
  assert_dom_ok(store_part_scan(t.v, &p, SLICE_LIT("a/k"), id1, 1, part_seen, &seen, &err), err);
  assert_int_equal(seen.count, 2);
  assert_int_equal(seen.sum, 9);
  assert_dom_ok(store_upload_get(t.v, &p, SLICE_LIT("a/k"), id1, &u, &err), err);
  assert_true(slice_equal(u.meta, SLICE_LIT("meta")));
  assert_dom_ok(
      store_upload_scan(t.v, p.bucket, SLICE_LIT("a/"), SLICE_LIT(""), NULL, upload_seen, &got, &err), err);
  assert_string_equal(buf_str(&got), "a/j:0 a/k:1 a/k:0 ");
  buf_reset(&got);
  assert_dom_ok(
      store_upload_scan(t.v, p.bucket, SLICE_LIT("a/"), SLICE_LIT("a/k"), id1, upload_seen, &got, &err), err);
  assert_string_equal(buf_str(&got), "a/k:0 ");
  struct store_body_ref refs[2] = {parts[0].body, parts[2].body};
  struct store_object o = {
      .key = SLICE_LIT("a/k"), .size = 70020, .bodies = refs, .body_count = 2, .etag_parts = 2};
  assert_dom_ok(store_tx_complete(t.tx, &permit_any, &p, id1, &o, &err), err);
  assert_int_equal(txn_end(&t), DOM_OK);
  for (int round = 0; round < 3; round++) {
    buf_reset(&got);
    assert_dom_ok(get_bytes(&r, &p, SLICE_LIT("a/k"), &got, &err), err);
    assert_int_equal(got.len, 70020);
    assert_int_equal(got.data[70000], '7');
    upkeep(&r);
    assert_int_equal(body_files(&r), 2); /* parts not named, and the part sent twice, are gone */
    t = txn_begin(&r);
    assert_int_equal(store_upload_get(t.v, &p, SLICE_LIT("a/k"), id1, &u, NULL), DOM_NOT_FOUND);
    store_tx_abort_take(t.tx);
    store_view_close(t.v);
    store_close(r.store);
    r.store = NULL;
    if (round == 1) index_wipe(&r);
    assert_dom_ok(region_reopen(&r, &err), err);
  }
  region_done(&r);
}

/* Completing races with another part: one of them must look again. */
static void complete_guards_parts(void **state) {
  const uint8_t id[STORE_UPLOAD_ID_SIZE] = "1111111111111111";
  struct region r;
  struct dom_err err = {0};
  (void)state;
  region_init(&r, 25, true);
  subject_home(&r, 1, 1);
  struct store_place p = place_of(9, 1, 1, "a/");
  upload_begin(&r, &p, "a/k", id);
  struct store_part one = part_put(&r, &p, id, 1, 10, DOM_OK);
  struct store_object o = {.key = SLICE_LIT("a/k"), .size = 10, .bodies = &one.body, .body_count = 1};
  struct txn t = txn_begin(&r);
  assert_dom_ok(store_tx_complete(t.tx, &permit_any, &p, id, &o, &err), err);
  part_put(&r, &p, id, 2, 10, DOM_OK);
  assert_int_equal(txn_end(&t), DOM_RETRY);
  t = txn_begin(&r);
  struct store_body_ref other = body_of(&r, 1, 1, 10, 'z');
  o.bodies = &other;
  assert_int_equal(store_tx_complete(t.tx, &permit_any, &p, id, &o, &err), DOM_INVALID);
  assert_int_equal(txn_end(&t), DOM_INVALID);
  err = (struct dom_err){0};
  t = txn_begin(&r);
  assert_dom_ok(store_tx_upload_abort(t.tx, &permit_any, &p, SLICE_LIT("a/k"), id, &err), err);
  assert_int_equal(txn_end(&t), DOM_OK);
  store_body_discard(r.store, &other);
  upkeep(&r);
  assert_int_equal(body_files(&r), 0);
  region_done(&r);
}

/* Around the page cache: the same bytes from any place on, with any length, over several windows; and a file
 * that was cut is found damaged there too. */
static void read_once(void **state) {
  enum { SIZE = 3000001 };
  static const struct {
    uint64_t at;
    size_t len;
  } reads[] = {{0, SIZE},         {0, 1},      {SIZE - 1, 1}, {65535, 3}, {(1 << 20) - 97, 200},
               {2000000, 900000}, {4095, 4097}};
  struct region r;
  struct dom_err err = {0};
  struct store_view *v = NULL;
  struct store_body *b = NULL;
  struct store_body_ref ref;
  uint8_t token[TOKEN_SIZE];
  (void)state;
  region_init(&r, 57, true);
  subject_home(&r, 1, 1);
  token_of(token, 1);
  AUTO_FREE uint8_t *whole = dom_alloc(SIZE);
  AUTO_FREE uint8_t *got = dom_alloc(SIZE);
  for (uint32_t i = 0; i < SIZE; i++) whole[i] = (uint8_t)(i * 7 + i / 999);
  assert_dom_ok(store_body_create(r.store, PERMIT_STORE, &permit_any, token, 1, &b, &err), err);
  assert_dom_ok(store_body_append(b, slice_of(whole, SIZE), &err), err);
  assert_dom_ok(store_body_seal_take(b, &ref, &err), err);
  assert_dom_ok(store_view_open(r.store, &v, &err), err);
  for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
    struct store_found *f = NULL;
    size_t len = 0;
    assert_dom_ok(store_body_open(v, PERMIT_MOVE, &permit_any, token, 1, &ref, &f, &err), err);
    store_found_read_once(f);
    assert_dom_ok(store_found_read(f, reads[i].at, got, reads[i].len, &len, &err), err);
    assert_int_equal(len, reads[i].len);
    assert_memory_equal(got, whole + reads[i].at, len);
    store_found_free(f);
  }
  BUF_AUTO path = BUF_INIT;
  buf_printf(&path, "bodies/%02x/", ref.id[0]);
  hex_encode(&path, slice_of(ref.id, sizeof ref.id));
  struct disk_file *file = NULL;
  assert_dom_ok(disk_open(r.disk, buf_str(&path), DISK_WRITE, &file, &err), err);
  assert_dom_ok(disk_truncate(file, SIZE - 50000, &err), err);
  disk_close(file);
  struct store_found *f = NULL;
  size_t len = 0;
  assert_dom_ok(store_body_open(v, PERMIT_MOVE, &permit_any, token, 1, &ref, &f, &err), err);
  store_found_read_once(f);
  assert_int_equal(store_found_read(f, 0, got, SIZE, &len, &err), DOM_CORRUPT);
  store_found_free(f);
  store_view_close(v);
  region_done(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_hash_may_be_left), cmocka_unit_test(bodies_end_anywhere),
      cmocka_unit_test(file_bodies),        cmocka_unit_test(reader_keeps_body),
      cmocka_unit_test(long_metadata),      cmocka_unit_test(stale_intents),
      cmocka_unit_test(multipart),          cmocka_unit_test(complete_guards_parts),
      cmocka_unit_test(read_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
