#include "wire/client_pool.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>

#include "base/alloc.h"

struct wire_client {
  pthread_mutex_t lock; /* guards all of it */
  struct client_tls *tls;
  struct client_handle *kept;
  unsigned kept_count, kept_max;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready = CURLE_FAILED_INIT;

static void init_curl(void) {
  curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct wire_client *wire_client_new(unsigned handles_max) {
  pthread_once(&curl_once, init_curl);
  if (curl_ready != CURLE_OK) return NULL;
  struct wire_client *c = dom_calloc(1, sizeof *c);
  if (c == NULL) return NULL;
  c->kept_max = handles_max != 0 ? handles_max : WIRE_CLIENT_HANDLES_DEFAULT;
  int rc = pthread_mutex_init(&c->lock, NULL);
  assert(rc == 0);
  (void)rc;
  return c;
}

static void handle_free(struct client_handle *h) {
  assert(h != NULL);
  if (h->easy != NULL) curl_easy_cleanup(h->easy);
  if (h->multi != NULL) curl_multi_cleanup(h->multi);
  dom_free(h);
}

void wire_client_free(struct wire_client *c) {
  if (c == NULL) return;
  while (c->kept != NULL) {
    struct client_handle *h = c->kept;
    c->kept = h->next;
    handle_free(h);
    c->kept_count--;
  }
  assert(c->kept_count == 0);
  client_tls_release(c->tls);
  pthread_mutex_destroy(&c->lock);
  dom_free(c);
}

struct client_tls *client_tls_hold(struct wire_client *c) {
  assert(c != NULL);
  pthread_mutex_lock(&c->lock);
  struct client_tls *t = c->tls;
  if (t != NULL) atomic_fetch_add(&t->users, 1);
  pthread_mutex_unlock(&c->lock);
  return t;
}

void client_tls_release(struct client_tls *t) {
  if (t == NULL) return;
  unsigned before = atomic_fetch_sub(&t->users, 1);
  assert(before > 0);
  if (before > 1) return;
  buf_done(&t->authorities);
  buf_done(&t->chain);
  buf_wipe_done(&t->key);
  dom_free(t);
}

enum dom_code wire_client_tls_put(struct wire_client *c, const struct wire_client_tls *tls,
                                  struct dom_err *err) {
  assert(c != NULL && tls != NULL && (tls->chain.len == 0) == (tls->key.len == 0));
  struct client_tls *t = dom_calloc(1, sizeof *t);
  if (t == NULL) return dom_fail(err, DOM_NO_MEMORY, "wire/client: tls", "no memory");
  atomic_store(&t->users, 1);
  buf_append_slice(&t->authorities, tls->authorities);
  buf_append_slice(&t->chain, tls->chain);
  /* Reserved at once: growing would leave copies of the key behind. */
  if (buf_reserve(&t->key, tls->key.len)) buf_append_slice(&t->key, tls->key);
  if (t->authorities.failed || t->chain.failed || t->key.failed) {
    client_tls_release(t);
    return dom_fail(err, DOM_NO_MEMORY, "wire/client: tls", "no memory");
  }
  pthread_mutex_lock(&c->lock);
  struct client_tls *before = c->tls;
  c->tls = t;
  pthread_mutex_unlock(&c->lock);
  client_tls_release(before);
  return DOM_OK;
}

static struct client_handle *handle_new(void) {
  struct client_handle *h = dom_calloc(1, sizeof *h);
  if (h == NULL) return NULL;
  h->last_fd = -1;
  h->easy = curl_easy_init();
  h->multi = curl_multi_init();
  if (h->easy != NULL && h->multi != NULL) return h;
  handle_free(h);
  return NULL;
}

/* The handle's connection has something to read before anything was asked. HTTP/1.1 says nothing unasked: it
 * has ended. curl 7.88 takes the record in which TLS says so for a sign of life, and would send into the
 * void. Should curl have closed it, and the number be another's by now, a new connection costs little. */
static bool has_ended(const struct client_handle *h) {
  struct pollfd p = {.fd = h->last_fd, .events = POLLIN};
  assert(h->easy != NULL);
  return h->last_fd >= 0 && poll(&p, 1, 0) > 0;
}

/* The kept handle of `origin`; NULL: none. */
static struct client_handle *pick(struct wire_client *c, const char *origin) {
  struct client_handle **at = &c->kept;
  while (*at != NULL && strcmp((*at)->origin, origin) != 0) at = &(*at)->next;
  if (*at == NULL) return NULL;
  struct client_handle *h = *at;
  *at = h->next;
  assert(c->kept_count > 0);
  c->kept_count--;
  return h;
}

/* A handle whose connection has ended goes as a whole: whatever it keeps, curl would send into it. */
struct client_handle *client_pool_take(struct wire_client *c, const char *origin) {
  assert(c != NULL && origin != NULL);
  struct client_handle *h = NULL;
  do {
    if (h != NULL) handle_free(h);
    pthread_mutex_lock(&c->lock);
    h = pick(c, origin);
    pthread_mutex_unlock(&c->lock);
  } while (h != NULL && has_ended(h));
  if (h == NULL) h = handle_new();
  if (h == NULL) return NULL;
  snprintf(h->origin, sizeof h->origin, "%s", origin);
  return h;
}

/* Makes room for one more: takes out the handle that was kept longest, if there are as many as may be. */
static struct client_handle *make_room(struct wire_client *c) {
  assert(c->kept_count <= c->kept_max && c->kept_max > 0);
  if (c->kept_count < c->kept_max) return NULL;
  struct client_handle **at = &c->kept;
  while ((*at)->next != NULL) at = &(*at)->next;
  struct client_handle *oldest = *at;
  *at = NULL;
  c->kept_count--;
  return oldest;
}

void client_pool_give(struct wire_client *c, struct client_handle *h, bool broken) {
  assert(c != NULL && h != NULL);
  struct client_handle *gone = h;
  if (!broken) {
    curl_easy_reset(h->easy);
    pthread_mutex_lock(&c->lock);
    gone = make_room(c);
    h->next = c->kept;
    c->kept = h;
    c->kept_count++;
    pthread_mutex_unlock(&c->lock);
  }
  if (gone != NULL) handle_free(gone);
}
