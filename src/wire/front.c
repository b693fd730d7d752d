#include "wire/front.h"

#include <arpa/inet.h>
#include <assert.h>

#include "wire/conn.h"

enum { MAPPED_BITS = 96 };

/* An address in words, and how many bits its kind has. False: none. */
static bool address_of(struct slice text, uint8_t out[16], unsigned *out_bits) {
  static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
  char word[INET6_ADDRSTRLEN];
  assert(text.data != NULL || text.len == 0);
  if (text.len == 0 || text.len >= sizeof word) return false;
  memcpy(word, text.data, text.len);
  word[text.len] = '\0';
  if (strlen(word) != text.len) return false;
  *out_bits = 128;
  if (inet_pton(AF_INET6, word, out) == 1) return true;
  memcpy(out, prefix, sizeof prefix);
  *out_bits = 32;
  return inet_pton(AF_INET, word, out + sizeof prefix) == 1;
}

static bool agree(const uint8_t a[16], const uint8_t b[16], unsigned bits) {
  assert(bits <= 128);
  unsigned whole = bits / 8, rest = bits % 8;
  if (memcmp(a, b, whole) != 0) return false;
  return rest == 0 || ((a[whole] ^ b[whole]) & (uint8_t)(0xff << (8 - rest))) == 0;
}

enum dom_code wire_front_parse(const char *text, struct wire_front *out, struct dom_err *err) {
  static const char where[] = "wire/front";
  assert(text != NULL && out != NULL);
  struct slice all = slice_str(text);
  size_t slash = slice_find(all, '/');
  struct wire_front f;
  uint64_t bits = 0;
  uint8_t masked[16] = {0};
  unsigned kind = 0;
  if (!address_of(slice_cut(all, 0, slash), f.bytes, &kind))
    return dom_fail(err, DOM_INVALID, where, "%s is no address, and no network as 192.0.2.0/24", text);
  bits = kind;
  if (slash < all.len && (slice_to_u64(slice_cut(all, slash + 1, all.len), &bits) != DOM_OK || bits > kind))
    return dom_fail(err, DOM_INVALID, where, "%s: the length of a network is 0 to %u", text, kind);
  f.bits = (unsigned)bits + (kind == 32 ? MAPPED_BITS : 0);
  for (unsigned i = 0; i < f.bits; i++) masked[i / 8] |= (uint8_t)(f.bytes[i / 8] & (0x80 >> i % 8));
  if (memcmp(masked, f.bytes, sizeof masked) != 0)
    return dom_fail(err, DOM_INVALID, where, "%s: the address has bits behind its length", text);
  *out = f;
  return DOM_OK;
}

bool front_is(const struct wire_server *s, const struct caps_key *k) {
  assert(s->options.front_count <= WIRE_FRONTS_MAX);
  for (size_t i = 0; !k->local && i < s->options.front_count; i++)
    if (agree(s->options.fronts[i].bytes, k->bytes, s->options.fronts[i].bits)) return true;
  return false;
}

/* The last entry of a list "a, b, c"; cuts it off. */
static struct slice take_last(struct slice *list) {
  size_t from = list->len;
  while (from > 0 && list->data[from - 1] != ',') from--;
  struct slice entry = slice_cut(*list, from, list->len);
  *list = slice_cut(*list, 0, from > 0 ? from - 1 : 0);
  while (entry.len > 0 && (entry.data[0] == ' ' || entry.data[0] == '\t'))
    entry = slice_cut(entry, 1, entry.len);
  while (entry.len > 0 && (entry.data[entry.len - 1] == ' ' || entry.data[entry.len - 1] == '\t'))
    entry.len--;
  assert(from <= list->len + 1);
  return entry;
}

/* From the right, each entry was written by the one before: past the first that is no front, anybody may have
 * written what stands there. */
struct caps_key front_client(const struct wire_server *s, const struct wire_head *h,
                             const struct caps_key *peer) {
  struct caps_key client = *peer;
  assert(front_is(s, peer));
  for (size_t i = h->field_count; i-- > 0;) {
    if (!slice_equal_nocase(h->fields[i].name, SLICE_LIT("x-forwarded-for"))) continue;
    struct slice list = h->fields[i].value;
    while (list.len > 0) {
      struct caps_key next = {.local = false};
      unsigned kind;
      if (!address_of(take_last(&list), next.bytes, &kind)) return client;
      client = next;
      if (!front_is(s, &client)) return client;
    }
  }
  return client;
}
