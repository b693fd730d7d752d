/* check and crash-check: read plan and journals, ask the gateways, compare. */
#include <assert.h>
#include <stdio.h>

#include "load.h"
#include "plan.h"
#include "verify.h"

struct inputs {
  struct plan plan;
  struct buf texts[FLAGS_LIST_MAX];
  struct oracle oracle;
};

static void inputs_done(struct inputs *in) {
  assert(in != NULL);
  oracle_done(&in->oracle);
  plan_done(&in->plan);
  for (size_t i = 0; i < FLAGS_LIST_MAX; i++) buf_done(&in->texts[i]);
}

/* A plan without journals stands for itself: all of it was put. */
static bool apply_plan(struct inputs *in) {
  assert(in != NULL && in->oracle.count == 0);
  for (size_t i = 0; i < in->plan.count; i++) {
    const struct plan_item *item = &in->plan.items[i];
    struct record r = {.kind = 'A',
                       .id = "plan",
                       .op = RECORD_PUT,
                       .status = 200,
                       .subject = item->subject,
                       .country = item->country,
                       .bucket = item->bucket,
                       .key = item->key,
                       .value = {.present = true, .size_bytes = item->content.size_bytes}};
    memcpy(r.value.sha256, item->sha256, DIGEST_SIZE);
    if (!oracle_apply(&in->oracle, &r)) return load_complain("out of memory") == LOAD_OK;
  }
  return true;
}

/* Plan first, then the journals in the order given, which must be that of their writing. */
static bool inputs_read(struct inputs *in, const char *plan, const struct flag_list *journals) {
  assert(in != NULL && journals != NULL);
  if (plan != NULL && (!plan_read(plan, &in->plan) || !apply_plan(in))) return false;
  for (size_t i = 0; i < journals->count; i++) {
    if (!verify_read_journal(journals->values[i], &in->oracle, &in->texts[i])) return false;
  }
  return true;
}

/* Reads, lists, reports. */
static int verify_all(struct verify *v, bool with_listings) {
  assert(v != NULL);
  bool ok = verify_objects(v) && (!with_listings || verify_listings(v));
  if (atomic_load(&load_stop)) return LOAD_INTERRUPTED;
  if (!ok) return LOAD_FAILED;
  return verify_report(v);
}

static int parse_rules(const struct flag_set *set, const struct flag_list *texts, struct verify_rule *rules) {
  assert(texts->count <= FLAGS_LIST_MAX);
  for (size_t i = 0; i < texts->count; i++) {
    if (!verify_rule_parse(texts->values[i], &rules[i])) {
      return flags_complain(set, "'%s' is not LABEL:COUNTRY:PATTERN", texts->values[i]);
    }
  }
  return LOAD_OK;
}

int cmd_check(int argc, char **argv) {
  const char *plan = NULL, *key = NULL;
  uint64_t workers = 8;
  bool no_listings = false;
  struct flag_list journals = {0}, endpoints = {0}, refusals = {0};
  const struct flag flags[] = {
      {"--plan", "FILE", "all of this plan must be there", FLAG_STRING, false, &plan},
      {"--journal", "FILE", "and what this journal says; repeat in order of writing", FLAG_LIST, false,
       &journals},
      {"--endpoint", "[LABEL=]URL", "a gateway to read through; repeat", FLAG_LIST, true, &endpoints},
      {"--expect-451", "LABEL:CC:GLOB",
       "reads the charter refuses; LABEL or CC may be *, LABEL !in for all but in; repeat", FLAG_LIST, false,
       &refusals},
      {"--key", "ACCESS:SECRET", "else DOMICILE_LOAD_KEY", FLAG_STRING, false, &key},
      {"--connections", "N", "parallel connections per gateway (8)", FLAG_NUMBER, false, &workers},
      {"--no-listings", NULL, "only read objects", FLAG_SWITCH, false, &no_listings},
      {0}};
  const struct flag_set set = {"check", "Compares what gateways serve with plan and journals.", NULL, flags};
  int code = flags_parse(&set, argc, argv, NULL);
  if (code >= 0) return code;
  if (plan == NULL && journals.count == 0) return flags_complain(&set, "--plan or --journal is required");
  struct verify_rule rules[FLAGS_LIST_MAX];
  code = parse_rules(&set, &refusals, rules);
  if (code != LOAD_OK) return code;
  struct session session;
  struct inputs in = {0};
  code = session_init(&session, &set, key, &endpoints, workers);
  if (code < 0) code = inputs_read(&in, plan, &journals) ? LOAD_OK : LOAD_FAILED;
  if (code == LOAD_OK) {
    struct verify v = {
        .session = &session, .oracle = &in.oracle, .rules = rules, .rule_count = refusals.count};
    code = verify_all(&v, !no_listings);
  }
  inputs_done(&in);
  session_done(&session);
  return code;
}

/* Checks one log against one endpoint and settles what was unknown. */
static int crash_check(struct session *session, const char *log, bool resolve) {
  assert(session->endpoint_count == 1 && log != NULL);
  struct inputs in = {0};
  struct journal journal;
  struct flag_list logs = {.values = {log}, .count = 1};
  struct verify v = {.session = session, .oracle = &in.oracle};
  int code = inputs_read(&in, NULL, &logs) ? LOAD_OK : LOAD_FAILED;
  if (code == LOAD_OK && resolve) {
    if (journal_open(&journal, log)) {
      v.resolve = &journal;
    } else {
      code = LOAD_FAILED;
    }
  }
  if (code == LOAD_OK) code = verify_all(&v, true);
  if (v.resolve != NULL && !journal_close(&journal)) code = LOAD_FAILED;
  inputs_done(&in);
  return code;
}

int cmd_crash_check(int argc, char **argv) {
  const char *log = NULL, *key = NULL;
  uint64_t workers = 8;
  bool resolve = false;
  struct flag_list endpoints = {0};
  const struct flag flags[] = {
      {"--log", "FILE", "the crash-writer's log", FLAG_STRING, true, &log},
      {"--endpoint", "URL", "the restarted server", FLAG_LIST, true, &endpoints},
      {"--resolve", NULL, "append what keys of unknown outcome hold, so that the next check expects it",
       FLAG_SWITCH, false, &resolve},
      {"--key", "ACCESS:SECRET", "else DOMICILE_LOAD_KEY", FLAG_STRING, false, &key},
      {"--connections", "N", "parallel connections (8)", FLAG_NUMBER, false, &workers},
      {0}};
  const struct flag_set set = {
      "crash-check",
      "Each key must hold what was last acknowledged, or what an operation of unknown "
      "outcome wrote since; whole, or absent.",
      NULL, flags};
  int code = flags_parse(&set, argc, argv, NULL);
  if (code >= 0) return code;
  if (endpoints.count != 1) return flags_complain(&set, "exactly one --endpoint");
  struct session session;
  code = session_init(&session, &set, key, &endpoints, workers);
  if (code < 0) code = crash_check(&session, log, resolve);
  session_done(&session);
  return code;
}
