/* domicile subject: show, register, list, set-country, revoke-tokens; erase and export have files of their
 * own. */
#include <stdio.h>

#include "cli/cli.h"

void cli_subject_path(struct buf *out, const char *id, const char *tail, const char *tenant) {
  buf_append_str(out, "subjects/");
  percent_encode(out, slice_str(id), false);
  buf_append_str(out, tail);
  buf_append_str(out, "?tenant=");
  percent_encode(out, slice_str(tenant ? tenant : "main"), false);
}

static void print_subject(const json_t *s) {
  printf("token         %s\n", cli_text(s, "token"));
  printf("country       %s\n", cli_text(s, "country"));
  printf("home          %s, epoch %llu\n", cli_text(s, "home"), (unsigned long long)cli_number(s, "epoch"));
  if (cli_text(s, "moving_to")[0]) printf("moving to     %s\n", cli_text(s, "moving_to"));
  if (cli_text(s, "home_says")[0]) {
    printf("home says     %s\n", cli_text(s, "home_says"));
    return;
  }
  if (!cli_text(s, "state")[0]) return;
  printf("state         %s\n", cli_text(s, "state"));
  printf("since         %s\n", cli_show_time(cli_number(s, "since_ms")).text);
  printf("objects       %llu, %s\n", (unsigned long long)cli_number(s, "objects"),
         cli_show_bytes(cli_number(s, "bytes")).text);
  if (json_is_integer(json_object_get(s, "last_receipt")))
    printf("last receipt  entry %llu of the home's ledger\n",
           (unsigned long long)cli_number(s, "last_receipt"));
}

static int answer_subject(const struct cli_common *common, struct cli_link *link, const char *method,
                          const char *path, const char *country) {
  CLI_JSON_AUTO *body = country ? json_pack("{s:s}", "country", country) : NULL;
  CLI_JSON_AUTO *answer = NULL;
  int status = cli_ask(link, method, path, body, &answer);
  if (status != CLI_CONTINUE) return status;
  if (common->json)
    cli_print_json(answer);
  else
    print_subject(answer);
  return CLI_OK;
}

