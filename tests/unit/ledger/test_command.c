/* The body of `domicile verify`: exit codes, folders, receipts, and a URL on 127.0.0.1. */
#include "cli/verify.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support.h"

struct world {
  char root[200];
  char ledger_path[256], receipt_path[256], kept_path[256], keys_path[256];
  struct disk *disk;
  struct ledger *ledger;
  struct buf vkey;
};

static void write_file(const char *path, struct slice bytes) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes.data, 1, bytes.len, file), bytes.len);
  assert_int_equal(fclose(file), 0);
}

static int set_up(void **state) {
  struct world *w = test_calloc(1, sizeof *w);
  const char *tmp = getenv("TMPDIR");
  BUF_AUTO kept = BUF_INIT, payload = BUF_INIT, receipt = BUF_INIT;
  uint8_t entry[LEDGER_ENTRY_SIZE], opening[LEDGER_OPENING_SIZE];
  snprintf(w->root, sizeof w->root, "%s/ledger-command-XXXXXX", tmp ? tmp : "/tmp");
  assert_non_null(mkdtemp(w->root));
  snprintf(w->ledger_path, sizeof w->ledger_path, "%s/ledger", w->root);
  snprintf(w->receipt_path, sizeof w->receipt_path, "%s/r.tlog-proof", w->root);
  snprintf(w->kept_path, sizeof w->kept_path, "%s/kept", w->root);
  snprintf(w->keys_path, sizeof w->keys_path, "%s/keys", w->root);
  vkey_of(SEED, &w->vkey);
  OK(disk_posix_open(w->root, &w->disk, NULL));
  OK(ledger_open(w->disk, "ledger", ORIGIN, SEED, &w->ledger, NULL));
  OK(append_range(w->ledger, 0, 30, NULL));
  ledger_checkpoint(w->ledger, &kept);
  write_file(w->kept_path, buf_slice(&kept));
  OK(append_range(w->ledger, 30, 270, NULL));
  make_entry(17, entry, opening, &payload);
  OK(ledger_receipt(w->ledger, 17, opening, buf_slice(&payload), &receipt, NULL));
  write_file(w->receipt_path, buf_slice(&receipt));
  BUF_AUTO keys = BUF_INIT;
  buf_printf(&keys, "# the keys of a charter\n%s\n", buf_str(&w->vkey));
  write_file(w->keys_path, buf_slice(&keys));
  *state = w;
  return 0;
}

struct removing {
  struct disk *disk;
  const char *folder;
};

static bool remove_name(void *arg, const char *name, bool is_dir) {
  struct removing *at = arg;
  char path[400];
  snprintf(path, sizeof path, "%s%s%s", at->folder, at->folder[0] ? "/" : "", name);
  if (!is_dir) {
    OK(disk_unlink(at->disk, path, NULL));
    return true;
  }
  struct removing down = {.disk = at->disk, .folder = path};
  OK(disk_list(at->disk, path, remove_name, &down, NULL));
  OK(disk_rmdir(at->disk, path, NULL));
  return true;
}

static int tear_down(void **state) {
  struct world *w = *state;
  struct removing top = {.disk = w->disk, .folder = ""};
  ledger_close(w->ledger);
  OK(disk_list(w->disk, "", remove_name, &top, NULL));
  disk_posix_close(w->disk);
  assert_int_equal(rmdir(w->root), 0);
  buf_done(&w->vkey);
  test_free(w);
  return 0;
}

/* Runs the command with up to five arguments; NULL ends them early. */
static int run(const char *a, const char *b, const char *c, const char *d, const char *e) {
  const char *all[] = {a, b, c, d, e};
  char *argv[8] = {strdup("verify")};
  int argc = 1;
  for (size_t i = 0; i < 5 && all[i]; i++) argv[argc++] = strdup(all[i]);
  char *given[8]; /* getopt moves the pointers about */
  memcpy(given, argv, sizeof given);
  int status = cli_verify(argc, argv);
  for (int i = 0; i < argc; i++) free(given[i]);
  return status;
}

