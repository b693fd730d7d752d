#include "ledger/merkle.h"

#include <assert.h>

bool merkle_equal(const struct merkle_hash *a, const struct merkle_hash *b) {
  assert(a && b);
  return memcmp(a->bytes, b->bytes, MERKLE_HASH) == 0;
}

void merkle_empty(struct merkle_hash *out) {
  assert(out);
  sha256("", 0, out->bytes);
}

void merkle_leaf(struct slice entry, struct merkle_hash *out) {
  assert(entry.data || entry.len == 0);
  struct slice parts[2] = {SLICE_LIT("\x00"), entry};
  sha256_slices(parts, 2, out->bytes);
}

void merkle_node(const struct merkle_hash *left, const struct merkle_hash *right, struct merkle_hash *out) {
  assert(left && right && out);
  uint8_t both[1 + 2 * MERKLE_HASH];
  both[0] = 0x01;
  memcpy(both + 1, left->bytes, MERKLE_HASH);
  memcpy(both + 1 + MERKLE_HASH, right->bytes, MERKLE_HASH);
  sha256(both, sizeof both, out->bytes);
}

void merkle_perfect(const struct merkle_hash *hashes, size_t count, struct merkle_hash *out) {
  assert(count >= 1 && count <= 256 && (count & (count - 1)) == 0);
  struct merkle_hash level[128];
  if (count == 1) {
    *out = hashes[0];
    return;
  }
  for (size_t i = 0; i < count / 2; i++) merkle_node(&hashes[2 * i], &hashes[2 * i + 1], &level[i]);
  for (size_t n = count / 2; n > 1; n /= 2)
    for (size_t i = 0; i < n / 2; i++) merkle_node(&level[2 * i], &level[2 * i + 1], &level[i]);
  *out = level[0];
}

/* Height of the biggest perfect tree in `n` leaves. */
static unsigned height_of(uint64_t n) {
  assert(n > 0);
  return 63U - (unsigned)__builtin_clzll(n);
}

/* MTH(D[begin:end]): perfect nodes from the left, folded from the right. `begin` is a
 * multiple of the first node's width, as every range of RFC 9162's recursions is. */
static enum dom_code range_hash(merkle_node_fn fn, void *arg, uint64_t begin, uint64_t end,
                                struct merkle_hash *out, struct dom_err *err) {
  assert(begin < end);
  struct merkle_hash parts[MERKLE_HEIGHT_MAX];
  size_t count = 0;
  while (begin < end) {
    unsigned height = height_of(end - begin);
    assert((begin & ((UINT64_C(1) << height) - 1)) == 0);
    enum dom_code code = fn(arg, height, begin >> height, &parts[count++], err);
    if (code != DOM_OK) return code;
    begin += UINT64_C(1) << height;
  }
  while (count > 1) {
    merkle_node(&parts[count - 2], &parts[count - 1], &parts[count - 2]);
    count--;
  }
  *out = parts[0];
  return DOM_OK;
}

enum dom_code merkle_root(merkle_node_fn fn, void *arg, uint64_t size, struct merkle_hash *out,
                          struct dom_err *err) {
  assert(fn && out);
  if (size > 0) return range_hash(fn, arg, 0, size, out, err);
  merkle_empty(out);
  return DOM_OK;
}

/* Width of the left part when [begin, end) is split: the largest power of two below it. */
static uint64_t split_of(uint64_t count) {
  assert(count > 1);
  return UINT64_C(1) << height_of(count - 1);
}

/* Turns a proof collected from the root down into the published order, leaf side first. */
static void proof_reverse(struct merkle_proof *proof) {
  assert(proof->count <= MERKLE_PROOF_MAX);
  for (size_t i = 0; i < proof->count / 2; i++) {
    struct merkle_hash swap = proof->hashes[i];
    proof->hashes[i] = proof->hashes[proof->count - 1 - i];
    proof->hashes[proof->count - 1 - i] = swap;
  }
}

enum dom_code merkle_prove_inclusion(merkle_node_fn fn, void *arg, uint64_t index, uint64_t size,
                                     struct merkle_proof *out, struct dom_err *err) {
  assert(index < size);
  struct merkle_proof proof = {.count = 0};
  uint64_t begin = 0, end = size;
  while (end - begin > 1) {
    uint64_t middle = begin + split_of(end - begin);
    struct merkle_hash *sibling = &proof.hashes[proof.count++];
    enum dom_code code = index < middle ? range_hash(fn, arg, middle, end, sibling, err)
                                        : range_hash(fn, arg, begin, middle, sibling, err);
    if (code != DOM_OK) return code;
    if (index < middle)
      end = middle;
    else
      begin = middle;
  }
  proof_reverse(&proof);
  *out = proof;
  return DOM_OK;
}

