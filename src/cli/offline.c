/* Commands on the folder of a region that is not running: which one, and its settings. */
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/offline.h"

/* A --dev folder that is not there is a mistake of the command line: nothing may be made for it. */
static enum dom_code settle(const struct cli_offline *f, struct serve_config *c, struct dom_err *err) {
  struct stat st;
  enum dom_code code = serve_config_init(c, err);
  if (!code && f->config) code = serve_config_load(c, f->config, err);
  if (code) return code;
  if (f->data) c->data = f->data;
  if (f->region) c->region_name = f->region;
  if (f->keys) c->kek_folder = f->keys;
  if (f->kek) c->kek = f->kek;
  if (f->kek_module) c->kek_module = f->kek_module;
  if (f->kek_pin_file) c->kek_pin_file = f->kek_pin_file;
  c->dev = f->dev;
  if (!c->data || stat(c->data, &st) != 0)
    return dom_fail(err, DOM_INVALID, "cli", "%s: no such folder", c->data ? c->data : "--data");
  if (f->dev) code = serve_dev_prepare(c, err);
  return code ? code : serve_config_check(c, err);
}

int cli_offline_settle(const struct cli_offline *f, const char *command, struct serve_config *c) {
  struct dom_err err = {0};
  if (!f->config == !f->dev) {
    cli_complain("%s needs --config FILE, or --dev --data DIR", command);
    return CLI_USAGE;
  }
  enum dom_code code = settle(f, c, &err);
  if (!code) return CLI_CONTINUE;
  cli_complain("%s", err.text);
  return code == DOM_INVALID ? CLI_USAGE : CLI_FAILED;
}
