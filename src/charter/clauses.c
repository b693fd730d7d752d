/* Every clause of the schema and the seam that enforces it. A clause without a seam is refused when
 * a charter is parsed: a promise that nobody keeps is worse than none. */
#include <assert.h>

#include "charter/model.h"

static const struct charter_clause clauses[] = {
    {"charter", "charter_check_successor: an older version is not put in force"},
    {"organization", "charter_check_successor: another organization's charter is not put in force"},
    {"registrars", "subject: the first registrar creates tokens and bucket names"},
    {"registrars.further", NULL}, /* followers of the registrar's feed */
    {"regions.*.number", "charter_check_successor: a number is not given out again"},
    {"regions.*.jurisdiction", "charter_decide: every clause on places compares it"},
    {"regions.*.endpoint", "subject: where requests for that region are forwarded to"},
    {"regions.*.vkey", "subject: messages of that region are checked with it"},
    {"subjects.unregistered.refuse", "subject: 403 SubjectNotRegistered"},
    {"subjects.unregistered.home", NULL}, /* a home for unregistered subjects */
    {"classes.*.keys", "charter_class_of: chooses the class of a key"},
    {"rules.*.home", "charter_home_for: the home of a new subject"},
    {"rules.*.*.store", "charter_decide: STORE, COPY, MOVE"},
    {"rules.*.*.read", "charter_decide: READ, LIST"},
    {"rules.*.*.transit",
     "charter_decide: TRANSIT, and each client action through a gateway that is not home"},
    {"rules.*.*.clients", NULL}, /* the client's own country by IP database */
    {"rules.*.leave.*", "charter_decide: STORE, COPY, MOVE, READ, LIST"},
    {"rules.*.keep_at_least_days", "charter_decide: DELETE, and STORE that destroys what it overwrites"},
    {"rules.*.delete_abroad_within_hours",
     "charter_delete_abroad_hours: mover_erasures destroys the KEK in time, and alarms when it is late"},
};

const struct charter_clause *charter_clauses(size_t *out_count) {
  assert(out_count != NULL);
  *out_count = sizeof clauses / sizeof clauses[0];
  return clauses;
}

enum dom_code clause_check(const struct charter *c, const struct yaml_node *at, const char *path,
                           struct dom_err *err) {
  assert(c->doc != NULL && path != NULL);
  for (size_t i = 0; i < sizeof clauses / sizeof clauses[0]; i++) {
    if (strcmp(clauses[i].path, path) != 0) continue;
    if (clauses[i].seam) return DOM_OK;
    return at->key.len ? yaml_fail_key(c->doc, at, err, "%s is not enforced by this build", path)
                       : yaml_fail(c->doc, at, err, "%s is not enforced by this build", path);
  }
  bool listed = false;
  assert(listed); /* the schema reads no clause that the table does not list */
  return DOM_INVALID;
}
