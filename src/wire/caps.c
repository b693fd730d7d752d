#include "wire/caps.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>

#include "base/alloc.h"
#include "base/codec.h"

struct caps_entry {
  struct caps_entry *next;
  uint8_t bytes[16];
  unsigned count;
};

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

bool caps_init(struct caps *c, size_t expected) {
  assert(c != NULL && expected > 0);
  c->bucket_count = 64;
  while (c->bucket_count < expected) c->bucket_count *= 2;
  c->buckets = dom_calloc(c->bucket_count, sizeof(struct caps_entry *));
  return c->buckets != NULL;
}

void caps_done(struct caps *c) {
  assert(c != NULL);
  for (size_t i = 0; c->buckets != NULL && i < c->bucket_count; i++) {
    struct caps_entry *e = c->buckets[i];
    while (e != NULL) {
      struct caps_entry *next = e->next;
      dom_free(e);
      e = next;
    }
  }
  dom_free(c->buckets);
  *c = (struct caps){0};
}

struct caps_key caps_key_of(const struct sockaddr_storage *a) {
  assert(a->ss_family == AF_UNIX || a->ss_family == AF_INET || a->ss_family == AF_INET6);
  struct caps_key k = {.local = a->ss_family == AF_UNIX};
  if (a->ss_family == AF_INET) {
    struct sockaddr_in v4;
    memcpy(&v4, a, sizeof v4);
    memcpy(k.bytes, mapped_prefix, sizeof mapped_prefix);
    memcpy(k.bytes + 12, &v4.sin_addr, 4);
  } else if (a->ss_family == AF_INET6) {
    struct sockaddr_in6 v6;
    memcpy(&v6, a, sizeof v6);
    memcpy(k.bytes, &v6.sin6_addr, 16);
  }
  return k;
}

static bool is_v4(const struct caps_key *k) {
  assert(k != NULL);
  return memcmp(k->bytes, mapped_prefix, sizeof mapped_prefix) == 0;
}

void caps_key_text(const struct caps_key *k, char *out, size_t cap) {
  assert(cap >= INET6_ADDRSTRLEN);
  if (k->local) {
    memcpy(out, "unix", sizeof "unix");
    return;
  }
  const char *text = is_v4(k) ? inet_ntop(AF_INET, k->bytes + 12, out, (socklen_t)cap)
                              : inet_ntop(AF_INET6, k->bytes, out, (socklen_t)cap);
  assert(text != NULL);
}

void caps_key_counted(const struct caps_key *k, uint8_t out[16]) {
  assert(k != NULL && out != NULL);
  memset(out, 0, 16);
  if (!k->local) memcpy(out, k->bytes, is_v4(k) ? 16 : 8);
}

static struct caps_entry **find(struct caps *c, const uint8_t bytes[16]) {
  assert(c->bucket_count > 0);
  struct caps_entry **at = &c->buckets[crc32c(0, bytes, 16) & (c->bucket_count - 1)];
  while (*at != NULL && memcmp((*at)->bytes, bytes, 16) != 0) at = &(*at)->next;
  return at;
}

bool caps_take(struct caps *c, const struct caps_key *k, unsigned max) {
  assert(max > 0);
  uint8_t bytes[16];
  assert(!k->local);
  caps_key_counted(k, bytes);
  struct caps_entry **at = find(c, bytes);
  if (*at == NULL) {
    struct caps_entry *e = dom_calloc(1, sizeof *e);
    if (e == NULL) return false;
    memcpy(e->bytes, bytes, 16);
    *at = e;
  }
  if ((*at)->count >= max) return false;
  (*at)->count++;
  return true;
}

void caps_give(struct caps *c, const struct caps_key *k) {
  uint8_t bytes[16];
  assert(!k->local);
  caps_key_counted(k, bytes);
  struct caps_entry **at = find(c, bytes);
  assert(*at != NULL && (*at)->count > 0);
  if (--(*at)->count > 0) return;
  struct caps_entry *gone = *at;
  *at = gone->next;
  dom_free(gone);
}
