#include "wire/tls.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "base/alloc.h"
#include "base/crypto.h"
#include "wire/tls_inside.h"

static const char where[] = "wire/tls";

const char *tls_reason(void) {
  unsigned long first = ERR_get_error();
  const char *words = first != 0 ? ERR_reason_error_string(first) : NULL;
  ERR_clear_error();
  return words != NULL ? words : "unreadable";
}

/* ---- PEM ---- */

static void free_bio(BIO **b) {
  assert(b != NULL);
  BIO_free(*b);
}
#define BIO_AUTO __attribute__((cleanup(free_bio))) BIO
static void free_x509(X509 **x) {
  assert(x != NULL);
  X509_free(*x);
}
#define X509_AUTO __attribute__((cleanup(free_x509))) X509

static BIO *bio_of(struct slice text) {
  return text.len > 0 && text.len < INT32_MAX ? BIO_new_mem_buf(text.data, (int)text.len) : NULL;
}

/* A daemon has nobody to ask for a passphrase. */
static int no_passphrase(char *out, int cap, int writing, void *arg) {
  (void)out, (void)cap, (void)writing, (void)arg;
  return -1;
}

/* The next certificate of a text; NULL at its end. */
static X509 *next_certificate(BIO *in) {
  assert(in != NULL);
  X509 *x = PEM_read_bio_X509(in, NULL, no_passphrase, NULL);
  if (x == NULL && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE) ERR_clear_error();
  return x;
}

static enum dom_code use_chain(SSL_CTX *ctx, const struct wire_tls_pair *p, int64_t *ends_s,
                               struct dom_err *err) {
  BIO_AUTO *in = bio_of(p->chain);
  X509_AUTO *own = in != NULL ? next_certificate(in) : NULL;
  struct tm end;
  if (own == NULL)
    return dom_fail(err, DOM_INVALID, where,
                    "%s holds no certificate in PEM (\"-----BEGIN CERTIFICATE-----\")", p->name);
  if (SSL_CTX_use_certificate(ctx, own) != 1)
    return dom_fail(err, DOM_INVALID, where, "%s: the certificate cannot be used: %s", p->name, tls_reason());
  if (ASN1_TIME_to_tm(X509_get0_notAfter(own), &end) == 1) *ends_s = (int64_t)timegm(&end);
  for (;;) {
    X509_AUTO *between = next_certificate(in);
    if (between == NULL) break;
    if (SSL_CTX_add1_chain_cert(ctx, between) != 1)
      return dom_fail(err, DOM_INVALID, where, "%s: a certificate of the chain cannot be used: %s", p->name,
                      tls_reason());
  }
  if (ERR_peek_error() == 0) return DOM_OK;
  return dom_fail(err, DOM_INVALID, where, "%s: a certificate of the chain is damaged: %s", p->name,
                  tls_reason());
}

static enum dom_code use_key(SSL_CTX *ctx, const struct wire_tls_pair *p, struct dom_err *err) {
  BIO_AUTO *in = bio_of(p->key);
  EVP_PKEY *key = in != NULL ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL) : NULL;
  assert(ctx != NULL);
  if (key == NULL) {
    ERR_clear_error();
    return dom_fail(err, DOM_INVALID, where, "the key of %s is no private key in PEM without passphrase",
                    p->name);
  }
  bool fits = SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
  EVP_PKEY_free(key);
  if (fits) return DOM_OK;
  return dom_fail(err, DOM_INVALID, where, "the key of %s does not belong to its certificate: %s", p->name,
                  tls_reason());
}

/* Trusts the authorities of one text and names them to clients. */
static enum dom_code add_authorities(SSL_CTX *ctx, struct slice text, struct dom_err *err) {
  BIO_AUTO *in = bio_of(text);
  X509_STORE *store = SSL_CTX_get_cert_store(ctx);
  size_t count = 0;
  assert(store != NULL);
  for (; in != NULL; count++) {
    X509_AUTO *ca = next_certificate(in);
    if (ca == NULL) break;
    if (X509_STORE_add_cert(store, ca) != 1 || SSL_CTX_add_client_CA(ctx, ca) != 1)
      return dom_fail(err, DOM_INVALID, where, "an authority's certificate cannot be used: %s", tls_reason());
  }
  if (count > 0 && ERR_peek_error() == 0) return DOM_OK;
  ERR_clear_error();
  return dom_fail(err, DOM_INVALID, where, "the file of authorities holds no certificates in PEM");
}

