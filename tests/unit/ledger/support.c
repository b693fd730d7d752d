#include "support.h"

#include <stdio.h>

const uint8_t SEED[ED25519_KEY_SIZE] = {1, 2, 3};
const uint8_t OTHER_SEED[ED25519_KEY_SIZE] = {9, 9};

void make_entry(uint64_t n, uint8_t out_bytes[LEDGER_ENTRY_SIZE], uint8_t out_opening[LEDGER_OPENING_SIZE],
                struct buf *out_payload) {
  struct ledger_payload payload = {.type = (enum ledger_type)(1 + n % LEDGER_TYPE_LAST),
                                   .from_region = 1,
                                   .to_region = 4,
                                   .from_epoch = n,
                                   .to_epoch = n + 1,
                                   .charter = 2,
                                   .objects = n * 3,
                                   .bytes = n * 1000,
                                   .text_len = 4,
                                   .text = "rule"};
  struct ledger_entry entry = {
      .type = payload.type, .region = 4, .epoch = n, .time_ms = 1700000000000 + n * 60000};
  if (n % 3 == 0) {
    entry.flags = LEDGER_HAS_PEER;
    memset(entry.peer_log_id, 0x55, sizeof entry.peer_log_id);
    entry.peer_index = n;
  }
  memset(out_opening, (int)(n & 0xFF), LEDGER_OPENING_SIZE);
  size_t begin = out_payload->len;
  ledger_payload_encode(&payload, out_payload);
  ledger_commit(out_opening, slice_of(out_payload->data + begin, out_payload->len - begin), entry.commit);
  ledger_entry_encode(&entry, out_bytes);
}

uint64_t cursor_of(uint64_t n) {
  return 10 * (n + 1);
}

enum dom_code take_up_range(struct ledger *ledger, uint64_t first, size_t count, struct dom_err *err) {
  struct ledger_item *items = test_calloc(count, sizeof *items);
  for (size_t i = 0; i < count; i++) {
    BUF_AUTO payload = BUF_INIT;
    uint8_t opening[LEDGER_OPENING_SIZE];
    make_entry(first + i, items[i].entry, opening, &payload);
    items[i].cursor = cursor_of(first + i);
  }
  enum dom_code code = ledger_take_up(ledger, items, count, err);
  test_free(items);
  return code;
}

enum dom_code append_range(struct ledger *ledger, uint64_t first, size_t count, struct dom_err *err) {
  enum dom_code code = take_up_range(ledger, first, count, err);
  return code ? code : ledger_publish(ledger, err);
}

void vkey_of(const uint8_t seed[ED25519_KEY_SIZE], struct buf *out) {
  uint8_t public_key[ED25519_KEY_SIZE];
  ed25519_public(seed, public_key);
  ledger_vkey_format(ORIGIN, public_key, out);
  buf_str(out);
}

struct loading {
  struct memory_folder *m;
  struct disk *disk;
  const char *root; /* the ledger's folder */
  const char *sub;  /* below it, "" or ending in a slash */
};

static bool load_name(void *arg, const char *name, bool is_dir) {
  struct loading *at = arg;
  char path[400];
  if (is_dir) {
    struct loading down = *at;
    char sub[200];
    snprintf(sub, sizeof sub, "%s%s/", at->sub, name);
    snprintf(path, sizeof path, "%s/%s%s", at->root, at->sub, name);
    down.sub = sub;
    OK(disk_list(at->disk, path, load_name, &down, NULL));
    return true;
  }
  snprintf(path, sizeof path, "%s%s", at->sub, name);
  struct memory_file *file = memory_add(at->m, path);
  snprintf(path, sizeof path, "%s/%s%s", at->root, at->sub, name);
  OK(disk_read_file(at->disk, path, 1 << 24, &file->bytes, NULL));
  return true;
}

void memory_load(struct memory_folder *m, struct disk *disk, const char *folder) {
  struct loading top = {.m = m, .disk = disk, .root = folder, .sub = ""};
  memset(m, 0, sizeof *m);
  OK(disk_list(disk, folder, load_name, &top, NULL));
}

void memory_done(struct memory_folder *m) {
  for (size_t i = 0; i < m->count; i++) buf_done(&m->files[i].bytes);
  m->count = 0;
}

struct memory_file *memory_find(struct memory_folder *m, const char *path) {
  for (size_t i = 0; i < m->count; i++)
    if (strcmp(m->files[i].path, path) == 0) return &m->files[i];
  return NULL;
}

struct memory_file *memory_add(struct memory_folder *m, const char *path) {
  assert_true(m->count < sizeof m->files / sizeof m->files[0]);
  struct memory_file *file = &m->files[m->count++];
  snprintf(file->path, sizeof file->path, "%s", path);
  file->bytes = BUF_INIT;
  return file;
}

void memory_remove(struct memory_folder *m, const char *path) {
  struct memory_file *file = memory_find(m, path);
  assert_non_null(file);
  buf_done(&file->bytes);
  *file = m->files[--m->count];
}

static int memory_read(void *context, const char *path, uint64_t offset, void *out, size_t len,
                       size_t *out_len) {
  struct memory_file *file = memory_find(context, path);
  if (!file) return 1;
  size_t from = offset < file->bytes.len ? (size_t)offset : file->bytes.len;
  size_t count = file->bytes.len - from < len ? file->bytes.len - from : len;
  if (count > 0) memcpy(out, file->bytes.data + from, count);
  *out_len = count;
  return 0;
}

static int memory_list(void *context, int (*found)(void *arg, const char *path), void *arg) {
  struct memory_folder *m = context;
  for (size_t i = 0; i < m->count; i++)
    if (found(arg, m->files[i].path)) return 1;
  return 0;
}

struct domicile_source memory_source(struct memory_folder *m) {
  return (struct domicile_source){.context = m, .read = memory_read, .list = memory_list};
}

enum domicile_code memory_verify(struct memory_folder *m, const char *vkey, struct slice since) {
  struct domicile_verifier *v = domicile_verifier_new();
  struct domicile_source source = memory_source(m);
  assert_non_null(v);
  if (vkey) assert_int_equal(domicile_verifier_add_key(v, vkey), DOMICILE_VERIFIED);
  if (since.len > 0) assert_int_equal(domicile_verifier_since(v, since.data, since.len), DOMICILE_VERIFIED);
  struct domicile_result *r = domicile_verify_ledger(v, &source);
  assert_non_null(r);
  enum domicile_code code = domicile_result_code(r);
  assert_true(strlen(domicile_result_text(r)) > 0);
  domicile_result_free(r);
  domicile_verifier_free(v);
  return code;
}
