#include "s3/lifecycle.h"

#include <assert.h>
#include <stdio.h>

#include "base/clock.h"
#include "s3/tree.h"
#include "s3/xml.h"

/* ---- reading --------------------------------------------------------------------------------------- */

static enum s3_error number_parse(const struct tree_node *node, uint64_t min, uint64_t max, uint64_t *out) {
  uint64_t value;
  if (node == NULL || !tree_u64(node, &value)) return S3_ERR_MALFORMED_XML;
  if (value < min || value > max) return S3_ERR_INVALID_ARGUMENT;
  *out = value;
  return S3_OK;
}

/* A date, or a moment that is a midnight UTC. */
static enum s3_error date_parse(const struct tree_node *node, uint64_t *out) {
  static const char *const midnights[] = {"", "T00:00:00Z", "T00:00:00.000Z", "T00:00:00+00:00"};
  struct slice text = tree_text(node);
  if (text.len < 10 || time_parse_date(slice_cut(text, 0, 10), out) != DOM_OK) return S3_ERR_MALFORMED_XML;
  for (size_t i = 0; i < sizeof midnights / sizeof midnights[0]; i++)
    if (slice_equal(slice_cut(text, 10, text.len), slice_str(midnights[i])))
      return *out > 0 ? S3_OK : S3_ERR_INVALID_ARGUMENT;
  return S3_ERR_INVALID_ARGUMENT;
}

/* Prefix, sizes and tags, as a Filter holds one of them and its And several. */
static enum s3_error filter_parts(const struct tree_node *node, struct arena *arena,
                                  struct s3_lifecycle_filter *out) {
  struct s3_tags tags = {.count = 0};
  const struct tree_node *prefix = tree_child(node, "Prefix"),
                         *greater = tree_child(node, "ObjectSizeGreaterThan"),
                         *less = tree_child(node, "ObjectSizeLessThan");
  enum s3_error error = S3_OK;
  out->has_prefix = prefix != NULL;
  if (prefix != NULL) out->prefix = prefix->text;
  out->has_greater = greater != NULL;
  if (greater != NULL) error = number_parse(greater, 0, UINT64_MAX, &out->greater);
  out->has_less = less != NULL;
  if (error == S3_OK && less != NULL) error = number_parse(less, 1, UINT64_MAX, &out->less);
  for (const struct tree_node *t = tree_child(node, "Tag"); t != NULL && error == S3_OK; t = tree_again(t)) {
    if (!TREE_OBEYS(t, {"Key", 1, 1}, {"Value", 1, 1})) return S3_ERR_MALFORMED_XML;
    error = s3_tags_add(&tags, S3_LIFECYCLE_TAGS_MAX,
                        (struct s3_tag){tree_child(t, "Key")->text, tree_child(t, "Value")->text});
  }
  if (error != S3_OK || tags.count == 0) return error;
  out->tag = arena_alloc(arena, tags.count * sizeof *out->tag);
  if (out->tag == NULL) return S3_ERR_MAX_MESSAGE_LENGTH;
  memcpy(out->tag, tags.tag, tags.count * sizeof *out->tag);
  out->tag_count = tags.count;
  return S3_OK;
}

static enum s3_error filter_parse(const struct tree_node *filter, struct arena *arena,
                                  struct s3_lifecycle_filter *out) {
  const struct tree_node *both = tree_child(filter, "And");
  if (!TREE_OBEYS(filter, {"Prefix", 0, 1}, {"Tag", 0, 1}, {"ObjectSizeGreaterThan", 0, 1},
                  {"ObjectSizeLessThan", 0, 1}, {"And", 0, 1}))
    return S3_ERR_MALFORMED_XML;
  if (filter->first != NULL && filter->first != filter->last) return S3_ERR_MALFORMED_XML; /* one of them */
  if (both == NULL) return filter_parts(filter, arena, out);
  if (!TREE_OBEYS(both, {"Prefix", 0, 1}, {"Tag", 0, S3_LIFECYCLE_TAGS_MAX}, {"ObjectSizeGreaterThan", 0, 1},
                  {"ObjectSizeLessThan", 0, 1}))
    return S3_ERR_MALFORMED_XML;
  if (both->first == both->last) return S3_ERR_MALFORMED_XML; /* two at least */
  return filter_parts(both, arena, out);
}

