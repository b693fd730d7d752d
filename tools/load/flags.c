#include "flags.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "load.h"

static void print_help(const struct flag_set *set) {
  assert(set != NULL && set->summary != NULL);
  printf("usage: domicile-load %s [flags]%s%s\n%s\n\n", set->command, set->positionals ? " " : "",
         set->positionals ? set->positionals : "", set->summary);
  for (const struct flag *f = set->flags; f->name != NULL; f++) {
    char left[64];
    snprintf(left, sizeof left, "%s%s%s", f->name, f->argument ? " " : "", f->argument ? f->argument : "");
    printf("  %-26s %s%s\n", left, f->help, f->required ? " (required)" : "");
  }
}

int flags_complain(const struct flag_set *set, const char *format, ...) {
  assert(set != NULL && format != NULL);
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  fprintf(stderr, "domicile-load %s: %s; see domicile-load %s --help\n", set->command, text, set->command);
  return LOAD_USAGE;
}

static bool parse_digits(const char *text, size_t len, uint64_t *out) {
  assert(text != NULL);
  if (len == 0 || len > 19) return false; /* 19 digits fit 64 bits */
  uint64_t value = 0;
  for (size_t i = 0; i < len; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    value = value * 10 + (uint64_t)(text[i] - '0');
  }
  *out = value;
  return true;
}

bool flags_parse_size(const char *text, uint64_t *out_bytes) {
  assert(text != NULL && out_bytes != NULL);
  static const struct {
    const char *suffix;
    unsigned shift;
  } units[] = {{"", 0}, {"K", 10}, {"KiB", 10}, {"M", 20}, {"MiB", 20}, {"G", 30}, {"GiB", 30}};
  size_t digits = strspn(text, "0123456789");
  uint64_t value;
  if (!parse_digits(text, digits, &value)) return false;
  for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
    if (strcmp(text + digits, units[i].suffix) != 0) continue;
    if (value > (UINT64_MAX >> 1) >> units[i].shift) return false;
    *out_bytes = value << units[i].shift;
    return true;
  }
  return false;
}

/* Stores `value` as the flag's kind. Returns: false when malformed. */
static bool flag_store(const struct flag *f, const char *value) {
  assert(f != NULL && f->into != NULL);
  struct flag_list *list;
  switch (f->kind) {
  case FLAG_SWITCH:
    *(bool *)f->into = true;
    return value == NULL;
  case FLAG_STRING:
    *(const char **)f->into = value;
    return value[0] != '\0';
  case FLAG_NUMBER:
    return parse_digits(value, strlen(value), f->into);
  case FLAG_SIZE:
    return flags_parse_size(value, f->into);
  case FLAG_LIST:
    list = f->into;
    if (list->count == FLAGS_LIST_MAX) return false;
    list->values[list->count++] = value;
    return value[0] != '\0';
  }
  return false;
}

/* The flag that `word` names ("--x" or "--x=value"), with where its value begins or NULL. */
static const struct flag *flag_find(const struct flag_set *set, const char *word, const char **out_value) {
  assert(set != NULL && word != NULL);
  size_t len = strcspn(word, "=");
  *out_value = word[len] == '=' ? word + len + 1 : NULL;
  for (const struct flag *f = set->flags; f->name != NULL; f++) {
    if (strlen(f->name) == len && memcmp(f->name, word, len) == 0) return f;
  }
  return NULL;
}

static int check_required(const struct flag_set *set) {
  assert(set != NULL);
  for (const struct flag *f = set->flags; f->name != NULL; f++) {
    if (!f->required) continue;
    bool missing = f->kind == FLAG_LIST     ? ((struct flag_list *)f->into)->count == 0
                   : f->kind == FLAG_STRING ? *(const char **)f->into == NULL
                                            : *(uint64_t *)f->into == 0;
    if (missing) return flags_complain(set, "%s is required", f->name);
  }
  return -1;
}

int flags_parse(const struct flag_set *set, int argc, char **argv, struct flag_list *out_rest) {
  assert(set != NULL && set->flags != NULL && argc >= 1);
  for (int i = 1; i < argc; i++) {
    const char *word = argv[i];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
      print_help(set);
      return LOAD_OK;
    }
    if (word[0] != '-') {
      if (set->positionals == NULL) return flags_complain(set, "unexpected '%s'", word);
      assert(out_rest != NULL);
      if (out_rest->count == FLAGS_LIST_MAX) return flags_complain(set, "too many arguments");
      out_rest->values[out_rest->count++] = word;
      continue;
    }
    const char *value;
    const struct flag *f = flag_find(set, word, &value);
    if (f == NULL) return flags_complain(set, "unknown flag '%s'", word);
    if (f->kind != FLAG_SWITCH && value == NULL) {
      if (i + 1 == argc) return flags_complain(set, "%s needs a value", f->name);
      value = argv[++i];
    }
    /* The value is not repeated in the complaint: it may be a secret. */
    if (!flag_store(f, value)) return flags_complain(set, "bad value for %s", f->name);
  }
  return check_required(set);
}
