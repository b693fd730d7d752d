/* Daemon: what the files of this room that run a region say to each other. Only serve includes this. */
#ifndef DOMICILE_SERVE_DAEMON_H
#define DOMICILE_SERVE_DAEMON_H

#include "serve/region.h"
#include "serve/serve.h"

enum {
  DAEMON_UPKEEP_MS = 200,      /* how soon a lost message of a handoff is asked for again */
  DAEMON_CONFIG_MS = 1000,     /* how soon a configuration that is not everywhere is told again */
  DAEMON_ERASURE_MS = 5000,    /* how soon a deadline of the charter is noticed; its unit is hours */
  DAEMON_LIFECYCLE_MS = 60000, /* first pass over lifecycle rules, after the rush of a start */
  DAEMON_OUTBOX_WAIT_MS = 500, /* how soon the ledger thread notices that it is to end */
  DAEMON_LOG_QUIET_MS = 10000, /* the same upkeep failure is logged this often at most */
  DAEMON_CHARTER_BYTES_MAX = 300 * 1024, /* a charter file and what JSON adds to it */
  DAEMON_FILES_SPARE = 2048,             /* descriptors for store, index and peers, beside connections */
  DAEMON_FILES_MIN = 1024                /* with fewer not even the index has those it may open */
};

/* ---- kek.c: where KEKs come from ---------------------------------------------------------------- */

struct kek_source {
  struct disk *disk;       /* the key folder */
  struct vault_wrap *wrap; /* NULL: key files are plain */
  struct vault_kek *kek;
};
/* As the config says. Returns: as vault_kek_wrapped_open and vault_wrap_pkcs11_open. */
enum dom_code kek_source_open(const struct serve_config *c, bool create, struct kek_source *out,
                              struct dom_err *err);
/* Closes what is open of it; all zeros is nothing. */
void kek_source_close(struct kek_source *s);

/* ---- restore.c: backups of the vault -------------------------------------------------------------- */

/* Where a backup goes, opened. */
struct backup_place {
  struct disk *disk;
  struct vault_backup_options options;
};
/* `to`: a file of the real file system, whose folder is there. */
enum dom_code backup_place_open(const struct serve_config *c, const char *to, const char *recipient,
                                struct backup_place *out, struct dom_err *err);
void backup_place_close(struct backup_place *p); /* all zeros is nothing */

/* ---- daemon.c: open in order, close in reverse ------------------------------------------------ */

/* Region and what only opening and closing know of it. */
struct daemon {
  struct region region;
  const struct serve_config *config;
  struct kek_source keks;
  struct backup_place backup; /* of the vault, replaced at each rotation; zeros: none */
  unsigned connections_max;
  uint64_t fault_left; /* hits of the fault point until the process dies */
};
/* d->connections_max is the caller's; all else is set here. */
enum dom_code daemon_open(struct daemon *d, const struct serve_config *c, struct dom_err *err);
void daemon_close(struct daemon *d);

/* ---- config_check.c ---------------------------------------------------------------------------- */

/* No secret lies below the data folder. */
enum dom_code config_check_apart(const struct serve_config *c, struct dom_err *err);

/* ---- charter_file.c ------------------------------------------------------------------------------- */

/* Plain HTTP beyond loopback is refused unless the operator said insecure. */
enum dom_code charter_check_endpoints(const struct serve_config *c, struct slice yaml, struct dom_err *err);
/* Whether the config's charter file parses and is signed by the offline key. DOM_OK also without a file. */
enum dom_code charter_file_check(const struct serve_config *c, struct dom_err *err);
/* Puts the config's charter file in force if it is newer. DOM_OK also when there is no file. */
enum dom_code charter_file_put(struct daemon *d, struct dom_err *err);
/* The built-in charter of a region alone, in force if the region has none yet. */
enum dom_code charter_dev_put(struct daemon *d, struct dom_err *err);

/* ---- keys_file.c ------------------------------------------------------------------------------------ */

/* Accounts' and operators' keys from their files, or those of --key. All of them or no change. */
enum dom_code keys_load(const struct serve_config *c, struct auth_keys *keys, struct dom_err *err);

/* ---- tls_file.c ------------------------------------------------------------------------------------- */

/* Whether the files hold certificates with their keys, and authorities; `fresh`: and none has expired. DOM_OK
 * also without any. */
enum dom_code tls_files_check(const struct serve_config *c, bool fresh, struct dom_err *err);
/* Reads them, and puts them in force for new connections, those to other regions as well; says so in the log
 * when one has expired. On failure the old ones stay. */
enum dom_code tls_files_put(struct daemon *d, struct dom_err *err);

/* ---- ledger_feed.c, upkeep.c ----------------------------------------------------------------------------
 */

/* Takes what the outbox gets into the ledger, until r->ledger_stopping. */
void *ledger_feed_main(void *region);
/* Waits, some tenths of a second at most, until the entries of commit `lsn` are published, or all that there
 * are now (0): who asks for what happened wants to see what they did just before. Threads: any. */
void ledger_feed_await(struct region *r, uint64_t lsn);
void *upkeep_main(void *region);
/* What this region missed of buckets' configurations, and what it, as registrar, owes others: before it
 * serves and, in a thread that may wait for other regions, from then on. */
void config_upkeep_first(struct region *r);
void *config_upkeep_main(void *region);
/* quarantine.c: asks the other regions whether this one is behind, before it serves and from then on. */
void quarantine_first(struct region *r);
void quarantine_step(struct region *r);
/* Carries out lifecycle rules of buckets, hour by hour. */
void *lifecycle_main(void *region);
/* Rotates the KEK in time for the charter's delete_abroad_within_hours, and alarms when it is past. */
void *erasure_main(void *region);

/* ---- move_watch.c: what the log says of moves of many ----------------------------------------------------
 */

enum { MOVE_WATCH_MAX = 16 }; /* jobs under way at once */
struct move_watch {
  uint64_t look_at_ms;
  struct move_watched {
    uint64_t id;
    bool is_late, is_seen;
  } job[MOVE_WATCH_MAX];
};
/* Looks now and then; writes a line when a job ends, is late for its deadline, and is in time again. Numbers
 * only: no tokens, no ids. */
void move_watch_step(struct region *r, struct move_watch *w);

/* ---- dispatch.c: one handler for all listeners --------------------------------------------------------- */

void dispatch(struct wire_exchange *x, void *daemon);
/* An answer of our own, as text or JSON. */
void dispatch_reply(struct wire_exchange *x, unsigned status, const char *type, struct slice body);

/* ---- metrics.c
 * --------------------------------------------------------------------------------------------- */

/* "writable", "read-only", "quarantine" or "draining". */
const char *region_state(struct region *r);
void healthz(struct region *r, struct wire_exchange *x);
void metrics(struct region *r, struct wire_exchange *x);

/* ---- peer.c
 * --------------------------------------------------------------------------------------------------- */

/* What the envelope asks: key and endpoint of a region of the charter in force. */
enum dom_code peer_find(void *region, uint16_t number, struct wire_peer *out);
/* A message from an authenticated region. */
enum dom_code peer_message(void *region, uint16_t from, const char *path, struct slice body,
                           struct buf *reply, struct dom_err *err);

/* ---- admin.c
 * --------------------------------------------------------------------------------------------------- */

/* Serves /-/admin/…; `from_socket`: the caller is the owner of the data folder. */
void admin_handle(struct daemon *d, struct wire_exchange *x, bool from_socket);

#endif
