#include <assert.h>
#include <poll.h>

#include "wire/conn.h"

const struct wire_head *wire_exchange_head(const struct wire_exchange *x) {
  assert(x != NULL);
  return &x->head;
}

struct slice wire_exchange_field(const struct wire_exchange *x, const char *name) {
  assert(x != NULL && name != NULL);
  return wire_head_get(&x->head, name);
}

void wire_exchange_drop(struct wire_exchange *x, bool (*drop)(struct slice name)) {
  assert(x != NULL);
  wire_head_drop(&x->head, drop);
}

unsigned wire_exchange_listener(const struct wire_exchange *x) {
  assert(x->conn != NULL);
  return x->conn->listener;
}

const char *wire_exchange_peer(struct wire_exchange *x) {
  assert(x->conn != NULL);
  if (x->peer[0] == '\0') caps_key_text(&x->conn->client, x->peer, sizeof x->peer);
  return x->peer;
}

unsigned wire_exchange_tls(const struct wire_exchange *x) {
  assert(x->conn != NULL);
  unsigned own = wire_io_tls_version(&x->conn->io);
  bool told =
      x->conn->front && slice_equal_nocase(wire_head_get(&x->head, "x-forwarded-proto"), SLICE_LIT("https"));
  return own == 0 && told ? 12 : own;
}

bool wire_exchange_certified(const struct wire_exchange *x, const char *host) {
  assert(x->conn != NULL);
  return wire_io_certified(&x->conn->io, host);
}

void wire_exchange_certified_name(const struct wire_exchange *x, char out[WIRE_TLS_NAME_SIZE]) {
  assert(x->conn != NULL);
  wire_io_certified_name(&x->conn->io, out);
}

struct arena *wire_exchange_arena(struct wire_exchange *x) {
  assert(x->worker != NULL);
  return x->worker->arena;
}

bool wire_exchange_is_put_aside(const struct wire_exchange *x) {
  assert(x != NULL);
  return x->put_aside;
}

uint64_t wire_exchange_waited_us(const struct wire_exchange *x) {
  uint64_t began_ns = x->conn->wait.began_ns;
  assert(x->worker != NULL);
  return began_ns == 0 ? 0 : (conn_now(x->worker->server) - began_ns) / 1000;
}

void wire_exchange_client_counted(const struct wire_exchange *x, uint8_t out[16]) {
  assert(x->conn != NULL);
  caps_key_counted(&x->conn->client, out);
}

bool wire_exchange_gone(const struct wire_exchange *x) {
  struct pollfd p = {.fd = x->conn->io.fd, .events = POLLRDHUP};
  assert(p.fd >= 0);
  return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0;
}

/* All of an exchange but its head, which is parsed in place. */
static void reset(struct wire_worker *w, struct wire_conn *c) {
  struct wire_exchange *x = &w->x;
  const struct wire_server_options *o = &w->server->options;
  assert(atomic_load(&c->state) == CONN_ACTIVE);
  x->worker = w;
  x->conn = c;
  x->reply = (struct exchange_reply){.phase = REPLY_NONE};
  x->keep = x->put_aside = false;
  x->peer[0] = '\0';
  wire_pace_init(&x->read_pace, o->rate_min, o->grace_ms, &w->server->slow);
  wire_pace_init(&x->write_pace, o->rate_min, o->grace_ms, &w->server->slow);
  buf_reset(&w->fields);
}

void exchange_begin(struct wire_worker *w, struct wire_conn *c) {
  reset(w, c);
  body_begin(&w->x);
  assert(w->in_pos == w->in_floor);
}

static enum exchange_end finish(struct wire_exchange *x) {
  if (wire_reply_is_open(x)) { /* a handler that forgot: the client must not wait for ever */
    wire_reply_restart(x);
    reply_error(x, 500, "The request was not answered.");
  }
  assert(x->reply.phase >= REPLY_SENDING);
  if (x->reply.phase != REPLY_DONE) return EXCHANGE_RESET;
  if (!x->keep) return EXCHANGE_LINGER;
  return body_drain(x) ? EXCHANGE_KEEP : EXCHANGE_LINGER;
}

static void give_back(struct wire_exchange *x) {
  assert(x->worker != NULL);
  wire_pace_done(&x->read_pace);
  wire_pace_done(&x->write_pace);
}

enum exchange_end exchange_finish(struct wire_exchange *x) {
  enum exchange_end end = finish(x);
  give_back(x);
  assert(end != EXCHANGE_KEEP || x->body.done);
  return end;
}

void exchange_put_aside(struct wire_exchange *x) {
  assert(x->put_aside && wire_reply_is_open(x) && x->body.taken == 0);
  give_back(x);
}

void exchange_refuse(struct wire_worker *w, struct wire_conn *c, unsigned status, const char *why) {
  assert(status >= 400 && why != NULL);
  struct wire_exchange *x = &w->x;
  memset(&x->head, 0, offsetof(struct wire_head, fields));
  x->head.minor = 1;
  reset(w, c);
  body_begin(x);
  x->reply.close = true;
  reply_error(x, status, why);
  give_back(x);
}
