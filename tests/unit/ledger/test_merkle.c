/* Every tree of up to 64 leaves against a naive reading of RFC 6962 §2.1, and the vectors of
 * the Certificate Transparency project. */
#include "ledger/merkle.h"
#include "support.h"

enum { LEAVES = 64 };

static struct merkle_hash leaves[LEAVES];

static void fill_leaves(void) {
  for (uint8_t i = 0; i < LEAVES; i++) merkle_leaf(slice_of(&i, 1), &leaves[i]);
}

/* MTH(D[begin:end]) as the RFC writes it. */
static struct merkle_hash naive(size_t begin, size_t end) {
  struct merkle_hash out, left, right;
  size_t k = 1;
  if (begin == end) {
    sha256("", 0, out.bytes);
    return out;
  }
  if (end - begin == 1) return leaves[begin];
  while (2 * k < end - begin) k *= 2;
  left = naive(begin, begin + k);
  right = naive(begin + k, end);
  uint8_t joined[65] = {1};
  memcpy(joined + 1, left.bytes, 32);
  memcpy(joined + 33, right.bytes, 32);
  sha256(joined, sizeof joined, out.bytes);
  return out;
}

/* PATH(m, D[begin:end]) of RFC 9162 §2.1.3.1, appended in order. */
static void naive_path(size_t m, size_t begin, size_t end, struct merkle_proof *out) {
  size_t k = 1;
  if (end - begin == 1) return;
  while (2 * k < end - begin) k *= 2;
  if (m < k) {
    naive_path(m, begin, begin + k, out);
    out->hashes[out->count++] = naive(begin + k, end);
  } else {
    naive_path(m - k, begin + k, end, out);
    out->hashes[out->count++] = naive(begin, begin + k);
  }
}

/* SUBPROOF(m, D[begin:end], b) of RFC 9162 §2.1.4.1. */
static void naive_subproof(size_t m, size_t begin, size_t end, bool b, struct merkle_proof *out) {
  size_t n = end - begin, k = 1;
  if (m == n) {
    if (!b) out->hashes[out->count++] = naive(begin, end);
    return;
  }
  while (2 * k < n) k *= 2;
  if (m <= k) {
    naive_subproof(m, begin, begin + k, b, out);
    out->hashes[out->count++] = naive(begin + k, end);
  } else {
    naive_subproof(m - k, begin + k, end, false, out);
    out->hashes[out->count++] = naive(begin, begin + k);
  }
}

static enum dom_code node(void *arg, unsigned height, uint64_t index, struct merkle_hash *out,
                          struct dom_err *err) {
  size_t width = (size_t)1 << height;
  (void)arg, (void)err;
  assert_true((index + 1) * width <= LEAVES);
  *out = naive((size_t)index * width, ((size_t)index + 1) * width);
  return DOM_OK;
}

static void same_proof(const struct merkle_proof *a, const struct merkle_proof *b) {
  assert_int_equal(a->count, b->count);
  if (a->count > 0) assert_memory_equal(a->hashes, b->hashes, a->count * MERKLE_HASH);
}

static void test_roots(void **state) {
  (void)state;
  for (size_t n = 0; n <= LEAVES; n++) {
    struct merkle_hash root, expected = naive(0, n);
    OK(merkle_root(node, NULL, n, &root, NULL));
    assert_true(merkle_equal(&root, &expected));
  }
}

static void test_inclusion_all(void **state) {
  (void)state;
  for (size_t n = 1; n <= LEAVES; n++) {
    struct merkle_hash root = naive(0, n);
    for (size_t i = 0; i < n; i++) {
      struct merkle_proof proof, expected = {.count = 0};
      naive_path(i, 0, n, &expected);
      OK(merkle_prove_inclusion(node, NULL, i, n, &proof, NULL));
      same_proof(&proof, &expected);
      for (size_t at = 0; at <= n; at++) /* the proof holds for its own index only */
        assert_int_equal(merkle_check_inclusion(&leaves[i], at, n, &proof, &root), at == i);
      for (size_t size = 0; size <= LEAVES; size++)
        if (size != n) {
          struct merkle_hash other = naive(0, size);
          assert_false(merkle_check_inclusion(&leaves[i], i, size, &proof, &other));
        }
    }
  }
}

