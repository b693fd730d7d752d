/* A region's parts, opened in the order that data flows and closed in reverse. */
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "serve/daemon.h"

static const char where[] = "serve/daemon";

/* ---- crash tests ------------------------------------------------------------------------- */

/* Tests only: the process dies as by power at the N-th passing of a named durable step of a handoff. */
static void fault_point(void *arg, const char *step) {
  struct daemon *d = arg;
  assert(step && (step[0] == '-' || step[0] == '+'));
  const char *want = d->config->fault_point, *colon = strrchr(want, ':');
  size_t len = colon ? (size_t)(colon - want) : strlen(want);
  if (strlen(step) != len || strncmp(step, want, len) != 0) return;
  if (d->fault_left > 0 && --d->fault_left == 0) raise(SIGKILL);
}

static uint64_t fault_count(const char *want) {
  uint64_t n = 1;
  const char *colon = want ? strrchr(want, ':') : NULL;
  if (colon && slice_to_u64(slice_str(colon + 1), &n)) n = 1;
  return n;
}

/* ---- parts -------------------------------------------------------------------------------- */

static bool is_region(struct disk *disk) {
  struct disk_info info;
  return disk_stat(disk, "superblock.1", &info, NULL) == DOM_OK ||
         disk_stat(disk, "superblock.2", &info, NULL) == DOM_OK;
}

static enum dom_code open_store(struct daemon *d, struct dom_err *err) {
  const struct serve_config *c = d->config;
  struct region *r = &d->region;
  enum dom_code code = disk_posix_open(c->data, &r->disk, err);
  if (!code) code = kek_source_open(c, !is_region(r->disk), &d->keks, err);
  r->kek = d->keks.kek;
  struct store_options o = {
      .disk = r->disk, .clock = r->clock, .kek = r->kek, .region = r->number, .create = true};
  serve_deployment_id(c, o.deployment);
  if (!code) code = store_open(&o, &r->store, err);
  if (code || !c->vault_backup_file) return code;
  code = backup_place_open(c, c->vault_backup_file, c->vault_backup_recipient, &d->backup, err);
  if (!code) vault_backup_each_rotation(store_vault(r->store), &d->backup.options);
  return code;
}

static enum dom_code open_ledger(struct daemon *d, const uint8_t *seed, struct dom_err *err) {
  struct region *r = &d->region;
  struct store_stats stats;
  BUF_AUTO origin = BUF_INIT;
  serve_origin(d->config, &origin);
  enum dom_code code = buf_check(&origin, err);
  if (!code) code = ledger_open(r->disk, "ledger", buf_str(&origin), seed, &r->ledger, err);
  if (code) return code;
  store_stats(r->store, &stats);
  if (ledger_cursor(r->ledger) > stats.applied_lsn)
    return dom_fail(err, DOM_CORRUPT, where,
                    "the ledger reports changes up to %llu but the log ends at %llu: the log was rolled back "
                    "or replaced; restore the folder as a whole",
                    (unsigned long long)ledger_cursor(r->ledger), (unsigned long long)stats.applied_lsn);
  store_ledger_reached(r->store, ledger_cursor(r->ledger));
  return DOM_OK;
}

static enum dom_code open_net(struct daemon *d, const uint8_t *seed, struct dom_err *err) {
  struct region *r = &d->region;
  if (d->config->dev) return DOM_OK; /* a region alone */
  struct wire_envelope_options o = {.number = r->number, .peer = peer_find, .arg = r, .clock = r->clock};
  memcpy(o.seed, seed, sizeof o.seed);
  r->envelope = wire_envelope_new(&o);
  wipe(&o, sizeof o);
  r->client = wire_client_new(0);
  if (r->envelope && r->client) r->net = wire_net_new(r->envelope, r->client);
  return r->net ? DOM_OK : dom_fail(err, DOM_NO_MEMORY, where, "no memory");
}

static enum dom_code open_subjects(struct daemon *d, const uint8_t *seed, struct dom_err *err) {
  const struct serve_config *c = d->config;
  struct region *r = &d->region;
  struct subjects_options o = {.store = r->store, .net = r->net, .clock = r->clock, .region = r->number};
  serve_deployment_id(c, o.deployment);
  memcpy(o.region_seed, seed, sizeof o.region_seed);
  enum dom_code code = serve_secret_read(c->route_key_file, o.route_key, err);
  if (!code && c->dev) {
    uint8_t offline[ED25519_KEY_SIZE];
    code = serve_secret_read(c->charter_public_key_file, offline, err);
    if (!code) ed25519_public(offline, o.charter_key);
    wipe(offline, sizeof offline);
  } else if (!code) {
    code = serve_public_read(c->charter_public_key_file, o.charter_key, err);
  }
  if (!code) code = subjects_open(&o, &r->subjects, err);
  wipe(&o, sizeof o);
  return code;
}

static uint64_t charter_in_force(struct region *r) {
  struct charter *c = subject_charter(r->subjects);
  uint64_t version = c ? charter_version(c) : 0;
  charter_release(c);
  return version;
}

