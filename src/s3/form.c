#include "s3/form.h"

#include <assert.h>
#include <string.h>

#include "s3/route.h"

enum { AT_START, AFTER_DELIMITER, AT_PART, IN_FILE, AT_END };

/* ---- parameters of a header ----------------------------------------------------------------------- */

static bool is_blank(uint8_t c) {
  return c == ' ' || c == '\t';
}

static struct slice skip_blanks(struct slice s) {
  while (s.len > 0 && is_blank(s.data[0])) s = slice_cut(s, 1, s.len);
  return s;
}

/* How long the text in quotes is that `s` begins with, its end not counted; s.len without one. A quote after
 * a backslash is no end: older clients write file names so, and others write paths with backslashes. */
static size_t quoted_len(struct slice s) {
  assert(s.len > 0 && s.data[0] == '"');
  for (size_t i = 1; i < s.len; i++)
    if (s.data[i] == '"' && s.data[i - 1] != '\\') return i;
  return s.len;
}

/* The next `; name=value` of *rest; false when it is none. */
static bool param_take(struct slice *rest, struct slice *out_name, struct slice *out_value) {
  struct slice s = skip_blanks(*rest);
  assert(out_name != NULL && out_value != NULL);
  if (s.len == 0 || s.data[0] != ';') return false;
  s = skip_blanks(slice_cut(s, 1, s.len));
  size_t equals = slice_find(s, '=');
  if (equals == 0 || equals == s.len) return false;
  *out_name = slice_cut(s, 0, equals);
  s = slice_cut(s, equals + 1, s.len);
  if (s.len > 0 && s.data[0] == '"') {
    size_t end = quoted_len(s);
    if (end == s.len) return false;
    *out_value = slice_cut(s, 1, end);
    *rest = slice_cut(s, end + 1, s.len);
    return true;
  }
  size_t end = 0;
  while (end < s.len && s.data[end] != ';' && !is_blank(s.data[end])) end++;
  *out_value = slice_cut(s, 0, end);
  *rest = slice_cut(s, end, s.len);
  return end > 0;
}

/* What stands before the parameters is `kind`; then *out_rest are they. */
static bool value_begins(struct slice value, struct slice kind, struct slice *out_rest) {
  assert(kind.len > 0);
  value = auth_value_trim(value);
  if (value.len < kind.len || !slice_equal_nocase(slice_cut(value, 0, kind.len), kind)) return false;
  *out_rest = slice_cut(value, kind.len, value.len);
  return out_rest->len == 0 || out_rest->data[0] == ';' || is_blank(out_rest->data[0]);
}

/* ---- the boundary ------------------------------------------------------------------------------------ */

static bool boundary_fits(struct slice b) {
  static const char marks[] = "'()+_,-./:=? ";
  if (b.len == 0 || b.len > S3_FORM_BOUNDARY_MAX || b.data[b.len - 1] == ' ') return false;
  for (size_t i = 0; i < b.len; i++) {
    uint8_t c = b.data[i];
    bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!plain && memchr(marks, c, sizeof marks - 1) == NULL) return false;
  }
  return true;
}

enum s3_error s3_form_begin(struct slice content_type, struct s3_form *out) {
  struct slice rest, name, value, boundary = {0};
  assert(out != NULL);
  if (!value_begins(content_type, SLICE_LIT("multipart/form-data"), &rest)) return S3_ERR_POST_NOT_FORM;
  while (param_take(&rest, &name, &value)) {
    if (!slice_equal_nocase(name, SLICE_LIT("boundary"))) continue;
    if (boundary.data != NULL) return S3_ERR_MALFORMED_POST;
    boundary = value;
  }
  if (skip_blanks(rest).len > 0 || !boundary_fits(boundary)) return S3_ERR_MALFORMED_POST;
  struct s3_form f = {.delimiter = "\r\n--", .delimiter_len = 4 + boundary.len, .state = AT_START};
  memcpy(f.delimiter + 4, boundary.data, boundary.len);
  *out = f;
  return S3_OK;
}

