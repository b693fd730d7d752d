#include "plan.h"

#include <assert.h>

#include "base/alloc.h"
#include "load.h"
#include "table.h"

enum column { SUBJECT, COUNTRY, BUCKET, KEY, SOURCE, SIZE, SHA, COLUMN_COUNT };

static bool parse_item(char *const columns[], size_t count, struct plan_item *out) {
  assert(columns != NULL && out != NULL);
  uint64_t size;
  if (count != COLUMN_COUNT || strlen(columns[COUNTRY]) != 2) return false;
  if (slice_to_u64(slice_str(columns[SIZE]), &size) != DOM_OK) return false;
  struct plan_item item = {
      .subject = columns[SUBJECT], .country = columns[COUNTRY], .bucket = columns[BUCKET]};
  if (!content_parse(columns[SOURCE], size, &item.content)) return false;
  if (digest_from_hex(columns[SHA], item.sha256) != 0) return false;
  if (!table_unescape(columns[KEY], &item.key) || item.key.len == 0) return false;
  *out = item;
  return true;
}

static bool grow(struct plan *p, size_t *cap) {
  assert(p->count <= *cap);
  if (p->count < *cap) return true;
  size_t more = *cap == 0 ? 1024 : *cap * 2;
  struct plan_item *items = dom_realloc(p->items, more * sizeof *items);
  if (items == NULL) return false;
  p->items = items;
  *cap = more;
  return true;
}

bool plan_read(const char *path, struct plan *out) {
  assert(path != NULL && out != NULL);
  struct plan p = {0};
  if (!table_read(path, &p.text)) return false;
  struct table_cursor cursor = table_begin(&p.text);
  char *columns[TABLE_COLUMNS_MAX];
  size_t count, cap = 0;
  while (table_next(&cursor, columns, &count)) {
    if (!grow(&p, &cap)) {
      load_complain("out of memory");
      plan_done(&p);
      return false;
    }
    if (!parse_item(columns, count, &p.items[p.count])) {
      load_complain("%s:%llu: not a plan's line", path, (unsigned long long)cursor.line);
      plan_done(&p);
      return false;
    }
    p.count++;
  }
  *out = p;
  return true;
}

void plan_done(struct plan *p) {
  assert(p != NULL);
  dom_free(p->items);
  buf_done(&p->text);
  *p = (struct plan){0};
}

void plan_print(const struct plan_item *item, struct buf *out) {
  assert(item != NULL && item->key.len > 0);
  buf_printf(out, "%s\t%s\t%s\t", item->subject, item->country, item->bucket);
  percent_encode(out, item->key, true);
  buf_append_byte(out, '\t');
  content_print(&item->content, out);
  char hex[DIGEST_HEX];
  digest_hex(item->sha256, hex);
  buf_printf(out, "\t%llu\t%s\n", (unsigned long long)item->content.size_bytes, hex);
}

size_t plan_buckets(struct buf *text, struct plan_bucket out[PLAN_BUCKETS_MAX]) {
  assert(text != NULL && out != NULL);
  size_t count = 0;
  char *at = (char *)text->data;
  char *end = at == NULL ? NULL : at + text->len;
  while (at < end && count < PLAN_BUCKETS_MAX) {
    char *newline = memchr(at, '\n', (size_t)(end - at));
    if (newline == NULL) break;
    *newline = '\0';
    char *layout = strncmp(at, "#bucket\t", 8) == 0 ? strchr(at + 8, '\t') : NULL;
    if (layout != NULL) {
      *layout = '\0';
      out[count++] = (struct plan_bucket){.name = at + 8, .layout = layout + 1};
    }
    at = newline + 1;
  }
  return count;
}
