/* Golden vectors of docs/formats/log.md and index.md: written as they stand, and read back. */
#include "harness.h"

#include "store/local/record.h"
#include "store/local/rows.h"
#include "store/local/segment.h"
#include "store/local/superblock.h"

/* Compares with the line `name: hex` of the golden file. */
static void golden(const char *name, const struct buf *got) {
  static char line[1 << 16];
  BUF_AUTO hex = BUF_INIT;
  size_t name_len = strlen(name);
  FILE *f = fopen(GOLDEN_DIR "/store.hex", "r");
  assert_non_null(f);
  hex_encode(&hex, buf_slice(got));
  while (fgets(line, sizeof line, f)) {
    line[strcspn(line, "\n")] = 0;
    if (strncmp(line, name, name_len) != 0 || strncmp(line + name_len, ": ", 2) != 0) continue;
    fclose(f);
    if (strcmp(line + name_len + 2, buf_str(&hex)) != 0) fail_msg("%s: %s", name, buf_str(&hex));
    return;
  }
  fclose(f);
  fail_msg("no golden vector\n%s: %s", name, buf_str(&hex));
}

static void fill(uint8_t *p, size_t len, uint8_t from) {
  for (size_t i = 0; i < len; i++) p[i] = (uint8_t)(from + i);
}

