#include "s3/form_policy.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "s3/route.h"

enum { DETAIL_BYTES_MAX = 160, NAME_SHOWN_MAX = 64 };

struct judge {
  const struct s3_form_fields *fields;
  struct slice bucket;
  struct arena *arena;
  struct s3_form_range range;
  bool named[S3_FORM_FIELDS_MAX];
  bool bucket_named;
  struct s3_fault *fault;
};

/* ---- saying no ------------------------------------------------------------------------------------- */

/* `before`, and the name of a field or the like behind it. */
static enum s3_error refuse(struct judge *j, enum s3_error error, const char *before, const char *name) {
  char text[DETAIL_BYTES_MAX];
  int n = snprintf(text, sizeof text, "%s%s", before, name);
  assert(n > 0 && n < (int)sizeof text);
  return fault_set(j->fault, error, arena_str(j->arena, slice_str(text)));
}

/* A name from outside in a message: printable, and not long. */
static const char *shown(struct slice name, char out[NAME_SHOWN_MAX + 1]) {
  size_t len = name.len < NAME_SHOWN_MAX ? name.len : NAME_SHOWN_MAX;
  assert(out != NULL);
  for (size_t i = 0; i < len; i++)
    out[i] = name.data[i] >= ' ' && name.data[i] <= '~' ? (char)name.data[i] : '?';
  out[len] = 0;
  return out;
}

static enum s3_error invalid(struct judge *j, const char *what) {
  return refuse(j, S3_ERR_INVALID_FORM_POLICY, what, "");
}

static enum s3_error failed(struct judge *j, const char *op, struct slice name) {
  char text[NAME_SHOWN_MAX + 1], condition[NAME_SHOWN_MAX + 32];
  snprintf(condition, sizeof condition, "[\"%s\", \"$%s\", ...]", op, shown(name, text));
  return refuse(j, S3_ERR_DENIED_BY_FORM_POLICY, "Policy Condition failed: ", condition);
}

/* ---- values ------------------------------------------------------------------------------------------- */

static struct slice text_of(const json_t *value) {
  if (!json_is_string(value)) return (struct slice){0};
  return slice_of(json_string_value(value), json_string_length(value));
}

/* What the form has under that name, or nothing. Marks it as named. The bucket is the one that the form was
 * sent to, whatever a field of that name says. */
static struct slice value_of(struct judge *j, struct slice name) {
  struct slice value = SLICE_LIT("");
  assert(name.len > 0);
  for (size_t i = 0; i < j->fields->count; i++) {
    if (!slice_equal_nocase(j->fields->item[i].name, name)) continue;
    j->named[i] = true;
    value = j->fields->item[i].value;
  }
  if (!slice_equal_nocase(name, SLICE_LIT("bucket"))) return value;
  j->bucket_named = true;
  return j->bucket;
}

/* "2026-12-31T23:59:59Z", with or without a fraction of a second, which is dropped. */
static bool time_parse(struct slice text, uint64_t *out_ms) {
  static const char shape[] = "dddd-dd-ddTdd:dd:dd";
  const size_t len = sizeof shape - 1;
  char amz[AUTH_DATE_SIZE];
  size_t n = 0;
  assert(out_ms != NULL);
  if (text.len <= len || text.data[text.len - 1] != 'Z') return false;
  for (size_t i = 0; i < len; i++) {
    bool digit = text.data[i] >= '0' && text.data[i] <= '9';
    if (shape[i] == 'd' ? !digit : text.data[i] != (uint8_t)shape[i]) return false;
    if (digit || shape[i] == 'T') amz[n++] = (char)text.data[i];
  }
  struct slice rest = slice_cut(text, len, text.len - 1);
  if (rest.len > 0 && (rest.data[0] != '.' || rest.len == 1)) return false;
  for (size_t i = 1; i < rest.len; i++)
    if (rest.data[i] < '0' || rest.data[i] > '9') return false;
  amz[n++] = 'Z';
  assert(n == AUTH_DATE_SIZE);
  return time_parse_amz(slice_of(amz, n), out_ms) == DOM_OK;
}