static int show(int argc, char **argv) {
  struct cli_common common = {0};
  const char *tenant = NULL, *token = NULL, *words[CLI_WORDS_MAX];
  size_t count = 0;
  const struct cli_option options[] = {
      {"tenant", CLI_TEXT, &tenant, "ACCOUNT", "whose subject (default: main)"},
      {"token", CLI_TEXT, &token, "HEX", "by route token instead of ID"},
      CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {
      .line = "subject show (ID | --token HEX)",
      .summary = "Says where a person's data lives, since when, how much it is, and which "
                 "ledger entry\nsays so.\n",
      .options = options,
      .option_count = sizeof options / sizeof options[0],
      .words_max = 1};
  CLI_LINK_AUTO *link = NULL;
  int status = cli_parse(&usage, argc, argv, words, &count);
  if (status == CLI_CONTINUE && (count == 1) == (token != NULL)) {
    cli_complain("subject show takes an id, or --token");
    status = CLI_USAGE;
  }
  if (status == CLI_CONTINUE) status = cli_link_open(&common, &link);
  if (status != CLI_CONTINUE) return status;
  BUF_AUTO path = BUF_INIT;
  if (token) {
    buf_append_str(&path, "tokens/");
    percent_encode(&path, slice_str(token), false);
  } else {
    cli_subject_path(&path, words[0], "", tenant);
  }
  return answer_subject(&common, link, "GET", buf_str(&path), NULL);
}

/* register and set-country differ in their route only. */
static int change(int argc, char **argv, const char *tail, const char *line, const char *summary) {
  struct cli_common common = {0};
  const char *tenant = NULL, *country = NULL, *words[CLI_WORDS_MAX];
  const struct cli_option options[] = {
      {"country", CLI_TEXT, &country, "CODE", "ISO 3166-1 alpha-2, such as IN"},
      {"tenant", CLI_TEXT, &tenant, "ACCOUNT", "whose subject (default: main)"},
      CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {.line = line,
                                  .summary = summary,
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0],
                                  .words_min = 1,
                                  .words_max = 1};
  CLI_LINK_AUTO *link = NULL;
  int status = cli_parse(&usage, argc, argv, words, NULL);
  if (status == CLI_CONTINUE && !country) {
    cli_complain("--country is missing");
    status = CLI_USAGE;
  }
  if (status == CLI_CONTINUE) status = cli_link_open(&common, &link);
  if (status != CLI_CONTINUE) return status;
  BUF_AUTO path = BUF_INIT;
  cli_subject_path(&path, words[0], tail, tenant);
  return answer_subject(&common, link, "PUT", buf_str(&path), country);
}

static int register_one(int argc, char **argv) {
  return change(argc, argv, "", "subject register ID --country CODE",
                "Registers a person with a country, once, at the home the charter gives it.\n");
}

static int set_country(int argc, char **argv) {
  return change(argc, argv, "/country", "subject set-country ID --country CODE",
                "Changes a person's country, where the charter lets them stay where they are.\n");
}

static int revoke_tokens(int argc, char **argv) {
  struct cli_common common = {0};
  const char *tenant = NULL, *words[CLI_WORDS_MAX];
  const struct cli_option options[] = {
      {"tenant", CLI_TEXT, &tenant, "ACCOUNT", "whose subject (default: main)"}, CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {
      .line = "subject revoke-tokens ID",
      .summary = "Ends every scoped token of a person that was made before, at the person's home region.\n",
      .options = options,
      .option_count = sizeof options / sizeof options[0],
      .words_min = 1,
      .words_max = 1};
  CLI_LINK_AUTO *link = NULL;
  CLI_JSON_AUTO *answer = NULL;
  int status = cli_parse(&usage, argc, argv, words, NULL);
  if (status == CLI_CONTINUE) status = cli_link_open(&common, &link);
  if (status != CLI_CONTINUE) return status;
  BUF_AUTO path = BUF_INIT;
  cli_subject_path(&path, words[0], "/revoke-tokens", tenant);
  status = cli_ask(link, "POST", buf_str(&path), NULL, &answer);
  if (status != CLI_CONTINUE) return status;
  if (common.json)
    cli_print_json(answer);
  else
    printf("tokens made before now are over (generation %llu)\n",
           (unsigned long long)cli_number(answer, "generation"));
  return CLI_OK;
}

static void print_row(const json_t *s) {
  printf("%s  %-2s  %-8s %-6s epoch %llu, since %s\n", cli_text(s, "token"), cli_text(s, "country"),
         cli_text(s, "state"), cli_text(s, "home"), (unsigned long long)cli_number(s, "epoch"),
         cli_show_time(cli_number(s, "since_ms")).text);
}

/* One page after the other, so that a region of any size can be listed. */
static int list_pages(struct cli_link *link, const struct cli_common *common, const char *country,
                      uint64_t limit) {
  char after[80] = "";
  for (uint64_t shown = 0; shown < limit;) {
    CLI_JSON_AUTO *answer = NULL;
    BUF_AUTO path = BUF_INIT;
    uint64_t left = limit - shown, page = left < 1000 ? left : 1000;
    buf_printf(&path, "subjects?limit=%llu", (unsigned long long)page);
    if (country) {
      buf_append_str(&path, "&country=");
      percent_encode(&path, slice_str(country), false);
    }
    if (after[0]) buf_printf(&path, "&after=%s", after);
    int status = cli_ask(link, "GET", buf_str(&path), NULL, &answer);
    if (status != CLI_CONTINUE) return status;
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(answer, "subjects"), i, one) {
      common->json ? cli_print_json(one) : print_row(one);
      shown++;
    }
    const char *next = cli_text(answer, "next");
    if (!next[0]) break;
    snprintf(after, sizeof after, "%s", next);
  }
  return CLI_OK;
}

static int list(int argc, char **argv) {
  struct cli_common common = {0};
  const char *country = NULL, *limit_text = NULL;
  uint64_t limit = UINT64_MAX;
  const struct cli_option options[] = {{"country", CLI_TEXT, &country, "CODE", "only these"},
                                       {"limit", CLI_TEXT, &limit_text, "N", "at most so many"},
                                       CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {.line = "subject list",
                                  .summary =
                                      "Lists who lives here and who left, by route token: a region keeps no "
                                      "list of ids.\nWith --json one object a line.\n",
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0]};
  CLI_LINK_AUTO *link = NULL;
  int status = cli_parse(&usage, argc, argv, NULL, NULL);
  if (status == CLI_CONTINUE && limit_text && slice_to_u64(slice_str(limit_text), &limit)) {
    cli_complain("--limit must be a number");
    status = CLI_USAGE;
  }
  if (status == CLI_CONTINUE) status = cli_link_open(&common, &link);
  return status == CLI_CONTINUE ? list_pages(link, &common, country, limit) : status;
}

int cli_subject(int argc, char **argv) {
  static const struct cli_command commands[] = {
      {"show", "where a person's data lives", show},
      {"register", "register a person with a country", register_one},
      {"list", "list tokens that live here or left", list},
      {"set-country", "change a person's country", set_country},
      {"erase", "erase a person for good", cli_subject_erase},
      {"export", "hand out everything of a person", cli_subject_export},
      {"revoke-tokens", "end a person's scoped tokens", revoke_tokens},
      {0}};
  return cli_dispatch("domicile subject", commands, argc, argv);
}
