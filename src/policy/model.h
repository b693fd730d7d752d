/* The parsed form of a policy. Internal to the room. */
#ifndef DOMICILE_POLICY_MODEL_H
#define DOMICILE_POLICY_MODEL_H

#include <assert.h>

#include "base/arena.h"
#include "policy/policy.h"

/* A pattern is a string of units: a byte of text, a wildcard, or a variable. What a variable stands for is
 * put in as bytes, so that no value can bring a wildcard along. */
enum { UNIT_STAR = 256, UNIT_ANY = 257, UNIT_VARIABLE = 258 /* + enum policy_key */ };
struct pattern {
  uint16_t *units;
  uint32_t len;
  bool has_wild;
  bool has_variable;
};

enum key_kind {
  KIND_TEXT,
  KIND_NUMBER,
  KIND_DATE,
  KIND_TIME_NUMBER, /* a date that also counts as a number */
  KIND_BOOL,
  KIND_ADDRESS,
  KIND_ARN,
  KIND_LIST,
  KIND_TAG
};
enum action_level { LEVEL_OBJECT, LEVEL_BUCKET, LEVEL_SERVICE };

enum family {
  FAMILY_STRING,
  FAMILY_NUMERIC,
  FAMILY_DATE,
  FAMILY_BOOL,
  FAMILY_ADDRESS,
  FAMILY_ARN,
  FAMILY_NULL
};
enum relation {
  REL_EQUAL,
  REL_EQUAL_NOCASE,
  REL_LIKE,
  REL_LESS,
  REL_LESS_EQUAL,
  REL_GREATER,
  REL_GREATER_EQUAL
};
struct operator_kind {
  const char *name;
  enum family family;
  enum relation relation;
  bool negated;
};
enum quantifier { FOR_ONE, FOR_ANY, FOR_ALL };

/* An address range; IPv4 lies in the last four bytes of ::ffff:0:0/96. */
struct address {
  uint8_t bytes[16];
  unsigned prefix_bits; /* 0..128 */
};

/* One value of a condition, in the form that its operator compares. */
struct value {
  struct pattern pattern; /* strings and ARNs */
  double number;
  int64_t date_ms;
  bool truth;
  struct address address;
};

struct condition {
  const struct operator_kind *kind;
  enum quantifier quantifier;
  bool if_exists;
  enum policy_key key;
  struct slice tag; /* of KIND_TAG: the tag's key */
  struct value *values;
  uint32_t count;
};

struct principal {
  bool is_anybody;
  struct slice account;
  struct slice user; /* empty: every key of the account */
};

enum { ACTION_WORDS = (POLICY_ACTION_COUNT + 63) / 64 };
struct statement {
  struct slice sid;
  bool is_deny;
  bool not_principal, not_resource; /* NotAction is already the complement */
  uint64_t actions[ACTION_WORDS];
  struct principal *principals;
  uint32_t principal_count;
  struct pattern *resources; /* of what follows "arn:aws:s3:::" */
  uint32_t resource_count;
  struct condition *conditions;
  uint32_t condition_count;
};

static_assert(POLICY_KEY_COUNT <= 64, "a bit of struct policy's keys for each");
struct policy {
  _Atomic uint32_t references;
  struct arena *arena;
  bool has_variables; /* Version 2012-10-17 */
  bool is_public;
  uint64_t keys; /* bit n: enum policy_key n is asked for */
  struct statement *statements;
  uint32_t count;
};

/* ---- names.c ---- */
enum action_level action_level_of(enum policy_action action);
enum key_kind key_kind_of(enum policy_key key);
/* By name, case-insensitive; *out_tag what follows the '/' of a tag's key. False: no such key. */
bool key_find(struct slice name, enum policy_key *out, struct slice *out_tag);
/* Sets the bits of the actions that "s3:Get*" names; how many. */
unsigned actions_match(struct slice pattern, uint64_t bits[ACTION_WORDS]);
static inline bool actions_have(const uint64_t bits[ACTION_WORDS], enum policy_action action) {
  return (bits[action / 64] >> (action % 64)) & 1;
}
/* "StringEquals", without prefix and suffix; NULL: no such operator. */
const struct operator_kind *operator_find(struct slice name);
/* Whether the operator can say anything about such a key. */
bool operator_suits(const struct operator_kind *kind, enum key_kind key);

/* ---- pattern.c ---- */

/* What one decision knows, and how much work it has left. */
struct eval {
  const struct policy_bucket *bucket;
  const struct policy_request *request;
  uint64_t steps_left;
  char resource[64 + POLICY_KEY_BYTES_MAX]; /* "bucket/key", as resources name it */
  size_t resource_len;
  bool unresolved; /* a variable had no value: no Allow may rest on this */
  char time_text[32], epoch_text[24];
  char arn_text[256]; /* account and access key at their longest, and 30 characters */
};
/* The value of a key that has one value; data NULL: none. */
struct slice eval_value(struct eval *e, enum policy_key key);

/* Compiles text with wildcards and, if they count, variables. */
enum dom_code pattern_compile(struct slice text, bool has_variables, struct arena *arena, struct pattern *out,
                              const char **out_why);
bool pattern_match(struct eval *e, const struct pattern *p, struct slice text);
/* Byte by byte: wildcards are characters like others. */
bool pattern_equal(struct eval *e, const struct pattern *p, struct slice text, bool nocase);
/* As pattern_match, for each of the six parts of an ARN alone. */
bool pattern_match_arn(struct eval *e, const struct pattern *p, struct slice text);

/* ---- value.c ---- */
bool number_parse(struct slice text, double *out);
/* ISO 8601 as AWS takes it, or seconds since 1970. */
bool date_parse(struct slice text, int64_t *out_ms);
bool address_parse(struct slice text, struct address *out); /* with or without "/bits" */
bool address_covers(const struct address *range, const struct address *one);
bool bool_parse(struct slice text, bool *out);

/* ---- condition.c ---- */
enum truth { TRUTH_NO, TRUTH_YES, TRUTH_UNKNOWN };
enum truth condition_holds(struct eval *e, const struct condition *condition);

/* ---- public.c ---- */
bool statement_is_public(const struct statement *s);

#endif
