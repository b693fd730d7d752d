/* domicile key: generate, vkey, rotate; domicile names: purge. */
#include <stdio.h>

#include "base/crypto.h"
#include "cli/cli.h"
#include "cli/offline.h"
#include "ledger/ledger.h"

static int print_vkey(const char *origin, const uint8_t seed[ED25519_KEY_SIZE]) {
  uint8_t public_key[ED25519_KEY_SIZE], check[ED25519_KEY_SIZE];
  char parsed[LEDGER_ORIGIN_MAX + 1];
  BUF_AUTO vkey = BUF_INIT;
  struct dom_err err = {0};
  ed25519_public(seed, public_key);
  if (strlen(origin) <= LEDGER_ORIGIN_MAX) ledger_vkey_format(origin, public_key, &vkey);
  if (!vkey.len || ledger_vkey_parse(buf_slice(&vkey), parsed, check, &err)) {
    cli_complain("--origin %s: expected DOMAIN/DEPLOYMENT/REGION", origin);
    return CLI_USAGE;
  }
  puts(buf_str(&vkey));
  return CLI_OK;
}

static int generate(int argc, char **argv) {
  const char *origin = NULL, *words[CLI_WORDS_MAX];
  const struct cli_option options[] = {
      {"origin", CLI_TEXT, &origin, "DOMAIN/DEPLOYMENT/REGION", "print the key's vkey for the charter"}};
  const struct cli_usage usage = {
      .line = "key generate FILE",
      .summary = "Makes a random secret of 32 bytes in a new file that only you can read: a region's seed\n"
                 "(with --origin), or the route key that all regions of a deployment share.\n",
      .options = options,
      .option_count = 1,
      .words_min = 1,
      .words_max = 1};
  int status = cli_parse(&usage, argc, argv, words, NULL);
  if (status != CLI_CONTINUE) return status;
  uint8_t seed[ED25519_KEY_SIZE];
  struct dom_err err = {0};
  if (serve_secret_create(words[0], seed, &err)) {
    cli_complain("%s", err.text);
    return CLI_FAILED;
  }
  status = origin ? print_vkey(origin, seed) : CLI_OK;
  wipe(seed, sizeof seed);
  return status;
}

static int vkey(int argc, char **argv) {
  const char *origin = NULL, *words[CLI_WORDS_MAX];
  const struct cli_option options[] = {
      {"origin", CLI_TEXT, &origin, "DOMAIN/DEPLOYMENT/REGION", "as the region's config says them"}};
  const struct cli_usage usage = {.line = "key vkey FILE --origin DOMAIN/DEPLOYMENT/REGION",
                                  .summary =
                                      "Prints the verifier key of a region's seed, for the charter and for "
                                      "`domicile verify`.\n",
                                  .options = options,
                                  .option_count = 1,
                                  .words_min = 1,
                                  .words_max = 1};
  int status = cli_parse(&usage, argc, argv, words, NULL);
  if (status == CLI_CONTINUE && !origin) {
    cli_complain("--origin is missing");
    status = CLI_USAGE;
  }
  if (status != CLI_CONTINUE) return status;
  uint8_t seed[ED25519_KEY_SIZE];
  struct dom_err err = {0};
  if (serve_secret_read(words[0], seed, &err)) {
    cli_complain("%s", err.text);
    return CLI_FAILED;
  }
  status = print_vkey(origin, seed);
  wipe(seed, sizeof seed);
  return status;
}

/* A POST without a body, whose answer is one line. */
static int post(const struct cli_usage *usage, struct cli_common *common, int argc, char **argv,
                const char *path, json_t **answer) {
  CLI_LINK_AUTO *link = NULL;
  int status = cli_parse(usage, argc, argv, NULL, NULL);
  if (status == CLI_CONTINUE) status = cli_link_open(common, &link);
  if (status == CLI_CONTINUE) status = cli_ask(link, "POST", path, NULL, answer);
  if (status == CLI_CONTINUE && common->json) cli_print_json(*answer);
  return status;
}

