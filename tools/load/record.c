#include "record.h"

#include <assert.h>

#include "table.h"

static const char *const op_names[RECORD_OP_COUNT] = {"put", "copy", "complete", "delete", "create", "part"};

/* Columns of a record, in their order. */
enum column { KIND, ID, OP, START, END, STATUS, MET, SUBJECT, COUNTRY, BUCKET, KEY, SIZE, SHA, COLUMN_COUNT };

const char *record_op_name(enum record_op op) {
  assert(op < RECORD_OP_COUNT);
  return op_names[op];
}

bool value_equal(const struct value *a, const struct value *b) {
  assert(a != NULL && b != NULL);
  if (a->present != b->present) return false;
  if (!a->present) return true;
  return a->size_bytes == b->size_bytes && memcmp(a->sha256, b->sha256, DIGEST_SIZE) == 0;
}

static const char *or_dash(const char *text) {
  return text == NULL || text[0] == '\0' ? "-" : text;
}

void record_print(const struct record *r, struct buf *out) {
  assert(r != NULL && (r->kind == 'I' || r->kind == 'A' || r->kind == 'O'));
  buf_printf(out, "%c\t%s\t%s\t%llu\t%llu\t%u\t%s\t%s\t%s\t%s\t", r->kind, or_dash(r->id),
             record_op_name(r->op), (unsigned long long)r->start_ns, (unsigned long long)r->end_ns, r->status,
             or_dash(r->met), or_dash(r->subject), or_dash(r->country), or_dash(r->bucket));
  percent_encode(out, r->key, true);
  if (r->value.present) {
    char hex[DIGEST_HEX];
    digest_hex(r->value.sha256, hex);
    buf_printf(out, "\t%llu\t%s\n", (unsigned long long)r->value.size_bytes, hex);
  } else {
    buf_append_str(out, "\t-\t-\n");
  }
}

static bool parse_op(const char *name, enum record_op *out) {
  assert(name != NULL && out != NULL);
  for (int i = 0; i < RECORD_OP_COUNT; i++) {
    if (strcmp(name, op_names[i]) == 0) {
      *out = (enum record_op)i;
      return true;
    }
  }
  return false;
}

static const char *undash(const char *text) {
  assert(text != NULL);
  return strcmp(text, "-") == 0 ? "" : text;
}

static bool parse_value(const char *size, const char *sha, struct value *out) {
  assert(size != NULL && sha != NULL);
  *out = (struct value){0};
  if (strcmp(size, "-") == 0) return true;
  out->present = true;
  return slice_to_u64(slice_str(size), &out->size_bytes) == DOM_OK && digest_from_hex(sha, out->sha256) == 0;
}

bool record_parse(char *const columns[], size_t count, struct record *out) {
  assert(columns != NULL && out != NULL);
  if (count != COLUMN_COUNT || strlen(columns[KIND]) != 1) return false;
  struct record r = {.kind = columns[KIND][0]};
  if (r.kind != 'I' && r.kind != 'A' && r.kind != 'O') return false;
  uint64_t status;
  bool ok = parse_op(columns[OP], &r.op) && slice_to_u64(slice_str(columns[START]), &r.start_ns) == DOM_OK &&
            slice_to_u64(slice_str(columns[END]), &r.end_ns) == DOM_OK &&
            slice_to_u64(slice_str(columns[STATUS]), &status) == DOM_OK && status < 1000 &&
            parse_value(columns[SIZE], columns[SHA], &r.value) && table_unescape(columns[KEY], &r.key);
  if (!ok) return false;
  r.status = (unsigned)status;
  r.id = undash(columns[ID]);
  r.met = undash(columns[MET]);
  r.subject = undash(columns[SUBJECT]);
  r.country = undash(columns[COUNTRY]);
  r.bucket = undash(columns[BUCKET]);
  *out = r;
  return true;
}
