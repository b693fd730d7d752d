/* domicile serve: one region as a daemon. */
#include <assert.h>
#include <signal.h>
#include <stdio.h>

#include "cli/cli.h"
#include "serve/serve.h"
#include "wire/wire.h"

struct flags {
  const char *config, *data, *region, *keys, *workers, *log, *access_log, *fault_point, *day, *kek,
      *kek_module, *kek_pin_file;
  struct cli_many listen, key, domain, tls_cert, tls_key;
  bool check, dev, insecure;
};

static int complain(const struct dom_err *err, int status) {
  cli_complain("%s", err->text[0] ? err->text : dom_code_name(err->code));
  return status;
}

static enum dom_code copy_many(const struct cli_many *from, const char **to, size_t max, size_t *count,
                               const char *what, struct dom_err *err) {
  if (from->count == 0) return DOM_OK;
  if (from->count > max)
    return dom_fail(err, DOM_INVALID, "cli/serve", "--%s more than %zu times", what, max);
  memcpy(to, from->at, from->count * sizeof *to);
  *count = from->count;
  return DOM_OK;
}

/* What stands on the command line wins. */
static enum dom_code apply(const struct flags *f, struct serve_config *c, struct dom_err *err) {
  if (f->data) c->data = f->data;
  if (f->region) c->region_name = f->region;
  if (f->keys) c->kek_folder = f->keys;
  if (f->kek) c->kek = f->kek;
  if (f->kek_module) c->kek_module = f->kek_module;
  if (f->kek_pin_file) c->kek_pin_file = f->kek_pin_file;
  if (f->access_log) c->access_log = f->access_log;
  if (f->insecure) c->insecure = true;
  c->dev = f->dev;
  c->fault_point = f->fault_point;
  enum dom_code code = copy_many(&f->listen, c->listen, SERVE_LISTEN_MAX, &c->listen_count, "listen", err);
  if (!code) code = copy_many(&f->key, c->dev_keys, SERVE_DEV_KEYS_MAX, &c->dev_key_count, "key", err);
  if (!code) code = copy_many(&f->domain, c->host_names, SERVE_DOMAINS_MAX, &c->host_count, "domain", err);
  if (!code && f->log) code = serve_config_log(c, f->log, err);
  if (!code && f->workers &&
      (slice_to_u64(slice_str(f->workers), &c->workers) || c->workers < 1 || c->workers > WIRE_WORKERS_MAX))
    code = dom_fail(err, DOM_INVALID, "cli/serve", "--workers must be 1 to %d", WIRE_WORKERS_MAX);
  if (!code && f->day && (slice_to_u64(slice_str(f->day), &c->lifecycle_day_ms) || c->lifecycle_day_ms < 1))
    code = dom_fail(err, DOM_INVALID, "cli/serve", "--lifecycle-day-ms must be a number of milliseconds");
  return code;
}

/* The n-th --tls-cert goes with the n-th --tls-key. */
static enum dom_code apply_tls(const struct flags *f, struct serve_config *c, struct dom_err *err) {
  size_t count = f->tls_cert.count;
  if (count != f->tls_key.count)
    return dom_fail(err, DOM_INVALID, "cli/serve", "each --tls-cert needs a --tls-key");
  if (count > SERVE_CERTIFICATES_MAX)
    return dom_fail(err, DOM_INVALID, "cli/serve", "--tls-cert more than %d times", SERVE_CERTIFICATES_MAX);
  for (size_t i = 0; i < count; i++)
    c->tls.certificate[i] =
        (struct serve_certificate){.chain_file = f->tls_cert.at[i], .key_file = f->tls_key.at[i]};
  if (count) c->tls.count = count;
  return DOM_OK;
}

static enum dom_code gather(const struct flags *f, struct serve_config *c, struct dom_err *err) {
  enum dom_code code = serve_config_init(c, err);
  if (!code && f->config) code = serve_config_load(c, f->config, err);
  if (!code) code = serve_config_environment(c, err);
  if (!code) code = apply(f, c, err);
  if (!code) code = apply_tls(f, c, err);
  return code;
}

/* A setting is the caller's to mend; anything else is the machine's. */
static int status_of(enum dom_code code) {
  return code == DOM_INVALID || code == DOM_DENIED || code == DOM_TOO_LARGE || code == DOM_EXISTS
             ? CLI_USAGE
             : CLI_FAILED;
}

