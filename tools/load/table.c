#include "table.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "load.h"

bool table_read(const char *path, struct buf *out_text) {
  assert(path != NULL && out_text != NULL);
  FILE *file = fopen(path, "re");
  if (file == NULL) {
    load_complain("%s: %s", path, strerror(errno));
    return false;
  }
  BUF_AUTO text = BUF_INIT;
  while (buf_reserve(&text, (size_t)64 << 10)) {
    size_t got = fread(text.data + text.len, 1, text.cap - text.len, file);
    text.len += got;
    if (got == 0) break;
  }
  bool ok = !text.failed && ferror(file) == 0;
  fclose(file);
  if (!ok) {
    load_complain("%s: cannot be read", path);
    return false;
  }
  *out_text = text;
  text = BUF_INIT;
  return true;
}

struct table_cursor table_begin(struct buf *text) {
  assert(text != NULL && !text->failed);
  char *start = (char *)text->data;
  return (struct table_cursor){.at = start, .end = start == NULL ? NULL : start + text->len};
}

static void split(char *row, char *columns[TABLE_COLUMNS_MAX], size_t *out_count) {
  assert(row != NULL);
  size_t count = 0;
  while (count < TABLE_COLUMNS_MAX) {
    columns[count++] = row;
    row = strchr(row, '\t');
    if (row == NULL) break;
    *row++ = '\0';
  }
  *out_count = count;
}

bool table_next(struct table_cursor *cursor, char *columns[TABLE_COLUMNS_MAX], size_t *out_count) {
  assert(cursor != NULL && out_count != NULL);
  while (cursor->at < cursor->end) {
    char *row = cursor->at;
    char *newline = memchr(row, '\n', (size_t)(cursor->end - row));
    if (newline == NULL) return false;
    *newline = '\0';
    cursor->at = newline + 1;
    cursor->line++;
    if (row[0] == '#' || row[0] == '\0') continue;
    split(row, columns, out_count);
    return true;
  }
  return false;
}

bool table_unescape(char *column, struct slice *out) {
  assert(column != NULL && out != NULL);
  BUF_AUTO plain = BUF_INIT;
  if (percent_decode(slice_str(column), false, &plain) != DOM_OK || plain.failed) return false;
  assert(plain.len <= strlen(column));
  if (plain.len > 0) memcpy(column, plain.data, plain.len);
  *out = slice_of(column, plain.len);
  return true;
}
