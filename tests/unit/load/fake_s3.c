#include "fake_s3.h"

#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "etag.h"

#define OBJECTS_MAX     4096
#define CONNECTIONS_MAX 64
/* Keys of a listing's page: few, so that tests turn pages. */
#define PAGE_KEYS 5

struct object {
  char path[1100]; /* "/bucket/key", percent-encoded as it came; parts: with their query */
  struct buf body;
};

struct fake_s3 {
  int listener;
  pthread_t acceptor;
  pthread_t threads[CONNECTIONS_MAX];
  int fds[CONNECTIONS_MAX];
  size_t thread_count;
  pthread_mutex_t lock;
  struct object objects[OBJECTS_MAX];
  size_t count;
  atomic_int fault;
  atomic_uint requests;
  unsigned uploads;
};

struct exchange {
  char method[8];
  char path[1024];
  char query[1024];
  char copy_source[1100];
  struct buf body;
  struct buf answer;
};

static struct object *find(struct fake_s3 *f, const char *path) {
  for (size_t i = 0; i < f->count; i++) {
    if (strcmp(f->objects[i].path, path) == 0) return &f->objects[i];
  }
  return NULL;
}

static void store(struct fake_s3 *f, const char *path, struct slice body) {
  struct object *o = find(f, path);
  if (o == NULL) {
    assert(f->count < OBJECTS_MAX);
    o = &f->objects[f->count++];
    *o = (struct object){0};
    snprintf(o->path, sizeof o->path, "%s", path);
  }
  buf_reset(&o->body);
  buf_append_slice(&o->body, body);
}

static void drop(struct fake_s3 *f, const char *path) {
  struct object *o = find(f, path);
  if (o == NULL) return;
  buf_done(&o->body);
  *o = f->objects[--f->count];
}

static void answer(struct exchange *x, int status, const char *headers, struct slice body) {
  buf_reset(&x->answer);
  buf_printf(&x->answer, "HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\n\r\n", status, headers, body.len);
  buf_append_slice(&x->answer, body);
}

static int path_order(const void *a, const void *b) {
  return strcmp((*(struct object *const *)a)->path, (*(struct object *const *)b)->path);
}

/* The decoded value of a query's parameter ("&name="), "" when it is absent. */
static void parameter(const struct exchange *x, const char *name, struct buf *out) {
  const char *at = strstr(x->query, name);
  if (at == NULL) return;
  at += strlen(name);
  percent_decode(slice_of(at, strcspn(at, "&")), false, out);
}

/* One page of a bucket's listing; the token is the last path of the page before. */
static void list(struct fake_s3 *f, struct exchange *x) {
  BUF_AUTO plain = BUF_INIT;
  BUF_AUTO token = BUF_INIT;
  BUF_AUTO full = BUF_INIT;
  BUF_AUTO xml = BUF_INIT;
  parameter(x, "&prefix=", &plain);
  if (strncmp(x->query, "continuation-token=", 19) == 0) {
    percent_decode(slice_of(x->query + 19, strcspn(x->query + 19, "&")), false, &token);
  }
  buf_printf(&full, "%s/", x->path);
  percent_encode(&full, buf_slice(&plain), true);
  struct object *found[OBJECTS_MAX];
  size_t count = 0;
  for (size_t i = 0; i < f->count; i++) {
    const char *path = f->objects[i].path;
    bool part = strchr(path, '?') != NULL;
    bool after = strcmp(path, buf_str(&token)) > 0;
    if (!part && after && strncmp(path, buf_str(&full), full.len) == 0) found[count++] = &f->objects[i];
  }
  qsort(found, count, sizeof *found, path_order);
  bool truncated = count > PAGE_KEYS;
  if (truncated) count = PAGE_KEYS;
  buf_printf(&xml, "<ListBucketResult><IsTruncated>%s</IsTruncated>", truncated ? "true" : "false");
  if (truncated)
    buf_printf(&xml, "<NextContinuationToken>%s</NextContinuationToken>", found[count - 1]->path);
  for (size_t i = atomic_load(&f->fault) == FAKE_HIDES && token.len == 0; i < count; i++) {
    buf_printf(&xml, "<Contents><Key>%s</Key><Size>%zu</Size></Contents>",
               found[i]->path + strlen(x->path) + 1, found[i]->body.len);
  }
  buf_append_str(&xml, "</ListBucketResult>");
  answer(x, 200, "", buf_slice(&xml));
}

