#include <assert.h>

#include "ledger/receipt.h"
#include "ledger/verify_result.h"

/* The entry is in the tree that the checkpoint signs, and the opening is the entry's. */
static bool check_entry(struct domicile_result *r, const struct receipt *receipt,
                        const struct checkpoint *head) {
  struct dom_err err = {.code = DOM_OK};
  struct ledger_entry entry;
  struct ledger_payload payload;
  struct merkle_hash leaf;
  struct slice bytes = slice_of(receipt->entry, LEDGER_ENTRY_SIZE);
  assert(r && head);
  if (ledger_entry_decode(bytes, &entry, &err) != DOM_OK)
    return result_fail(r, DOMICILE_MALFORMED, "the entry does not decode: %s", err.text);
  merkle_leaf(bytes, &leaf);
  if (!merkle_check_inclusion(&leaf, receipt->index, head->size, &receipt->proof, &head->root))
    return result_fail(r, DOMICILE_BAD_HASH,
                       "the proof does not lead from entry %llu to the root of size %llu",
                       (unsigned long long)receipt->index, (unsigned long long)head->size);
  if (ledger_entry_open(&entry, receipt->opening, receipt->payload, &payload, &err) != DOM_OK)
    return result_fail(r, DOMICILE_BAD_OPENING, "the entry cannot be opened: %s", err.text);
  ledger_entry_describe(&entry, &payload, &r->event);
  return true;
}

static bool check_receipt(const struct domicile_verifier *v, struct domicile_result *r, struct slice text,
                          struct buf *store) {
  assert(v && r && store);
  struct dom_err err = {.code = DOM_OK};
  struct receipt receipt;
  struct checkpoint head;
  if (v->since.len > 0)
    return result_fail(r, DOMICILE_UNSUPPORTED,
                       "a receipt alone cannot prove a continuation: verify the ledger");
  enum dom_code code = receipt_parse(text, &receipt, store, &err);
  if (code == DOM_NO_MEMORY) return result_fail(r, DOMICILE_FAILED, "out of memory");
  if (code != DOM_OK) return result_fail(r, DOMICILE_MALFORMED, "not a receipt: %s", err.text);
  if (!verify_head(v, r, receipt.checkpoint, "the receipt's checkpoint", &head)) return false;
  if (!check_entry(r, &receipt, &head)) return false;
  BUF_AUTO root = BUF_INIT;
  hex_encode(&root, slice_of(head.root.bytes, MERKLE_HASH));
  if (root.failed) return result_fail(r, DOMICILE_FAILED, "out of memory");
  memcpy(r->root, root.data, root.len);
  memcpy(r->origin, head.origin, sizeof r->origin);
  r->size = head.size;
  r->index = receipt.index;
  result_say(r, "entry %llu of ledger %s (size %llu, root %s) records:", (unsigned long long)r->index,
             r->origin, (unsigned long long)r->size, r->root);
  buf_append_slice(&r->text, buf_slice(&r->event));
  buf_append_byte(&r->text, '\n');
  return true;
}

struct domicile_result *domicile_verify_receipt(const struct domicile_verifier *verifier, const void *bytes,
                                                size_t len) {
  assert(verifier && (bytes || len == 0));
  struct domicile_result *r = result_new();
  if (!r) return NULL;
  BUF_AUTO store = BUF_INIT;
  if (check_receipt(verifier, r, slice_of(bytes, len), &store) && r->code == DOMICILE_VERIFIED)
    result_say(r, "verified: signed by the key given for %s, included, and the opening is the entry's",
               r->origin);
  return result_end(r);
}
