/* domicile subject export: everything of a person, for their right of access. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/codec.h"
#include "cli/cli.h"
#include "cli/export_folder.h"

enum {
  PAGE_MAX = 100,      /* of one answer, docs/formats/admin-api.md */
  PAGE_TRIES_MAX = 10, /* what changes between its page and its bytes is asked for again */
  HEAD_SIZE = SHA256_SIZE + 8,
  LINE_EVERY_MS = 5000, /* plain lines: a log of a long export stays readable */
  BAR_EVERY_MS = 200,
  BAR_WIDTH = 30
};

/* What is known of an item of the page at hand. */
struct row {
  json_t *item; /* borrowed from the page */
  bool has_body, is_here;
  uint64_t size;
  uint8_t stamp[SHA256_SIZE], id[SHA256_SIZE];
  struct export_file file; /* once it is here */
};

struct export {
  struct cli_common common;
  const char *tenant, *to, *subject;
  struct cli_link *link;
  struct disk *disk;
  struct export_folder *folder;
  struct row row[PAGE_MAX];
  size_t count;
  struct buf current;      /* bucket and key of the last line: the first of a key is its latest version */
  uint8_t head[HEAD_SIZE]; /* of the body to come, as far as it has come */
  size_t head_len;
  struct row *coming;         /* whose bytes come; NULL between bodies */
  uint64_t left;              /* of them */
  uint64_t total_bytes;       /* of all versions, when it began */
  uint64_t bytes, page_bytes; /* with a line; come since for the page at hand */
  uint64_t shown_ms;
  uint64_t objects, markers, uploads, parts, sealed; /* lines written */
};

static int complain(const struct export *e, const struct dom_err *err) {
  cli_complain("%s: %s", e->to, err->text[0] ? err->text : "cannot be written");
  return CLI_FAILED;
}

/* ---- progress ---------------------------------------------------------------------------- */

static void show(struct export *e, bool last) {
  bool terminal = isatty(STDERR_FILENO) != 0;
  uint64_t now = clock_mono_ns(clock_posix()) / 1000000;
  if (e->common.json || (!last && now - e->shown_ms < (terminal ? BAR_EVERY_MS : LINE_EVERY_MS))) return;
  e->shown_ms = now;
  uint64_t done = e->bytes + e->page_bytes, all = e->total_bytes > done ? e->total_bytes : done;
  unsigned full = last || !all ? BAR_WIDTH : (unsigned)((double)done / (double)all * BAR_WIDTH);
  if (terminal) {
    fputs("\r\033[K[", stderr);
    for (unsigned i = 0; i < BAR_WIDTH; i++) fputc(i < full ? '#' : '.', stderr);
    fputs("] ", stderr);
  }
  fprintf(stderr, "%llu versions, %s", (unsigned long long)(e->objects + e->markers),
          cli_show_bytes(done).text);
  fprintf(stderr, " of %s", cli_show_bytes(all).text);
  if (!terminal || last) fputc('\n', stderr);
}

/* ---- a page ---------------------------------------------------------------------------------- */

static bool hash_of_hex(const char *text, uint8_t out[SHA256_SIZE]) {
  size_t len = 0;
  return !hex_decode(slice_str(text), out, SHA256_SIZE, &len) && len == SHA256_SIZE;
}

/* A body's name from run to run: what was told of it, but for what only this home knows. */
static bool name_row(struct row *r) {
  json_t *told = json_copy(r->item);
  if (!told) return false;
  json_object_del(told, "stamp");
  json_object_del(told, "sha256");
  char *text = json_dumps(told, JSON_COMPACT | JSON_SORT_KEYS);
  json_decref(told);
  if (!text) return false;
  sha256(text, strlen(text), r->id);
  free(text);
  return true;
}

static int take_page(struct export *e, const json_t *page) {
  size_t i;
  json_t *item;
  json_t *items = json_object_get(page, "items");
  e->count = 0;
  if (!e->total_bytes) e->total_bytes = cli_number(page, "bytes");
  if (!json_is_array(items) || json_array_size(items) > PAGE_MAX) {
    cli_complain("the daemon's answer is no page of an export");
    return CLI_FAILED;
  }
  json_array_foreach(items, i, item) {
    struct row *r = &e->row[e->count++];
    *r = (struct row){.item = item, .size = cli_number(item, "size")};
    r->has_body = hash_of_hex(cli_text(item, "stamp"), r->stamp);
    if (r->has_body && !name_row(r)) {
      cli_complain("no memory");
      return CLI_FAILED;
    }
  }
  return CLI_CONTINUE;
}

