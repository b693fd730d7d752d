/* A document as a tree in an arena: for those that are checked strictly and as a whole. Internal to the room.
 */
#ifndef DOMICILE_S3_TREE_H
#define DOMICILE_S3_TREE_H

#include "base/arena.h"
#include "s3/xmlread.h"

struct tree_node {
  struct slice name; /* without namespace prefix */
  struct slice text; /* directly in it, as sent; of an element with children only what follows the last */
  struct tree_node *first, *last; /* children, in order */
  struct tree_node *next;
};

/* Reads one document of at most `bytes_max` bytes whose root is `root`; codes as xmlread_document. */
enum s3_error tree_read(struct slice body, size_t bytes_max, const char *root, struct arena *arena,
                        struct tree_node **out);

/* What an element may hold: S3's schemas are closed. */
struct tree_rule {
  const char *name;
  uint32_t min, max;
};
/* True when the node's children are those of the rules and no others, as often as the rules say. */
bool tree_obeys(const struct tree_node *node, const struct tree_rule *rules, size_t count);
#define TREE_OBEYS(node, ...)                                                                                \
  tree_obeys(node, (const struct tree_rule[]){__VA_ARGS__},                                                  \
             sizeof((const struct tree_rule[]){__VA_ARGS__}) / sizeof(struct tree_rule))

/* The first child of that name, or NULL; and the next one of the same name. */
const struct tree_node *tree_child(const struct tree_node *node, const char *name);
const struct tree_node *tree_again(const struct tree_node *node);
/* Text without the blanks around it, as pretty-printers put them in; of no node: empty. */
struct slice tree_text(const struct tree_node *node);
/* The child's text so; empty without one. */
struct slice tree_value(const struct tree_node *node, const char *child);
/* "true" or "false", a number of decimal digits. False for anything else. */
bool tree_bool(const struct tree_node *node, bool *out);
bool tree_u64(const struct tree_node *node, uint64_t *out);

#endif
