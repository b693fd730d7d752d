/* domicile ledger: show, receipt, checkpoint, vkey. */
#include "ledger/ledger.h"

#include <stdio.h>

#include "cli/cli.h"
#include "cli/file.h"

static int get(const struct cli_usage *usage, struct cli_common *common, int argc, char **argv,
               const char *path, json_t **answer) {
  CLI_LINK_AUTO *link = NULL;
  int status = cli_parse(usage, argc, argv, NULL, NULL);
  if (status == CLI_CONTINUE) status = cli_link_open(common, &link);
  return status == CLI_CONTINUE ? cli_ask(link, "GET", path, NULL, answer) : status;
}

static int show(int argc, char **argv) {
  struct cli_common common = {0};
  const char *from = NULL, *limit = NULL;
  const struct cli_option options[] = {
      {"from", CLI_TEXT, &from, "INDEX", "the first entry (default: the newest)"},
      {"limit", CLI_TEXT, &limit, "N", "how many (default 100, at most 1000)"},
      CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {.line = "ledger show",
                                  .summary =
                                      "Says in words what the ledger records, opened where the region still "
                                      "has the openings.\n",
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0]};
  CLI_LINK_AUTO *link = NULL;
  CLI_JSON_AUTO *answer = NULL;
  BUF_AUTO path = BUF_INIT;
  int status = cli_parse(&usage, argc, argv, NULL, NULL);
  if (status == CLI_CONTINUE) status = cli_link_open(&common, &link);
  if (status != CLI_CONTINUE) return status;
  buf_append_str(&path, "ledger/entries?limit=");
  percent_encode(&path, slice_str(limit ? limit : "100"), false);
  if (from) {
    buf_append_str(&path, "&from=");
    percent_encode(&path, slice_str(from), false);
  }
  status = cli_ask(link, "GET", buf_str(&path), NULL, &answer);
  if (status != CLI_CONTINUE) return status;
  size_t i;
  json_t *e;
  if (common.json)
    cli_print_json(answer);
  else
    json_array_foreach(json_object_get(answer, "entries"), i, e)
        printf("%8llu  %s\n", (unsigned long long)cli_number(e, "index"), cli_text(e, "words"));
  return CLI_OK;
}

/* One file, or one a receipt: OUT, or OUT-INDEX where there are several. */
static int write_receipts(const json_t *answer, const char *out) {
  const json_t *list = json_object_get(answer, "receipts");
  size_t i, count = json_array_size(list);
  json_t *one;
  if (count == 0) {
    cli_complain("the ledger has no entry about it");
    return CLI_FOUND;
  }
  json_array_foreach(list, i, one) {
    BUF_AUTO path = BUF_INIT;
    buf_append_str(&path, out);
    if (count > 1 && strcmp(out, "-") != 0)
      buf_printf(&path, "-%llu", (unsigned long long)cli_number(one, "index"));
    if (!cli_file_write(buf_str(&path), slice_str(cli_text(one, "text")), false)) return CLI_FAILED;
  }
  return CLI_OK;
}

static void add_param(struct buf *path, const char *name, const char *value) {
  if (!value) return;
  buf_printf(path, "&%s=", name);
  percent_encode(path, slice_str(value), false);
}

static int receipt(int argc, char **argv) {
  struct cli_common common = {0};
  const char *index = NULL, *token = NULL, *subject = NULL, *tenant = NULL, *out = NULL, *limit = NULL;
  const struct cli_option options[] = {
      {"index", CLI_TEXT, &index, "N", "of one entry"},
      {"token", CLI_TEXT, &token, "HEX", "all about one subject, newest first"},
      {"subject", CLI_TEXT, &subject, "ID", "the same by id"},
      {"tenant", CLI_TEXT, &tenant, "ACCOUNT", "with --subject (default: main)"},
      {"limit", CLI_TEXT, &limit, "N", "at most so many"},
      {"out", CLI_TEXT, &out, "FILE", "write there (several: FILE-INDEX each)"},
      CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {
      .line = "ledger receipt (--index N | --subject ID | --token HEX)",
      .summary = "Prints receipts: proofs that `domicile verify` checks offline. Each "
                 "holds its opening: give it\nto the person, the regulator, the auditor; "
                 "do not publish it.\n",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  CLI_LINK_AUTO *link = NULL;
  CLI_JSON_AUTO *answer = NULL;
  BUF_AUTO path = BUF_INIT;
  int status = cli_parse(&usage, argc, argv, NULL, NULL);
  if (status == CLI_CONTINUE && !index + !token + !subject != 2) {
    cli_complain("say one of --index, --subject and --token");
    status = CLI_USAGE;
  }
  if (status == CLI_CONTINUE) status = cli_link_open(&common, &link);
  if (status != CLI_CONTINUE) return status;
  buf_append_str(&path, "receipts?");
  buf_printf(&path, "limit=%s", limit ? limit : "100");
  add_param(&path, "index", index);
  add_param(&path, "token", token);
  add_param(&path, "subject", subject);
  add_param(&path, "tenant", tenant);
  status = cli_ask(link, "GET", buf_str(&path), NULL, &answer);
  if (status != CLI_CONTINUE) return status;
  if (!common.json) return write_receipts(answer, out ? out : "-");
  cli_print_json(answer);
  return CLI_OK;
}

/* One member of GET ledger, as text. */
static int one_member(int argc, char **argv, const char *member, const char *line, const char *summary) {
  struct cli_common common = {0};
  const char *out = NULL;
  const struct cli_option options[] = {{"out", CLI_TEXT, &out, "FILE", "write there"},
                                       CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {.line = line,
                                  .summary = summary,
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0]};
  CLI_JSON_AUTO *answer = NULL;
  BUF_AUTO text = BUF_INIT;
  int status = get(&usage, &common, argc, argv, "ledger", &answer);
  if (status != CLI_CONTINUE) return status;
  if (common.json) {
    cli_print_json(answer);
    return CLI_OK;
  }
  const char *value = cli_text(answer, member);
  buf_append_str(&text, value);
  if (text.len && text.data[text.len - 1] != '\n') buf_append_byte(&text, '\n');
  return cli_file_write(out ? out : "-", buf_slice(&text), false) ? CLI_OK : CLI_FAILED;
}

static int checkpoint(int argc, char **argv) {
  return one_member(
      argc, argv, "checkpoint", "ledger checkpoint",
      "Prints the ledger's signed head. Keep it: `domicile verify --since` proves that nothing was\n"
      "rewritten since.\n");
}

static int vkey(int argc, char **argv) {
  return one_member(argc, argv, "vkey", "ledger vkey",
                    "Prints the ledger's verifier key, for `domicile verify`.\n");
}

int cli_ledger(int argc, char **argv) {
  static const struct cli_command commands[] = {{"show", "what is recorded, in words", show},
                                                {"receipt", "proofs to hand out", receipt},
                                                {"checkpoint", "the signed head, to keep", checkpoint},
                                                {"vkey", "the key it is signed with", vkey},
                                                {0}};
  return cli_dispatch("domicile ledger", commands, argc, argv);
}
