/* Access keys from files: one "ACCESS:SECRET[:ACCOUNT]" a line, '#' begins a comment line. */
#include <assert.h>

#include "serve/daemon.h"

enum {
  KEYS_FILE_MAX = 4 * 1024 * 1024, /* some 40,000 keys */
  KEYS_MAX = 65536
};

struct specs {
  struct auth_key_spec *at;
  size_t count, cap;
};

static bool add(struct specs *s, struct slice text, bool is_operator) {
  if (s->count == s->cap) {
    size_t cap = s->cap ? 2 * s->cap : 64;
    struct auth_key_spec *at = cap <= KEYS_MAX ? dom_realloc(s->at, cap * sizeof *at) : NULL;
    if (!at) return false;
    s->at = at;
    s->cap = cap;
  }
  s->at[s->count++] = (struct auth_key_spec){.text = text, .is_operator = is_operator};
  return true;
}

static struct slice trim(struct slice s) {
  while (s.len && (s.data[0] == ' ' || s.data[0] == '\t')) s = slice_cut(s, 1, s.len);
  while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\r' || s.data[s.len - 1] == '\t'))
    s.len--;
  return s;
}

/* Adds the file's lines; they point into *text. */
static enum dom_code add_file(struct specs *s, const char *path, bool is_operator, struct buf *text,
                              struct dom_err *err) {
  if (!path) return DOM_OK;
  enum dom_code code = serve_file_read(path, true, KEYS_FILE_MAX, text, err);
  if (code) return code;
  struct slice rest = buf_slice(text);
  for (unsigned number = 1; rest.len; number++) {
    size_t end = slice_find(rest, '\n');
    struct slice line = trim(slice_cut(rest, 0, end));
    rest = slice_cut(rest, end < rest.len ? end + 1 : end, rest.len);
    if (line.len == 0 || line.data[0] == '#') continue;
    struct auth_key key;
    struct dom_err why = {0};
    code = auth_key_parse((struct auth_key_spec){.text = line, .is_operator = is_operator}, &key, &why);
    if (code) return dom_fail(err, code, "serve/keys", "%s:%u: %s", path, number, why.text);
    auth_key_done(&key);
    if (!add(s, line, is_operator))
      return dom_fail(err, DOM_TOO_LARGE, "serve/keys", "%s: too many keys", path);
  }
  return DOM_OK;
}

enum dom_code keys_load(const struct serve_config *c, struct auth_keys *keys, struct dom_err *err) {
  assert(c && keys);
  struct specs s = {0};
  struct buf accounts = BUF_INIT, operators = BUF_INIT;
  enum dom_code code = add_file(&s, c->accounts_file, false, &accounts, err);
  if (!code) code = add_file(&s, c->operators_file, true, &operators, err);
  for (size_t i = 0; i < c->dev_key_count && !code; i++)
    if (!add(&s, slice_str(c->dev_keys[i]), false))
      code = dom_fail(err, DOM_NO_MEMORY, "serve/keys", "no memory");
  if (!code) code = auth_keys_replace(keys, s.at, s.count, err);
  dom_free(s.at);
  buf_wipe_done(&accounts);
  buf_wipe_done(&operators);
  return code;
}
