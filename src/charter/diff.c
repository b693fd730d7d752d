/* Two charters as sorted facts (path, value), merged. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "charter/model.h"

/* Offsets into `text`, because it moves while it grows. */
struct fact {
  size_t path, value;
};

struct facts {
  struct buf text;
  struct fact *list;
  size_t count, cap;
  const char **paths; /* sorted, after facts_sort: path, value, path, value, … */
};

enum { FACTS_STEP = 64 };

static void facts_done(struct facts *f) {
  assert(f != NULL);
  buf_done(&f->text);
  dom_free(f->list);
  dom_free((void *)f->paths);
}
#define FACTS_AUTO __attribute__((cleanup(facts_done))) struct facts

/* Begins a fact: its path follows by printf, then fact_value, its value, fact_end. A failed
 * allocation sticks in text.failed. */
static void fact_begin(struct facts *f) {
  assert(f->count <= f->cap);
  if (f->count == f->cap) {
    struct fact *list = dom_realloc(f->list, (f->cap + FACTS_STEP) * sizeof *list);
    if (!list) {
      f->text.failed = true;
      return;
    }
    f->list = list;
    f->cap += FACTS_STEP;
  }
  f->list[f->count] = (struct fact){f->text.len, 0};
}

static void fact_value(struct facts *f) {
  buf_append_byte(&f->text, 0);
  if (f->text.failed) return;
  assert(f->count < f->cap);
  f->list[f->count].value = f->text.len;
}

static void fact_end(struct facts *f) {
  buf_append_byte(&f->text, 0);
  if (f->text.failed) return;
  assert(f->list[f->count].value > f->list[f->count].path);
  f->count++;
}

static void fact_text(struct facts *f, const char *path, const char *value) {
  assert(path != NULL && value != NULL);
  fact_begin(f);
  buf_append_str(&f->text, path);
  fact_value(f);
  buf_append_str(&f->text, value);
  fact_end(f);
}

static void region_fact(struct facts *f, const struct charter_region *r, const char *key, const char *value) {
  assert(r->name != NULL);
  fact_begin(f);
  buf_printf(&f->text, "regions.%s.%s", r->name, key);
  fact_value(f);
  buf_append_str(&f->text, value);
  fact_end(f);
}

static void put_regions(struct facts *f, const struct charter *c) {
  assert(c->region_count > 0);
  for (unsigned i = 0; i < c->region_count; i++) {
    const struct charter_region *r = &c->regions[i];
    fact_begin(f);
    buf_printf(&f->text, "regions.%s.number", r->name);
    fact_value(f);
    buf_printf(&f->text, "%u", (unsigned)r->number);
    fact_end(f);
    region_fact(f, r, "jurisdiction", r->jurisdiction);
    region_fact(f, r, "endpoint", r->endpoint);
    region_fact(f, r, "vkey", r->vkey);
  }
}

/* Their order is a fact too: the first match wins. */
static void put_classes(struct facts *f, const struct charter *c) {
  assert(c->class_count > 0);
  fact_begin(f);
  buf_append_str(&f->text, "classes");
  fact_value(f);
  for (unsigned i = 0; i < c->class_count; i++)
    buf_printf(&f->text, "%s%s", i ? ", " : "", c->classes[i].name);
  fact_end(f);
  for (unsigned i = 0; i + 1 < c->class_count; i++) {
    fact_begin(f);
    buf_printf(&f->text, "classes.%s.keys", c->classes[i].name);
    fact_value(f);
    for (const struct yaml_node *n = c->classes[i].globs->first; n; n = n->next)
      buf_printf(&f->text, "%s%s", (const char *)n->text.data, n->next ? ", " : "");
    fact_end(f);
  }
}

static void put_jurisdictions(struct buf *out, const struct jurisdictions *set) {
  assert(out != NULL);
  if (set->any) {
    buf_append_str(out, "any");
    return;
  }
  const char *separator = "";
  buf_append_byte(out, '[');
  for (unsigned i = 0; i < ISO3166_COUNT; i++) {
    if (!jurisdictions_has(set, (uint8_t)i)) continue;
    char code[ISO3166_CODE_SIZE];
    iso3166_code((uint8_t)i, code);
    buf_printf(out, "%s%s", separator, code);
    separator = ", ";
  }
  buf_append_byte(out, ']');
}

static void put_leaves(struct facts *f, const struct charter *c, const struct rule *rule) {
  assert(rule->country[0] != 0);
  for (unsigned r = 0; r < c->region_count; r++) {
    if (!rule->leave_until_ms[r]) continue;
    char stamp[25];
    time_rfc3339(rule->leave_until_ms[r] - 1, stamp); /* the last millisecond of that day */
    fact_begin(f);
    buf_printf(&f->text, "rules.%s.leave.%s", rule->country, c->regions[r].name);
    fact_value(f);
    buf_printf(&f->text, "%.10s", stamp);
    fact_end(f);
  }
}

/* 0: the rule does not have it. */
static void put_number(struct facts *f, const struct rule *rule, const char *key, uint64_t value) {
  if (!value) return;
  fact_begin(f);
  buf_printf(&f->text, "rules.%s.%s", rule->country, key);
  fact_value(f);
  buf_printf(&f->text, "%" PRIu64, value);
  fact_end(f);
}

