#include "ledger/journal.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/codec.h"

static const char MAGIC[8] = {'D', 'O', 'M', 'L', 'J', 'R', 'N', '1'};

enum {
  /* header: magic 8, version 4, slot size 4, incompatible flags 4, compatible flags 4, log id
   * 32, zero 52, crc 4; slot: cursor 8, batch left 4, crc 4, entry 96 */
  HEADER_ID_AT = 24,
  HEADER_CRC_AT = JOURNAL_SLOT_SIZE - 4,
  SLOT_CRC_AT = 12,
  SLOT_ENTRY_AT = 16,
  READ_CHUNK = 512 /* slots read at once: 56 KiB */
};

void journal_header_encode(const uint8_t log_id[LEDGER_LOG_ID_SIZE], uint8_t out[JOURNAL_SLOT_SIZE]) {
  assert(log_id && out);
  memset(out, 0, JOURNAL_SLOT_SIZE);
  memcpy(out, MAGIC, sizeof MAGIC);
  store_u32be(out + 8, JOURNAL_VERSION);
  store_u32be(out + 12, JOURNAL_SLOT_SIZE);
  memcpy(out + HEADER_ID_AT, log_id, LEDGER_LOG_ID_SIZE);
  store_u32be(out + HEADER_CRC_AT, crc32c(0, out, HEADER_CRC_AT));
}

enum dom_code journal_header_check(const uint8_t bytes[JOURNAL_SLOT_SIZE],
                                   const uint8_t log_id[LEDGER_LOG_ID_SIZE], struct dom_err *err) {
  static const char where[] = "ledger/journal: header";
  assert(bytes && log_id);
  uint8_t expected[JOURNAL_SLOT_SIZE];
  if (memcmp(bytes, MAGIC, sizeof MAGIC) != 0 ||
      load_u32be(bytes + HEADER_CRC_AT) != crc32c(0, bytes, HEADER_CRC_AT))
    return dom_fail(err, DOM_CORRUPT, where, "the journal's header is damaged");
  if (memcmp(bytes + HEADER_ID_AT, log_id, LEDGER_LOG_ID_SIZE) != 0)
    return dom_fail(err, DOM_INCOMPATIBLE, where, "the journal belongs to another origin or key");
  journal_header_encode(log_id, expected);
  if (memcmp(bytes, expected, sizeof expected) != 0)
    return dom_fail(err, DOM_INCOMPATIBLE, where, "version %u or flags this build does not know",
                    load_u32be(bytes + 8));
  return DOM_OK;
}

void journal_header_id(const uint8_t bytes[JOURNAL_SLOT_SIZE], uint8_t out_id[LEDGER_LOG_ID_SIZE]) {
  assert(bytes && out_id);
  memcpy(out_id, bytes + HEADER_ID_AT, LEDGER_LOG_ID_SIZE);
}

/* Covers the place too, so that a slot moved elsewhere does not pass. */
static uint32_t slot_crc(uint64_t index, const uint8_t bytes[JOURNAL_SLOT_SIZE]) {
  assert(bytes);
  uint8_t place[8];
  store_u64be(place, index);
  uint32_t crc = crc32c(0, place, sizeof place);
  crc = crc32c(crc, bytes, SLOT_CRC_AT);
  return crc32c(crc, bytes + SLOT_ENTRY_AT, LEDGER_ENTRY_SIZE);
}

void journal_slot_encode(uint64_t index, const struct journal_slot *slot, uint8_t out[JOURNAL_SLOT_SIZE]) {
  assert(slot && out);
  store_u64be(out, slot->cursor);
  store_u32be(out + 8, slot->batch_left);
  memcpy(out + SLOT_ENTRY_AT, slot->entry, LEDGER_ENTRY_SIZE);
  store_u32be(out + SLOT_CRC_AT, slot_crc(index, out));
}

bool journal_slot_decode(uint64_t index, const uint8_t bytes[JOURNAL_SLOT_SIZE], struct journal_slot *out) {
  assert(bytes && out);
  struct ledger_entry entry;
  if (load_u32be(bytes + SLOT_CRC_AT) != slot_crc(index, bytes)) return false;
  if (ledger_entry_decode(slice_of(bytes + SLOT_ENTRY_AT, LEDGER_ENTRY_SIZE), &entry, NULL) != DOM_OK)
    return false;
  out->cursor = load_u64be(bytes);
  out->batch_left = load_u32be(bytes + 8);
  memcpy(out->entry, bytes + SLOT_ENTRY_AT, LEDGER_ENTRY_SIZE);
  return true;
}

static uint64_t slot_at(uint64_t index) {
  assert(index < UINT64_MAX / JOURNAL_SLOT_SIZE - 1);
  return (index + 1) * JOURNAL_SLOT_SIZE;
}

/* True when the file is what a crash during creation leaves: no header ever became durable. */
static bool never_written(const uint8_t *header, size_t len, uint64_t size) {
  assert(header);
  if (size > JOURNAL_SLOT_SIZE) return false;
  for (size_t i = 0; i < len; i++)
    if (len == JOURNAL_SLOT_SIZE && header[i] != 0) return false;
  return true;
}

