/* The null handler: the server's own front (wire, auth, sealed frames) with nothing behind it. It verifies
 * signatures and bodies, seals what it is given, opens and checks what it hands out; it has no index, log,
 * charter, permit or disk. What the server does in its time is the server's whole own cost, so a ratio to it
 * shows what store and rules take. Loopback, for bench/s3 only.
 *
 * usage: bench-null PORT   (key from DOMICILE_LOAD_KEY; prints "listening on PORT"; ends with stdin) */
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/auth.h"
#include "base/alloc.h"
#include "store/local/frame.h"
#include "wire/wire.h"

/* Chains of the table of objects: a cell holds at most some thousands. */
#define CHAINS 16384
/* Bytes moved by one call, as the server's (serve/region.h). */
#define CHUNK ((size_t)256 << 10)

struct object {
  struct object *next;
  char *name;
  uint8_t *sealed;
  uint64_t size; /* plaintext */
  uint8_t id[KEY_SIZE];
  char etag[2 * MD5_SIZE + 3];
  unsigned users; /* the table and readers; under the lock */
};

struct null {
  struct wire_server *server;
  struct auth_verifier *verifier;
  struct auth_keys *keys;
  uint8_t key[KEY_SIZE]; /* the data key that objects' own keys come from */
  pthread_mutex_t lock;
  struct object *chains[CHAINS];
};

static _Noreturn void die(const char *what, const struct dom_err *err) {
  fprintf(stderr, "bench-null: %s: %s\n", what, err ? err->text : "");
  exit(3);
}

/* ---- the table --------------------------------------------------------------------------- */

static struct object **chain_of(struct null *n, struct slice name) {
  uint64_t hash = 14695981039346656037U; /* FNV-1a */
  for (size_t i = 0; i < name.len; i++) hash = (hash ^ name.data[i]) * 1099511628211U;
  return &n->chains[hash % CHAINS];
}

static void object_free(struct object *o) {
  if (!o) return;
  free(o->name);
  free(o->sealed);
  free(o);
}

static void object_release(struct null *n, struct object *o) {
  pthread_mutex_lock(&n->lock);
  assert(o->users > 0);
  bool last = --o->users == 0;
  pthread_mutex_unlock(&n->lock);
  if (last) object_free(o);
}

static struct object *object_find(struct null *n, struct slice name) {
  pthread_mutex_lock(&n->lock);
  struct object *o = *chain_of(n, name);
  while (o && !slice_equal(slice_str(o->name), name)) o = o->next;
  if (o) o->users++;
  pthread_mutex_unlock(&n->lock);
  return o;
}

/* Puts `with` (NULL: nothing) in the place of what has that name. */
static void object_replace_take(struct null *n, struct slice name, struct object *with) {
  assert(!with || with->users == 1);
  pthread_mutex_lock(&n->lock);
  struct object **at = chain_of(n, name);
  while (*at && !slice_equal(slice_str((*at)->name), name)) at = &(*at)->next;
  struct object *old = *at;
  if (old) *at = old->next;
  if (with) {
    with->next = *at;
    *at = with;
  }
  bool last = old && --old->users == 0;
  pthread_mutex_unlock(&n->lock);
  if (last) object_free(old);
}

/* ---- PUT ----------------------------------------------------------------------------------- */

static void derive(const struct null *n, const struct object *o, uint8_t out[KEY_SIZE]) {
  hkdf_sha256(n->key, slice_of(o->id, sizeof o->id), out);
}

/* A body on its way: hashed as the server hashes, sealed frame by frame. */
struct intake {
  struct object *o;
  uint8_t key[KEY_SIZE];
  uint8_t frame[FRAME_PLAIN];
  size_t fill;
  uint64_t taken, counter;
  struct hash *md5, *sha;
};

static bool seal_frame(struct intake *in) {
  assert(in->fill > 0 && in->fill <= FRAME_PLAIN);
  bool last = in->taken == in->o->size;
  uint8_t *to = in->o->sealed + in->counter * FRAME_SEALED;
  struct slice plain = slice_of(in->frame, in->fill);
  in->fill = 0;
  return frame_seal(in->key, SLICE_LIT(""), in->counter++, last, plain, to, NULL) == DOM_OK;
}

