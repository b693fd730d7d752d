/* domicile charter: check, sign, diff, keygen, put, show. */
#include "charter/charter.h"

#include <stdio.h>

#include "base/crypto.h"
#include "cli/cli.h"
#include "cli/file.h"
#include "serve/serve.h"

enum { SIGNATURE_BYTES_MAX = 4096 };

/* A parsed charter from a file, or NULL after a complaint; *out_status says why. */
static struct charter *load(const char *path, struct buf *bytes, int *out_status) {
  struct charter *c = NULL;
  struct dom_err err = {0};
  *out_status = CLI_FAILED;
  if (!cli_file_read(path, CHARTER_BYTES_MAX, bytes)) return NULL;
  enum dom_code code = charter_parse(buf_slice(bytes), path, &c, &err);
  if (code == DOM_OK) return c;
  cli_complain("%s", err.text);
  if (code != DOM_NO_MEMORY) *out_status = CLI_FOUND; /* check looks for mistakes, and found one */
  return NULL;
}

static int check_signature(const struct charter *c, const char *signature, const char *key) {
  BUF_AUTO text = BUF_INIT;
  uint8_t public_key[ED25519_KEY_SIZE];
  struct dom_err err = {0};
  if (!cli_file_read(signature, SIGNATURE_BYTES_MAX, &text)) return CLI_FAILED;
  if (serve_public_read(key, public_key, &err)) {
    cli_complain("%s", err.text);
    return CLI_FAILED;
  }
  if (charter_verify(charter_bytes(c), buf_slice(&text), public_key, &err) == DOM_OK) return CLI_OK;
  cli_complain("%s", err.text);
  return CLI_FOUND;
}

static int check(int argc, char **argv) {
  const char *signature = NULL, *key = NULL, *words[CLI_WORDS_MAX];
  bool json = false;
  const struct cli_option options[] = {
      {"signature", CLI_TEXT, &signature, "FILE", "check it too"},
      {"public-key", CLI_TEXT, &key, "FILE", "with --signature: the offline key's public half"},
      {"json", CLI_FLAG, &json, NULL, "answer as JSON"}};
  const struct cli_usage usage = {.line = "charter check FILE",
                                  .summary =
                                      "Says whether a charter can come into force: file, line and column of "
                                      "the first mistake.\n",
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0],
                                  .words_min = 1,
                                  .words_max = 1};
  int status = cli_parse(&usage, argc, argv, words, NULL);
  if (status == CLI_CONTINUE && !signature != !key) {
    cli_complain("--signature and --public-key go together");
    status = CLI_USAGE;
  }
  if (status != CLI_CONTINUE) return status;
  BUF_AUTO bytes = BUF_INIT;
  struct charter *c = load(words[0], &bytes, &status);
  if (!c) return status;
  status = signature ? check_signature(c, signature, key) : CLI_OK;
  if (json)
    printf("{\"good\":%s,\"version\":%llu}\n", status == CLI_OK ? "true" : "false",
           (unsigned long long)charter_version(c));
  else if (status == CLI_OK)
    printf("charter %llu of %s is good: %u regions, %u classes%s\n", (unsigned long long)charter_version(c),
           charter_organization(c), charter_region_count(c), charter_class_count(c),
           signature ? ", signature verified" : "");
  charter_release(c);
  return status;
}

static int sign(int argc, char **argv) {
  const char *seed_file = NULL, *out = NULL, *words[CLI_WORDS_MAX];
  const struct cli_option options[] = {
      {"seed", CLI_TEXT, &seed_file, "FILE", "the offline key (charter keygen)"},
      {"out", CLI_TEXT, &out, "FILE", "the signature file (default: FILE.sig)"}};
  const struct cli_usage usage = {.line = "charter sign FILE --seed FILE",
                                  .summary =
                                      "Signs a charter that passes `charter check`. Do it on a machine that "
                                      "holds the offline key only.\n",
                                  .options = options,
                                  .option_count = 2,
                                  .words_min = 1,
                                  .words_max = 1};
  int status = cli_parse(&usage, argc, argv, words, NULL);
  if (status == CLI_CONTINUE && !seed_file) {
    cli_complain("--seed is missing");
    status = CLI_USAGE;
  }
  if (status != CLI_CONTINUE) return status;
  BUF_AUTO bytes = BUF_INIT;
  BUF_AUTO text = BUF_INIT;
  BUF_AUTO path = BUF_INIT;
  uint8_t seed[ED25519_KEY_SIZE];
  struct dom_err err = {0};
  struct charter *c = load(words[0], &bytes, &status);
  if (!c) return status;
  charter_release(c);
  if (serve_secret_read(seed_file, seed, &err)) {
    cli_complain("%s", err.text);
    return CLI_FAILED;
  }
  charter_sign(buf_slice(&bytes), seed, &text);
  wipe(seed, sizeof seed);
  buf_printf(&path, "%s%s", out ? out : words[0], out ? "" : ".sig");
  return !text.failed && cli_file_write(buf_str(&path), buf_slice(&text), false) ? CLI_OK : CLI_FAILED;
}

