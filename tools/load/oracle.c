#include "oracle.h"

#include <assert.h>

#include "base/alloc.h"

void oracle_init(struct oracle *o) {
  assert(o != NULL);
  *o = (struct oracle){0};
}

void oracle_done(struct oracle *o) {
  assert(o != NULL);
  for (size_t i = 0; i < o->count; i++) dom_free(o->keys[i].maybes);
  dom_free(o->keys);
  dom_free(o->slots);
  *o = (struct oracle){0};
}

/* FNV-1a over bucket, NUL, key. */
static uint64_t hash_of(const char *bucket, struct slice key) {
  assert(bucket != NULL);
  uint64_t h = UINT64_C(0xcbf29ce484222325);
  for (const char *c = bucket;; c++) {
    h = (h ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
    if (*c == '\0') break;
  }
  for (size_t i = 0; i < key.len; i++) h = (h ^ key.data[i]) * UINT64_C(0x100000001b3);
  return h;
}

/* The slot that holds the key or the empty one where it belongs. */
static size_t slot_of(const struct oracle *o, const char *bucket, struct slice key) {
  assert(o->slot_count > o->count);
  size_t at = (size_t)hash_of(bucket, key) & (o->slot_count - 1);
  for (; o->slots[at] != 0; at = (at + 1) & (o->slot_count - 1)) {
    const struct oracle_key *k = &o->keys[o->slots[at] - 1];
    if (slice_equal(k->key, key) && strcmp(k->bucket, bucket) == 0) break;
  }
  return at;
}

struct oracle_key *oracle_find(const struct oracle *o, const char *bucket, struct slice key) {
  assert(o != NULL && bucket != NULL);
  if (o->count == 0) return NULL;
  uint32_t index = o->slots[slot_of(o, bucket, key)];
  return index == 0 ? NULL : &o->keys[index - 1];
}

/* Doubles the table at half load. */
static bool grow(struct oracle *o) {
  if (o->count < o->cap) return true;
  size_t cap = o->cap == 0 ? 1024 : o->cap * 2;
  assert(cap < UINT32_MAX / 2);
  struct oracle_key *keys = dom_realloc(o->keys, cap * sizeof *keys);
  if (keys == NULL) return false;
  o->keys = keys;
  uint32_t *slots = dom_calloc(cap * 2, sizeof *slots);
  if (slots == NULL) return false;
  dom_free(o->slots);
  o->slots = slots;
  o->slot_count = cap * 2;
  o->cap = cap;
  for (size_t i = 0; i < o->count; i++) {
    o->slots[slot_of(o, keys[i].bucket, keys[i].key)] = (uint32_t)i + 1;
  }
  return true;
}

static struct oracle_key *find_or_add(struct oracle *o, const struct record *r) {
  assert(r->bucket != NULL && r->key.len > 0);
  struct oracle_key *found = oracle_find(o, r->bucket, r->key);
  if (found != NULL) return found;
  if (!grow(o)) return NULL;
  size_t slot = slot_of(o, r->bucket, r->key);
  o->keys[o->count] =
      (struct oracle_key){.subject = r->subject, .country = r->country, .bucket = r->bucket, .key = r->key};
  o->slots[slot] = (uint32_t)++o->count;
  return &o->keys[o->count - 1];
}

static bool add_maybe(struct oracle_key *k, const struct record *r) {
  assert(k != NULL && r->id != NULL);
  for (size_t i = 0; i < k->maybe_count; i++) {
    if (strcmp(k->maybes[i].id, r->id) == 0) return true; /* its intent was there before */
  }
  struct oracle_maybe *maybes = dom_realloc(k->maybes, (k->maybe_count + 1) * sizeof *maybes);
  if (maybes == NULL) return false;
  maybes[k->maybe_count++] = (struct oracle_maybe){.value = r->value, .id = r->id};
  k->maybes = maybes;
  return true;
}

static void drop_maybe(struct oracle_key *k, const char *id) {
  assert(k != NULL && id != NULL);
  for (size_t i = 0; i < k->maybe_count; i++) {
    if (strcmp(k->maybes[i].id, id) != 0) continue;
    k->maybes[i] = k->maybes[--k->maybe_count];
    return;
  }
}

static void settle(struct oracle_key *k, const struct value *value) {
  assert(k != NULL && value != NULL);
  k->value = *value;
  k->maybe_count = 0;
}

bool oracle_apply(struct oracle *o, const struct record *r) {
  assert(o != NULL && r != NULL);
  if (r->op == RECORD_CREATE || r->op == RECORD_PART) return true;
  struct oracle_key *k = find_or_add(o, r);
  if (k == NULL) return false;
  if (r->kind == 'O') {
    settle(k, &r->value);
  } else if (r->kind == 'I' || r->status == 0 || r->status >= 500) {
    return add_maybe(k, r);
  } else if (r->status >= 200 && r->status < 300) {
    settle(k, &r->value);
    k->writes++;
  } else {
    drop_maybe(k, r->id);
  }
  return true;
}

bool oracle_allows(const struct oracle_key *k, const struct value *seen) {
  assert(k != NULL && seen != NULL);
  if (value_equal(&k->value, seen)) return true;
  for (size_t i = 0; i < k->maybe_count; i++) {
    if (value_equal(&k->maybes[i].value, seen)) return true;
  }
  return false;
}

bool oracle_certain(const struct oracle_key *k) {
  assert(k != NULL);
  return k->maybe_count == 0;
}
