/* What the ledger shows to others and reads from others: checkpoints, receipts, keys, paths, entries,
 * payloads. Each has one form: what is accepted is, printed again, the very same bytes. No receipt that
 * this input makes is verified under a key. */
#include "fuzz.h"

#include "domicile/verify.h"
#include "ledger/journal.h"
#include "ledger/note.h"
#include "ledger/receipt.h"
#include "ledger/tile.h"

static const uint8_t seed[ED25519_KEY_SIZE] = {1, 2, 3};
#define ORIGIN "example.org/fuzz/in"

static void check_checkpoint(struct slice in) {
  struct checkpoint c, again;
  struct slice body, signatures, body_again, signatures_again;
  struct note_key key = {.origin = ORIGIN};
  ed25519_public(seed, key.public_key);
  fuzz_mark(&c, sizeof c);
  if (checkpoint_parse(in, &c, &body, &signatures, NULL) != DOM_OK) {
    assert(fuzz_is_marked(&c, sizeof c));
    return;
  }
  assert(fuzz_inside(in, body) && fuzz_inside(in, signatures) && note_name_valid(slice_str(c.origin)));
  assert(!checkpoint_verify(&c, body, signatures, &key));
  BUF_AUTO own = BUF_INIT; /* what it says, signed by us, says the same */
  checkpoint_sign(&c, seed, key.public_key, &own);
  assert(checkpoint_parse(buf_slice(&own), &again, &body_again, &signatures_again, NULL) == DOM_OK);
  assert(slice_equal(body, body_again) && again.size == c.size);
  memcpy(key.origin, c.origin, sizeof key.origin);
  assert(checkpoint_verify(&again, body_again, signatures_again, &key));
}

static void check_receipt(struct slice in) {
  struct receipt receipt;
  BUF_AUTO store = BUF_INIT;
  BUF_AUTO printed = BUF_INIT;
  BUF_AUTO vkey = BUF_INIT;
  uint8_t public_key[ED25519_KEY_SIZE];
  if (receipt_parse(in, &receipt, &store, NULL) == DOM_OK) {
    receipt_encode(&receipt, &printed);
    assert(slice_equal(buf_slice(&printed), in));
  }
  struct domicile_verifier *verifier = domicile_verifier_new();
  ed25519_public(seed, public_key);
  ledger_vkey_format(ORIGIN, public_key, &vkey);
  assert(verifier != NULL && domicile_verifier_add_key(verifier, buf_str(&vkey)) == DOMICILE_VERIFIED);
  struct domicile_result *result = domicile_verify_receipt(verifier, in.data, in.len);
  assert(result != NULL && domicile_result_code(result) > DOMICILE_UNAUTHENTICATED);
  assert(strlen(domicile_result_text(result)) > 0);
  domicile_result_free(result);
  (void)domicile_verifier_since(verifier, in.data, in.len);
  domicile_verifier_free(verifier);
}

static void check_line(struct slice line) {
  char origin[LEDGER_ORIGIN_MAX + 1];
  uint8_t key[ED25519_KEY_SIZE];
  struct tile_id tile;
  uint64_t number;
  BUF_AUTO printed = BUF_INIT;
  fuzz_mark(origin, sizeof origin);
  if (ledger_vkey_parse(line, origin, key, NULL) == DOM_OK) {
    ledger_vkey_format(origin, key, &printed);
    assert(slice_equal(buf_slice(&printed), line));
  } else {
    assert(fuzz_is_marked(origin, sizeof origin));
  }
  if (tile_path_parse(line, &tile)) {
    char path[TILE_PATH_MAX];
    tile_path(tile, path);
    assert(slice_equal(slice_str(path), line));
  }
  buf_reset(&printed);
  if (note_decimal(line, &number)) {
    buf_printf(&printed, "%llu", (unsigned long long)number);
    assert(slice_equal(buf_slice(&printed), line));
  }
  uint8_t bytes[256];
  size_t len = 0;
  buf_reset(&printed);
  if (note_base64(line, bytes, sizeof bytes, &len)) {
    base64_encode(&printed, slice_of(bytes, len));
    assert(len <= sizeof bytes && slice_equal(buf_slice(&printed), line));
  }
}

