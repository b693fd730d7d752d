/* domicile bucket: create, list. */
#include <stdio.h>

#include "cli/cli.h"

static void print_bucket(const json_t *b) {
  const char *layout = cli_text(b, "layout");
  printf("%-30s owner %-12s region %-6s layout %s, others %s\n", cli_text(b, "name"), cli_text(b, "owner"),
         cli_text(b, "region"), layout[0] ? layout : "none",
         strcmp(cli_text(b, "unmatched"), "keep") == 0 ? "kept" : "refused");
}

static void set_text(json_t *to, const char *name, const char *value) {
  if (value) json_object_set_new(to, name, json_pack("s", value));
}

static int create(int argc, char **argv) {
  struct cli_common common = {0};
  const char *owner = NULL, *layout = NULL, *region = NULL, *unmatched = NULL, *words[CLI_WORDS_MAX];
  const struct cli_option options[] = {
      {"layout", CLI_TEXT, &layout, "TEMPLATES", "e.g. 'photos/{subject}/ mail/{subject}/'; '' for none"},
      {"region", CLI_TEXT, &region, "NAME", "where keys of no subject lie (default: this region)"},
      {"owner", CLI_TEXT, &owner, "ACCOUNT", "the tenant (default: main)"},
      {"unmatched", CLI_TEXT, &unmatched, "refuse|keep", "keys that match no template"},
      CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {.line = "bucket create NAME",
                                  .summary =
                                      "Creates a bucket in all regions. Its layout says where in a key the "
                                      "person stands;\nit cannot change later.\n",
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0],
                                  .words_min = 1,
                                  .words_max = 1};
  CLI_LINK_AUTO *link = NULL;
  CLI_JSON_AUTO *body = json_object();
  CLI_JSON_AUTO *answer = NULL;
  int status = cli_parse(&usage, argc, argv, words, NULL);
  if (status == CLI_CONTINUE) status = cli_link_open(&common, &link);
  if (status != CLI_CONTINUE) return status;
  set_text(body, "owner", owner);
  set_text(body, "layout", layout);
  set_text(body, "region", region);
  set_text(body, "unmatched", unmatched);
  BUF_AUTO path = BUF_INIT;
  buf_append_str(&path, "buckets/");
  percent_encode(&path, slice_str(words[0]), false);
  status = cli_ask(link, "PUT", buf_str(&path), body, &answer);
  if (status != CLI_CONTINUE) return status;
  if (common.json)
    cli_print_json(answer);
  else
    print_bucket(answer);
  return CLI_OK;
}

static int list(int argc, char **argv) {
  struct cli_common common = {0};
  const char *owner = "main", *chosen = NULL;
  const struct cli_option options[] = {{"owner", CLI_TEXT, &chosen, "ACCOUNT", "the tenant (default: main)"},
                                       CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {.line = "bucket list",
                                  .summary = "Lists the buckets of an account, as the registrar has them.\n",
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0]};
  CLI_LINK_AUTO *link = NULL;
  CLI_JSON_AUTO *answer = NULL;
  int status = cli_parse(&usage, argc, argv, NULL, NULL);
  if (status == CLI_CONTINUE) status = cli_link_open(&common, &link);
  if (status != CLI_CONTINUE) return status;
  BUF_AUTO path = BUF_INIT;
  buf_append_str(&path, "buckets?owner=");
  percent_encode(&path, slice_str(chosen ? chosen : owner), false);
  status = cli_ask(link, "GET", buf_str(&path), NULL, &answer);
  if (status != CLI_CONTINUE) return status;
  size_t i;
  json_t *one;
  if (common.json)
    cli_print_json(answer);
  else
    json_array_foreach(json_object_get(answer, "buckets"), i, one) print_bucket(one);
  return CLI_OK;
}

int cli_bucket(int argc, char **argv) {
  static const struct cli_command commands[] = {{"create", "create a bucket with its layout", create},
                                                {"list", "list an account's buckets", list},
                                                {0}};
  return cli_dispatch("domicile bucket", commands, argc, argv);
}