static void superblocks(void **state) {
  struct superblock s = {.region = 0x0102, .sequence = 3, .compatible = 0x10}, back;
  BUF_AUTO b = BUF_INIT;
  (void)state;
  fill(s.deployment, sizeof s.deployment, 0x40);
  superblock_encode(&s, &b);
  golden("superblock", &b);
  assert_int_equal(superblock_decode(buf_slice(&b), &back, NULL), DOM_OK);
  assert_int_equal(back.region, s.region);
  assert_memory_equal(back.deployment, s.deployment, sizeof s.deployment);
  for (size_t bit = 0; bit < b.len * 8; bit++) { /* each flipped bit is seen */
    b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    assert_int_equal(superblock_decode(buf_slice(&b), &back, NULL), DOM_CORRUPT);
    b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
  buf_reset(&b);
  s.incompatible = SUPERBLOCK_FEATURES << 1;
  superblock_encode(&s, &b);
  assert_int_equal(superblock_decode(buf_slice(&b), &back, NULL), DOM_INCOMPATIBLE);
}

static void segments(void **state) {
  struct segment_header h = {.number = 2,
                             .generation = 3,
                             .bytes = 65536,
                             .first_lsn = 0x0405060708,
                             .horizon = 9},
                        back;
  BUF_AUTO b = BUF_INIT;
  (void)state;
  fill(h.chain, sizeof h.chain, 0x80);
  segment_header_encode(&h, &b);
  assert_int_equal(b.len, SEGMENT_HEADER_SIZE);
  for (size_t i = 80; i < b.len; i++) assert_int_equal(b.data[i], 0);
  assert_int_equal(segment_header_decode(buf_slice(&b), &back, NULL), DOM_OK);
  assert_int_equal(back.first_lsn, h.first_lsn);
  b.len = 80;
  golden("segment header", &b);
}

/* As the log lays it out: batch header, then records at borders of 8. */
static void batches(void **state) {
  struct log_record r[2] = {{.type = 1, .lsn = 7, .payload = SLICE_LIT("payload")},
                            {.type = 8, .lsn = 8, .payload = SLICE_LIT("!")}};
  struct batch_header h = {.generation = 3, .count = 2, .first_lsn = 7, .last_lsn = 8}, back;
  struct log_record record;
  BUF_AUTO b = BUF_INIT;
  (void)state;
  buf_append_zero(&b, LOG_BATCH_HEADER);
  for (int i = 0; i < 2; i++) {
    r[i].payload_crc = crc32c(0, r[i].payload.data, r[i].payload.len);
    record_frame_put(&b, &r[i], 3);
    buf_append_slice(&b, r[i].payload);
    buf_append_zero(&b, (size_t)log_record_size(r[i].payload.len) - LOG_RECORD_HEADER - r[i].payload.len);
  }
  h.length = (uint32_t)b.len;
  fill(h.chain, sizeof h.chain, 0x80);
  batch_header_finish(b.data, &h);
  golden("batch", &b);
  assert_true(batch_header_decode(buf_slice(&b), b.len, &back));
  for (size_t bit = 0; bit < b.len * 8; bit++) {
    b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    assert_false(batch_header_decode(buf_slice(&b), b.len, &back) && back.length == b.len &&
                 batch_verify(buf_slice(&b), &back));
    b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
  assert_true(record_frame_check(slice_of(b.data + LOG_BATCH_HEADER, LOG_RECORD_HEADER + 7), 3, &record));
  assert_int_equal(record.lsn, 7);
  uint8_t chain[SHA256_SIZE], want[SHA256_SIZE];
  batch_chain(b.data, chain);
  sha256(b.data, LOG_BATCH_HEADER, want);
  assert_memory_equal(chain, want, SHA256_SIZE);
}

/* Over damage: it carries what the batch behind it chains to, and replay passes it over. */
static void bridge(void **state) {
  BUF_AUTO b = BUF_INIT;
  BUF_AUTO front = BUF_INIT;
  struct batch_header h = {.generation = 3, .first_lsn = 9, .last_lsn = 12}, back;
  uint8_t next[SHA256_SIZE], follows[SHA256_SIZE];
  (void)state;
  fill(h.chain, sizeof h.chain, 0x80);
  fill(next, sizeof next, 0x40);
  batch_bridge_put(&b, &h, next, 2 * DISK_ALIGN);
  assert_int_equal(b.len, 2 * DISK_ALIGN);
  buf_append(&front, b.data, LOG_BATCH_HEADER + LOG_RECORD_HEADER + SHA256_SIZE); /* zeros behind */
  golden("bridge", &front);
  assert_true(batch_header_decode(buf_slice(&b), b.len, &back) && batch_verify(buf_slice(&b), &back));
  assert_true(batch_is_bridge(buf_slice(&b), &back));
  batch_follow(buf_slice(&b), &back, follows);
  assert_memory_equal(follows, next, SHA256_SIZE);
  assert_int_equal(segment_batch_each(buf_slice(&b), &back, 1, 4096, 0, NULL, NULL, NULL), DOM_OK);
}

static enum dom_code buf_source(void *arg, uint64_t offset, uint8_t *out, size_t len, struct dom_err *err) {
  const struct buf *b = arg;
  (void)err;
  if (offset + len > b->len) return DOM_CORRUPT;
  memcpy(out, b->data + offset, len);
  return DOM_OK;
}

static void frames(void **state) {
  uint8_t key[KEY_SIZE];
  BUF_AUTO b = BUF_INIT;
  (void)state;
  fill(key, sizeof key, 1);
  assert_int_equal(frames_seal(key, SLICE_LIT("aad"), SLICE_LIT("twenty bytes of text"), &b, NULL), DOM_OK);
  golden("frame", &b);
  for (size_t size = 65535; size <= 131073; size += size == 65537 ? 65534 : 1) {
    BUF_AUTO plain = BUF_INIT;
    BUF_AUTO sealed = BUF_INIT;
    buf_append_zero(&plain, size);
    for (size_t i = 0; i < size; i++) plain.data[i] = (uint8_t)(i * 7 + i / 256);
    assert_int_equal(frames_seal(key, SLICE_LIT("aad"), buf_slice(&plain), &sealed, NULL), DOM_OK);
    assert_int_equal(sealed.len, frames_size(size));
    struct frame_source from = {buf_source, &sealed};
    static const size_t spans[][2] = {{0, 1}, {0, 65535}, {65534, 1}, {65530, 5}, {1, 65534}};
    for (size_t i = 0; i < 5; i++) {
      static uint8_t out[65536];
      assert_int_equal(frames_read(key, SLICE_LIT("aad"), size, from, spans[i][0], out, spans[i][1], NULL),
                       DOM_OK);
      assert_memory_equal(out, plain.data + spans[i][0], spans[i][1]);
    }
    /* Cut at a frame's border, or of another thing: refused. */
    static uint8_t out[65536];
    assert_int_equal(frames_read(key, SLICE_LIT("other"), size, from, 0, out, 10, NULL), DOM_CORRUPT);
    if (size > 65536)
      assert_int_equal(frames_read(key, SLICE_LIT("aad"), 65536, from, 0, out, 10, NULL), DOM_CORRUPT);
  }
}

static struct change change_of(enum change_kind kind, const struct store_body_ref *body) {
  struct change c = {.kind = kind,
                     .epoch = 5,
                     .order = {.epoch = 4, .lsn = 44},
                     .first_lsn = 50,
                     .size = 6,
                     .item = STORE_ITEM_UPLOAD,
                     .key = SLICE_LIT("p/key"),
                     .prefix_len = 2,
                     .mtime_ms = 1234,
                     .etag_parts = 2,
                     .meta = SLICE_LIT("meta"),
                     .classes = SLICE_LIT("class"),
                     .part = 9,
                     .table = STORE_TABLE_META,
                     .value = SLICE_LIT("value"),
                     .payload = SLICE_LIT("payload"),
                     .position = 1,
                     .subject = {.state = SUBJECT_COPYING,
                                 .epoch = 5,
                                 .epoch_allotted = 6,
                                 .home = 7,
                                 .since_ms = 8,
                                 .country = {'I', 'N'},
                                 .handoff_epoch = 6,
                                 .handoff_to = 9}};
  fill(c.token, sizeof c.token, 0x10);
  fill(c.bucket, sizeof c.bucket, 0x30);
  fill(c.upload, sizeof c.upload, 0x50);
  if (kind == CHANGE_PUT || kind == CHANGE_PART) {
    c.bodies = body;
    c.body_count = 1;
  }
  return c;
}

/* Every kind through the codec with a real vault; any flipped bit of what is bound is refused. */
static void records(void **state) {
  struct region r;
  struct dom_err err = {0};
  struct vault_key key = {.epoch = 5};
  struct store_body_ref body = {.size = 6};
  RECORD_PLAIN_AUTO plain = {0};
  (void)state;
  region_init(&r, 51, true);
  fill(key.token, sizeof key.token, 0x10);
  fill(body.id, sizeof body.id, 0x70);
  fill(body.sha256, sizeof body.sha256, 0x90);
  assert_dom_ok(vault_key_create(store_vault(r.store), &key, &err), err);
  for (enum change_kind kind = CHANGE_PUT; kind <= CHANGE_INTENT_END; kind++) {
    BUF_AUTO b = BUF_INIT;
    BUF_AUTO clear = BUF_INIT;
    uint32_t head = 0;
    struct change c = change_of(kind, &body), back;
    assert_dom_ok(record_encode(store_vault(r.store), &c, (struct slice){0}, &b, &head, &err), err);
    assert_int_equal(head, b.len);
    assert_dom_ok(record_decode(store_vault(r.store), kind, buf_slice(&b), &plain, &back, &err), err);
    assert_memory_equal(back.bucket, c.bucket, sizeof c.bucket);
    assert_int_equal(back.order.lsn, 44);
    if (kind <= CHANGE_PART) assert_true(slice_equal(back.key, c.key));
    if (kind == CHANGE_PUT) {
      assert_memory_equal(&back.bodies[0], &body, sizeof body);
      buf_append(&clear, b.data, RECORD_FIXED + RECORD_BODY_REF);
      memset(clear.data + 84, 0, VAULT_ID_SIZE); /* the random id */
      golden("record head", &clear);
    }
    for (size_t at = 0; at < b.len; at += 3) {
      bool bound = !(at >= 44 && at < 52) && !(at >= 60 && at < 68); /* not first LSN nor order LSN */
      b.data[at] ^= 4;
      enum dom_code code = record_decode(store_vault(r.store), kind, buf_slice(&b), &plain, &back, NULL);
      assert_true(bound ? code != DOM_OK : code == DOM_OK);
      b.data[at] ^= 4;
    }
    assert_int_not_equal(record_decode(store_vault(r.store), kind == CHANGE_PUT ? CHANGE_UPLOAD : CHANGE_PUT,
                                       buf_slice(&b), &plain, &back, NULL),
                         DOM_OK);
  }
  region_done(&r);
}

static void row_keys(void **state) {
  uint8_t bucket[STORE_BUCKET_ID_SIZE], token[TOKEN_SIZE], upload[STORE_UPLOAD_ID_SIZE];
  BUF_AUTO b = BUF_INIT;
  BUF_AUTO name = BUF_INIT;
  struct row_name n;
  (void)state;
  fill(bucket, sizeof bucket, 0x10);
  fill(token, sizeof token, 0x20);
  fill(upload, sizeof upload, 0x40);
  row_cell(&b, ROW_OBJECT, bucket, slice_of("a\0b", 3), 5);
  row_order_put(&b, (struct store_order){4, 44});
  golden("object key", &b);
  assert_true(row_name_parse(buf_slice(&b), &name, &n));
  assert_int_equal(n.epoch, 5);
  assert_true(slice_equal(n.name, slice_of("a\0b", 3)));
  assert_int_equal(row_order_load(n.rest).lsn, 44);
  buf_reset(&b);
  row_part_cell(&b, bucket, SLICE_LIT("k"), 5, upload, 258);
  golden("part key", &b);
  buf_reset(&b);
  row_presence_key(&b, token, 5, bucket, SLICE_LIT("p/"));
  golden("presence key", &b);
  buf_reset(&b);
  row_entry_of_key(&b, token, 7, 1);
  golden("entry-of key", &b);
  buf_reset(&b);
  row_state_cell(&b, STORE_TABLE_JOB, SLICE_LIT("job"));
  golden("state key", &b);
}

static void row_values(void **state) {
  struct row_object o = {.at = {1, 2, 3, 4},
                         .first_lsn = 5,
                         .size = 6,
                         .mtime_ms = 7,
                         .etag_parts = 8,
                         .head = 9,
                         .body_count = 10,
                         .prefix_len = 11},
                    back;
  struct row_part p = {.at = {1, 2, 3, 4},
                       .first_lsn = 5,
                       .mtime_ms = 6,
                       .order = {7, 8},
                       .body = {.size = 9}},
                  part_back;
  struct row_journal j = {.item = STORE_ITEM_PART, .prefix_len = 2, .key = SLICE_LIT("p/k"), .part = 3},
                     journal_back;
  BUF_AUTO b = BUF_INIT;
  (void)state;
  fill(o.token, sizeof o.token, 0x20);
  row_object_put(&b, &o);
  golden("object value", &b);
  assert_true(row_object_parse(buf_slice(&b), &back));
  assert_int_equal(back.prefix_len, 11);
  buf_reset(&b);
  row_part_put(&b, &p);
  golden("part value", &b);
  assert_true(row_part_parse(buf_slice(&b), &part_back));
  assert_int_equal(part_back.body.size, 9);
  buf_reset(&b);
  row_journal_put(&b, &j);
  golden("journal value", &b);
  assert_true(row_journal_parse(buf_slice(&b), &journal_back));
  buf_reset(&b);
  struct change c = change_of(CHANGE_SUBJECT, NULL);
  subject_encode(&c.subject, &b);
  golden("subject", &b);
  for (size_t len = 0; len < b.len; len++) { /* a cut value is no value */
    struct store_subject s;
    struct reader r = reader_of(slice_of(b.data, len));
    assert_false(subject_decode(&r, &s));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(superblocks), cmocka_unit_test(segments),   cmocka_unit_test(batches),
      cmocka_unit_test(bridge),      cmocka_unit_test(frames),     cmocka_unit_test(records),
      cmocka_unit_test(row_keys),    cmocka_unit_test(row_values),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
