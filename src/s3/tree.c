#include "s3/tree.h"

#include <assert.h>

#include "s3/limits.h"

/* Elements end before what they lie in: those that have ended wait by depth for their parent. */
struct tree {
  struct arena *arena;
  struct tree_node *first[S3_XML_DEPTH_MAX + 1], *last[S3_XML_DEPTH_MAX + 1];
};

static struct slice last_name(struct slice path) {
  size_t at = path.len;
  while (at > 0 && path.data[at - 1] != '/') at--;
  return slice_cut(path, at, path.len);
}

static size_t depth_of(struct slice path) {
  size_t depth = 0;
  for (size_t i = 0; i < path.len; i++) depth += path.data[i] == '/';
  assert(depth < S3_XML_DEPTH_MAX);
  return depth;
}

static enum s3_error take(void *context, struct slice path, struct slice text) {
  struct tree *t = context;
  size_t depth = depth_of(path);
  struct tree_node *node = arena_alloc(t->arena, sizeof *node);
  if (node == NULL) return S3_ERR_MAX_MESSAGE_LENGTH; /* more elements than any document of S3's has */
  *node = (struct tree_node){.name = arena_copy(t->arena, last_name(path)),
                             .text = arena_copy(t->arena, text),
                             .first = t->first[depth + 1],
                             .last = t->last[depth + 1]};
  if (node->name.data == NULL || (text.len > 0 && node->text.data == NULL)) return S3_ERR_MAX_MESSAGE_LENGTH;
  t->first[depth + 1] = t->last[depth + 1] = NULL;
  if (t->first[depth] == NULL)
    t->first[depth] = node;
  else
    t->last[depth]->next = node;
  t->last[depth] = node;
  return S3_OK;
}

enum s3_error tree_read(struct slice body, size_t bytes_max, const char *root, struct arena *arena,
                        struct tree_node **out) {
  struct tree t = {.arena = arena};
  assert(arena != NULL && out != NULL);
  enum s3_error error = xmlread_document(body, bytes_max, root, take, &t);
  if (error == S3_OK) *out = t.first[0];
  return error;
}

bool tree_obeys(const struct tree_node *node, const struct tree_rule *rules, size_t count) {
  uint32_t seen[16] = {0};
  assert(node != NULL && count <= sizeof seen / sizeof seen[0]);
  for (const struct tree_node *child = node->first; child != NULL; child = child->next) {
    size_t i = 0;
    while (i < count && !slice_equal(child->name, slice_str(rules[i].name))) i++;
    if (i == count || ++seen[i] > rules[i].max) return false;
  }
  for (size_t i = 0; i < count; i++)
    if (seen[i] < rules[i].min) return false;
  return true;
}

const struct tree_node *tree_child(const struct tree_node *node, const char *name) {
  assert(node != NULL && name != NULL);
  const struct tree_node *child = node->first;
  while (child != NULL && !slice_equal(child->name, slice_str(name))) child = child->next;
  return child;
}

const struct tree_node *tree_again(const struct tree_node *node) {
  assert(node != NULL);
  const struct tree_node *next = node->next;
  while (next != NULL && !slice_equal(next->name, node->name)) next = next->next;
  return next;
}

struct slice tree_text(const struct tree_node *node) {
  struct slice text = node == NULL ? SLICE_LIT("") : node->text;
  while (text.len > 0 && memchr(" \t\r\n", text.data[0], 4) != NULL) text = slice_cut(text, 1, text.len);
  while (text.len > 0 && memchr(" \t\r\n", text.data[text.len - 1], 4) != NULL)
    text = slice_cut(text, 0, text.len - 1);
  return text;
}

struct slice tree_value(const struct tree_node *node, const char *child) {
  return tree_text(tree_child(node, child));
}

bool tree_bool(const struct tree_node *node, bool *out) {
  struct slice text = tree_text(node);
  bool is_true = slice_equal_nocase(text, SLICE_LIT("true"));
  if (!is_true && !slice_equal_nocase(text, SLICE_LIT("false"))) return false;
  *out = is_true;
  return true;
}

bool tree_u64(const struct tree_node *node, uint64_t *out) {
  return slice_to_u64(tree_text(node), out) == DOM_OK;
}
