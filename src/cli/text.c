/* Values as people write and read them. */
#include <assert.h>
#include <stdio.h>

#include "base/clock.h"
#include "cli/cli.h"

const char *cli_text(const json_t *object, const char *name) {
  const char *text = json_string_value(json_object_get(object, name));
  return text ? text : "";
}

uint64_t cli_number(const json_t *object, const char *name) {
  json_int_t value = json_integer_value(json_object_get(object, name));
  return value > 0 ? (uint64_t)value : 0;
}

void cli_print_json(const json_t *value) {
  json_dumpf(value, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
  putchar('\n');
}

/* ---- sizes ------------------------------------------------------------------------------ */

struct unit {
  const char *name;
  uint64_t bytes;
};
static const struct unit UNITS[] = {{"", 1},
                                    {"B", 1},
                                    {"KB", 1000},
                                    {"MB", 1000 * 1000},
                                    {"GB", 1000 * 1000 * 1000},
                                    {"KiB", UINT64_C(1) << 10},
                                    {"MiB", UINT64_C(1) << 20},
                                    {"GiB", UINT64_C(1) << 30}};

bool cli_parse_bytes(const char *text, uint64_t *out) {
  assert(text && out);
  size_t digits = strspn(text, "0123456789"), len = strlen(text);
  uint64_t value = 0;
  if (len > 2 && strcmp(text + len - 2, "/s") == 0) len -= 2;
  if (len < digits || slice_to_u64(slice_of(text, digits), &value)) return false;
  for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++)
    if (strlen(UNITS[i].name) == len - digits && memcmp(UNITS[i].name, text + digits, len - digits) == 0) {
      if (value > UINT64_MAX / 2 / UNITS[i].bytes) return false;
      *out = value * UNITS[i].bytes;
      return true;
    }
  return false;
}

struct cli_shown cli_show_bytes(uint64_t bytes) {
  static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  struct cli_shown s;
  double value = (double)bytes;
  unsigned unit = 0;
  for (; value >= 1024 && unit + 1 < sizeof names / sizeof names[0]; unit++) value /= 1024;
  snprintf(s.text, sizeof s.text, unit ? "%.1f %s" : "%.0f %s", value, names[unit]);
  return s;
}

/* ---- times -------------------------------------------------------------------------------- */

struct cli_shown cli_show_time(uint64_t wall_ms) {
  struct cli_shown s = {"-"};
  char text[25];
  if (wall_ms == 0) return s;
  time_rfc3339(wall_ms, text);
  memcpy(s.text, text, sizeof text);
  return s;
}

struct cli_shown cli_show_span(uint64_t ms) {
  struct cli_shown s;
  unsigned long long seconds = ms / 1000;
  if (seconds < 60)
    snprintf(s.text, sizeof s.text, "%llu s", seconds);
  else if (seconds < 3600)
    snprintf(s.text, sizeof s.text, "%llu min %llu s", seconds / 60, seconds % 60);
  else if (seconds < 86400)
    snprintf(s.text, sizeof s.text, "%llu h %llu min", seconds / 3600, seconds / 60 % 60);
  else
    snprintf(s.text, sizeof s.text, "%llu d %llu h", seconds / 86400, seconds / 3600 % 24);
  return s;
}

/* ---- shares ----------------------------------------------------------------------------------- */

/* "sg=60%", "sg=60" or "sg". */
static bool add_share(json_t *to, struct slice part) {
  size_t equals = slice_find(part, '=');
  struct slice name = slice_cut(part, 0, equals);
  uint64_t percent = 100;
  if (equals < part.len) {
    struct slice number = slice_cut(part, equals + 1, part.len);
    if (number.len && number.data[number.len - 1] == '%') number.len--;
    if (slice_to_u64(number, &percent) || percent < 1 || percent > 100) return false;
  }
  char key[64];
  if (name.len == 0 || name.len >= sizeof key) return false;
  memcpy(key, name.data, name.len);
  key[name.len] = 0;
  return !json_object_get(to, key) && json_object_set_new(to, key, json_integer((json_int_t)percent)) == 0;
}

bool cli_parse_shares(const char *text, json_t **out) {
  struct slice rest = slice_str(text);
  json_t *to = json_object();
  json_int_t sum = 0;
  const char *name;
  json_t *percent;
  bool good = to && rest.len > 0;
  while (good && rest.len) {
    size_t end = slice_find(rest, ',');
    good = add_share(to, slice_cut(rest, 0, end));
    rest = slice_cut(rest, end < rest.len ? end + 1 : end, rest.len);
  }
  json_object_foreach(to, name, percent) sum += json_integer_value(percent);
  if (good && sum == 100) {
    *out = to;
    return true;
  }
  json_decref(to);
  if (good)
    cli_complain("--to %s: the shares add up to %lld %%, not 100", text, (long long)sum);
  else
    cli_complain("--to %s: say REGION, or REGION=PERCENT,REGION=PERCENT…", text);
  return false;
}
