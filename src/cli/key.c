/* domicile key: generate, vkey, rotate, backup, backup-keygen, restore, rewrap; domicile names: purge. */
#include <stdio.h>
#include <unistd.h>

#include "base/age.h"
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

static void told(bool json, const char *file, uint64_t keys) {
  CLI_JSON_AUTO *answer = json_pack("{s:s,s:I}", "file", file, "keys", (json_int_t)keys);
  if (json)
    cli_print_json(answer);
  else
    printf("%s holds %llu keys\n", file, (unsigned long long)keys);
}

/* The daemon replaces the backup that its config names. */
static int backup_running(const struct cli_offline *region, bool json) {
  struct cli_common common = {.data = region->data, .config = region->config, .json = json};
  CLI_LINK_AUTO *link = NULL;
  CLI_JSON_AUTO *answer = NULL;
  int status = cli_link_open(&common, &link);
  if (status == CLI_CONTINUE) status = cli_ask(link, "POST", "keys/backup", NULL, &answer);
  if (status != CLI_CONTINUE) return status;
  told(json, cli_text(answer, "file"), cli_number(answer, "keys"));
  return CLI_OK;
}

static int backup_stopped(const struct cli_offline *region, const char *to, const char *recipient,
                          bool json) {
  struct serve_config c = {0};
  struct dom_err err = {0};
  uint64_t keys = 0;
  int status = cli_offline_settle(region, "key backup", &c);
  if (status == CLI_CONTINUE) {
    enum dom_code code = serve_vault_backup(&c, to, recipient, &keys, &err);
    if (code) cli_complain("%s", err.text);
    status = !code ? CLI_OK : code == DOM_INVALID ? CLI_USAGE : CLI_FAILED;
  }
  if (status == CLI_OK) told(json, to, keys);
  serve_config_done(&c);
  return status;
}