/* Which bodies of the page are here already. */
static int look_for(struct export *e, size_t *out_missing) {
  *out_missing = 0;
  for (size_t i = 0; i < e->count; i++) {
    struct row *r = &e->row[i];
    struct dom_err err = {0};
    if (cli_interrupted()) return CLI_INTERRUPTED;
    if (!r->has_body || r->is_here) continue;
    enum dom_code code = export_folder_find(e->folder, r->id, r->size, &r->file, &err);
    if (code && code != DOM_NOT_FOUND) return complain(e, &err);
    r->is_here = code == DOM_OK;
    *out_missing += !r->is_here;
  }
  return CLI_CONTINUE;
}

/* ---- bodies ------------------------------------------------------------------------------------ */

static enum dom_code end_body(struct export *e, struct dom_err *err) {
  uint8_t sha[SHA256_SIZE];
  struct row *r = e->coming;
  bool known = hash_of_hex(cli_text(r->item, "sha256"), sha);
  e->coming = NULL;
  return export_folder_end(e->folder, known ? sha : NULL, err);
}

static enum dom_code begin_body(struct export *e, struct dom_err *err) {
  static const uint8_t none[SHA256_SIZE];
  uint64_t size = load_u64be(e->head + SHA256_SIZE);
  e->head_len = 0;
  if (memcmp(e->head, none, SHA256_SIZE) == 0) return DOM_OK; /* the end */
  for (size_t i = 0; i < e->count && !e->coming; i++)
    if (e->row[i].has_body && memcmp(e->row[i].stamp, e->head, SHA256_SIZE) == 0) e->coming = &e->row[i];
  if (!e->coming || e->coming->size != size)
    return dom_fail(err, DOM_CORRUPT, "cli", "the daemon sent a body that was not asked for");
  e->left = size;
  enum dom_code code = export_folder_begin(e->folder, e->coming->id, size, err);
  return code || size ? code : end_body(e, err);
}

static enum dom_code take_some(struct export *e, struct slice bytes, struct dom_err *err) {
  enum dom_code code = DOM_OK;
  while (bytes.len && !code) {
    bool in_head = !e->coming;
    uint64_t want = in_head ? HEAD_SIZE - e->head_len : e->left;
    size_t n = bytes.len < want ? bytes.len : (size_t)want;
    struct slice part = slice_cut(bytes, 0, n);
    bytes = slice_cut(bytes, n, bytes.len);
    if (in_head) {
      memcpy(e->head + e->head_len, part.data, n);
      e->head_len += n;
      if (e->head_len == HEAD_SIZE) code = begin_body(e, err);
      continue;
    }
    code = export_folder_add(e->folder, part, err);
    e->left -= n;
    e->page_bytes += n;
    if (!code && e->left == 0) code = end_body(e, err);
    show(e, false);
  }
  return code;
}

static enum dom_code take_bytes(void *arg, struct slice bytes, struct dom_err *err) {
  struct export *e = arg;
  struct dom_err why = {0};
  enum dom_code code = take_some(e, bytes, &why);
  return code ? dom_fail(err, code, "cli", "%s: %s; run the same again to go on", e->to, why.text) : DOM_OK;
}

static int fetch(struct export *e, const char *after, uint64_t epoch) {
  BUF_AUTO path = BUF_INIT;
  CLI_JSON_AUTO *stamps = json_array();
  for (size_t i = 0; i < e->count; i++)
    if (e->row[i].has_body && !e->row[i].is_here)
      json_array_append(stamps, json_object_get(e->row[i].item, "stamp"));
  CLI_JSON_AUTO *body = json_pack("{s:I,s:O}", "epoch", (json_int_t)epoch, "stamps", stamps);
  if (!body || (after[0] && json_object_set_new(body, "after", json_string(after)))) {
    cli_complain("no memory");
    return CLI_FAILED;
  }
  cli_subject_path(&path, e->subject, "/export/bodies", e->tenant);
  e->head_len = 0;
  e->coming = NULL;
  return cli_ask_bytes(e->link, buf_str(&path), body, take_bytes, e);
}

/* ---- the manifest ---------------------------------------------------------------------------------- */

static int put_line(struct export *e, json_t *line) {
  struct dom_err err = {0};
  char *text = line ? json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
  enum dom_code code = text ? export_folder_line(e->folder, slice_str(text), &err)
                            : dom_fail(&err, DOM_NO_MEMORY, "cli", "no memory");
  free(text);
  return code ? complain(e, &err) : CLI_CONTINUE;
}

