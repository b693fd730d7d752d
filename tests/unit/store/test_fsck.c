/* Damage of every kind: found, named by place, never served; what can be healed is. */
#include "base/codec.h"
#include "harness.h"

struct findings {
  struct buf text;
  uint32_t count;
};
static void finding(void *arg, const char *text) {
  struct findings *f = arg;
  f->count++;
  buf_append_str(&f->text, text);
  buf_append_byte(&f->text, '\n');
}
static void progress(void *arg, const char *stage, uint64_t done, uint64_t total) {
  (void)arg;
  assert_non_null(stage);
  assert_true(total == 0 || done <= total);
}

static struct store_options options_of(struct region *r) {
  return (struct store_options){.disk = r->disk,
                                .clock = r->clock,
                                .kek = r->kek,
                                .deployment = "test-deployment",
                                .region = 7,
                                .segment_bytes = r->segment_bytes,
                                .reserve_bytes = 1};
}

static enum dom_code fsck(struct region *r, bool rebuild, struct findings *f,
                          struct store_fsck_report *report) {
  struct dom_err err = {0};
  struct store_options o = options_of(r);
  store_close(r->store);
  r->store = NULL;
  buf_done(&f->text);
  *f = (struct findings){0};
  *report = (struct store_fsck_report){0};
  return store_fsck(&o, rebuild, finding, progress, f, report, &err);
}

static void body_put(struct region *r, const char *key, uint64_t size, struct store_body_ref *out) {
  struct dom_err err = {0};
  struct store_body *b = NULL;
  struct store_view *v = NULL;
  struct store_tx *tx = NULL;
  struct store_place p = place_of(8, 1, 1, "p/");
  BUF_AUTO plain = BUF_INIT;
  for (uint64_t i = 0; i < size; i++) buf_append_byte(&plain, (uint8_t)(i * 3));
  assert_dom_ok(store_body_create(r->store, PERMIT_STORE, &permit_any, p.token, 1, &b, &err), err);
  assert_dom_ok(store_body_append(b, buf_slice(&plain), &err), err);
  assert_dom_ok(store_body_seal_take(b, out, &err), err);
  struct store_object o = {.key = slice_str(key), .size = size, .bodies = out, .body_count = 1};
  assert_dom_ok(store_view_open(r->store, &v, &err), err);
  assert_dom_ok(store_tx_begin(r->store, v, &tx, &err), err);
  assert_dom_ok(store_tx_put(tx, &permit_any, &p, &o, &err), err);
  assert_dom_ok(store_tx_commit_take(tx, NULL, &err), err);
  store_view_close(v);
}

static void body_name(const struct store_body_ref *ref, char out[128]) {
  BUF_AUTO hex = BUF_INIT;
  hex_encode(&hex, slice_of(ref->id, sizeof ref->id));
  snprintf(out, 128, "bodies/%02x/%s", ref->id[0], buf_str(&hex));
}

static void region_filled(struct region *r, uint64_t seed, struct store_body_ref *body) {
  struct dom_err err = {0};
  struct store_place p = place_of(8, 1, 1, "p/");
  region_init(r, seed, true);
  subject_home(r, 1, 1);
  for (int i = 0; i < 20; i++) {
    char name[32];
    snprintf(name, sizeof name, "p/%02d", i);
    assert_dom_ok(put_bytes(r, &p, slice_str(name), SLICE_LIT("content"), &err), err);
  }
  assert_dom_ok(delete_key(r, &p, SLICE_LIT("p/03"), &err), err);
  body_put(r, "p/body", 200000, body);
}

static void expect_ok(struct region *r) {
  struct findings f = {0};
  struct store_fsck_report report;
  assert_int_equal(fsck(r, false, &f, &report), DOM_OK);
  if (f.count) fail_msg("%s", buf_str(&f.text));
  assert_true(report.superblock_ok && report.vault_ok && report.index_ok);
  assert_int_equal(report.objects, 20);
  assert_int_equal(report.bodies, 1);
  assert_int_equal(report.bad_records + report.bad_bodies + report.missing_bodies + report.orphan_bodies +
                       report.dangling_rows + report.dead_records,
                   0);
  buf_done(&f.text);
}

