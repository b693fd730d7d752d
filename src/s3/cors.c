#include "s3/cors.h"

#include <assert.h>
#include <stdio.h>

#include "s3/tree.h"
#include "s3/xml.h"

/* ---- reading and printing ------------------------------------------------------------------------ */

static const char *const METHODS[S3_CORS_METHODS_MAX] = {"GET", "PUT", "POST", "DELETE", "HEAD"};

static bool is_method(struct slice text) {
  for (size_t i = 0; i < S3_CORS_METHODS_MAX; i++)
    if (slice_equal(text, slice_str(METHODS[i]))) return true;
  return false;
}

/* It goes into headers of answers. */
static bool is_printable(struct slice text) {
  for (size_t i = 0; i < text.len; i++)
    if (text.data[i] <= ' ' || text.data[i] >= 0x7F) return false;
  return text.len > 0;
}

static bool one_star_at_most(struct slice text) {
  size_t first = slice_find(text, '*');
  return first == text.len || slice_find(slice_cut(text, first + 1, text.len), '*') == text.len - first - 1;
}

enum kind { KIND_ORIGIN, KIND_METHOD, KIND_HEADER, KIND_EXPOSED };

static enum s3_error item_check(struct slice text, enum kind kind) {
  if (!is_printable(text)) return S3_ERR_MALFORMED_XML;
  switch (kind) {
  case KIND_METHOD:
    return is_method(text) ? S3_OK : S3_ERR_INVALID_REQUEST;
  case KIND_EXPOSED:
    return slice_find(text, ',') == text.len ? S3_OK : S3_ERR_INVALID_REQUEST;
  default:
    return one_star_at_most(text) ? S3_OK : S3_ERR_INVALID_REQUEST;
  }
}

static enum s3_error list_parse(const struct tree_node *rule, const char *name, enum kind kind,
                                struct arena *arena, struct s3_cors_list *out) {
  size_t count = 0;
  for (const struct tree_node *n = tree_child(rule, name); n != NULL; n = tree_again(n)) count++;
  *out = (struct s3_cors_list){0};
  if (count == 0) return S3_OK;
  out->item = arena_alloc(arena, count * sizeof *out->item);
  if (out->item == NULL) return S3_ERR_MAX_MESSAGE_LENGTH;
  for (const struct tree_node *n = tree_child(rule, name); n != NULL; n = tree_again(n)) {
    enum s3_error error = item_check(tree_text(n), kind);
    if (error != S3_OK) return error;
    out->item[out->count++] = tree_text(n);
  }
  assert(out->count == count);
  return S3_OK;
}

static enum s3_error rule_parse(const struct tree_node *node, struct arena *arena, struct s3_cors_rule *out) {
  struct s3_cors_rule rule = {.id = tree_value(node, "ID")};
  if (!TREE_OBEYS(node, {"ID", 0, 1}, {"AllowedOrigin", 1, S3_CORS_LIST_MAX},
                  {"AllowedMethod", 1, S3_CORS_METHODS_MAX}, {"AllowedHeader", 0, S3_CORS_LIST_MAX},
                  {"ExposeHeader", 0, S3_CORS_LIST_MAX}, {"MaxAgeSeconds", 0, 1}))
    return S3_ERR_MALFORMED_XML;
  if (rule.id.len > 255) return S3_ERR_INVALID_ARGUMENT;
  const struct tree_node *age = tree_child(node, "MaxAgeSeconds");
  rule.has_max_age = age != NULL;
  if (age != NULL && (!tree_u64(age, &rule.max_age_s) || rule.max_age_s > INT32_MAX))
    return S3_ERR_MALFORMED_XML;
  enum s3_error error = list_parse(node, "AllowedOrigin", KIND_ORIGIN, arena, &rule.origins);
  if (error == S3_OK) error = list_parse(node, "AllowedMethod", KIND_METHOD, arena, &rule.methods);
  if (error == S3_OK) error = list_parse(node, "AllowedHeader", KIND_HEADER, arena, &rule.headers);
  if (error == S3_OK) error = list_parse(node, "ExposeHeader", KIND_EXPOSED, arena, &rule.exposed);
  if (error == S3_OK) *out = rule;
  return error;
}

enum s3_error s3_cors_parse(struct slice body, struct arena *arena, struct s3_cors *out) {
  struct tree_node *root;
  struct s3_cors cors = {.count = 0};
  enum s3_error error = tree_read(body, S3_CORS_BYTES_MAX, "CORSConfiguration", arena, &root);
  if (error != S3_OK) return error;
  if (!TREE_OBEYS(root, {"CORSRule", 1, S3_CORS_RULES_MAX})) return S3_ERR_MALFORMED_XML;
  cors.rule = arena_alloc(arena, S3_CORS_RULES_MAX * sizeof *cors.rule);
  if (cors.rule == NULL) return S3_ERR_INTERNAL_ERROR;
  for (const struct tree_node *n = root->first; n != NULL && error == S3_OK; n = n->next)
    error = rule_parse(n, arena, &cors.rule[cors.count++]);
  if (error == S3_OK) *out = cors;
  return error;
}

static void list_print(struct buf *out, const char *name, const struct s3_cors_list *list) {
  for (size_t i = 0; i < list->count; i++) xml_text(out, name, list->item[i]);
}

