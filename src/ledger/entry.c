#include <assert.h>

#include "base/codec.h"
#include "ledger/ledger.h"

static const char MAGIC[4] = {'D', 'O', 'M', '1'};

enum { PAYLOAD_VERSION = 1 };

/* Kc: the fixed commitment key of draft-ietf-keytrans-protocol, "Commitment". */
static const uint8_t COMMIT_KEY[16] = {0xd8, 0x21, 0xf8, 0x79, 0x0d, 0x97, 0x70, 0x97,
                                       0x96, 0xb4, 0xd7, 0x90, 0x33, 0x57, 0xc3, 0xf5};

static bool type_known(unsigned type) {
  return type >= LEDGER_CHARTER && type <= LEDGER_TYPE_LAST;
}

uint64_t ledger_time_round(uint64_t wall_ms) {
  uint64_t rounded = wall_ms - wall_ms % LEDGER_TIME_STEP_MS;
  assert(rounded <= wall_ms);
  return rounded;
}

static bool peer_is_zero(const struct ledger_entry *entry) {
  assert(entry);
  static const uint8_t zero[LEDGER_LOG_ID_SIZE];
  return entry->peer_index == 0 && memcmp(entry->peer_log_id, zero, sizeof zero) == 0;
}

void ledger_entry_encode(const struct ledger_entry *entry, uint8_t out[LEDGER_ENTRY_SIZE]) {
  assert(entry && out && type_known(entry->type) && (entry->flags & ~LEDGER_HAS_PEER) == 0);
  assert((entry->flags & LEDGER_HAS_PEER) || peer_is_zero(entry));
  memcpy(out, MAGIC, sizeof MAGIC);
  out[4] = (uint8_t)entry->type;
  out[5] = entry->flags;
  out[6] = (uint8_t)(entry->region >> 8);
  out[7] = (uint8_t)entry->region;
  store_u64be(out + 8, entry->epoch);
  store_u64be(out + 16, entry->time_ms);
  memcpy(out + 24, entry->peer_log_id, LEDGER_LOG_ID_SIZE);
  store_u64be(out + 56, entry->peer_index);
  memcpy(out + 64, entry->commit, LEDGER_HASH_SIZE);
}

enum dom_code ledger_entry_decode(struct slice bytes, struct ledger_entry *out_entry, struct dom_err *err) {
  static const char where[] = "ledger/entry: decode";
  assert(out_entry);
  if (bytes.len != LEDGER_ENTRY_SIZE)
    return dom_fail(err, DOM_INVALID, where, "an entry is %d bytes, not %zu", LEDGER_ENTRY_SIZE, bytes.len);
  struct reader r = reader_of(bytes);
  struct ledger_entry entry = {.flags = 0};
  if (memcmp(get_slice(&r, sizeof MAGIC).data, MAGIC, sizeof MAGIC) != 0)
    return dom_fail(err, DOM_INVALID, where, "the magic is not DOM1");
  uint8_t type = get_u8(&r);
  if (!type_known(type)) return dom_fail(err, DOM_INVALID, where, "unknown type %u", type);
  entry.type = (enum ledger_type)type;
  entry.flags = get_u8(&r);
  entry.region = get_u16be(&r);
  entry.epoch = get_u64be(&r);
  entry.time_ms = get_u64be(&r);
  get_copy(&r, entry.peer_log_id, LEDGER_LOG_ID_SIZE);
  entry.peer_index = get_u64be(&r);
  get_copy(&r, entry.commit, LEDGER_HASH_SIZE);
  assert(reader_end(&r));
  if (entry.flags & ~LEDGER_HAS_PEER)
    return dom_fail(err, DOM_INVALID, where, "unknown flags %u", entry.flags);
  if (!(entry.flags & LEDGER_HAS_PEER) && !peer_is_zero(&entry))
    return dom_fail(err, DOM_INVALID, where, "a peer reference without its flag");
  *out_entry = entry;
  return DOM_OK;
}

void ledger_payload_encode(const struct ledger_payload *payload, struct buf *out) {
  assert(payload && out && type_known(payload->type));
  assert(payload->text_len <= LEDGER_TEXT_MAX);
  put_u8(out, PAYLOAD_VERSION);
  put_u8(out, (uint8_t)payload->type);
  buf_append(out, payload->token, LEDGER_TOKEN_SIZE);
  put_u16be(out, payload->from_region);
  put_u16be(out, payload->to_region);
  put_u64be(out, payload->from_epoch);
  put_u64be(out, payload->to_epoch);
  put_u64be(out, payload->charter);
  put_u64be(out, payload->time_ms);
  buf_append(out, payload->digest, LEDGER_HASH_SIZE);
  put_u64be(out, payload->objects);
  put_u64be(out, payload->bytes);
  put_u64be(out, payload->until_ms);
  put_bytes16be(out, slice_of(payload->text, payload->text_len));
}