static void clean(void **state) {
  struct region r;
  struct dom_err err = {0};
  struct store_body_ref body;
  struct findings f = {0};
  struct store_fsck_report report;
  (void)state;
  region_filled(&r, 61, &body);
  expect_ok(&r);
  assert_int_equal(fsck(&r, true, &f, &report), DOM_OK);
  assert_int_equal(f.count, 0);
  assert_int_equal(report.objects, 20);
  expect_ok(&r);
  assert_dom_ok(region_reopen(&r, &err), err);
  struct store_options o = options_of(&r);
  assert_int_equal(store_fsck(&o, false, finding, NULL, &f, &report, &err), DOM_BUSY); /* it is open */
  buf_done(&f.text);
  region_done(&r);
}

/* A batch in the middle: the region does not start, fsck says where. */
static void segment_middle(void **state) {
  struct region r;
  struct dom_err err = {0};
  struct store_body_ref body;
  struct findings f = {0};
  struct store_fsck_report report;
  (void)state;
  region_filled(&r, 62, &body);
  store_close(r.store);
  r.store = NULL;
  assert_int_equal(disk_sim_flip(r.disk, "log/00000001.seg", (4096 * 5 + 200) * 8), DOM_OK);
  assert_int_equal(fsck(&r, false, &f, &report), DOM_OK);
  assert_non_null(strstr(buf_str(&f.text), "segment 1 offset 20480"));
  assert_true(report.bad_records > 0);
  assert_int_equal(fsck(&r, true, &f, &report), DOM_CORRUPT);
  buf_done(&f.text);
  index_wipe(&r); /* so that the start must read it */
  assert_int_equal(region_reopen(&r, &err), DOM_CORRUPT);
  assert_non_null(strstr(err.text, "segment 1 offset 20480"));
  region_done(&r);
}

/* The last batch: as a torn write, which was never acknowledged. */
static void segment_tail(void **state) {
  struct region r;
  struct dom_err err = {0};
  struct store_place p = place_of(8, 1, 1, "p/");
  BUF_AUTO got = BUF_INIT;
  (void)state;
  region_init(&r, 63, true);
  subject_home(&r, 1, 1);
  assert_dom_ok(put_bytes(&r, &p, SLICE_LIT("p/a"), SLICE_LIT("1"), &err), err);
  assert_dom_ok(put_bytes(&r, &p, SLICE_LIT("p/b"), SLICE_LIT("2"), &err), err);
  store_close(r.store);
  r.store = NULL;
  index_wipe(&r);
  assert_int_equal(disk_sim_flip(r.disk, "log/00000001.seg", (4096 * 3 + 100) * 8), DOM_OK);
  assert_dom_ok(region_reopen(&r, &err), err);
  assert_dom_ok(get_bytes(&r, &p, SLICE_LIT("p/a"), &got, &err), err);
  assert_int_equal(get_bytes(&r, &p, SLICE_LIT("p/b"), &got, &err), DOM_NOT_FOUND);
  region_done(&r);
}

static bool sst_find(void *arg, const char *name, bool is_dir) {
  char *out = arg;
  size_t len = strlen(name);
  if (!is_dir && len > 4 && strcmp(name + len - 4, ".sst") == 0) snprintf(out, 64, "index/%s", name);
  return true;
}

/* Index files: reported, and healed from the log. */
static void index_damage(void **state) {
  struct region r;
  struct dom_err err = {0};
  struct store_body_ref body;
  struct findings f = {0};
  struct store_fsck_report report;
  char path[64] = "";
  (void)state;
  region_filled(&r, 64, &body);
  store_close(r.store);
  r.store = NULL;
  assert_dom_ok(disk_list(r.disk, "index", sst_find, path, &err), err);
  assert_true(path[0] != 0);
  assert_int_equal(disk_sim_flip(r.disk, path, (4096 + 300) * 8), DOM_OK);
  assert_int_equal(fsck(&r, false, &f, &report), DOM_OK);
  assert_false(report.index_ok);
  assert_non_null(strstr(buf_str(&f.text), "--rebuild-index"));
  assert_int_equal(fsck(&r, true, &f, &report), DOM_OK);
  assert_true(report.index_ok);
  assert_int_equal(report.objects, 20);
  expect_ok(&r);
  buf_done(&f.text);
  region_done(&r);
}

