#include "regions.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/crypto.h"

static const char *const NAMES[REGIONS_MAX] = {"cn", "sg", "us", "in"};
static const char *const CHARTERS[] = {"1-2014-beijing.yaml", "2-singapore-and-us.yaml", "3-india.yaml"};

static const char *program(void) {
  const char *path = getenv("DOMICILE");
  assert_non_null(path);
  return path;
}

struct scratch_path regions_path(const struct regions *d, const char *name) {
  return scratch_at(&d->folder, name);
}

/* ---- processes --------------------------------------------------------------------------- */

/* Starts argv with stdout in a pipe, and stderr in it too or, if `log` is given, behind that file. Returns
 * the pid; *out reads. */
static pid_t spawn(const char *const *argv, const char *log, int *out) {
  int ends[2];
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that dies leaves nobody behind */
    int quiet = open("/dev/null", O_RDWR);
    dup2(quiet, 0);
    dup2(ends[1], 1);
    dup2(log ? open(log, O_WRONLY | O_APPEND | O_CREAT, 0600) : ends[1], 2);
    execv(argv[0], (char *const *)argv);
    _exit(127);
  }
  close(ends[1]);
  *out = ends[0];
  return pid;
}

static int wait_for(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) assert_int_equal(errno, EINTR);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Reads to the end; `line`: only to the first newline. */
static void read_pipe(int fd, bool line, struct buf *out) {
  char c[512];
  for (;;) {
    ssize_t n = read(fd, c, line ? 1 : sizeof c);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    if (out) buf_append(out, c, (size_t)n);
    if (line && c[0] == '\n') return;
  }
}

int regions_run(struct buf *out, const char *const *argv) {
  int fd;
  pid_t pid = spawn(argv, NULL, &fd);
  read_pipe(fd, false, out);
  close(fd);
  return wait_for(pid);
}

int regions_refused(struct regions *d, struct buf *out, const char *const *argv) {
  const char *all[32] = {program(), "serve"};
  size_t n = 2;
  (void)d;
  for (; argv[n - 2]; n++) all[n] = argv[n - 2];
  return regions_run(out, all);
}

void regions_start(struct regions *d, size_t i, const char *flag, const char *value) {
  struct region_process *r = &d->at[i];
  char name[32];
  snprintf(name, sizeof name, "%s.yaml", r->name);
  struct scratch_path config = regions_path(d, name);
  const char *argv[] = {program(), "serve", "--config", config.text, flag, value, NULL};
  assert_int_equal(r->pid, 0);
  snprintf(name, sizeof name, "%s.log", r->name);
  struct scratch_path log = regions_path(d, name);
  r->pid = spawn(argv, log.text, &r->out);
  BUF_AUTO line = BUF_INIT;
  read_pipe(r->out, true, &line);
  if (slice_starts_with(buf_slice(&line), SLICE_LIT("listening on http://"))) return;
  int status = regions_wait(d, i);
  char said[2048] = "";
  int fd = open(log.text, O_RDONLY | O_CLOEXEC);
  off_t end = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0, from = end < 2047 ? 0 : end - 2047;
  if (fd >= 0 && pread(fd, said, sizeof said - 1, from) < 0) said[0] = 0;
  close(fd);
  fail_msg("%s does not start (exit code %d): %s", r->name, status, said);
}

int regions_wait(struct regions *d, size_t i) {
  struct region_process *r = &d->at[i];
  assert_true(r->pid > 0);
  int status = wait_for(r->pid);
  close(r->out);
  r->pid = 0;
  return status;
}

int regions_stop(struct regions *d, size_t i, int signal) {
  assert_true(d->at[i].pid > 0);
  kill(d->at[i].pid, signal);
  return regions_wait(d, i);
}

int regions_command(struct regions *d, size_t i, struct buf *out, const char *const *argv) {
  const char *all[32] = {program()};
  char data[40];
  size_t n = 1;
  snprintf(data, sizeof data, "data/%s", d->at[i].name);
  struct scratch_path path = regions_path(d, data);
  for (; argv[n - 1]; n++) all[n] = argv[n - 1];
  all[n++] = "--data";
  all[n++] = path.text;
  assert_true(n < 32);
  return regions_run(out, all);
}

/* ---- a deployment ---------------------------------------------------------------------------- */

/* Below those that the system gives to connections: one of them could take a port between the look and the
 * daemon's start. */
enum { PORT_MIN = 20000, PORT_MAX = 32000 };

