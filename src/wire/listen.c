#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "wire/conn.h"

enum {
  ADDRESS_TEXT_MAX = 300, /* a DNS name has at most 253 bytes, then brackets and port */
  BACKLOG = 1024          /* the kernel cuts it to its own limit */
};

static void close_fd(int *fd) {
  assert(fd != NULL);
  if (*fd >= 0) close(*fd);
}
#define FD_AUTO __attribute__((cleanup(close_fd))) int

/* "ADDR:PORT" or "[ADDR]:PORT" in two texts. */
static bool split_address(const char *address, char host[ADDRESS_TEXT_MAX], char port[8]) {
  const char *colon = strrchr(address, ':');
  if (colon == NULL || colon == address || strlen(colon + 1) > 5 || colon[1] == '\0') return false;
  uint64_t number = 0; /* getaddrinfo would take 65536 + N for N */
  if (slice_to_u64(slice_str(colon + 1), &number) != DOM_OK || number > UINT16_MAX) return false;
  size_t len = (size_t)(colon - address);
  const char *from = address;
  if (len > 2 && from[0] == '[' && from[len - 1] == ']') {
    from++;
    len -= 2;
  } else if (memchr(from, ':', len) != NULL) {
    return false; /* a bare IPv6 address: where does the port begin? */
  }
  if (len >= ADDRESS_TEXT_MAX) return false;
  memcpy(host, from, len);
  host[len] = '\0';
  snprintf(port, 8, "%s", colon + 1);
  assert(host[0] != '\0');
  return true;
}

static void free_addresses(struct addrinfo **list) {
  assert(list != NULL);
  if (*list != NULL) freeaddrinfo(*list);
}

static enum dom_code resolve(const char *address, struct addrinfo **out, struct dom_err *err) {
  char host[ADDRESS_TEXT_MAX], port[8];
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
  assert(address != NULL && out != NULL);
  if (!split_address(address, host, port))
    return dom_fail(err, DOM_INVALID, "wire/listen: address", "%s is not ADDR:PORT", address);
  int rc = getaddrinfo(host, port, &hints, out);
  if (rc != 0) return dom_fail(err, DOM_INVALID, "wire/listen: address", "%s: %s", address, gai_strerror(rc));
  return DOM_OK;
}

