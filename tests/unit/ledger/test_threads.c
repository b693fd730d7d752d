/* Readers while the writer goes on: every checkpoint seen verifies against the tiles and
 * proofs that are served with it. Meant for TSan. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "ledger/merkle.h"
#include "ledger/note.h"
#include "ledger/tile.h"
#include "support.h"

enum { READERS = 3, BATCHES = 60, BATCH = 17 };

struct shared {
  struct ledger *ledger;
  atomic_bool done;
  atomic_uint failures;
  atomic_uint rounds;
};

/* cmocka's asserts must not run on other threads; failures are counted. */
static bool read_once(struct ledger *ledger, uint64_t *io_size) {
  BUF_AUTO text = BUF_INIT, hashes = BUF_INIT, bundle = BUF_INIT;
  struct checkpoint head;
  struct slice body, signatures;
  struct merkle_proof proof;
  struct merkle_hash leaf;
  uint8_t entry[LEDGER_ENTRY_SIZE];
  const char *type;
  bool immutable;
  ledger_checkpoint(ledger, &text);
  if (checkpoint_parse(buf_slice(&text), &head, &body, &signatures, NULL) != DOM_OK) return false;
  if (head.size < *io_size) return false; /* it never shrinks */
  *io_size = head.size;
  if (head.size == 0) return true;
  uint64_t index = head.size * 7 / 11;
  if (ledger_prove_inclusion(ledger, index, head.size, &hashes, NULL) != DOM_OK) return false;
  if (ledger_entry_at(ledger, index, entry, NULL, NULL) != DOM_OK) return false;
  proof.count = hashes.len / MERKLE_HASH;
  if (hashes.len > 0) memcpy(proof.hashes, hashes.data, hashes.len);
  merkle_leaf(slice_of(entry, sizeof entry), &leaf);
  if (!merkle_check_inclusion(&leaf, index, head.size, &proof, &head.root)) return false;
  char path[TILE_PATH_MAX];
  struct tile_id id = {.level = TILE_ENTRIES, .n = index / TILE_WIDTH};
  id.width = tile_width(TILE_ENTRIES, id.n, head.size);
  tile_path(id, path);
  if (ledger_resource(ledger, path, &bundle, &type, &immutable, NULL) != DOM_OK) return false;
  return memcmp(bundle.data + index % TILE_WIDTH * BUNDLE_UNIT + 2, entry, sizeof entry) == 0;
}

static void *reader(void *arg) {
  struct shared *s = arg;
  uint64_t size = 0;
  do {
    if (!read_once(s->ledger, &size)) atomic_fetch_add(&s->failures, 1);
    atomic_fetch_add(&s->rounds, 1);
  } while (!atomic_load(&s->done));
  return NULL;
}

/* ---- the verifier over a folder that grows under it */

struct folder {
  struct disk *disk;
  const char *path; /* below the disk's root */
};

static int live_read(void *context, const char *path, uint64_t offset, void *out, size_t len,
                     size_t *out_len) {
  struct folder *folder = context;
  struct disk_file *file;
  char full[200];
  snprintf(full, sizeof full, "%s/%s", folder->path, path);
  enum dom_code code = disk_open(folder->disk, full, DISK_READ, &file, NULL);
  if (code != DOM_OK) return code == DOM_NOT_FOUND ? 1 : -1;
  code = disk_read(file, offset, out, len, out_len, NULL);
  disk_close(file);
  return code == DOM_OK ? 0 : -1;
}

struct walk {
  struct folder folder;
  int (*found)(void *arg, const char *path);
  void *arg;
  const char *below; /* "" or ending in a slash */
  int status;
};

static int walk_folder(struct walk *walk);

static bool walk_name(void *arg, const char *name, bool is_dir) {
  struct walk *walk = arg;
  char path[200];
  snprintf(path, sizeof path, "%s%s%s", walk->below, name, is_dir ? "/" : "");
  struct walk down = *walk;
  down.below = path;
  walk->status = is_dir ? walk_folder(&down) : walk->found(walk->arg, path) ? 1 : 0;
  return walk->status == 0;
}

