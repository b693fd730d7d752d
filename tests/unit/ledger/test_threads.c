/* Readers while the writer goes on: every checkpoint seen verifies against the tiles and
 * proofs that are served with it. Meant for TSan. */
#include <pthread.h>
#include <stdatomic.h>

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
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_readers_and_writer)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
