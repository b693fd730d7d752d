/* Serve: one region as a running process. The only facade of the serve room.
 *
 * Glossary
 *   config       what one daemon is told: flags before environment before file
 *   data folder  all of a region's state; its lock belongs to one process
 *   secrets      KEKs, seeds and keys: files outside the data folder, closed to other users
 *   dev          one region alone with a built-in charter, plain HTTP
 *   admin        the interface for operators, over DATA/admin.sock or with an operator key
 *   drain        finish what is in flight, take nothing new
 *
 * Invariant: nothing listens before the region is whole (charter in force, log recovered, ledger not ahead
 * of its log), and no secret lies under the data folder. daemon.c and config_check.c enforce it. */
#ifndef DOMICILE_SERVE_SERVE_H
#define DOMICILE_SERVE_SERVE_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/yaml.h"
#include "store/store.h"
#include "wire/wire.h"

enum {
  SERVE_LISTEN_MAX = 8,                /* IPv4 and IPv6 of a few networks; wire takes 16 with the socket */
  SERVE_DOMAINS_MAX = 8,               /* names one endpoint is known by */
  SERVE_CERTIFICATES_MAX = 8,          /* names of one endpoint, two key types of each */
  SERVE_DEV_KEYS_MAX = 64,             /* --key on one command line */
  SERVE_DRAIN_MS_DEFAULT = 20000,      /* below the 30 s after which supervisors kill */
  SERVE_CONFIG_MEMORY_MAX = 256 * 1024 /* paths made from the file's texts */
};

/* What clients have to show. */
enum serve_clients { SERVE_CLIENTS_OPTIONAL, SERVE_CLIENTS_REQUIRE };

/* Whether a region serves before another one has told it that it is not behind. */
enum serve_start { SERVE_START_OPEN, SERVE_START_CONFIRMED };

/* TLS: files by name; what they hold is read at start and on SIGHUP. */
struct serve_tls {
  struct serve_certificate {
    const char *chain_file, *key_file;
  } certificate[SERVE_CERTIFICATES_MAX];
  size_t count;                 /* 0: no listener speaks TLS */
  const char *client_ca_file;   /* authorities of clients' certificates; NULL: clients are asked for none */
  unsigned client_certificates; /* enum serve_clients */
  /* Authorities of the regions' certificates. Given: a region's messages are taken only over TLS with one
   * that names its endpoint, and ours is shown to other regions. NULL: the signed envelope alone. */
  const char *peer_ca_file;
};

/* What one daemon is told. Texts belong to `memory`, `doc` or the caller's argv. */
struct serve_config {
  struct arena *memory;
  struct yaml_doc *doc; /* NULL without a file */
  const char *data;
  const char *kek_folder;
  const char *kek; /* URI of the key that wraps the KEKs (vault_pkcs11_options); NULL: they lie plain */
  const char *kek_module, *kek_pin_file;
  const char *vault_backup_file, *vault_backup_recipient; /* replaced at each rotation; NULL: none */
  const char *region_name;
  uint64_t region_number;
  const char *seed_file, *route_key_file;
  const char *charter_file, *charter_signature_file, *charter_public_key_file;
  const char *accounts_file, *operators_file;
  const char *access_log; /* NULL: none */
  const char *deployment, *domain;
  const char *listen[SERVE_LISTEN_MAX]; /* see serve_listen_address */
  size_t listen_count;
  struct serve_tls tls;
  const char *fronts[WIRE_FRONTS_MAX]; /* proxies believed about their clients' addresses */
  size_t front_count;
  const char *host_names[SERVE_DOMAINS_MAX]; /* BUCKET.NAME addresses a bucket */
  size_t host_count;
  const char *default_layout; /* of buckets created without one */
  const char *pinned_region;  /* SigV4 region name accepted; NULL: any */
  uint64_t workers, drain_ms; /* 0: default */
  uint64_t lifecycle_day_ms;  /* how long lifecycle rules take a day to be; 0: 24 hours. For tests */
  unsigned log;               /* enum log_level */
  unsigned start;             /* enum serve_start */
  bool insecure;
  bool dev;
  const char *dev_keys[SERVE_DEV_KEYS_MAX]; /* ACCESS:SECRET[:ACCOUNT] */
  size_t dev_key_count;
  const char *fault_point; /* tests only: "STEP" or "STEP:N", die there the N-th time */
};