/* Ports that are free now. All are held until all are known, so that they differ. */
static void find_ports(struct regions *d) {
  int held[REGIONS_MAX];
  for (size_t i = 0; i < d->count; i++) {
    held[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    for (int tries = 0, bound = -1; bound != 0; tries++) {
      uint16_t draw;
      random_bytes(&draw, sizeof draw);
      uint16_t port = (uint16_t)(PORT_MIN + draw % (PORT_MAX - PORT_MIN));
      d->at[i].port = port;
      struct sockaddr_in a = {
          .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
      bound = bind(held[i], (struct sockaddr *)&a, sizeof a);
      assert_true(tries < 1000);
    }
  }
  for (size_t i = 0; i < d->count; i++) close(held[i]);
}

static void ok(const char *const *argv, struct buf *out) {
  int status = regions_run(out, argv);
  if (status != 0) fail_msg("%s %s: exit code %d", argv[1], argv[2], status);
}
#define OK(OUT, ...) ok((const char *const[]){program(), __VA_ARGS__, NULL}, OUT)

static void make_region(struct regions *d, size_t i, struct buf *vkey) {
  struct region_process *r = &d->at[i];
  char name[40], origin[80];
  BUF_AUTO config = BUF_INIT;
  snprintf(name, sizeof name, "%s.seed", r->name);
  snprintf(origin, sizeof origin, "phones.example/phones/%s", r->name);
  struct scratch_path seed = regions_path(d, name);
  OK(vkey, "key", "generate", seed.text, "--origin", origin);
  if (vkey->len) vkey->len--; /* the newline */
  buf_printf(&config,
             "data: data/%s\nkek_folder: kek-%s\ndomain: phones.example\ndeployment: phones\n"
             "region: {name: %s, number: %zu, seed_file: %s.seed}\nroute_key_file: route.key\n"
             "charter: {file: %s, signature_file: %s.sig, public_key_file: offline.pub}\n"
             "listen: [\"127.0.0.1:%u\"]\naccounts_file: accounts\noperators_file: operators\nworkers: 16\n",
             r->name, r->name, r->name, i + 1, r->name, CHARTERS[0], CHARTERS[0], r->port);
  snprintf(name, sizeof name, "%s.yaml", r->name);
  scratch_write(&d->folder, name, buf_str(&config), 0600);
}

/* The example's region line with this deployment's port and key. */
static void put_line(const struct regions *d, const struct buf *vkeys, struct slice line, struct buf *out) {
  for (size_t i = 0; i < d->count; i++) {
    char head[16];
    snprintf(head, sizeof head, "  %s: {", d->at[i].name);
    if (!slice_starts_with(line, slice_str(head))) continue;
    const char *end = memmem(line.data, line.len, "endpoint:", 9);
    assert_non_null(end);
    buf_append(out, line.data, (size_t)((const uint8_t *)end - line.data));
    buf_printf(out, "endpoint: \"http://127.0.0.1:%u\", vkey: \"%.*s\"}\n", d->at[i].port, (int)vkeys[i].len,
               (const char *)vkeys[i].data);
    return;
  }
  buf_append_slice(out, line);
  buf_append_byte(out, '\n');
}

static void make_charter(const struct regions *d, const struct buf *vkeys, const char *name) {
  char path[400];
  BUF_AUTO text = BUF_INIT;
  BUF_AUTO mine = BUF_INIT;
  snprintf(path, sizeof path, "%s/%s", CHARTERS_DIR, name);
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  char part[4096];
  size_t n;
  while ((n = fread(part, 1, sizeof part, f)) > 0) buf_append(&text, part, n);
  fclose(f);
  struct slice rest = buf_slice(&text);
  while (rest.len) {
    size_t end = slice_find(rest, '\n');
    put_line(d, vkeys, slice_cut(rest, 0, end), &mine);
    rest = slice_cut(rest, end < rest.len ? end + 1 : end, rest.len);
  }
  scratch_write(&d->folder, name, buf_str(&mine), 0600);
  struct scratch_path file = regions_path(d, name), seed = regions_path(d, "offline.seed");
  OK(NULL, "charter", "check", file.text);
  OK(NULL, "charter", "sign", file.text, "--seed", seed.text);
}

void regions_make(struct regions *d) {
  struct buf vkeys[REGIONS_MAX] = {{0}};
  *d = (struct regions){.count = REGIONS_MAX};
  scratch_make(&d->folder);
  d->client = wire_client_new(0);
  assert_non_null(d->client);
  find_ports(d);
  struct scratch_path offline = regions_path(d, "offline"), route = regions_path(d, "route.key");
  OK(NULL, "charter", "keygen", offline.text);
  OK(NULL, "key", "generate", route.text);
  scratch_write(&d->folder, "accounts", ACCESS ":" SECRET ":main\n" STRANGER ":" SECRET ":other\n", 0600);
  scratch_write(&d->folder, "operators", OPERATOR ":" SECRET "\n", 0600);
  for (size_t i = 0; i < d->count; i++) {
    d->at[i].name = NAMES[i];
    make_region(d, i, &vkeys[i]);
  }
  for (size_t i = 0; i < sizeof CHARTERS / sizeof CHARTERS[0]; i++) make_charter(d, vkeys, CHARTERS[i]);
  for (size_t i = 0; i < d->count; i++) buf_done(&vkeys[i]);
}

void regions_free(struct regions *d) {
  for (size_t i = 0; i < d->count; i++)
    if (d->at[i].pid) regions_stop(d, i, SIGKILL);
  wire_client_free(d->client);
  scratch_remove(&d->folder);
}

/* ---- requests ---------------------------------------------------------------------------------- */

struct exchange {
  struct answer *out;
  struct slice body;
  size_t sent;
};

static enum dom_code pull(void *arg, void *out, size_t cap, size_t *out_len, struct dom_err *err) {
  struct exchange *e = arg;
  (void)err;
  size_t left = e->body.len - e->sent, n = left < cap ? left : cap;
  if (n) memcpy(out, e->body.data + e->sent, n);
  e->sent += n;
  *out_len = n;
  return DOM_OK;
}

static enum dom_code take_head(void *arg, unsigned status, const struct wire_field *fields, size_t count,
                               struct dom_err *err) {
  struct exchange *e = arg;
  (void)err;
  e->out->status = status;
  for (size_t i = 0; i < count; i++)
    if (slice_equal_nocase(fields[i].name, SLICE_LIT("x-domicile-met")))
      snprintf(e->out->met, sizeof e->out->met, "%.*s", (int)fields[i].value.len,
               (const char *)fields[i].value.data);
  return DOM_OK;
}

static enum dom_code take_body(void *arg, struct slice bytes, struct dom_err *err) {
  struct exchange *e = arg;
  buf_append_slice(&e->out->body, bytes);
  return buf_check(&e->out->body, err);
}

static void find_code(struct answer *a) {
  const char *text = buf_str(&a->body), *from = strstr(text, "<Code>"),
             *to = from ? strstr(from, "</Code>") : NULL;
  if (to) snprintf(a->code, sizeof a->code, "%.*s", (int)(to - from - 6), from + 6);
}

void regions_ask(struct regions *d, size_t i, const char *access, const char *method, const char *target,
                 struct slice body, struct answer *out) {
  char origin[64];
  struct arena *arena = arena_new(1 << 20);
  struct wire_field fields[4];
  struct exchange e = {.out = out, .body = body};
  snprintf(origin, sizeof origin, "http://127.0.0.1:%u", d->at[i].port);
  *out = (struct answer){.status = 0};
  struct slice host = slice_str(origin + 7), whole = slice_str(target);
  fields[0] = (struct wire_field){SLICE_LIT("Host"), host};
  struct wire_request r = {.origin = origin,
                           .method = slice_str(method),
                           .target = whole,
                           .fields = fields,
                           .field_count = 1,
                           .body_length = body.len,
                           .length_header = true,
                           .pull = pull,
                           .answer = take_head,
                           .sink = take_body,
                           .arg = &e};
  struct auth_signed s;
  if (access) {
    size_t question = slice_find(whole, '?');
    struct auth_header named = {SLICE_LIT("Host"), host};
    struct auth_request head = {
        .method = r.method,
        .raw_path = slice_cut(whole, 0, question),
        .raw_query = slice_cut(whole, question < whole.len ? question + 1 : question, whole.len),
        .headers = &named,
        .header_count = 1,
        .now_ms = clock_wall_ms(clock_posix())};
    struct auth_signer signer = {slice_str(access), SLICE_LIT(SECRET), SLICE_LIT("us-east-1")};
    uint8_t hash[SHA256_SIZE];
    BUF_AUTO hex = BUF_INIT;
    sha256(body.data, body.len, hash);
    hex_encode(&hex, slice_of(hash, sizeof hash));
    assert_int_equal(auth_sign_request(&signer, &head, buf_slice(&hex), arena, &s), AUTH_OK);
    fields[1] = (struct wire_field){SLICE_LIT("x-amz-date"), slice_str(s.date)};
    fields[2] = (struct wire_field){SLICE_LIT("x-amz-content-sha256"), slice_str(s.content_sha256)};
    fields[3] = (struct wire_field){SLICE_LIT("Authorization"), s.authorization};
    r.field_count = 4;
  }
  struct wire_outcome outcome;
  struct dom_err err = {0};
  if (wire_client_send(d->client, &r, &outcome, &err)) fail_msg("%s %s: %s", method, target, err.text);
  find_code(out);
  arena_free(arena);
}

unsigned regions_put(struct regions *d, size_t i, const char *target, const char *body) {
  struct answer a;
  regions_ask(d, i, ACCESS, "PUT", target, slice_str(body), &a);
  buf_done(&a.body);
  return a.status;
}

bool regions_reads(struct regions *d, size_t i, const char *target, const char *body) {
  struct answer a;
  regions_ask(d, i, ACCESS, "GET", target, SLICE_LIT(""), &a);
  bool same = a.status == 200 && slice_equal(buf_slice(&a.body), slice_str(body));
  buf_done(&a.body);
  return same;
}

void regions_expect(struct regions *d, size_t i, const char *target, const char *body) {
  struct answer a;
  regions_ask(d, i, ACCESS, "GET", target, SLICE_LIT(""), &a);
  if (a.status != 200 || !slice_equal(buf_slice(&a.body), slice_str(body)))
    fail_msg("GET %s at %s: %u %s", target, d->at[i].name, a.status, buf_str(&a.body));
  buf_done(&a.body);
}

unsigned regions_status(struct regions *d, size_t i, const char *target) {
  struct answer a;
  regions_ask(d, i, ACCESS, "GET", target, SLICE_LIT(""), &a);
  buf_done(&a.body);
  return a.status;
}