static void put_rule(struct facts *f, const struct charter *c, const struct rule *rule) {
  assert(rule->home < c->region_count);
  fact_begin(f);
  buf_printf(&f->text, "rules.%s.home", rule->country);
  fact_value(f);
  buf_append_str(&f->text, c->regions[rule->home].name);
  fact_end(f);
  for (unsigned class = 0; class < c->class_count; class ++)
    for (unsigned kind = 0; kind < ACCESS_COUNT; kind++) {
      fact_begin(f);
      buf_printf(&f->text, "rules.%s.%s.%s", rule->country, c->classes[class].name, access_names[kind]);
      fact_value(f);
      put_jurisdictions(&f->text, &rule->access[class][kind]);
      fact_end(f);
    }
  put_leaves(f, c, rule);
  put_number(f, rule, "keep_at_least_days", rule->keep_days);
  put_number(f, rule, "delete_abroad_within_hours", rule->delete_abroad_hours);
}

static int compare_paths(const void *a, const void *b) {
  const char *const *x = a, *const *y = b;
  assert(*x != NULL && *y != NULL);
  return strcmp(*x, *y);
}

static enum dom_code facts_sort(struct facts *f, struct dom_err *err) {
  enum dom_code code = buf_check(&f->text, err);
  if (code != DOM_OK) return code;
  f->paths = dom_calloc(f->count * 2, sizeof *f->paths);
  if (!f->paths) return dom_fail(err, DOM_NO_MEMORY, "charter/diff", "out of memory");
  for (size_t i = 0; i < f->count; i++) {
    f->paths[2 * i] = (const char *)f->text.data + f->list[i].path;
    f->paths[2 * i + 1] = (const char *)f->text.data + f->list[i].value;
  }
  assert(f->count > 0);
  qsort((void *)f->paths, f->count, 2 * sizeof *f->paths, compare_paths);
  return DOM_OK;
}

static enum dom_code facts_of(const struct charter *c, struct facts *f, struct dom_err *err) {
  assert(f->count == 0);
  fact_begin(f);
  buf_append_str(&f->text, "charter");
  fact_value(f);
  buf_printf(&f->text, "%" PRIu64, c->version);
  fact_end(f);
  fact_text(f, "organization", c->organization);
  fact_text(f, "registrars", c->regions[c->registrar].name);
  fact_text(f, "subjects.unregistered", "refuse");
  put_regions(f, c);
  put_classes(f, c);
  for (unsigned i = 0; i < c->rule_count; i++) put_rule(f, c, &c->rules[i]);
  return facts_sort(f, err);
}

enum dom_code charter_diff_each(const struct charter *old, const struct charter *next, charter_change_fn *fn,
                                void *context, struct dom_err *err) {
  assert(old != NULL && next != NULL && fn != NULL);
  FACTS_AUTO a = {0};
  FACTS_AUTO b = {0};
  enum dom_code code = facts_of(old, &a, err);
  if (code == DOM_OK) code = facts_of(next, &b, err);
  if (code != DOM_OK) return code;
  size_t i = 0, j = 0;
  while (i < a.count || j < b.count) {
    int order = i == a.count ? 1 : j == b.count ? -1 : strcmp(a.paths[2 * i], b.paths[2 * j]);
    struct charter_change change = {.path = order <= 0 ? a.paths[2 * i] : b.paths[2 * j],
                                    .before = order <= 0 ? a.paths[2 * i + 1] : NULL,
                                    .after = order >= 0 ? b.paths[2 * j + 1] : NULL};
    i += order <= 0 ? 1 : 0;
    j += order >= 0 ? 1 : 0;
    if (order != 0 || strcmp(change.before, change.after) != 0) fn(context, &change);
  }
  return DOM_OK;
}

static void write_line(void *context, const struct charter_change *change) {
  struct buf *out = context;
  assert(change->before || change->after);
  if (!change->before)
    buf_printf(out, "+ %s: %s\n", change->path, change->after);
  else if (!change->after)
    buf_printf(out, "- %s: %s\n", change->path, change->before);
  else
    buf_printf(out, "~ %s: %s -> %s\n", change->path, change->before, change->after);
}

enum dom_code charter_diff(const struct charter *old, const struct charter *next, struct buf *out,
                           struct dom_err *err) {
  assert(out != NULL);
  enum dom_code code = charter_diff_each(old, next, write_line, out, err);
  return code == DOM_OK ? buf_check(out, err) : code;
}

/* RFC 8259 §7. The text is well-formed UTF-8, because YAML is. */
static void put_json_string(struct buf *out, const char *text) {
  if (!text) {
    buf_append_str(out, "null");
    return;
  }
  assert(out != NULL);
  buf_append_byte(out, '"');
  for (const char *at = text; *at; at++) {
    uint8_t c = (uint8_t)*at;
    if (c == '"' || c == '\\')
      buf_printf(out, "\\%c", c);
    else if (c < 0x20 || c == 0x7f)
      buf_printf(out, "\\u%04x", c);
    else
      buf_append_byte(out, c);
  }
  buf_append_byte(out, '"');
}

static void write_json(void *context, const struct charter_change *change) {
  struct buf *out = context;
  assert(change->path != NULL);
  buf_append_str(out, "{\"path\":");
  put_json_string(out, change->path);
  buf_append_str(out, ",\"before\":");
  put_json_string(out, change->before);
  buf_append_str(out, ",\"after\":");
  put_json_string(out, change->after);
  buf_append_str(out, "}\n");
}

enum dom_code charter_diff_json(const struct charter *old, const struct charter *next, struct buf *out,
                                struct dom_err *err) {
  assert(out != NULL);
  enum dom_code code = charter_diff_each(old, next, write_json, out, err);
  return code == DOM_OK ? buf_check(out, err) : code;
}
