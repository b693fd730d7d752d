/* Certificates, their keys and authorities, from the files that the settings name. */
#include <assert.h>
#include <stdio.h>

#include "serve/daemon.h"

static const char where[] = "serve/tls";

enum {
  CHAIN_BYTES_MAX = 256 * 1024,   /* a dozen certificates have 30 KiB */
  KEY_BYTES_MAX = 32 * 1024,      /* RSA of 16,384 bits has 13 KiB */
  AUTHORITIES_BYTES_MAX = 4 << 20 /* the system's bundle has 250 KiB */
};

/* What the files held. */
struct texts {
  struct buf chain[SERVE_CERTIFICATES_MAX], key[SERVE_CERTIFICATES_MAX];
  struct buf client_ca, peer_ca;
};

static void texts_done(struct texts *t) {
  for (size_t i = 0; i < SERVE_CERTIFICATES_MAX; i++) {
    buf_done(&t->chain[i]);
    buf_wipe_done(&t->key[i]);
  }
  buf_done(&t->client_ca);
  buf_done(&t->peer_ca);
}
#define TEXTS_AUTO __attribute__((cleanup(texts_done))) struct texts

static enum dom_code read_texts(const struct serve_tls *s, struct texts *t, struct dom_err *err) {
  enum dom_code code = DOM_OK;
  for (size_t i = 0; i < s->count && !code; i++) {
    code = serve_file_read(s->certificate[i].chain_file, false, CHAIN_BYTES_MAX, &t->chain[i], err);
    /* Reserved at once: growing would leave copies of the key behind. */
    if (!code && !buf_reserve(&t->key[i], KEY_BYTES_MAX))
      code = dom_fail(err, DOM_NO_MEMORY, where, "no memory");
    if (!code) code = serve_file_read(s->certificate[i].key_file, true, KEY_BYTES_MAX, &t->key[i], err);
  }
  if (!code && s->client_ca_file)
    code = serve_file_read(s->client_ca_file, false, AUTHORITIES_BYTES_MAX, &t->client_ca, err);
  if (!code && s->peer_ca_file)
    code = serve_file_read(s->peer_ca_file, false, AUTHORITIES_BYTES_MAX, &t->peer_ca, err);
  return code;
}

static enum dom_code make(const struct serve_tls *s, const struct texts *t, struct wire_tls **out,
                          struct dom_err *err) {
  struct wire_tls_pair pairs[SERVE_CERTIFICATES_MAX];
  assert(s->count > 0 && s->count <= SERVE_CERTIFICATES_MAX);
  for (size_t i = 0; i < s->count; i++)
    pairs[i] = (struct wire_tls_pair){
        .name = s->certificate[i].chain_file, .chain = buf_slice(&t->chain[i]), .key = buf_slice(&t->key[i])};
  struct wire_tls_options o = {.pairs = pairs,
                               .pair_count = s->count,
                               .authorities = {buf_slice(&t->client_ca), buf_slice(&t->peer_ca)},
                               .client_required = s->client_certificates == SERVE_CLIENTS_REQUIRE};
  return wire_tls_new(&o, out, err);
}

static int64_t now_s(void) {
  return (int64_t)(clock_wall_ms(clock_posix()) / 1000);
}

static bool is_over(const struct wire_tls *t) {
  return wire_tls_ends_s(t) <= now_s();
}

/* With https:// peers and without certificates of our own: believe the system's authorities, or peer_ca_file.
 */
static enum dom_code put_client(struct region *r, const struct serve_tls *s, const struct texts *t,
                                struct dom_err *err) {
  if (!r->client) return DOM_OK; /* a region alone */
  struct wire_client_tls tls = {.authorities = buf_slice(&t->peer_ca)};
  if (s->peer_ca_file && s->count) {
    tls.chain = buf_slice(&t->chain[0]);
    tls.key = buf_slice(&t->key[0]);
  }
  return wire_client_tls_put(r->client, &tls, err);
}

enum dom_code tls_files_check(const struct serve_config *c, bool fresh, struct dom_err *err) {
  TEXTS_AUTO texts = {0};
  struct wire_tls *tls = NULL;
  enum dom_code code = read_texts(&c->tls, &texts, err);
  if (!code && c->tls.count) code = make(&c->tls, &texts, &tls, err);
  if (!code && tls && fresh && is_over(tls))
    code =
        dom_fail(err, DOM_INVALID, where, "a certificate has expired: put the new one in place, then SIGHUP");
  wire_tls_release(tls);
  return code;
}

enum dom_code tls_files_put(struct daemon *d, struct dom_err *err) {
  const struct serve_tls *s = &d->config->tls;
  TEXTS_AUTO texts = {0};
  struct wire_tls *tls = NULL;
  assert(d->region.server);
  if (!s->count && !s->peer_ca_file) return DOM_OK;
  enum dom_code code = read_texts(s, &texts, err);
  if (!code && s->count) code = make(s, &texts, &tls, err);
  if (!code) code = put_client(&d->region, s, &texts, err);
  if (code) {
    wire_tls_release(tls);
    return code;
  }
  if (!tls) return DOM_OK;
  if (is_over(tls))
    log_event(LOG_WARN, "serve", "",
              "a TLS certificate has expired, clients will refuse it: put the new one in place, then SIGHUP",
              NULL);
  atomic_store(&d->region.tls_ends_s, (uint64_t)(wire_tls_ends_s(tls) > 0 ? wire_tls_ends_s(tls) : 0));
  wire_server_tls_put(d->region.server, tls);
  return DOM_OK;
}