static void test_inclusion_damaged(void **state) {
  (void)state;
  for (size_t n = 1; n <= LEAVES; n++) {
    struct merkle_hash root = naive(0, n);
    size_t i = n / 3;
    struct merkle_proof proof;
    OK(merkle_prove_inclusion(node, NULL, i, n, &proof, NULL));
    for (size_t h = 0; h < proof.count; h++) {
      proof.hashes[h].bytes[h % 32] ^= 1;
      assert_false(merkle_check_inclusion(&leaves[i], i, n, &proof, &root));
      proof.hashes[h].bytes[h % 32] ^= 1;
    }
    proof.hashes[proof.count++] = root;
    assert_false(merkle_check_inclusion(&leaves[i], i, n, &proof, &root));
    proof.count--;
    if (proof.count == 0) continue;
    proof.count--;
    assert_false(merkle_check_inclusion(&leaves[i], i, n, &proof, &root));
  }
}

static void check_consistency_pair(size_t m, size_t n) {
  struct merkle_hash old = naive(0, m), new = naive(0, n);
  struct merkle_proof proof, expected = {.count = 0};
  if (m > 0 && m < n) naive_subproof(m, 0, n, true, &expected);
  OK(merkle_prove_consistency(node, NULL, m, n, &proof, NULL));
  same_proof(&proof, &expected);
  assert_true(merkle_check_consistency(m, &old, n, &new, &proof));
  old.bytes[3] ^= 4;
  assert_false(merkle_check_consistency(m, &old, n, &new, &proof));
  old.bytes[3] ^= 4;
  new.bytes[3] ^= 4;
  if (m > 0) assert_false(merkle_check_consistency(m, &old, n, &new, &proof));
  new.bytes[3] ^= 4;
  for (size_t h = 0; h < proof.count; h++) {
    proof.hashes[h].bytes[0] ^= 1;
    assert_false(merkle_check_consistency(m, &old, n, &new, &proof));
    proof.hashes[h].bytes[0] ^= 1;
  }
  proof.hashes[proof.count++] = new;
  assert_false(merkle_check_consistency(m, &old, n, &new, &proof));
  proof.count--;
  if (proof.count == 0) return;
  proof.count--;
  assert_false(merkle_check_consistency(m, &old, n, &new, &proof));
}

static void test_consistency_all(void **state) {
  (void)state;
  for (size_t n = 0; n <= LEAVES; n++)
    for (size_t m = 0; m <= n; m++) check_consistency_pair(m, n);
  struct merkle_hash a = naive(0, 5), b = naive(0, 3);
  struct merkle_proof none = {.count = 0};
  assert_false(merkle_check_consistency(5, &a, 3, &b, &none));
}

/* certificate-transparency/cpp/merkletree/merkle_tree_test.cc: inputs and roots. */
static void test_ct_vectors(void **state) {
  static const char *const inputs[8] = {
      "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"};
  static const char *const roots[9] = {"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                                       "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                                       "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
                                       "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
                                       "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                                       "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
                                       "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
                                       "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
                                       "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
  (void)state;
  for (size_t i = 0; i < 8; i++) {
    uint8_t bytes[16];
    size_t len;
    OK(hex_decode(slice_str(inputs[i]), bytes, sizeof bytes, &len));
    merkle_leaf(slice_of(bytes, len), &leaves[i]);
  }
  for (size_t n = 0; n <= 8; n++) {
    struct merkle_hash root;
    BUF_AUTO hex = BUF_INIT;
    OK(merkle_root(node, NULL, n, &root, NULL));
    hex_encode(&hex, slice_of(root.bytes, MERKLE_HASH));
    assert_string_equal(buf_str(&hex), roots[n]);
  }
  fill_leaves();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_roots),
      cmocka_unit_test(test_inclusion_all),
      cmocka_unit_test(test_inclusion_damaged),
      cmocka_unit_test(test_consistency_all),
      cmocka_unit_test(test_ct_vectors),
  };
  fill_leaves();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