/* Where the delimiter begins in `in`, or could begin with what is still to come. */
static size_t delimiter_find(const struct s3_form *f, struct slice in, bool *out_whole) {
  const uint8_t *at = in.len > 0 ? memmem(in.data, in.len, f->delimiter, f->delimiter_len) : NULL;
  *out_whole = at != NULL;
  if (at != NULL) return (size_t)(at - in.data);
  size_t from = in.len < f->delimiter_len ? 0 : in.len - f->delimiter_len + 1;
  for (; from < in.len; from++)
    if (memcmp(in.data + from, f->delimiter, in.len - from) == 0) return from;
  return in.len;
}

/* ---- parts ----------------------------------------------------------------------------------------------
 */

/* One state's step. `used` 0 and *out MORE: not enough bytes. */
static enum s3_error start_step(struct s3_form *f, struct slice in, size_t *used) {
  struct slice open = slice_of(f->delimiter, f->delimiter_len);
  bool leading = in.len > 0 && in.data[0] == '\r';
  if (!leading) open = slice_cut(open, 2, open.len);
  size_t shown = in.len < open.len ? in.len : open.len;
  assert(*used == 0);
  if (shown > 0 && memcmp(in.data, open.data, shown) != 0) return S3_ERR_MALFORMED_POST;
  if (in.len < open.len) return S3_OK;
  f->state = AFTER_DELIMITER;
  *used = open.len;
  return S3_OK;
}

/* "--" after the last one, else blanks and the end of the line. */
static enum s3_error delimiter_step(struct s3_form *f, struct slice in, size_t *used) {
  size_t at = 0;
  assert(*used == 0);
  if (in.len >= 2 && in.data[0] == '-' && in.data[1] == '-') {
    f->state = AT_END;
    *used = 2;
    return S3_OK;
  }
  if (in.len == 1 && in.data[0] == '-') return S3_OK;
  while (at < in.len && is_blank(in.data[at])) at++;
  if (at < in.len && in.data[at] != '\r') return S3_ERR_MALFORMED_POST;
  if (at + 1 < in.len && in.data[at + 1] != '\n') return S3_ERR_MALFORMED_POST;
  if (at + 1 >= in.len) return S3_OK;
  f->state = AT_PART;
  *used = at + 2;
  return S3_OK;
}

/* Name and file name out of a Content-Disposition. */
static bool disposition_parse(struct slice value, struct s3_form_event *out) {
  struct slice rest, name, text;
  assert(out != NULL);
  if (!value_begins(value, SLICE_LIT("form-data"), &rest)) return false;
  while (param_take(&rest, &name, &text)) {
    bool is_name = slice_equal_nocase(name, SLICE_LIT("name"));
    struct slice *to = is_name ? &out->name : &out->value;
    if (!is_name && !slice_equal_nocase(name, SLICE_LIT("filename"))) continue;
    if (to->data != NULL) return false;
    *to = text;
  }
  return skip_blanks(rest).len == 0 && out->name.len > 0;
}

/* The lines of a part's head; exactly one of them says what it is. */
static bool part_head_parse(struct slice head, struct s3_form_event *out) {
  unsigned count = 0;
  while (head.len > 0) {
    const uint8_t *end = memmem(head.data, head.len, "\r\n", 2);
    assert(end != NULL); /* the caller's slice ends with one */
    struct slice line = slice_cut(head, 0, (size_t)(end - head.data));
    head = slice_cut(head, line.len + 2, head.len);
    size_t colon = slice_find(line, ':');
    if (colon == 0 || colon == line.len) return false;
    if (!slice_equal_nocase(slice_cut(line, 0, colon), SLICE_LIT("content-disposition"))) continue;
    if (count++ > 0 || !disposition_parse(slice_cut(line, colon + 1, line.len), out)) return false;
  }
  return count == 1;
}

