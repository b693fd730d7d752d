/* domicile --version. */
#include <curl/curl.h>
#include <openssl/crypto.h>
#include <sodium.h>
#include <stdio.h>
#include <yaml.h>

#include "cli/cli.h"
#include "cli/domicile_version.h"

/* Versions of what is on disk and on the wire (docs/formats). */
static const struct {
  const char *name;
  unsigned version;
} FORMATS[] = {{"data folder", 1},  {"vault", 1},   {"charter", 1},
               {"ledger entry", 1}, {"receipt", 1}, {"region message", 1}};
enum { FORMAT_COUNT = sizeof FORMATS / sizeof FORMATS[0] };

static void print_text(void) {
  printf("domicile %s (commit %s)\nformats:", DOMICILE_VERSION, DOMICILE_COMMIT);
  for (unsigned i = 0; i < FORMAT_COUNT; i++)
    printf("%s %s %u", i ? "," : "", FORMATS[i].name, FORMATS[i].version);
  printf("\nlibraries: %s; libsodium %s; %s; RocksDB %s; jansson %s; libyaml %s\n",
         OpenSSL_version(OPENSSL_VERSION), sodium_version_string(), curl_version(), DOMICILE_ROCKSDB_VERSION,
         jansson_version_str(), yaml_get_version_string());
}

int cli_version(int argc, char **argv) {
  bool json = false;
  const struct cli_option options[] = {{"json", CLI_FLAG, &json, NULL, "answer as JSON"}};
  const struct cli_usage usage = {.line = "--version",
                                  .summary = "Prints version, commit, format versions and libraries.\n",
                                  .options = options,
                                  .option_count = 1};
  int status = cli_parse(&usage, argc, argv, NULL, NULL);
  if (status != CLI_CONTINUE) return status;
  if (!json) {
    print_text();
    return CLI_OK;
  }
  json_t *formats = json_object();
  for (unsigned i = 0; i < FORMAT_COUNT; i++)
    json_object_set_new(formats, FORMATS[i].name, json_integer((json_int_t)FORMATS[i].version));
  CLI_JSON_AUTO *all = json_pack("{s:s,s:s,s:o,s:{s:s,s:s,s:s,s:s,s:s,s:s}}", "version", DOMICILE_VERSION,
                                 "commit", DOMICILE_COMMIT, "formats", formats, "libraries", "openssl",
                                 OpenSSL_version(OPENSSL_VERSION), "libsodium", sodium_version_string(),
                                 "curl", curl_version(), "rocksdb", DOMICILE_ROCKSDB_VERSION, "jansson",
                                 jansson_version_str(), "libyaml", yaml_get_version_string());
  cli_print_json(all);
  return CLI_OK;
}