static void body_damage(void **state) {
  struct region r;
  struct dom_err err = {0};
  struct store_body_ref body;
  struct store_place p = place_of(8, 1, 1, "p/");
  struct findings f = {0};
  struct store_fsck_report report;
  BUF_AUTO got = BUF_INIT;
  char path[128];
  struct disk_file *file = NULL;
  (void)state;
  region_filled(&r, 65, &body);
  body_name(&body, path);
  assert_int_equal(disk_sim_flip(r.disk, path, 150000 * 8), DOM_OK);
  assert_int_equal(get_bytes(&r, &p, SLICE_LIT("p/body"), &got, &err), DOM_CORRUPT);
  assert_int_equal(got.len, 0);
  assert_int_equal(fsck(&r, false, &f, &report), DOM_OK);
  assert_int_equal(report.bad_bodies, 1);
  assert_int_equal(f.count, 1);
  assert_non_null(strstr(buf_str(&f.text), path));
  assert_int_equal(disk_unlink(r.disk, path, &err), DOM_OK);
  char *digit = path + strlen(path) - 1; /* a file that nothing names */
  *digit = *digit == '0' ? '1' : '0';
  assert_int_equal(disk_open(r.disk, path, DISK_WRITE | DISK_CREATE, &file, &err), DOM_OK);
  disk_close(file);
  assert_int_equal(fsck(&r, false, &f, &report), DOM_OK);
  assert_int_equal(report.missing_bodies, 1);
  assert_int_equal(report.orphan_bodies, 1);
  assert_int_equal(fsck(&r, true, &f, &report), DOM_OK);
  struct disk_info info;
  assert_int_equal(disk_stat(r.disk, path, &info, NULL), DOM_NOT_FOUND);
  buf_done(&f.text);
  region_done(&r);
}

static void refusals(void **state) {
  struct region r;
  struct dom_err err = {0};
  struct store *second = NULL;
  (void)state;
  region_init(&r, 66, true);
  struct store_options o = options_of(&r);
  assert_int_equal(store_open(&o, &second, &err), DOM_BUSY);
  err = (struct dom_err){0};
  store_close(r.store);
  r.store = NULL;
  o.region = 8;
  assert_int_equal(store_open(&o, &second, &err), DOM_INCOMPATIBLE);
  err = (struct dom_err){0};
  o.region = 7;
  for (int i = 1; i <= 2; i++) { /* an incompatible feature of the future, with its CRC in order */
    char path[32];
    BUF_AUTO block = BUF_INIT;
    snprintf(path, sizeof path, "superblock.%d", i);
    assert_dom_ok(disk_read_file(r.disk, path, 64, &block, &err), err);
    block.data[48] |= 128;
    store_u32le(block.data + 60, crc32c(0, block.data, 60));
    assert_dom_ok(disk_replace_file(r.disk, path, buf_slice(&block), &err), err);
  }
  assert_int_equal(store_open(&o, &second, &err), DOM_INCOMPATIBLE);
  assert_non_null(strstr(err.text, "newer build"));
  region_done(&r);
}

/* One superblock bad: said, and healed by the next start. */
static void superblock_copy(void **state) {
  struct region r;
  struct findings f = {0};
  struct store_fsck_report report;
  (void)state;
  region_init(&r, 67, true);
  assert_int_equal(disk_sim_flip(r.disk, "superblock.2", 100), DOM_OK);
  assert_int_equal(fsck(&r, false, &f, &report), DOM_OK);
  assert_false(report.superblock_ok);
  assert_int_equal(f.count, 1);
  assert_int_equal(fsck(&r, false, &f, &report), DOM_OK);
  assert_true(report.superblock_ok);
  buf_done(&f.text);
  region_done(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(clean),           cmocka_unit_test(segment_middle), cmocka_unit_test(segment_tail),
      cmocka_unit_test(index_damage),    cmocka_unit_test(body_damage),    cmocka_unit_test(refusals),
      cmocka_unit_test(superblock_copy),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
