#include "base/codec.h"
#include "support.h"

static struct ledger_entry sample_entry(void) {
  struct ledger_entry entry = {.type = LEDGER_MOVE_COMMITTED,
                               .flags = LEDGER_HAS_PEER,
                               .region = 0x0104,
                               .epoch = 7,
                               .time_ms = 1419984000000,
                               .peer_index = 42};
  memset(entry.peer_log_id, 0x11, sizeof entry.peer_log_id);
  memset(entry.commit, 0x22, sizeof entry.commit);
  return entry;
}

static struct ledger_payload sample_payload(void) {
  struct ledger_payload payload = {.type = LEDGER_MOVE_COMMITTED,
                                   .from_region = 1,
                                   .to_region = 4,
                                   .from_epoch = 6,
                                   .to_epoch = 7,
                                   .charter = 3,
                                   .time_ms = 1419984012345,
                                   .objects = 12,
                                   .bytes = 3456,
                                   .text_len = 7,
                                   .text = "rule IN"};
  memset(payload.token, 0x33, sizeof payload.token);
  memset(payload.digest, 0x44, sizeof payload.digest);
  return payload;
}

/* The bytes of docs/formats/ledger.md. */
static const char ENTRY_HEX[] = "444f4d31"
                                "06"
                                "01"
                                "0104"
                                "0000000000000007"
                                "0000014a9da45400"
                                "1111111111111111111111111111111111111111111111111111111111111111"
                                "000000000000002a"
                                "2222222222222222222222222222222222222222222222222222222222222222";
static const char PAYLOAD_HEX[] = "01"
                                  "06"
                                  "3333333333333333333333333333333333333333333333333333333333333333"
                                  "0001"
                                  "0004"
                                  "0000000000000006"
                                  "0000000000000007"
                                  "0000000000000003"
                                  "0000014a9da48439"
                                  "4444444444444444444444444444444444444444444444444444444444444444"
                                  "000000000000000c"
                                  "0000000000000d80"
                                  "0000000000000000"
                                  "0007"
                                  "72756c6520494e";

static void assert_hex(struct slice bytes, const char *hex) {
  BUF_AUTO text = BUF_INIT;
  hex_encode(&text, bytes);
  assert_string_equal(buf_str(&text), hex);
}

static void test_entry_golden(void **state) {
  struct ledger_entry entry = sample_entry(), again;
  uint8_t bytes[LEDGER_ENTRY_SIZE];
  (void)state;
  ledger_entry_encode(&entry, bytes);
  assert_hex(slice_of(bytes, sizeof bytes), ENTRY_HEX);
  OK(ledger_entry_decode(slice_of(bytes, sizeof bytes), &again, NULL));
  assert_int_equal(again.type, entry.type);
  assert_int_equal(again.region, entry.region);
  assert_int_equal(again.epoch, entry.epoch);
  assert_int_equal(again.time_ms, entry.time_ms);
  assert_int_equal(again.peer_index, entry.peer_index);
  assert_memory_equal(again.peer_log_id, entry.peer_log_id, sizeof entry.peer_log_id);
  assert_memory_equal(again.commit, entry.commit, sizeof entry.commit);
}

static void test_payload_golden(void **state) {
  struct ledger_payload payload = sample_payload(), again;
  BUF_AUTO bytes = BUF_INIT;
  (void)state;
  ledger_payload_encode(&payload, &bytes);
  assert_hex(buf_slice(&bytes), PAYLOAD_HEX);
  OK(ledger_payload_decode(buf_slice(&bytes), &again, NULL));
  assert_int_equal(again.to_epoch, 7);
  assert_int_equal(again.bytes, 3456);
  assert_int_equal(again.time_ms, payload.time_ms);
  assert_memory_equal(again.text, "rule IN", 7);
  assert_true(bytes.len < LEDGER_PAYLOAD_MAX);
}

static void test_commit_golden(void **state) {
  /* HMAC-SHA256 computed with Python's hmac module over the bytes above. */
  uint8_t opening[LEDGER_OPENING_SIZE], commit[LEDGER_HASH_SIZE];
  BUF_AUTO bytes = BUF_INIT;
  struct ledger_payload payload = sample_payload();
  (void)state;
  memset(opening, 0x66, sizeof opening);
  ledger_payload_encode(&payload, &bytes);
  ledger_commit(opening, buf_slice(&bytes), commit);
  assert_hex(slice_of(commit, sizeof commit),
             "d3c75684eea7f1eaafde277ed3e94f46c508cdc411bb114a28c37274e8fc7e6c");
}

static enum dom_code decode_with(size_t at, uint8_t value, size_t len) {
  struct ledger_entry entry = sample_entry();
  uint8_t bytes[LEDGER_ENTRY_SIZE + 1] = {0};
  ledger_entry_encode(&entry, bytes);
  bytes[at] = value;
  return ledger_entry_decode(slice_of(bytes, len), &entry, NULL);
}

static void test_entry_strict(void **state) {
  (void)state;
  OK(decode_with(0, 'D', 96));
  assert_int_equal(decode_with(0, 'd', 96), DOM_INVALID);
  assert_int_equal(decode_with(3, '2', 96), DOM_INVALID);
  assert_int_equal(decode_with(4, 0, 96), DOM_INVALID);
  assert_int_equal(decode_with(4, LEDGER_TYPE_LAST + 1, 96), DOM_INVALID);
  assert_int_equal(decode_with(5, 0, 96), DOM_INVALID); /* a peer without its flag */
  assert_int_equal(decode_with(5, 3, 96), DOM_INVALID);
  assert_int_equal(decode_with(0, 'D', 95), DOM_INVALID);
  assert_int_equal(decode_with(0, 'D', 97), DOM_INVALID);
  assert_int_equal(decode_with(0, 'D', 0), DOM_INVALID);
}

