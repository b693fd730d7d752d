/* The charter as an object: references, regions, classes. */
#include <assert.h>

#include "base/alloc.h"
#include "charter/model.h"

struct charter *charter_hold(struct charter *c) {
  unsigned before = atomic_fetch_add_explicit(&c->references, 1, memory_order_relaxed);
  assert(before > 0 && before < UINT32_MAX);
  return c;
}

void charter_release(struct charter *c) {
  if (!c) return;
  unsigned before = atomic_fetch_sub_explicit(&c->references, 1, memory_order_acq_rel);
  assert(before > 0);
  if (before > 1) return;
  yaml_doc_free(c->doc);
  buf_done(&c->bytes);
  dom_free(c->rules);
  dom_free(c);
}

uint64_t charter_version(const struct charter *c) {
  assert(c != NULL && c->version > 0);
  return c->version;
}

const char *charter_organization(const struct charter *c) {
  assert(c != NULL && c->organization != NULL);
  return c->organization;
}

struct slice charter_bytes(const struct charter *c) {
  assert(c != NULL && c->bytes.len > 0);
  return buf_slice(&c->bytes);
}

void charter_hash(const struct charter *c, uint8_t out_hash[SHA256_SIZE]) {
  assert(c != NULL && out_hash != NULL);
  sha256(c->bytes.data, c->bytes.len, out_hash);
}

bool model_region_find(const struct charter *c, uint16_t number, unsigned *out_index) {
  assert(c != NULL && out_index != NULL);
  for (unsigned i = 0; i < c->region_count; i++)
    if (c->regions[i].number == number) {
      *out_index = i;
      return true;
    }
  return false;
}

bool model_region_named(const struct charter *c, struct slice name, unsigned *out_index) {
  assert(c != NULL && out_index != NULL);
  for (unsigned i = 0; i < c->region_count; i++)
    if (slice_equal(slice_str(c->regions[i].name), name)) {
      *out_index = i;
      return true;
    }
  return false;
}

unsigned charter_region_count(const struct charter *c) {
  assert(c != NULL && c->region_count > 0);
  return c->region_count;
}

const struct charter_region *charter_region_at(const struct charter *c, unsigned i) {
  assert(c != NULL && i < c->region_count);
  return &c->regions[i];
}

const struct charter_region *charter_region_by_number(const struct charter *c, uint16_t number) {
  unsigned i;
  assert(c != NULL);
  return model_region_find(c, number, &i) ? &c->regions[i] : NULL;
}

const struct charter_region *charter_region_by_name(const struct charter *c, struct slice name) {
  unsigned i;
  assert(c != NULL);
  return model_region_named(c, name, &i) ? &c->regions[i] : NULL;
}

const struct charter_region *charter_region_by_endpoint(const struct charter *c, struct slice endpoint) {
  assert(c != NULL);
  for (unsigned i = 0; i < c->region_count; i++)
    if (slice_equal(slice_str(c->regions[i].endpoint), endpoint)) return &c->regions[i];
  return NULL;
}

const struct charter_region *charter_region_by_vkey(const struct charter *c, struct slice vkey) {
  assert(c != NULL);
  for (unsigned i = 0; i < c->region_count; i++)
    if (slice_equal(slice_str(c->regions[i].vkey), vkey)) return &c->regions[i];
  return NULL;
}

const struct charter_region *charter_region_by_public_key(const struct charter *c,
                                                          const uint8_t public_key[ED25519_KEY_SIZE]) {
  assert(c != NULL && public_key != NULL);
  for (unsigned i = 0; i < c->region_count; i++)
    if (memcmp(c->regions[i].public_key, public_key, ED25519_KEY_SIZE) == 0) return &c->regions[i];
  return NULL;
}

const struct charter_region *charter_region_by_jurisdiction(const struct charter *c,
                                                            const char jurisdiction[CHARTER_COUNTRY_SIZE],
                                                            const struct charter_region *after) {
  assert(c != NULL && jurisdiction != NULL);
  size_t i = after ? (size_t)(after - c->regions) + 1 : 0;
  assert(i <= c->region_count);
  for (; i < c->region_count; i++)
    if (strcmp(c->regions[i].jurisdiction, jurisdiction) == 0) return &c->regions[i];
  return NULL;
}

const struct charter_region *charter_registrar(const struct charter *c) {
  assert(c != NULL && c->registrar < c->region_count);
  return &c->regions[c->registrar];
}

unsigned charter_class_count(const struct charter *c) {
  assert(c != NULL && c->class_count > 0);
  return c->class_count;
}

unsigned charter_class_of(const struct charter *c, struct slice key) {
  assert(c != NULL && c->class_count > 0);
  for (unsigned i = 0; i + 1 < c->class_count; i++)
    for (const struct yaml_node *glob = c->classes[i].globs->first; glob; glob = glob->next)
      if (glob_match(glob->text, key)) return i;
  return c->class_count - 1;
}

const char *charter_class_name(const struct charter *c, unsigned index) {
  assert(c != NULL && index < c->class_count);
  return c->classes[index].name;
}

enum dom_code charter_class_find(const struct charter *c, struct slice name, unsigned *out_index) {
  assert(c != NULL && out_index != NULL);
  for (unsigned i = 0; i < c->class_count; i++)
    if (slice_equal(slice_str(c->classes[i].name), name)) {
      *out_index = i;
      return DOM_OK;
    }
  return DOM_NOT_FOUND;
}

uint32_t charter_classes_all(const struct charter *c) {
  assert(c != NULL && c->class_count >= 1 && c->class_count <= CHARTER_CLASSES_MAX);
  return UINT32_MAX >> (CHARTER_CLASSES_MAX - c->class_count);
}