static int rotate(int argc, char **argv) {
  struct cli_common common = {0};
  const struct cli_option options[] = {CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {
      .line = "key rotate",
      .summary = "Makes a new KEK, re-wraps every data key, reads each back and destroys "
                 "the old KEK.\nWhat was shredded before is then erased for good. Survives "
                 "interruption: run it again.\n",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  CLI_JSON_AUTO *answer = NULL;
  int status = post(&usage, &common, argc, argv, "keys/rotate", &answer);
  if (status != CLI_CONTINUE) return status;
  if (!common.json)
    printf("KEK %s is in use, the old one is destroyed; %llu (subject, epoch) erased\n",
           cli_text(answer, "kek"), (unsigned long long)cli_number(answer, "erased"));
  return CLI_OK;
}

static int rewrap(int argc, char **argv) {
  struct cli_offline region = {0};
  struct serve_wrap to = {0};
  bool plain = false, json = false;
  uint64_t done = 0;
  struct dom_err err = {0};
  const struct cli_option options[] = {
      CLI_OFFLINE_OPTIONS(region),
      {"to", CLI_TEXT, &to.uri, "URI", "the token's key that is to wrap them"},
      {"to-module", CLI_TEXT, &to.module, "FILE", "its PKCS#11 module"},
      {"to-pin-file", CLI_TEXT, &to.pin_file, "FILE", "its PIN (or DOMICILE_KEK_PIN)"},
      {"to-plain", CLI_FLAG, &plain, NULL, "no wrapping: KEKs lie plain in their folder"},
      {"json", CLI_FLAG, &json, NULL, "answer as JSON"}};
  const struct cli_usage usage = {
      .line = "key rewrap (--config FILE | --dev --data DIR --region NAME) (--to URI | --to-plain)",
      .summary = "Wraps the KEKs of a region that is not running by another key of a token, or by none. The\n"
                 "KEKs stay the same. Afterwards say so in the config (kek). Interrupted: run it again.\n",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  int status = cli_parse(&usage, argc, argv, NULL, NULL);
  if (status != CLI_CONTINUE) return status;
  if (!to.uri != plain) {
    cli_complain("key rewrap needs --to URI, or --to-plain");
    return CLI_USAGE;
  }
  struct serve_config c = {0};
  status = cli_offline_settle(&region, "key rewrap", &c);
  if (status == CLI_CONTINUE) {
    enum dom_code code = serve_kek_rewrap(&c, &to, &done, &err);
    if (code) cli_complain("%s", err.text);
    status = !code ? CLI_OK : code == DOM_INVALID ? CLI_USAGE : CLI_FAILED;
  }
  if (status == CLI_OK && json) printf("{\"rewrapped\": %llu}\n", (unsigned long long)done);
  if (status == CLI_OK && !json) printf("%llu KEKs have the new wrapping\n", (unsigned long long)done);
  serve_config_done(&c);
  return status;
}

static int purge(int argc, char **argv) {
  struct cli_common common = {0};
  const struct cli_option options[] = {CLI_COMMON_OPTIONS(common)};
  const struct cli_usage usage = {
      .line = "names purge",
      .summary = "Rewrites the index under a new key and shreds the old one, so that no "
                 "name of what was\nerased is left on the disk. A move of a country ends "
                 "with it by itself.\n",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  CLI_JSON_AUTO *answer = NULL;
  int status = post(&usage, &common, argc, argv, "names/purge", &answer);
  if (status != CLI_CONTINUE) return status;
  if (!common.json) puts("names are purged");
  return CLI_OK;
}

int cli_key(int argc, char **argv) {
  static const struct cli_command commands[] = {{"generate", "make a region's seed or a route key", generate},
                                                {"vkey", "print a seed's verifier key", vkey},
                                                {"rotate", "rotate the KEK of a region", rotate},
                                                {"rewrap", "wrap KEKs by a key of a PKCS#11 token", rewrap},
                                                {0}};
  return cli_dispatch("domicile key", commands, argc, argv);
}

int cli_names(int argc, char **argv) {
  static const struct cli_command commands[] = {{"purge", "leave no name of what was erased", purge}, {0}};
  return cli_dispatch("domicile names", commands, argc, argv);
}