enum dom_code merkle_prove_consistency(merkle_node_fn fn, void *arg, uint64_t from, uint64_t to,
                                       struct merkle_proof *out, struct dom_err *err) {
  assert(from <= to);
  struct merkle_proof proof = {.count = 0};
  uint64_t begin = 0, end = to;
  bool whole = true; /* the old tree is exactly [0, end): its hash is known to the checker */
  while (from > 0 && from < end) {
    uint64_t middle = begin + split_of(end - begin);
    struct merkle_hash *sibling = &proof.hashes[proof.count++];
    enum dom_code code = from <= middle ? range_hash(fn, arg, middle, end, sibling, err)
                                        : range_hash(fn, arg, begin, middle, sibling, err);
    if (code != DOM_OK) return code;
    if (from <= middle) {
      end = middle;
    } else {
      begin = middle;
      whole = false;
    }
  }
  if (from > 0 && !whole) {
    enum dom_code code = range_hash(fn, arg, begin, end, &proof.hashes[proof.count++], err);
    if (code != DOM_OK) return code;
  }
  proof_reverse(&proof);
  *out = proof;
  return DOM_OK;
}

bool merkle_check_inclusion(const struct merkle_hash *leaf, uint64_t index, uint64_t size,
                            const struct merkle_proof *proof, const struct merkle_hash *root) {
  assert(leaf && proof && root && proof->count <= MERKLE_PROOF_MAX);
  if (index >= size) return false;
  uint64_t fn = index, sn = size - 1;
  struct merkle_hash r = *leaf;
  for (size_t i = 0; i < proof->count; i++) {
    if (sn == 0) return false;
    if ((fn & 1) || fn == sn) {
      merkle_node(&proof->hashes[i], &r, &r);
      while (!(fn & 1) && fn != 0) {
        fn >>= 1;
        sn >>= 1;
      }
    } else {
      merkle_node(&r, &proof->hashes[i], &r);
    }
    fn >>= 1;
    sn >>= 1;
  }
  return sn == 0 && merkle_equal(&r, root);
}

/* The walk of RFC 9162 §2.1.4.2, from step 3 on; 0 < from < to and a first hash is there. */
static bool consistency_walk(uint64_t from, uint64_t to, const struct merkle_proof *proof, size_t next,
                             struct merkle_hash *fr, struct merkle_hash *sr) {
  assert(from > 0 && from < to);
  uint64_t fn = from - 1, sn = to - 1;
  while (fn & 1) {
    fn >>= 1;
    sn >>= 1;
  }
  for (size_t i = next; i < proof->count; i++) {
    const struct merkle_hash *c = &proof->hashes[i];
    if (sn == 0) return false;
    if ((fn & 1) || fn == sn) {
      merkle_node(c, fr, fr);
      merkle_node(c, sr, sr);
      while (!(fn & 1) && fn != 0) {
        fn >>= 1;
        sn >>= 1;
      }
    } else {
      merkle_node(sr, c, sr);
    }
    fn >>= 1;
    sn >>= 1;
  }
  return sn == 0;
}

bool merkle_check_consistency(uint64_t from, const struct merkle_hash *from_root, uint64_t to,
                              const struct merkle_hash *to_root, const struct merkle_proof *proof) {
  assert(from_root && to_root && proof && proof->count <= MERKLE_PROOF_MAX);
  struct merkle_hash empty;
  merkle_empty(&empty);
  if (from > to) return false;
  if (from == to) return proof->count == 0 && merkle_equal(from_root, to_root);
  if (from == 0) return proof->count == 0 && merkle_equal(from_root, &empty);
  if (proof->count == 0) return false;
  bool whole = (from & (from - 1)) == 0; /* the old root itself is the first node */
  struct merkle_hash fr = whole ? *from_root : proof->hashes[0];
  struct merkle_hash sr = fr;
  if (!consistency_walk(from, to, proof, whole ? 0 : 1, &fr, &sr)) return false;
  return merkle_equal(&fr, from_root) && merkle_equal(&sr, to_root);
}