/* Defaults. Returns: DOM_NO_MEMORY. Release with serve_config_done. */
enum dom_code serve_config_init(struct serve_config *c, struct dom_err *err);
void serve_config_done(struct serve_config *c);
/* Reads a file over the defaults. Relative paths in it are relative to the file's folder. The format is
 * documented in deploy/domicile.yaml. Returns: DOM_INVALID with file:line:column; DOM_NOT_FOUND, DOM_IO. */
enum dom_code serve_config_load(struct serve_config *c, const char *path, struct dom_err *err);
/* DOMICILE_DATA, DOMICILE_LISTEN (comma-separated), DOMICILE_WORKERS, DOMICILE_LOG over it. */
enum dom_code serve_config_environment(struct serve_config *c, struct dom_err *err);
/* The address of a listener, "ADDR:PORT", of its text "[https://|http://]ADDR:PORT". *out_tls: it speaks TLS;
 * without a scheme it does where there is a certificate. */
const char *serve_listen_address(const struct serve_config *c, size_t listener, bool *out_tls);
/* One level name. DOM_INVALID names the known ones. */
enum dom_code serve_config_log(struct serve_config *c, const char *level, struct dom_err *err);
/* Whether all of it makes sense together: complete, no secret below the data folder, no plain HTTP
 * beyond loopback unless insecure. Opens nothing but secret files. Returns: DOM_INVALID, DOM_DENIED. */
enum dom_code serve_config_check(const struct serve_config *c, struct dom_err *err);

/* ---- secrets in files ------------------------------------------------------------------- */

/* A key of 32 bytes: raw, or 64 hex digits and an optional newline. Returns: DOM_DENIED when group or
 * others have any access, DOM_INVALID other content, DOM_NOT_FOUND, DOM_IO. */
enum dom_code serve_secret_read(const char *path, uint8_t out[32], struct dom_err *err);
/* A new random key as 64 hex digits, mode 0600. Durable: at return. DOM_EXISTS when something is there. */
enum dom_code serve_secret_create(const char *path, uint8_t out[32], struct dom_err *err);
/* The same with a text that the caller has. */
enum dom_code serve_secret_write(const char *path, struct slice text, struct dom_err *err);
/* A public key: 64 hex digits, or a verifier key NAME+ID+KEY. */
enum dom_code serve_public_read(const char *path, uint8_t out[32], struct dom_err *err);
/* A whole small file. `secret`: refused when group or others have any access. */
enum dom_code serve_file_read(const char *path, bool secret, size_t max, struct buf *out,
                              struct dom_err *err);

/* ---- names -------------------------------------------------------------------------------- */

/* The ledger's origin, DOMAIN/DEPLOYMENT/REGION: also the name of the region's verifier key. */
void serve_origin(const struct serve_config *c, struct buf *out);
/* The id in superblocks and statements: the first 16 bytes of SHA-256("domicile deployment 1\n" ‖ DOMAIN ‖
 * "/" ‖ DEPLOYMENT). Two deployments never read each other's folders. */
void serve_deployment_id(const struct serve_config *c, uint8_t out[16]);
/* Appends DATA/admin.sock. */
void serve_admin_path(const char *data, struct buf *out);

/* ---- the daemon ----------------------------------------------------------------------------- */

