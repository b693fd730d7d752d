/* Frames: sealed bytes in pieces of 64 KiB, so that a range needs only its own pieces.
 *
 * Each frame is AES-256-GCM ciphertext and its 16-byte tag; the last may be shorter; no bytes
 * have no frame. Nonce: frame counter (u64le) and a u32le that is 1 for the last frame, so frames
 * can be neither reordered nor cut off. Used by body files and by bodies inside log records.
 * Format: docs/formats/log.md "Frames". */
#ifndef DOMICILE_STORE_LOCAL_FRAME_H
#define DOMICILE_STORE_LOCAL_FRAME_H

#include "base/crypto.h"

enum {
  FRAME_PLAIN = 65536,
  FRAME_SEALED = FRAME_PLAIN + GCM_TAG_SIZE,
  FRAME_FLAG_LAST = 1,
  FRAME_FLAG_META = 2
};

/* Sealed length of `plain` bytes. */
uint64_t frames_size(uint64_t plain);
void frame_nonce(uint64_t counter, uint32_t flag, uint8_t out[GCM_NONCE_SIZE]);
/* Seals one frame of at most FRAME_PLAIN bytes; out has room for plain.len + GCM_TAG_SIZE. */
enum dom_code frame_seal(const uint8_t key[KEY_SIZE], struct slice aad, uint64_t counter, bool last,
                         struct slice plain, uint8_t *out, struct dom_err *err);
/* Opens one sealed frame into out (sealed.len - GCM_TAG_SIZE bytes). DOM_CORRUPT. */
enum dom_code frame_open(const uint8_t key[KEY_SIZE], struct slice aad, uint64_t counter, bool last,
                         struct slice sealed, uint8_t *out, struct dom_err *err);
/* Appends all frames of `plain` to out. */
enum dom_code frames_seal(const uint8_t key[KEY_SIZE], struct slice aad, struct slice plain, struct buf *out,
                          struct dom_err *err);

/* Where sealed bytes come from: fills out with [offset, offset+len) of the frames. */
struct frame_source {
  enum dom_code (*read)(void *arg, uint64_t offset, uint8_t *out, size_t len, struct dom_err *err);
  void *arg;
};
/* Plaintext [offset, offset+len) of a body of `size` bytes; the range must lie inside it. */
enum dom_code frames_read(const uint8_t key[KEY_SIZE], struct slice aad, uint64_t size,
                          struct frame_source from, uint64_t offset, uint8_t *out, size_t len,
                          struct dom_err *err);

#endif
