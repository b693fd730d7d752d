/* The engine without HTTP: threads that put and get small objects in one process, on a real disk. The upper
 * border of what the server can do on this machine in this run. Prints one JSON object.
 *
 * usage: bench-engine DIR put|get SIZE THREADS OPERATIONS [nosync] */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "charter/charter.h"
#include "store/store.h"

enum { KEYS = 1000 };

struct bench {
  struct store *store;
  struct clock *clock;
  const struct permit *store_permit, *read_permit;
  struct store_place place;
  uint8_t *body;
  size_t size;
  bool put;
  uint64_t operations;
  atomic_uint_fast64_t next, failed;
  uint64_t *latency_ns;
};

static _Noreturn void die(const char *what, const struct dom_err *err) {
  fprintf(stderr, "bench-engine: %s: %s: %s\n", what, err->where ? err->where : "", err->text);
  exit(3);
}

static enum dom_code put_one(struct bench *b, struct slice key) {
  for (;;) {
    STORE_VIEW_AUTO *v = NULL;
    struct store_tx *tx = NULL;
    struct store_object o = {.key = key,
                             .size = b->size,
                             .mtime_ms = 1,
                             .meta = SLICE_LIT("m"),
                             .inline_body = slice_of(b->body, b->size)};
    sha256(b->body, b->size, o.sha256);
    enum dom_code code = store_view_open(b->store, &v, NULL);
    if (!code) code = store_tx_begin(b->store, v, &tx, NULL);
    if (!code) code = store_tx_put(tx, b->store_permit, &b->place, &o, NULL);
    if (code) {
      store_tx_abort_take(tx);
      return code;
    }
    code = store_tx_commit_take(tx, NULL, NULL);
    if (code != DOM_RETRY) return code;
  }
}

static enum dom_code get_one(struct bench *b, struct slice key, uint8_t *to) {
  STORE_VIEW_AUTO *v = NULL;
  struct store_found *f = NULL;
  size_t got = 0;
  enum dom_code code = store_view_open(b->store, &v, NULL);
  if (!code) code = store_object_get(v, PERMIT_READ, b->read_permit, &b->place, key, &f, NULL);
  if (!code) code = store_found_read(f, 0, to, b->size, &got, NULL);
  store_found_free(f);
  return code || got == b->size ? code : DOM_CORRUPT;
}

static void *work(void *arg) {
  struct bench *b = arg;
  uint8_t *to = malloc(b->size + 1);
  assert(to);
  for (uint64_t i = atomic_fetch_add(&b->next, 1); i < b->operations; i = atomic_fetch_add(&b->next, 1)) {
    char key[32];
    snprintf(key, sizeof key, "k%06llu", (unsigned long long)(i % KEYS));
    uint64_t begin = clock_mono_ns(b->clock);
    enum dom_code code = b->put ? put_one(b, slice_str(key)) : get_one(b, slice_str(key), to);
    b->latency_ns[i] = clock_mono_ns(b->clock) - begin;
    if (code) atomic_fetch_add(&b->failed, 1);
  }
  free(to);
  return NULL;
}

static int by_value(const void *a, const void *c) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)c;
  return x < y ? -1 : x > y;
}