static void check_entry(struct slice in) {
  struct ledger_entry entry;
  struct ledger_payload payload;
  uint8_t bytes[LEDGER_ENTRY_SIZE];
  BUF_AUTO printed = BUF_INIT;
  BUF_AUTO words = BUF_INIT;
  fuzz_mark(&entry, sizeof entry);
  if (ledger_entry_decode(in, &entry, NULL) == DOM_OK) {
    ledger_entry_encode(&entry, bytes);
    assert(slice_equal(slice_of(bytes, sizeof bytes), in));
    ledger_entry_describe(&entry, NULL, &words);
  } else {
    assert(fuzz_is_marked(&entry, sizeof entry));
  }
  if (ledger_payload_decode(in, &payload, NULL) == DOM_OK) {
    ledger_payload_encode(&payload, &printed);
    assert(slice_equal(buf_slice(&printed), in) && payload.text_len <= LEDGER_TEXT_MAX);
  }
}

/* Entries, payloads and journal slots begin with words and sums that random bytes do not hit: the input
 * is laid over good ones. */
static void check_laid_over(struct slice in) {
  struct ledger_payload payload = {
      .type = LEDGER_MOVE_COMMITTED, .from_region = 1, .to_region = 2, .text_len = 4, .text = "rule"};
  struct ledger_entry entry = {.type = LEDGER_MOVE_COMMITTED, .region = 1, .epoch = 3, .time_ms = 60000};
  struct journal_slot slot = {.cursor = 9, .batch_left = 1}, back;
  uint8_t bytes[JOURNAL_SLOT_SIZE];
  BUF_AUTO text = BUF_INIT;
  ledger_payload_encode(&payload, &text);
  ledger_entry_encode(&entry, slot.entry);
  for (size_t i = 0; i < in.len; i++) {
    if (i < text.len) text.data[i] ^= in.data[i];
    if (i < LEDGER_ENTRY_SIZE) slot.entry[i] ^= in.data[i];
  }
  check_entry(buf_slice(&text));
  check_entry(slice_of(slot.entry, LEDGER_ENTRY_SIZE));
  journal_slot_encode(7, &slot, bytes);
  if (journal_slot_decode(7, bytes, &back))
    assert(back.cursor == 9 && memcmp(back.entry, slot.entry, LEDGER_ENTRY_SIZE) == 0);
  assert(!journal_slot_decode(8, bytes, &back)); /* a slot belongs to its place */
}

/* A receipt of our own with the input for checkpoint and payload comes back; changed in one byte it is
 * refused or says what it says in one way only. */
static void check_own_receipt(struct slice in, struct fuzz_random *r) {
  struct ledger_entry entry = {.type = LEDGER_SUBJECT_HOMED, .region = 1};
  struct receipt receipt = {.index = fuzz_random_next(r) >> fuzz_random_below(r, 64), .checkpoint = in}, back;
  BUF_AUTO text = BUF_INIT;
  BUF_AUTO store = BUF_INIT;
  receipt.payload = slice_cut(in, 0, fuzz_random_below(r, in.len < LEDGER_PAYLOAD_MAX ? in.len + 1 : 1));
  receipt.proof.count = fuzz_random_below(r, 8);
  ledger_entry_encode(&entry, receipt.entry);
  receipt_encode(&receipt, &text);
  enum dom_code code = receipt_parse(buf_slice(&text), &back, &store, NULL);
  if (code == DOM_TOO_LARGE && text.len > RECEIPT_BYTES_MAX) return;
  assert(code == DOM_OK && back.index == receipt.index && back.proof.count == receipt.proof.count);
  assert(slice_equal(back.payload, receipt.payload) && slice_equal(back.checkpoint, in));
  text.data[fuzz_random_below(r, text.len)] ^= (uint8_t)(1 << fuzz_random_below(r, 8));
  check_receipt(buf_slice(&text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct slice in = slice_of(data, size), rest = in, line;
  struct fuzz_random r = fuzz_random_of(in);
  check_own_receipt(in, &r);
  check_checkpoint(in);
  check_receipt(in);
  check_entry(in);
  check_laid_over(in);
  while (fuzz_line(&rest, &line)) check_line(line);
  return 0;
}
