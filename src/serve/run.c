/* The process around a region: limits, signals, reload, drain. */
#include <assert.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "serve/daemon.h"

static const char where[] = "serve/run";

/* Keys are in memory: it is never dumped. Each connection needs a descriptor; without one for its files
 * the region would have to stop taking writes, so there are fewer connections where descriptors are few. */
static enum dom_code set_limits(unsigned *out_connections, struct dom_err *err) {
  struct rlimit none = {0, 0}, files;
#ifndef __SANITIZE_ADDRESS__ /* its leak check needs to look into the process */
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
  setrlimit(RLIMIT_CORE, &none);
  rlim_t want = WIRE_CONNECTIONS_DEFAULT + DAEMON_FILES_SPARE;
  *out_connections = WIRE_CONNECTIONS_DEFAULT;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= want) return DOM_OK;
  rlim_t had = files.rlim_cur;
  files.rlim_cur = files.rlim_max == RLIM_INFINITY || files.rlim_max > want ? want : files.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &files) != 0) files.rlim_cur = had;
  if (files.rlim_cur >= want) return DOM_OK;
  *out_connections = (unsigned)files.rlim_cur / 4; /* as many again may wait for their 503 */
  if (files.rlim_cur >= DAEMON_FILES_MIN) return DOM_OK;
  return dom_fail(err, DOM_UNAVAILABLE, where, "at least %d file descriptors are needed, the limit is %llu",
                  DAEMON_FILES_MIN, (unsigned long long)files.rlim_cur);
}

/* ---- signals ------------------------------------------------------------------------------ */

struct signals {
  sigset_t set;
  sem_t wake;
  atomic_int ended_by; /* the first SIGTERM or SIGINT */
  atomic_bool reload, over;
  pthread_t thread;
};

static void *signal_main(void *arg) {
  struct signals *s = arg;
  while (!atomic_load(&s->over)) {
    int number = 0;
    if (sigwait(&s->set, &number) != 0 || atomic_load(&s->over)) continue;
    int none = 0;
    if (number == SIGHUP)
      atomic_store(&s->reload, true);
    else if (!atomic_compare_exchange_strong(&s->ended_by, &none, number))
      _exit(128 + number); /* asked twice: at once. What was acknowledged is durable */
    sem_post(&s->wake);
  }
  return NULL;
}

static enum dom_code signals_open(struct signals *s, struct dom_err *err) {
  *s = (struct signals){.ended_by = 0};
  signal(SIGPIPE, SIG_IGN);
  sigemptyset(&s->set);
  sigaddset(&s->set, SIGTERM);
  sigaddset(&s->set, SIGINT);
  sigaddset(&s->set, SIGHUP);
  sem_init(&s->wake, 0, 0);
  if (pthread_sigmask(SIG_BLOCK, &s->set, NULL) != 0 || pthread_create(&s->thread, NULL, signal_main, s) != 0)
    return dom_fail(err, DOM_NO_MEMORY, where, "cannot start threads");
  return DOM_OK;
}

static void signals_close(struct signals *s) {
  atomic_store(&s->over, true);
  pthread_kill(s->thread, SIGHUP); /* out of sigwait */
  pthread_join(s->thread, NULL);
  sem_destroy(&s->wake);
}

/* ---- reload -------------------------------------------------------------------------------- */

/* Keys and certificates are read and checked before the charter changes, and put in force after it: all or
 * nothing. */
static void reload(struct daemon *d) {
  struct dom_err err = {0};
  struct auth_keys *trial = auth_keys_new();
  enum dom_code code = trial ? keys_load(d->config, trial, &err) : DOM_NO_MEMORY;
  auth_keys_free(trial);
  if (!code) code = tls_files_check(d->config, true, &err);
  if (!code && !d->config->dev) code = charter_file_put(d, &err);
  if (!code) code = keys_load(d->config, d->region.keys, &err);
  if (!code) code = tls_files_put(d, &err);
  if (!code && d->region.access_log) code = access_log_reopen(d->region.access_log, &err);
  if (code)
    log_event(
        LOG_ERROR, "serve", "", "reload refused: the old charter, keys and certificates stay",
        LOG_FIELDS({.name = "code", .text = dom_code_name(code)}, {.name = "detail", .text = err.text}));
  else
    log_event(LOG_INFO, "serve", "", "reloaded charter, keys and certificates", NULL);
}

/* ---- the run --------------------------------------------------------------------------------- */

static void announce(struct daemon *d) {
  const struct serve_config *c = d->config;
  for (unsigned i = 0; i < c->listen_count; i++) {
    bool tls = false;
    const char *address = serve_listen_address(c, i, &tls), *colon = strrchr(address, ':');
    int host = colon ? (int)(colon - address) : (int)strlen(address);
    printf("listening on %s://%.*s:%u\n", tls ? "https" : "http", host, address,
           wire_server_port(d->region.server, i));
  }
  fflush(stdout);
  log_event(
      LOG_INFO, "serve", "", "region is open",
      LOG_FIELDS({.name = "region", .text = d->region.name}, {.name = "number", .number = d->region.number}));
}

static int serve_until_signal(struct daemon *d, struct signals *s) {
  while (atomic_load(&s->ended_by) == 0) {
    while (sem_wait(&s->wake) != 0) {
    }
    if (atomic_exchange(&s->reload, false)) reload(d);
  }
  struct dom_err err = {0};
  log_event(LOG_INFO, "serve", "", "draining", NULL);
  atomic_store(&d->region.draining, true);
  if (wire_server_drain(d->region.server, (uint32_t)d->config->drain_ms, &err))
    log_event(LOG_WARN, "serve", "", "requests were still in flight", NULL);
  return atomic_load(&s->ended_by);
}

enum dom_code serve_run(struct serve_config *c, int *out_signal, struct dom_err *err) {
  struct signals signals;
  AUTO_FREE struct daemon *d = dom_calloc(1, sizeof *d);
  if (!d) return dom_fail(err, DOM_NO_MEMORY, where, "no memory");
  pthread_mutex_init(&d->region.refusals.lock, NULL);
  log_init(STDERR_FILENO, (enum log_level)c->log, clock_posix());
  enum dom_code code = set_limits(&d->connections_max, err);
  if (!code) code = signals_open(&signals, err);
  if (code) return code;
  code = daemon_open(d, c, err);
  if (!code) {
    announce(d);
    *out_signal = serve_until_signal(d, &signals);
  }
  daemon_close(d);
  pthread_mutex_destroy(&d->region.refusals.lock);
  if (!code) log_event(LOG_INFO, "serve", "", "region is closed", NULL);
  signals_close(&signals);
  return code;
}
