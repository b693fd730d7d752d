/* domicile move: one subject, or a country; list, status, cancel. */
#include <stdio.h>

#include "base/clock.h"
#include "cli/watch.h"

static const uint64_t DAY_MS = UINT64_C(24) * 3600 * 1000;

struct wish {
  const char *country, *from, *to, *rate, *deadline, *parallel, *subject, *token, *tenant;
  bool dry_run, detach;
  struct cli_common common;
};

static int wrong(const char *what) {
  cli_complain("move: %s", what);
  return CLI_USAGE;
}

static void set_text(json_t *to, const char *name, const char *value) {
  if (value) json_object_set_new(to, name, json_pack("s", value));
}

/* A bare date is the whole day: its end, UTC. */
static bool parse_deadline(const char *text, uint64_t *out) {
  uint64_t ms = 0;
  if (time_parse_date(slice_str(text), &ms)) return false;
  *out = ms + DAY_MS - 1;
  return true;
}

/* What the daemon is asked to do, or an exit code. */
static int make_body(const struct wish *w, json_t *body) {
  uint64_t rate = 0, deadline = 0, parallel = 0;
  json_t *to = NULL;
  bool one = w->subject || w->token;
  if (!w->to) return wrong("--to is missing");
  if (!w->country == !one || (w->subject && w->token))
    return wrong("name --country CODE, --subject ID or --token HEX");
  if (one && (w->rate || w->deadline || w->parallel || w->dry_run))
    return wrong("--rate, --deadline, --parallel and --dry-run go with --country");
  if (w->rate && !cli_parse_bytes(w->rate, &rate)) return wrong("--rate is a number with KB, MB, MiB…/s");
  if (w->deadline && !parse_deadline(w->deadline, &deadline))
    return wrong("--deadline is a date, YYYY-MM-DD");
  if (w->parallel &&
      (slice_to_u64(slice_str(w->parallel), &parallel) || parallel < 1 || parallel > UINT16_MAX))
    return wrong("--parallel is a number from 1");
  if (!cli_parse_shares(w->to, &to)) return CLI_USAGE;
  json_object_set_new(body, "to", to);
  set_text(body, "country", w->country);
  set_text(body, "from", w->from);
  set_text(body, "subject", w->subject);
  set_text(body, "token", w->token);
  set_text(body, "tenant", w->tenant);
  if (rate) json_object_set_new(body, "rate", json_integer((json_int_t)rate));
  if (deadline) json_object_set_new(body, "deadline_ms", json_integer((json_int_t)deadline));
  if (parallel) json_object_set_new(body, "parallel", json_integer((json_int_t)parallel));
  if (w->dry_run) json_object_set_new(body, "dry_run", json_true());
  return CLI_CONTINUE;
}

static void print_targets(const json_t *m) {
  size_t i;
  json_t *share;
  json_array_foreach(json_object_get(m, "to"), i, share)
      printf("%s%s %llu %%", i ? ", " : "", cli_text(share, "region"),
             (unsigned long long)cli_number(share, "percent"));
}

static int show_plan(const struct wish *w, const json_t *m) {
  const json_t *refusals = json_object_get(m, "refusals");
  if (w->common.json) {
    cli_print_json(m);
  } else {
    size_t i;
    json_t *no;
    printf("would move %llu subjects, %s, from %s to ", (unsigned long long)cli_number(m, "subjects"),
           cli_show_bytes(cli_number(m, "bytes")).text, cli_text(m, "from"));
    print_targets(m);
    putchar('\n');
    json_array_foreach(refusals, i, no)
        printf("refused at %s: charter %llu, %s: %s\n", cli_text(no, "region"),
               (unsigned long long)cli_number(no, "charter"), cli_text(no, "clause"), cli_text(no, "why"));
  }
  return json_array_size(refusals) ? CLI_FOUND : CLI_OK;
}

static int show_one(const struct wish *w, const json_t *m) {
  if (w->common.json)
    cli_print_json(m);
  else
    printf("moved: %s lives in %s\n", cli_text(m, "token"), cli_text(m, "home"));
  return CLI_OK;
}

static int attach(const struct wish *w, struct cli_link *link, const json_t *m) {
  uint64_t id = cli_number(m, "id");
  if (w->common.json && w->detach) {
    cli_print_json(m);
  } else if (!w->common.json) {
    printf("move %llu: %llu subjects of %s, %s, from %s to ", (unsigned long long)id,
           (unsigned long long)cli_number(m, "subjects"), cli_text(m, "country"),
           cli_show_bytes(cli_number(m, "bytes")).text, cli_text(m, "from"));
    print_targets(m);
    putchar('\n');
    fflush(stdout);
  }
  return w->detach ? CLI_OK : watch_move(link, &w->common, id);
}

