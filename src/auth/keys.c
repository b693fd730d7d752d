#include "auth/keys.h"

#include <assert.h>
#include <pthread.h>

#include "base/alloc.h"
#include "base/crypto.h"

/* Rows are sorted by access key. The secrets lie in locked memory (secret_alloc). */
struct auth_keys {
  pthread_rwlock_t lock;
  struct auth_key *rows;
  size_t count;
};

void auth_key_done(struct auth_key *key) {
  assert(key != NULL);
  wipe(key->secret, sizeof key->secret);
}

/* Printable ASCII without blanks, ':' or, in names, the separators of a credential. */
static bool part_is_clean(struct slice s, bool is_name) {
  assert(s.data != NULL || s.len == 0);
  for (size_t i = 0; i < s.len; i++) {
    uint8_t c = s.data[i];
    if (c <= ' ' || c > '~' || c == ':') return false;
    if (is_name && (c == '/' || c == ',')) return false;
  }
  return s.len > 0;
}

static enum dom_code part_copy(struct slice s, bool is_name, char *out, size_t max, struct dom_err *err) {
  assert(out != NULL && max > 0);
  if (!part_is_clean(s, is_name))
    return dom_fail(err, DOM_INVALID, "auth/keys: parse",
                    "a key must read ACCESS:SECRET[:ACCOUNT] in plain characters");
  if (s.len > max)
    return dom_fail(err, DOM_TOO_LARGE, "auth/keys: parse", "a part of a key has more than %zu characters",
                    max);
  memcpy(out, s.data, s.len);
  out[s.len] = '\0';
  return DOM_OK;
}

enum dom_code auth_key_parse(struct auth_key_spec spec, struct auth_key *out, struct dom_err *err) {
  assert(out != NULL);
  struct slice text = spec.text;
  struct slice account = SLICE_LIT(AUTH_ACCOUNT_DEFAULT);
  size_t colon = slice_find(text, ':');
  struct slice access = slice_cut(text, 0, colon);
  struct slice secret = slice_cut(text, colon < text.len ? colon + 1 : colon, text.len);
  colon = slice_find(secret, ':');
  if (colon < secret.len) {
    account = slice_cut(secret, colon + 1, secret.len);
    secret = slice_cut(secret, 0, colon);
  }
  struct auth_key key = {.is_operator = spec.is_operator};
  enum dom_code code = part_copy(access, true, key.access, AUTH_ACCESS_KEY_BYTES_MAX, err);
  if (code == DOM_OK) code = part_copy(secret, false, key.secret, AUTH_SECRET_BYTES_MAX, err);
  if (code == DOM_OK) code = part_copy(account, true, key.account, AUTH_ACCOUNT_BYTES_MAX, err);
  if (code == DOM_OK) *out = key;
  auth_key_done(&key);
  return code;
}

struct auth_keys *auth_keys_new(void) {
  struct auth_keys *keys = dom_calloc(1, sizeof *keys);
  if (keys == NULL) return NULL;
  int failed = pthread_rwlock_init(&keys->lock, NULL);
  assert(failed == 0);
  return keys;
}

static void rows_free(struct auth_key *rows, size_t count) {
  assert(rows != NULL || count == 0);
  if (rows != NULL) secret_free(rows, count * sizeof *rows);
}

void auth_keys_free(struct auth_keys *keys) {
  if (keys == NULL) return;
  rows_free(keys->rows, keys->count);
  int failed = pthread_rwlock_destroy(&keys->lock);
  assert(failed == 0);
  dom_free(keys);
}

static int access_compare(const struct auth_key *row, struct slice access) {
  assert(row != NULL);
  return slice_compare(slice_str(row->access), access);
}

/* Place of `access` in sorted rows, or where it would be inserted. */
static size_t rows_place(const struct auth_key *rows, size_t count, struct slice access) {
  size_t low = 0;
  size_t high = count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (access_compare(&rows[middle], access) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  assert(low <= count);
  return low;
}

static enum dom_code row_insert(struct auth_key *rows, size_t count, const struct auth_key *key,
                                struct dom_err *err) {
  assert(rows != NULL && key != NULL);
  struct slice access = slice_str(key->access);
  size_t place = rows_place(rows, count, access);
  if (place < count && access_compare(&rows[place], access) == 0)
    return dom_fail(err, DOM_EXISTS, "auth/keys: replace", "access key %s is given twice", key->access);
  memmove(&rows[place + 1], &rows[place], (count - place) * sizeof *rows);
  rows[place] = *key;
  return DOM_OK;
}

enum dom_code auth_keys_replace(struct auth_keys *keys, const struct auth_key_spec *specs, size_t count,
                                struct dom_err *err) {
  assert(keys != NULL && (specs != NULL || count == 0));
  struct auth_key *rows = NULL;
  if (count > 0) {
    rows = secret_alloc(count * sizeof *rows);
    if (rows == NULL)
      return dom_fail(err, DOM_NO_MEMORY, "auth/keys: replace", "no memory for %zu keys", count);
  }
  enum dom_code code = DOM_OK;
  for (size_t i = 0; i < count && code == DOM_OK; i++) {
    struct auth_key key;
    code = auth_key_parse(specs[i], &key, err);
    if (code != DOM_OK) break;
    code = row_insert(rows, i, &key, err);
    auth_key_done(&key);
  }
  if (code != DOM_OK) {
    rows_free(rows, count);
    return code;
  }
  pthread_rwlock_wrlock(&keys->lock);
  struct auth_key *rows_old = keys->rows;
  size_t count_old = keys->count;
  keys->rows = rows;
  keys->count = count;
  pthread_rwlock_unlock(&keys->lock);
  rows_free(rows_old, count_old);
  return DOM_OK;
}

bool auth_keys_find(void *context, struct slice access, struct auth_key *out) {
  struct auth_keys *keys = context;
  assert(keys != NULL && out != NULL);
  pthread_rwlock_rdlock(&keys->lock);
  size_t place = rows_place(keys->rows, keys->count, access);
  bool found = place < keys->count && access_compare(&keys->rows[place], access) == 0;
  if (found) *out = keys->rows[place];
  pthread_rwlock_unlock(&keys->lock);
  return found;
}

size_t auth_keys_count(struct auth_keys *keys) {
  assert(keys != NULL);
  pthread_rwlock_rdlock(&keys->lock);
  size_t count = keys->count;
  pthread_rwlock_unlock(&keys->lock);
  return count;
}