static bool is_loopback(const struct sockaddr *a) {
  if (a->sa_family == AF_INET) {
    struct sockaddr_in v4;
    memcpy(&v4, a, sizeof v4);
    return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
  }
  struct sockaddr_in6 v6;
  assert(a->sa_family == AF_INET6);
  memcpy(&v6, a, sizeof v6);
  return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

bool wire_address_is_loopback(const char *address) {
  __attribute__((cleanup(free_addresses))) struct addrinfo *list = NULL;
  assert(address != NULL);
  if (resolve(address, &list, NULL) != DOM_OK) return false;
  for (const struct addrinfo *a = list; a != NULL; a = a->ai_next)
    if (!is_loopback(a->ai_addr)) return false;
  return list != NULL;
}

static enum dom_code fail_bind(const char *address, struct dom_err *err) {
  assert(errno != 0);
  if (errno == EADDRINUSE)
    return dom_fail(err, DOM_BUSY, "wire/listen: bind", "%s is in use by another program", address);
  if (errno == EADDRNOTAVAIL)
    return dom_fail(err, DOM_INVALID, "wire/listen: bind", "%s is no address of this machine", address);
  return dom_fail(err, DOM_IO, "wire/listen: bind", "cannot listen on %s", address);
}

static unsigned bound_port(int fd) {
  struct sockaddr_storage a = {0};
  socklen_t len = sizeof a;
  int rc = getsockname(fd, (struct sockaddr *)&a, &len);
  assert(rc == 0);
  (void)rc;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
  memcpy(&v4, &a, sizeof v4);
  memcpy(&v6, &a, sizeof v6);
  return ntohs(a.ss_family == AF_INET ? v4.sin_port : v6.sin6_port);
}

static enum dom_code add(struct wire_server *s, struct wire_listener l, unsigned *out, struct dom_err *err) {
  assert(l.fd >= 0 && !s->started);
  if (s->listener_count == WIRE_LISTENERS_MAX)
    return dom_fail(err, DOM_TOO_LARGE, "wire/listen: add", "more than %d listeners", WIRE_LISTENERS_MAX);
  *out = s->listener_count;
  s->listeners[s->listener_count++] = l;
  return DOM_OK;
}

enum dom_code wire_server_listen_tcp(struct wire_server *s, const char *address, unsigned *out_listener,
                                     struct dom_err *err) {
  assert(s != NULL && !s->started && out_listener != NULL);
  __attribute__((cleanup(free_addresses))) struct addrinfo *list = NULL;
  enum dom_code c = resolve(address, &list, err);
  if (c != DOM_OK) return c;
  FD_AUTO fd = socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int on = 1;
  if (fd < 0) return dom_fail(err, DOM_IO, "wire/listen: socket", "cannot listen on %s", address);
  /* A restarted server takes its port back while old connections are still in TIME_WAIT. */
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (list->ai_family == AF_INET6) (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (bind(fd, list->ai_addr, list->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)
    return fail_bind(address, err);
  c = add(s, (struct wire_listener){.fd = fd, .tcp = true, .port = bound_port(fd)}, out_listener, err);
  if (c == DOM_OK) fd = -1;
  return c;
}

/* A socket file left behind by a killed process may go; anything else may not. */
static enum dom_code clear_stale(const char *path, const struct sockaddr_un *a, struct dom_err *err) {
  struct stat st;
  if (lstat(path, &st) != 0) return DOM_OK;
  if (!S_ISSOCK(st.st_mode))
    return dom_fail(err, DOM_INVALID, "wire/listen: unix", "%s is there and no socket", path);
  FD_AUTO probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return dom_fail(err, DOM_IO, "wire/listen: unix", "cannot listen on %s", path);
  if (connect(probe, (const struct sockaddr *)a, sizeof *a) == 0)
    return dom_fail(err, DOM_BUSY, "wire/listen: unix", "%s is in use by another process", path);
  assert(errno != EBADF);
  if (unlink(path) != 0) return dom_fail(err, DOM_IO, "wire/listen: unix", "cannot replace %s", path);
  return DOM_OK;
}

enum dom_code wire_server_listen_unix(struct wire_server *s, const char *path, unsigned *out_listener,
                                      struct dom_err *err) {
  assert(s != NULL && !s->started && path != NULL && out_listener != NULL);
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  if (path[0] == '\0' || strlen(path) >= sizeof a.sun_path)
    return dom_fail(err, DOM_INVALID, "wire/listen: unix", "socket path longer than %zu bytes: %s",
                    sizeof a.sun_path - 1, path);
  memcpy(a.sun_path, path, strlen(path) + 1);
  enum dom_code c = clear_stale(path, &a, err);
  if (c != DOM_OK) return c;
  FD_AUTO fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return dom_fail(err, DOM_IO, "wire/listen: socket", "cannot listen on %s", path);
  /* Nobody can connect before listen: the mode is in force from the first moment. */
  if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || chmod(path, 0600) != 0 || listen(fd, BACKLOG) != 0)
    return fail_bind(path, err);
  AUTO_FREE char *copy = dom_strdup(path);
  if (copy == NULL) return dom_fail(err, DOM_NO_MEMORY, "wire/listen: unix", "no memory");
  c = add(s, (struct wire_listener){.fd = fd, .path = copy}, out_listener, err);
  if (c != DOM_OK) return c;
  fd = -1;
  copy = NULL;
  return DOM_OK;
}

void wire_server_listener_tls(struct wire_server *s, unsigned listener) {
  assert(!s->started && listener < s->listener_count && s->listeners[listener].tcp);
  s->listeners[listener].tls = true;
}

void wire_server_tls_put(struct wire_server *s, struct wire_tls *tls_take) {
  assert(s != NULL && tls_take != NULL);
  pthread_mutex_lock(&s->lock);
  struct wire_tls *before = s->tls;
  s->tls = tls_take;
  pthread_mutex_unlock(&s->lock);
  wire_tls_release(before);
}

unsigned wire_server_port(const struct wire_server *s, unsigned listener) {
  assert(s != NULL && listener < s->listener_count);
  return s->listeners[listener].port;
}
