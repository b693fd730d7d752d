/* Reading a policy's JSON. Internal to the room. */
#ifndef DOMICILE_POLICY_READER_H
#define DOMICILE_POLICY_READER_H

#include <jansson.h>

#include "policy/model.h"

enum { READER_PLACE_SIZE = 112, READER_ECHO_MAX = 64 };

/* What is being read, and where. */
struct reader {
  struct arena *arena;
  struct slice bucket;
  bool has_variables;
  uint64_t keys;                 /* asked for so far, as in struct policy */
  char place[READER_PLACE_SIZE]; /* "Statement[2].Condition" */
  struct dom_err *err;
};

/* DOM_INVALID with the place in front. */
enum dom_code reader_fail(struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
enum dom_code reader_no_memory(struct reader *r);
/* A name of the policy's author for a message: cut, and without what is not printable. */
const char *reader_echo(struct slice name, char out[READER_ECHO_MAX + 1]);
/* The text of a JSON string; data NULL when it is none. Borrowed from the JSON. */
struct slice reader_text(const json_t *value);
/* A value or a list of values: how many, and the i-th. An empty list counts none. */
size_t reader_list_count(const json_t *value);
const json_t *reader_list_at(const json_t *value, size_t i);
enum dom_code reader_pattern(struct reader *r, struct slice text, bool has_variables, struct pattern *out);

enum dom_code statement_read(struct reader *r, const json_t *object, struct statement *out);
enum dom_code conditions_read(struct reader *r, const json_t *object, struct statement *out);

#endif