/* Versions of a key come newest first. */
static bool is_latest(struct export *e, const json_t *item) {
  BUF_AUTO now = BUF_INIT;
  char *bucket = json_dumps(json_object_get(item, "bucket"), JSON_ENCODE_ANY);
  char *key = json_dumps(json_object_get(item, "key"), JSON_ENCODE_ANY);
  buf_append_str(&now, bucket ? bucket : "");
  buf_append_str(&now, key ? key : "");
  free(bucket);
  free(key);
  bool latest = !slice_equal(buf_slice(&now), buf_slice(&e->current));
  buf_reset(&e->current);
  buf_append_slice(&e->current, buf_slice(&now));
  return latest;
}

static void count_line(struct export *e, const json_t *item, const char *kind) {
  e->objects += strcmp(kind, "object") == 0;
  e->markers += strcmp(kind, "delete-marker") == 0;
  e->uploads += strcmp(kind, "upload") == 0;
  e->parts += strcmp(kind, "part") == 0;
  e->sealed += json_is_true(json_object_get(item, "sealed_by_client"));
}

static int write_row(struct export *e, const struct row *r) {
  BUF_AUTO hex = BUF_INIT;
  const char *kind = cli_text(r->item, "kind");
  bool version = strcmp(kind, "object") == 0 || strcmp(kind, "delete-marker") == 0;
  if (version) json_object_set_new(r->item, "is_latest", json_boolean(is_latest(e, r->item)));
  json_object_del(r->item, "stamp");
  if (r->has_body) {
    hex_encode(&hex, slice_of(r->file.sha256, SHA256_SIZE));
    json_object_set_new(r->item, "sha256", json_string(buf_str(&hex)));
    json_object_set_new(r->item, "file", json_string(r->file.name));
    e->bytes += r->size;
  }
  count_line(e, r->item, kind);
  return put_line(e, r->item);
}

static int write_head(struct export *e, const json_t *page) {
  CLI_JSON_AUTO *line =
      json_pack("{s:s,s:i,s:s,s:s,s:O,s:O,s:O,s:O,s:O}", "kind", "export", "version", 1, "subject",
                e->subject, "tenant", e->tenant ? e->tenant : "main", "token", json_object_get(page, "token"),
                "country", json_object_get(page, "country"), "home", json_object_get(page, "home"), "epoch",
                json_object_get(page, "epoch"), "began_ms", json_object_get(page, "time_ms"));
  return put_line(e, line);
}

static json_t *summary(const struct export *e, const json_t *page) {
  return json_pack("{s:s,s:O,s:I,s:I,s:I,s:I,s:I,s:I}", "kind", "end", "ended_ms",
                   json_object_get(page, "time_ms"), "objects", (json_int_t)e->objects, "delete_markers",
                   (json_int_t)e->markers, "uploads", (json_int_t)e->uploads, "parts", (json_int_t)e->parts,
                   "sealed_by_client", (json_int_t)e->sealed, "bytes", (json_int_t)e->bytes);
}

/* ---- all of it --------------------------------------------------------------------------------------- */

static int open_folder(struct export *e, const json_t *page) {
  uint8_t token[TOKEN_SIZE];
  struct dom_err err = {0};
  enum dom_code code =
      hash_of_hex(cli_text(page, "token"), token)
          ? disk_posix_open(e->to, &e->disk, &err)
          : dom_fail(&err, DOM_CORRUPT, "cli", "the daemon's answer is no page of an export");
  if (!code) code = export_folder_open(e->disk, token, &e->folder, &err);
  if (!code) return CLI_CONTINUE;
  complain(e, &err);
  return code == DOM_EXISTS || code == DOM_BUSY ? CLI_USAGE : CLI_FAILED;
}

static int ask_page(struct export *e, const char *after, uint64_t epoch, json_t **out) {
  BUF_AUTO path = BUF_INIT;
  CLI_JSON_AUTO *body =
      after[0] ? json_pack("{s:s,s:I}", "after", after, "epoch", (json_int_t)epoch) : json_object();
  cli_subject_path(&path, e->subject, "/export", e->tenant);
  return cli_ask(e->link, "POST", buf_str(&path), body, out);
}