static enum s3_error expiration_parse(const struct tree_node *node, struct s3_lifecycle_rule *rule) {
  if (node == NULL) return S3_OK;
  if (!TREE_OBEYS(node, {"Days", 0, 1}, {"Date", 0, 1}, {"ExpiredObjectDeleteMarker", 0, 1}) ||
      node->first == NULL || node->first != node->last)
    return S3_ERR_MALFORMED_XML;
  const struct tree_node *days = tree_child(node, "Days"), *date = tree_child(node, "Date");
  if (days != NULL) return number_parse(days, 1, S3_LIFECYCLE_NUMBER_MAX, &rule->expire_days);
  if (date != NULL) return date_parse(date, &rule->expire_date_ms);
  return tree_bool(node->first, &rule->expire_markers) ? S3_OK : S3_ERR_MALFORMED_XML;
}

static enum s3_error noncurrent_parse(const struct tree_node *node, struct s3_lifecycle_rule *rule) {
  if (node == NULL) return S3_OK;
  if (!TREE_OBEYS(node, {"NoncurrentDays", 1, 1}, {"NewerNoncurrentVersions", 0, 1}))
    return S3_ERR_MALFORMED_XML;
  const struct tree_node *newer = tree_child(node, "NewerNoncurrentVersions");
  enum s3_error error =
      number_parse(tree_child(node, "NoncurrentDays"), 1, S3_LIFECYCLE_NUMBER_MAX, &rule->noncurrent_days);
  if (error == S3_OK && newer != NULL)
    error = number_parse(newer, 1, S3_LIFECYCLE_NEWER_VERSIONS_MAX, &rule->noncurrent_newer);
  return error;
}

static enum s3_error abort_parse(const struct tree_node *node, struct s3_lifecycle_rule *rule) {
  if (node == NULL) return S3_OK;
  if (!TREE_OBEYS(node, {"DaysAfterInitiation", 1, 1})) return S3_ERR_MALFORMED_XML;
  return number_parse(tree_child(node, "DaysAfterInitiation"), 1, S3_LIFECYCLE_NUMBER_MAX, &rule->abort_days);
}

/* What S3 refuses although each part alone is well-formed. */
static enum s3_error rule_check(const struct s3_lifecycle_rule *rule) {
  const struct s3_lifecycle_filter *f = &rule->filter;
  bool by_content = f->has_greater || f->has_less || f->tag_count > 0;
  if (!rule->expire_days && !rule->expire_date_ms && !rule->expire_markers && !rule->noncurrent_days &&
      !rule->abort_days)
    return S3_ERR_INVALID_REQUEST;
  if (rule->abort_days && by_content) return S3_ERR_INVALID_REQUEST; /* an upload has neither size nor tags */
  if (rule->expire_markers && f->tag_count > 0) return S3_ERR_INVALID_REQUEST;
  if (f->has_greater && f->has_less && f->less <= f->greater) return S3_ERR_INVALID_REQUEST;
  return S3_OK;
}

static enum s3_error place_parse(const struct tree_node *node, struct arena *arena,
                                 struct s3_lifecycle_filter *out) {
  const struct tree_node *prefix = tree_child(node, "Prefix"), *filter = tree_child(node, "Filter");
  if ((prefix == NULL) == (filter == NULL)) return S3_ERR_MALFORMED_XML;
  if (filter != NULL) return filter_parse(filter, arena, out);
  *out = (struct s3_lifecycle_filter){.is_legacy = true, .has_prefix = true, .prefix = prefix->text};
  return S3_OK;
}

