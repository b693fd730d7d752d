/* YAML in: the section `rules`. */
#include <assert.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "charter/model.h"

/* A hundred years: longer is a slip of the pen. */
enum { KEEP_DAYS_MAX = 36500, DELETE_HOURS_MAX = 87600 /* ten years: more is no deadline */ };
static const uint64_t day_ms = UINT64_C(86400000);

const char *const access_names[ACCESS_COUNT] = {"store", "read", "transit"};
static const char *const access_paths[ACCESS_COUNT] = {"rules.*.*.store", "rules.*.*.read",
                                                       "rules.*.*.transit"};

/* Keys of a rule beside its classes. */
static const char key_home[] = "home", key_leave[] = "leave", key_keep[] = "keep_at_least_days",
                  key_delete_abroad[] = "delete_abroad_within_hours", key_clients[] = "clients";

static bool key_is(const struct yaml_node *at, const char *key) {
  assert(key != NULL);
  return slice_equal(at->key, slice_str(key));
}

static enum dom_code read_jurisdictions(const struct charter *c, const struct yaml_node *at,
                                        struct jurisdictions *set, struct dom_err *err) {
  assert(!set->any);
  if (at->kind == YAML_TEXT && slice_equal(at->text, SLICE_LIT("any"))) {
    set->any = true;
    return DOM_OK;
  }
  if (at->kind != YAML_LIST)
    return yaml_fail(c->doc, at, err, "expected any, or a list of countries like [IN, SG]");
  for (const struct yaml_node *n = at->first; n; n = n->next) {
    enum dom_code code = yaml_expect(c->doc, n, YAML_TEXT, err);
    if (code != DOM_OK) return code;
    uint8_t index;
    if (!iso3166_find(n->text, &index))
      return yaml_fail(c->doc, n, err, "\"%s\" is not an assigned code of ISO 3166-1 alpha-2",
                       yaml_show(n->text).text);
    if (jurisdictions_has(set, index))
      return yaml_fail(c->doc, n, err, "%s stands twice in this list", yaml_show(n->text).text);
    set->bits[index / 64] |= UINT64_C(1) << (index % 64);
  }
  return DOM_OK;
}

static enum dom_code read_access(const struct charter *c, const struct yaml_node *at,
                                 struct jurisdictions access[ACCESS_COUNT], struct dom_err *err) {
  static const char *const known[] = {"store", "read", "transit", "clients"};
  enum dom_code code = yaml_expect(c->doc, at, YAML_MAP, err);
  if (code != DOM_OK) return code;
  for (const struct yaml_node *n = at->first; n; n = n->next) {
    if (key_is(n, key_clients)) return clause_check(c, n, "rules.*.*.clients", err);
    unsigned kind = 0;
    while (kind < ACCESS_COUNT && !key_is(n, access_names[kind])) kind++;
    if (kind == ACCESS_COUNT) return yaml_fail_unknown(c->doc, n, known, sizeof known / sizeof known[0], err);
    code = clause_check(c, n, access_paths[kind], err);
    if (code == DOM_OK) code = read_jurisdictions(c, n, &access[kind], err);
    if (code != DOM_OK) return code;
  }
  for (unsigned kind = 0; kind < ACCESS_COUNT; kind++)
    if (!yaml_get(at, access_names[kind]))
      return yaml_fail(c->doc, at, err, "the key \"%s\" is missing", access_names[kind]);
  assert(at->count == ACCESS_COUNT);
  return DOM_OK;
}

static enum dom_code read_home(const struct charter *c, const struct yaml_node *at, struct rule *rule,
                               struct dom_err *err) {
  assert(c->region_count > 0);
  enum dom_code code = yaml_expect(c->doc, at, YAML_TEXT, err);
  if (code != DOM_OK) return code;
  if (!model_region_named(c, at->text, &rule->home))
    return yaml_fail(c->doc, at, err, "\"%s\" is no region of this charter", yaml_show(at->text).text);
  return clause_check(c, at, "rules.*.home", err);
}

/* A date means the end of that day, UTC: what is kept is the first millisecond after it. */
static enum dom_code read_leave(const struct charter *c, const struct yaml_node *at, struct rule *rule,
                                struct dom_err *err) {
  enum dom_code code = yaml_expect(c->doc, at, YAML_MAP, err);
  if (code != DOM_OK) return code;
  for (const struct yaml_node *n = at->first; n; n = n->next) {
    unsigned region;
    if (!model_region_named(c, n->key, &region))
      return yaml_fail_key(c->doc, n, err, "\"%s\" is no region of this charter", yaml_show(n->key).text);
    code = clause_check(c, n, "rules.*.leave.*", err);
    if (code == DOM_OK) code = yaml_expect(c->doc, n, YAML_TEXT, err);
    if (code != DOM_OK) return code;
    uint64_t begin_ms;
    if (time_parse_date(n->text, &begin_ms) != DOM_OK)
      return yaml_fail(c->doc, n, err, "\"%s\" is not a date like 2026-12-31", yaml_show(n->text).text);
    rule->leave_until_ms[region] = begin_ms + day_ms;
    assert(rule->leave_until_ms[region] > 0);
  }
  return DOM_OK;
}

