#include "ledger/receipt.h"

#include <assert.h>

#include "base/codec.h"
#include "ledger/note.h"

static const struct slice FIRST_LINE = {(const uint8_t *)"c2sp.org/tlog-proof@v1", 22};
/* Begins our extra data; the last byte is its version. */
static const uint8_t EXTRA_MAGIC[6] = {'D', 'O', 'M', 'R', 'C', 1};

static void extra_encode(const struct receipt *receipt, struct buf *out) {
  assert(receipt->payload.len <= LEDGER_PAYLOAD_MAX);
  buf_append(out, EXTRA_MAGIC, sizeof EXTRA_MAGIC);
  buf_append(out, receipt->entry, LEDGER_ENTRY_SIZE);
  buf_append(out, receipt->opening, LEDGER_OPENING_SIZE);
  put_bytes16be(out, receipt->payload);
}

void receipt_encode(const struct receipt *receipt, struct buf *out) {
  assert(receipt && out && receipt->proof.count <= MERKLE_PROOF_MAX);
  BUF_AUTO extra = BUF_INIT;
  extra_encode(receipt, &extra);
  if (extra.failed) out->failed = true;
  buf_append_slice(out, FIRST_LINE);
  buf_append_str(out, "\nextra ");
  base64_encode(out, buf_slice(&extra));
  buf_printf(out, "\nindex %llu\n", (unsigned long long)receipt->index);
  for (size_t i = 0; i < receipt->proof.count; i++) {
    base64_encode(out, slice_of(receipt->proof.hashes[i].bytes, MERKLE_HASH));
    buf_append_byte(out, '\n');
  }
  buf_append_byte(out, '\n');
  buf_append_slice(out, receipt->checkpoint);
}

/* Decodes the extra data into `out` and `store`; the text must be canonical base64. */
static bool extra_parse(struct slice text, struct receipt *out, struct buf *store) {
  assert(store->len == 0);
  if (!buf_reserve(store, text.len)) return false;
  if (!note_base64(text, store->data, store->cap, &store->len)) return false;
  struct reader r = reader_of(buf_slice(store));
  struct slice magic = get_slice(&r, sizeof EXTRA_MAGIC);
  get_copy(&r, out->entry, LEDGER_ENTRY_SIZE);
  get_copy(&r, out->opening, LEDGER_OPENING_SIZE);
  out->payload = get_bytes16be(&r);
  return reader_end(&r) && slice_equal(magic, slice_of(EXTRA_MAGIC, sizeof EXTRA_MAGIC)) &&
         out->payload.len <= LEDGER_PAYLOAD_MAX;
}

/* The hash lines and the empty line after them. */
static bool proof_parse(struct slice *rest, struct merkle_proof *out) {
  assert(rest && out);
  struct slice line;
  out->count = 0;
  while (note_line(rest, &line)) {
    if (line.len == 0) return true;
    if (out->count == MERKLE_PROOF_MAX) return false;
    if (!note_base64_exact(line, out->hashes[out->count++].bytes, MERKLE_HASH)) return false;
  }
  return false;
}

/* A line that begins with `word` and a space; cuts it to what follows. */
static bool word_line(struct slice *rest, struct slice word, struct slice *out) {
  assert(rest && out && word.len > 0);
  if (!note_line(rest, out) || !slice_starts_with(*out, word)) return false;
  *out = slice_cut(*out, word.len, out->len);
  return true;
}

enum dom_code receipt_parse(struct slice text, struct receipt *out, struct buf *payload_store,
                            struct dom_err *err) {
  static const char where[] = "ledger/receipt: parse";
  assert(out && payload_store);
  struct receipt receipt = {.index = 0};
  struct slice rest = text, line;
  if (text.len > RECEIPT_BYTES_MAX)
    return dom_fail(err, DOM_TOO_LARGE, where, "longer than %d bytes", RECEIPT_BYTES_MAX);
  if (!note_line(&rest, &line) || !slice_equal(line, FIRST_LINE))
    return dom_fail(err, DOM_INVALID, where, "the first line is not c2sp.org/tlog-proof@v1");
  buf_reset(payload_store);
  if (!word_line(&rest, SLICE_LIT("extra "), &line) || !extra_parse(line, &receipt, payload_store)) {
    if (payload_store->failed) return buf_check(payload_store, err);
    return dom_fail(err, DOM_INVALID, where, "the extra data are missing or not an entry with its opening");
  }
  if (!word_line(&rest, SLICE_LIT("index "), &line) || !note_decimal(line, &receipt.index))
    return dom_fail(err, DOM_INVALID, where, "the index line is missing or malformed");
  if (!proof_parse(&rest, &receipt.proof))
    return dom_fail(err, DOM_INVALID, where, "the proof lines are malformed");
  receipt.checkpoint = rest;
  *out = receipt;
  return DOM_OK;
}
