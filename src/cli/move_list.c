/* A file of people for a move: an id or a token a line, sent to the daemon in pieces. Ids stay in memory,
 * here and there: the daemon makes tokens of them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/move.h"

enum {
  LIST_BATCH = 2048,         /* lines of one message */
  LIST_BATCH_BYTES = 131072, /* … and their bytes: as JSON, six times as long at worst, they fit a message */
  LIST_ID_MAX = 255,
  LIST_COMPLAINTS_MAX = 20 /* then they are only counted */
};

struct list_file {
  struct cli_link *link;
  FILE *from;
  const char *tenant, *path;
  uint64_t id, line, bad;
  json_t *names;
  size_t bytes;
  uint64_t at[LIST_BATCH]; /* line numbers of `names` */
};

static void complain_line(struct list_file *f, uint64_t line, const char *why) {
  if (f->bad++ < LIST_COMPLAINTS_MAX) cli_complain("%s:%llu: %s", f->path, (unsigned long long)line, why);
}

static int send_batch(struct list_file *f, bool skip_unknown) {
  if (json_array_size(f->names) == 0) return CLI_CONTINUE;
  char path[64];
  size_t i;
  json_t *place;
  CLI_JSON_AUTO *answer = NULL;
  CLI_JSON_AUTO *body = json_pack("{s:O,s:s}", "names", f->names, "tenant", f->tenant ? f->tenant : "main");
  snprintf(path, sizeof path, "moves/lists/%llu", (unsigned long long)f->id);
  int status = cli_ask(f->link, "POST", path, body, &answer);
  if (status != CLI_CONTINUE) return status;
  json_array_foreach(json_object_get(answer, "unknown"), i, place) {
    json_int_t at = json_integer_value(place);
    if (!skip_unknown && at >= 0 && at < LIST_BATCH)
      complain_line(f, f->at[at], "names nobody who was ever registered at this region");
  }
  json_array_clear(f->names);
  f->bytes = 0;
  return CLI_CONTINUE;
}

static bool is_dots(const char *text) {
  return strcmp(text, ".") == 0 || strcmp(text, "..") == 0;
}

/* One line without its end. */
static void take_line(struct list_file *f, const char *text, size_t len) {
  if (len == 0) return;
  if (len > LIST_ID_MAX) {
    complain_line(f, f->line, "is longer than 255 bytes");
  } else if (memchr(text, '/', len) || memchr(text, 0, len) || is_dots(text)) {
    complain_line(f, f->line, "cannot be a subject's id: it has a / or a NUL, or is . or ..");
  } else {
    json_t *name = json_stringn(text, len);
    if (!name) {
      complain_line(f, f->line, "is no UTF-8: name this person by the token");
      return;
    }
    f->at[json_array_size(f->names)] = f->line;
    json_array_append_new(f->names, name);
    f->bytes += len;
  }
}

static int send_lines(struct list_file *f, bool skip_unknown) {
  char *text = NULL;
  size_t capacity = 0;
  int status = CLI_CONTINUE;
  ssize_t len;
  while (status == CLI_CONTINUE && (len = getline(&text, &capacity, f->from)) >= 0) {
    f->line++;
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r')) text[--len] = 0;
    take_line(f, text, (size_t)len);
    bool full = json_array_size(f->names) == LIST_BATCH || f->bytes >= LIST_BATCH_BYTES;
    if (full) status = send_batch(f, skip_unknown);
  }
  free(text);
  if (status == CLI_CONTINUE && ferror(f->from)) {
    cli_complain("%s: cannot be read", f->path);
    return CLI_FAILED;
  }
  return status == CLI_CONTINUE ? send_batch(f, skip_unknown) : status;
}

static int send_file(struct list_file *f, bool skip_unknown, json_t *body) {
  CLI_JSON_AUTO *opened = NULL;
  int status = cli_ask(f->link, "POST", "moves/lists", NULL, &opened);
  if (status != CLI_CONTINUE) return status;
  f->id = cli_number(opened, "list");
  status = send_lines(f, skip_unknown);
  if (status != CLI_CONTINUE) return status;
  if (f->bad) {
    cli_complain("%s: %llu bad lines; nothing was moved", f->path, (unsigned long long)f->bad);
    return CLI_USAGE;
  }
  json_object_set_new(body, "list", json_integer((json_int_t)f->id));
  return CLI_CONTINUE;
}

int move_send_list(struct cli_link *link, const char *path, const char *tenant, bool skip_unknown,
                   json_t *body) {
  bool is_stdin = strcmp(path, "-") == 0;
  struct list_file f = {.link = link,
                        .from = is_stdin ? stdin : fopen(path, "r"),
                        .tenant = tenant,
                        .path = is_stdin ? "stdin" : path,
                        .names = json_array()};
  int status = CLI_FAILED;
  if (!f.from)
    cli_complain("%s: %s", path, strerror(errno));
  else if (f.names)
    status = send_file(&f, skip_unknown, body);
  json_decref(f.names);
  if (f.from && !is_stdin) fclose(f.from);
  return status;
}