/* A newer charter that cannot come into force leaves the old one; without any there is nothing to serve by.
 */
static enum dom_code open_charter(struct daemon *d, struct dom_err *err) {
  struct region *r = &d->region;
  struct dom_err why = {0};
  enum dom_code code = d->config->dev ? charter_dev_put(d, &why) : charter_file_put(d, &why);
  if (charter_in_force(r) == 0)
    return dom_fail(err, code ? code : DOM_INVALID, where, "%s%s",
                    code ? "no charter can come into force: "
                         : "no charter is in force, and charter.file names none",
                    why.text);
  if (code)
    log_event(LOG_ERROR, "serve", "", "charter file not taken: the old charter stays in force",
              LOG_FIELDS({.name = "detail", .text = why.text}));
  struct charter *c = subject_charter(r->subjects);
  const struct charter_region *me = charter_region_by_number(c, r->number);
  if (!me || strcmp(me->name, r->name) != 0)
    code = dom_fail(err, DOM_INCOMPATIBLE, where, "region number %u of the charter is not called %s",
                    r->number, r->name);
  else if (strcmp(me->vkey_name, ledger_origin(r->ledger)) != 0)
    code = dom_fail(err, DOM_INCOMPATIBLE, where,
                    "the charter's vkey of this region is named %s but its ledger is %s", me->vkey_name,
                    ledger_origin(r->ledger));
  else
    code = charter_check_endpoints(d->config, charter_bytes(c), err);
  charter_release(c);
  return code;
}

static enum dom_code open_mover(struct daemon *d, struct dom_err *err) {
  struct region *r = &d->region;
  struct mover_options o = {.store = r->store,
                            .subjects = r->subjects,
                            .net = r->net,
                            .clock = r->clock,
                            .ledger = r->ledger,
                            .region = r->number,
                            .clients = call_clients,
                            .clients_arg = r};
  o.start_confirmed = d->config->start == SERVE_START_CONFIRMED;
  if (d->config->fault_point) {
    d->fault_left = fault_count(d->config->fault_point);
    o.fault_point = fault_point;
    o.fault_arg = d;
  }
  return mover_open(&o, &r->mover, err);
}

/* Of the region's own seed: no other region can make or check its tokens. */
static enum dom_code open_tokens(struct daemon *d, const uint8_t *seed, struct dom_err *err) {
  struct region *r = &d->region;
  uint8_t deployment[16];
  BUF_AUTO use = BUF_INIT;
  r->token_key = secret_alloc(KEY_SIZE);
  serve_deployment_id(d->config, deployment);
  buf_append_str(&use, "domicile token v1");
  buf_append(&use, deployment, sizeof deployment);
  buf_printf(&use, "%u", r->number);
  if (!r->token_key || use.failed) return dom_fail(err, DOM_NO_MEMORY, where, "no memory");
  hkdf_sha256(seed, buf_slice(&use), r->token_key);
  return DOM_OK;
}

static enum dom_code open_auth(struct daemon *d, struct dom_err *err) {
  struct region *r = &d->region;
  r->keys = auth_keys_new();
  if (!r->keys) return dom_fail(err, DOM_NO_MEMORY, where, "no memory");
  enum dom_code code = keys_load(d->config, r->keys, err);
  if (code) return code;
  struct auth_config config = {.lookup = auth_keys_find,
                               .lookup_context = r->keys,
                               .token_key = r->token_key,
                               .region = r->number,
                               .region_pinned = slice_str(d->config->pinned_region)};
  r->verifier = auth_verifier_new(&config);
  r->access = access_cache_new();
  r->md5_lanes = md5_lanes_new();
  r->relay = relay_new();
  return r->verifier && r->access && r->relay ? DOM_OK : dom_fail(err, DOM_NO_MEMORY, where, "no memory");
}

static void set_names(struct daemon *d) {
  const struct serve_config *c = d->config;
  struct region *r = &d->region;
  r->number = (uint16_t)c->region_number;
  snprintf(r->name, sizeof r->name, "%s", c->region_name);
  for (size_t i = 0; i < c->host_count; i++) r->domain_names[i] = slice_str(c->host_names[i]);
  r->domains = (struct s3_domains){.names = r->domain_names, .count = c->host_count};
  r->default_layout = slice_str(c->default_layout);
  r->lifecycle_day_ms = c->lifecycle_day_ms ? c->lifecycle_day_ms : S3_DAY_MS;
  r->peers_certified = c->tls.peer_ca_file && c->tls.count; /* without: a proxy ends TLS before us */
  unsigned workers = c->workers ? (unsigned)c->workers : WIRE_WORKERS_DEFAULT;
  r->copy_out_max = workers > SERVE_COPY_OUT_SHARE ? workers / SERVE_COPY_OUT_SHARE : 1;
}