/* ---- tickets ---- */

static void fresh_ticket(struct wire_tls *t, uint64_t now_ns) {
  struct ticket_key *k = &t->tickets[0];
  random_bytes(k->name, sizeof k->name);
  random_bytes(k->cipher, sizeof k->cipher);
  random_bytes(k->mac, sizeof k->mac);
  k->born_ns = now_ns;
  k->usable = true;
}

/* Brings the keys up to the hour, and copies the one that is wanted: the one that seals, or that of `name`.
 * Returns: 0 there is none any more, 1 the sealing one, 2 the one before it. */
static int pick_ticket(struct wire_tls *t, const uint8_t *name, struct ticket_key *out) {
  const uint64_t span_ns = WIRE_TLS_TICKET_MS * UINT64_C(1000000);
  uint64_t now_ns = clock_mono_ns(t->clock);
  int which = 0;
  pthread_mutex_lock(&t->lock);
  if (!t->tickets[0].usable || now_ns - t->tickets[0].born_ns >= span_ns) {
    t->tickets[1] = t->tickets[0];
    fresh_ticket(t, now_ns);
  }
  if (t->tickets[1].usable && now_ns - t->tickets[1].born_ns >= 2 * span_ns)
    wipe(&t->tickets[1], sizeof t->tickets[1]);
  for (int i = 0; i < 2 && which == 0; i++) {
    const struct ticket_key *k = &t->tickets[i];
    if (!k->usable || (name != NULL && memcmp(k->name, name, sizeof k->name) != 0)) continue;
    *out = *k;
    which = i + 1;
  }
  pthread_mutex_unlock(&t->lock);
  assert(name != NULL || which == 1);
  return which;
}

/* OpenSSL asks for the keys of one ticket (SSL_CTX_set_tlsext_ticket_key_evp_cb(3)). */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int sealing) {
  struct wire_tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
  struct ticket_key k;
  char digest[] = "SHA256";
  int which = pick_ticket(t, sealing ? NULL : name, &k);
  if (which == 0) return 0; /* a full handshake, then */
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k.mac, sizeof k.mac),
                               OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                               OSSL_PARAM_construct_end()};
  bool ok = EVP_MAC_CTX_set_params(mac, params) == 1;
  if (sealing) {
    memcpy(name, k.name, sizeof k.name);
    random_bytes(iv, EVP_MAX_IV_LENGTH);
    ok = ok && EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k.cipher, iv) == 1;
  } else {
    ok = ok && EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k.cipher, iv) == 1;
  }
  wipe(&k, sizeof k);
  return ok ? which : -1;
}

/* ---- handshakes ---- */