void s3_cors_print(const struct s3_cors *cors, struct buf *out) {
  assert(cors->count >= 1 && cors->count <= S3_CORS_RULES_MAX);
  xml_begin(out);
  xml_open_root(out, "CORSConfiguration");
  for (size_t i = 0; i < cors->count; i++) {
    const struct s3_cors_rule *rule = &cors->rule[i];
    xml_open(out, "CORSRule");
    if (rule->id.len > 0) xml_text(out, "ID", rule->id);
    list_print(out, "AllowedOrigin", &rule->origins);
    list_print(out, "AllowedMethod", &rule->methods);
    list_print(out, "AllowedHeader", &rule->headers);
    list_print(out, "ExposeHeader", &rule->exposed);
    if (rule->has_max_age) xml_u64(out, "MaxAgeSeconds", rule->max_age_s);
    xml_close(out, "CORSRule");
  }
  xml_close(out, "CORSConfiguration");
}

/* ---- matching ---------------------------------------------------------------------------------------- */

static bool text_equal(struct slice a, struct slice b, bool no_case) {
  return no_case ? slice_equal_nocase(a, b) : slice_equal(a, b);
}

/* One '*' at most, which stands for anything. */
static bool pattern_fits(struct slice pattern, struct slice text, bool no_case) {
  size_t star = slice_find(pattern, '*');
  if (star == pattern.len) return text_equal(pattern, text, no_case);
  size_t behind = pattern.len - star - 1;
  return text.len >= star + behind &&
         text_equal(slice_cut(pattern, 0, star), slice_cut(text, 0, star), no_case) &&
         text_equal(slice_cut(pattern, star + 1, pattern.len), slice_cut(text, text.len - behind, text.len),
                    no_case);
}

static bool list_fits(const struct s3_cors_list *list, struct slice text, bool no_case) {
  for (size_t i = 0; i < list->count; i++)
    if (pattern_fits(list->item[i], text, no_case)) return true;
  return false;
}

/* The next name of a comma-separated list; false at its end. */
static bool next_name(struct slice *rest, struct slice *out) {
  if (rest->len == 0) return false;
  size_t end = slice_find(*rest, ',');
  struct slice name = slice_cut(*rest, 0, end);
  *rest = slice_cut(*rest, end < rest->len ? end + 1 : end, rest->len);
  while (name.len > 0 && (name.data[0] == ' ' || name.data[0] == '\t')) name = slice_cut(name, 1, name.len);
  while (name.len > 0 && (name.data[name.len - 1] == ' ' || name.data[name.len - 1] == '\t'))
    name = slice_cut(name, 0, name.len - 1);
  *out = name;
  return true;
}

static bool headers_fit(const struct s3_cors_rule *rule, struct slice headers) {
  struct slice name;
  for (size_t n = 0; next_name(&headers, &name); n++) {
    if (n == S3_CORS_HEADERS_ASKED_MAX) return false;
    if (name.len > 0 && !list_fits(&rule->headers, name, true)) return false;
  }
  return true;
}

const struct s3_cors_rule *s3_cors_match(const struct s3_cors *cors, struct slice origin, struct slice method,
                                         struct slice headers) {
  assert(cors != NULL);
  for (size_t i = 0; i < cors->count; i++) {
    const struct s3_cors_rule *rule = &cors->rule[i];
    if (list_fits(&rule->origins, origin, false) && list_fits(&rule->methods, method, false) &&
        headers_fit(rule, headers))
      return rule;
  }
  return NULL;
}

static void add_list(struct s3_headers *out, const char *name, const struct s3_cors_list *list) {
  BUF_AUTO text = BUF_INIT;
  for (size_t i = 0; i < list->count; i++) {
    if (i > 0) buf_append_str(&text, ", ");
    buf_append_slice(&text, list->item[i]);
  }
  if (text.failed)
    out->failed = true;
  else if (text.len > 0)
    s3_headers_add_copy(out, slice_str(name), buf_slice(&text));
}

static void add_asked(struct s3_headers *out, struct slice headers) {
  BUF_AUTO text = BUF_INIT;
  struct slice name;
  while (next_name(&headers, &name)) {
    if (name.len == 0) continue;
    if (text.len > 0) buf_append_str(&text, ", ");
    for (size_t i = 0; i < name.len; i++) {
      uint8_t c = name.data[i];
      buf_append_byte(&text, c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c);
    }
  }
  if (text.failed)
    out->failed = true;
  else if (text.len > 0)
    s3_headers_add_copy(out, SLICE_LIT("Access-Control-Allow-Headers"), buf_slice(&text));
}

/* Whether everybody is let in: then a browser must not send cookies along. */
static bool is_for_all(const struct s3_cors_rule *rule, struct slice origin) {
  for (size_t i = 0; i < rule->origins.count; i++)
    if (pattern_fits(rule->origins.item[i], origin, false))
      return slice_equal(rule->origins.item[i], SLICE_LIT("*"));
  return false;
}

void s3_cors_headers(const struct s3_cors_rule *rule, struct slice origin, struct slice headers,
                     struct s3_headers *out) {
  char age[24];
  assert(rule != NULL && out != NULL);
  bool for_all = is_for_all(rule, origin);
  s3_headers_add_copy(out, SLICE_LIT("Access-Control-Allow-Origin"), for_all ? SLICE_LIT("*") : origin);
  add_list(out, "Access-Control-Allow-Methods", &rule->methods);
  add_asked(out, headers);
  add_list(out, "Access-Control-Expose-Headers", &rule->exposed);
  if (rule->has_max_age) {
    snprintf(age, sizeof age, "%llu", (unsigned long long)rule->max_age_s);
    s3_headers_add_copy(out, SLICE_LIT("Access-Control-Max-Age"), slice_str(age));
  }
  if (!for_all) s3_headers_add(out, SLICE_LIT("Access-Control-Allow-Credentials"), SLICE_LIT("true"));
  s3_headers_add(out, SLICE_LIT("Vary"),
                 SLICE_LIT("Origin, Access-Control-Request-Headers, Access-Control-Request-Method"));
}
