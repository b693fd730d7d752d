#include "store/local/frame.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/codec.h"

uint64_t frames_size(uint64_t plain) {
  uint64_t frames = plain / FRAME_PLAIN + (plain % FRAME_PLAIN != 0);
  assert(plain < UINT64_MAX / 2);
  return plain + frames * GCM_TAG_SIZE;
}

void frame_nonce(uint64_t counter, uint32_t flag, uint8_t out[GCM_NONCE_SIZE]) {
  assert(flag <= FRAME_FLAG_META);
  store_u64le(out, counter);
  store_u32le(out + 8, flag);
}

enum dom_code frame_seal(const uint8_t key[KEY_SIZE], struct slice aad, uint64_t counter, bool last,
                         struct slice plain, uint8_t *out, struct dom_err *err) {
  uint8_t nonce[GCM_NONCE_SIZE];
  assert(plain.len > 0 && plain.len <= FRAME_PLAIN);
  assert(last || plain.len == FRAME_PLAIN);
  frame_nonce(counter, last ? FRAME_FLAG_LAST : 0, nonce);
  enum dom_code code = gcm_seal(key, nonce, aad, plain, out, out + plain.len);
  return code == DOM_OK ? code : dom_fail(err, code, "store/frame: seal", "cipher");
}

enum dom_code frame_open(const uint8_t key[KEY_SIZE], struct slice aad, uint64_t counter, bool last,
                         struct slice sealed, uint8_t *out, struct dom_err *err) {
  uint8_t nonce[GCM_NONCE_SIZE];
  assert(sealed.len > GCM_TAG_SIZE && sealed.len <= FRAME_SEALED);
  struct slice text = slice_cut(sealed, 0, sealed.len - GCM_TAG_SIZE);
  frame_nonce(counter, last ? FRAME_FLAG_LAST : 0, nonce);
  enum dom_code code = gcm_open(key, nonce, aad, text, sealed.data + text.len, out);
  if (code == DOM_OK) return code;
  return dom_fail(err, code, "store/frame: open", "frame %llu does not verify", (unsigned long long)counter);
}

enum dom_code frames_seal(const uint8_t key[KEY_SIZE], struct slice aad, struct slice plain, struct buf *out,
                          struct dom_err *err) {
  size_t total = (size_t)frames_size(plain.len);
  if (!buf_reserve(out, total)) return buf_check(out, err);
  for (size_t at = 0; at < plain.len; at += FRAME_PLAIN) {
    size_t len = plain.len - at < FRAME_PLAIN ? plain.len - at : FRAME_PLAIN;
    bool last = at + len == plain.len;
    enum dom_code code = frame_seal(key, aad, at / FRAME_PLAIN, last, slice_of(plain.data + at, len),
                                    out->data + out->len, err);
    if (code != DOM_OK) return code;
    out->len += len + GCM_TAG_SIZE;
    assert(out->len <= out->cap);
  }
  return DOM_OK;
}

enum dom_code frames_read(const uint8_t key[KEY_SIZE], struct slice aad, uint64_t size,
                          struct frame_source from, uint64_t offset, uint8_t *out, size_t len,
                          struct dom_err *err) {
  size_t largest = size < FRAME_PLAIN ? (size_t)size : FRAME_PLAIN;
  enum dom_code code = DOM_OK;
  assert(offset <= size && len <= size - offset);
  if (len == 0) return DOM_OK;
  /* Sealed frame, and behind it the plaintext of one that is wanted in part. */
  AUTO_FREE uint8_t *sealed = dom_alloc(2 * largest + GCM_TAG_SIZE);
  if (!sealed) return dom_fail(err, DOM_NO_MEMORY, "store/frame: read", "frame");
  uint8_t *plain = sealed + largest + GCM_TAG_SIZE;
  while (len > 0 && code == DOM_OK) {
    uint64_t counter = offset / FRAME_PLAIN, start = counter * FRAME_PLAIN;
    size_t frame = size - start < FRAME_PLAIN ? (size_t)(size - start) : FRAME_PLAIN;
    size_t skip = (size_t)(offset - start);
    size_t take = frame - skip < len ? frame - skip : len;
    bool whole = take == frame; /* then straight into the caller's memory */
    code = from.read(from.arg, counter * FRAME_SEALED, sealed, frame + GCM_TAG_SIZE, err);
    if (code == DOM_OK) {
      code = frame_open(key, aad, counter, start + frame == size, slice_of(sealed, frame + GCM_TAG_SIZE),
                        whole ? out : plain, err);
    }
    if (code == DOM_OK && !whole) {
      memcpy(out, plain + skip, take);
      wipe(plain, frame);
    }
    out += take;
    offset += take;
    len -= take;
  }
  return code;
}
