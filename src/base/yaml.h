/* YAML in: the strict subset that charters and configuration files are written in.
 *
 * libyaml's events become a small tree with positions; typed schema tables then read it. Every
 * scalar is a string until a schema types it (`NO` is Norway, `1.10` is not 1.1).
 *
 * Refused with "file:line:column: what": tabs, a byte order mark, malformed UTF-8, NUL, anchors,
 * aliases, tags, directives, a second document, a key that is not a scalar, duplicate keys,
 * unknown keys (naming the nearest known one), wrong types. Lines and columns count from 1,
 * columns in characters.
 * Threads: a loaded document never changes; a doc may be read from any thread. */
#ifndef DOMICILE_BASE_YAML_H
#define DOMICILE_BASE_YAML_H

#include "base/bytes.h"

enum {
  YAML_BYTES_MAX = 1024 * 1024,      /* people write these files; bounds parse time and memory */
  YAML_DEPTH_MAX = 16,               /* nested maps and lists; bounds the stack */
  YAML_NODES_MAX = 65536,            /* values in one file; bounds memory */
  YAML_ENTRIES_MAX = 1024,           /* entries of one map or list; duplicates are found pairwise */
  YAML_TEXT_BYTES_MAX = 65535,       /* one scalar: a PEM certificate fits well */
  YAML_KEY_BYTES_MAX = 255,          /* one key */
  YAML_MEMORY_MAX = 32 * 1024 * 1024 /* whole tree: nodes and texts at their maxima */
};

enum yaml_kind { YAML_TEXT, YAML_MAP, YAML_LIST };

/* One value. A map's or list's values are its `first`, then each `next`. */
struct yaml_node {
  enum yaml_kind kind;
  uint32_t line, column; /* of the value */
  uint32_t key_line, key_column;
  struct slice key;  /* in a map; NUL-terminated, not empty. Else empty */
  struct slice text; /* YAML_TEXT; NUL-terminated, holds no other NUL */
  bool plain;        /* YAML_TEXT written without quotes and not as a block */
  unsigned count;    /* values of a map or list */
  struct yaml_node *first, *last, *next;
};

struct yaml_doc;

/* Parses `bytes`, a whole file named `file` in messages (copied). The root is a map.
 * *out_doc belongs to the caller: yaml_doc_free.
 * Returns: DOM_OK; DOM_INVALID with the position in err; DOM_TOO_LARGE past a limit above;
 * DOM_NO_MEMORY. */
enum dom_code yaml_load(struct slice bytes, const char *file, struct yaml_doc **out_doc, struct dom_err *err);
void yaml_doc_free(struct yaml_doc *doc);                      /* NULL is allowed */
const struct yaml_node *yaml_root(const struct yaml_doc *doc); /* a map; lives as long as doc */
/* The value of `key` in a map, or NULL. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

/* ---- errors: each fills err with "file:line:column: …" and returns DOM_INVALID --------------- */

/* At the value. `format` must not print text of the file other than through yaml_show. */
enum dom_code yaml_fail(const struct yaml_doc *doc, const struct yaml_node *at, struct dom_err *err,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));
/* At the key of the value. */
enum dom_code yaml_fail_key(const struct yaml_doc *doc, const struct yaml_node *at, struct dom_err *err,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The key of `at` is none of `known`: names the nearest by edit distance (Levenshtein). */
enum dom_code yaml_fail_unknown(const struct yaml_doc *doc, const struct yaml_node *at,
                                const char *const *known, size_t known_count, struct dom_err *err);
/* Text of the file made fit for one line of a message: control bytes become '?', long text is cut. */
struct yaml_shown {
  char text[64];
};
struct yaml_shown yaml_show(struct slice text);

/* ---- typed values ---------------------------------------------------------------------------- */

/* A text of bytes_min…bytes_max bytes; *out lives as long as the doc. DOM_INVALID otherwise. */
enum dom_code yaml_to_string(const struct yaml_doc *doc, const struct yaml_node *at, size_t bytes_min,
                             size_t bytes_max, const char **out, struct dom_err *err);
/* An unquoted decimal number in min…max: no sign, no leading zero. DOM_INVALID otherwise. */
enum dom_code yaml_to_u64(const struct yaml_doc *doc, const struct yaml_node *at, uint64_t min, uint64_t max,
                          uint64_t *out, struct dom_err *err);
/* Exactly `true` or `false`, unquoted. DOM_INVALID otherwise. */
enum dom_code yaml_to_bool(const struct yaml_doc *doc, const struct yaml_node *at, bool *out,
                           struct dom_err *err);
/* Checks the kind: DOM_INVALID "expected a map, found text" otherwise. */
enum dom_code yaml_expect(const struct yaml_doc *doc, const struct yaml_node *at, enum yaml_kind kind,
                          struct dom_err *err);

/* ---- schema tables --------------------------------------------------------------------------- */

enum yaml_type {
  YAML_AS_STRING, /* const char *; min, max: bytes */
  YAML_AS_U64,    /* uint64_t;     min, max: value */
  YAML_AS_BOOL,   /* bool */
  YAML_AS_CHOICE, /* unsigned: index into `choices` */
  YAML_AS_MAP,    /* const struct yaml_node *, a map that the caller reads itself */
  YAML_AS_LIST    /* const struct yaml_node *, a list */
};

/* One key of a map and the member of a struct that it fills. */
struct yaml_field {
  const char *key;
  enum yaml_type type;
  bool required;
  size_t offset; /* of the member: offsetof */
  uint64_t min, max;
  const char *const *choices; /* YAML_AS_CHOICE: ended by NULL */
};

/* Reads `map` by `fields` into the struct at `out`; members of absent keys keep what they hold, so
 * the caller presets defaults. On failure nothing of `out` is touched.
 * Returns: DOM_OK; DOM_INVALID (not a map, unknown key, missing key, wrong type or value). */
enum dom_code yaml_read_map(const struct yaml_doc *doc, const struct yaml_node *map,
                            const struct yaml_field *fields, size_t field_count, void *out,
                            struct dom_err *err);

#endif
