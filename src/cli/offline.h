/* Commands that open a region's folder themselves, while no daemon does. */
#ifndef DOMICILE_CLI_OFFLINE_H
#define DOMICILE_CLI_OFFLINE_H

#include "serve/serve.h"

/* Which region: --config FILE, or --dev --data DIR --region NAME. Filled by cli_parse. */
struct cli_offline {
  const char *config, *data, *region, *keys, *kek, *kek_module, *kek_pin_file;
  bool dev;
};
#define CLI_OFFLINE_OPTIONS(F)                                                                               \
  {"config", CLI_TEXT, &(F).config, "FILE", "the region's settings"},                                        \
      {"data", CLI_TEXT, &(F).data, "DIR", "its data folder"},                                               \
      {"dev", CLI_FLAG, &(F).dev, NULL, "a folder of serve --dev"},                                          \
      {"region", CLI_TEXT, &(F).region, "NAME", "with --dev: its name"},                                     \
      {"keys", CLI_TEXT, &(F).keys, "DIR", "with --dev: where its secrets lie (default: DATA.keys)"},        \
      {"kek", CLI_TEXT, &(F).kek, "URI", "the token's key that wraps the KEKs: pkcs11:token=…;object=…"},    \
      {"kek-module", CLI_TEXT, &(F).kek_module, "FILE", "the token's PKCS#11 module"}, {                     \
    "kek-pin-file", CLI_TEXT, &(F).kek_pin_file, "FILE", "its PIN (or DOMICILE_KEK_PIN)"                     \
  }

/* Settings of that region, checked. *c is to be released with serve_config_done, whatever comes of it; it
 * begins as zeros. Returns: CLI_CONTINUE; an exit code after a complaint. */
int cli_offline_settle(const struct cli_offline *f, const char *command, struct serve_config *c);

/* fsck --traces TOKEN --needles FILE, either may be NULL: prints what is found. Returns: CLI_OK when nothing
 * is left but what is meant to stay, CLI_FOUND, or another exit code after a complaint. */
int cli_traces(const struct serve_config *c, const char *token, const char *needles, bool json);

#endif
