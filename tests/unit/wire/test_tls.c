/* TLS on a listener: versions, names, records and requests that do not fall together, ends, client
 * certificates, reload, tickets, and clients that only half begin. */
#include "tls_testing.h"

#define GET(path, fields) "GET " path " HTTP/1.1\r\nHost: a\r\n" fields "\r\n"

static struct issued ca, other_ca, first, second;
static _Atomic int body_result;
static _Atomic unsigned handled;

static void reply_who(struct wire_exchange *x) {
  char name[WIRE_TLS_NAME_SIZE];
  BUF_AUTO text = BUF_INIT;
  wire_exchange_certified_name(x, name);
  buf_printf(&text, "any=%d a=%d b=%d ip=%d name=%s.", wire_exchange_certified(x, NULL),
             wire_exchange_certified(x, "a.test"), wire_exchange_certified(x, "b.test"),
             wire_exchange_certified(x, "127.0.0.1"), name);
  (void)wire_reply(x, 200, buf_slice(&text), NULL);
}

static void handle(struct wire_exchange *x, void *arg) {
  struct slice path = wire_exchange_head(x)->path;
  struct dom_err err = {0};
  (void)arg;
  atomic_fetch_add(&handled, 1);
  if (slice_equal(path, SLICE_LIT("/who"))) {
    reply_who(x);
    return;
  }
  if (slice_equal(path, SLICE_LIT("/break"))) {
    wire_reply_begin(x, 200, 100);
    (void)wire_reply_write(x, "half", 4, &err);
    wire_reply_abort(x);
    return;
  }
  BUF_AUTO body = BUF_INIT;
  enum dom_code c = wire_body_read_all(x, 64 << 20, &body, &err);
  atomic_store(&body_result, c);
  if (c == DOM_OK && body.len == 0) buf_append_str(&body, "hello.");
  (void)wire_reply(x, c == DOM_OK ? 200 : 400, buf_slice(&body), NULL);
}

static struct wire_tls *tls_of(const struct issued *const *issued, size_t count,
                               const struct issued *client_ca, bool required, struct clock *clock) {
  struct wire_tls_pair pairs[4];
  struct wire_tls *t = NULL;
  struct dom_err err = {0};
  for (size_t i = 0; i < count; i++) pairs[i] = pair_of(issued[i]);
  struct wire_tls_options o = {
      .pairs = pairs, .pair_count = count, .client_required = required, .clock = clock};
  if (client_ca != NULL) o.authorities[0] = buf_slice(&client_ca->cert_pem);
  if (wire_tls_new(&o, &t, &err) != DOM_OK) fail_msg("%s", err.text);
  return t;
}

static struct rig rig_tls(const struct wire_server_options *options, struct wire_tls *tls_take) {
  struct rig r;
  struct dom_err err = {0};
  assert_int_equal(wire_server_new(options, handle, NULL, &r.server, &err), DOM_OK);
  assert_int_equal(wire_server_listen_tcp(r.server, "127.0.0.1:0", &r.listener, &err), DOM_OK);
  wire_server_listener_tls(r.server, r.listener);
  wire_server_tls_put(r.server, tls_take);
  assert_int_equal(wire_server_start(r.server, &err), DOM_OK);
  r.port = wire_server_port(r.server, r.listener);
  return r;
}

static struct rig rig_plain_tls(void) {
  const struct issued *both[] = {&first, &second};
  return rig_tls(&(struct wire_server_options){.workers = 4}, tls_of(both, 2, NULL, false, NULL));
}

static int make_issued(void **state) {
  (void)state;
  ca = authority("test authority");
  other_ca = authority("another authority");
  first = issue(&ca, "first", "DNS:a.test,DNS:*.a.test,IP:127.0.0.1", -DAY_S, DAY_S);
  second = issue(&ca, "second", "DNS:b.test", -DAY_S, 2 * DAY_S);
  return 0;
}

