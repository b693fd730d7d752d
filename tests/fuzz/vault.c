/* Slots of the vault, its file header, and key files. Whatever decodes, encodes to the very same bytes;
 * a wrapped key comes back under its own slot and KEK, and under nothing that differs in a bit. */
#include "fuzz.h"

#include "base/codec.h"
#include "vault/kek_content.h"
#include "vault/slot.h"
#include "vault/slot_header.h"

static void check_slot(const uint8_t bytes[SLOT_SIZE]) {
  struct slot slot;
  uint8_t again[SLOT_SIZE];
  fuzz_mark(&slot, sizeof slot);
  if (slot_decode(bytes, &slot) != DOM_OK) {
    assert(fuzz_is_marked(&slot, sizeof slot));
    return;
  }
  slot_encode(&slot, again);
  assert(memcmp(bytes, again, SLOT_SIZE) == 0);
}

/* The bytes as they are, then with a sum that fits, then laid over a free slot. */
static void check_slots(struct slice in) {
  uint8_t bytes[SLOT_SIZE] = {0};
  memcpy(bytes, in.data, in.len < SLOT_SIZE ? in.len : SLOT_SIZE);
  check_slot(bytes);
  bytes[4] = bytes[4] & 1 ? SLOT_KEY : SLOT_FREE;
  store_u32le(bytes, crc32c(0, bytes + 4, SLOT_SIZE - 4));
  check_slot(bytes);
  memset(bytes + 60, 0, 4);
  bytes[5] = 0;
  store_u32le(bytes, crc32c(0, bytes + 4, SLOT_SIZE - 4));
  check_slot(bytes);
}

static void check_wrap(struct slice in, struct fuzz_random *r) {
  struct reader at = reader_of(in);
  struct slot_kek kek;
  uint8_t raw[KEY_SIZE], data_key[KEY_SIZE], out[KEY_SIZE], nonce[GCM_NONCE_SIZE], bytes[SLOT_SIZE];
  get_copy(&at, raw, KEY_SIZE);
  get_copy(&at, data_key, KEY_SIZE);
  get_copy(&at, nonce, sizeof nonce);
  slot_kek_init(&kek, raw);
  struct slot slot = {
      .state = SLOT_KEY, .region = get_u16le(&at), .seq = get_u64le(&at), .epoch = get_u64le(&at)};
  get_copy(&at, slot.token, VAULT_TOKEN_SIZE);
  assert(slot_wrap(&slot, &kek, nonce, data_key) == DOM_OK && slot.kek_id == kek.id);
  assert(slot_unwrap(&slot, &kek, out) == DOM_OK && memcmp(out, data_key, KEY_SIZE) == 0);
  slot_encode(&slot, bytes);
  check_slot(bytes);
  /* One bit in what names or holds the key; `seq` (8…15) is not bound: it only orders copies. */
  size_t place = 16 + fuzz_random_below(r, SLOT_SIZE - 16);
  bytes[place] ^= (uint8_t)(1 << fuzz_random_below(r, 8));
  store_u32le(bytes, crc32c(0, bytes + 4, SLOT_SIZE - 4));
  if (slot_decode(bytes, &slot) != DOM_OK || slot.kek_id != kek.id) return;
  assert(slot_unwrap(&slot, &kek, out) == DOM_CORRUPT);
}

static void check_header(struct slice in) {
  static uint8_t bytes[SLOT_HEADER_SIZE];
  struct slot_header header = {.region = 7}, back;
  BUF_AUTO good = BUF_INIT;
  BUF_AUTO again = BUF_INIT;
  assert(slot_header_encode(&header, &good) == DOM_OK && good.len == SLOT_HEADER_SIZE);
  for (size_t i = 0; i < SLOT_HEADER_SIZE; i++) bytes[i] = good.data[i] ^ (i < in.len ? in.data[i] : 0);
  store_u32le(bytes + SLOT_HEADER_SIZE - 4, crc32c(0, bytes, SLOT_HEADER_SIZE - 4));
  fuzz_mark(&back, sizeof back);
  if (slot_header_decode(bytes, &back, NULL) != DOM_OK) {
    assert(fuzz_is_marked(&back, sizeof back));
    return;
  }
  if (back.copy >= SLOT_COPIES) return; /* the files' own check, against the name */
  assert(slot_header_encode(&back, &again) == DOM_OK && again.len == SLOT_HEADER_SIZE);
}

static void check_key_file(struct slice in) {
  uint8_t key[KEY_SIZE], back[KEY_SIZE];
  BUF_AUTO hex = BUF_INIT;
  fuzz_mark(key, sizeof key);
  if (kek_content_parse(in, key, NULL) != DOM_OK) {
    assert(fuzz_is_marked(key, sizeof key));
    return;
  }
  hex_encode(&hex, slice_of(key, KEY_SIZE));
  buf_append_byte(&hex, '\n');
  assert(kek_content_parse(buf_slice(&hex), back, NULL) == DOM_OK && memcmp(key, back, KEY_SIZE) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct slice in = slice_of(size ? data : (const uint8_t *)"", size);
  struct fuzz_random r = fuzz_random_of(in);
  check_slots(in);
  check_wrap(in, &r);
  check_header(in);
  check_key_file(in);
  return 0;
}
