#include "lost_world.h"

struct disk *back_up(struct test_regions *t, uint16_t number) {
  struct disk *copy = disk_sim_new(77);
  region_stop(t, number);
  disk_copy(t->region[number].disk, copy);
  assert_int_equal(region_start(t, number, NULL), DOM_OK);
  return copy;
}

void restore_take(struct test_regions *t, uint16_t number, struct disk *backup) {
  region_stop(t, number);
  disk_sim_free(t->region[number].disk);
  t->region[number].disk = backup;
  struct dom_err err = {0};
  enum dom_code code = region_start(t, number, &err);
  if (code) fail_msg("%s: %s", err.where, err.text);
}

struct test_regions *world_new(uint64_t seed) {
  struct test_regions *t = dom_calloc(1, sizeof *t);
  assert_non_null(t);
  regions_open(t, 3, seed, 1);
  regions_bucket(t);
  return t;
}

void world_free(struct test_regions *t) {
  regions_close(t);
  dom_free(t);
}

void add(struct test_regions *t, const char *id, uint8_t token[TOKEN_SIZE]) {
  struct subject_who who;
  assert_int_equal(subject_register(t->region[CN].subjects, TENANT, slice_str(id), "IN", &who, NULL), DOM_OK);
  memcpy(token, who.token, TOKEN_SIZE);
  assert_int_equal(region_put(t, CN, id, "a", id), DOM_OK);
}

/* For an operator: who has to do with such a region waits, too. */
static bool somebody_waits(struct test_regions *t) {
  for (uint16_t i = 1; i <= t->count; i++)
    if (t->region[i].mover && !mover_is_open(t->region[i].mover)) return true;
  return false;
}

void settle(struct test_regions *t) {
  for (int round = 0; round < 8; round++) {
    clock_sim_advance(t->clock, 60000);
    for (uint16_t i = 1; i <= t->count; i++) {
      if (!t->region[i].mover) continue;
      bool did = false;
      struct dom_err err = {0};
      enum dom_code code = mover_upkeep(t->region[i].mover, &did, &err);
      bool waits = code == DOM_UNAVAILABLE && somebody_waits(t);
      if (code && round == 7 && !waits) fail_msg("region %u: %s: %s", i, err.where, err.text);
    }
  }
}

void move(struct test_regions *t, const uint8_t *token, uint16_t from, uint16_t to) {
  struct dom_err err = {0};
  enum dom_code code = mover_move_subject(t->region[from].mover, token, to, &err);
  if (code) fail_msg("%s: %s", err.where, err.text);
}

struct store_subject row_of(struct test_regions *t, uint16_t at, const uint8_t *token) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_subject row = {.epoch = 0};
  assert_int_equal(store_view_open(t->region[at].store, &v, NULL), DOM_OK);
  store_subject_get(v, token, &row, NULL);
  return row;
}

enum mover_quarantine_state state(struct test_regions *t, uint16_t at) {
  struct mover_quarantine_status s;
  assert_int_equal(mover_quarantine_status(t->region[at].mover, &s, NULL), DOM_OK);
  return s.state;
}

void assert_reads(struct test_regions *t, uint16_t at, const char *id, const char *want) {
  BUF_AUTO out = BUF_INIT;
  assert_int_equal(region_get(t, at, id, "a", &out), DOM_OK);
  assert_true(slice_equal(buf_slice(&out), slice_str(want)));
}

void assert_gone(struct test_regions *t, uint16_t at, const uint8_t *token, uint64_t epoch) {
  struct vault_key key = {.epoch = epoch};
  memcpy(key.token, token, TOKEN_SIZE);
  assert_int_equal(vault_key_exists(store_vault(t->region[at].store), &key, NULL), DOM_NOT_FOUND);
}

void restart_with(struct test_regions *t, uint16_t number, void (*fault)(void *arg, const char *step),
                  void *arg) {
  region_stop(t, number);
  t->fault_point = fault;
  t->fault_arg = arg;
  assert_int_equal(region_start(t, number, NULL), DOM_OK);
}
