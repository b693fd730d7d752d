/* Entries in plain words, for receipts and reports. */
#include <assert.h>

#include "base/clock.h"
#include "ledger/ledger.h"

static const char *const NAMES[LEDGER_TYPE_LAST + 1] = {
    [LEDGER_CHARTER] = "charter in force",
    [LEDGER_REGION_KEY] = "region key",
    [LEDGER_SUBJECT_HOMED] = "subject homed",
    [LEDGER_MOVE_INTENT] = "move intent",
    [LEDGER_MOVE_PREPARED] = "move prepared",
    [LEDGER_MOVE_COMMITTED] = "move committed",
    [LEDGER_MOVE_ABORTED] = "move aborted",
    [LEDGER_KEY_DROPPED] = "key dropped",
    [LEDGER_ERASED] = "erased",
    [LEDGER_NAMES_PURGED] = "names purged",
    [LEDGER_KEY_ROTATED] = "key rotated",
    [LEDGER_KEK_DESTROYED] = "KEK destroyed",
    [LEDGER_REFUSAL_SUMMARY] = "refusal summary",
    [LEDGER_ABROAD_READ_SUMMARY] = "read-from-abroad summary",
    [LEDGER_OPERATOR_ACCESS] = "operator access",
    [LEDGER_INVENTORY] = "inventory",
    [LEDGER_SCRUB_FINDING] = "scrub finding",
    [LEDGER_REGISTRAR_CLOSED] = "registrar closed",
    [LEDGER_ERASURE_ORDERED] = "erasure ordered",
    [LEDGER_ERASURE_OVERDUE] = "erasure overdue",
    [LEDGER_REPAIR] = "repair",
};

const char *ledger_type_name(enum ledger_type type) {
  unsigned number = (unsigned)type;
  return number >= LEDGER_CHARTER && number <= LEDGER_TYPE_LAST ? NAMES[number] : "unknown";
}

static void say_time(struct buf *out, uint64_t wall_ms) {
  static const uint64_t year_9999_ms = 253402300799999; /* the last that RFC 3339 can write */
  assert(out);
  char text[25];
  if (wall_ms > year_9999_ms) {
    buf_printf(out, "%llu ms after 1970", (unsigned long long)wall_ms);
    return;
  }
  time_rfc3339(wall_ms, text);
  buf_append_str(out, text);
}

static void say_subject(struct buf *out, const struct ledger_payload *p) {
  assert(p);
  buf_append_str(out, "subject ");
  hex_encode(out, slice_of(p->token, LEDGER_TOKEN_SIZE));
}

/* "region 1 (epoch 3) to region 2 (epoch 4)" */
static void say_way(struct buf *out, const struct ledger_payload *p) {
  assert(p);
  buf_printf(out, "region %u (epoch %llu) to region %u (epoch %llu)", p->from_region,
             (unsigned long long)p->from_epoch, p->to_region, (unsigned long long)p->to_epoch);
}

static void say_amount(struct buf *out, const struct ledger_payload *p) {
  assert(p);
  buf_printf(out, ", %llu object%s, %llu bytes", (unsigned long long)p->objects, p->objects == 1 ? "" : "s",
             (unsigned long long)p->bytes);
}

static void say_digest(struct buf *out, const char *what, const struct ledger_payload *p) {
  assert(what && p);
  buf_printf(out, "%s ", what);
  hex_encode(out, slice_of(p->digest, LEDGER_HASH_SIZE));
}

static void say_move(struct buf *out, const struct ledger_payload *p, const char *verb, bool manifest) {
  assert(verb && p);
  say_subject(out, p);
  buf_printf(out, " %s from ", verb);
  say_way(out, p);
  if (manifest) {
    say_amount(out, p);
    say_digest(out, ", manifest", p);
  }
}

static void say_erasure(struct buf *out, const struct ledger_payload *p, const char *what) {
  assert(what && p);
  buf_printf(out, "%s for ", what);
  say_subject(out, p);
  buf_printf(out, " in region %u, epoch %llu", p->from_region, (unsigned long long)p->from_epoch);
  say_amount(out, p);
}