static void put(struct fake_s3 *f, struct exchange *x, unsigned number) {
  char name[2100], header[128], etag[ETAG_HEX];
  snprintf(name, sizeof name, "%s%s%s", x->path, x->query[0] ? "?" : "", x->query);
  if (x->copy_source[0] != '\0') {
    struct object *source = find(f, x->copy_source);
    if (source == NULL) {
      answer(x, 404, "", SLICE_LIT("<Error><Code>NoSuchKey</Code></Error>"));
      return;
    }
    BUF_AUTO copy = BUF_INIT;
    buf_append_slice(&copy, buf_slice(&source->body));
    store(f, name, buf_slice(&copy));
    answer(x, 200, "", SLICE_LIT("<CopyObjectResult></CopyObjectResult>"));
    return;
  }
  bool lose = atomic_load(&f->fault) == FAKE_LOSES_PUT && number % 10 == 0;
  if (!lose) store(f, name, buf_slice(&x->body));
  etag_of(buf_slice(&x->body), etag);
  snprintf(header, sizeof header, "ETag: \"%s\"\r\nx-domicile-met: copying\r\n", etag);
  answer(x, 200, header, SLICE_LIT(""));
}

static void post(struct fake_s3 *f, struct exchange *x) {
  char text[2100];
  if (strcmp(x->query, "uploads=") == 0) {
    snprintf(text, sizeof text, "<R><UploadId>id-%u</UploadId></R>", ++f->uploads);
    answer(x, 200, "", slice_str(text));
    return;
  }
  BUF_AUTO whole = BUF_INIT;
  for (unsigned part = 1;; part++) {
    snprintf(text, sizeof text, "%s?partNumber=%u&%s", x->path, part, x->query);
    struct object *o = find(f, text);
    if (o == NULL) break;
    buf_append_slice(&whole, buf_slice(&o->body));
    drop(f, text);
  }
  store(f, x->path, buf_slice(&whole));
  answer(x, 200, "", SLICE_LIT("<CompleteMultipartUploadResult></CompleteMultipartUploadResult>"));
}

static void get(struct fake_s3 *f, struct exchange *x) {
  struct object *o = find(f, x->path);
  if (o == NULL) {
    answer(x, 404, "", SLICE_LIT("<Error><Code>NoSuchKey</Code></Error>"));
    return;
  }
  answer(x, 200, "", buf_slice(&o->body));
  if (atomic_load(&f->fault) == FAKE_MIXES_UP) x->answer.data[x->answer.len - 1] ^= 1;
}

static void respond(struct fake_s3 *f, struct exchange *x) {
  unsigned number = atomic_fetch_add(&f->requests, 1);
  int fault = atomic_load(&f->fault);
  bool bucket_only = strchr(x->path + 1, '/') == NULL;
  pthread_mutex_lock(&f->lock);
  if (fault == FAKE_UNAVAILABLE && number % 10 == 0) {
    answer(x, 503, "", SLICE_LIT("<Error><Code>SlowDown</Code></Error>"));
  } else if (fault == FAKE_REFUSES && strcmp(x->method, "GET") == 0) {
    answer(x, 451, "", SLICE_LIT("<Error><Code>ResidencyViolation</Code></Error>"));
  } else if (strcmp(x->method, "PUT") == 0) {
    put(f, x, number);
  } else if (strcmp(x->method, "POST") == 0) {
    post(f, x);
  } else if (strcmp(x->method, "DELETE") == 0) {
    if (fault != FAKE_KEEPS_DELETED) drop(f, x->path);
    answer(x, 204, "", SLICE_LIT(""));
  } else if (bucket_only) {
    list(f, x);
  } else {
    get(f, x);
  }
  pthread_mutex_unlock(&f->lock);
}

