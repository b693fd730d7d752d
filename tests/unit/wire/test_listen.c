/* Listeners: addresses, busy ports, unix sockets, and which one a request came by. */
#include "wire_testing.h"

#include <sys/stat.h>
#include <sys/un.h>

static void handle(struct wire_exchange *x, void *arg) {
  BUF_AUTO text = BUF_INIT;
  (void)arg;
  buf_printf(&text, "by %u from %s", wire_exchange_listener(x), wire_exchange_peer(x));
  (void)wire_reply(x, 200, buf_slice(&text), NULL);
}

static const struct wire_server_options few = {.workers = 2};

static struct wire_server *new_server(void) {
  struct wire_server *s = NULL;
  struct dom_err err = {0};
  assert_int_equal(wire_server_new(&few, handle, NULL, &s, &err), DOM_OK);
  return s;
}

static void expect_reply(int fd, const char *part) {
  struct heard h;
  heard_init(&h);
  say(fd, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  hear_all(fd, &h);
  expect_part(&h, part);
  heard_done(&h);
  close(fd);
}

static int dial_unix(const char *path) {
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
  assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
  return fd;
}

static char folder[64], path[96];

static int make_folder(void **state) {
  (void)state;
  const char *tmp = getenv("TMPDIR");
  snprintf(folder, sizeof folder, "%s/wire-XXXXXX", tmp != NULL && strlen(tmp) < 40 ? tmp : "/tmp");
  if (mkdtemp(folder) == NULL) return -1;
  snprintf(path, sizeof path, "%s/admin.sock", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  (void)unlink(path);
  return rmdir(folder);
}

static void test_several(void **state) {
  (void)state;
  struct wire_server *s = new_server();
  struct dom_err err = {0};
  unsigned first, second, third;
  assert_int_equal(wire_server_listen_tcp(s, "127.0.0.1:0", &first, &err), DOM_OK);
  assert_int_equal(wire_server_listen_unix(s, path, &second, &err), DOM_OK);
  assert_int_equal(wire_server_listen_tcp(s, "127.0.0.1:0", &third, &err), DOM_OK);
  assert_int_equal(wire_server_start(s, &err), DOM_OK);
  struct stat st;
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  assert_int_equal(wire_server_port(s, second), 0);
  assert_int_not_equal(wire_server_port(s, first), wire_server_port(s, third));
  expect_reply(dial(wire_server_port(s, first)), "by 0 from 127.0.0.1");
  expect_reply(dial_unix(path), "by 1 from unix");
  expect_reply(dial(wire_server_port(s, third)), "by 2 from 127.0.0.1");
  wire_server_close(s);
  assert_int_not_equal(stat(path, &st), 0);
}

static void test_busy_port(void **state) {
  (void)state;
  struct wire_server *a = new_server(), *b = new_server();
  struct dom_err err = {0};
  unsigned listener;
  char address[32];
  assert_int_equal(wire_server_listen_tcp(a, "127.0.0.1:0", &listener, &err), DOM_OK);
  snprintf(address, sizeof address, "127.0.0.1:%u", wire_server_port(a, listener));
  assert_int_equal(wire_server_listen_tcp(b, address, &listener, &err), DOM_BUSY);
  assert_non_null(strstr(err.text, address));
  wire_server_close(a);
  wire_server_close(b);
}

static void test_ipv6(void **state) {
  (void)state;
  struct wire_server *s = new_server();
  struct dom_err err = {0};
  unsigned listener;
  int probe = socket(AF_INET6, SOCK_STREAM, 0);
  struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  if (probe < 0 || bind(probe, (struct sockaddr *)&a, sizeof a) != 0) {
    print_message("this machine has no IPv6 loopback\n");
    if (probe >= 0) close(probe);
    wire_server_close(s);
    skip();
  }
  close(probe);
  assert_int_equal(wire_server_listen_tcp(s, "[::1]:0", &listener, &err), DOM_OK);
  assert_int_equal(wire_server_start(s, &err), DOM_OK);
  int fd = socket(AF_INET6, SOCK_STREAM, 0);
  a.sin6_port = htons((uint16_t)wire_server_port(s, listener));
  assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
  expect_reply(fd, "from ::1");
  wire_server_close(s);
}

static void test_bad_addresses(void **state) {
  (void)state;
  static const char *const bad[] = {
      "",    "127.0.0.1:65536", "127.0.0.1:99999",  ":",      "127.0.0.1",    "127.0.0.1:",
      ":80", "127.0.0.1:x",     "127.0.0.1:123456", "::1:80", "256.0.0.1:80", "127.0.0.1:-1"};
  struct wire_server *s = new_server();
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct dom_err err = {0};
    unsigned listener;
    if (wire_server_listen_tcp(s, bad[i], &listener, &err) != DOM_INVALID) fail_msg("accepted %s", bad[i]);
  }
  wire_server_close(s);
}

static void test_loopback(void **state) {
  (void)state;
  assert_true(wire_address_is_loopback("127.0.0.1:80"));
  assert_true(wire_address_is_loopback("127.9.9.9:0"));
  assert_true(wire_address_is_loopback("[::1]:80"));
  assert_true(wire_address_is_loopback("localhost:80"));
  assert_false(wire_address_is_loopback("0.0.0.0:80"));
  assert_false(wire_address_is_loopback("192.0.2.1:80"));
  assert_false(wire_address_is_loopback("[::]:80"));
  assert_false(wire_address_is_loopback("nonsense"));
}

static void test_unix_paths(void **state) {
  (void)state;
  struct wire_server *a = new_server(), *b = new_server();
  struct dom_err err = {0};
  unsigned listener;
  char longer[200];
  memset(longer, 'x', sizeof longer - 1);
  longer[sizeof longer - 1] = '\0';
  assert_int_equal(wire_server_listen_unix(a, longer, &listener, &err), DOM_INVALID);
  err = (struct dom_err){0};
  assert_int_equal(wire_server_listen_unix(a, path, &listener, &err), DOM_OK);
  assert_int_equal(wire_server_listen_unix(b, path, &listener, &err), DOM_BUSY);
  wire_server_close(a);

  /* A socket file that nobody answers is a killed process's: it is replaced. */
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un stale = {.sun_family = AF_UNIX};
  snprintf(stale.sun_path, sizeof stale.sun_path, "%s", path);
  assert_int_equal(bind(fd, (struct sockaddr *)&stale, sizeof stale), 0);
  close(fd);
  err = (struct dom_err){0};
  assert_int_equal(wire_server_listen_unix(b, path, &listener, &err), DOM_OK);
  wire_server_close(b);

  /* Anything else is left alone. */
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fclose(f);
  struct wire_server *c = new_server();
  err = (struct dom_err){0};
  assert_int_equal(wire_server_listen_unix(c, path, &listener, &err), DOM_INVALID);
  struct stat st;
  assert_int_equal(stat(path, &st), 0);
  wire_server_close(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_several),  cmocka_unit_test(test_busy_port),
                                     cmocka_unit_test(test_ipv6),     cmocka_unit_test(test_bad_addresses),
                                     cmocka_unit_test(test_loopback), cmocka_unit_test(test_unix_paths)};
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
