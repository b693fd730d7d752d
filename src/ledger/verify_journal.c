#include <assert.h>

#include "ledger/journal.h"
#include "ledger/verify_pass.h"

static int read_slots(struct pass *p, uint64_t slot, uint8_t *out, size_t len, size_t *out_len) {
  assert(slot < UINT64_MAX / JOURNAL_SLOT_SIZE);
  return p->source->read(p->source->context, "journal", slot * JOURNAL_SLOT_SIZE, out, len, out_len);
}

/* Entry `index` in the journal is the published one, in order and in whole batches. */
static bool check_slot(struct pass *p, uint64_t index, const uint8_t *raw, const uint8_t *entry) {
  struct journal_slot slot;
  unsigned long long at = index;
  assert(raw && entry);
  if (!journal_slot_decode(index, raw, &slot))
    return result_fail(p->result, DOMICILE_BAD_HASH, "journal: slot %llu is damaged", at);
  if (memcmp(slot.entry, entry, LEDGER_ENTRY_SIZE) != 0)
    return result_fail(p->result, DOMICILE_BAD_HASH, "journal: slot %llu holds another entry than the bundle",
                       at);
  bool in_order =
      slot.cursor >= p->last_cursor && (p->batch_left == 0 || slot.batch_left == p->batch_left - 1);
  bool ended = index + 1 < p->head.size || slot.batch_left == 0;
  p->last_cursor = slot.cursor;
  p->batch_left = slot.batch_left;
  if (in_order && ended) return true;
  return result_fail(p->result, DOMICILE_BAD_HASH, "journal: slot %llu is out of order", at);
}

bool pass_check_journal(struct pass *p, uint64_t first, unsigned count) {
  assert(p && count >= 1 && count <= TILE_WIDTH);
  uint8_t raw[TILE_WIDTH * JOURNAL_SLOT_SIZE];
  size_t len = (size_t)count * JOURNAL_SLOT_SIZE, got = 0;
  int status = read_slots(p, first + 1, raw, len, &got);
  if (status != 0) return result_fail(p->result, DOMICILE_FAILED, "journal cannot be read");
  if (got < len) return result_fail(p->result, DOMICILE_MISSING, "journal ends before the checkpoint's size");
  for (unsigned i = 0; i < count; i++)
    if (!check_slot(p, first + i, raw + (size_t)i * JOURNAL_SLOT_SIZE,
                    p->bundle + (size_t)i * BUNDLE_UNIT + 2))
      return false;
  return true;
}

/* The journal's header, when there is one. Its log id is checked against the keys given. */
bool pass_open_journal(struct pass *p) {
  assert(p && !p->has_journal);
  uint8_t header[JOURNAL_SLOT_SIZE], id[LEDGER_LOG_ID_SIZE];
  size_t got = 0;
  bool known = p->verifier->key_count == 0;
  int status = p->source->list ? read_slots(p, 0, header, sizeof header, &got) : 1;
  if (status < 0) return result_fail(p->result, DOMICILE_FAILED, "journal cannot be read");
  if (status > 0) return true; /* a published copy has none */
  if (got < sizeof header)
    return result_fail(p->result, DOMICILE_MISSING, "journal is shorter than its header");
  journal_header_id(header, id);
  for (size_t i = 0; i < p->verifier->key_count && !known; i++) {
    uint8_t mine[LEDGER_LOG_ID_SIZE];
    ledger_log_id(p->verifier->keys[i].origin, p->verifier->keys[i].public_key, mine);
    known = strcmp(p->verifier->keys[i].origin, p->head.origin) == 0 && memcmp(mine, id, sizeof id) == 0;
  }
  if (!known || journal_header_check(header, id, NULL) != DOM_OK)
    return result_fail(p->result, DOMICILE_BAD_HASH, "journal: the header is damaged or of another ledger");
  p->has_journal = true;
  return true;
}

/* Bytes after the published entries are a batch under way or cut short; nothing signs them. */
bool pass_check_journal_end(struct pass *p) {
  assert(p && p->edge.size == p->head.size);
  uint8_t more;
  size_t got = 0;
  if (!p->has_journal) return true;
  int status = read_slots(p, p->head.size + 1, &more, 1, &got);
  if (status != 0) return result_fail(p->result, DOMICILE_FAILED, "journal cannot be read");
  if (got > 0)
    result_say(p->result, "the journal holds more than the checkpoint signs: entries not yet published");
  return true;
}

bool pass_journal_has(struct pass *p, uint64_t index) {
  assert(p && p->has_journal);
  uint8_t raw[JOURNAL_SLOT_SIZE];
  struct journal_slot slot;
  size_t got = 0;
  if (index >= UINT64_MAX / JOURNAL_SLOT_SIZE - 1) return false;
  if (read_slots(p, index + 1, raw, sizeof raw, &got) != 0 || got != sizeof raw) return false;
  return journal_slot_decode(index, raw, &slot);
}
