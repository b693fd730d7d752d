#include "s3/lock.h"

#include <assert.h>

#include "base/clock.h"
#include "s3/tree.h"
#include "s3/xml.h"

enum { DATE_LEN = 10, TIME_LEN = 8, FRACTION_MAX = 9 };
static const uint64_t DAY_MS = 86400000;

/* ---- names and dates ------------------------------------------------------------------------------ */

const char *s3_lock_mode_name(enum s3_lock_mode mode) {
  assert(mode == S3_LOCK_GOVERNANCE || mode == S3_LOCK_COMPLIANCE);
  return mode == S3_LOCK_GOVERNANCE ? "GOVERNANCE" : "COMPLIANCE";
}

const char *s3_legal_hold_name(enum s3_legal_hold hold) {
  assert(hold == S3_HOLD_ON || hold == S3_HOLD_OFF);
  return hold == S3_HOLD_ON ? "ON" : "OFF";
}

static enum s3_lock_mode mode_of(struct slice name) {
  for (enum s3_lock_mode mode = S3_LOCK_GOVERNANCE; mode <= S3_LOCK_COMPLIANCE; mode++)
    if (slice_equal(name, slice_str(s3_lock_mode_name(mode)))) return mode;
  return S3_LOCK_NONE;
}

static enum s3_legal_hold hold_of(struct slice name) {
  for (enum s3_legal_hold hold = S3_HOLD_OFF; hold <= S3_HOLD_ON; hold++)
    if (slice_equal(name, slice_str(s3_legal_hold_name(hold)))) return hold;
  return S3_HOLD_NEVER;
}

static bool two_digits(struct slice text, size_t at, unsigned max, unsigned *out) {
  assert(at + 1 < text.len);
  unsigned tens = text.data[at] - (unsigned)'0', ones = text.data[at + 1] - (unsigned)'0';
  *out = tens * 10 + ones;
  return tens <= 9 && ones <= 9 && *out <= max;
}

/* ".123456Z" or "Z": milliseconds, what is below them cut off. */
static bool fraction_parse(struct slice text, uint64_t *out_ms) {
  uint64_t ms = 0, unit = 100;
  size_t at = 0;
  if (text.len > 0 && text.data[0] == '.') {
    for (at = 1; at < text.len && text.data[at] >= '0' && text.data[at] <= '9'; at++, unit /= 10)
      ms += unit * (text.data[at] - (unsigned)'0');
    if (at == 1 || at - 1 > FRACTION_MAX) return false;
  }
  *out_ms = ms;
  return at + 1 == text.len && text.data[at] == 'Z';
}

/* ISO 8601 as clients write it: YYYY-MM-DDTHH:MM:SS[.fraction]Z. */
static bool time_parse(struct slice text, uint64_t *out_ms) {
  const size_t fixed = DATE_LEN + 1 + TIME_LEN;
  uint64_t day_ms = 0, fraction_ms = 0;
  unsigned hours, minutes, seconds;
  assert(out_ms != NULL);
  if (text.len <= fixed || text.data[DATE_LEN] != 'T' || text.data[13] != ':' || text.data[16] != ':')
    return false;
  if (time_parse_date(slice_cut(text, 0, DATE_LEN), &day_ms) != DOM_OK) return false;
  if (!two_digits(text, 11, 23, &hours) || !two_digits(text, 14, 59, &minutes) ||
      !two_digits(text, 17, 59, &seconds) || !fraction_parse(slice_cut(text, fixed, text.len), &fraction_ms))
    return false;
  *out_ms = day_ms + ((hours * 60 + minutes) * 60 + seconds) * UINT64_C(1000) + fraction_ms;
  return true;
}

/* ---- documents -------------------------------------------------------------------------------------- */

enum s3_error s3_retention_parse(struct slice body, struct arena *arena, struct s3_retention *out) {
  struct tree_node *root;
  struct s3_retention retention = {S3_LOCK_NONE, 0};
  enum s3_error error = tree_read(body, S3_CONFIG_BYTES_MAX, "Retention", arena, &root);
  if (error != S3_OK) return error;
  if (root->first != NULL) {
    if (!TREE_OBEYS(root, {"Mode", 1, 1}, {"RetainUntilDate", 1, 1})) return S3_ERR_MALFORMED_XML;
    retention.mode = mode_of(tree_value(root, "Mode"));
    if (retention.mode == S3_LOCK_NONE ||
        !time_parse(tree_value(root, "RetainUntilDate"), &retention.until_ms))
      return S3_ERR_MALFORMED_XML;
  }
  *out = retention;
  return S3_OK;
}

void s3_retention_print(const struct s3_retention *retention, struct buf *out) {
  xml_begin(out);
  xml_open_root(out, "Retention");
  if (retention->mode != S3_LOCK_NONE) {
    xml_text(out, "Mode", slice_str(s3_lock_mode_name(retention->mode)));
    xml_time(out, "RetainUntilDate", retention->until_ms);
  }
  xml_close(out, "Retention");
}

