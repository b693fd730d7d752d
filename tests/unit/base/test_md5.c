/* MD5 in lanes against OpenSSL's, and vectors of RFC 1321. */
#include "unit.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/codec.h"
#include "base/md5.h"
#include "base/md5_internal.h"

enum { BODIES = 13, BODY_MAX = 700000 };

static void reference(struct slice bytes, uint8_t out[MD5_SIZE]) {
  struct hash *h = hash_new(HASH_MD5);
  assert_non_null(h);
  hash_update(h, bytes.data, bytes.len);
  hash_final(h, out);
  hash_free(h);
}

/* The same bytes for the same seed, and no two lanes alike. */
static void fill(uint8_t *out, size_t len, uint32_t seed) {
  for (size_t i = 0; i < len; i++) {
    seed = seed * 1664525u + 1013904223u;
    out[i] = (uint8_t)(seed >> 24);
  }
}

static void test_vectors(void **state) {
  (void)state;
  static const struct {
    const char *text, *md5;
  } vectors[] = {/* RFC 1321 §A.5 */
                 {"", "d41d8cd98f00b204e9800998ecf8427e"},
                 {"a", "0cc175b9c0f1b6a831c399e269772661"},
                 {"message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
                 {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                  "57edf4a22be3c955ac49da2e2107b67a"}};
  for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
    struct md5_stream s;
    uint8_t out[MD5_SIZE];
    md5_stream_init(&s, NULL);
    assert_int_equal(md5_stream_feed(&s, slice_str(vectors[i].text)), 0);
    md5_stream_wait(&s, 0);
    md5_stream_final(&s, out);
    md5_stream_done(&s);
    assert_hex(out, sizeof out, vectors[i].md5);
  }
}

/* Every length around the borders of blocks and padding, in two pieces cut everywhere. */
static void test_lengths(void **state) {
  (void)state;
  uint8_t bytes[200], wanted[MD5_SIZE], got[MD5_SIZE];
  fill(bytes, sizeof bytes, 1);
  for (size_t len = 0; len <= sizeof bytes; len++) {
    reference(slice_of(bytes, len), wanted);
    for (size_t cut = 0; cut <= len; cut++) {
      struct md5_stream s;
      md5_stream_init(&s, NULL);
      md5_stream_feed(&s, slice_of(bytes, cut));
      md5_stream_feed(&s, slice_of(bytes + cut, len - cut));
      md5_stream_final(&s, got);
      assert_memory_equal(got, wanted, MD5_SIZE);
    }
  }
}

static void test_lanes_are_independent(void **state) {
  (void)state;
  uint8_t bytes[MD5_LANES][5 * MD5_BLOCK];
  uint32_t one[MD5_LANES][4], together[MD5_LANES][4], *states[MD5_LANES];
  const uint8_t *data[MD5_LANES];
  for (uint32_t i = 0; i < MD5_LANES; i++) {
    fill(bytes[i], sizeof bytes[i], 7 + i);
    for (uint32_t k = 0; k < 4; k++) one[i][k] = together[i][k] = 0x9e3779b9u * (1 + i + 4 * k);
    states[i] = together[i];
    data[i] = bytes[i];
    md5_blocks(one[i], bytes[i], 5);
  }
  md5_blocks_lanes(states, data, 5);
  assert_memory_equal(one, together, sizeof one);
}

/* One body's owner: pieces of random lengths through a ring of two buffers that it overwrites as soon as it
 * may; a buffer that was still read then gives another digest. */
struct owner {
  struct md5_lanes *lanes;
  uint32_t seed;
  bool is_good;
};

static void *feed_body(void *arg) {
  struct owner *o = arg;
  uint32_t seed = o->seed;
  size_t len = seed * 2654435761u % BODY_MAX, at = 0;
  uint8_t *bytes = dom_alloc(len + 1), wanted[MD5_SIZE], got[MD5_SIZE];
  uint8_t *ring = dom_alloc((size_t)2 * BODY_MAX);
  uint64_t tickets[2] = {0};
  struct md5_stream s;
  if (!bytes || !ring) return NULL;
  fill(bytes, len, seed);
  reference(slice_of(bytes, len), wanted);
  md5_stream_init(&s, o->lanes);
  for (unsigned i = 0; at < len; i = !i) {
    seed = seed * 1664525u + 1013904223u;
    size_t piece = (seed >> 8) % (seed & 0x40 ? 100000 : 300); /* long ones and short ones between them */
    if (piece > len - at) piece = len - at;
    md5_stream_wait(&s, tickets[i]);
    memcpy(ring + (size_t)i * BODY_MAX, bytes + at, piece);
    tickets[i] = md5_stream_feed(&s, slice_of(ring + (size_t)i * BODY_MAX, piece));
    at += piece;
  }
  md5_stream_final(&s, got);
  md5_stream_done(&s);
  o->is_good = memcmp(got, wanted, MD5_SIZE) == 0;
  dom_free(ring);
  dom_free(bytes);
  return NULL;
}

static void test_many_bodies_at_once(void **state) {
  (void)state;
  struct md5_lanes *lanes = md5_lanes_new();
  struct owner owners[BODIES];
  pthread_t threads[BODIES];
  for (uint32_t round = 0; round < 6; round++) {
    for (uint32_t i = 0; i < BODIES; i++) {
      owners[i] = (struct owner){.lanes = lanes, .seed = 1 + i + BODIES * round};
      assert_int_equal(pthread_create(&threads[i], NULL, feed_body, &owners[i]), 0);
    }
    for (uint32_t i = 0; i < BODIES; i++) pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < BODIES; i++) assert_true(owners[i].is_good);
  }
  md5_lanes_free(lanes);
}

/* More pieces than the ring of a stream holds, none of them waited for. */
static void test_many_pieces_of_one(void **state) {
  (void)state;
  enum { PIECE = 20000, COUNT = 5 * MD5_PIECES_MAX };
  struct md5_lanes *lanes = md5_lanes_new();
  uint8_t *bytes = dom_alloc((size_t)PIECE * COUNT), wanted[MD5_SIZE], got[MD5_SIZE];
  assert_non_null(bytes);
  fill(bytes, (size_t)PIECE * COUNT, 5);
  reference(slice_of(bytes, (size_t)PIECE * COUNT), wanted);
  struct md5_stream s;
  md5_stream_init(&s, lanes);
  for (size_t i = 0; i < COUNT; i++) md5_stream_feed(&s, slice_of(bytes + i * PIECE, PIECE));
  md5_stream_final(&s, got);
  md5_stream_done(&s);
  assert_memory_equal(got, wanted, MD5_SIZE);
  /* Given up in the middle: what was handed over is let go of before its memory is. */
  md5_stream_init(&s, lanes);
  for (size_t i = 0; i < 9; i++) md5_stream_feed(&s, slice_of(bytes + i * PIECE, PIECE));
  md5_stream_done(&s);
  dom_free(bytes);
  md5_lanes_free(lanes);
}

static void test_without_memory(void **state) {
  (void)state;
  dom_alloc_fail_after(0, 1);
  assert_null(md5_lanes_new());
  dom_alloc_fail_after(UINT64_MAX, 0);
  md5_lanes_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_vectors),
      cmocka_unit_test(test_lengths),
      cmocka_unit_test(test_lanes_are_independent),
      cmocka_unit_test(test_many_bodies_at_once),
      cmocka_unit_test(test_many_pieces_of_one),
      cmocka_unit_test(test_without_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