static bool number_parse(const json_t *value, uint64_t *out) {
  if (json_is_integer(value)) {
    json_int_t n = json_integer_value(value);
    if (n < 0) return false;
    *out = (uint64_t)n;
    return true;
  }
  struct slice text = text_of(value);
  return text.len > 0 && slice_to_u64(text, out) == DOM_OK;
}

/* ---- conditions ------------------------------------------------------------------------------------------
 */

static enum s3_error equal_check(struct judge *j, struct slice name, struct slice wanted) {
  return slice_equal(value_of(j, name), wanted) ? S3_OK : failed(j, "eq", name);
}

/* Each of several types, separated by commas, begins so. */
static bool all_start_with(struct slice list, struct slice prefix) {
  struct slice rest = list;
  do {
    size_t comma = slice_find(rest, ',');
    if (!slice_starts_with(auth_value_trim(slice_cut(rest, 0, comma)), prefix)) return false;
    rest = slice_cut(rest, comma < rest.len ? comma + 1 : comma, rest.len);
  } while (rest.len > 0);
  return true;
}

static enum s3_error prefix_check(struct judge *j, struct slice name, struct slice prefix) {
  struct slice value = value_of(j, name);
  bool is_list = slice_equal_nocase(name, SLICE_LIT("content-type"));
  bool holds = is_list ? all_start_with(value, prefix) : slice_starts_with(value, prefix);
  return holds ? S3_OK : failed(j, "starts-with", name);
}

static enum s3_error range_check(struct judge *j, const json_t *list) {
  uint64_t min = 0, max = 0;
  bool fits = number_parse(json_array_get(list, 1), &min) && number_parse(json_array_get(list, 2), &max);
  if (!fits || min > max) return invalid(j, "content-length-range needs two numbers");
  if (min > j->range.bytes_min) j->range.bytes_min = min;
  if (max < j->range.bytes_max) j->range.bytes_max = max;
  return S3_OK;
}

static enum s3_error list_check(struct judge *j, const json_t *list) {
  struct slice op = text_of(json_array_get(list, 0)), name = text_of(json_array_get(list, 1)),
               value = text_of(json_array_get(list, 2));
  if (json_array_size(list) != 3) return invalid(j, "a condition has an operator, a field and a value");
  if (slice_equal_nocase(op, SLICE_LIT("content-length-range"))) return range_check(j, list);
  bool is_equal = slice_equal_nocase(op, SLICE_LIT("eq"));
  if (!is_equal && !slice_equal_nocase(op, SLICE_LIT("starts-with")))
    return invalid(j, "an operator is eq, starts-with or content-length-range");
  if (name.len < 2 || name.data[0] != '$' || value.data == NULL)
    return invalid(j, "a condition needs \"$field\" and a text");
  name = slice_cut(name, 1, name.len);
  return is_equal ? equal_check(j, name, value) : prefix_check(j, name, value);
}

static enum s3_error object_check(struct judge *j, const json_t *object) {
  const char *name = json_object_iter_key(json_object_iter((json_t *)object));
  struct slice value = name != NULL ? text_of(json_object_get(object, name)) : (struct slice){0};
  if (name == NULL || json_object_size(object) != 1 || name[0] == 0)
    return invalid(j, "Simple-Conditions must have exactly one property specified");
  if (value.data == NULL) return invalid(j, "a condition needs a text");
  return equal_check(j, slice_str(name), value);
}

/* Fields that no condition need name. */
static bool is_free(struct slice name) {
  static const char *const names[] = {"policy", "x-amz-signature", "file"};
  static const char ignore[] = "x-ignore-";
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (slice_equal_nocase(name, slice_str(names[i]))) return true;
  return name.len >= sizeof ignore - 1 &&
         slice_equal_nocase(slice_cut(name, 0, sizeof ignore - 1), slice_str(ignore));
}