static int drop_issued(void **state) {
  (void)state;
  struct issued *all[] = {&ca, &other_ca, &first, &second};
  for (size_t i = 0; i < 4; i++) issued_done(all[i]);
  return 0;
}

/* ---- versions, names, protocols ---- */

static void test_versions(void **state) {
  (void)state;
  struct rig r = rig_plain_tls();
  const int versions[] = {TLS1_3_VERSION, TLS1_2_VERSION, TLS1_1_VERSION};
  for (size_t i = 0; i < 3; i++) {
    TALK_AUTO t = call(&r, &(struct caller){.trusts = &ca, .name = "a.test", .version = versions[i]});
    assert_int_equal(t.up, versions[i] >= TLS1_2_VERSION);
    if (!t.up) continue;
    struct heard h;
    heard_init(&h);
    tell(&t, GET("/", ""));
    assert_true(listen_for(&t, &h, "hello.", 1));
    assert_int_equal(SSL_version(t.ssl), versions[i]);
    assert_null(SSL_get_current_compression(t.ssl));
    heard_done(&h);
  }
  rig_close(&r);
}

static void expect_name(const struct rig *r, const char *asked, const char *common_name) {
  char got[64];
  TALK_AUTO t = call(r, &(struct caller){.name = asked});
  assert_true(t.up);
  X509 *x = SSL_get0_peer_certificate(t.ssl);
  assert_true(X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, got, sizeof got) > 0);
  assert_string_equal(got, common_name);
}

static void test_server_names(void **state) {
  (void)state;
  struct rig r = rig_plain_tls();
  expect_name(&r, "a.test", "first");
  expect_name(&r, "bucket.a.test", "first");
  expect_name(&r, "b.test", "second");
  expect_name(&r, "unknown.test", "first");
  expect_name(&r, NULL, "first");
  rig_close(&r);
}

static void test_protocols(void **state) {
  (void)state;
  struct rig r = rig_plain_tls();
  const unsigned char *picked;
  unsigned len;
  {
    TALK_AUTO t = call(&r, &(struct caller){.protocols = "\x02h2\x08http/1.1"});
    assert_true(t.up);
    SSL_get0_alpn_selected(t.ssl, &picked, &len);
    assert_int_equal(len, 8);
    assert_memory_equal(picked, "http/1.1", 8);
  }
  TALK_AUTO t = call(&r, &(struct caller){.protocols = "\x02h2"});
  assert_false(t.up);
  rig_close(&r);
}

static void test_no_renegotiation(void **state) {
  (void)state;
  struct rig r = rig_plain_tls();
  struct heard h;
  heard_init(&h);
  TALK_AUTO t = call(&r, &(struct caller){.version = TLS1_2_VERSION});
  assert_true(t.up);
  SSL_set_options(t.ssl, SSL_OP_LEGACY_SERVER_CONNECT);
  assert_int_equal(SSL_renegotiate(t.ssl), 1);
  assert_int_not_equal(SSL_do_handshake(t.ssl), 1);
  assert_false(SSL_session_reused(t.ssl));
  heard_done(&h);
  rig_close(&r);
}

/* ---- records and requests ---- */

/* `times` records and `more` raw bytes with one send. */
static void tell_with(struct talk *t, const char *text, int times, const char *more) {
  BIO *memory = BIO_new(BIO_s_mem()), *socket_bio = SSL_get_wbio(t->ssl);
  char *data;
  BUF_AUTO all = BUF_INIT;
  BIO_up_ref(socket_bio);
  SSL_set0_wbio(t->ssl, memory);
  for (int i = 0; i < times; i++) tell(t, text);
  long n = BIO_get_mem_data(memory, &data);
  buf_append(&all, data, (size_t)n);
  buf_append_str(&all, more);
  say_bytes(t->fd, all.data, all.len);
  SSL_set0_wbio(t->ssl, socket_bio);
}

