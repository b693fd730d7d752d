/* Several whole regions in one process and one thread: real store, index, vault, subjects and mover over a
 * simulated disk, clock and net. For unit tests and for the simulator. */
#ifndef DOMICILE_TESTS_REGIONS_H
#define DOMICILE_TESTS_REGIONS_H

#include "base/alloc.h"
#include "base/codec.h"
#include "base/net.h"
#include "move/move.h"
#include "store/store.h"
#include "subject/subject.h"

enum { REGIONS_MAX = 4 };

struct test_regions;
struct test_region {
  struct test_regions *all;
  struct disk *disk, *keys;
  struct vault_kek *kek;
  struct store *store;
  struct subjects *subjects;
  struct mover *mover;
  struct net *net;
  uint16_t number;
  bool start_confirmed; /* as the mover's option */
  uint8_t seed[ED25519_KEY_SIZE];
};

struct test_regions {
  struct clock *clock;
  struct net_sim *net;
  uint8_t charter_seed[ED25519_KEY_SIZE], charter_key[ED25519_KEY_SIZE], route_key[KEY_SIZE], deployment[16];
  struct test_region region[REGIONS_MAX + 1]; /* by number, from 1: cn, sg, us, in */
  unsigned count;
  uint64_t segment_bytes; /* of the logs; 0: 4 MiB */
  bool unhashed;          /* what is put from now on has no SHA-256 in its row */
  void (*fault_point)(void *arg, const char *step);
  void *fault_arg;
  /* Called when a message arrives, and when its answer leaves; false: what arrives or leaves is lost. Both
   * are called of each message that arrives; NULL: nothing is lost but by the net. */
  bool (*message)(void *arg, uint16_t from, uint16_t to, bool answer);
};

/* Opens `count` regions on fresh disks and puts charter `which` (1, 2, 3 of the story) in force. Asserts. */
void regions_open(struct test_regions *t, unsigned count, uint64_t seed, int which);
void regions_close(struct test_regions *t);
/* One region's process ends (with what is durable) and starts again. */
enum dom_code region_start(struct test_regions *t, uint16_t number, struct dom_err *err);
void region_stop(struct test_regions *t, uint16_t number);
/* The text of the story's charter 1, 2 or 3 for these regions. */
void regions_charter(struct test_regions *t, int which, struct buf *out);
enum dom_code regions_force(struct test_regions *t, int which, bool force);
/* Creates bucket "phones" with layout {subject}/ at region 1. */
void regions_bucket(struct test_regions *t);

/* One object through one region, as a gateway that is home would do it: no forwarding. */
enum dom_code region_put(struct test_regions *t, uint16_t number, const char *subject, const char *name,
                         const char *value);
enum dom_code region_get(struct test_regions *t, uint16_t number, const char *subject, const char *name,
                         struct buf *out);
enum dom_code region_delete(struct test_regions *t, uint16_t number, const char *subject, const char *name);
/* Begins an upload with an id of sixteen bytes `id`. */
enum dom_code region_upload(struct test_regions *t, uint16_t number, const char *subject, const char *name,
                            uint8_t id);
/* A part of that upload, and the object of all its parts (16 at most; its row has no SHA-256). */
enum dom_code region_part(struct test_regions *t, uint16_t number, const char *subject, const char *name,
                          uint8_t id, uint32_t part_number, const char *value);
enum dom_code region_complete(struct test_regions *t, uint16_t number, const char *subject, const char *name,
                              uint8_t id);
enum dom_code region_who(struct test_regions *t, uint16_t number, const char *subject,
                         struct subject_who *out);
/* A body in a file of its own: `size` bytes made from `seed`. */
enum dom_code region_put_large(struct test_regions *t, uint16_t number, const char *subject, const char *name,
                               uint64_t size, uint8_t seed);

/* One change of one version of a subject's object. */
enum region_change { REGION_PUT, REGION_PUT_FILE, REGION_MARK, REGION_REMOVE };
/* PUT (inline), PUT_FILE (a body in a file) and MARK write a version, the null one when which->is_null, and
 * set which->order; REMOVE removes *which for good. */
enum dom_code region_version(struct test_regions *t, uint16_t number, const char *subject, const char *name,
                             enum region_change change, const char *value, struct store_version *which);
/* Gives a version other metadata. */
enum dom_code region_amend(struct test_regions *t, uint16_t number, const char *subject, const char *name,
                           const struct store_version *which, struct slice meta);
/* A line "name epoch.lsn null|id value metadata" of each version and delete marker of the subject, by name,
 * then newest first. */
enum dom_code region_versions(struct test_regions *t, uint16_t number, const char *subject, struct buf *out);

#endif