static enum s3_error rule_parse(const struct tree_node *node, struct arena *arena,
                                struct s3_lifecycle_rule *out) {
  struct s3_lifecycle_rule rule = {.id = tree_value(node, "ID")};
  if (!TREE_OBEYS(node, {"ID", 0, 1}, {"Prefix", 0, 1}, {"Filter", 0, 1}, {"Status", 1, 1},
                  {"Expiration", 0, 1}, {"NoncurrentVersionExpiration", 0, 1},
                  {"AbortIncompleteMultipartUpload", 0, 1}, {"Transition", 0, UINT32_MAX},
                  {"NoncurrentVersionTransition", 0, UINT32_MAX}))
    return S3_ERR_MALFORMED_XML;
  if (tree_child(node, "Transition") || tree_child(node, "NoncurrentVersionTransition"))
    return S3_ERR_NOT_IMPLEMENTED;
  if (rule.id.len > S3_LIFECYCLE_ID_BYTES_MAX) return S3_ERR_INVALID_ARGUMENT;
  struct slice status = tree_value(node, "Status");
  rule.enabled = slice_equal(status, SLICE_LIT("Enabled"));
  if (!rule.enabled && !slice_equal(status, SLICE_LIT("Disabled"))) return S3_ERR_MALFORMED_XML;
  enum s3_error error = place_parse(node, arena, &rule.filter);
  if (error == S3_OK && rule.filter.prefix.len > 1024) error = S3_ERR_INVALID_ARGUMENT; /* no key is longer */
  if (error == S3_OK) error = expiration_parse(tree_child(node, "Expiration"), &rule);
  if (error == S3_OK) error = noncurrent_parse(tree_child(node, "NoncurrentVersionExpiration"), &rule);
  if (error == S3_OK) error = abort_parse(tree_child(node, "AbortIncompleteMultipartUpload"), &rule);
  if (error == S3_OK) error = rule_check(&rule);
  if (error == S3_OK) *out = rule;
  return error;
}

static bool id_is_taken(const struct s3_lifecycle *l, struct slice id, size_t but) {
  for (size_t i = 0; i < l->count; i++)
    if (i != but && slice_equal(l->rule[i].id, id)) return true;
  return false;
}

/* S3 makes up an id where there is none. It stays the same when the canonical form is read again. */
static enum s3_error ids_fill(struct s3_lifecycle *l, struct arena *arena) {
  for (size_t i = 0; i < l->count; i++)
    if (l->rule[i].id.len > 0 && id_is_taken(l, l->rule[i].id, i)) return S3_ERR_INVALID_ARGUMENT;
  for (size_t i = 0, number = 1; i < l->count; i++) {
    char text[32];
    while (l->rule[i].id.len == 0) {
      snprintf(text, sizeof text, "rule-%zu", number++);
      if (id_is_taken(l, slice_str(text), i)) continue;
      l->rule[i].id = arena_copy(arena, slice_str(text));
      if (l->rule[i].id.data == NULL) return S3_ERR_MAX_MESSAGE_LENGTH;
    }
  }
  return S3_OK;
}

enum s3_error s3_lifecycle_parse(struct slice body, struct arena *arena, struct s3_lifecycle *out) {
  struct tree_node *root;
  struct s3_lifecycle l = {.count = 0};
  size_t count = 0;
  enum s3_error error = tree_read(body, S3_LIFECYCLE_BYTES_MAX, "LifecycleConfiguration", arena, &root);
  if (error != S3_OK) return error;
  if (!TREE_OBEYS(root, {"Rule", 1, S3_LIFECYCLE_RULES_MAX})) return S3_ERR_MALFORMED_XML;
  for (const struct tree_node *n = root->first; n != NULL; n = n->next) count++;
  l.rule = arena_alloc(arena, count * sizeof *l.rule);
  if (l.rule == NULL) return S3_ERR_MAX_MESSAGE_LENGTH;
  for (const struct tree_node *n = root->first; n != NULL && error == S3_OK; n = n->next)
    error = rule_parse(n, arena, &l.rule[l.count++]);
  if (error == S3_OK) error = ids_fill(&l, arena);
  if (error == S3_OK) *out = l;
  return error;
}

/* ---- printing --------------------------------------------------------------------------------------------
 */

static void parts_print(struct buf *out, const struct s3_lifecycle_filter *f) {
  if (f->has_prefix) xml_text(out, "Prefix", f->prefix);
  for (size_t i = 0; i < f->tag_count; i++) {
    xml_open(out, "Tag");
    xml_text(out, "Key", f->tag[i].key);
    xml_text(out, "Value", f->tag[i].value);
    xml_close(out, "Tag");
  }
  if (f->has_greater) xml_u64(out, "ObjectSizeGreaterThan", f->greater);
  if (f->has_less) xml_u64(out, "ObjectSizeLessThan", f->less);
}