static void test_payload_strict(void **state) {
  struct ledger_payload payload = sample_payload(), out;
  BUF_AUTO bytes = BUF_INIT;
  (void)state;
  ledger_payload_encode(&payload, &bytes);
  for (size_t len = 0; len < bytes.len; len++)
    assert_int_equal(ledger_payload_decode(slice_of(bytes.data, len), &out, NULL), DOM_INVALID);
  buf_append_byte(&bytes, 0);
  assert_int_equal(ledger_payload_decode(buf_slice(&bytes), &out, NULL), DOM_INVALID);
  bytes.len--;
  bytes.data[0] = 2;
  assert_int_equal(ledger_payload_decode(buf_slice(&bytes), &out, NULL), DOM_INVALID);
  bytes.data[0] = 1;
  bytes.data[1] = 99;
  assert_int_equal(ledger_payload_decode(buf_slice(&bytes), &out, NULL), DOM_INVALID);
  bytes.data[1] = LEDGER_MOVE_COMMITTED;
  static const uint8_t bad_bytes[] = {'\n', 0x1B, 0x7F, 0xFF, 0x00};
  for (size_t i = 0; i < sizeof bad_bytes; i++) {
    bytes.data[bytes.len - 1] = bad_bytes[i];
    assert_int_equal(ledger_payload_decode(buf_slice(&bytes), &out, NULL), DOM_INVALID);
  }
  bytes.data[bytes.len - 2] = 0xC2; /* U+009B, a terminal's escape */
  bytes.data[bytes.len - 1] = 0x9B;
  assert_int_equal(ledger_payload_decode(buf_slice(&bytes), &out, NULL), DOM_INVALID);
}

static void test_seal_open(void **state) {
  struct ledger_payload payload = sample_payload(), out;
  struct ledger_entry entry = sample_entry(), decoded;
  uint8_t opening[LEDGER_OPENING_SIZE], other[LEDGER_OPENING_SIZE], bytes[LEDGER_ENTRY_SIZE];
  BUF_AUTO stored = BUF_INIT;
  (void)state;
  OK(ledger_entry_seal(&entry, &payload, opening, &stored, bytes));
  OK(ledger_entry_decode(slice_of(bytes, sizeof bytes), &decoded, NULL));
  OK(ledger_entry_open(&decoded, opening, buf_slice(&stored), &out, NULL));
  assert_int_equal(out.objects, 12);
  opening[15] ^= 1;
  assert_int_equal(ledger_entry_open(&decoded, opening, buf_slice(&stored), &out, NULL), DOM_CORRUPT);
  opening[15] ^= 1;
  stored.data[40] ^= 1;
  assert_int_equal(ledger_entry_open(&decoded, opening, buf_slice(&stored), &out, NULL), DOM_CORRUPT);
  stored.data[40] ^= 1;
  decoded.type = LEDGER_MOVE_ABORTED; /* the payload of one event must not pass for another's */
  assert_int_equal(ledger_entry_open(&decoded, opening, buf_slice(&stored), &out, NULL), DOM_CORRUPT);
  buf_reset(&stored);
  OK(ledger_entry_seal(&entry, &payload, other, &stored, bytes));
  assert_memory_not_equal(opening, other, sizeof opening);
}

static void test_time_round(void **state) {
  (void)state;
  assert_int_equal(ledger_time_round(0), 0);
  assert_int_equal(ledger_time_round(59999), 0);
  assert_int_equal(ledger_time_round(60000), 60000);
  assert_int_equal(ledger_time_round(119999), 60000);
}

static void test_describe(void **state) {
  struct ledger_entry entry = sample_entry();
  struct ledger_payload payload = sample_payload();
  BUF_AUTO text = BUF_INIT;
  (void)state;
  ledger_entry_describe(&entry, &payload, &text);
  static const char *const parts[] = {"2014-12-31T00:00:00.000Z",
                                      "move committed",
                                      "3333",
                                      "from region 1 (epoch 6) to region 4 (epoch 7)",
                                      "12 objects, 3456 bytes",
                                      "under charter version 3",
                                      "2014-12-31T00:00:12.345Z",
                                      ": rule IN",
                                      "answers entry 42 of ledger 1111"};
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
    assert_non_null(strstr(buf_str(&text), parts[i]));
  assert_null(strchr(buf_str(&text), '\n'));
  for (unsigned type = 1; type <= LEDGER_TYPE_LAST; type++) { /* every type has words of its own */
    entry.type = payload.type = (enum ledger_type)type;
    buf_reset(&text);
    ledger_entry_describe(&entry, &payload, &text);
    assert_non_null(strstr(buf_str(&text), ledger_type_name(entry.type)));
    for (unsigned other = 1; other < type; other++)
      assert_string_not_equal(ledger_type_name(entry.type), ledger_type_name((enum ledger_type)other));
  }
  buf_reset(&text);
  entry.time_ms = UINT64_MAX; /* a ledger by somebody else may hold any number */
  ledger_entry_describe(&entry, NULL, &text);
  assert_non_null(strstr(buf_str(&text), "content not disclosed"));
  assert_string_equal(ledger_type_name((enum ledger_type)0), "unknown");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_entry_golden),   cmocka_unit_test(test_payload_golden),
      cmocka_unit_test(test_commit_golden),  cmocka_unit_test(test_entry_strict),
      cmocka_unit_test(test_payload_strict), cmocka_unit_test(test_seal_open),
      cmocka_unit_test(test_time_round),     cmocka_unit_test(test_describe)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