static enum dom_code open_header(struct journal *j, const uint8_t log_id[LEDGER_LOG_ID_SIZE],
                                 struct dom_err *err) {
  assert(j->file);
  uint8_t header[JOURNAL_SLOT_SIZE];
  uint64_t size;
  size_t len;
  enum dom_code code = disk_size(j->file, &size, err);
  if (code == DOM_OK) code = disk_read(j->file, 0, header, sizeof header, &len, err);
  if (code != DOM_OK) return code;
  if (!never_written(header, len, size)) {
    j->slots = size / JOURNAL_SLOT_SIZE - (size >= JOURNAL_SLOT_SIZE ? 1 : 0);
    return journal_header_check(header, log_id, err);
  }
  journal_header_encode(log_id, header);
  code = disk_write(j->file, 0, header, sizeof header, err);
  return code == DOM_OK ? disk_sync(j->file, err) : code;
}

enum dom_code journal_open(struct disk *disk, const char *path, const uint8_t log_id[LEDGER_LOG_ID_SIZE],
                           struct journal *out, struct dom_err *err) {
  assert(disk && path && out);
  struct journal j = {.slots = 0};
  enum dom_code code = disk_open(disk, path, DISK_READ | DISK_WRITE | DISK_CREATE, &j.file, err);
  if (code != DOM_OK) return code;
  code = open_header(&j, log_id, err);
  if (code == DOM_OK)
    *out = j;
  else
    journal_done(&j);
  return code;
}

void journal_done(struct journal *journal) {
  assert(journal);
  disk_close(journal->file);
  *journal = (struct journal){0};
}

/* Reads whole slots, undecoded; a short read is DOM_CORRUPT. */
static enum dom_code read_raw(struct journal *j, uint64_t first, size_t count, uint8_t *out,
                              struct dom_err *err) {
  assert(j->file && count > 0);
  return disk_read_full(j->file, slot_at(first), out, count * JOURNAL_SLOT_SIZE, err);
}

enum dom_code journal_read(struct journal *journal, uint64_t first, size_t count, struct journal_slot *out,
                           struct dom_err *err) {
  assert(journal && out);
  if (count == 0) return DOM_OK;
  AUTO_FREE uint8_t *raw = dom_alloc(count * JOURNAL_SLOT_SIZE);
  if (!raw) return dom_fail(err, DOM_NO_MEMORY, "ledger/journal: read", "%zu slots", count);
  enum dom_code code = read_raw(journal, first, count, raw, err);
  if (code != DOM_OK) return code;
  for (size_t i = 0; i < count; i++)
    if (!journal_slot_decode(first + i, raw + i * JOURNAL_SLOT_SIZE, &out[i]))
      return dom_fail(err, DOM_CORRUPT, "ledger/journal: read", "slot %llu does not verify",
                      (unsigned long long)(first + i));
  return DOM_OK;
}

/* Counts the slots of whole batches in [first, j->slots); stops at the first bad slot. */
static enum dom_code whole_batches(struct journal *j, uint64_t first, uint64_t *out_end,
                                   struct dom_err *err) {
  assert(first <= j->slots);
  uint64_t end = first;
  uint32_t left = 0; /* promised by the slot before */
  AUTO_FREE uint8_t *raw = dom_alloc((size_t)READ_CHUNK * JOURNAL_SLOT_SIZE);
  if (!raw) return dom_fail(err, DOM_NO_MEMORY, "ledger/journal: recover", "a read buffer");
  for (uint64_t at = first; at < j->slots;) {
    size_t count = j->slots - at < READ_CHUNK ? (size_t)(j->slots - at) : READ_CHUNK;
    enum dom_code code = read_raw(j, at, count, raw, err);
    if (code != DOM_OK) return code;
    for (size_t i = 0; i < count; i++, at++) {
      struct journal_slot slot;
      bool good = journal_slot_decode(at, raw + i * JOURNAL_SLOT_SIZE, &slot);
      if (!good || (left > 0 && slot.batch_left != left - 1)) {
        *out_end = end;
        return DOM_OK;
      }
      left = slot.batch_left;
      if (left == 0) end = at + 1;
    }
  }
  *out_end = end;
  return DOM_OK;
}

enum dom_code journal_cut_torn(struct journal *journal, uint64_t first, struct dom_err *err) {
  assert(journal && first <= journal->slots);
  uint64_t end = first, size = 0;
  enum dom_code code = whole_batches(journal, first, &end, err);
  if (code == DOM_OK) code = disk_size(journal->file, &size, err);
  if (code != DOM_OK) return code;
  if (size != slot_at(end)) {
    code = disk_truncate(journal->file, slot_at(end), err);
    if (code == DOM_OK) code = disk_sync(journal->file, err);
    if (code != DOM_OK) return code;
  }
  journal->slots = end;
  return DOM_OK;
}

enum dom_code journal_append(struct journal *journal, const struct ledger_item *items, size_t count,
                             struct dom_err *err) {
  assert(journal && items && count >= 1 && count <= LEDGER_BATCH_MAX);
  AUTO_FREE uint8_t *raw = dom_alloc(count * JOURNAL_SLOT_SIZE);
  if (!raw) return dom_fail(err, DOM_NO_MEMORY, "ledger/journal: append", "%zu slots", count);
  for (size_t i = 0; i < count; i++) {
    struct journal_slot slot = {.cursor = items[i].cursor, .batch_left = (uint32_t)(count - 1 - i)};
    memcpy(slot.entry, items[i].entry, LEDGER_ENTRY_SIZE);
    journal_slot_encode(journal->slots + i, &slot, raw + i * JOURNAL_SLOT_SIZE);
  }
  enum dom_code code =
      disk_write(journal->file, slot_at(journal->slots), raw, count * JOURNAL_SLOT_SIZE, err);
  if (code == DOM_OK) code = disk_sync(journal->file, err);
  if (code == DOM_OK) journal->slots += count;
  return code;
}