static void filter_print(struct buf *out, const struct s3_lifecycle_filter *f) {
  size_t parts = f->tag_count + (f->has_prefix ? 1 : 0) + (f->has_greater ? 1 : 0) + (f->has_less ? 1 : 0);
  if (f->is_legacy) {
    parts_print(out, f);
    return;
  }
  xml_open(out, "Filter");
  if (parts > 1) xml_open(out, "And");
  parts_print(out, f);
  if (parts > 1) xml_close(out, "And");
  xml_close(out, "Filter");
}

static void expiration_print(struct buf *out, const struct s3_lifecycle_rule *rule) {
  if (!rule->expire_days && !rule->expire_date_ms && !rule->expire_markers) return;
  xml_open(out, "Expiration");
  if (rule->expire_days) xml_u64(out, "Days", rule->expire_days);
  if (rule->expire_date_ms) xml_time(out, "Date", rule->expire_date_ms);
  if (rule->expire_markers) xml_bool(out, "ExpiredObjectDeleteMarker", true);
  xml_close(out, "Expiration");
}

static void rule_print(struct buf *out, const struct s3_lifecycle_rule *rule) {
  assert(rule->id.len > 0);
  xml_open(out, "Rule");
  xml_text(out, "ID", rule->id);
  filter_print(out, &rule->filter);
  xml_text(out, "Status", rule->enabled ? SLICE_LIT("Enabled") : SLICE_LIT("Disabled"));
  expiration_print(out, rule);
  if (rule->noncurrent_days) {
    xml_open(out, "NoncurrentVersionExpiration");
    xml_u64(out, "NoncurrentDays", rule->noncurrent_days);
    if (rule->noncurrent_newer) xml_u64(out, "NewerNoncurrentVersions", rule->noncurrent_newer);
    xml_close(out, "NoncurrentVersionExpiration");
  }
  if (rule->abort_days) {
    xml_open(out, "AbortIncompleteMultipartUpload");
    xml_u64(out, "DaysAfterInitiation", rule->abort_days);
    xml_close(out, "AbortIncompleteMultipartUpload");
  }
  xml_close(out, "Rule");
}

void s3_lifecycle_print(const struct s3_lifecycle *l, struct buf *out) {
  assert(l->count >= 1 && l->count <= S3_LIFECYCLE_RULES_MAX);
  xml_begin(out);
  xml_open_root(out, "LifecycleConfiguration");
  for (size_t i = 0; i < l->count; i++) rule_print(out, &l->rule[i]);
  xml_close(out, "LifecycleConfiguration");
}

/* ---- verdicts ---------------------------------------------------------------------------------------------
 */

/* The midnight at or after `days` later; UINT64_MAX past the end of time. */
static uint64_t days_after(uint64_t from_ms, uint64_t days, uint64_t day_ms) {
  assert(day_ms > 0 && days <= S3_LIFECYCLE_NUMBER_MAX);
  uint64_t at;
  if (__builtin_mul_overflow(days, day_ms, &at) || __builtin_add_overflow(at, from_ms, &at) ||
      __builtin_add_overflow(at, day_ms - 1, &at))
    return UINT64_MAX;
  return at - at % day_ms;
}

static bool has_tag(const struct s3_lifecycle_object *o, const struct s3_tag *want) {
  for (size_t i = 0; i < o->tag_count; i++)
    if (slice_equal(o->tag[i].key, want->key)) return slice_equal(o->tag[i].value, want->value);
  return false;
}

static bool is_about(const struct s3_lifecycle_filter *f, const struct s3_lifecycle_object *o) {
  if (f->has_prefix && !slice_starts_with(o->key, f->prefix)) return false;
  if (o->is_marker) return !f->has_greater && !f->has_less && f->tag_count == 0;
  if (f->has_greater && o->size <= f->greater) return false;
  if (f->has_less && o->size >= f->less) return false;
  for (size_t i = 0; i < f->tag_count; i++)
    if (!o->any_tags && !has_tag(o, &f->tag[i])) return false;
  return true;
}