/* Serves until a signal: opens the region, prints "listening on http://…" or "https://…" on stdout for each
 * TCP listener when ready, logs on stderr. SIGTERM and SIGINT drain, a second one ends the process at once;
 * SIGHUP reloads charter, keys and certificates, or keeps all of the old.
 *   out_signal  the signal that ended it
 * Returns: DOM_OK after an orderly end; DOM_BUSY a port or the folder is taken; DOM_INCOMPATIBLE
 * another region's folder; DOM_INVALID, DOM_DENIED a setting; DOM_IO, DOM_NO_SPACE, DOM_CORRUPT.
 * Threads: the main thread, before any other. */
enum dom_code serve_run(struct serve_config *c, int *out_signal, struct dom_err *err);
/* Who is told of an fsck's findings and progress. */
struct serve_fsck_watch {
  store_finding_fn found;
  store_progress_fn progress;
  void *arg;
};
/* Reads and verifies a region that is not running; `rebuild_index`: makes the index again from the log.
 * Returns: DOM_OK also with findings; else as store_fsck, and DOM_NOT_FOUND without a KEK. */
enum dom_code serve_fsck(const struct serve_config *c, bool rebuild_index,
                         const struct serve_fsck_watch *watch, struct store_fsck_report *out,
                         struct dom_err *err);
/* Plans, or with r->apply makes, the repair of a region that is not running. Returns: as store_repair, and
 * DOM_NOT_FOUND without a KEK. */
enum dom_code serve_repair(const struct serve_config *c, const struct store_repair *r,
                           struct store_repair_report *out, struct dom_err *err);
/* What is looked for in a region that is not running. */
struct serve_traces_options {
  const uint8_t *token;        /* NULL: needles only */
  const struct slice *needles; /* of 8 to 4096 bytes each */
  size_t needle_count;
  store_progress_fn progress;
  void *arg;
};
/* Returns: as store_traces, and DOM_NOT_FOUND without a KEK. */
enum dom_code serve_traces(const struct serve_config *c, const struct serve_traces_options *t,
                           struct store_traces_report *out, struct dom_err *err);
/* Writes a backup of the vault of a region that is not running to the file `to` of the real file system,
 * sealed to `recipient` ("age1…"). *out_keys: how many keys it holds. Returns: DOM_BUSY it runs; DOM_INVALID;
 * as vault_backup. */
enum dom_code serve_vault_backup(const struct serve_config *c, const char *to, const char *recipient,
                                 uint64_t *out_keys, struct dom_err *err);
struct serve_restore_options {
  const char *from, *identity_file;
  bool accept_older;   /* a backup made under a KEK that was destroyed since */
  bool accept_missing; /* keys that the backup lacks */
  store_progress_fn progress;
  void *arg;
};
/* Makes the vault of a region that is not running again from a backup; a key folder that is empty gets a new
 * KEK. Returns: DOM_REFUSED a backup older than the last rotation, or one that lacks keys; as
 * store_vault_restore. */
enum dom_code serve_vault_restore(const struct serve_config *c, const struct serve_restore_options *o,
                                  struct store_vault_report *out, struct dom_err *err);
/* A wrapping key by name, as in serve_config. */
struct serve_wrap {
  const char *uri, *module, *pin_file; /* uri NULL: none, key files are plain */
};
/* Wraps the KEKs of a region that is not running by `to`, from what the config names. An interrupted run is
 * repeated. *out_done: key files that changed. Returns: DOM_BUSY it runs; as vault_kek_rewrap and
 * vault_wrap_pkcs11_open. */
enum dom_code serve_kek_rewrap(const struct serve_config *c, const struct serve_wrap *to, uint64_t *out_done,
                               struct dom_err *err);
/* Fills what a --dev region is made of: names, keys folder (c->kek_folder, or DATA.keys), the secrets in
 * it (made when absent), the built-in charter. c->region_name, data, listen and dev_keys are given. */
enum dom_code serve_dev_prepare(struct serve_config *c, struct dom_err *err);

#endif
