/* How a gateway that cannot check a token is kept from becoming anybody's relay, while it goes on for who is
 * honest: refusals by homes are counted within each second, by the client's address and of all. */
#include <assert.h>

#include "serve/region.h"

enum {
  /* Of one address in a second: phones behind one address that all have old tokens ask for new ones by then.
   */
  REFUSED_ADDRESS_MAX = 16,
  /* Of all in a second: a home refuses one in about 0.1 ms, so this costs it a fortieth of a processor, and
   * to use it up takes as many addresses as a forger seldom has. */
  REFUSED_MAX = 256,
  /* Counters for addresses. Each shares one with others, which a salt chooses: nobody can aim at somebody. Of
   * those few that use REFUSED_MAX up, one in 64 honest addresses has a counter in common at worst. */
  SLOTS = 1024
};
_Static_assert(REFUSED_MAX / REFUSED_ADDRESS_MAX * 64 <= SLOTS, "honest addresses seldom share a counter");

/* The second in the upper half, the refusals within it in the lower one. */
typedef _Atomic uint64_t counter;

struct serve_relay {
  uint8_t salt[16];
  counter all;
  counter slot[SLOTS];
};

struct serve_relay *relay_new(void) {
  struct serve_relay *r = dom_calloc(1, sizeof *r);
  if (r) random_bytes(r->salt, sizeof r->salt);
  return r;
}

void relay_free(struct serve_relay *r) {
  dom_free(r);
}

static counter *slot_of(struct call *c) {
  struct serve_relay *r = c->r->relay;
  uint8_t text[sizeof r->salt + 16], digest[SHA256_SIZE];
  memcpy(text, r->salt, sizeof r->salt);
  wire_exchange_client_counted(c->x, text + sizeof r->salt);
  sha256(text, sizeof text, digest);
  return &r->slot[(digest[0] << 8 | digest[1]) % SLOTS];
}

static uint32_t now_s(struct call *c) {
  return (uint32_t)(clock_mono_ns(c->r->clock) / 1000000000);
}

static uint32_t refused(counter *at, uint32_t second) {
  uint64_t value = atomic_load(at);
  return value >> 32 == second ? (uint32_t)value : 0;
}

static void count(counter *at, uint32_t second) {
  uint64_t before = atomic_load(at), after;
  do after = before >> 32 == second ? before + 1 : (uint64_t)second << 32 | 1;
  while (!atomic_compare_exchange_weak(at, &before, after));
  assert(after >> 32 == second);
}

bool relay_may_pass(struct call *c) {
  uint32_t second = now_s(c);
  assert(c->auth.is_unverified);
  return refused(slot_of(c), second) < REFUSED_ADDRESS_MAX &&
         refused(&c->r->relay->all, second) < REFUSED_MAX;
}

void relay_note(struct call *c, unsigned status) {
  uint32_t second = now_s(c);
  assert(c->auth.is_unverified);
  if (status != 400 && status != 403 && status != 0) return;
  count(slot_of(c), second);
  count(&c->r->relay->all, second);
}
