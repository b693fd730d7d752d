/* Decisions. One intent in, one permit or one refusal out; no allocation, no clock. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "charter/model.h"

static const uint64_t day_ms = UINT64_C(86400000);
static const char clause_regions[] = "regions", clause_rules[] = "rules";

/* One question on its way through the checks. */
struct question {
  const struct charter *c;
  const struct rule *rule;
  uint32_t classes;
  uint64_t now_ms;
  struct charter_refusal *refusal; /* never NULL */
};

/* Names the clause; the caller adds why. */
static void refuse_clause(struct charter_refusal *refusal, const struct charter *c, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void refuse_clause(struct charter_refusal *refusal, const struct charter *c, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int n = vsnprintf(refusal->clause, sizeof refusal->clause, format, args);
  va_end(args);
  assert(n >= 0 && (size_t)n < sizeof refusal->clause);
  refusal->version = c->version;
}

static enum dom_code refuse_why(struct charter_refusal *refusal, enum dom_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static enum dom_code refuse_why(struct charter_refusal *refusal, enum dom_code code, const char *format,
                                ...) {
  va_list args;
  va_start(args, format);
  int n = vsnprintf(refusal->why, sizeof refusal->why, format, args);
  va_end(args);
  assert(n >= 0 && (code == DOM_REFUSED || code == DOM_INVALID));
  return code;
}

/* An intent that makes no sense: the caller's mistake, no clause to name. */
static enum dom_code reject(const struct charter *c, struct charter_refusal *refusal, const char *why) {
  assert(why != NULL);
  refuse_clause(refusal, c, "%s", "");
  return refuse_why(refusal, DOM_INVALID, "%s", why);
}

static enum dom_code find_region(const struct charter *c, uint16_t number, unsigned *out_index,
                                 struct charter_refusal *refusal) {
  assert(number > 0);
  if (model_region_find(c, number, out_index)) return DOM_OK;
  refuse_clause(refusal, c, clause_regions);
  return refuse_why(refusal, DOM_REFUSED, "region %u is not one of this charter", (unsigned)number);
}

static enum dom_code find_rule(const struct charter *c, const char *country, const struct rule **out_rule,
                               struct charter_refusal *refusal) {
  assert(country != NULL && out_rule != NULL);
  const struct rule *rule = c->rule_else;
  uint8_t index;
  if (iso3166_find(slice_str(country), &index))
    rule = c->rule_of[index] ? c->rule_of[index] : c->rule_else;
  else if (country[0])
    return reject(c, refusal, "the subject's country is not an assigned code");
  if (rule) {
    *out_rule = rule;
    return DOM_OK;
  }
  refuse_clause(refusal, c, clause_rules);
  return refuse_why(refusal, DOM_REFUSED, "no rule speaks of %s",
                    country[0] ? country : "subjects without a country");
}

static enum dom_code refuse_access(const struct question *q, enum access kind, unsigned class,
                                   unsigned region) {
  static const char *const verbs[ACCESS_COUNT] = {"lie in", "be read through a gateway in",
                                                  "pass through a gateway in"};
  const struct charter_region *r = &q->c->regions[region];
  assert(kind < ACCESS_COUNT && class < q->c->class_count);
  refuse_clause(q->refusal, q->c, "rules.%s.%s.%s", q->rule->country, q->c->classes[class].name,
                access_names[kind]);
  return refuse_why(q->refusal, DOM_REFUSED, "data of class %s may not %s %s (region %s)",
                    q->c->classes[class].name, verbs[kind], r->jurisdiction, r->name);
}

/* Every class must permit; the first that does not is named. */
static enum dom_code check_access(const struct question *q, enum access kind, unsigned region) {
  uint8_t jurisdiction = q->c->region_jurisdiction[region];
  assert(q->classes != 0 && region < q->c->region_count);
  for (unsigned class = 0; class < q->c->class_count; class ++)
    if ((q->classes & charter_class_bit(class)) &&
        !jurisdictions_has(&q->rule->access[class][kind], jurisdiction))
      return refuse_access(q, kind, class, region);
  return DOM_OK;
}

static bool is_leaving(const struct question *q, unsigned region) {
  assert(q->rule != NULL && region < q->c->region_count);
  return q->rule->leave_until_ms[region] != 0;
}

static enum dom_code refuse_leave(const struct question *q, unsigned region, const char *why) {
  const struct charter_region *r = &q->c->regions[region];
  assert(is_leaving(q, region));
  refuse_clause(q->refusal, q->c, "rules.%s.leave.%s", q->rule->country, r->name);
  return refuse_why(q->refusal, DOM_REFUSED, "%s %s (region %s)", why, r->jurisdiction, r->name);
}

/* Bytes come to lie in `region`. A region under a leave date takes none but those of subjects that
 * are at home there, and theirs only until that date. */
static enum dom_code check_store(const struct question *q, unsigned region, bool at_home) {
  assert(q->rule != NULL);
  if (!is_leaving(q, region)) return check_access(q, ACCESS_STORE, region);
  if (!at_home) return refuse_leave(q, region, "nobody may newly come to live in");
  if (q->now_ms < q->rule->leave_until_ms[region]) return DOM_OK;
  return refuse_leave(q, region, "the date is past by which data had to leave");
}

static enum dom_code check_transit(const struct question *q, unsigned region, unsigned gateway) {
  assert(q->rule != NULL);
  return gateway == region ? DOM_OK : check_access(q, ACCESS_TRANSIT, gateway);
}

/* Reads go on at a home under a leave date, also after it: who is late must not lose access. */
static enum dom_code check_read(const struct question *q, unsigned region, unsigned gateway, bool at_home) {
  assert(q->rule != NULL);
  if (at_home && gateway == region && is_leaving(q, region)) return DOM_OK;
  enum dom_code code = check_access(q, ACCESS_READ, gateway);
  return code == DOM_OK ? check_transit(q, region, gateway) : code;
}

static enum dom_code check_keep(const struct question *q, uint64_t created_ms) {
  uint64_t keep_ms = q->rule->keep_days * day_ms; /* KEEP_DAYS_MAX keeps it far from overflow */
  if (keep_ms == 0 || created_ms == CHARTER_DESTROYS_NOTHING) return DOM_OK;
  uint64_t age_ms = created_ms != 0 && created_ms <= q->now_ms ? q->now_ms - created_ms : 0;
  if (age_ms >= keep_ms) return DOM_OK;
  assert(q->rule->keep_days > 0);
  refuse_clause(q->refusal, q->c, "rules.%s.keep_at_least_days", q->rule->country);
  return refuse_why(q->refusal, DOM_REFUSED, "this may not be deleted before it is %u days old",
                    (unsigned)q->rule->keep_days);
}

/* Fields that the action needs and the intent lacks. */
static const char *intent_mistake(const struct charter *c, const struct charter_intent *i) {
  static const bool has_gateway[PERMIT_ACTION_COUNT] = {
      [PERMIT_STORE] = true, [PERMIT_READ] = true,   [PERMIT_TRANSIT] = true,
      [PERMIT_LIST] = true,  [PERMIT_DELETE] = true, [PERMIT_COPY] = true};
  bool any_class = i->action == PERMIT_MOVE || i->action == PERMIT_REPAIR;
  assert(i->action < PERMIT_ACTION_COUNT && i->token != NULL);
  if (i->region == 0) return "the intent names no region";
  if (has_gateway[i->action] && i->gateway == 0) return "the intent names no gateway";
  if (i->action == PERMIT_TRANSIT && i->gateway == i->region)
    return "nothing passes through a gateway at home";
  if (i->action == PERMIT_COPY && i->target == 0) return "the copy has no target";
  if (i->action == PERMIT_MOVE && i->source == 0) return "the move has no source";
  if (i->action == PERMIT_MOVE && (i->source == i->region || i->at_home))
    return "the subject is at home there";
  if (i->action == PERMIT_REPAIR && i->source != 0 && i->source != i->region)
    return "a repair stays in its region";
  if (!any_class && i->classes == 0) return "the intent names no class";
  if (i->action != PERMIT_REPAIR && (i->classes & ~charter_classes_all(c)))
    return "the charter has no such class";
  return NULL;
}

static enum dom_code check_copy(const struct question *q, const struct charter_intent *i, unsigned region,
                                unsigned gateway) {
  unsigned target = 0;
  assert(i->action == PERMIT_COPY);
  enum dom_code code = find_region(q->c, i->target, &target, q->refusal);
  if (code == DOM_OK) code = check_store(q, target, i->at_home && target == region);
  return code == DOM_OK ? check_transit(q, region, gateway) : code;
}

static enum dom_code check_action(const struct question *q, const struct charter_intent *i, unsigned region,
                                  unsigned gateway) {
  enum dom_code code = DOM_INVALID;
  assert(region < q->c->region_count && gateway < q->c->region_count);
  switch (i->action) {
  case PERMIT_STORE:
    code = check_store(q, region, i->at_home);
    if (code == DOM_OK) code = check_transit(q, region, gateway);
    return code == DOM_OK ? check_keep(q, i->destroys_created_ms) : code;
  case PERMIT_DELETE:
    code = check_transit(q, region, gateway);
    return code == DOM_OK ? check_keep(q, i->destroys_created_ms) : code;
  case PERMIT_READ:
  case PERMIT_LIST:
    return check_read(q, region, gateway, i->at_home);
  case PERMIT_TRANSIT:
    return check_transit(q, region, gateway);
  case PERMIT_COPY:
    return check_copy(q, i, region, gateway);
  case PERMIT_MOVE:
    return check_store(q, region, false);
  case PERMIT_REPAIR:
    return DOM_OK;
  case PERMIT_ACTION_COUNT:
    break;
  }
  return code;
}

enum dom_code charter_decide(const struct charter *c, const struct charter_intent *intent, uint64_t now_ms,
                             struct charter_permit_storage *storage, const struct permit **out_permit,
                             struct charter_refusal *refusal) {
  assert(c != NULL && intent != NULL && storage != NULL && out_permit != NULL);
  struct charter_refusal unwanted = {0};
  struct question q = {.c = c, .now_ms = now_ms, .refusal = refusal ? refusal : &unwanted};
  const char *mistake = intent_mistake(c, intent);
  if (mistake) return reject(c, q.refusal, mistake);
  q.classes = intent->classes ? intent->classes : charter_classes_all(c);
  unsigned region = 0, gateway = 0;
  enum dom_code code = DOM_OK;
  if (intent->action != PERMIT_REPAIR) code = find_rule(c, intent->country, &q.rule, q.refusal);
  if (code == DOM_OK) code = find_region(c, intent->region, &region, q.refusal);
  if (code != DOM_OK) return code;
  gateway = region;
  if (intent->gateway != 0) code = find_region(c, intent->gateway, &gateway, q.refusal);
  if (code == DOM_OK) code = check_action(&q, intent, region, gateway);
  if (code != DOM_OK) return code;
  struct permit_terms terms = {.action = intent->action,
                               .region = intent->region,
                               .gateway = intent->gateway,
                               .source = intent->action == PERMIT_MOVE ? intent->source : 0,
                               .classes = q.classes,
                               .version = c->version,
                               .token = intent->token};
  *out_permit = permit_write(storage, &terms);
  return DOM_OK;
}

enum dom_code charter_home_for(const struct charter *c, const char *country,
                               const struct charter_region **out_region, struct charter_refusal *refusal) {
  assert(c != NULL && country != NULL && out_region != NULL);
  struct charter_refusal unwanted = {0};
  const struct rule *rule = NULL;
  enum dom_code code = find_rule(c, country, &rule, refusal ? refusal : &unwanted);
  if (code != DOM_OK) return code;
  assert(rule != NULL && rule->home < c->region_count);
  *out_region = &c->regions[rule->home];
  return DOM_OK;
}

uint64_t charter_delete_abroad_hours(const struct charter *c, const char *country) {
  assert(c != NULL && country != NULL);
  struct charter_refusal unwanted = {0};
  const struct rule *rule = NULL;
  return find_rule(c, country, &rule, &unwanted) ? 0 : rule->delete_abroad_hours;
}

/* What charter_subject_fits and charter_home_standing share: a subject as a whole at one region. */
static enum dom_code ask_subject(struct question *q, const char *country, uint16_t region,
                                 unsigned *out_region) {
  assert(q->c != NULL && country != NULL);
  if (region == 0) return reject(q->c, q->refusal, "no region is named");
  if (q->classes & ~charter_classes_all(q->c))
    return reject(q->c, q->refusal, "the charter has no such class");
  if (q->classes == 0) q->classes = charter_classes_all(q->c);
  enum dom_code code = find_rule(q->c, country, &q->rule, q->refusal);
  return code == DOM_OK ? find_region(q->c, region, out_region, q->refusal) : code;
}

enum dom_code charter_subject_fits(const struct charter *c, const char *country, uint16_t region,
                                   uint32_t classes, struct charter_refusal *refusal) {
  assert(c != NULL && country != NULL);
  struct charter_refusal unwanted = {0};
  struct question q = {.c = c, .classes = classes, .refusal = refusal ? refusal : &unwanted};
  unsigned index = 0;
  enum dom_code code = ask_subject(&q, country, region, &index);
  return code == DOM_OK ? check_store(&q, index, false) : code;
}

enum charter_standing charter_home_standing(const struct charter *c, const char *country, uint16_t region,
                                            uint32_t classes, uint64_t now_ms,
                                            struct charter_refusal *refusal) {
  assert(c != NULL && country != NULL);
  struct charter_refusal unwanted = {0};
  struct question q = {
      .c = c, .classes = classes, .now_ms = now_ms, .refusal = refusal ? refusal : &unwanted};
  unsigned index = 0;
  if (ask_subject(&q, country, region, &index) != DOM_OK) return CHARTER_STANDING_FORBIDDEN;
  if (is_leaving(&q, index)) {
    bool in_time = now_ms < q.rule->leave_until_ms[index];
    refuse_leave(&q, index,
                 in_time ? "a date is set by which data has to leave"
                         : "the date is past by which data had to leave");
    return in_time ? CHARTER_STANDING_LEAVING : CHARTER_STANDING_OVERDUE;
  }
  return check_access(&q, ACCESS_STORE, index) == DOM_OK ? CHARTER_STANDING_GOOD : CHARTER_STANDING_FORBIDDEN;
}
