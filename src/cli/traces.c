/* domicile fsck --traces TOKEN --needles FILE: what a region that is not running still has of a subject. */
#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/cli.h"
#include "cli/offline.h"

enum { NEEDLE_MIN = 8, NEEDLE_MAX = 4096 };
#define NEEDLES_FILE_MAX ((size_t)64 << 20) /* of a country's names and windows of bodies */

/* Needles as they stand in `bytes`, one after the other. */
struct needles {
  struct buf bytes;
  struct slice *at;
  size_t count, cap;
};

static void needles_done(struct needles *n) {
  buf_done(&n->bytes);
  dom_free(n->at);
}

static bool push(struct needles *n, struct slice s) {
  if (n->count == n->cap) {
    size_t cap = n->cap * 2 + 64;
    struct slice *grown = dom_realloc(n->at, cap * sizeof *grown);
    if (!grown) return false;
    n->at = grown;
    n->cap = cap;
  }
  n->at[n->count++] = s;
  return true;
}

/* "LABEL<TAB>HEX", as scans of tests write them; any other line is the text itself. Hex is decoded in place.
 */
static int take_line(struct needles *n, struct slice line, size_t number) {
  size_t tab = slice_find(line, '\t'), len = 0;
  struct slice needle = line;
  if (tab < line.len) {
    struct slice digits = slice_cut(line, tab + 1, line.len);
    uint8_t *into = n->bytes.data + (digits.data - n->bytes.data);
    if (hex_decode(digits, into, digits.len, &len)) {
      cli_complain("needles, line %zu: after the tab stand hex digits", number);
      return CLI_USAGE;
    }
    needle = slice_of(into, len);
  }
  if (needle.len < NEEDLE_MIN || needle.len > NEEDLE_MAX) {
    cli_complain("needles, line %zu: a needle has %d to %d bytes; shorter ones are met by chance", number,
                 NEEDLE_MIN, NEEDLE_MAX);
    return CLI_USAGE;
  }
  if (push(n, needle)) return CLI_CONTINUE;
  cli_complain("no memory for the needles");
  return CLI_FAILED;
}

static int read_needles(struct needles *n, const char *path) {
  struct dom_err err = {0};
  enum dom_code code = serve_file_read(path, false, NEEDLES_FILE_MAX, &n->bytes, &err);
  if (code) {
    cli_complain("%s", err.text);
    return CLI_USAGE;
  }
  struct slice all = buf_slice(&n->bytes);
  int status = CLI_CONTINUE;
  size_t number = 1;
  for (size_t at = 0; at < all.len && status == CLI_CONTINUE; number++) {
    struct slice rest = slice_cut(all, at, all.len);
    size_t end = slice_find(rest, '\n');
    if (end > 0) status = take_line(n, slice_cut(rest, 0, end), number);
    at += end + 1;
  }
  if (status == CLI_CONTINUE && n->count == 0) {
    cli_complain("%s holds no needle", path);
    status = CLI_USAGE;
  }
  return status;
}

static void print_progress(void *arg, const char *stage, uint64_t done, uint64_t total) {
  const bool *shown = arg;
  if (!*shown) return;
  if (total)
    fprintf(stderr, "\r\033[K%s: %llu of %llu", stage, (unsigned long long)done, (unsigned long long)total);
  else
    fprintf(stderr, "\r\033[K%s: %llu", stage, (unsigned long long)done);
}

static void print_json(const struct store_traces_report *r, uint64_t found) {
  CLI_JSON_AUTO *all =
      json_pack("{s:I,s:I,s:I,s:I,s:I}", "traces", (json_int_t)found, "records", (json_int_t)r->records,
                "rows", (json_int_t)r->rows, "files", (json_int_t)r->files, "bytes", (json_int_t)r->bytes);
  json_t *lines = json_array();
  for (unsigned i = 0; i < TRACE_COUNT; i++) {
    const struct store_trace_line *line = &r->line[i];
    if (line->count)
      json_array_append_new(lines,
                            json_pack("{s:s,s:b,s:I,s:s}", "what", store_trace_name((enum store_trace)i),
                                      "stays", store_trace_stays((enum store_trace)i), "count",
                                      (json_int_t)line->count, "first", line->first));
  }
  json_object_set_new(all, "found", lines);
  cli_print_json(all);
}

static void print_table(const struct store_traces_report *r, uint64_t found) {
  for (unsigned i = 0; i < TRACE_COUNT; i++) {
    const struct store_trace_line *line = &r->line[i];
    if (line->count)
      printf("%-6s %-32s %8llu  first: %s\n", store_trace_stays((enum store_trace)i) ? "stays" : "TRACE",
             store_trace_name((enum store_trace)i), (unsigned long long)line->count, line->first);
  }
  printf("looked at %llu log records, %llu rows, %llu files of %s\n", (unsigned long long)r->records,
         (unsigned long long)r->rows, (unsigned long long)r->files, cli_show_bytes(r->bytes).text);
  if (found)
    printf("%llu traces\n", (unsigned long long)found);
  else
    puts("nothing is left but what is meant to stay");
}

int cli_traces(const struct serve_config *c, const char *token, const char *needles, bool json) {
  uint8_t bytes[TOKEN_SIZE];
  size_t len = 0;
  struct needles n = {0};
  struct store_traces_report report = {0};
  struct dom_err err = {0};
  bool shown = isatty(STDERR_FILENO) && !json;
  assert(token || needles);
  if (token && (hex_decode(slice_str(token), bytes, sizeof bytes, &len) || len != sizeof bytes)) {
    cli_complain("--traces %s: a token has 64 hex digits (`domicile subject show` tells it)", token);
    return CLI_USAGE;
  }
  int status = needles ? read_needles(&n, needles) : CLI_CONTINUE;
  if (status == CLI_CONTINUE) {
    struct serve_traces_options o = {token ? bytes : NULL, n.at, n.count, print_progress, &shown};
    enum dom_code code = serve_traces(c, &o, &report, &err);
    if (shown) fputs("\r\033[K", stderr);
    if (code) cli_complain("%s", err.text[0] ? err.text : dom_code_name(code));
    if (code) status = CLI_FAILED;
  }
  needles_done(&n);
  if (status != CLI_CONTINUE) return status;
  uint64_t found = 0;
  for (unsigned i = 0; i < TRACE_COUNT; i++)
    found += store_trace_stays((enum store_trace)i) ? 0 : report.line[i].count;
  if (json)
    print_json(&report, found);
  else
    print_table(&report, found);
  return found ? CLI_FOUND : CLI_OK;
}