/* Ports first, before anything is made or recovered: a busy one is the commonest mistake. */
static enum dom_code open_listeners(struct daemon *d, struct dom_err *err) {
  const struct serve_config *c = d->config;
  struct wire_server_options o = {
      .workers = (unsigned)c->workers, .connections_max = d->connections_max, .clock = d->region.clock};
  enum dom_code code = DOM_OK;
  for (; o.front_count < c->front_count && !code; o.front_count++)
    code = wire_front_parse(c->fronts[o.front_count], &o.fronts[o.front_count], err);
  if (!code) code = wire_server_new(&o, dispatch, d, &d->region.server, err);
  unsigned index = 0;
  for (size_t i = 0; i < c->listen_count && !code; i++) {
    bool tls = false;
    const char *address = serve_listen_address(c, i, &tls);
    code = wire_server_listen_tcp(d->region.server, address, &index, err);
    if (!code && tls) wire_server_listener_tls(d->region.server, index);
  }
  return code;
}

static enum dom_code open_admin(struct daemon *d, struct dom_err *err) {
  BUF_AUTO path = BUF_INIT;
  serve_admin_path(d->config->data, &path);
  return wire_server_listen_unix(d->region.server, buf_str(&path), &d->region.admin_listener, err);
}

static enum dom_code start_threads(struct daemon *d, struct dom_err *err) {
  struct region *r = &d->region;
  r->has_ledger_thread = pthread_create(&r->ledger_thread, NULL, ledger_feed_main, r) == 0;
  r->has_upkeep_thread = pthread_create(&r->upkeep_thread, NULL, upkeep_main, r) == 0;
  r->has_lifecycle_thread = pthread_create(&r->lifecycle_thread, NULL, lifecycle_main, r) == 0;
  r->has_config_thread = pthread_create(&r->config_thread, NULL, config_upkeep_main, r) == 0;
  r->has_erasure_thread = pthread_create(&r->erasure_thread, NULL, erasure_main, r) == 0;
  if (!r->has_ledger_thread || !r->has_upkeep_thread || !r->has_config_thread || !r->has_lifecycle_thread ||
      !r->has_erasure_thread)
    return dom_fail(err, DOM_NO_MEMORY, where, "cannot start threads");
  return wire_server_start(r->server, err);
}

enum dom_code daemon_open(struct daemon *d, const struct serve_config *c, struct dom_err *err) {
  assert(c->region_number && c->region_number <= UINT16_MAX && c->listen_count);
  *d =
      (struct daemon){.config = c, .connections_max = d->connections_max, .region = {.clock = clock_posix()}};
  uint8_t *seed = secret_alloc(ED25519_KEY_SIZE);
  if (!seed) return dom_fail(err, DOM_NO_MEMORY, where, "no memory");
  set_names(d);
  enum dom_code code = open_listeners(d, err);
  if (!code) code = serve_secret_read(c->seed_file, seed, err);
  if (!code) code = open_store(d, err);
  if (!code) code = open_ledger(d, seed, err);
  if (!code) code = open_net(d, seed, err);
  if (!code) code = tls_files_put(d, err);
  if (!code) code = open_subjects(d, seed, err);
  if (!code) code = open_tokens(d, seed, err);
  secret_free(seed, ED25519_KEY_SIZE);
  if (!code) code = open_charter(d, err);
  if (!code) code = open_mover(d, err);
  if (!code) code = open_auth(d, err);
  if (!code) code = open_admin(d, err);
  if (!code && c->access_log) code = access_log_open(c->access_log, &d->region.access_log, err);
  if (code) return code;
  quarantine_first(&d->region);
  if (mover_is_open(d->region.mover)) config_upkeep_first(&d->region);
  return start_threads(d, err);
}

void daemon_close(struct daemon *d) {
  struct region *r = &d->region;
  atomic_store(&r->stopping, true);
  mover_stop(r->mover); /* a rotation of all keys would hold up what is waited for below */
  wire_server_close(r->server);
  if (r->has_upkeep_thread) pthread_join(r->upkeep_thread, NULL);
  if (r->has_config_thread) pthread_join(r->config_thread, NULL);
  if (r->has_lifecycle_thread) pthread_join(r->lifecycle_thread, NULL);
  if (r->has_erasure_thread) pthread_join(r->erasure_thread, NULL);
  mover_close(r->mover);
  atomic_store(&r->ledger_stopping, true);
  if (r->has_ledger_thread) pthread_join(r->ledger_thread, NULL);
  access_log_close(r->access_log);
  auth_verifier_free(r->verifier);
  access_cache_free(r->access);
  relay_free(r->relay);
  md5_lanes_free(r->md5_lanes);
  if (r->token_key) secret_free(r->token_key, KEY_SIZE);
  auth_keys_free(r->keys);
  subjects_close(r->subjects);
  wire_net_free(r->net);
  wire_client_free(r->client);
  wire_envelope_free(r->envelope);
  ledger_close(r->ledger);
  store_close(r->store);
  backup_place_close(&d->backup);
  kek_source_close(&d->keks);
  disk_posix_close(r->disk);
}