static int run(struct serve_config *c, const struct flags *f) {
  struct dom_err err = {0};
  int ended_by = 0;
  enum dom_code code = gather(f, c, &err);
  if (!code && f->dev) code = serve_dev_prepare(c, &err);
  if (!code) code = serve_config_check(c, &err);
  if (code) return complain(&err, status_of(code));
  if (f->check) {
    puts("the configuration is good");
    return CLI_OK;
  }
  code = serve_run(c, &ended_by, &err);
  if (code) return complain(&err, status_of(code));
  return ended_by == SIGINT ? CLI_INTERRUPTED : CLI_OK;
}

static int check_flags(const struct flags *f) {
  const char *wrong = NULL;
  if (!f->dev && !f->config) wrong = "serve needs --config FILE, or --dev";
  if (f->dev && f->config) wrong = "--dev and --config do not go together";
  if (f->dev && !f->data) wrong = "--dev needs --data DIR";
  if (f->dev && f->key.count == 0) wrong = "--dev needs --key ACCESS:SECRET[:ACCOUNT]";
  if (!f->dev && (f->key.count || f->keys || f->region))
    wrong = "--key, --keys and --region go with --dev only";
  if (f->dev && f->check) wrong = "--check-config goes with --config";
  if (!wrong) return CLI_CONTINUE;
  cli_complain("%s", wrong);
  return CLI_USAGE;
}

int cli_serve(int argc, char **argv) {
  struct flags f = {0};
  const struct cli_option options[] = {
      {"config", CLI_TEXT, &f.config, "FILE", "settings of a region (deploy/domicile.yaml explains them)"},
      {"check-config", CLI_FLAG, &f.check, NULL, "say whether they are good, and end"},
      {"data", CLI_TEXT, &f.data, "DIR", "data folder; made when absent"},
      {"listen", CLI_MANY, &f.listen, "ADDR:PORT", "address to listen on; may be repeated; port 0: any"},
      {"tls-cert", CLI_MANY, &f.tls_cert, "FILE",
       "certificate chain in PEM: listeners speak TLS; may be repeated"},
      {"tls-key", CLI_MANY, &f.tls_key, "FILE", "its key in PEM, mode 0600"},
      {"workers", CLI_TEXT, &f.workers, "N", "requests served at once"},
      {"log", CLI_TEXT, &f.log, "LEVEL", "debug, info, warn or error"},
      {"access-log", CLI_TEXT, &f.access_log, "FILE",
       "a line of JSON for each request; opened again on SIGHUP"},
      {"domain", CLI_MANY, &f.domain, "NAME", "BUCKET.NAME addresses a bucket; may be repeated"},
      {"insecure", CLI_FLAG, &f.insecure, NULL, "allow plain HTTP beyond this machine"},
      {"dev", CLI_FLAG, &f.dev, NULL, "one region alone with a built-in charter"},
      {"region", CLI_TEXT, &f.region, "NAME", "with --dev: its name (a country's code names its country)"},
      {"key", CLI_MANY, &f.key, "ACCESS:SECRET[:ACCOUNT]", "with --dev: an access key; may be repeated"},
      {"keys", CLI_TEXT, &f.keys, "DIR", "with --dev: where its own secrets lie (default: DATA.keys)"},
      {"kek", CLI_TEXT, &f.kek, "URI", "a token's key that wraps the KEKs: pkcs11:token=…;object=…"},
      {"kek-module", CLI_TEXT, &f.kek_module, "FILE", "the token's PKCS#11 module"},
      {"kek-pin-file", CLI_TEXT, &f.kek_pin_file, "FILE", "its PIN (or DOMICILE_KEK_PIN)"},
      {"lifecycle-day-ms", CLI_TEXT, &f.day, "N", "for tests: lifecycle rules take a day to be so long"},
      {"fault-point", CLI_TEXT, &f.fault_point, "STEP[:N]", NULL}};
  const struct cli_usage usage = {
      .line = "serve (--config FILE | --dev --data DIR --key ACCESS:SECRET[:ACCOUNT])",
      .summary = "Serves one region until SIGTERM or Ctrl-C (a second one ends it at once); SIGHUP reloads\n"
                 "charter, keys and certificates. Flags win over DOMICILE_DATA, DOMICILE_LISTEN, "
                 "DOMICILE_WORKERS and\n"
                 "DOMICILE_LOG, and those over the file. Logs are JSON lines on stderr.\n",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  int status = cli_parse(&usage, argc, argv, NULL, NULL);
  if (status == CLI_CONTINUE) status = check_flags(&f);
  if (status != CLI_CONTINUE) return status;
  struct serve_config c = {0};
  status = run(&c, &f);
  serve_config_done(&c);
  return status;
}
