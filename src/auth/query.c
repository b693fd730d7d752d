#include "auth/query.h"

#include <assert.h>

static size_t pairs_count(struct slice raw) {
  size_t count = 0;
  size_t at = 0;
  while (at < raw.len) {
    size_t end = at + slice_find(slice_cut(raw, at, raw.len), '&');
    if (end > at) count++;
    at = end + 1;
  }
  assert(count <= raw.len);
  return count;
}

/* Decodes into the arena; most values hold no escape and are borrowed as they are. */
static enum auth_error decode(struct slice raw, struct arena *arena, struct slice *out) {
  assert(arena != NULL && out != NULL);
  if (slice_find(raw, '%') == raw.len && slice_find(raw, '+') == raw.len) {
    *out = raw;
    return AUTH_OK;
  }
  BUF_AUTO text = BUF_INIT;
  if (percent_decode(raw, true, &text) != DOM_OK) return text.failed ? AUTH_NO_MEMORY : AUTH_INVALID_URI;
  if (text.failed) return AUTH_NO_MEMORY;
  struct slice copy = arena_copy(arena, buf_slice(&text));
  if (copy.data == NULL && text.len > 0) return AUTH_NO_MEMORY;
  *out = copy;
  return AUTH_OK;
}

static enum auth_error pair_parse(struct slice raw, struct arena *arena, struct auth_param *out) {
  assert(raw.len > 0);
  size_t equals = slice_find(raw, '=');
  struct auth_param param = {.bare = equals == raw.len};
  enum auth_error error = decode(slice_cut(raw, 0, equals), arena, &param.name);
  if (error == AUTH_OK && !param.bare)
    error = decode(slice_cut(raw, equals + 1, raw.len), arena, &param.value);
  if (error == AUTH_OK) *out = param;
  return error;
}

enum auth_error auth_query_parse(struct slice raw_query, struct arena *arena, struct auth_query *out) {
  assert(arena != NULL && out != NULL);
  struct auth_query query = {0};
  size_t expected = pairs_count(raw_query);
  if (expected > AUTH_QUERY_PARAMS_MAX) return AUTH_TOO_MANY_PARTS;
  if (expected > 0) {
    query.params = arena_alloc(arena, expected * sizeof *query.params);
    if (query.params == NULL) return AUTH_NO_MEMORY;
  }
  size_t at = 0;
  while (at < raw_query.len) {
    size_t end = at + slice_find(slice_cut(raw_query, at, raw_query.len), '&');
    if (end > at) {
      enum auth_error error = pair_parse(slice_cut(raw_query, at, end), arena, &query.params[query.count]);
      if (error != AUTH_OK) return error;
      query.count++;
    }
    at = end + 1;
  }
  assert(query.count == expected);
  *out = query;
  return AUTH_OK;
}

size_t auth_query_find(const struct auth_query *query, struct slice name, struct slice *out_value) {
  assert(query != NULL && out_value != NULL);
  size_t count = 0;
  for (size_t i = 0; i < query->count; i++) {
    if (!slice_equal(query->params[i].name, name)) continue;
    if (count == 0) *out_value = query->params[i].value;
    count++;
  }
  return count;
}
