/* Charters and what signs them. What is parsed keeps to the limits and the facts about it agree with
 * one another; the same file is always read the same and differs from itself in nothing; key texts
 * have one form. */
#include "fuzz.h"

#include "charter/charter.h"

static void count_change(void *context, const struct charter_change *change) {
  assert(change->path != NULL && (change->before != NULL || change->after != NULL));
  ++*(size_t *)context;
}

static void check_regions(const struct charter *c) {
  unsigned count = charter_region_count(c);
  assert(count >= 1 && count <= CHARTER_REGIONS_MAX && charter_registrar(c) != NULL);
  for (unsigned i = 0; i < count; i++) {
    const struct charter_region *region = charter_region_at(c, i);
    struct charter_vkey vkey;
    assert(region->number >= 1 && charter_country_valid(region->jurisdiction));
    assert(charter_region_by_number(c, region->number) == region);
    assert(charter_region_by_name(c, slice_str(region->name)) == region);
    assert(charter_vkey_parse(slice_str(region->vkey), &vkey, NULL) == DOM_OK && vkey.id == region->vkey_id);
    assert(memcmp(vkey.public_key, region->public_key, ED25519_KEY_SIZE) == 0);
  }
}

/* No combination of region, class and action gets both a permit and a refusal, or neither. */
static void check_decisions(const struct charter *c, struct fuzz_random *r) {
  static const char countries[][CHARTER_COUNTRY_SIZE] = {"IN", "CN", "DE", "US", ""};
  uint8_t token[TOKEN_SIZE] = {1};
  for (int i = 0; i < 16; i++) {
    struct charter_permit_storage storage;
    const struct permit *permit = NULL;
    struct charter_refusal refusal = {0};
    struct charter_intent intent = {.token = token, .destroys_created_ms = CHARTER_DESTROYS_NOTHING};
    intent.action = (enum permit_action)fuzz_random_below(r, PERMIT_ACTION_COUNT);
    intent.classes = charter_class_bit((unsigned)fuzz_random_below(r, charter_class_count(c)));
    intent.region = charter_region_at(c, (unsigned)fuzz_random_below(r, charter_region_count(c)))->number;
    intent.gateway = charter_region_at(c, (unsigned)fuzz_random_below(r, charter_region_count(c)))->number;
    intent.source = charter_region_at(c, (unsigned)fuzz_random_below(r, charter_region_count(c)))->number;
    intent.target = charter_region_at(c, (unsigned)fuzz_random_below(r, charter_region_count(c)))->number;
    intent.at_home = fuzz_random_below(r, 2) == 1;
    memcpy(intent.country, countries[fuzz_random_below(r, 5)], CHARTER_COUNTRY_SIZE);
    enum dom_code code = charter_decide(c, &intent, fuzz_random_next(r) >> 20, &storage, &permit, &refusal);
    assert(code == DOM_OK || code == DOM_REFUSED || code == DOM_INVALID);
    assert((code == DOM_OK) == (permit != NULL));
    if (code == DOM_OK) assert(permit_charter_version(permit) == charter_version(c));
    if (code == DOM_REFUSED)
      assert(refusal.version == charter_version(c) && refusal.clause[0] != 0 && refusal.why[0] != 0);
  }
}

static void check_classes(const struct charter *c, struct slice in, struct fuzz_random *r) {
  unsigned count = charter_class_count(c), found;
  assert(count >= 1 && count <= CHARTER_CLASSES_MAX);
  for (int i = 0; i < 8; i++) {
    size_t from = fuzz_random_below(r, in.len), len = fuzz_random_below(r, in.len - from);
    unsigned of = charter_class_of(c, slice_cut(in, from, from + (len > 1024 ? 1024 : len)));
    assert(of < count && charter_class_find(c, slice_str(charter_class_name(c, of)), &found) == DOM_OK);
    assert(found == of);
  }
}

static void check_charter(struct slice in, struct fuzz_random *r) {
  struct charter *c = NULL, *again = NULL;
  struct dom_err err = {0};
  size_t changes = 0;
  if (charter_parse(in, "fuzz.yaml", &c, &err) != DOM_OK) {
    assert(c == NULL && err.code != DOM_OK && memchr(err.text, 0, sizeof err.text) != NULL);
    return;
  }
  assert(charter_parse(in, "fuzz.yaml", &again, NULL) == DOM_OK && slice_equal(charter_bytes(c), in));
  assert(charter_diff_each(c, again, count_change, &changes, NULL) == DOM_OK && changes == 0);
  assert(charter_check_successor(c, again, NULL) == DOM_INCOMPATIBLE); /* the version must grow */
  check_regions(c);
  check_classes(c, in, r);
  check_decisions(c, r);
  charter_release(c);
  charter_release(again);
}

static void check_texts(struct slice in, struct fuzz_random *r) {
  struct charter_vkey vkey;
  uint8_t seed[ED25519_KEY_SIZE] = {5}, key[ED25519_KEY_SIZE];
  BUF_AUTO printed = BUF_INIT;
  fuzz_mark(&vkey, sizeof vkey);
  if (charter_vkey_parse(in, &vkey, NULL) == DOM_OK) {
    charter_vkey_write(vkey.name, vkey.public_key, &printed);
    assert(slice_equal(buf_slice(&printed), in));
    buf_reset(&printed);
  } else {
    assert(fuzz_is_marked(&vkey, sizeof vkey));
  }
  if (fuzz_random_below(r, 8) != 0) return; /* signing is slow */
  ed25519_public(seed, key);
  assert(charter_verify(SLICE_LIT("other bytes"), in, key, NULL) != DOM_OK);
  charter_sign(in, seed, &printed);
  assert(charter_verify(in, buf_slice(&printed), key, NULL) == DOM_OK);
  printed.data[fuzz_random_below(r, printed.len)] ^= (uint8_t)(1 << fuzz_random_below(r, 8));
  assert(charter_verify(in, buf_slice(&printed), key, NULL) != DOM_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_random r = fuzz_random_of(slice_of(data, size));
  check_charter(slice_of(data, size), &r);
  struct slice rest = slice_of(data, size), line;
  for (int i = 0; i < 4 && fuzz_line(&rest, &line); i++) check_texts(line, &r);
  return 0;
}