static bool take_bytes(struct intake *in, struct slice data) {
  if (data.len > in->o->size - in->taken) return false;
  hash_update(in->md5, data.data, data.len);
  hash_update(in->sha, data.data, data.len);
  while (data.len > 0) {
    size_t room = FRAME_PLAIN - in->fill, len = data.len < room ? data.len : room;
    memcpy(in->frame + in->fill, data.data, len);
    in->fill += len;
    in->taken += len;
    data = slice_cut(data, len, data.len);
    if ((in->fill == FRAME_PLAIN || in->taken == in->o->size) && !seal_frame(in)) return false;
  }
  return true;
}

/* Reads the whole body. False: it is not what the head promised, or did not come. */
static bool read_body(struct wire_exchange *x, struct auth_body *body, struct intake *in) {
  AUTO_FREE uint8_t *chunk = dom_alloc(CHUNK);
  size_t got = 1;
  while (chunk && got > 0) {
    if (wire_body_read(x, chunk, CHUNK, &got, NULL)) return false;
    for (size_t done = 0, used = 0; done < got; done += used) {
      struct slice data = {0};
      if (auth_body_feed(body, slice_of(chunk + done, got - done), &used, &data)) return false;
      if (data.len > 0 && !take_bytes(in, data)) return false;
    }
  }
  return chunk && auth_body_end(body) == AUTH_OK && in->taken == in->o->size;
}

static struct object *object_new(struct slice name, uint64_t size) {
  struct object *o = calloc(1, sizeof *o);
  assert(o && size <= SIZE_MAX / 2);
  *o = (struct object){.name = strndup((const char *)name.data, name.len),
                       .sealed = malloc((size_t)frames_size(size) + 1),
                       .size = size,
                       .users = 1};
  assert(o->name && o->sealed);
  random_bytes(o->id, sizeof o->id);
  return o;
}

static void put(struct null *n, struct wire_exchange *x, const struct auth_result *who) {
  uint64_t size = who->decoded_length;
  struct auth_body *body = NULL;
  if ((!who->has_decoded_length && !wire_body_length(x, &size)) || auth_body_new(who, &body)) {
    wire_reply(x, 411, SLICE_LIT(""), NULL);
    return;
  }
  struct slice name = wire_exchange_head(x)->path;
  struct intake *in = calloc(1, sizeof *in);
  assert(in);
  in->o = object_new(name, size);
  in->md5 = hash_new(HASH_MD5);
  in->sha = hash_new(HASH_SHA256);
  derive(n, in->o, in->key);
  uint8_t md5[MD5_SIZE], sha[SHA256_SIZE];
  bool ok = read_body(x, body, in);
  hash_final(in->md5, md5);
  hash_final(in->sha, sha);
  for (size_t i = 0; i < sizeof md5; i++) snprintf(in->o->etag + 1 + 2 * i, 3, "%02x", md5[i]);
  in->o->etag[0] = in->o->etag[2 * MD5_SIZE + 1] = '"';
  wire_reply_field_str(x, "ETag", in->o->etag);
  if (ok)
    object_replace_take(n, name, in->o);
  else
    object_free(in->o);
  wire_reply(x, ok ? 200 : 400, SLICE_LIT(""), NULL);
  hash_free(in->md5);
  hash_free(in->sha);
  free(in);
  auth_body_free(body);
}

/* ---- GET ------------------------------------------------------------------------------------- */

static enum dom_code read_sealed(void *arg, uint64_t offset, uint8_t *out, size_t len, struct dom_err *err) {
  (void)err;
  memcpy(out, (const uint8_t *)arg + offset, len);
  return DOM_OK;
}