static int backup(int argc, char **argv) {
  struct cli_offline region = {0};
  const char *to = NULL, *recipient = NULL;
  bool json = false;
  const struct cli_option options[] = {
      CLI_OFFLINE_OPTIONS(region),
      {"to", CLI_TEXT, &to, "FILE", "write it there; the region is stopped"},
      {"recipient", CLI_TEXT, &recipient, "age1…", "the offline key's public half"},
      {"json", CLI_FLAG, &json, NULL, "answer as JSON"}};
  const struct cli_usage usage = {
      .line = "key backup (--data DIR | --config FILE) [--to FILE --recipient age1…]",
      .summary =
          "Backs up the vault's keys, sealed to an offline key. A running region replaces the file that its\n"
          "config names (vault_backup_file, vault_backup_recipient), as each rotation does; one that is\n"
          "stopped writes to --to. The place of the old one is overwritten; copies of it elsewhere are "
          "not.\n",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  int status = cli_parse(&usage, argc, argv, NULL, NULL);
  if (status != CLI_CONTINUE) return status;
  if (!to != !recipient) {
    cli_complain("--to and --recipient go together");
    return CLI_USAGE;
  }
  return to ? backup_stopped(&region, to, recipient, json) : backup_running(&region, json);
}

static int backup_keygen(int argc, char **argv) {
  const char *words[CLI_WORDS_MAX];
  const struct cli_usage usage = {
      .line = "key backup-keygen FILE",
      .summary =
          "Makes the offline key of backups in a new file that only you can read, and prints its public\n"
          "half, the recipient. Keep FILE away from every region. Files of age-keygen do as well.\n",
      .words_min = 1,
      .words_max = 1};
  int status = cli_parse(&usage, argc, argv, words, NULL);
  if (status != CLI_CONTINUE) return status;
  uint8_t identity[KEY_SIZE], recipient[KEY_SIZE];
  struct dom_err err = {0};
  struct buf text = BUF_INIT;
  BUF_AUTO shown = BUF_INIT;
  age_identity_make(identity);
  age_recipient_of(identity, recipient);
  age_identity_format(identity, &text);
  age_recipient_format(recipient, &shown);
  buf_append_byte(&text, '\n');
  enum dom_code code = buf_check(&text, &err);
  if (!code) code = serve_secret_write(words[0], buf_slice(&text), &err);
  wipe(identity, sizeof identity);
  buf_wipe_done(&text);
  if (code) {
    cli_complain("%s", err.text);
    return CLI_FAILED;
  }
  puts(buf_str(&shown));
  return CLI_OK;
}

static void restore_progress(void *arg, const char *stage, uint64_t done, uint64_t total) {
  (void)total;
  if (*(const bool *)arg) fprintf(stderr, "\r\033[K%s: %llu", stage, (unsigned long long)done);
}

static int restore_run(const struct serve_config *c, const struct serve_restore_options *o, bool json) {
  struct store_vault_report r = {0};
  struct dom_err err = {0};
  enum dom_code code = serve_vault_restore(c, o, &r, &err);
  if (*(const bool *)o->arg) fputs("\r\033[K", stderr);
  if (code) {
    cli_complain("%s", err.text);
    return code == DOM_REFUSED ? CLI_FOUND : code == DOM_INVALID ? CLI_USAGE : CLI_FAILED;
  }
  CLI_JSON_AUTO *answer =
      json_pack("{s:I,s:I,s:I,s:b}", "keys", (json_int_t)r.backup.keys, "shredded", (json_int_t)r.shredded,
                "missing", (json_int_t)r.missing, "index_rebuilt", r.index_rebuilt);
  if (json) {
    cli_print_json(answer);
    return CLI_OK;
  }
  printf("%llu keys of %s are restored; %llu that were dropped since are shredded again; %llu are missing\n",
         (unsigned long long)r.backup.keys, cli_show_time(r.backup.wall_ms).text,
         (unsigned long long)r.shredded, (unsigned long long)r.missing);
  if (r.index_rebuilt) puts("the next start makes the index again from the log");
  return CLI_OK;
}

static int restore(int argc, char **argv) {
  struct cli_offline region = {0};
  struct serve_restore_options o = {.progress = restore_progress};
  bool json = false, shown = isatty(STDERR_FILENO);
  const struct cli_option options[] = {
      CLI_OFFLINE_OPTIONS(region),
      {"from", CLI_TEXT, &o.from, "FILE", "the backup"},
      {"identity", CLI_TEXT, &o.identity_file, "FILE", "the offline key"},
      {"accept-older", CLI_FLAG, &o.accept_older, NULL, "take a backup of before the last rotation"},
      {"accept-missing", CLI_FLAG, &o.accept_missing, NULL, "give up the data whose keys it lacks"},
      {"json", CLI_FLAG, &json, NULL, "answer as JSON"}};
  const struct cli_usage usage = {
      .line = "key restore (--config FILE | --dev --data DIR --region NAME) --from FILE --identity FILE",
      .summary =
          "Makes the vault of a stopped region, which has none, again from a backup. Keys that log or "
          "ledger\n"
          "say were dropped since are shredded before the region can serve. Exit code 1: the backup is\n"
          "refused, with the reason by name.\n",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  int status = cli_parse(&usage, argc, argv, NULL, NULL);
  if (status != CLI_CONTINUE) return status;
  if (!o.from || !o.identity_file) {
    cli_complain("key restore needs --from FILE and --identity FILE");
    return CLI_USAGE;
  }
  o.arg = &shown;
  struct serve_config c = {0};
  status = cli_offline_settle(&region, "key restore", &c);
  if (status == CLI_CONTINUE) status = restore_run(&c, &o, json);
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
  static const struct cli_command commands[] = {
      {"generate", "make a region's seed or a route key", generate},
      {"vkey", "print a seed's verifier key", vkey},
      {"rotate", "rotate the KEK of a region", rotate},
      {"backup", "back up the vault's keys", backup},
      {"backup-keygen", "make the offline key of backups", backup_keygen},
      {"restore", "make the vault again from a backup", restore},
      {"rewrap", "wrap KEKs by a key of a PKCS#11 token", rewrap},
      {0}};
  return cli_dispatch("domicile key", commands, argc, argv);
}

int cli_names(int argc, char **argv) {
  static const struct cli_command commands[] = {{"purge", "leave no name of what was erased", purge}, {0}};
  return cli_dispatch("domicile names", commands, argc, argv);
}