static int walk_folder(struct walk *walk) {
  char full[200];
  int len = snprintf(full, sizeof full, "%s/%s", walk->folder.path, walk->below);
  full[len - 1] = 0; /* the slash at the end */
  enum dom_code code = disk_list(walk->folder.disk, full, walk_name, walk, NULL);
  if (code == DOM_NOT_FOUND) return 0; /* removed meanwhile */
  return code == DOM_OK ? walk->status : -1;
}

static int live_list(void *context, int (*found)(void *arg, const char *path), void *arg) {
  struct walk top = {.folder = *(struct folder *)context, .found = found, .arg = arg, .below = ""};
  return walk_folder(&top);
}

struct verifying {
  struct shared *shared;
  struct folder folder;
  const char *vkey;
};

static void *verifier(void *arg) {
  struct verifying *at = arg;
  struct domicile_source source = {.context = &at->folder, .read = live_read, .list = live_list};
  do {
    struct domicile_verifier *v = domicile_verifier_new();
    if (domicile_verifier_add_key(v, at->vkey) != DOMICILE_VERIFIED)
      atomic_fetch_add(&at->shared->failures, 1);
    struct domicile_result *r = domicile_verify_ledger(v, &source);
    if (domicile_result_code(r) != DOMICILE_VERIFIED) {
      fputs(domicile_result_text(r), stderr);
      atomic_fetch_add(&at->shared->failures, 1);
    }
    domicile_result_free(r);
    domicile_verifier_free(v);
    atomic_fetch_add(&at->shared->rounds, 1);
  } while (!atomic_load(&at->shared->done));
  return NULL;
}

static void test_verifier_and_writer(void **state) {
  (void)state;
  struct disk *disk = disk_sim_new(4);
  struct shared s = {.ledger = NULL};
  BUF_AUTO vkey = BUF_INIT;
  pthread_t thread;
  vkey_of(SEED, &vkey);
  OK(ledger_open(disk, "ledger", ORIGIN, SEED, &s.ledger, NULL));
  struct verifying at = {.shared = &s, .folder = {disk, "ledger"}, .vkey = buf_str(&vkey)};
  assert_int_equal(pthread_create(&thread, NULL, verifier, &at), 0);
  for (uint64_t n = 0; n < BATCHES; n++) {
    unsigned rounds = atomic_load(&s.rounds);
    OK(append_range(s.ledger, n * BATCH, BATCH, NULL));
    /* Every few batches wait for a round to end, so that both really go on together. */
    while (n % 8 == 0 && atomic_load(&s.rounds) == rounds) sched_yield();
  }
  atomic_store(&s.done, true);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_int_equal(atomic_load(&s.failures), 0);
  ledger_close(s.ledger);
  disk_sim_free(disk);
}

static void test_readers_and_writer(void **state) {
  (void)state;
  struct disk *disk = disk_sim_new(3);
  struct shared s = {.ledger = NULL};
  pthread_t threads[READERS];
  OK(ledger_open(disk, "ledger", ORIGIN, SEED, &s.ledger, NULL));
  for (int i = 0; i < READERS; i++) assert_int_equal(pthread_create(&threads[i], NULL, reader, &s), 0);
  for (uint64_t n = 0; n < BATCHES; n++) OK(append_range(s.ledger, n * BATCH, BATCH, NULL));
  atomic_store(&s.done, true);
  for (int i = 0; i < READERS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
  assert_int_equal(atomic_load(&s.failures), 0);
  assert_true(atomic_load(&s.rounds) >= READERS);
  assert_int_equal(ledger_size(s.ledger), BATCHES * BATCH);
  ledger_close(s.ledger);
  disk_sim_free(disk);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_readers_and_writer),
                                     cmocka_unit_test(test_verifier_and_writer)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
