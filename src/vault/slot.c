#include "vault/slot.h"

#include <assert.h>

#include "base/codec.h"

/* Places of the fields, docs/formats/vault.md. */
enum {
  AT_CRC = 0,
  AT_STATE = 4,
  AT_ZERO_A = 5,
  AT_REGION = 6,
  AT_SEQ = 8,
  AT_EPOCH = 16,
  AT_KEK_ID = 24,
  AT_NONCE = 32,
  AT_TAG = 44,
  AT_ZERO_B = 60,
  AT_TOKEN = 64,
  AT_WRAPPED = 96
};

#define AAD_PREFIX "domicile vault slot 1"
enum { AAD_SIZE = sizeof AAD_PREFIX - 1 + 1 + 2 + 8 + 8 + VAULT_TOKEN_SIZE };

void slot_kek_init(struct slot_kek *out, const uint8_t kek[KEY_SIZE]) {
  assert(out && kek);
  out->id = vault_kek_id_of(kek);
  hkdf_sha256(kek, SLICE_LIT("domicile vault wrap 1"), out->wrap);
}

struct slot slot_free(uint16_t region, uint64_t seq) {
  return (struct slot){.state = SLOT_FREE, .region = region, .seq = seq};
}

bool slot_is_key(const struct slot *s, const struct vault_key *key) {
  assert(s && key);
  return s->state == SLOT_KEY && s->epoch == key->epoch &&
         memcmp(s->token, key->token, VAULT_TOKEN_SIZE) == 0;
}

static void store_u16le(uint8_t *at, uint16_t v) {
  at[0] = (uint8_t)(v & 0xff);
  at[1] = (uint8_t)(v >> 8);
}

void slot_encode(const struct slot *s, uint8_t out[SLOT_SIZE]) {
  assert(s->state == SLOT_FREE || s->state == SLOT_KEY);
  memset(out, 0, SLOT_SIZE);
  out[AT_STATE] = s->state;
  store_u16le(out + AT_REGION, s->region);
  store_u64le(out + AT_SEQ, s->seq);
  if (s->state == SLOT_KEY) {
    store_u64le(out + AT_EPOCH, s->epoch);
    store_u64le(out + AT_KEK_ID, s->kek_id);
    memcpy(out + AT_NONCE, s->nonce, GCM_NONCE_SIZE);
    memcpy(out + AT_TAG, s->tag, GCM_TAG_SIZE);
    memcpy(out + AT_TOKEN, s->token, VAULT_TOKEN_SIZE);
    memcpy(out + AT_WRAPPED, s->wrapped, KEY_SIZE);
  }
  store_u32le(out + AT_CRC, crc32c(0, out + AT_STATE, SLOT_SIZE - AT_STATE));
}

static bool all_zero(const uint8_t *p, size_t len) {
  uint8_t any = 0;
  for (size_t i = 0; i < len; i++) any |= p[i];
  return any == 0;
}

enum dom_code slot_decode(const uint8_t in[SLOT_SIZE], struct slot *out) {
  assert(in && out);
  if (load_u32le(in + AT_CRC) != crc32c(0, in + AT_STATE, SLOT_SIZE - AT_STATE)) return DOM_CORRUPT;
  if (in[AT_ZERO_A] != 0 || !all_zero(in + AT_ZERO_B, AT_TOKEN - AT_ZERO_B)) return DOM_CORRUPT;
  uint8_t state = in[AT_STATE];
  if (state != SLOT_KEY && state != SLOT_FREE) return DOM_CORRUPT;
  if (state == SLOT_FREE && !all_zero(in + AT_EPOCH, SLOT_SIZE - AT_EPOCH)) return DOM_CORRUPT;
  struct slot s = {.state = state,
                   .region = (uint16_t)(in[AT_REGION] | in[AT_REGION + 1] << 8),
                   .seq = load_u64le(in + AT_SEQ),
                   .epoch = load_u64le(in + AT_EPOCH),
                   .kek_id = load_u64le(in + AT_KEK_ID)};
  memcpy(s.nonce, in + AT_NONCE, GCM_NONCE_SIZE);
  memcpy(s.tag, in + AT_TAG, GCM_TAG_SIZE);
  memcpy(s.token, in + AT_TOKEN, VAULT_TOKEN_SIZE);
  memcpy(s.wrapped, in + AT_WRAPPED, KEY_SIZE);
  *out = s;
  return DOM_OK;
}

/* What a wrapped key is bound to: a slot copied to another token, region, epoch or KEK does
 * not open. */
static struct slice slot_aad(const struct slot *s, uint64_t kek_id, uint8_t room[AAD_SIZE]) {
  uint8_t *at = room;
  memcpy(at, AAD_PREFIX, sizeof AAD_PREFIX - 1);
  at += sizeof AAD_PREFIX - 1;
  *at++ = SLOT_KEY;
  store_u16le(at, s->region);
  store_u64le(at + 2, s->epoch);
  store_u64le(at + 10, kek_id);
  memcpy(at + 18, s->token, VAULT_TOKEN_SIZE);
  assert(at + 18 + VAULT_TOKEN_SIZE == room + AAD_SIZE);
  return slice_of(room, AAD_SIZE);
}

enum dom_code slot_wrap(struct slot *s, const struct slot_kek *kek, const uint8_t nonce[GCM_NONCE_SIZE],
                        const uint8_t data_key[KEY_SIZE]) {
  assert(kek->id != 0);
  uint8_t room[AAD_SIZE], wrapped[KEY_SIZE], tag[GCM_TAG_SIZE];
  enum dom_code code =
      gcm_seal(kek->wrap, nonce, slot_aad(s, kek->id, room), slice_of(data_key, KEY_SIZE), wrapped, tag);
  if (code != DOM_OK) return code;
  s->state = SLOT_KEY;
  s->kek_id = kek->id;
  memcpy(s->nonce, nonce, GCM_NONCE_SIZE);
  memcpy(s->tag, tag, GCM_TAG_SIZE);
  memcpy(s->wrapped, wrapped, KEY_SIZE);
  return DOM_OK;
}

enum dom_code slot_unwrap(const struct slot *s, const struct slot_kek *kek, uint8_t out_data_key[KEY_SIZE]) {
  assert(s->state == SLOT_KEY && s->kek_id == kek->id);
  uint8_t room[AAD_SIZE];
  return gcm_open(kek->wrap, s->nonce, slot_aad(s, kek->id, room), slice_of(s->wrapped, KEY_SIZE), s->tag,
                  out_data_key);
}