/* Several requests in one record, and in several records of one packet: none may stay behind in OpenSSL while
 * the server waits for the socket. */
static void test_pipelined_in_records(void **state) {
  (void)state;
  struct rig r = rig_plain_tls();
  struct heard h;
  TALK_AUTO t = call(&r, &(struct caller){.version = TLS1_3_VERSION});
  heard_init(&h);
  tell(&t, GET("/", "") GET("/", "") GET("/", ""));
  assert_true(listen_for(&t, &h, "hello.", 3));
  /* Now all records of five requests with one send. */
  tell_with(&t, GET("/", ""), 5, "");
  assert_true(listen_for(&t, &h, "hello.", 8));
  heard_done(&h);
  rig_close(&r);
}

/* A body's end and the next request share a record: reading the body leaves the request inside OpenSSL. */
static void test_request_behind_body(void **state) {
  (void)state;
  struct rig r = rig_plain_tls();
  struct heard h;
  TALK_AUTO t = call(&r, &(struct caller){.version = TLS1_3_VERSION});
  heard_init(&h);
  for (size_t i = 1; i <= 20; i++) {
    tell(&t, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    tell(&t, "0123456789" GET("/", ""));
    assert_true(listen_for(&t, &h, "hello.", i));
    assert_int_equal(count_parts(&h, "0123456789"), i);
  }
  heard_done(&h);
  rig_close(&r);
}

/* One request byte by byte, each in a record of its own. */
static void test_tiny_records(void **state) {
  (void)state;
  struct rig r = rig_plain_tls();
  struct heard h;
  const char *text = GET("/", "X-A: b\r\n");
  TALK_AUTO t = call(&r, &(struct caller){.trusts = &ca});
  heard_init(&h);
  for (const char *p = text; *p != '\0'; p++) assert_int_equal(SSL_write(t.ssl, p, 1), 1);
  assert_true(listen_for(&t, &h, "hello.", 1));
  heard_done(&h);
  rig_close(&r);
}

/* Far more than any buffer, both ways. */
static void test_large_bodies(void **state) {
  (void)state;
  enum { SIZE = 8 << 20, STEP = 1000 };
  struct rig r = rig_plain_tls();
  char head[128];
  TALK_AUTO t = call(&r, &(struct caller){.trusts = &ca});
  uint8_t *sent = malloc(SIZE), *got = malloc(SIZE + 4096);
  for (size_t i = 0; i < SIZE; i++) sent[i] = (uint8_t)(i * 7 + i / 251);
  snprintf(head, sizeof head, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", SIZE);
  tell(&t, head);
  for (size_t at = 0; at < SIZE; at += STEP)
    assert_true(SSL_write(t.ssl, sent + at, SIZE - at < STEP ? (int)(SIZE - at) : STEP) > 0);
  size_t len = 0, body = 0;
  while (body == 0 || len < body + SIZE) {
    int n = SSL_read(t.ssl, got + len, (int)(SIZE + 4096 - len));
    assert_true(n > 0);
    len += (size_t)n;
    uint8_t *end = body == 0 ? memmem(got, len, "\r\n\r\n", 4) : NULL;
    if (end != NULL) body = (size_t)(end - got) + 4;
  }
  assert_memory_equal(got + body, sent, SIZE);
  free(sent);
  free(got);
  rig_close(&r);
}

/* ---- ends ---- */

static void test_ends(void **state) {
  (void)state;
  struct rig r = rig_plain_tls();
  struct heard h;
  {
    TALK_AUTO t = call(&r, &(struct caller){.trusts = &ca});
    heard_init(&h);
    tell(&t, GET("/", "Connection: close\r\n"));
    assert_false(listen_for(&t, &h, "never", 1));
    expect_part(&h, "hello.");
    assert_true(h.ended); /* with close_notify: nobody cut it short */
    heard_done(&h);
  }
  TALK_AUTO t = call(&r, &(struct caller){.trusts = &ca});
  heard_init(&h);
  tell(&t, GET("/break", ""));
  assert_false(listen_for(&t, &h, "never", 1));
  assert_true(h.reset); /* a broken reply must not look finished */
  heard_done(&h);
  rig_close(&r);
}

/* Whom the server closes at rest must not take it for damage: a client sends its next request elsewhere then.
 */
static void test_idle_end(void **state) {
  (void)state;
  const struct issued *one[] = {&first};
  struct rig r = rig_tls(&(struct wire_server_options){.workers = 1, .idle_timeout_ms = 100},
                         tls_of(one, 1, NULL, false, NULL));
  for (int i = 0; i < 2; i++) {
    struct heard h;
    TALK_AUTO t = call(&r, &(struct caller){.trusts = &ca});
    heard_init(&h);
    tell(&t, GET("/", ""));
    assert_true(listen_for(&t, &h, "hello.", 1));
    if (i == 1) {
      struct dom_err err = {0};
      assert_int_equal(wire_server_drain(r.server, PATIENCE_MS, &err), DOM_OK);
    }
    assert_false(listen_for(&t, &h, "never", 1));
    assert_true(h.ended);
    heard_done(&h);
  }
  rig_close(&r);
}

/* A connection cut inside a body is an error to the handler, whether by FIN, by close_notify or by reset. */
static void test_cut_inside_body(void **state) {
  (void)state;
  for (int way = 0; way < 3; way++) {
    struct rig r = rig_plain_tls();
    atomic_store(&body_result, -1);
    struct talk t = call(&r, &(struct caller){.trusts = &ca});
    tell(&t, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nonly this");
    if (way == 1) assert_true(SSL_shutdown(t.ssl) >= 0);
    if (way == 2) {
      struct linger now = {.l_onoff = 1};
      (void)setsockopt(t.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    if (way == 0) shutdown(t.fd, SHUT_WR);
    if (way == 2) {
      close(t.fd);
      t.fd = -1;
    }
    struct wire_server_stats stats;
    do wire_server_stats(r.server, &stats);
    while (atomic_load(&body_result) == -1 && (stats.connections > 0 || stats.accepted == 0));
    if (atomic_load(&body_result) != -1) assert_int_equal(atomic_load(&body_result), DOM_IO);
    assert_true(way == 2 || atomic_load(&body_result) == DOM_IO);
    talk_done(&t);
    rig_close(&r);
  }
}

/* ---- half-begun ---- */

/* Nothing, part of a prefix, part of a ClientHello, a whole handshake without a request: each is cut at the
 * head's deadline, and a single worker serves others meanwhile. */
static void test_half_open(void **state) {
  (void)state;
  enum { WAYS = 4 };
  const struct issued *one[] = {&first};
  struct rig r = rig_tls(&(struct wire_server_options){.workers = 1, .head_timeout_ms = 300},
                         tls_of(one, 1, NULL, false, NULL));
  const uint8_t hello[] = {22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3, 1, 2};
  int fds[WAYS - 1];
  for (int i = 0; i < WAYS - 1; i++) {
    fds[i] = dial(r.port);
    bound_waits(fds[i]);
  }
  say_bytes(fds[1], hello, 4);
  say_bytes(fds[2], hello, sizeof hello);
  TALK_AUTO silent = call(&r, &(struct caller){.trusts = &ca});
  assert_true(silent.up);
  struct heard h;
  {
    TALK_AUTO t = call(&r, &(struct caller){.trusts = &ca});
    heard_init(&h);
    tell(&t, GET("/", ""));
    assert_true(listen_for(&t, &h, "hello.", 1));
    heard_done(&h);
  }
  char scrap[64];
  for (int i = 0; i < WAYS - 1; i++) {
    while (recv(fds[i], scrap, sizeof scrap, 0) > 0) {
    }
    assert_true(errno != EAGAIN); /* which only a server that keeps them would cause */
    close(fds[i]);
  }
  heard_init(&h);
  assert_false(listen_for(&silent, &h, "never", 1));
  heard_done(&h);
  rig_close(&r);
}

/* Part of a record on a kept connection runs on the head's deadline, not on the idle one; also when it came
 * in one packet with the request before it. */
static void test_half_record(void **state) {
  (void)state;
  const struct issued *one[] = {&first};
  struct rig r = rig_tls(&(struct wire_server_options){.workers = 1, .head_timeout_ms = 200},
                         tls_of(one, 1, NULL, false, NULL));
  const char *const parts[] = {"\x17", "\x17\x03\x03\x40", "\x17\x03\x03\x01\x01",
                               "\x17\x03\x03\x01\x01more"};
  for (size_t i = 0; i < 8; i++) {
    struct heard h;
    TALK_AUTO t = call(&r, &(struct caller){.trusts = &ca});
    const char *part = parts[i % 4];
    heard_init(&h);
    if (i < 4) {
      tell(&t, GET("/", ""));
      assert_true(listen_for(&t, &h, "hello.", 1));
      say_bytes(t.fd, part, strlen(part));
    } else {
      tell_with(&t, GET("/", ""), 1, part);
      assert_true(listen_for(&t, &h, "hello.", 1));
    }
    assert_false(listen_for(&t, &h, "never", 1));
    heard_done(&h);
  }
  rig_close(&r);
}

static void expect_hung_up(const struct rig *r, const void *data, size_t len) {
  char scrap[64];
  int fd = dial(r->port);
  bound_waits(fd);
  say_bytes(fd, data, len);
  while (recv(fd, scrap, sizeof scrap, 0) > 0) {
  }
  assert_true(errno != EAGAIN);
  close(fd);
}

static void test_no_hello(void **state) {
  (void)state;
  struct rig r = rig_plain_tls();
  const uint8_t announced[] = {22, 3, 1, 64, 0, 1, 1, 255, 255, 3, 3}; /* 128 KiB to come */
  atomic_store(&handled, 0);
  errno = 0;
  expect_hung_up(&r, announced, sizeof announced);
  expect_hung_up(&r, GET("/", ""), strlen(GET("/", "")));
  assert_int_equal(atomic_load(&handled), 0);
  rig_close(&r);
}

/* ---- client certificates ---- */

static void expect_who(const struct rig *r, const struct caller *c, const char *answer) {
  struct heard h;
  TALK_AUTO t = call(r, c);
  assert_true(t.up);
  heard_init(&h);
  tell(&t, GET("/who", ""));
  assert_true(listen_for(&t, &h, "name=", 1));
  assert_true(strchr(strstr(h.text, "name="), '.') != NULL || listen_for(&t, &h, ".\n", 1));
  expect_part(&h, answer);
  heard_done(&h);
}

/* In TLS 1.3 the client's side of a handshake ends before the server has looked at its certificate: the
 * refusal is heard by the next read. */
static void expect_refused(const struct rig *r, const struct caller *c) {
  struct heard h;
  TALK_AUTO t = call(r, c);
  heard_init(&h);
  if (t.up) {
    (void)SSL_write(t.ssl, GET("/who", ""), (int)strlen(GET("/who", "")));
    assert_false(listen_for(&t, &h, "never", 1));
    assert_true(h.reset && h.len == 0);
  }
  heard_done(&h);
}

static void test_client_certificates(void **state) {
  (void)state;
  ISSUED_AUTO member = issue(&ca, "somebody by name", "DNS:b.test", -DAY_S, DAY_S);
  ISSUED_AUTO stranger = issue(&other_ca, "stranger", "DNS:b.test", -DAY_S, DAY_S);
  ISSUED_AUTO late = issue(&ca, "late", "DNS:b.test", -2 * DAY_S, -DAY_S);
  const struct issued *one[] = {&first};
  const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
  for (size_t i = 0; i < 2; i++) {
    int v = versions[i];
    struct rig r = rig_tls(&(struct wire_server_options){.workers = 2}, tls_of(one, 1, &ca, false, NULL));
    expect_who(&r, &(struct caller){.version = v}, "any=0 a=0 b=0 ip=0 name=.");
    expect_who(&r, &(struct caller){.version = v, .shows = &member}, "any=1 a=0 b=1 ip=0 name=");
    expect_refused(&r, &(struct caller){.version = v, .shows = &stranger});
    expect_refused(&r, &(struct caller){.version = v, .shows = &late});
    rig_close(&r);
    r = rig_tls(&(struct wire_server_options){.workers = 2}, tls_of(one, 1, &ca, true, NULL));
    atomic_store(&handled, 0);
    expect_refused(&r, &(struct caller){.version = v});
    expect_refused(&r, &(struct caller){.version = v, .shows = &stranger});
    assert_int_equal(atomic_load(&handled), 0);
    expect_who(&r, &(struct caller){.version = v, .shows = &first}, "any=1 a=1 b=0 ip=1 name=");
    rig_close(&r);
  }
}

static void test_name_is_hashed(void **state) {
  (void)state;
  ISSUED_AUTO member = issue(&ca, "somebody by name", NULL, -DAY_S, DAY_S);
  const struct issued *one[] = {&first};
  struct rig r = rig_tls(&(struct wire_server_options){.workers = 2}, tls_of(one, 1, &ca, true, NULL));
  /* sha256 of the DER of CN=somebody by name, as openssl makes it */
  unsigned char *der = NULL, digest[32];
  int len = i2d_X509_NAME(X509_get_subject_name(member.cert), &der);
  BUF_AUTO want = BUF_INIT;
  EVP_Digest(der, (size_t)len, digest, NULL, EVP_sha256(), NULL);
  OPENSSL_free(der);
  hex_encode(&want, slice_of(digest, sizeof digest));
  buf_append_byte(&want, '.');
  expect_who(&r, &(struct caller){.shows = &member}, buf_str(&want));
  rig_close(&r);
}

/* ---- reload and tickets ---- */

static void test_reload(void **state) {
  (void)state;
  const struct issued *one[] = {&first}, *two[] = {&second};
  struct heard h;
  struct rig r = rig_tls(&(struct wire_server_options){.workers = 2}, tls_of(one, 1, NULL, false, NULL));
  TALK_AUTO old = call(&r, &(struct caller){.trusts = &ca, .name = "a.test"});
  assert_true(old.up);
  wire_server_tls_put(r.server, tls_of(two, 1, NULL, false, NULL));
  expect_name(&r, "a.test", "second");
  heard_init(&h);
  tell(&old, GET("/", ""));
  assert_true(listen_for(&old, &h, "hello.", 1));
  heard_done(&h);
  rig_close(&r);
}

static SSL_SESSION *session_of(const struct rig *r, int version) {
  struct heard h;
  TALK_AUTO t = call(r, &(struct caller){.version = version});
  assert_true(t.up);
  heard_init(&h);
  tell(&t, GET("/", "")); /* in TLS 1.3 the ticket comes before the reply */
  assert_true(listen_for(&t, &h, "hello.", 1));
  heard_done(&h);
  (void)SSL_shutdown(t.ssl);
  return SSL_get1_session(t.ssl);
}

static bool resumes(const struct rig *r, int version, SSL_SESSION *s) {
  TALK_AUTO t = call(r, &(struct caller){.version = version, .session = s});
  assert_true(t.up);
  bool reused = SSL_session_reused(t.ssl) == 1;
  (void)SSL_shutdown(t.ssl); /* or the client would not use the session again */
  return reused;
}

static void test_tickets(void **state) {
  (void)state;
  const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
  const struct issued *one[] = {&first};
  for (size_t i = 0; i < 2; i++) {
    struct clock *clock = clock_sim_new(1700000000000);
    struct rig r = rig_tls(&(struct wire_server_options){.workers = 2}, tls_of(one, 1, NULL, false, clock));
    SSL_SESSION *s = session_of(&r, versions[i]);
    assert_true(resumes(&r, versions[i], s));
    clock_sim_advance(clock, WIRE_TLS_TICKET_MS); /* the key seals no more, but still opens */
    assert_true(resumes(&r, versions[i], s));
    clock_sim_advance(clock, WIRE_TLS_TICKET_MS);
    assert_false(resumes(&r, versions[i], s));
    SSL_SESSION_free(s);
    s = session_of(&r, versions[i]);
    assert_true(resumes(&r, versions[i], s));
    wire_server_tls_put(r.server, tls_of(one, 1, NULL, false, clock)); /* a reload ends all sessions */
    assert_false(resumes(&r, versions[i], s));
    SSL_SESSION_free(s);
    rig_close(&r);
    clock_sim_free(clock);
  }
}

/* ---- material that is not good ---- */

static void expect_bad(struct wire_tls_pair pair, struct slice authorities, bool required, const char *why) {
  struct wire_tls_options o = {
      .pairs = &pair, .pair_count = 1, .authorities = {authorities}, .client_required = required};
  struct wire_tls *t = (struct wire_tls *)&o;
  struct dom_err err = {0};
  assert_int_equal(wire_tls_new(&o, &t, &err), DOM_INVALID);
  assert_ptr_equal(t, &o);
  if (strstr(err.text, why) == NULL) fail_msg("no \"%s\" in \"%s\"", why, err.text);
}

static void test_bad_material(void **state) {
  (void)state;
  struct slice none = {0}, junk = SLICE_LIT("junk");
  struct wire_tls_pair good = pair_of(&first), p = good;
  p.chain = junk;
  expect_bad(p, none, false, "test.pem holds no certificate");
  p = good;
  p.key = junk;
  expect_bad(p, none, false, "no private key");
  p.key = buf_slice(&second.key_pem);
  expect_bad(p, none, false, "does not belong");
  expect_bad(good, junk, false, "authorities");
  expect_bad(good, none, true, "no authority");
  BUF_AUTO damaged = BUF_INIT;
  buf_append_slice(&damaged, buf_slice(&first.cert_pem));
  buf_append_str(&damaged, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
  p = good;
  p.chain = buf_slice(&damaged);
  expect_bad(p, none, false, "damaged");
  struct wire_tls *t = tls_of((const struct issued *[]){&second, &first}, 2, NULL, false, NULL);
  int64_t left_s = wire_tls_ends_s(t) - (int64_t)time(NULL);
  assert_true(left_s > 0 && left_s <= DAY_S); /* the sooner of the two */
  wire_tls_release(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_versions),
                                     cmocka_unit_test(test_server_names),
                                     cmocka_unit_test(test_protocols),
                                     cmocka_unit_test(test_no_renegotiation),
                                     cmocka_unit_test(test_pipelined_in_records),
                                     cmocka_unit_test(test_request_behind_body),
                                     cmocka_unit_test(test_tiny_records),
                                     cmocka_unit_test(test_large_bodies),
                                     cmocka_unit_test(test_ends),
                                     cmocka_unit_test(test_cut_inside_body),
                                     cmocka_unit_test(test_half_open),
                                     cmocka_unit_test(test_half_record),
                                     cmocka_unit_test(test_no_hello),
                                     cmocka_unit_test(test_client_certificates),
                                     cmocka_unit_test(test_name_is_hashed),
                                     cmocka_unit_test(test_reload),
                                     cmocka_unit_test(test_tickets),
                                     cmocka_unit_test(test_bad_material),
                                     cmocka_unit_test(test_idle_end)};
  return cmocka_run_group_tests(tests, make_issued, drop_issued);
}
