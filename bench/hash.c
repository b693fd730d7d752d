/* The bound that S3 itself sets a PUT: its ETag is an MD5 of the body, one chain that no second core can
 * help with; a signed body adds a SHA-256. Each thread hashes bodies one after another, in pieces as the
 * server reads them. Prints one JSON object.
 *
 * usage: bench-hash md5|md5+sha256 SIZE THREADS SECONDS */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"

#define PIECE ((size_t)256 << 10)

struct run {
  size_t size;
  bool sha256;
  uint64_t until_ns;
  atomic_uint_fast64_t bodies;
};

static void *work(void *arg) {
  struct run *r = arg;
  struct hash *md5 = hash_new(HASH_MD5), *sha = r->sha256 ? hash_new(HASH_SHA256) : NULL;
  uint8_t *piece = malloc(PIECE), out[SHA256_SIZE];
  assert(md5 && piece);
  random_bytes(piece, PIECE);
  while (clock_mono_ns(clock_posix()) < r->until_ns) {
    for (size_t left = r->size; left > 0;) {
      size_t len = left < PIECE ? left : PIECE;
      hash_update(md5, piece, len);
      if (sha) hash_update(sha, piece, len);
      left -= len;
    }
    hash_final(md5, out);
    if (sha) hash_final(sha, out);
    atomic_fetch_add(&r->bodies, 1);
  }
  hash_free(md5);
  hash_free(sha);
  free(piece);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: bench-hash md5|md5+sha256 SIZE THREADS SECONDS\n");
    return 2;
  }
  unsigned threads = (unsigned)strtoul(argv[3], NULL, 10);
  double seconds = strtod(argv[4], NULL);
  pthread_t t[64];
  assert(threads >= 1 && threads <= 64 && seconds > 0);
  uint64_t begin = clock_mono_ns(clock_posix());
  struct run r = {.size = strtoul(argv[2], NULL, 10),
                  .sha256 = strcmp(argv[1], "md5+sha256") == 0,
                  .until_ns = begin + (uint64_t)(seconds * 1e9)};
  for (unsigned i = 0; i < threads; i++) pthread_create(&t[i], NULL, work, &r);
  for (unsigned i = 0; i < threads; i++) pthread_join(t[i], NULL);
  double took = (double)(clock_mono_ns(clock_posix()) - begin) / 1e9;
  double bodies = (double)atomic_load(&r.bodies);
  printf("{\"requests\":%.0f,\"errors\":0,\"requests_per_s\":%.1f,\"mb_per_s\":%.1f}\n", bodies,
         bodies / took, bodies * (double)r.size / took / 1e6);
  return 0;
}