static int move(int argc, char **argv) {
  struct wish w = {0};
  const struct cli_option options[] = {
      {"country", CLI_TEXT, &w.country, "CODE", "everybody of this country who lives at the source"},
      {"subject", CLI_TEXT, &w.subject, "ID", "one person instead"},
      {"token", CLI_TEXT, &w.token, "HEX", "one person by route token"},
      {"tenant", CLI_TEXT, &w.tenant, "ACCOUNT", "with --subject: whose (default: main)"},
      {"from", CLI_TEXT, &w.from, "REGION", "the source: must be the region asked"},
      {"to", CLI_TEXT, &w.to, "REGION[=N%],…", "where to, with shares that add up to 100 %"},
      {"rate", CLI_TEXT, &w.rate, "BYTES/s", "e.g. 50MB/s: not faster than that"},
      {"deadline", CLI_TEXT, &w.deadline, "DATE", "YYYY-MM-DD: the end of that day, UTC"},
      {"parallel", CLI_TEXT, &w.parallel, "N", "subjects moved at once"},
      {"dry-run", CLI_FLAG, &w.dry_run, NULL, "say what would be moved; change nothing"},
      {"detach", CLI_FLAG, &w.detach, NULL, "do not wait for the end"},
      CLI_COMMON_OPTIONS(w.common)};
  const struct cli_usage usage = {
      .line = "move (--country CODE | --subject ID | list | status ID | cancel ID) --to REGION[=N%],…",
      .summary = "Moves people to a new home while they read and write. A move of a country is a job in the\n"
                 "source's daemon: Ctrl-C detaches, and the same selection attaches again.\n",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  CLI_LINK_AUTO *link = NULL;
  CLI_JSON_AUTO *body = json_object();
  CLI_JSON_AUTO *answer = NULL;
  int status = cli_parse(&usage, argc, argv, NULL, NULL);
  if (status == CLI_CONTINUE) status = make_body(&w, body);
  if (status == CLI_CONTINUE) status = cli_link_open(&w.common, &link);
  if (status == CLI_CONTINUE) status = cli_ask(link, "POST", "moves", body, &answer);
  if (status != CLI_CONTINUE) return status;
  if (w.dry_run) return show_plan(&w, answer);
  return w.country ? attach(&w, link, answer) : show_one(&w, answer);
}

/* ---- jobs --------------------------------------------------------------------------------- */

static void print_job(const json_t *m) {
  BUF_AUTO line = BUF_INIT;
  watch_line(m, clock_wall_ms(clock_posix()), &line);
  printf("move %llu  %s from %s to ", (unsigned long long)cli_number(m, "id"), cli_text(m, "country"),
         cli_text(m, "from"));
  print_targets(m);
  printf("  %s\n", buf_str(&line));
}

static int list(int argc, char **argv) {
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

static int one_job(int argc, char **argv, const char *method, const char *line, const char *summary,
                   bool may_follow) {
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
    status = wrong("a move is named by its number");
  if (status == CLI_CONTINUE) status = cli_link_open(&common, &link);
  if (status != CLI_CONTINUE) return status;
  if (follow) return watch_move(link, &common, id);
  char path[48];
  snprintf(path, sizeof path, "moves/%llu", (unsigned long long)id);
  status = cli_ask(link, method, path, NULL, &answer);
  if (status != CLI_CONTINUE) return status;
  if (common.json)
    cli_print_json(answer);
  else
    print_job(answer);
  return CLI_OK;
}

static int job_status(int argc, char **argv) {
  return one_job(argc, argv, "GET", "move status ID", "Shows one move.\n", true);
}

static int job_cancel(int argc, char **argv) {
  return one_job(argc, argv, "DELETE", "move cancel ID",
                 "Ends a move: subjects already moved stay where they are.\n", false);
}

int cli_move(int argc, char **argv) {
  static const struct cli_command jobs[] = {{"list", "list moves", list},
                                            {"status", "show one", job_status},
                                            {"cancel", "end one", job_cancel},
                                            {0}};
  if (argc > 1 && argv[1][0] != '-') return cli_dispatch("domicile move", jobs, argc, argv);
  return move(argc, argv);
}
