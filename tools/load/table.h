/* Tables: tab-separated text files (plans, journals, lists of subjects) read whole, split in
 * place, and visited row by row. A last line without its newline is a torn write and is left
 * out. Lines that begin with '#' are comments. */
#ifndef DOMICILE_LOAD_TABLE_H
#define DOMICILE_LOAD_TABLE_H

#include "base/bytes.h"

/* Most columns of any of our tables. */
#define TABLE_COLUMNS_MAX 16

/* The whole file's text; `buf_done` releases it, and rows borrow from it. `name` "-" is not
 * special. Returns: false after a complaint on stderr. */
bool table_read(const char *path, struct buf *out_text);

struct table_cursor {
  char *at;
  char *end;
  /* number of the row last returned, from 1 */
  uint64_t line;
};
struct table_cursor table_begin(struct buf *text);
/* Splits the next row; columns[0..*out_count) are NUL-terminated, within the text.
 * Returns: false at the end. */
bool table_next(struct table_cursor *cursor, char *columns[TABLE_COLUMNS_MAX], size_t *out_count);

/* Percent-decodes a column in place. Returns: false on a bad escape. */
bool table_unescape(char *column, struct slice *out);

#endif