static enum s3_error extra_check(struct judge *j) {
  char text[NAME_SHOWN_MAX + 1];
  if (!j->bucket_named) return refuse(j, S3_ERR_DENIED_BY_FORM_POLICY, "Extra input fields: ", "bucket");
  for (size_t i = 0; i < j->fields->count; i++)
    if (!j->named[i] && !is_free(j->fields->item[i].name))
      return refuse(j, S3_ERR_DENIED_BY_FORM_POLICY,
                    "Extra input fields: ", shown(j->fields->item[i].name, text));
  return S3_OK;
}

/* ---- the document
 * ------------------------------------------------------------------------------------------ */

static enum s3_error expiration_check(struct judge *j, const json_t *root, uint64_t now_ms) {
  uint64_t ends_ms = 0;
  if (!time_parse(text_of(json_object_get(root, "expiration")), &ends_ms))
    return invalid(j, "a policy needs an expiration such as 2030-12-31T12:00:00.000Z");
  return now_ms < ends_ms ? S3_OK : refuse(j, S3_ERR_DENIED_BY_FORM_POLICY, "Policy expired.", "");
}

static enum s3_error conditions_check(struct judge *j, const json_t *root) {
  const json_t *list = json_object_get(root, "conditions");
  if (!json_is_array(list)) return invalid(j, "a policy needs a list of conditions");
  if (json_array_size(list) > S3_FORM_CONDITIONS_MAX) return invalid(j, "too many conditions");
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *each = json_array_get(list, i);
    enum s3_error error = json_is_array(each)    ? list_check(j, each)
                          : json_is_object(each) ? object_check(j, each)
                                                 : invalid(j, "a condition is a list or an object");
    if (error) return error;
  }
  return extra_check(j);
}

static enum s3_error document_check(struct judge *j, const json_t *root, uint64_t now_ms) {
  json_t *value;
  const char *name;
  if (!json_is_object(root)) return invalid(j, "a policy is a JSON object");
  json_object_foreach((json_t *)root, name, value) {
    if (strcmp(name, "expiration") != 0 && strcmp(name, "conditions") != 0)
      return invalid(j, "a policy has expiration and conditions, nothing else");
  }
  enum s3_error error = expiration_check(j, root, now_ms);
  return error ? error : conditions_check(j, root);
}

/* Before a recursive reader sees it. Brackets in strings do not count. */
static bool depth_fits(struct slice text) {
  unsigned depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.len; i++) {
    uint8_t c = text.data[i];
    if (in_string && c == '\\') {
      i++;
    } else if (c == '"') {
      in_string = !in_string;
    } else if (!in_string && (c == '[' || c == '{')) {
      if (++depth > S3_FORM_POLICY_DEPTH_MAX) return false;
    } else if (!in_string && (c == ']' || c == '}') && depth > 0) {
      depth--;
    }
  }
  return true;
}

enum s3_error s3_form_policy_check(struct slice policy, const struct s3_form_fields *fields,
                                   struct slice bucket, uint64_t now_ms, struct arena *arena,
                                   struct s3_form_range *out_range, struct s3_fault *fault) {
  BUF_AUTO text = BUF_INIT;
  assert(fields != NULL && bucket.len > 0 && arena != NULL && out_range != NULL && fault != NULL);
  struct judge j = {.fields = fields, .bucket = bucket, .arena = arena, .range = *out_range, .fault = fault};
  if (base64_decode(policy, &text) != DOM_OK) return invalid(&j, "it is not base64");
  if (text.failed) return fault_set(fault, S3_ERR_INTERNAL_ERROR, NULL);
  if (text.len == 0 || !depth_fits(buf_slice(&text))) return invalid(&j, "Invalid JSON.");
  json_t *root = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
  if (root == NULL) return invalid(&j, "Invalid JSON.");
  enum s3_error error = document_check(&j, root, now_ms);
  json_decref(root);
  if (!error) *out_range = j.range;
  return error;
}