static void send_object(const struct null *n, struct wire_exchange *x, const struct object *o) {
  uint8_t key[KEY_SIZE];
  AUTO_FREE uint8_t *chunk = dom_alloc(o->size < CHUNK ? (size_t)o->size + 1 : CHUNK);
  assert(chunk);
  derive(n, o, key);
  wire_reply_field_str(x, "ETag", o->etag);
  wire_reply_begin(x, 200, o->size);
  for (uint64_t at = 0; at < o->size;) {
    size_t len = o->size - at < CHUNK ? (size_t)(o->size - at) : CHUNK;
    struct frame_source from = {read_sealed, o->sealed};
    if (frames_read(key, SLICE_LIT(""), o->size, from, at, chunk, len, NULL)) {
      wire_reply_abort(x);
      return;
    }
    if (wire_reply_write(x, chunk, len, NULL)) return;
    at += len;
  }
  wire_reply_end(x, NULL);
}

static void get(struct null *n, struct wire_exchange *x) {
  struct object *o = object_find(n, wire_exchange_head(x)->path);
  if (!o) {
    wire_reply(x, 404, SLICE_LIT(""), NULL);
    return;
  }
  send_object(n, x, o);
  object_release(n, o);
}

/* ---- requests ---------------------------------------------------------------------------------- */

static bool verify(struct null *n, struct wire_exchange *x, struct auth_result *out) {
  const struct wire_head *h = wire_exchange_head(x);
  struct auth_header headers[WIRE_FIELDS_MAX];
  for (size_t i = 0; i < h->field_count; i++)
    headers[i] = (struct auth_header){.name = h->fields[i].name, .value = h->fields[i].value};
  struct auth_request request = {.method = h->method_text,
                                 .raw_path = h->path,
                                 .raw_query = h->query,
                                 .headers = headers,
                                 .header_count = h->field_count,
                                 .now_ms = clock_wall_ms(clock_posix())};
  return auth_verify_head(n->verifier, &request, wire_exchange_arena(x), out) == AUTH_OK &&
         out->scheme != AUTH_ANONYMOUS && auth_result_is_proven(out);
}

static void handle(struct wire_exchange *x, void *arg) {
  struct null *n = arg;
  struct auth_result who = {0};
  const struct wire_head *h = wire_exchange_head(x);
  if (!verify(n, x, &who)) {
    wire_reply(x, 403, SLICE_LIT(""), NULL);
  } else if (h->method == WIRE_METHOD_PUT && memchr(h->path.data + 1, '/', h->path.len - 1)) {
    put(n, x, &who);
  } else if (h->method == WIRE_METHOD_PUT) { /* the bucket */
    wire_reply(x, 200, SLICE_LIT(""), NULL);
  } else if (h->method == WIRE_METHOD_DELETE) {
    object_replace_take(n, h->path, NULL);
    wire_reply(x, 204, SLICE_LIT(""), NULL);
  } else {
    get(n, x);
  }
}

int main(int argc, char **argv) {
  const char *key = getenv("DOMICILE_LOAD_KEY");
  if (argc != 2 || !key) {
    fprintf(stderr, "usage: DOMICILE_LOAD_KEY=ACCESS:SECRET bench-null PORT\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  static struct null n = {.lock = PTHREAD_MUTEX_INITIALIZER};
  struct dom_err err = {0};
  struct auth_key_spec spec = {.text = slice_str(key)};
  random_bytes(n.key, sizeof n.key);
  n.keys = auth_keys_new();
  if (!n.keys || auth_keys_replace(n.keys, &spec, 1, &err)) die("key", &err);
  n.verifier = auth_verifier_new(&(struct auth_config){.lookup = auth_keys_find, .lookup_context = n.keys});
  char address[64];
  unsigned listener = 0;
  snprintf(address, sizeof address, "127.0.0.1:%s", argv[1]);
  if (!n.verifier || wire_server_new(&(struct wire_server_options){0}, handle, &n, &n.server, &err) ||
      wire_server_listen_tcp(n.server, address, &listener, &err) || wire_server_start(n.server, &err))
    die("server", &err);
  printf("listening on %u\n", wire_server_port(n.server, listener));
  fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  wire_server_close(n.server);
  auth_verifier_free(n.verifier);
  auth_keys_free(n.keys);
  for (size_t i = 0; i < CHAINS; i++) {
    for (struct object *o = n.chains[i], *next; o; o = next) {
      next = o->next;
      object_free(o);
    }
  }
  return 0;
}
