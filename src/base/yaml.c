#include "base/yaml.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

#include "base/alloc.h"
#include "base/arena.h"

static const char where_load[] = "base/yaml";

struct yaml_doc {
  struct arena *arena;
  const char *file;
  struct yaml_node *root;
};

struct loader {
  yaml_parser_t parser;
  struct slice bytes;
  struct yaml_doc *doc;
  unsigned nodes;
  struct dom_err *err;
};

struct place {
  uint32_t line, column;
};

static void event_done(yaml_event_t *event) {
  assert(event != NULL);
  yaml_event_delete(event);
}
#define EVENT_AUTO __attribute__((cleanup(event_done))) yaml_event_t

static void doc_cleanup(struct yaml_doc **doc) {
  assert(doc != NULL);
  yaml_doc_free(*doc);
}

static enum dom_code fail_at(const char *file, struct place at, enum dom_code code, struct dom_err *err,
                             const char *text) {
  assert(code != DOM_OK);
  return dom_fail(err, code, where_load, "%s:%u:%u: %s", file, at.line, at.column, text);
}

static enum dom_code fail_memory(struct dom_err *err) {
  return dom_fail(err, DOM_NO_MEMORY, where_load, "out of memory");
}

static struct place place_of(yaml_mark_t mark) {
  assert(mark.line <= YAML_BYTES_MAX && mark.column <= YAML_BYTES_MAX);
  return (struct place){(uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

/* libyaml gives only a byte offset where it could not decode. Columns count characters: bytes that
 * continue a UTF-8 sequence are skipped. */
static struct place place_at_offset(struct slice bytes, size_t offset) {
  struct place at = {1, 1};
  for (size_t i = 0; i < offset && i < bytes.len; i++) {
    if (bytes.data[i] == '\n') {
      at.line++;
      at.column = 1;
    } else if ((bytes.data[i] & 0xc0) != 0x80) {
      at.column++;
    }
  }
  assert(at.line >= 1 && at.column >= 1);
  return at;
}

/* What libyaml would let pass. A tab is refused wherever it stands: it aligns differently in every
 * editor, and quoted text has \t. */
static enum dom_code check_bytes(struct slice bytes, const char *file, struct dom_err *err) {
  assert(file != NULL);
  if (bytes.len > YAML_BYTES_MAX)
    return dom_fail(err, DOM_TOO_LARGE, where_load, "%s: %zu bytes, at most %d are read", file, bytes.len,
                    YAML_BYTES_MAX);
  size_t tab = slice_find(bytes, '\t');
  if (tab < bytes.len)
    return fail_at(file, place_at_offset(bytes, tab), DOM_INVALID, err, "a tab; use blanks");
  if (slice_starts_with(bytes, SLICE_LIT("\xef\xbb\xbf")))
    return fail_at(file, (struct place){1, 1}, DOM_INVALID, err, "a byte order mark; save the file without");
  return DOM_OK;
}

static enum dom_code fail_parser(struct loader *l) {
  const yaml_parser_t *p = &l->parser;
  assert(p->error != YAML_NO_ERROR);
  if (p->error == YAML_MEMORY_ERROR) return fail_memory(l->err);
  struct place at = p->error == YAML_READER_ERROR ? place_at_offset(l->bytes, p->problem_offset)
                                                  : place_of(p->problem_mark);
  const char *problem = p->problem ? p->problem : "not YAML";
  if (!p->context)
    return dom_fail(l->err, DOM_INVALID, where_load, "%s:%u:%u: %s", l->doc->file, at.line, at.column,
                    problem);
  return dom_fail(l->err, DOM_INVALID, where_load, "%s:%u:%u: %s (%s)", l->doc->file, at.line, at.column,
                  problem, p->context);
}

static enum dom_code next_event(struct loader *l, yaml_event_t *out_event) {
  assert(l != NULL && out_event != NULL);
  if (!yaml_parser_parse(&l->parser, out_event)) return fail_parser(l);
  return DOM_OK;
}

static enum dom_code fail_event(struct loader *l, const yaml_event_t *e, enum dom_code code,
                                const char *text) {
  assert(e->type != YAML_NO_EVENT);
  return fail_at(l->doc->file, place_of(e->start_mark), code, l->err, text);
}

/* Anchors, aliases and tags give text a meaning that is not visible where it stands. */
static enum dom_code check_event(struct loader *l, const yaml_event_t *e) {
  const yaml_char_t *anchor = NULL, *tag = NULL;
  assert(e->type != YAML_NO_EVENT);
  if (e->type == YAML_ALIAS_EVENT)
    return fail_event(l, e, DOM_INVALID, "an alias (*name); write the value out, or quote it");
  if (e->type == YAML_SCALAR_EVENT) {
    anchor = e->data.scalar.anchor;
    tag = e->data.scalar.tag;
  } else if (e->type == YAML_MAPPING_START_EVENT) {
    anchor = e->data.mapping_start.anchor;
    tag = e->data.mapping_start.tag;
  } else if (e->type == YAML_SEQUENCE_START_EVENT) {
    anchor = e->data.sequence_start.anchor;
    tag = e->data.sequence_start.tag;
  }
  if (anchor) return fail_event(l, e, DOM_INVALID, "an anchor (&name); write the value out, or quote it");
  if (tag) return fail_event(l, e, DOM_INVALID, "a tag (!name); types come from the schema");
  return DOM_OK;
}

static enum dom_code copy_text(struct loader *l, const yaml_event_t *e, size_t bytes_max,
                               const char *too_long, struct slice *out_text) {
  assert(e->type == YAML_SCALAR_EVENT);
  struct slice text = slice_of(e->data.scalar.value, e->data.scalar.length);
  if (text.len > bytes_max) return fail_event(l, e, DOM_TOO_LARGE, too_long);
  if (slice_find(text, 0) < text.len) return fail_event(l, e, DOM_INVALID, "a NUL inside text");
  const char *copy = arena_str(l->doc->arena, text);
  if (!copy) return fail_memory(l->err);
  *out_text = slice_of(copy, text.len);
  return DOM_OK;
}

static enum dom_code new_node(struct loader *l, const yaml_event_t *e, enum yaml_kind kind,
                              struct yaml_node **out_node) {
  if (++l->nodes > YAML_NODES_MAX) return fail_event(l, e, DOM_TOO_LARGE, "too many values in one file");
  struct yaml_node *node = arena_alloc(l->doc->arena, sizeof *node);
  if (!node) return fail_memory(l->err);
  struct place at = place_of(e->start_mark);
  *node = (struct yaml_node){.kind = kind, .line = at.line, .column = at.column};
  assert(node->line >= 1);
  *out_node = node;
  return DOM_OK;
}

static enum dom_code append_node(struct loader *l, struct yaml_node *parent, struct yaml_node *node) {
  assert(parent->kind != YAML_TEXT && node->next == NULL);
  if (parent->count == YAML_ENTRIES_MAX)
    return fail_at(l->doc->file, (struct place){node->line, node->column}, DOM_TOO_LARGE, l->err,
                   "too many entries in one map or list");
  if (parent->last)
    parent->last->next = node;
  else
    parent->first = node;
  parent->last = node;
  parent->count++;
  return DOM_OK;
}

struct key {
  struct slice text;
  struct place at;
};

static enum dom_code read_key(struct loader *l, const struct yaml_node *map, const yaml_event_t *e,
                              struct key *out_key) {
  assert(map->kind == YAML_MAP);
  enum dom_code code = check_event(l, e);
  if (code != DOM_OK) return code;
  if (e->type != YAML_SCALAR_EVENT) return fail_event(l, e, DOM_INVALID, "a key must be text");
  struct slice text = {NULL, 0};
  code = copy_text(l, e, YAML_KEY_BYTES_MAX, "the key is too long", &text);
  if (code != DOM_OK) return code;
  if (text.len == 0) return fail_event(l, e, DOM_INVALID, "an empty key");
  struct place at = place_of(e->start_mark);
  const struct yaml_node *twin = yaml_get(map, (const char *)text.data);
  if (twin)
    return dom_fail(l->err, DOM_INVALID, where_load, "%s:%u:%u: duplicate key \"%s\", first in line %u",
                    l->doc->file, at.line, at.column, yaml_show(text).text, twin->key_line);
  *out_key = (struct key){text, at};
  return DOM_OK;
}

static enum dom_code read_value(struct loader *l, const yaml_event_t *e, unsigned depth,
                                struct yaml_node **out_node);

/* Values of a map or list until its end. Recursion ends at YAML_DEPTH_MAX. */
static enum dom_code read_values(struct loader *l, struct yaml_node *parent, unsigned depth) {
  assert(parent->kind != YAML_TEXT);
  yaml_event_type_t end = parent->kind == YAML_MAP ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
  for (;;) {
    struct key key = {{NULL, 0}, {0, 0}};
    EVENT_AUTO event = {0};
    enum dom_code code = next_event(l, &event);
    if (code != DOM_OK) return code;
    if (event.type == end) return DOM_OK;
    if (parent->kind == YAML_MAP) {
      code = read_key(l, parent, &event, &key);
      if (code != DOM_OK) return code;
      yaml_event_delete(&event);
      code = next_event(l, &event);
      if (code != DOM_OK) return code;
    }
    struct yaml_node *node = NULL;
    code = read_value(l, &event, depth, &node);
    if (code != DOM_OK) return code;
    assert(node != NULL);
    node->key = key.text;
    node->key_line = key.at.line;
    node->key_column = key.at.column;
    code = append_node(l, parent, node);
    if (code != DOM_OK) return code;
  }
}

static enum dom_code read_value(struct loader *l, const yaml_event_t *e, unsigned depth,
                                struct yaml_node **out_node) {
  enum dom_code code = check_event(l, e);
  if (code != DOM_OK) return code;
  if (depth >= YAML_DEPTH_MAX) return fail_event(l, e, DOM_TOO_LARGE, "nested too deeply");
  assert(e->type == YAML_SCALAR_EVENT || e->type == YAML_MAPPING_START_EVENT ||
         e->type == YAML_SEQUENCE_START_EVENT);
  enum yaml_kind kind = e->type == YAML_SCALAR_EVENT          ? YAML_TEXT
                        : e->type == YAML_MAPPING_START_EVENT ? YAML_MAP
                                                              : YAML_LIST;
  struct yaml_node *node = NULL;
  code = new_node(l, e, kind, &node);
  if (code != DOM_OK) return code;
  assert(node != NULL);
  if (kind == YAML_TEXT) {
    node->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    code = copy_text(l, e, YAML_TEXT_BYTES_MAX, "the text is too long", &node->text);
  } else {
    code = read_values(l, node, depth + 1);
  }
  if (code == DOM_OK) *out_node = node;
  return code;
}

static enum dom_code expect_event(struct loader *l, yaml_event_type_t type, const char *else_text) {
  assert(else_text != NULL);
  EVENT_AUTO event = {0};
  enum dom_code code = next_event(l, &event);
  if (code != DOM_OK) return code;
  if (event.type != type) return fail_event(l, &event, DOM_INVALID, else_text);
  if (event.type == YAML_DOCUMENT_START_EVENT &&
      (event.data.document_start.version_directive ||
       event.data.document_start.tag_directives.start != event.data.document_start.tag_directives.end))
    return fail_event(l, &event, DOM_INVALID, "a directive (%); none is known here");
  return DOM_OK;
}

static enum dom_code read_document(struct loader *l) {
  enum dom_code code = expect_event(l, YAML_STREAM_START_EVENT, "not a YAML stream");
  if (code == DOM_OK) code = expect_event(l, YAML_DOCUMENT_START_EVENT, "the file is empty");
  if (code != DOM_OK) return code;
  EVENT_AUTO event = {0};
  code = next_event(l, &event);
  if (code != DOM_OK) return code;
  struct yaml_node *root = NULL;
  code = read_value(l, &event, 0, &root);
  if (code != DOM_OK) return code;
  assert(root != NULL);
  code = yaml_expect(l->doc, root, YAML_MAP, l->err);
  if (code == DOM_OK) code = expect_event(l, YAML_DOCUMENT_END_EVENT, "the document does not end");
  if (code == DOM_OK) code = expect_event(l, YAML_STREAM_END_EVENT, "a second document");
  if (code != DOM_OK) return code;
  assert(root->kind == YAML_MAP);
  l->doc->root = root;
  return DOM_OK;
}

static enum dom_code new_doc(const char *file, struct yaml_doc **out_doc, struct dom_err *err) {
  struct yaml_doc *doc = dom_calloc(1, sizeof *doc);
  if (!doc) return fail_memory(err);
  doc->arena = arena_new(YAML_MEMORY_MAX);
  doc->file = doc->arena ? arena_str(doc->arena, slice_str(file)) : NULL;
  if (!doc->file) {
    yaml_doc_free(doc);
    return fail_memory(err);
  }
  assert(doc->root == NULL);
  *out_doc = doc;
  return DOM_OK;
}

enum dom_code yaml_load(struct slice bytes, const char *file, struct yaml_doc **out_doc,
                        struct dom_err *err) {
  assert(file != NULL && out_doc != NULL);
  enum dom_code code = check_bytes(bytes, file, err);
  if (code != DOM_OK) return code;
  __attribute__((cleanup(doc_cleanup))) struct yaml_doc *doc = NULL;
  code = new_doc(file, &doc, err);
  if (code != DOM_OK) return code;
  assert(doc != NULL);
  struct loader l = {.bytes = bytes, .doc = doc, .err = err};
  if (!yaml_parser_initialize(&l.parser)) return fail_memory(err);
  yaml_parser_set_encoding(&l.parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&l.parser, bytes.len ? bytes.data : (const uint8_t *)"", bytes.len);
  code = read_document(&l);
  yaml_parser_delete(&l.parser);
  if (code != DOM_OK) return code;
  assert(doc->root != NULL);
  *out_doc = doc;
  doc = NULL;
  return DOM_OK;
}

void yaml_doc_free(struct yaml_doc *doc) {
  if (!doc) return;
  arena_free(doc->arena);
  dom_free(doc);
}

const struct yaml_node *yaml_root(const struct yaml_doc *doc) {
  assert(doc != NULL && doc->root != NULL);
  return doc->root;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key) {
  assert(map != NULL && map->kind == YAML_MAP && key != NULL);
  struct slice wanted = slice_str(key);
  for (const struct yaml_node *n = map->first; n; n = n->next)
    if (slice_equal(n->key, wanted)) return n;
  return NULL;
}

struct yaml_shown yaml_show(struct slice text) {
  struct yaml_shown shown;
  size_t room = sizeof shown.text - 1, n = text.len;
  bool cut = n > room;
  if (cut) {
    n = room - 3;
    while (n > 0 && (text.data[n] & 0xc0) == 0x80) n--; /* not inside a character */
  }
  for (size_t i = 0; i < n; i++)
    shown.text[i] = (char)(text.data[i] < 0x20 || text.data[i] == 0x7f ? '?' : text.data[i]);
  if (cut) memcpy(shown.text + n, "...", 3);
  n += cut ? 3 : 0;
  assert(n < sizeof shown.text);
  shown.text[n] = 0;
  return shown;
}

static enum dom_code fail_format(const struct yaml_doc *doc, struct place at, struct dom_err *err,
                                 const char *format, va_list args) __attribute__((format(printf, 4, 0)));

static enum dom_code fail_format(const struct yaml_doc *doc, struct place at, struct dom_err *err,
                                 const char *format, va_list args) {
  char text[DOM_ERR_TEXT_MAX];
  int n = vsnprintf(text, sizeof text, format, args);
  assert(n > 0);
  return fail_at(doc->file, at, DOM_INVALID, err, text);
}

enum dom_code yaml_fail(const struct yaml_doc *doc, const struct yaml_node *at, struct dom_err *err,
                        const char *format, ...) {
  assert(doc != NULL && at != NULL);
  va_list args;
  va_start(args, format);
  enum dom_code code = fail_format(doc, (struct place){at->line, at->column}, err, format, args);
  va_end(args);
  return code;
}

enum dom_code yaml_fail_key(const struct yaml_doc *doc, const struct yaml_node *at, struct dom_err *err,
                            const char *format, ...) {
  assert(doc != NULL && at != NULL && at->key.len > 0);
  va_list args;
  va_start(args, format);
  enum dom_code code = fail_format(doc, (struct place){at->key_line, at->key_column}, err, format, args);
  va_end(args);
  return code;
}

enum dom_code yaml_expect(const struct yaml_doc *doc, const struct yaml_node *at, enum yaml_kind kind,
                          struct dom_err *err) {
  static const char *const names[] = {"text", "a map", "a list"};
  assert(kind <= YAML_LIST && at->kind <= YAML_LIST);
  if (at->kind == kind) return DOM_OK;
  const char *found = at->kind == YAML_TEXT && at->text.len == 0 ? "nothing" : names[at->kind];
  return yaml_fail(doc, at, err, "expected %s, found %s", names[kind], found);
}