static double cpu_s(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
         (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void run(struct bench *b, unsigned threads) {
  pthread_t *t = calloc(threads, sizeof *t);
  b->latency_ns = calloc(b->operations, sizeof *b->latency_ns);
  assert(t && b->latency_ns);
  double cpu = cpu_s();
  uint64_t begin = clock_mono_ns(b->clock);
  for (unsigned i = 0; i < threads; i++) pthread_create(&t[i], NULL, work, b);
  for (unsigned i = 0; i < threads; i++) pthread_join(t[i], NULL);
  double seconds = (double)(clock_mono_ns(b->clock) - begin) / 1e9;
  cpu = cpu_s() - cpu;
  qsort(b->latency_ns, b->operations, sizeof *b->latency_ns, by_value);
  printf("{\"op\":\"%s\",\"size\":%zu,\"connections\":%u,\"requests\":%llu,\"failed\":%llu,\"seconds\":%.3f,"
         "\"requests_s\":%.0f,\"mb_s\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"cpu_us_per_op\":%.2f}\n",
         b->put ? "put" : "get", b->size, threads, (unsigned long long)b->operations,
         (unsigned long long)b->failed, seconds, (double)b->operations / seconds,
         (double)b->operations * (double)b->size / seconds / 1e6,
         (double)b->latency_ns[b->operations / 2] / 1e6,
         (double)b->latency_ns[b->operations * 99 / 100] / 1e6, cpu * 1e6 / (double)b->operations);
  free(t);
  free(b->latency_ns);
}

static struct charter *make_charter(struct dom_err *err) {
  uint8_t seed[ED25519_KEY_SIZE], key[ED25519_KEY_SIZE];
  BUF_AUTO yaml = BUF_INIT;
  struct charter *c = NULL;
  random_bytes(seed, sizeof seed);
  ed25519_public(seed, key);
  buf_append_str(
      &yaml,
      "charter: 1\norganization: bench\nregistrars: [in]\nregions:\n  in: {number: 1, jurisdiction: IN, "
      "endpoint: \"http://127.0.0.1:1\", vkey: \"");
  charter_vkey_write(SLICE_LIT("bench/in"), key, &yaml);
  buf_append_str(
      &yaml,
      "\"}\nsubjects: {unregistered: refuse}\nclasses:\n  personal: {}\nrules:\n  \"*\":\n    home: in\n"
      "    personal: {store: any, read: any, transit: any}\n");
  if (charter_parse(buf_slice(&yaml), "bench", &c, err)) die("charter", err);
  return c;
}

static const struct permit *permit(struct charter *c, enum permit_action action, const uint8_t *token,
                                   struct charter_permit_storage *storage) {
  struct charter_intent i = {.action = action,
                             .token = token,
                             .country = "IN",
                             .region = 1,
                             .gateway = 1,
                             .classes = 1,
                             .at_home = true,
                             .destroys_created_ms = CHARTER_DESTROYS_NOTHING};
  const struct permit *p = NULL;
  if (charter_decide(c, &i, 1, storage, &p, NULL)) abort();
  return p;
}

static void home_subject(struct bench *b, struct dom_err *err) {
  struct vault_key key = {.epoch = 1};
  struct store_subject row = {
      .state = SUBJECT_HOME, .epoch = 1, .epoch_allotted = 1, .home = 1, .country = {'I', 'N'}};
  STORE_VIEW_AUTO *v = NULL;
  struct store_tx *tx = NULL;
  memcpy(key.token, b->place.token, TOKEN_SIZE);
  memcpy(row.token, b->place.token, TOKEN_SIZE);
  if (vault_key_create(store_vault(b->store), &key, err) || store_view_open(b->store, &v, err) ||
      store_tx_begin(b->store, v, &tx, err) || store_tx_subject_put(tx, &row, err) ||
      store_tx_commit_take(tx, NULL, err))
    die("subject", err);
}

int main(int argc, char **argv) {
  if (argc < 6) {
    fprintf(stderr, "usage: bench-engine DIR put|get SIZE THREADS OPERATIONS\n");
    return 2;
  }
  struct dom_err err = {0};
  struct disk *disk = NULL, *keys = NULL;
  struct vault_kek *kek = NULL;
  char key_root[4096];
  snprintf(key_root, sizeof key_root, "%s.keys", argv[1]);
  struct bench b = {.clock = clock_posix(),
                    .put = strcmp(argv[2], "put") == 0,
                    .size = strtoul(argv[3], NULL, 10),
                    .operations = strtoull(argv[5], NULL, 10)};
  if (disk_posix_open(argv[1], &disk, &err) || disk_posix_open(key_root, &keys, &err) ||
      vault_kek_folder_open(keys, "kek", NULL, true, &kek, &err))
    die("open", &err);
  struct store_options so = {.disk = disk, .clock = b.clock, .kek = kek, .region = 1, .create = true};
  if (store_open(&so, &b.store, &err)) die("store", &err);
  random_bytes(b.place.token, TOKEN_SIZE);
  random_bytes(b.place.bucket, sizeof b.place.bucket);
  b.place.epoch = 1;
  b.body = malloc(b.size + 1);
  assert(b.body && b.operations > 0);
  random_bytes(b.body, b.size);
  struct charter *c = make_charter(&err);
  struct charter_permit_storage s1, s2;
  b.store_permit = permit(c, PERMIT_STORE, b.place.token, &s1);
  b.read_permit = permit(c, PERMIT_READ, b.place.token, &s2);
  home_subject(&b, &err);
  if (!b.put)
    for (int i = 0; i < KEYS; i++) {
      char key[32];
      snprintf(key, sizeof key, "k%06d", i);
      if (put_one(&b, slice_str(key))) die("fill", &err);
    }
  run(&b, (unsigned)strtoul(argv[4], NULL, 10));
  charter_release(c);
  store_close(b.store);
  vault_kek_close(kek);
  disk_posix_close(disk);
  disk_posix_close(keys);
  free(b.body);
  return b.failed ? 1 : 0;
}
