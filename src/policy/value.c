/* Values that are compared as what they mean: numbers, dates, addresses, truths. */
#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "policy/model.h"

enum { NUMBER_BYTES_MAX = 40, ADDRESS_BYTES_MAX = 64 };

static bool is_digit(uint8_t c) {
  return c >= '0' && c <= '9';
}

/* [-]digits[.digits], nothing else that strtod would take. */
bool number_parse(struct slice text, double *out) {
  char copy[NUMBER_BYTES_MAX + 1];
  size_t digits = 0, dots = 0;
  assert(out != NULL);
  if (text.len == 0 || text.len > NUMBER_BYTES_MAX) return false;
  for (size_t i = 0; i < text.len; i++) {
    uint8_t c = text.data[i];
    if (is_digit(c))
      digits++;
    else if (c == '.' && digits > 0 && i + 1 < text.len)
      dots++;
    else if (!((c == '-' || c == '+') && i == 0))
      return false;
  }
  if (digits == 0 || dots > 1) return false;
  memcpy(copy, text.data, text.len);
  copy[text.len] = 0;
  *out = strtod(copy, NULL); /* the program never leaves the C locale */
  return true;
}

/* Two digits below `limit` at `at`. */
static bool two(struct slice text, size_t at, unsigned limit, int64_t *out) {
  assert(out != NULL);
  if (at + 2 > text.len || !is_digit(text.data[at]) || !is_digit(text.data[at + 1])) return false;
  *out = (text.data[at] - '0') * 10 + (text.data[at + 1] - '0');
  return *out < limit;
}

/* "Z" or "+hh:mm", whole. */
static bool zone_parse(struct slice text, int64_t *out_ms) {
  int64_t hours = 0, minutes = 0;
  assert(out_ms != NULL);
  *out_ms = 0;
  if (slice_equal(text, SLICE_LIT("Z"))) return true;
  if (text.len != 6 || (text.data[0] != '+' && text.data[0] != '-') || text.data[3] != ':') return false;
  if (!two(text, 1, 24, &hours) || !two(text, 4, 60, &minutes)) return false;
  *out_ms = (hours * 60 + minutes) * 60000 * (text.data[0] == '-' ? -1 : 1);
  return true;
}

/* "hh:mm[:ss[.fraction]]" and a zone, whole. */
static bool time_of_day_parse(struct slice text, int64_t *out_ms) {
  int64_t hours = 0, minutes = 0, seconds = 0, zone_ms = 0, fraction_ms = 0, unit = 100;
  size_t at = 5;
  assert(out_ms != NULL);
  if (text.len < 6 || !two(text, 0, 24, &hours) || text.data[2] != ':' || !two(text, 3, 60, &minutes))
    return false;
  if (text.data[at] == ':') {
    if (!two(text, at + 1, 60, &seconds)) return false;
    at += 3;
    if (at < text.len && text.data[at] == '.') {
      size_t first = ++at;
      for (; at < text.len && is_digit(text.data[at]); at++, unit /= 10)
        fraction_ms += (text.data[at] - '0') * unit;
      if (at == first) return false;
    }
  }
  if (!zone_parse(slice_cut(text, at, text.len), &zone_ms)) return false;
  *out_ms = ((hours * 60 + minutes) * 60 + seconds) * 1000 + fraction_ms - zone_ms;
  return true;
}

bool date_parse(struct slice text, int64_t *out_ms) {
  uint64_t value = 0;
  int64_t day_ms = 0;
  assert(out_ms != NULL);
  if (slice_to_u64(text, &value) == DOM_OK) { /* seconds since 1970 */
    if (value > INT64_MAX / 1000) return false;
    *out_ms = (int64_t)value * 1000;
    return true;
  }
  size_t t = slice_find(text, 'T');
  if (time_parse_date(slice_cut(text, 0, t), &value) != DOM_OK) return false;
  if (t < text.len && !time_of_day_parse(slice_cut(text, t + 1, text.len), &day_ms)) return false;
  *out_ms = (int64_t)value + day_ms;
  return true;
}

bool bool_parse(struct slice text, bool *out) {
  bool is_true = slice_equal_nocase(text, SLICE_LIT("true"));
  assert(out != NULL);
  if (!is_true && !slice_equal_nocase(text, SLICE_LIT("false"))) return false;
  *out = is_true;
  return true;
}

bool address_parse(struct slice text, struct address *out) {
  char copy[ADDRESS_BYTES_MAX + 1];
  static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  struct address a = {.prefix_bits = 128};
  uint64_t bits = 128;
  assert(out != NULL);
  size_t slash = slice_find(text, '/');
  if (slash == 0 || slash > ADDRESS_BYTES_MAX) return false;
  memcpy(copy, text.data, slash);
  copy[slash] = 0;
  if (strlen(copy) != slash) return false;
  bool is_v4 = inet_pton(AF_INET, copy, a.bytes + 12) == 1;
  if (is_v4)
    memcpy(a.bytes, mapped, sizeof mapped);
  else if (inet_pton(AF_INET6, copy, a.bytes) != 1)
    return false;
  if (slash < text.len) {
    unsigned most = is_v4 ? 32 : 128;
    if (slice_to_u64(slice_cut(text, slash + 1, text.len), &bits) != DOM_OK || bits > most) return false;
    a.prefix_bits = (unsigned)bits + 128 - most;
  }
  *out = a;
  return true;
}

bool address_covers(const struct address *range, const struct address *one) {
  assert(range->prefix_bits <= 128);
  unsigned bytes = range->prefix_bits / 8, bits = range->prefix_bits % 8;
  if (memcmp(range->bytes, one->bytes, bytes) != 0) return false;
  if (bits == 0) return true;
  unsigned mask = 0xFFu << (8 - bits) & 0xFFu;
  return (range->bytes[bytes] & mask) == (one->bytes[bytes] & mask);
}
