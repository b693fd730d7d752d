/* "DOMC" | version u8 | count u64 | length of meta u32 | length of classes u16 | meta | classes | bytes |
 * Ed25519 signature 64. Big-endian, as all that regions say to each other. */
#include "serve/copy_stream.h"

#include <assert.h>

#include "base/codec.h"

static const char where[] = "serve/copy stream";
enum { COPY_VERSION = 1, COPY_FIXED_SIZE = 4 + 1 + 8 + 4 + 2 };

void copy_head_put(const struct copy_head *h, struct buf *out) {
  assert(h->meta.len <= COPY_STREAM_META_MAX && h->classes.len <= COPY_STREAM_CLASSES_MAX);
  buf_append_str(out, "DOMC");
  put_u8(out, COPY_VERSION);
  put_u64be(out, h->count);
  put_u32be(out, (uint32_t)h->meta.len);
  put_u16be(out, (uint16_t)h->classes.len);
  buf_append_slice(out, h->meta);
  buf_append_slice(out, h->classes);
}

enum dom_code copy_stream_init(struct copy_stream *s) {
  *s = (struct copy_stream){.hash = hash_new(HASH_SHA256)};
  return s->hash ? DOM_OK : DOM_NO_MEMORY;
}

void copy_stream_done(struct copy_stream *s) {
  buf_done(&s->raw);
  hash_free(s->hash);
}

static struct slice take(struct slice *from, uint64_t count) {
  size_t n = count < from->len ? (size_t)count : from->len;
  struct slice taken = slice_cut(*from, 0, n);
  *from = slice_cut(*from, n, from->len);
  return taken;
}

/* Length of the whole head by its fixed part. */
static enum dom_code head_length(const struct copy_stream *s, size_t *out, struct dom_err *err) {
  struct reader r = reader_of(buf_slice(&s->raw));
  assert(s->raw.len >= COPY_FIXED_SIZE);
  bool ours = slice_equal(get_slice(&r, 4), SLICE_LIT("DOMC")) && get_u8(&r) == COPY_VERSION;
  (void)get_u64be(&r);
  size_t meta = get_u32be(&r), classes = get_u16be(&r);
  if (!ours || meta > COPY_STREAM_META_MAX || classes > COPY_STREAM_CLASSES_MAX)
    return dom_fail(err, DOM_INVALID, where, "not the source of a copy");
  *out = COPY_FIXED_SIZE + meta + classes;
  return DOM_OK;
}

static void head_read(struct copy_stream *s) {
  struct reader r = reader_of(buf_slice(&s->raw));
  get_slice(&r, 4 + 1);
  s->head.count = get_u64be(&r);
  size_t meta = get_u32be(&r), classes = get_u16be(&r);
  s->head.meta = get_slice(&r, meta);
  s->head.classes = get_slice(&r, classes);
  assert(reader_end(&r));
  s->left = s->head.count;
  s->has_head = true;
}

static enum dom_code feed_head(struct copy_stream *s, struct slice *bytes, struct dom_err *err) {
  size_t want = COPY_FIXED_SIZE;
  enum dom_code code = DOM_OK;
  for (int part = 0; part < 2 && !code && bytes->len; part++) {
    if (s->raw.len >= COPY_FIXED_SIZE) code = head_length(s, &want, err);
    if (!code) buf_append_slice(&s->raw, take(bytes, want - s->raw.len));
    if (s->raw.failed) return buf_check(&s->raw, err);
  }
  if (!code && s->raw.len >= COPY_FIXED_SIZE) code = head_length(s, &want, err);
  if (code || s->raw.len < COPY_FIXED_SIZE || s->raw.len < want) return code;
  hash_update(s->hash, s->raw.data, s->raw.len);
  head_read(s);
  return DOM_OK;
}

enum dom_code copy_stream_feed(struct copy_stream *s, struct slice *bytes, struct slice *out_body,
                               struct dom_err *err) {
  assert(bytes->len > 0);
  *out_body = slice_of(NULL, 0);
  if (!s->has_head) return feed_head(s, bytes, err);
  if (s->left > 0) {
    *out_body = take(bytes, s->left);
    hash_update(s->hash, out_body->data, out_body->len);
    s->left -= out_body->len;
    return DOM_OK;
  }
  struct slice more = take(bytes, sizeof s->signature - s->signature_len);
  if (!more.len) return dom_fail(err, DOM_INVALID, where, "longer than announced");
  memcpy(s->signature + s->signature_len, more.data, more.len);
  s->signature_len += more.len;
  return DOM_OK;
}

bool copy_stream_end(struct copy_stream *s, uint8_t out_sha256[SHA256_SIZE]) {
  if (!s->has_head || s->left > 0 || s->signature_len < sizeof s->signature) return false;
  hash_final(s->hash, out_sha256);
  return true;
}