static enum dom_code fail_unknown_key(const struct charter *c, const struct yaml_node *at,
                                      struct dom_err *err) {
  const char *known[CHARTER_CLASSES_MAX + 4] = {key_home, key_leave, key_keep, key_delete_abroad};
  size_t count = 4;
  for (unsigned i = 0; i < c->class_count; i++) known[count++] = c->classes[i].name;
  assert(count <= sizeof known / sizeof known[0]);
  return yaml_fail_unknown(c->doc, at, known, count, err);
}

static enum dom_code read_rule_key(const struct charter *c, const struct yaml_node *at, struct rule *rule,
                                   struct dom_err *err) {
  assert(at->key.len > 0);
  unsigned class;
  if (key_is(at, key_home)) return read_home(c, at, rule, err);
  if (key_is(at, key_leave)) return read_leave(c, at, rule, err);
  if (key_is(at, key_delete_abroad)) {
    enum dom_code code = clause_check(c, at, "rules.*.delete_abroad_within_hours", err);
    return code ? code : yaml_to_u64(c->doc, at, 1, DELETE_HOURS_MAX, &rule->delete_abroad_hours, err);
  }
  if (key_is(at, key_keep)) {
    enum dom_code code = clause_check(c, at, "rules.*.keep_at_least_days", err);
    return code == DOM_OK ? yaml_to_u64(c->doc, at, 1, KEEP_DAYS_MAX, &rule->keep_days, err) : code;
  }
  if (charter_class_find(c, at->key, &class) == DOM_OK) return read_access(c, at, rule->access[class], err);
  return fail_unknown_key(c, at, err);
}

/* What only the whole rule can tell: nothing missing, and its home is one that it permits. */
static enum dom_code check_rule(const struct charter *c, const struct yaml_node *at, const struct rule *rule,
                                struct dom_err *err) {
  const struct yaml_node *home = yaml_get(at, key_home);
  if (!home) return yaml_fail(c->doc, at, err, "the key \"home\" is missing");
  const struct charter_region *region = &c->regions[rule->home];
  assert(rule->home < c->region_count);
  for (unsigned i = 0; i < c->class_count; i++) {
    const struct yaml_node *class = yaml_get(at, c->classes[i].name);
    if (!class) return yaml_fail(c->doc, at, err, "the class \"%s\" is missing", c->classes[i].name);
    if (!jurisdictions_has(&rule->access[i][ACCESS_STORE], c->region_jurisdiction[rule->home]))
      return yaml_fail(c->doc, home, err, "home %s lies in %s, where %s.store does not let its data lie",
                       region->name, region->jurisdiction, c->classes[i].name);
  }
  if (rule->leave_until_ms[rule->home])
    return yaml_fail(c->doc, home, err, "home %s is also a region to leave", region->name);
  return DOM_OK;
}

static enum dom_code read_rule(struct charter *c, const struct yaml_node *at, struct rule *rule,
                               struct dom_err *err) {
  bool all_others = key_is(at, "*");
  uint8_t country = 0;
  if (!all_others && !iso3166_find(at->key, &country))
    return yaml_fail_key(c->doc, at, err,
                         "\"%s\" is neither \"*\" nor an assigned code of ISO 3166-1 alpha-2",
                         yaml_show(at->key).text);
  enum dom_code code = yaml_expect(c->doc, at, YAML_MAP, err);
  if (code != DOM_OK) return code;
  assert(at->key.len < sizeof rule->country);
  memcpy(rule->country, at->key.data, at->key.len);
  for (const struct yaml_node *n = at->first; n; n = n->next) {
    code = read_rule_key(c, n, rule, err);
    if (code != DOM_OK) return code;
  }
  code = check_rule(c, at, rule, err);
  if (code != DOM_OK) return code;
  if (all_others)
    c->rule_else = rule;
  else
    c->rule_of[country] = rule;
  return DOM_OK;
}

enum dom_code rules_read(struct charter *c, const struct yaml_node *rules, struct dom_err *err) {
  assert(c->rules == NULL && c->class_count > 0 && c->region_count > 0);
  if (rules->count == 0) return yaml_fail(c->doc, rules, err, "no rule");
  if (rules->count > ISO3166_COUNT + 1)
    return yaml_fail(c->doc, rules, err, "more rules than there are countries");
  c->rules = dom_calloc(rules->count, sizeof *c->rules);
  if (!c->rules) return dom_fail(err, DOM_NO_MEMORY, "charter/rules", "out of memory");
  for (const struct yaml_node *n = rules->first; n; n = n->next) {
    enum dom_code code = read_rule(c, n, &c->rules[c->rule_count], err);
    if (code != DOM_OK) return code;
    c->rule_count++;
  }
  return DOM_OK;
}
