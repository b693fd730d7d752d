#include "vault/slot_header.h"

#include <assert.h>

#include "base/codec.h"

#define HEADER_MAGIC "DOMVAULT"
enum {
  HEADER_VERSION = 1,
  HEADER_KNOWN_INCOMPAT = 0, /* no incompatible feature exists yet */
  HEADER_AT_CRC = SLOT_HEADER_SIZE - 4
};

enum dom_code slot_header_encode(const struct slot_header *h, struct buf *out) {
  assert(h->copy < SLOT_COPIES);
  size_t start = out->len;
  buf_append_str(out, HEADER_MAGIC);
  put_u32le(out, HEADER_VERSION);
  put_u32le(out, SLOT_SIZE);
  put_u64le(out, 0); /* compatible features */
  put_u64le(out, 0); /* incompatible features */
  put_u16le(out, h->region);
  put_u8(out, h->copy);
  put_u8(out, 0);
  buf_append(out, h->vault_id, SLOT_VAULT_ID_SIZE);
  if (!out->failed) buf_append_zero(out, HEADER_AT_CRC - (out->len - start));
  if (!out->failed) put_u32le(out, crc32c(0, out->data + start, HEADER_AT_CRC));
  return buf_check(out, NULL);
}

enum dom_code slot_header_decode(const uint8_t in[SLOT_HEADER_SIZE], struct slot_header *out,
                                 struct dom_err *err) {
  if (load_u32le(in + HEADER_AT_CRC) != crc32c(0, in, HEADER_AT_CRC)) return DOM_CORRUPT;
  struct reader r = reader_of(slice_of(in, SLOT_HEADER_SIZE));
  if (!slice_equal(get_slice(&r, 8), SLICE_LIT(HEADER_MAGIC))) return DOM_CORRUPT;
  uint32_t version = get_u32le(&r), slot_size = get_u32le(&r);
  get_u64le(&r); /* compatible features are ignored */
  uint64_t incompat = get_u64le(&r);
  if (version != HEADER_VERSION || slot_size != SLOT_SIZE || (incompat & ~(uint64_t)HEADER_KNOWN_INCOMPAT)) {
    return dom_fail(err, DOM_INCOMPATIBLE, "vault/files: header",
                    "vault format %u, slot size %u, features %llx: this build knows version %d only", version,
                    slot_size, (unsigned long long)incompat, HEADER_VERSION);
  }
  struct slot_header h = {.region = get_u16le(&r), .copy = get_u8(&r)};
  get_u8(&r);
  get_copy(&r, h.vault_id, SLOT_VAULT_ID_SIZE);
  assert(!r.bad);
  *out = h;
  return DOM_OK;
}