enum s3_error s3_legal_hold_parse(struct slice body, struct arena *arena, enum s3_legal_hold *out) {
  struct tree_node *root;
  enum s3_error error = tree_read(body, S3_CONFIG_BYTES_MAX, "LegalHold", arena, &root);
  if (error != S3_OK) return error;
  if (!TREE_OBEYS(root, {"Status", 1, 1})) return S3_ERR_MALFORMED_XML;
  enum s3_legal_hold hold = hold_of(tree_value(root, "Status"));
  if (hold == S3_HOLD_NEVER) return S3_ERR_MALFORMED_XML;
  *out = hold;
  return S3_OK;
}

void s3_legal_hold_print(enum s3_legal_hold hold, struct buf *out) {
  xml_begin(out);
  xml_open_root(out, "LegalHold");
  xml_text(out, "Status", slice_str(s3_legal_hold_name(hold)));
  xml_close(out, "LegalHold");
}

/* ---- headers ------------------------------------------------------------------------------------------ */

enum s3_error s3_lock_from_head(const struct auth_request *head, struct s3_meta *meta,
                                const char **out_detail) {
  static const char mode_name[] = "x-amz-object-lock-mode", hold_name[] = "x-amz-object-lock-legal-hold",
                    until_name[] = "x-amz-object-lock-retain-until-date";
  struct slice mode, until, hold;
  bool has_mode = auth_header_find(head, slice_str(mode_name), &mode) > 0;
  bool has_until = auth_header_find(head, slice_str(until_name), &until) > 0;
  enum s3_lock_mode asked = S3_LOCK_NONE;
  enum s3_legal_hold held = S3_HOLD_NEVER;
  uint64_t until_ms = 0;
  assert(meta != NULL && out_detail != NULL);
  *out_detail = has_mode ? until_name : mode_name;
  if (has_mode != has_until) return S3_ERR_INVALID_ARGUMENT;
  if (has_mode) {
    asked = mode_of(mode);
    *out_detail = asked == S3_LOCK_NONE ? mode_name : "the retain until date must be in the future";
    if (asked == S3_LOCK_NONE || !time_parse(until, &until_ms) || until_ms <= head->now_ms)
      return S3_ERR_INVALID_ARGUMENT;
  }
  if (auth_header_find(head, slice_str(hold_name), &hold) > 0) {
    held = hold_of(hold);
    *out_detail = hold_name;
    if (held == S3_HOLD_NEVER) return S3_ERR_INVALID_ARGUMENT;
  }
  meta->lock_mode = asked;
  meta->retain_until_ms = until_ms;
  meta->legal_hold = held;
  return S3_OK;
}

/* ---- what is allowed ------------------------------------------------------------------------------------
 */

struct s3_retention s3_lock_default(const struct s3_object_lock *lock, uint64_t now_ms) {
  if (!lock->has_default) return (struct s3_retention){S3_LOCK_NONE, 0};
  uint64_t days = lock->in_years ? lock->period * 365 : lock->period;
  assert(days > 0 && days <= S3_LOCK_DAYS_MAX);
  return (struct s3_retention){lock->compliance ? S3_LOCK_COMPLIANCE : S3_LOCK_GOVERNANCE,
                               now_ms + days * DAY_MS};
}

static bool is_retained(const struct s3_meta *meta, uint64_t now_ms) {
  return meta->lock_mode != S3_LOCK_NONE && meta->retain_until_ms > now_ms;
}

enum s3_lock_allows s3_lock_on_delete(const struct s3_meta *meta, uint64_t now_ms) {
  assert(meta != NULL);
  if (meta->legal_hold == S3_HOLD_ON) return S3_LOCK_ALLOWS_NOBODY;
  if (!is_retained(meta, now_ms)) return S3_LOCK_ALLOWS;
  return meta->lock_mode == S3_LOCK_GOVERNANCE ? S3_LOCK_ALLOWS_BYPASS : S3_LOCK_ALLOWS_NOBODY;
}

enum s3_lock_allows s3_lock_on_change(const struct s3_meta *meta, const struct s3_retention *asked,
                                      uint64_t now_ms) {
  assert(asked->mode != S3_LOCK_NONE || asked->until_ms == 0);
  if (!is_retained(meta, now_ms)) return S3_LOCK_ALLOWS;
  if (asked->mode == meta->lock_mode && asked->until_ms >= meta->retain_until_ms) return S3_LOCK_ALLOWS;
  return meta->lock_mode == S3_LOCK_GOVERNANCE ? S3_LOCK_ALLOWS_BYPASS : S3_LOCK_ALLOWS_NOBODY;
}
