/* Three regions of which one loses its disk: what tests of its way back share. All of it asserts. */
#ifndef DOMICILE_TESTS_LOST_WORLD_H
#define DOMICILE_TESTS_LOST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/disk_copy.h"
#include "lib/regions.h"
#include "move/move_internal.h"

enum { CN = 1, SG = 2 /* the registrar */, US = 3 };

static const struct slice TENANT = {(const uint8_t *)"phones-inc", 10};

struct test_regions *world_new(uint64_t seed);
void world_free(struct test_regions *t);
/* Registers a person of India at CN, with one object "a" that says its owner. */
void add(struct test_regions *t, const char *id, uint8_t token[TOKEN_SIZE]);
/* Eight minutes of upkeep in all regions that are up; the last must have nothing to complain of, but of a
 * region that waits for an operator. */
void settle(struct test_regions *t);
void move(struct test_regions *t, const uint8_t *token, uint16_t from, uint16_t to);

/* Every file of a region's disk, while it is stopped. */
struct disk *back_up(struct test_regions *t, uint16_t number);
/* The disk is lost, the backup (or an empty disk) takes its place; the process starts. */
void restore_take(struct test_regions *t, uint16_t number, struct disk *backup);
/* Ends the process and starts it with a fault point. */
void restart_with(struct test_regions *t, uint16_t number, void (*fault)(void *arg, const char *step),
                  void *arg);

struct store_subject row_of(struct test_regions *t, uint16_t at, const uint8_t *token);
enum mover_quarantine_state state(struct test_regions *t, uint16_t at);
void assert_reads(struct test_regions *t, uint16_t at, const char *id, const char *want);
void assert_gone(struct test_regions *t, uint16_t at, const uint8_t *token, uint64_t epoch);

#endif