static void test_exit_codes(void **state) {
  struct world *w = *state;
  const char *key = buf_str(&w->vkey);
  assert_int_equal(run(w->ledger_path, "--vkey", key, NULL, NULL), 0);
  assert_int_equal(run("--vkey", w->keys_path, w->ledger_path, w->receipt_path, "--json"), 0);
  assert_int_equal(run(w->ledger_path, NULL, NULL, NULL, NULL), 1);
  assert_int_equal(run(w->receipt_path, "--json", NULL, NULL, NULL), 1);
  assert_int_equal(run(w->ledger_path, "--vkey", key, "--since", w->kept_path), 0);
  assert_int_equal(run(w->receipt_path, "--vkey", key, "--since", w->kept_path), 2);
  assert_int_equal(run(NULL, NULL, NULL, NULL, NULL), 2);
  assert_int_equal(run("--vkey", "a+b+c", w->ledger_path, NULL, NULL), 2);
  assert_int_equal(run("--since", w->receipt_path, w->ledger_path, NULL, NULL), 2);
  assert_int_equal(run("--no-such-flag", w->ledger_path, NULL, NULL, NULL), 2);
  assert_int_equal(run("--help", NULL, NULL, NULL, NULL), 0);
  assert_int_equal(run("/nonexistent/ledger", NULL, NULL, NULL, NULL), 3);
  assert_int_equal(run("--vkey", "/nonexistent/keys", w->ledger_path, NULL, NULL), 3);
  assert_int_equal(run(w->kept_path, "--vkey", key, NULL, NULL), 1); /* no receipt */
}

static void test_tampered(void **state) {
  struct world *w = *state;
  BUF_AUTO tile = BUF_INIT, extra = BUF_INIT;
  const char *key = buf_str(&w->vkey);
  OK(disk_read_file(w->disk, "ledger/tile/0/000", 1 << 20, &tile, NULL));
  tile.data[5000] ^= 8;
  OK(disk_replace_file(w->disk, "ledger/tile/0/000", buf_slice(&tile), NULL));
  assert_int_equal(run(w->ledger_path, "--vkey", key, NULL, NULL), 1);
  assert_int_equal(run(w->ledger_path, "/nonexistent", "--vkey", key, NULL), 1); /* the violation outweighs */
  tile.data[5000] ^= 8;
  OK(disk_replace_file(w->disk, "ledger/tile/0/000", buf_slice(&tile), NULL));
  assert_int_equal(run(w->ledger_path, "--vkey", key, NULL, NULL), 0);
  OK(disk_replace_file(w->disk, "ledger/tile/0/notes", buf_slice(&extra), NULL));
  assert_int_equal(run(w->ledger_path, "--vkey", key, NULL, NULL), 1);
}

/* A server of the ledger's public resources, one request a connection. */
struct server {
  struct ledger *ledger;
  int fd;
  uint16_t port;
  pthread_t thread;
};

static void answer(struct server *s, int fd) {
  char request[2048] = "", path[512] = "";
  size_t len = 0;
  ssize_t got;
  while (len < sizeof request - 1 && !strstr(request, "\r\n\r\n") &&
         (got = recv(fd, request + len, sizeof request - 1 - len, 0)) > 0)
    request[len += (size_t)got] = 0;
  BUF_AUTO body = BUF_INIT, reply = BUF_INIT;
  const char *type = "text/plain";
  bool immutable, found = false;
  if (sscanf(request, "GET /l/%511s HTTP/1.1", path) == 1)
    found = ledger_resource(s->ledger, path, &body, &type, &immutable, NULL) == DOM_OK;
  buf_printf(&reply, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
             found ? "200 OK" : "404 Not Found", body.len);
  buf_append_slice(&reply, buf_slice(&body));
  for (size_t sent = 0; sent < reply.len && got > 0;) {
    got = send(fd, reply.data + sent, reply.len - sent, MSG_NOSIGNAL);
    if (got > 0) sent += (size_t)got;
  }
}

static void *serve(void *arg) {
  struct server *s = arg;
  int fd;
  while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
    answer(s, fd);
    close(fd);
  }
  return NULL;
}

static void test_url(void **state) {
  struct world *w = *state;
  struct server s = {.ledger = w->ledger, .fd = socket(AF_INET, SOCK_STREAM, 0)};
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  char url[100], nowhere[100];
  assert_int_equal(bind(s.fd, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(listen(s.fd, 16), 0);
  assert_int_equal(getsockname(s.fd, (struct sockaddr *)&at, &len), 0);
  assert_int_equal(pthread_create(&s.thread, NULL, serve, &s), 0);
  snprintf(url, sizeof url, "http://127.0.0.1:%u/l/", ntohs(at.sin_port));
  snprintf(nowhere, sizeof nowhere, "http://127.0.0.1:%u/other", ntohs(at.sin_port));
  assert_int_equal(run(url, "--vkey", buf_str(&w->vkey), "--since", w->kept_path), 0);
  assert_int_equal(run(url, NULL, NULL, NULL, NULL), 1);
  assert_int_equal(run(nowhere, "--vkey", buf_str(&w->vkey), NULL, NULL), 1); /* no ledger there */
  shutdown(s.fd, SHUT_RDWR);
  close(s.fd);
  pthread_join(s.thread, NULL);
  assert_int_equal(run(url, "--vkey", buf_str(&w->vkey), NULL, NULL), 3);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {CASE(test_exit_codes), CASE(test_tampered), CASE(test_url)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
