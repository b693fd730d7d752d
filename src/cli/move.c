/* domicile move: one subject, a country, or a list of people. */
#include <stdio.h>

#include "base/clock.h"
#include "cli/move.h"
#include "cli/watch.h"

static const uint64_t DAY_MS = UINT64_C(24) * 3600 * 1000;

struct wish {
  const char *country, *from, *to, *rate, *deadline, *parallel, *subject, *token, *tenant, *file;
  bool dry_run, detach, skip_unknown;
  struct cli_common common;
};

int move_wrong(const char *what) {
  cli_complain("move: %s", what);
  return CLI_USAGE;
}

static void set_text(json_t *to, const char *name, const char *value) {
  if (value) json_object_set_new(to, name, json_pack("s", value));
}

/* A bare date is the whole day: its end, UTC. */
bool move_parse_deadline(const char *text, uint64_t *out) {
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
  if (!w->to) return move_wrong("--to is missing");
  if ((w->country != NULL) + (w->file != NULL) + one != 1 || (w->subject && w->token))
    return move_wrong("name --country CODE, --subjects-file FILE, --subject ID or --token HEX");
  if (one && (w->rate || w->deadline || w->parallel || w->dry_run))
    return move_wrong("--rate, --deadline, --parallel and --dry-run go with --country or --subjects-file");
  if (w->rate && !cli_parse_bytes(w->rate, &rate))
    return move_wrong("--rate is a number with KB, MB, MiB…/s");
  if (w->deadline && !move_parse_deadline(w->deadline, &deadline))
    return move_wrong("--deadline is a date, YYYY-MM-DD");
  if (w->parallel &&
      (slice_to_u64(slice_str(w->parallel), &parallel) || parallel < 1 || parallel > UINT16_MAX))
    return move_wrong("--parallel is a number from 1");
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

void move_print_targets(const json_t *m) {
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
    move_print_targets(m);
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

const char *move_whom(const json_t *m) {
  return json_object_get(m, "list") ? "a list" : cli_text(m, "country");
}

static int attach(const struct wish *w, struct cli_link *link, const json_t *m) {
  uint64_t id = cli_number(m, "id");
  if (w->common.json && w->detach) {
    cli_print_json(m);
  } else if (!w->common.json) {
    printf("move %llu: %llu subjects of %s, %llu objects, %s, from %s to ", (unsigned long long)id,
           (unsigned long long)cli_number(m, "subjects"), move_whom(m),
           (unsigned long long)cli_number(m, "objects"), cli_show_bytes(cli_number(m, "bytes")).text,
           cli_text(m, "from"));
    move_print_targets(m);
    putchar('\n');
    fflush(stdout);
  }
  if (strcmp(cli_text(m, "state"), "paused") == 0) {
    cli_complain("this move is paused; go on with it by: domicile move resume %llu", (unsigned long long)id);
    return CLI_FOUND;
  }
  return w->detach ? CLI_OK : watch_move(link, &w->common, id);
}

/* Time and bandwidth, of a move that was rehearsed. */
static void print_prediction(const json_t *m) {
  const json_t *measured = json_object_get(m, "measured");
  printf("measured: %llu subjects, %s, in %s, %llu at once\n",
         (unsigned long long)cli_number(measured, "subjects"),
         cli_show_bytes(cli_number(measured, "bytes")).text,
         cli_show_span(cli_number(measured, "took_ms")).text,
         (unsigned long long)cli_number(measured, "parallel"));
  printf("takes about %s (%s to %s), %s/s%s\n", cli_show_span(cli_number(m, "duration_ms")).text,
         cli_show_span(cli_number(m, "duration_ms_low")).text,
         cli_show_span(cli_number(m, "duration_ms_high")).text, cli_show_bytes(cli_number(m, "rate")).text,
         json_is_true(json_object_get(m, "rate_bound")) ? ": the rate is what takes the time" : "");
  printf("holds the writers of a quiet person about %llu ms, one in a hundred %llu ms\n",
         (unsigned long long)cli_number(m, "held_ms_p50"), (unsigned long long)cli_number(m, "held_ms_p99"));
  if (!cli_number(m, "deadline_ms")) return;
  printf("the deadline %s needs %s/s: ", cli_show_time(cli_number(m, "deadline_ms")).text,
         cli_show_bytes(cli_number(m, "rate_needed")).text);
  if (cli_number(m, "late_ms"))
    printf("LATE by %s\n", cli_show_span(cli_number(m, "late_ms")).text);
  else
    puts("on time");
}

static int show_prediction(const struct wish *w, const json_t *m) {
  if (w->common.json) {
    cli_print_json(m);
    return CLI_OK;
  }
  printf("%llu subjects, %llu objects, %s, from %s to ", (unsigned long long)cli_number(m, "subjects"),
         (unsigned long long)cli_number(m, "objects"), cli_show_bytes(cli_number(m, "bytes")).text,
         cli_text(m, "from"));
  move_print_targets(m);
  putchar('\n');
  if (cli_number(m, "subjects")) print_prediction(m);
  return CLI_OK;
}

/* Moves, or says what that would take. */
static int move(int argc, char **argv, bool plan) {
  struct wish w = {0};
  const struct cli_option options[] = {
      {"country", CLI_TEXT, &w.country, "CODE", "everybody of this country who lives at the source"},
      {"subjects-file", CLI_TEXT, &w.file, "FILE", "these instead: an id or a token a line; - is stdin"},
      {"skip-unknown", CLI_FLAG, &w.skip_unknown, NULL, "leave out lines that name nobody known here"},
      {"subject", CLI_TEXT, &w.subject, "ID", "one person instead"},
      {"token", CLI_TEXT, &w.token, "HEX", "one person by route token"},
      {"tenant", CLI_TEXT, &w.tenant, "ACCOUNT", "whose ids they are (default: main)"},
      {"from", CLI_TEXT, &w.from, "REGION", "the source: must be the region asked"},
      {"to", CLI_TEXT, &w.to, "REGION[=N%],…", "where to, with shares that add up to 100 %"},
      {"rate", CLI_TEXT, &w.rate, "BYTES/s", "e.g. 50MB/s: not faster than that"},
      {"deadline", CLI_TEXT, &w.deadline, "DATE", "YYYY-MM-DD: the end of that day, UTC"},
      {"parallel", CLI_TEXT, &w.parallel, "N", "subjects moved at once"},
      CLI_COMMON_OPTIONS(w.common),
      {"dry-run", CLI_FLAG, &w.dry_run, NULL, "say what would be moved; change nothing"}, /* not of a plan */
      {"detach", CLI_FLAG, &w.detach, NULL, "do not wait for the end"}};
  const size_t count = sizeof options / sizeof options[0];
  const struct cli_usage moves = {
      .line = "move (--country CODE | --subjects-file FILE | --subject ID) --to REGION[=N%],…",
      .summary =
          "Moves people to a new home while they read and write. A move of a country or a list is a job "
          "in\nthe source's daemon: Ctrl-C detaches, and the same selection attaches again. See also "
          "move\nlist, status, failures, pause, resume, set, cancel; and domicile plan move.\n",
      .options = options,
      .option_count = count};
  const struct cli_usage plans = {
      .line = "plan move (--country CODE | --subjects-file FILE) --to REGION[=N%],…",
      .summary =
          "Says how long a move would take, with its error, and whether that is in time, from a sample of\n"
          "those it selects: up to ten seconds and 64 MiB. Nobody moves, nothing personal leaves.\n",
      .options = options,
      .option_count = count - 2};
  CLI_LINK_AUTO *link = NULL;
  CLI_JSON_AUTO *body = json_object();
  CLI_JSON_AUTO *answer = NULL;
  int status = cli_parse(plan ? &plans : &moves, argc, argv, NULL, NULL);
  if (status == CLI_CONTINUE && plan && (w.subject || w.token))
    status = move_wrong("a plan is of a country or a list");
  if (status == CLI_CONTINUE) status = make_body(&w, body);
  if (status == CLI_CONTINUE) status = cli_link_open(&w.common, &link);
  if (status == CLI_CONTINUE && w.file) status = move_send_list(link, w.file, w.tenant, w.skip_unknown, body);
  if (status == CLI_CONTINUE) status = cli_ask(link, "POST", plan ? "moves/plan" : "moves", body, &answer);
  if (status != CLI_CONTINUE) return status;
  if (plan) return show_prediction(&w, answer);
  if (w.dry_run) return show_plan(&w, answer);
  return w.country || w.file ? attach(&w, link, answer) : show_one(&w, answer);
}

int cli_move(int argc, char **argv) {
  static const struct cli_command jobs[] = {
      {"list", "list moves", move_job_list},
      {"status", "show one", move_job_status},
      {"failures", "who could not be moved, and why", move_job_failures},
      {"pause", "take no further people, until resumed", move_job_pause},
      {"resume", "go on with a paused one", move_job_resume},
      {"set", "change rate, parallelism or deadline", move_job_set},
      {"cancel", "end one", move_job_cancel},
      {0}};
  if (argc > 1 && argv[1][0] != '-') return cli_dispatch("domicile move", jobs, argc, argv);
  return move(argc, argv, false);
}

static int plan_move(int argc, char **argv) {
  return move(argc, argv, true);
}

int cli_plan(int argc, char **argv) {
  static const struct cli_command plans[] = {{"move", "how long a move would take", plan_move}, {0}};
  return cli_dispatch("domicile plan", plans, argc, argv);
}