/* Kinds that concern one subject. False when `p` is of another kind. */
static bool say_subject_event(struct buf *out, const struct ledger_payload *p) {
  assert(out && p);
  switch (p->type) {
  case LEDGER_SUBJECT_HOMED:
    say_subject(out, p);
    buf_printf(out, " has its home in region %u since epoch %llu", p->to_region,
               (unsigned long long)p->to_epoch);
    return true;
  case LEDGER_MOVE_INTENT:
    say_move(out, p, "is permitted to move and copying began", false);
    return true;
  case LEDGER_MOVE_PREPARED:
    say_move(out, p, "was copied and verified", true);
    return true;
  case LEDGER_MOVE_COMMITTED:
    say_move(out, p, "moved its home", true);
    return true;
  case LEDGER_MOVE_ABORTED:
    say_move(out, p, "was not moved (aborted)", false);
    return true;
  case LEDGER_ERASURE_ORDERED:
    say_erasure(out, p, "erasure of the person ordered, reads and writes end,");
    return true;
  case LEDGER_KEY_DROPPED:
    say_erasure(out, p, "data key slots overwritten (stage 1 of erasure)");
    return true;
  case LEDGER_ERASED:
    say_erasure(out, p, "erased, the KEK over its data key is destroyed (stage 2)");
    return true;
  case LEDGER_NAMES_PURGED:
    say_erasure(out, p, "names purged from the index (stage 3)");
    return true;
  default:
    return false;
  }
}

static void say_region_event(struct buf *out, const struct ledger_payload *p) {
  assert(out && p);
  switch (p->type) {
  case LEDGER_CHARTER:
    say_digest(out, "charter came into force, SHA-256", p);
    break;
  case LEDGER_REGION_KEY:
    buf_printf(out, "public key of region %u", p->to_region);
    say_digest(out, ":", p);
    break;
  case LEDGER_KEY_ROTATED:
    say_digest(out, "a new KEK is in use, id", p);
    break;
  case LEDGER_KEK_DESTROYED:
    say_digest(out, "a KEK was destroyed, id", p);
    break;
  case LEDGER_REFUSAL_SUMMARY:
    buf_printf(out, "%llu requests refused by the charter", (unsigned long long)p->objects);
    break;
  case LEDGER_ABROAD_READ_SUMMARY:
    buf_printf(out, "%llu reads from abroad", (unsigned long long)p->objects);
    break;
  case LEDGER_OPERATOR_ACCESS:
    buf_append_str(out, "an operator had access");
    break;
  case LEDGER_INVENTORY:
    buf_printf(out, "inventory of %llu subjects", (unsigned long long)p->objects);
    say_digest(out, ", root", p);
    break;
  case LEDGER_ERASURE_OVERDUE:
    buf_printf(out, "%llu subjects who left are not erased here within the charter's time",
               (unsigned long long)p->objects);
    break;
  case LEDGER_SCRUB_FINDING:
    buf_append_str(out, "stored bytes were found bad");
    say_amount(out, p);
    break;
  default:
    buf_append_str(out, ledger_type_name(p->type));
    break;
  }
}

static void say_payload(struct buf *out, const struct ledger_payload *p) {
  assert(out && p);
  if (!say_subject_event(out, p)) say_region_event(out, p);
  if (p->charter > 0) buf_printf(out, ", under charter version %llu", (unsigned long long)p->charter);
  if (p->time_ms > 0) {
    buf_append_str(out, ", exactly at ");
    say_time(out, p->time_ms);
  }
  if (p->until_ms > 0) {
    buf_append_str(out, " until ");
    say_time(out, p->until_ms);
  }
  if (p->text_len > 0) {
    buf_append_str(out, ": ");
    buf_append(out, p->text, p->text_len);
  }
}

void ledger_entry_describe(const struct ledger_entry *entry, const struct ledger_payload *payload,
                           struct buf *out) {
  assert(entry && out && (!payload || payload->type == entry->type));
  say_time(out, entry->time_ms);
  buf_printf(out, " region %u, %s: ", entry->region, ledger_type_name(entry->type));
  if (payload)
    say_payload(out, payload);
  else
    buf_printf(out, "epoch %llu, content not disclosed", (unsigned long long)entry->epoch);
  if (entry->flags & LEDGER_HAS_PEER) {
    buf_printf(out, " (answers entry %llu of ledger ", (unsigned long long)entry->peer_index);
    hex_encode(out, slice_of(entry->peer_log_id, LEDGER_LOG_ID_SIZE));
    buf_append_byte(out, ')');
  }
}