static int diff(int argc, char **argv) {
  const char *words[CLI_WORDS_MAX];
  bool json = false;
  const struct cli_option options[] = {{"json", CLI_FLAG, &json, NULL, "one JSON object a line"}};
  const struct cli_usage usage = {.line = "charter diff OLD NEW",
                                  .summary =
                                      "Lists what differs, by clause, and whether NEW may follow OLD.\n"
                                      "Exit code 1: they differ.\n",
                                  .options = options,
                                  .option_count = 1,
                                  .words_min = 2,
                                  .words_max = 2};
  int status = cli_parse(&usage, argc, argv, words, NULL);
  if (status != CLI_CONTINUE) return status;
  BUF_AUTO a = BUF_INIT;
  BUF_AUTO b = BUF_INIT;
  BUF_AUTO text = BUF_INIT;
  struct dom_err err = {0}, why = {0};
  struct charter *old = load(words[0], &a, &status), *next = old ? load(words[1], &b, &status) : NULL;
  if (next) {
    enum dom_code code =
        json ? charter_diff_json(old, next, &text, &err) : charter_diff(old, next, &text, &err);
    fwrite(text.data, 1, text.len, stdout);
    if (!code && text.len && charter_check_successor(old, next, &why)) cli_complain("%s", why.text);
    status = code ? CLI_FAILED : text.len ? CLI_FOUND : CLI_OK;
  }
  charter_release(next);
  charter_release(old);
  return status;
}

static int keygen(int argc, char **argv) {
  const char *words[CLI_WORDS_MAX];
  const struct cli_usage usage = {.line = "charter keygen NAME",
                                  .summary =
                                      "Makes the offline key that signs charters: NAME.seed (keep it off "
                                      "line) and NAME.pub\n(for every region's config).\n",
                                  .words_min = 1,
                                  .words_max = 1};
  int status = cli_parse(&usage, argc, argv, words, NULL);
  if (status != CLI_CONTINUE) return status;
  uint8_t seed[ED25519_KEY_SIZE], public_key[ED25519_KEY_SIZE];
  struct dom_err err = {0};
  BUF_AUTO path = BUF_INIT;
  BUF_AUTO text = BUF_INIT;
  buf_printf(&path, "%s.seed", words[0]);
  if (serve_secret_create(buf_str(&path), seed, &err)) {
    cli_complain("%s", err.text);
    return CLI_FAILED;
  }
  ed25519_public(seed, public_key);
  wipe(seed, sizeof seed);
  hex_encode(&text, slice_of(public_key, sizeof public_key));
  buf_append_byte(&text, '\n');
  buf_reset(&path);
  buf_printf(&path, "%s.pub", words[0]);
  return cli_file_write(buf_str(&path), buf_slice(&text), true) ? CLI_OK : CLI_FAILED;
}

static int put(int argc, char **argv) {
  struct cli_common common = {0};
  const char *signature = NULL, *words[CLI_WORDS_MAX];
  bool force = false;
  const struct cli_option options[] = {
      {"signature", CLI_TEXT, &signature, "FILE", "default: FILE.sig"},
      {"force", CLI_FLAG, &force, NULL, "even if it forbids homes of people who live here"},
      CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {.line = "charter put FILE",
                                  .summary = "Puts a signed charter in force at one region; do it at each.\n",
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0],
                                  .words_min = 1,
                                  .words_max = 1};
  CLI_LINK_AUTO *link = NULL;
  CLI_JSON_AUTO *answer = NULL;
  BUF_AUTO yaml = BUF_INIT;
  BUF_AUTO text = BUF_INIT;
  BUF_AUTO path = BUF_INIT;
  int status = cli_parse(&usage, argc, argv, words, NULL);
  if (status == CLI_CONTINUE) status = cli_link_open(&common, &link);
  if (status != CLI_CONTINUE) return status;
  buf_printf(&path, "%s%s", signature ? signature : words[0], signature ? "" : ".sig");
  if (!cli_file_read(words[0], CHARTER_BYTES_MAX, &yaml) ||
      !cli_file_read(buf_str(&path), SIGNATURE_BYTES_MAX, &text))
    return CLI_FAILED;
  CLI_JSON_AUTO *body = json_pack("{s:s%,s:s%,s:b}", "yaml", yaml.data, yaml.len, "signature", text.data,
                                  text.len, "force", force);
  if (!body) {
    cli_complain("%s: not UTF-8 text", words[0]);
    return CLI_FOUND;
  }
  status = cli_ask(link, "PUT", "charter", body, &answer);
  if (status != CLI_CONTINUE) return status;
  if (common.json)
    cli_print_json(answer);
  else
    printf("charter %llu is in force\n", (unsigned long long)cli_number(answer, "version"));
  return CLI_OK;
}

static int show(int argc, char **argv) {
  struct cli_common common = {0};
  const struct cli_option options[] = {CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {.line = "charter show",
                                  .summary = "Prints the charter in force at a region.\n",
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0]};
  CLI_LINK_AUTO *link = NULL;
  CLI_JSON_AUTO *answer = NULL;
  int status = cli_parse(&usage, argc, argv, NULL, NULL);
  if (status == CLI_CONTINUE) status = cli_link_open(&common, &link);
  if (status == CLI_CONTINUE) status = cli_ask(link, "GET", "charter", NULL, &answer);
  if (status != CLI_CONTINUE) return status;
  if (common.json)
    cli_print_json(answer);
  else
    fputs(cli_text(answer, "yaml"), stdout);
  return CLI_OK;
}

int cli_charter(int argc, char **argv) {
  static const struct cli_command commands[] = {{"check", "whether a charter file is good", check},
                                                {"sign", "sign one with the offline key", sign},
                                                {"diff", "what differs between two", diff},
                                                {"keygen", "make the offline key", keygen},
                                                {"put", "put one in force at a region", put},
                                                {"show", "print the one in force", show},
                                                {0}};
  return cli_dispatch("domicile charter", commands, argc, argv);
}
