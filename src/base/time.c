/* The time formats of clock.h: UTC only, the proleptic Gregorian calendar, no locale. */
#include <assert.h>
#include <string.h>

#include "base/clock.h"

#define DAY_MS 86400000u
/* 9999-12-31T23:59:59.999Z: the formats have four digits for the year. */
#define WALL_MS_MAX 253402300799999u

struct date {
  unsigned year, month, day; /* month 1..12, day 1..31 */
  unsigned hour, minute, second;
};

static const char weekdays[7][4] = {"Thu", "Fri", "Sat", "Sun",
                                    "Mon", "Tue", "Wed"}; /* day 0 was a Thursday */
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static bool is_leap(unsigned year) {
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned days_in_month(unsigned year, unsigned month) {
  static const unsigned char days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  assert(month >= 1);
  assert(month <= 12);
  return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Leap days in the years 1 … year. */
static unsigned leap_days(unsigned year) {
  return year / 4 - year / 100 + year / 400;
}

/* Days from 1970-01-01 to January 1 of the year. */
static unsigned days_to_year(unsigned year) {
  assert(year >= 1970);
  return (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969);
}

static struct date date_of(uint64_t wall_ms) {
  assert(wall_ms <= WALL_MS_MAX);
  unsigned day = (unsigned)(wall_ms / DAY_MS);
  unsigned second = (unsigned)(wall_ms % DAY_MS / 1000);
  unsigned year = 1970 + day / 366; /* never too late; a few steps too early by year 9999 */
  while (days_to_year(year + 1) <= day) year++;
  day -= days_to_year(year);
  unsigned month = 1;
  while (day >= days_in_month(year, month)) day -= days_in_month(year, month++);
  return (struct date){year, month, day + 1, second / 3600, second / 60 % 60, second % 60};
}

/* DOM_INVALID for a date that does not exist. A leap second (60) counts as the next second. */
static enum dom_code date_to_ms(const struct date *d, uint64_t *out_ms) {
  assert(d);
  assert(out_ms);
  if (d->year < 1970 || d->year > 9999 || d->month < 1 || d->month > 12) return DOM_INVALID;
  if (d->day < 1 || d->day > days_in_month(d->year, d->month)) return DOM_INVALID;
  if (d->hour > 23 || d->minute > 59 || d->second > 60) return DOM_INVALID;
  uint64_t day = days_to_year(d->year) + d->day - 1;
  for (unsigned month = 1; month < d->month; month++) day += days_in_month(d->year, month);
  *out_ms = day * DAY_MS + ((d->hour * 60 + d->minute) * 60 + d->second) * UINT64_C(1000);
  return DOM_OK;
}

static uint64_t clamp(uint64_t wall_ms) {
  return wall_ms < WALL_MS_MAX ? wall_ms : WALL_MS_MAX;
}

/* By hand: a listing has a thousand times, and snprintf was a fifth of it. */
static void put_digits(char *out, unsigned value, unsigned width) {
  for (unsigned i = width; i > 0; i--, value /= 10) out[i - 1] = (char)('0' + value % 10);
  assert(value == 0);
}

/* hh:mm:ss; the colons are there. */
static void put_clock(char *out, const struct date *d) {
  put_digits(out, d->hour, 2);
  put_digits(out + 3, d->minute, 2);
  put_digits(out + 6, d->second, 2);
}

void time_rfc3339(uint64_t wall_ms, char out[25]) {
  assert(out);
  wall_ms = clamp(wall_ms);
  struct date d = date_of(wall_ms);
  memcpy(out, "1970-01-01T00:00:00.000Z", 25);
  put_digits(out, d.year, 4);
  put_digits(out + 5, d.month, 2);
  put_digits(out + 8, d.day, 2);
  put_clock(out + 11, &d);
  put_digits(out + 20, (unsigned)(wall_ms % 1000), 3);
}

void time_http(uint64_t wall_ms, char out[30]) {
  assert(out);
  wall_ms = clamp(wall_ms);
  struct date d = date_of(wall_ms);
  memcpy(out, "Thu, 01 Jan 1970 00:00:00 GMT", 30);
  memcpy(out, weekdays[wall_ms / DAY_MS % 7], 3);
  put_digits(out + 5, d.day, 2);
  memcpy(out + 8, months[d.month - 1], 3);
  put_digits(out + 12, d.year, 4);
  put_clock(out + 17, &d);
}

/* Matches `s` against a pattern: Y M D h m s take one digit each, N three letters of a month,
 * W a weekday's three letters, A its whole name, _ a digit or blank of the day; all else
 * stands for itself. */
struct matcher {
  struct slice s;
  size_t at;
  struct date date;
};

static bool match_digit(struct matcher *m, unsigned *field, bool blank_is_zero) {
  assert(m->at < m->s.len);
  uint8_t c = m->s.data[m->at];
  if (blank_is_zero && c == ' ') c = '0';
  if (c < '0' || c > '9') return false;
  *field = *field * 10 + (unsigned)(c - '0');
  m->at++;
  return true;
}

static bool match_name(struct matcher *m, const char names[][4], unsigned count, unsigned *out_index) {
  for (unsigned i = 0; i < count; i++) {
    if (m->s.len - m->at >= 3 && memcmp(m->s.data + m->at, names[i], 3) == 0) {
      m->at += 3;
      assert(m->at <= m->s.len);
      *out_index = i;
      return true;
    }
  }
  return false;
}

static bool match_weekday(struct matcher *m, bool whole) {
  assert(m->at < m->s.len);
  static const char *const rests[7] = {"rsday", "day", "urday", "day", "day", "sday", "nesday"};
  unsigned weekday = 0; /* only its form counts: RFC 9110 has recipients trust the date */
  if (!match_name(m, weekdays, 7, &weekday)) return false;
  if (!whole) return true;
  size_t len = strlen(rests[weekday]);
  if (m->s.len - m->at < len || memcmp(m->s.data + m->at, rests[weekday], len) != 0) return false;
  m->at += len;
  return true;
}

static bool match_one(struct matcher *m, char c) {
  assert(m->at <= m->s.len);
  if (m->at >= m->s.len) return false;
  switch (c) {
  case 'Y':
    return match_digit(m, &m->date.year, false);
  case 'M':
    return match_digit(m, &m->date.month, false);
  case 'D':
    return match_digit(m, &m->date.day, false);
  case '_':
    return match_digit(m, &m->date.day, true);
  case 'h':
    return match_digit(m, &m->date.hour, false);
  case 'm':
    return match_digit(m, &m->date.minute, false);
  case 's':
    return match_digit(m, &m->date.second, false);
  case 'W':
    return match_weekday(m, false);
  case 'A':
    return match_weekday(m, true);
  case 'N': {
    unsigned index = 0;
    bool found = match_name(m, months, 12, &index);
    m->date.month = index + 1;
    return found;
  }
  default:
    return m->s.data[m->at++] == (uint8_t)c;
  }
}

static bool match(struct slice s, const char *pattern, struct date *out_date) {
  assert(pattern);
  assert(s.data || s.len == 0);
  struct matcher m = {.s = s};
  for (; *pattern; pattern++) {
    if (!match_one(&m, *pattern)) return false;
  }
  if (m.at != s.len) return false;
  *out_date = m.date;
  return true;
}

enum dom_code time_parse_http(struct slice s, uint64_t *out_ms) {
  struct date d;
  /* The zone is matched apart: in patterns, M is a digit of the month. */
  struct slice gmt = SLICE_LIT(" GMT");
  bool zoned = s.len >= gmt.len && slice_equal(slice_cut(s, s.len - gmt.len, s.len), gmt);
  struct slice head = zoned ? slice_cut(s, 0, s.len - gmt.len) : s;
  if (zoned && match(head, "W, DD N YYYY hh:mm:ss", &d)) return date_to_ms(&d, out_ms);
  if (zoned && match(head, "A, DD-N-YY hh:mm:ss", &d)) {
    d.year += d.year < 70 ? 2000 : 1900;
    return date_to_ms(&d, out_ms);
  }
  if (!zoned && match(head, "W N _D hh:mm:ss YYYY", &d)) return date_to_ms(&d, out_ms);
  return DOM_INVALID;
}

enum dom_code time_parse_amz(struct slice s, uint64_t *out_ms) {
  struct date d;
  return match(s, "YYYYMMDDThhmmssZ", &d) ? date_to_ms(&d, out_ms) : DOM_INVALID;
}

enum dom_code time_parse_date(struct slice s, uint64_t *out_ms) {
  struct date d;
  return match(s, "YYYY-MM-DD", &d) ? date_to_ms(&d, out_ms) : DOM_INVALID;
}
