/* domicile move list, status, failures, pause, resume, set, cancel. */
#include <stdio.h>

#include "base/clock.h"
#include "cli/move.h"
#include "cli/watch.h"

static void print_job(const json_t *m) {
  BUF_AUTO line = BUF_INIT;
  watch_line(m, clock_wall_ms(clock_posix()), &line);
  printf("move %llu  %s from %s to ", (unsigned long long)cli_number(m, "id"), move_whom(m),
         cli_text(m, "from"));
  move_print_targets(m);
  printf("  %s\n", buf_str(&line));
}

int move_job_list(int argc, char **argv) {
  struct cli_common common = {0};
  const struct cli_option options[] = {CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {.line = "move list",
                                  .summary = "Lists the moves that this region is, or was, the source of.\n",
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0]};
  CLI_LINK_AUTO *link = NULL;
  CLI_JSON_AUTO *answer = NULL;
  int status = cli_parse(&usage, argc, argv, NULL, NULL);
  if (status == CLI_CONTINUE) status = cli_link_open(&common, &link);
  if (status == CLI_CONTINUE) status = cli_ask(link, "GET", "moves", NULL, &answer);
  if (status != CLI_CONTINUE) return status;
  size_t i;
  json_t *one;
  if (common.json)
    cli_print_json(answer);
  else
    json_array_foreach(json_object_get(answer, "moves"), i, one) print_job(one);
  return CLI_OK;
}

static int one_job(int argc, char **argv, const char *method, const char *tail, const char *line,
                   const char *summary, bool may_follow) {
  struct cli_common common = {0};
  const char *words[CLI_WORDS_MAX];
  bool follow = false;
  uint64_t id = 0;
  const struct cli_option options[] = {
      CLI_COMMON_OPTIONS(common), {"follow", CLI_FLAG, &follow, NULL, "show its progress until it ends"}};
  const struct cli_usage usage = {.line = line,
                                  .summary = summary,
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0] - (may_follow ? 0 : 1),
                                  .words_min = 1,
                                  .words_max = 1};
  CLI_LINK_AUTO *link = NULL;
  CLI_JSON_AUTO *answer = NULL;
  int status = cli_parse(&usage, argc, argv, words, NULL);
  if (status == CLI_CONTINUE && slice_to_u64(slice_str(words[0]), &id))
    status = move_wrong("a move is named by its number");
  if (status == CLI_CONTINUE) status = cli_link_open(&common, &link);
  if (status != CLI_CONTINUE) return status;
  if (follow) return watch_move(link, &common, id);
  char path[48];
  snprintf(path, sizeof path, "moves/%llu%s", (unsigned long long)id, tail);
  status = cli_ask(link, method, path, NULL, &answer);
  if (status != CLI_CONTINUE) return status;
  if (common.json)
    cli_print_json(answer);
  else
    print_job(answer);
  return CLI_OK;
}

int move_job_status(int argc, char **argv) {
  return one_job(argc, argv, "GET", "", "move status ID", "Shows one move.\n", true);
}

int move_job_cancel(int argc, char **argv) {
  return one_job(argc, argv, "DELETE", "", "move cancel ID",
                 "Ends a move: subjects already moved stay where they are.\n", false);
}

int move_job_pause(int argc, char **argv) {
  return one_job(
      argc, argv, "POST", "/pause", "move pause ID",
      "Takes no further people. Those under way may end for ten seconds, then their copies are given\n"
      "up; each is whole at one home. The move stays paused over restarts, until it is resumed.\n",
      false);
}

int move_job_resume(int argc, char **argv) {
  return one_job(argc, argv, "POST", "/resume", "move resume ID", "Goes on with a paused move.\n", false);
}

/* ---- set ---------------------------------------------------------------------------------- */

struct change {
  const char *rate, *deadline, *parallel;
};

static int change_body(const struct change *c, json_t *body) {
  uint64_t rate = 0, deadline = 0, parallel = 0;
  if (!c->rate && !c->deadline && !c->parallel) return move_wrong("name --rate, --parallel or --deadline");
  if (c->rate && strcmp(c->rate, "none") != 0 && !cli_parse_bytes(c->rate, &rate))
    return move_wrong("--rate is a number with KB, MB, MiB…/s, or none");
  if (c->deadline && strcmp(c->deadline, "none") != 0 && !move_parse_deadline(c->deadline, &deadline))
    return move_wrong("--deadline is a date, YYYY-MM-DD, or none");
  if (c->parallel &&
      (slice_to_u64(slice_str(c->parallel), &parallel) || parallel < 1 || parallel > UINT16_MAX))
    return move_wrong("--parallel is a number from 1");
  if (c->rate) json_object_set_new(body, "rate", json_integer((json_int_t)rate));
  if (c->deadline) json_object_set_new(body, "deadline_ms", json_integer((json_int_t)deadline));
  if (c->parallel) json_object_set_new(body, "parallel", json_integer((json_int_t)parallel));
  return CLI_CONTINUE;
}

