#include "auth/chunked.h"

#include <assert.h>

void chunked_init(struct chunked *c) {
  assert(c != NULL);
  c->state = CHUNKED_HEAD;
  c->is_last = c->end_is_due = false;
  c->left = 0;
  c->line_len = c->trailer_len = 0;
}

/* Collects up to CRLF. *out_whole says whether the line is complete (in c->line, without CRLF). */
static bool line_take(struct chunked *c, struct slice in, size_t max, size_t *out_used, bool *out_whole) {
  assert(max <= sizeof c->line);
  *out_whole = false;
  for (size_t i = 0; i < in.len; i++) {
    bool after_return = c->line_len > 0 && c->line[c->line_len - 1] == '\r';
    if (after_return && in.data[i] == '\n') {
      c->line_len--;
      *out_used = i + 1;
      *out_whole = true;
      return true;
    }
    if (after_return || c->line_len == max) return false; /* a bare CR, or too long */
    c->line[c->line_len++] = in.data[i];
  }
  *out_used = in.len;
  return true;
}

static bool size_parse(struct slice text, uint64_t *out_size) {
  uint64_t size = 0;
  assert(out_size != NULL);
  if (text.len == 0 || text.len > 16) return false;
  for (size_t i = 0; i < text.len; i++) {
    uint8_t c = text.data[i];
    if (c >= '0' && c <= '9')
      size = size << 4 | (uint64_t)(c - '0');
    else if (c >= 'a' && c <= 'f')
      size = size << 4 | (uint64_t)(c - 'a' + 10);
    else if (c >= 'A' && c <= 'F')
      size = size << 4 | (uint64_t)(c - 'A' + 10);
    else
      return false;
  }
  *out_size = size;
  return true;
}

static enum auth_error head_parse(struct chunked *c, struct chunked_event *out) {
  static const char key[] = "chunk-signature=";
  struct slice line = slice_of(c->line, c->line_len);
  size_t end = slice_find(line, ';');
  assert(c->state == CHUNKED_HEAD);
  struct chunked_event event = {.kind = CHUNKED_BEGIN};
  if (!size_parse(slice_cut(line, 0, end), &event.size)) return AUTH_MALFORMED_CHUNK;
  if (end < line.len) {
    struct slice extension = slice_cut(line, end + 1, line.len);
    if (!slice_starts_with(extension, slice_str(key))) return AUTH_MALFORMED_CHUNK;
    event.signature = slice_cut(extension, sizeof key - 1, extension.len);
    if (event.signature.len != AUTH_SIGNATURE_HEX) return AUTH_MALFORMED_CHUNK;
  }
  c->line_len = 0;
  c->left = event.size;
  c->is_last = event.size == 0;
  c->end_is_due = c->is_last;
  c->state = c->is_last ? CHUNKED_TRAILER : CHUNKED_DATA;
  *out = event;
  return AUTH_OK;
}

static enum auth_error head_next(struct chunked *c, struct slice in, size_t *out_used,
                                 struct chunked_event *out) {
  bool whole;
  assert(c->state == CHUNKED_HEAD);
  if (!line_take(c, in, AUTH_CHUNK_HEAD_BYTES_MAX, out_used, &whole)) return AUTH_MALFORMED_CHUNK;
  return whole ? head_parse(c, out) : AUTH_OK;
}

static void data_next(struct chunked *c, struct slice in, size_t *out_used, struct chunked_event *out) {
  assert(c->state == CHUNKED_DATA && c->left > 0);
  size_t take = in.len < c->left ? in.len : (size_t)c->left;
  if (take == 0) return;
  *out_used = take;
  *out = (struct chunked_event){.kind = CHUNKED_BYTES, .bytes = slice_cut(in, 0, take)};
  c->left -= take;
  if (c->left > 0) return;
  c->end_is_due = true;
  c->state = CHUNKED_DATA_END;
}

static enum auth_error data_end_next(struct chunked *c, struct slice in, size_t *out_used) {
  bool whole;
  assert(c->state == CHUNKED_DATA_END);
  if (!line_take(c, in, 1, out_used, &whole)) return AUTH_MALFORMED_CHUNK;
  if (!whole) return c->line_len == 1 && c->line[0] != '\r' ? AUTH_MALFORMED_CHUNK : AUTH_OK;
  if (c->line_len > 0) return AUTH_MALFORMED_CHUNK;
  c->state = CHUNKED_HEAD;
  return AUTH_OK;
}

static enum auth_error trailer_next(struct chunked *c, struct slice in, size_t *out_used,
                                    struct chunked_event *out) {
  bool whole;
  assert(c->state == CHUNKED_TRAILER && c->trailer_len <= AUTH_TRAILER_BYTES_MAX);
  size_t room = AUTH_TRAILER_BYTES_MAX - c->trailer_len;
  if (!line_take(c, in, room, out_used, &whole)) return AUTH_MALFORMED_TRAILER;
  if (!whole) return AUTH_OK;
  if (c->line_len == 0) {
    c->state = CHUNKED_DONE;
    *out = (struct chunked_event){.kind = CHUNKED_COMPLETE};
    return AUTH_OK;
  }
  *out = (struct chunked_event){.kind = CHUNKED_LINE, .bytes = slice_of(c->line, c->line_len)};
  c->trailer_len += c->line_len;
  c->line_len = 0;
  return AUTH_OK;
}

enum auth_error chunked_next(struct chunked *c, struct slice in, size_t *out_used,
                             struct chunked_event *out) {
  assert(c != NULL && out_used != NULL && out != NULL);
  assert(c->line_len <= sizeof c->line);
  *out_used = 0;
  *out = (struct chunked_event){.kind = CHUNKED_NOTHING};
  if (c->end_is_due) {
    c->end_is_due = false;
    out->kind = CHUNKED_END;
    return AUTH_OK;
  }
  switch (c->state) {
  case CHUNKED_HEAD:
    return head_next(c, in, out_used, out);
  case CHUNKED_DATA:
    data_next(c, in, out_used, out);
    return AUTH_OK;
  case CHUNKED_DATA_END:
    return data_end_next(c, in, out_used);
  case CHUNKED_TRAILER:
    return trailer_next(c, in, out_used, out);
  case CHUNKED_DONE:
    break;
  }
  return in.len == 0 ? AUTH_OK : AUTH_MALFORMED_CHUNK; /* nothing may follow */
}