/* Reads one request. Returns: false when the connection ended. */
static bool receive(int fd, struct exchange *x) {
  char head[8192];
  size_t len = 0;
  char *end = NULL;
  while (end == NULL) {
    ssize_t got = len < sizeof head - 1 ? recv(fd, head + len, 1, 0) : 0;
    if (got <= 0) return false;
    len += (size_t)got;
    head[len] = '\0';
    if (len >= 4) end = strcmp(head + len - 4, "\r\n\r\n") == 0 ? head + len : NULL;
  }
  char target[2100];
  if (sscanf(head, "%7s %2047s", x->method, target) != 2) return false;
  char *query = strchr(target, '?');
  snprintf(x->query, sizeof x->query, "%s", query == NULL ? "" : query + 1);
  if (query != NULL) *query = '\0';
  snprintf(x->path, sizeof x->path, "%.1000s", target);
  x->copy_source[0] = '\0';
  const char *source = strstr(head, "x-amz-copy-source: ");
  if (source != NULL) sscanf(source + 19, "%1099s", x->copy_source);
  const char *length = strcasestr(head, "content-length: ");
  size_t left = length == NULL ? 0 : (size_t)strtoull(length + 16, NULL, 10);
  buf_reset(&x->body);
  if (!buf_reserve(&x->body, left + 1)) return false;
  while (x->body.len < left) {
    ssize_t got = recv(fd, x->body.data + x->body.len, left - x->body.len, 0);
    if (got <= 0) return false;
    x->body.len += (size_t)got;
  }
  return true;
}

struct serve_argument {
  struct fake_s3 *fake;
  int fd;
};

static void *serve(void *argument) {
  struct serve_argument *a = argument;
  struct exchange *x = calloc(1, sizeof *x);
  assert(x != NULL);
  while (receive(a->fd, x)) {
    respond(a->fake, x);
    if (send(a->fd, x->answer.data, x->answer.len, MSG_NOSIGNAL) != (ssize_t)x->answer.len) break;
  }
  shutdown(a->fd, SHUT_RDWR);
  buf_done(&x->body);
  buf_done(&x->answer);
  free(x);
  free(a);
  return NULL;
}

static void *accept_all(void *argument) {
  struct fake_s3 *f = argument;
  for (;;) {
    int fd = accept(f->listener, NULL, NULL);
    if (fd < 0) return NULL;
    assert(f->thread_count < CONNECTIONS_MAX);
    struct serve_argument *a = malloc(sizeof *a);
    assert(a != NULL);
    *a = (struct serve_argument){.fake = f, .fd = fd};
    f->fds[f->thread_count] = fd;
    int code = pthread_create(&f->threads[f->thread_count++], NULL, serve, a);
    assert(code == 0);
  }
}

struct fake_s3 *fake_s3_start(struct endpoint *out) {
  struct fake_s3 *f = calloc(1, sizeof *f);
  assert(f != NULL);
  pthread_mutex_init(&f->lock, NULL);
  f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  int code = bind(f->listener, (struct sockaddr *)&address, len) | listen(f->listener, CONNECTIONS_MAX) |
             getsockname(f->listener, (struct sockaddr *)&address, &len);
  assert(code == 0);
  char url[64];
  snprintf(url, sizeof url, "fake=http://127.0.0.1:%u", ntohs(address.sin_port));
  bool ok = endpoint_parse(url, out);
  assert(ok);
  code = pthread_create(&f->acceptor, NULL, accept_all, f);
  assert(code == 0);
  return f;
}

void fake_s3_set_fault(struct fake_s3 *f, enum fake_fault fault) {
  atomic_store(&f->fault, (int)fault);
}

void fake_s3_stop(struct fake_s3 *f) {
  shutdown(f->listener, SHUT_RDWR);
  pthread_join(f->acceptor, NULL);
  close(f->listener);
  for (size_t i = 0; i < f->thread_count; i++) {
    shutdown(f->fds[i], SHUT_RDWR);
    pthread_join(f->threads[i], NULL);
    close(f->fds[i]);
  }
  for (size_t i = 0; i < f->count; i++) buf_done(&f->objects[i].body);
  pthread_mutex_destroy(&f->lock);
  free(f);
}