int move_job_set(int argc, char **argv) {
  struct cli_common common = {0};
  struct change c = {0};
  const char *words[CLI_WORDS_MAX];
  uint64_t id = 0;
  const struct cli_option options[] = {
      {"rate", CLI_TEXT, &c.rate, "BYTES/s", "e.g. 50MB/s: not faster than that; none"},
      {"parallel", CLI_TEXT, &c.parallel, "N", "subjects moved at once"},
      {"deadline", CLI_TEXT, &c.deadline, "DATE", "YYYY-MM-DD: the end of that day, UTC; none"},
      CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {.line = "move set ID [--rate R] [--parallel N] [--deadline DATE]",
                                  .summary = "Changes a move that runs or is paused, at once.\n",
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0],
                                  .words_min = 1,
                                  .words_max = 1};
  CLI_LINK_AUTO *link = NULL;
  CLI_JSON_AUTO *body = json_object();
  CLI_JSON_AUTO *answer = NULL;
  char path[48];
  int status = cli_parse(&usage, argc, argv, words, NULL);
  if (status == CLI_CONTINUE && slice_to_u64(slice_str(words[0]), &id))
    status = move_wrong("a move is named by its number");
  if (status == CLI_CONTINUE) status = change_body(&c, body);
  if (status == CLI_CONTINUE) status = cli_link_open(&common, &link);
  snprintf(path, sizeof path, "moves/%llu", (unsigned long long)id);
  if (status == CLI_CONTINUE) status = cli_ask(link, "PUT", path, body, &answer);
  if (status != CLI_CONTINUE) return status;
  if (common.json)
    cli_print_json(answer);
  else
    print_job(answer);
  return CLI_OK;
}

/* ---- failures ------------------------------------------------------------------------------- */

static void print_failure(const json_t *f, bool as_json) {
  if (as_json)
    cli_print_json(f);
  else
    printf("%s  %s  tried %llu times, last %s: %s\n", cli_text(f, "token"), cli_text(f, "code"),
           (unsigned long long)cli_number(f, "tries"), cli_show_time(cli_number(f, "last_ms")).text,
           cli_text(f, "reason"));
}

/* Page after page. *out_count: how many there are. */
static int print_failures(struct cli_link *link, uint64_t id, bool as_json, size_t *out_count) {
  char after[80] = "";
  do {
    CLI_JSON_AUTO *page = NULL;
    char path[160];
    size_t i;
    json_t *one;
    snprintf(path, sizeof path, "moves/%llu/failures?limit=1000%s", (unsigned long long)id, after);
    int status = cli_ask(link, "GET", path, NULL, &page);
    if (status != CLI_CONTINUE) return status;
    json_array_foreach(json_object_get(page, "failures"), i, one) print_failure(one, as_json);
    *out_count += json_array_size(json_object_get(page, "failures"));
    const char *next = cli_text(page, "next");
    snprintf(after, sizeof after, next[0] ? "&after=%s" : "%s", next);
  } while (after[0]);
  return CLI_CONTINUE;
}

int move_job_failures(int argc, char **argv) {
  struct cli_common common = {0};
  const char *words[CLI_WORDS_MAX];
  uint64_t id = 0;
  size_t count = 0;
  const struct cli_option options[] = {CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {
      .line = "move failures ID",
      .summary =
          "Lists by token who could not be moved so far, or at all, and why. With --json one object a\n"
          "line. Exit code 1: there are some.\n",
      .options = options,
      .option_count = sizeof options / sizeof options[0],
      .words_min = 1,
      .words_max = 1};
  CLI_LINK_AUTO *link = NULL;
  int status = cli_parse(&usage, argc, argv, words, NULL);
  if (status == CLI_CONTINUE && slice_to_u64(slice_str(words[0]), &id))
    status = move_wrong("a move is named by its number");
  if (status == CLI_CONTINUE) status = cli_link_open(&common, &link);
  if (status == CLI_CONTINUE) status = print_failures(link, id, common.json, &count);
  if (status != CLI_CONTINUE) return status;
  return count ? CLI_FOUND : CLI_OK;
}