/* A field as a whole, or the head of the file. */
static enum s3_error part_step(struct s3_form *f, struct slice in, size_t *used, struct s3_form_event *out) {
  const uint8_t *end = in.len > 0 ? memmem(in.data, in.len, "\r\n\r\n", 4) : NULL;
  struct s3_form_event event = {.kind = S3_FORM_FIELD};
  bool whole = false;
  assert(*used == 0);
  if (end == NULL) return S3_OK;
  struct slice head = slice_cut(in, 0, (size_t)(end - in.data) + 2);
  if (!part_head_parse(head, &event)) return S3_ERR_MALFORMED_POST;
  if (slice_equal_nocase(event.name, SLICE_LIT("file"))) {
    if (f->has_file) return S3_ERR_POST_FILES;
    event.kind = S3_FORM_FILE;
    f->state = IN_FILE;
    *used = head.len + 2;
    *out = event;
    return S3_OK;
  }
  /* The empty line's own end may be the delimiter's: then the value is empty. */
  struct slice rest = slice_cut(in, head.len, in.len);
  size_t at = delimiter_find(f, rest, &whole);
  if (!whole) return S3_OK;
  event.value = at < 2 ? SLICE_LIT("") : slice_cut(rest, 2, at);
  f->state = AFTER_DELIMITER;
  *used = head.len + at + f->delimiter_len;
  *out = event;
  return S3_OK;
}

static enum s3_error file_step(struct s3_form *f, struct slice in, size_t *used, struct s3_form_event *out) {
  bool whole = false;
  size_t at = delimiter_find(f, in, &whole);
  assert(*used == 0);
  if (at > 0) {
    *out = (struct s3_form_event){.kind = S3_FORM_DATA, .value = slice_cut(in, 0, at)};
    *used = at;
  } else if (whole) {
    f->state = AFTER_DELIMITER;
    f->has_file = true;
    *used = f->delimiter_len;
  }
  return S3_OK;
}

static enum s3_error step(struct s3_form *f, struct slice in, size_t *used, struct s3_form_event *out) {
  switch (f->state) {
  case AT_START:
    return start_step(f, in, used);
  case AFTER_DELIMITER: {
    enum s3_error error = delimiter_step(f, in, used);
    if (!error && f->state == AT_END) out->kind = S3_FORM_END;
    return error;
  }
  case AT_PART:
    return part_step(f, in, used, out);
  case IN_FILE:
    return file_step(f, in, used, out);
  default: /* an epilogue, which means nothing */
    assert(f->state == AT_END);
    *used = in.len;
    return S3_OK;
  }
}

/* The file is bounded by whoever reads it; all else here. */
static enum s3_error bound(struct s3_form *f, bool in_file, size_t used, size_t left) {
  size_t max = f->has_file ? S3_FORM_TAIL_BYTES_MAX : S3_FORM_FIELDS_BYTES_MAX;
  if (in_file) {
    f->taken = 0;
    return S3_OK;
  }
  f->taken += used;
  assert(f->taken >= used);
  if (f->taken <= max && left <= max - f->taken) return S3_OK;
  return f->has_file ? S3_ERR_MALFORMED_POST : S3_ERR_MAX_POST_DATA;
}

enum s3_error s3_form_next(struct s3_form *f, struct slice in, size_t *out_used, struct s3_form_event *out) {
  size_t total = 0;
  struct s3_form_event event = {.kind = S3_FORM_MORE};
  assert(f != NULL && out_used != NULL && out != NULL && f->delimiter_len > 4);
  for (;;) {
    size_t used = 0;
    struct slice rest = slice_cut(in, total, in.len);
    bool in_file = f->state == IN_FILE;
    enum s3_error error = step(f, rest, &used, &event);
    bool stuck = event.kind == S3_FORM_MORE && used == 0;
    if (!error) error = bound(f, in_file, used, stuck ? rest.len : 0);
    if (error) return error;
    total += used;
    if (event.kind == S3_FORM_MORE && !stuck && total < in.len) continue;
    *out_used = total;
    *out = event;
    return S3_OK;
  }
}

bool s3_form_is_done(const struct s3_form *f) {
  assert(f != NULL);
  return f->state == AT_END;
}