/* Takes the certificate that has the name the client asks for (RFC 6066 §3); none: the first stays. */
static int on_name(SSL *ssl, int *alert, void *arg) {
  const struct wire_tls *t = arg;
  const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  (void)alert;
  assert(t->count > 0);
  for (size_t i = 0; name != NULL && i < t->count; i++) {
    if (X509_check_host(SSL_CTX_get0_certificate(t->contexts[i]), name, 0, 0, NULL) != 1) continue;
    if (SSL_set_SSL_CTX(ssl, t->contexts[i]) == NULL) return SSL_TLSEXT_ERR_ALERT_FATAL;
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

/* RFC 7301: who offers protocols and ours is not among them learns it at once. */
static int on_protocols(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                        unsigned in_len, void *arg) {
  static const unsigned char ours[] = "\x08http/1.1";
  unsigned char *picked = NULL;
  (void)ssl, (void)arg;
  assert(sizeof ours - 1 == 9);
  if (SSL_select_next_proto(&picked, out_len, ours, sizeof ours - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = picked;
  return SSL_TLSEXT_ERR_OK;
}

static void set_habits(SSL_CTX *ctx) {
  /* TLS 1.2 with (EC)DHE and AEAD only (RFC 9325 §4.2); TLS 1.3 has no others. */
  bool ok = SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
            SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
            SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") == 1;
  assert(ok); /* constants that OpenSSL 3 knows */
  (void)ok;
  /* An end without close_notify is an end to us (every message has a length). Without the last option OpenSSL
   * answers it with the alert decode_error, also where we ended the input ourselves to close a parked
   * connection: the client would take that for damage instead of for an end. */
  SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  /* Idle connections hold no record buffers (34 KiB each); a short write says how far it came. */
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(ctx, 1); /* one system call a record, not two */
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_timeout(ctx, WIRE_TLS_TICKET_MS / 1000);
  SSL_CTX_set_num_tickets(ctx, 1);
  SSL_CTX_set_alpn_select_cb(ctx, on_protocols, NULL);
}

static enum dom_code ask_clients(SSL_CTX *ctx, const struct wire_tls_options *o, struct dom_err *err) {
  bool asks = false;
  assert(ctx != NULL);
  for (size_t i = 0; i < WIRE_TLS_AUTHORITIES_MAX; i++) {
    if (o->authorities[i].len == 0) continue;
    enum dom_code c = add_authorities(ctx, o->authorities[i], err);
    if (c != DOM_OK) return c;
    asks = true;
  }
  if (o->client_required && !asks)
    return dom_fail(err, DOM_INVALID, where, "client certificates are required but no authority is named");
  if (asks)
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (o->client_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       NULL);
  return DOM_OK;
}

static enum dom_code make_context(struct wire_tls *t, const struct wire_tls_options *o, size_t i,
                                  struct dom_err *err) {
  SSL_CTX *ctx = t->contexts[i] = SSL_CTX_new(TLS_server_method());
  if (ctx == NULL) return dom_fail(err, DOM_NO_MEMORY, where, "no memory");
  int64_t ends_s = INT64_MAX;
  set_habits(ctx);
  SSL_CTX_set_app_data(ctx, t);
  /* A session is resumed only under the same demands: the keys of its ticket are of this very `t`. */
  static const unsigned char context[] = "domicile";
  SSL_CTX_set_session_id_context(ctx, context, sizeof context - 1);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
  SSL_CTX_set_tlsext_servername_callback(ctx, on_name);
  SSL_CTX_set_tlsext_servername_arg(ctx, t);
  enum dom_code c = use_chain(ctx, &o->pairs[i], &ends_s, err);
  if (c == DOM_OK) c = use_key(ctx, &o->pairs[i], err);
  if (c == DOM_OK) c = ask_clients(ctx, o, err);
  if (ends_s < t->ends_s) t->ends_s = ends_s;
  return c;
}

enum dom_code wire_tls_new(const struct wire_tls_options *o, struct wire_tls **out_tls, struct dom_err *err) {
  assert(o != NULL && out_tls != NULL && o->pair_count > 0 && o->pair_count <= WIRE_TLS_PAIRS_MAX);
  struct wire_tls *t = dom_calloc(1, sizeof *t);
  if (t == NULL) return dom_fail(err, DOM_NO_MEMORY, where, "no memory");
  t->ends_s = INT64_MAX;
  t->clock = o->clock != NULL ? o->clock : clock_posix();
  atomic_store(&t->users, 1);
  int rc = pthread_mutex_init(&t->lock, NULL);
  assert(rc == 0);
  (void)rc;
  ERR_clear_error();
  enum dom_code c = DOM_OK;
  for (; t->count < o->pair_count && c == DOM_OK; t->count++) c = make_context(t, o, t->count, err);
  if (c == DOM_OK)
    *out_tls = t;
  else
    wire_tls_release(t);
  return c;
}

struct wire_tls *wire_tls_hold(struct wire_tls *t) {
  unsigned before = atomic_fetch_add(&t->users, 1);
  assert(before > 0);
  (void)before;
  return t;
}

void wire_tls_release(struct wire_tls *t) {
  if (t == NULL) return;
  unsigned before = atomic_fetch_sub(&t->users, 1);
  assert(before > 0);
  if (before > 1) return;
  for (size_t i = 0; i < t->count; i++) SSL_CTX_free(t->contexts[i]);
  wipe(t->tickets, sizeof t->tickets);
  pthread_mutex_destroy(&t->lock);
  dom_free(t);
}

int64_t wire_tls_ends_s(const struct wire_tls *t) {
  assert(t->count > 0);
  return t->ends_s;
}