/* One page with all its bodies; *out is the page as it was told last. */
static int bring_page(struct export *e, const char *after, uint64_t epoch, json_t **out) {
  size_t missing = 0;
  for (int i = 0; i < PAGE_TRIES_MAX; i++) {
    json_t *page = NULL;
    int status = ask_page(e, after, epoch, &page);
    if (status != CLI_CONTINUE) return status;
    json_decref(*out);
    *out = page;
    if (!e->folder) status = open_folder(e, page);
    if (status == CLI_CONTINUE) status = take_page(e, page);
    if (status == CLI_CONTINUE) status = look_for(e, &missing);
    if (status == CLI_CONTINUE && missing > 0) {
      status = fetch(e, after, cli_number(page, "epoch"));
      if (status == CLI_CONTINUE) status = look_for(e, &missing);
    }
    if (status != CLI_CONTINUE || missing == 0) return status;
  }
  cli_complain("this person's data changes faster than it can be read: run this again");
  return CLI_FAILED;
}

static int write_page(struct export *e) {
  int status = CLI_CONTINUE;
  e->page_bytes = 0;
  for (size_t i = 0; i < e->count && status == CLI_CONTINUE; i++) status = write_row(e, &e->row[i]);
  return status;
}

/* Once for all bodies: each by itself would take longer than to write them. */
static enum dom_code bodies_sync(const struct export *e, struct dom_err *err) {
  int fd = open(e->to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int why = fd < 0 || syncfs(fd) != 0 ? errno : 0;
  if (fd >= 0) (void)close(fd);
  return why ? dom_fail_errno(err, why, "cli", "syncfs") : DOM_OK;
}

static int finish(struct export *e, const json_t *page) {
  struct dom_err err = {0};
  CLI_JSON_AUTO *end = summary(e, page);
  int status = put_line(e, end);
  if (status != CLI_CONTINUE) return status;
  if (bodies_sync(e, &err) || export_folder_finish(e->folder, &err)) return complain(e, &err);
  show(e, true);
  if (e->common.json) cli_print_json(end);
  if (e->sealed && !e->common.json)
    cli_complain(
        "%llu things are sealed by a key of their client: the manifest names them, nobody here can open them",
        (unsigned long long)e->sealed);
  return CLI_OK;
}

static int run(struct export *e) {
  BUF_AUTO after = BUF_INIT;
  uint64_t epoch = 0;
  for (;;) {
    CLI_JSON_AUTO *page = NULL;
    int status = bring_page(e, buf_str(&after), epoch, &page);
    if (status == CLI_CONTINUE && epoch == 0) status = write_head(e, page);
    epoch = cli_number(page, "epoch");
    if (status == CLI_CONTINUE) status = write_page(e);
    if (status != CLI_CONTINUE) return status;
    const char *next = cli_text(page, "next");
    if (!next[0]) return finish(e, page);
    buf_reset(&after);
    buf_append_str(&after, next);
    show(e, false);
  }
}

int cli_subject_export(int argc, char **argv) {
  struct export e = {0};
  const char *words[CLI_WORDS_MAX];
  const struct cli_option options[] = {
      {"to", CLI_TEXT, &e.to, "DIR", "a new folder, or one to go on with"},
      {"tenant", CLI_TEXT, &e.tenant, "ACCOUNT", "whose subject (default: main)"},
      CLI_COMMON_OPTIONS(e.common)};
  const struct cli_usage usage = {
      .line = "subject export ID --to DIR",
      .summary =
          "Hands out everything of a person, at their home region: all versions in every bucket, delete\n"
          "markers, metadata, tags, grants, retention and legal holds, uploads under way and their parts.\n"
          "DIR/manifest.jsonl says what is what, DIR/files has the bytes. What was sealed by its client's\n"
          "own key is named only. Run it again after an interruption, or later: what is there and still\n"
          "right is not fetched again. Refused with the clause where the charter forbids reading here.\n",
      .options = options,
      .option_count = sizeof options / sizeof options[0],
      .words_min = 1,
      .words_max = 1};
  int status = cli_parse(&usage, argc, argv, words, NULL);
  if (status == CLI_CONTINUE && !e.to) {
    cli_complain("--to DIR is missing");
    status = CLI_USAGE;
  }
  if (status != CLI_CONTINUE) return status;
  e.subject = words[0];
  status = cli_link_open(&e.common, &e.link);
  cli_catch_interrupt();
  if (status == CLI_CONTINUE) status = run(&e);
  if (status == CLI_INTERRUPTED && e.folder) cli_complain("stopped; run the same again to go on");
  export_folder_close(e.folder);
  disk_posix_close(e.disk);
  cli_link_close(e.link);
  buf_done(&e.current);
  return status;
}