uint64_t s3_lifecycle_expires(const struct s3_lifecycle *l, const struct s3_lifecycle_object *o,
                              uint64_t day_ms, const struct s3_lifecycle_rule **out_rule) {
  uint64_t first = UINT64_MAX;
  for (size_t i = 0; i < l->count; i++) {
    const struct s3_lifecycle_rule *rule = &l->rule[i];
    uint64_t at = UINT64_MAX;
    if (!rule->enabled || !is_about(&rule->filter, o)) continue;
    if (rule->expire_days) at = days_after(o->modified_ms, rule->expire_days, day_ms);
    if (rule->expire_date_ms) at = rule->expire_date_ms;
    if (at >= first) continue;
    first = at;
    if (out_rule) *out_rule = rule;
  }
  return first;
}

uint64_t s3_lifecycle_expires_noncurrent(const struct s3_lifecycle *l, const struct s3_lifecycle_object *o,
                                         uint64_t since_ms, uint64_t newer, uint64_t day_ms) {
  uint64_t first = UINT64_MAX;
  for (size_t i = 0; i < l->count; i++) {
    const struct s3_lifecycle_rule *rule = &l->rule[i];
    if (!rule->enabled || !rule->noncurrent_days || newer < rule->noncurrent_newer) continue;
    if (!is_about(&rule->filter, o)) continue;
    uint64_t at = days_after(since_ms, rule->noncurrent_days, day_ms);
    if (at < first) first = at;
  }
  return first;
}

uint64_t s3_lifecycle_expires_marker(const struct s3_lifecycle *l, struct slice key, uint64_t modified_ms,
                                     uint64_t day_ms) {
  const struct s3_lifecycle_object o = {.key = key, .is_marker = true};
  uint64_t first = UINT64_MAX;
  for (size_t i = 0; i < l->count; i++) {
    const struct s3_lifecycle_rule *rule = &l->rule[i];
    uint64_t at = UINT64_MAX;
    if (!rule->enabled || !is_about(&rule->filter, &o)) continue;
    if (rule->expire_days) at = days_after(modified_ms, rule->expire_days, day_ms);
    if (rule->expire_markers) at = modified_ms;
    if (at < first) first = at;
  }
  return first;
}

bool s3_lifecycle_by_tags(const struct s3_lifecycle *l) {
  for (size_t i = 0; i < l->count; i++)
    if (l->rule[i].enabled && l->rule[i].filter.tag_count > 0) return true;
  return false;
}

void s3_lifecycle_expiration(const struct s3_lifecycle_rule *rule, uint64_t at_ms, struct buf *out) {
  char date[30];
  assert(rule->id.len > 0 && at_ms != UINT64_MAX);
  time_http(at_ms, date);
  buf_printf(out, "expiry-date=\"%s\", rule-id=\"", date);
  percent_encode(out, rule->id, false);
  buf_append_byte(out, '"');
}

uint64_t s3_lifecycle_aborts(const struct s3_lifecycle *l, struct slice key, uint64_t begun_ms,
                             uint64_t day_ms) {
  uint64_t first = UINT64_MAX;
  for (size_t i = 0; i < l->count; i++) {
    const struct s3_lifecycle_rule *rule = &l->rule[i];
    if (!rule->enabled || !rule->abort_days) continue;
    if (rule->filter.has_prefix && !slice_starts_with(key, rule->filter.prefix)) continue;
    uint64_t at = days_after(begun_ms, rule->abort_days, day_ms);
    if (at < first) first = at;
  }
  return first;
}

struct slice s3_lifecycle_prefix(const struct s3_lifecycle *l) {
  struct slice common = {0};
  bool any = false;
  for (size_t i = 0; i < l->count; i++) {
    struct slice prefix = l->rule[i].filter.prefix;
    if (!l->rule[i].enabled) continue;
    if (!any) common = prefix;
    any = true;
    size_t same = 0;
    while (same < common.len && same < prefix.len && common.data[same] == prefix.data[same]) same++;
    common = slice_cut(common, 0, same);
  }
  return common;
}
