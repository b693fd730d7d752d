/* The rules of buckets, parsed once for each version of a configuration. */
#include <assert.h>
#include <stdio.h>

#include "serve/region.h"

struct access_rules {
  atomic_uint users;
  uint8_t id[STORE_BUCKET_ID_SIZE];
  uint64_t version;
  struct policy *policy;
  bool is_broken; /* a part does not decode: nobody but the owner, for the policy alone */
  bool has_acl;
  enum policy_ownership ownership;
  struct policy_block block;
  struct policy_acl acl; /* borrows from acl_text */
  struct buf acl_text;
  struct buf policy_text;
};

struct access_cache {
  pthread_mutex_t lock;
  struct access_rules *slot[ACCESS_SLOTS];
};

struct access_cache *access_cache_new(void) {
  struct access_cache *cache = dom_calloc(1, sizeof *cache);
  if (!cache) return NULL;
  int failed = pthread_mutex_init(&cache->lock, NULL);
  assert(!failed);
  return cache;
}

void access_rules_release(struct access_rules *rules) {
  if (!rules) return;
  unsigned before = atomic_fetch_sub(&rules->users, 1);
  assert(before > 0);
  if (before > 1) return;
  policy_release(rules->policy);
  buf_done(&rules->acl_text);
  buf_done(&rules->policy_text);
  dom_free(rules);
}

void access_cache_free(struct access_cache *cache) {
  if (!cache) return;
  for (size_t i = 0; i < ACCESS_SLOTS; i++) access_rules_release(cache->slot[i]);
  int failed = pthread_mutex_destroy(&cache->lock);
  assert(!failed);
  dom_free(cache);
}

/* ---- parsing ------------------------------------------------------------------------------- */

static bool block_parse(struct slice document, struct arena *arena, struct policy_block *out) {
  struct s3_public_access p;
  assert(out);
  if (s3_public_access_parse(document, arena, &p)) return false;
  *out = (struct policy_block){.block_public_acls = p.block_acls,
                               .ignore_public_acls = p.ignore_acls,
                               .block_public_policy = p.block_policy,
                               .restrict_public_buckets = p.restrict_buckets};
  return true;
}

static bool ownership_parse(struct slice document, struct arena *arena, enum policy_ownership *out) {
  const char *name = NULL;
  assert(out);
  return !s3_ownership_parse(document, arena, &name) && policy_ownership_of_name(slice_str(name), out);
}

/* What this build cannot read closes the bucket; it must not fall back to what the part was to forbid. */
static bool parts_parse(struct access_rules *r, const struct subject_bucket *b,
                        const struct subject_config *config, struct arena *arena) {
  struct slice policy = subject_config_part(config, SUBJECT_PART_POLICY);
  struct slice acl = subject_config_part(config, SUBJECT_PART_ACL);
  struct slice block = subject_config_part(config, SUBJECT_PART_PUBLIC_ACCESS);
  struct slice ownership = subject_config_part(config, SUBJECT_PART_OWNERSHIP);
  assert(r && b && config && arena);
  buf_append_slice(&r->policy_text, policy);
  buf_append_slice(&r->acl_text, acl);
  r->has_acl = acl.data != NULL;
  if (r->policy_text.failed || r->acl_text.failed) return false;
  if (policy.data && policy_parse(policy, slice_str(b->name), &r->policy, NULL)) return false;
  if (acl.data && policy_acl_parse(buf_slice(&r->acl_text), &r->acl, NULL)) return false;
  if (block.data && !block_parse(block, arena, &r->block)) return false;
  return !ownership.data || ownership_parse(ownership, arena, &r->ownership);
}

static struct access_rules *rules_new(const struct subject_bucket *b, const struct subject_config *config,
                                      struct arena *arena) {
  struct access_rules *r = dom_calloc(1, sizeof *r);
  if (!r) return NULL;
  atomic_init(&r->users, 1);
  memcpy(r->id, b->id, sizeof r->id);
  r->version = b->config_version;
  assert(r->version > 0);
  r->is_broken = !parts_parse(r, b, config, arena);
  return r;
}

/* ---- the cache -------------------------------------------------------------------------------- */

static bool is_of(const struct access_rules *r, const struct subject_bucket *b) {
  assert(b);
  return r && r->version == b->config_version && memcmp(r->id, b->id, sizeof r->id) == 0;
}

/* A bucket's id is random. */
static struct access_rules **slot_of(struct access_cache *cache, const struct subject_bucket *b) {
  assert(cache);
  return &cache->slot[b->id[0] % ACCESS_SLOTS];
}

static struct access_rules *cached(struct access_cache *cache, const struct subject_bucket *b) {
  pthread_mutex_lock(&cache->lock);
  struct access_rules *r = *slot_of(cache, b);
  r = is_of(r, b) ? r : NULL;
  if (r) atomic_fetch_add(&r->users, 1);
  pthread_mutex_unlock(&cache->lock);
  assert(!r || r->version == b->config_version);
  return r;
}

static void keep(struct access_cache *cache, const struct subject_bucket *b, struct access_rules *r) {
  atomic_fetch_add(&r->users, 1);
  pthread_mutex_lock(&cache->lock);
  struct access_rules **slot = slot_of(cache, b), *old = *slot;
  *slot = r;
  pthread_mutex_unlock(&cache->lock);
  assert(old != r);
  access_rules_release(old);
}

enum dom_code access_take(struct call *c, struct store_view *v, struct dom_err *err) {
  static const enum subject_part parts[] = {SUBJECT_PART_POLICY, SUBJECT_PART_ACL, SUBJECT_PART_PUBLIC_ACCESS,
                                            SUBJECT_PART_OWNERSHIP};
  const struct subject_bucket *b = &c->bucket;
  bool any = false;
  assert(v);
  access_rules_release(c->rules);
  c->rules = NULL;
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) any = any || subject_bucket_has(b, parts[i]);
  if (!any) return DOM_OK;
  c->rules = cached(c->r->access, b);
  if (c->rules) return DOM_OK;
  struct subject_config *config = NULL;
  enum dom_code code = subject_config_get(c->r->subjects, v, b, &config, err);
  if (code) return code;
  c->rules = rules_new(b, config, wire_exchange_arena(c->x));
  subject_config_release(config);
  if (!c->rules) return dom_fail(err, DOM_NO_MEMORY, "serve/access", "no memory for a bucket's rules");
  if (!c->rules->is_broken) keep(c->r->access, b, c->rules); /* broken: perhaps only for want of memory */
  return DOM_OK;
}

/* ---- what they say ------------------------------------------------------------------------------ */

bool access_is_broken(const struct access_rules *rules) {
  return rules && rules->is_broken;
}

const struct policy *access_policy(const struct access_rules *rules) {
  return rules ? rules->policy : NULL;
}

enum policy_ownership access_ownership(const struct access_rules *rules) {
  return rules ? rules->ownership : POLICY_OWNER_ENFORCED;
}

struct policy_block access_block(const struct access_rules *rules) {
  return rules ? rules->block : (struct policy_block){0};
}

const struct policy_acl *access_acl(const struct access_rules *rules) {
  return rules && rules->has_acl ? &rules->acl : NULL;
}

struct slice access_policy_text(const struct access_rules *rules) {
  return rules && rules->policy_text.len ? buf_slice(&rules->policy_text) : (struct slice){0};
}

bool access_policy_is_public(const struct access_rules *rules) {
  return rules && rules->policy && policy_is_public(rules->policy);
}