/* One line of UTF-8 without control characters: it is printed on terminals as it is. */
static bool text_printable(struct slice text) {
  for (size_t i = 0; i < text.len; i++) {
    if (text.data[i] < 0x20 || text.data[i] == 0x7F) return false;
    /* U+0080..U+009F are control characters too; some terminals obey them. */
    if (text.data[i] == 0xC2 && i + 1 < text.len && text.data[i + 1] < 0xA0) return false;
  }
  return utf8_valid(text);
}

enum dom_code ledger_payload_decode(struct slice bytes, struct ledger_payload *out_payload,
                                    struct dom_err *err) {
  static const char where[] = "ledger/entry: payload";
  assert(out_payload);
  struct reader r = reader_of(bytes);
  struct ledger_payload payload = {.text_len = 0};
  uint8_t version = get_u8(&r), type = get_u8(&r);
  if (version != PAYLOAD_VERSION) return dom_fail(err, DOM_INVALID, where, "unknown version %u", version);
  if (!type_known(type)) return dom_fail(err, DOM_INVALID, where, "unknown type %u", type);
  payload.type = (enum ledger_type)type;
  get_copy(&r, payload.token, LEDGER_TOKEN_SIZE);
  payload.from_region = get_u16be(&r);
  payload.to_region = get_u16be(&r);
  payload.from_epoch = get_u64be(&r);
  payload.to_epoch = get_u64be(&r);
  payload.charter = get_u64be(&r);
  payload.time_ms = get_u64be(&r);
  get_copy(&r, payload.digest, LEDGER_HASH_SIZE);
  payload.objects = get_u64be(&r);
  payload.bytes = get_u64be(&r);
  payload.until_ms = get_u64be(&r);
  struct slice text = get_bytes16be(&r);
  if (!reader_end(&r))
    return dom_fail(err, DOM_INVALID, where, "%zu bytes are not a whole payload", bytes.len);
  if (text.len > LEDGER_TEXT_MAX || !text_printable(text))
    return dom_fail(err, DOM_INVALID, where, "the text is too long or not one line of UTF-8");
  payload.text_len = (uint16_t)text.len;
  if (text.len > 0) memcpy(payload.text, text.data, text.len);
  *out_payload = payload;
  return DOM_OK;
}

void ledger_commit(const uint8_t opening[LEDGER_OPENING_SIZE], struct slice payload,
                   uint8_t out_commit[LEDGER_HASH_SIZE]) {
  assert(opening && out_commit && payload.len <= LEDGER_PAYLOAD_MAX);
  uint8_t message[LEDGER_OPENING_SIZE + LEDGER_PAYLOAD_MAX];
  memcpy(message, opening, LEDGER_OPENING_SIZE);
  if (payload.len > 0) memcpy(message + LEDGER_OPENING_SIZE, payload.data, payload.len);
  hmac_sha256(slice_of(COMMIT_KEY, sizeof COMMIT_KEY), slice_of(message, LEDGER_OPENING_SIZE + payload.len),
              out_commit);
}

enum dom_code ledger_entry_seal(struct ledger_entry *entry, const struct ledger_payload *payload,
                                uint8_t out_opening[LEDGER_OPENING_SIZE], struct buf *out_payload,
                                uint8_t out_bytes[LEDGER_ENTRY_SIZE]) {
  assert(entry && payload && entry->type == payload->type && out_payload);
  uint8_t opening[LEDGER_OPENING_SIZE];
  BUF_AUTO bytes = BUF_INIT;
  ledger_payload_encode(payload, &bytes);
  if (bytes.failed || !buf_reserve(out_payload, bytes.len)) return DOM_NO_MEMORY;
  random_bytes(opening, sizeof opening);
  ledger_commit(opening, buf_slice(&bytes), entry->commit);
  ledger_entry_encode(entry, out_bytes);
  memcpy(out_opening, opening, sizeof opening);
  buf_append_slice(out_payload, buf_slice(&bytes));
  return DOM_OK;
}

enum dom_code ledger_entry_open(const struct ledger_entry *entry, const uint8_t opening[LEDGER_OPENING_SIZE],
                                struct slice payload, struct ledger_payload *out_payload,
                                struct dom_err *err) {
  static const char where[] = "ledger/entry: open";
  assert(entry && opening && out_payload);
  uint8_t commit[LEDGER_HASH_SIZE];
  struct ledger_payload content;
  if (payload.len > LEDGER_PAYLOAD_MAX) return dom_fail(err, DOM_CORRUPT, where, "the payload is too long");
  ledger_commit(opening, payload, commit);
  if (memcmp(commit, entry->commit, sizeof commit) != 0)
    return dom_fail(err, DOM_CORRUPT, where, "opening and payload are not those the entry commits to");
  if (ledger_payload_decode(payload, &content, err) != DOM_OK) return DOM_CORRUPT;
  if (content.type != entry->type)
    return dom_fail(err, DOM_CORRUPT, where, "the payload is of another type than the entry");
  *out_payload = content;
  return DOM_OK;
}
