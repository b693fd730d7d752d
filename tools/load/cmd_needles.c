/* needles: what a raw scan must not find of a plan's people. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "flags.h"
#include "load.h"
#include "needles.h"
#include "oracle.h"
#include "plan.h"
#include "verify.h"

/* A name's last segment is enough where it is this long, for it lies in the whole name. */
#define SEGMENT_BYTES_MIN 10

struct needle_writer {
  FILE *out;
  size_t lines;
  char last_subject[256];
};

static bool flush(struct needle_writer *w, struct buf *lines) {
  assert(w->out != NULL);
  if (lines->failed || fwrite(lines->data, 1, lines->len, w->out) != lines->len) return false;
  for (size_t i = 0; i < lines->len; i++) w->lines += lines->data[i] == '\n';
  buf_reset(lines);
  return true;
}

/* The id, once for a run of the same; and the name. */
static bool add_name(struct needle_writer *w, const char *subject, struct slice key) {
  BUF_AUTO lines = BUF_INIT;
  BUF_AUTO label = BUF_INIT;
  assert(subject != NULL && key.len > 0);
  if (strcmp(w->last_subject, subject) != 0) {
    snprintf(w->last_subject, sizeof w->last_subject, "%s", subject);
    buf_printf(&label, "subject %s", subject);
    needles_of_text(&lines, buf_str(&label), slice_str(subject));
    buf_reset(&label);
  }
  buf_append_str(&label, "name ");
  percent_encode(&label, key, true);
  size_t slash = key.len;
  while (slash > 0 && key.data[slash - 1] != '/') slash--;
  bool whole = key.len - slash < SEGMENT_BYTES_MIN;
  needles_of_text(&lines, buf_str(&label), whole ? key : slice_cut(key, slash, key.len));
  return flush(w, &lines);
}

static bool add_body(struct needle_writer *w, const struct plan_item *item) {
  BUF_AUTO lines = BUF_INIT;
  BUF_AUTO label = BUF_INIT;
  assert(item != NULL);
  buf_append_str(&label, "object ");
  percent_encode(&label, item->key, true);
  return needles_of_content(&lines, buf_str(&label), &item->content) && flush(w, &lines);
}

static bool wanted(const char *country, const char *filter) {
  assert(country != NULL);
  return filter == NULL || strcmp(country, filter) == 0;
}

static int write_all(struct needle_writer *w, const struct plan *plan, const struct oracle *oracle,
                     const char *country) {
  assert(plan != NULL && oracle != NULL);
  for (size_t i = 0; i < plan->count; i++) {
    const struct plan_item *item = &plan->items[i];
    if (!wanted(item->country, country)) continue;
    if (!add_name(w, item->subject, item->key) || !add_body(w, item)) {
      return load_complain("the needles of object %zu cannot be made", i);
    }
  }
  for (size_t i = 0; i < oracle->count; i++) {
    const struct oracle_key *k = &oracle->keys[i];
    if (!wanted(k->country, country)) continue;
    if (!add_name(w, k->subject, k->key)) return load_complain("the needles cannot be written");
  }
  if (fflush(w->out) != 0) return load_complain("the needles cannot be written");
  printf("wrote %zu needles\n", w->lines);
  return LOAD_OK;
}

int cmd_needles(int argc, char **argv) {
  const char *plan_path = NULL, *out = NULL, *country = NULL, *journal = NULL;
  const struct flag flags[] = {
      {"--plan", "FILE", "the plan, made by people", FLAG_STRING, true, &plan_path},
      {"--out", "FILE", "write the needles here; keep it out of the folders to scan", FLAG_STRING, true,
       &out},
      {"--journal", "FILE", "add the names that this journal mentions", FLAG_STRING, false, &journal},
      {"--country", "CC", "only this country's people", FLAG_STRING, false, &country},
      {0}};
  const struct flag_set set = {
      "needles", "Derives what a raw scan must not find: ids, names and windows of bodies, in many guises.",
      NULL, flags};
  int code = flags_parse(&set, argc, argv, NULL);
  if (code >= 0) return code;
  struct plan plan = {0};
  struct oracle oracle;
  BUF_AUTO text = BUF_INIT;
  oracle_init(&oracle);
  code = plan_read(plan_path, &plan) ? LOAD_OK : LOAD_FAILED;
  if (code == LOAD_OK && journal != NULL && !verify_read_journal(journal, &oracle, &text)) code = LOAD_FAILED;
  struct needle_writer w = {.out = code == LOAD_OK ? fopen(out, "we") : NULL};
  if (code == LOAD_OK && w.out == NULL) code = load_complain("%s: %s", out, strerror(errno));
  if (code == LOAD_OK) code = write_all(&w, &plan, &oracle, country);
  if (w.out != NULL) fclose(w.out);
  oracle_done(&oracle);
  plan_done(&plan);
  return code;
}