/* ---- the fields ------------------------------------------------------------------------------------------
 */

static struct auth_header *field_find(struct s3_form_fields *fields, struct slice name) {
  assert(fields->count <= S3_FORM_FIELDS_MAX);
  for (size_t i = 0; i < fields->count; i++)
    if (slice_equal_nocase(fields->item[i].name, name)) return &fields->item[i];
  return NULL;
}

struct slice s3_form_field(const struct s3_form_fields *fields, const char *name) {
  assert(fields != NULL && name != NULL);
  for (size_t i = 0; i < fields->count; i++)
    if (slice_equal_nocase(fields->item[i].name, slice_str(name))) return fields->item[i].value;
  return (struct slice){0};
}

static bool keep(struct arena *arena, struct slice text, struct slice *out) {
  *out = text.len > 0 ? arena_copy(arena, text) : SLICE_LIT("");
  return out->data != NULL;
}

/* Browsers of old send whole paths. */
static struct slice file_name_of(struct slice path) {
  size_t from = path.len;
  while (from > 0 && path.data[from - 1] != '/' && path.data[from - 1] != '\\') from--;
  return slice_cut(path, from, path.len);
}

enum s3_error s3_form_add(struct s3_form_fields *fields, const struct s3_form_event *event,
                          struct arena *arena, struct s3_fault *fault) {
  struct auth_header line;
  assert(event->kind == S3_FORM_FIELD || event->kind == S3_FORM_FILE);
  if (event->kind == S3_FORM_FILE) {
    bool kept = keep(arena, file_name_of(event->value), &fields->file_name);
    return kept ? S3_OK : fault_set(fault, S3_ERR_INTERNAL_ERROR, NULL);
  }
  if (field_find(fields, event->name) != NULL)
    return fault_set(fault, S3_ERR_INVALID_ARGUMENT, "a field of the form occurs twice");
  if (fields->count == S3_FORM_FIELDS_MAX) return fault_set(fault, S3_ERR_MAX_POST_DATA, NULL);
  if (!keep(arena, event->name, &line.name) || !keep(arena, event->value, &line.value))
    return fault_set(fault, S3_ERR_INTERNAL_ERROR, NULL);
  fields->item[fields->count++] = line;
  return S3_OK;
}

static const char variable[] = "${filename}";

/* `value` with the name for each variable; data NULL: no memory, or longer than a form may be. */
static enum s3_error value_expand(struct slice value, struct slice name, struct arena *arena,
                                  struct slice *out) {
  const size_t len = sizeof variable - 1;
  BUF_AUTO text = BUF_INIT;
  const uint8_t *at;
  assert(out != NULL);
  while (value.len > 0 && (at = memmem(value.data, value.len, variable, len)) != NULL) {
    size_t before = (size_t)(at - value.data);
    buf_append_slice(&text, slice_cut(value, 0, before));
    buf_append_slice(&text, name);
    value = slice_cut(value, before + len, value.len);
    if (text.len > S3_FORM_FIELDS_BYTES_MAX) return S3_ERR_MAX_POST_DATA;
  }
  buf_append_slice(&text, value);
  if (text.len > S3_FORM_FIELDS_BYTES_MAX) return S3_ERR_MAX_POST_DATA;
  return !text.failed && keep(arena, buf_slice(&text), out) ? S3_OK : S3_ERR_INTERNAL_ERROR;
}

enum s3_error s3_form_expand(struct s3_form_fields *fields, struct arena *arena) {
  assert(fields != NULL && arena != NULL);
  for (size_t i = 0; i < fields->count; i++) {
    struct auth_header *field = &fields->item[i];
    bool has = field->value.len > 0 &&
               memmem(field->value.data, field->value.len, variable, sizeof variable - 1) != NULL;
    if (!has || slice_equal_nocase(field->name, SLICE_LIT("policy"))) continue;
    enum s3_error error = value_expand(field->value, fields->file_name, arena, &field->value);
    if (error) return error;
  }
  return S3_OK;
}
