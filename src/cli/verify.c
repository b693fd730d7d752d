#include "cli/verify.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/disk.h"

enum {
  EXIT_VERIFIED = 0,
  EXIT_MISMATCH = 1,
  EXIT_USAGE = 2,
  EXIT_FAILED = 3,
  SMALL_FILE_MAX = 1 << 20, /* receipts, checkpoints and key files are a few KiB */
  FOLDER_DEPTH_MAX = 16     /* a ledger is at most ten folders deep */
};

struct command {
  struct domicile_verifier *verifier;
  const struct verify_remote *remote;
  const char *name;
  bool json;
  bool has_since;
};

static void print_help(FILE *to, const char *name) {
  assert(to && name);
  fprintf(to,
          "usage: %s PATH|URL... [--vkey KEY|FILE]... [--since FILE] [--json]\n"
          "Verifies ledgers (folder or URL) and receipts (file), offline but for URLs.\n"
          "  --vkey KEY    a key to trust, \"origin+id+base64\", or a file with one in each line;\n"
          "                without any, only inner consistency is checked and the exit code is 1\n"
          "  --since FILE  a checkpoint that was kept: the ledger must continue it\n"
          "  --json        one JSON object a line\n"
          "exit code: 0 verified, 1 something does not hold or no key given, 2 usage, 3 could not run\n",
          name);
}

/* Appends a whole small file. */
static bool read_small(const char *path, struct buf *out) {
  assert(path && out);
  FILE *file = fopen(path, "rb");
  if (!file) {
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return false;
  }
  uint8_t part[4096];
  size_t got;
  while ((got = fread(part, 1, sizeof part, file)) > 0 && out->len <= SMALL_FILE_MAX)
    buf_append(out, part, got);
  bool good = !ferror(file) && out->len <= SMALL_FILE_MAX && !out->failed;
  fclose(file);
  if (!good) fprintf(stderr, "%s: cannot be read, or is too long\n", path);
  return good;
}

static int add_key(struct command *c, const char *vkey) {
  assert(c->verifier && vkey);
  enum domicile_code code = domicile_verifier_add_key(c->verifier, vkey);
  if (code == DOMICILE_VERIFIED) return 0;
  fprintf(stderr, "%s: not a usable verifier key: %s\n", c->name, vkey);
  return code == DOMICILE_MALFORMED ? EXIT_USAGE : EXIT_FAILED;
}

/* A vkey has plus signs; what has none is the name of a file with one key a line. */
static int add_keys(struct command *c, const char *argument) {
  assert(c && argument);
  if (strchr(argument, '+')) return add_key(c, argument);
  BUF_AUTO text = BUF_INIT;
  if (!read_small(argument, &text)) return EXIT_FAILED;
  int status = 0;
  for (struct slice rest = buf_slice(&text); rest.len > 0 && !status;) {
    size_t end = slice_find(rest, '\n');
    BUF_AUTO line = BUF_INIT;
    buf_append_slice(&line, slice_cut(rest, 0, end));
    rest = slice_cut(rest, end < rest.len ? end + 1 : end, rest.len);
    if (line.len > 0 && line.data[0] != '#') status = add_key(c, buf_str(&line));
  }
  return status;
}

static int set_since(struct command *c, const char *path) {
  assert(c && path);
  BUF_AUTO text = BUF_INIT;
  if (!read_small(path, &text)) return EXIT_FAILED;
  c->has_since = true;
  enum domicile_code code = domicile_verifier_since(c->verifier, text.data, text.len);
  if (code == DOMICILE_VERIFIED) return 0;
  fprintf(stderr, "%s: %s is not a checkpoint\n", c->name, path);
  return code == DOMICILE_MALFORMED ? EXIT_USAGE : EXIT_FAILED;
}

/* ---- a folder as a source */

static int folder_read(void *context, const char *path, uint64_t offset, void *out, size_t len,
                       size_t *out_len) {
  struct disk *disk = context;
  struct disk_file *file;
  assert(disk && path);
  enum dom_code code = disk_open(disk, path, DISK_READ, &file, NULL);
  if (code != DOM_OK) return code == DOM_NOT_FOUND ? 1 : -1;
  code = disk_read(file, offset, out, len, out_len, NULL);
  disk_close(file);
  return code == DOM_OK ? 0 : -1;
}

/* A walk through folders, told to `found`. */
struct walk {
  struct disk *disk;
  int (*found)(void *arg, const char *path);
  void *arg;
  const char *folder;
  unsigned depth;
  int status;
};

static int walk_folder(const struct walk *above, const char *folder);

static bool walk_name(void *arg, const char *name, bool is_dir) {
  struct walk *walk = arg;
  assert(walk && name);
  BUF_AUTO path = BUF_INIT;
  if (walk->folder[0]) buf_printf(&path, "%s/", walk->folder);
  buf_append_str(&path, name);
  const char *full = buf_str(&path);
  if (path.failed)
    walk->status = -1;
  else if (is_dir)
    walk->status = walk_folder(walk, full);
  else
    walk->status = walk->found(walk->arg, full) ? 1 : 0;
  return walk->status == 0;
}

static int walk_folder(const struct walk *above, const char *folder) {
  assert(above && folder);
  struct walk walk = *above;
  walk.folder = folder;
  walk.depth++;
  if (walk.depth > FOLDER_DEPTH_MAX) return -1;
  enum dom_code code = disk_list(walk.disk, folder, walk_name, &walk, NULL);
  if (code == DOM_NOT_FOUND && walk.depth > 1) return 0; /* removed by a running ledger meanwhile */
  return code == DOM_OK ? walk.status : -1;
}

static int folder_list(void *context, int (*found)(void *arg, const char *path), void *arg) {
  assert(context && found);
  struct walk top = {.disk = context, .found = found, .arg = arg, .folder = ""};
  return walk_folder(&top, "");
}

/* ---- results */

/* A JSON string; bytes that are not UTF-8 become U+FFFD. */
static void print_json_string(struct slice s) {
  assert(s.data || s.len == 0);
  bool text = utf8_valid(s);
  putchar('"');
  for (size_t i = 0; i < s.len; i++) {
    uint8_t c = s.data[i];
    if (c == '"' || c == '\\')
      printf("\\%c", c);
    else if (c < 0x20 || c == 0x7F)
      printf("\\u%04x", c);
    else if (c >= 0x80 && !text)
      fputs("\\ufffd", stdout);
    else
      putchar(c);
  }
  putchar('"');
}

static void print_json_member(const char *name, const char *value) {
  assert(name && value);
  printf(", \"%s\": ", name);
  print_json_string(slice_str(value));
}

static void print_result(const struct command *c, const char *target, const struct domicile_result *r) {
  assert(c && target && r);
  if (!c->json) {
    printf("%s: %s\n%s", target, domicile_code_name(domicile_result_code(r)), domicile_result_text(r));
    return;
  }
  printf("{\"target\": ");
  print_json_string(slice_str(target));
  print_json_member("code", domicile_code_name(domicile_result_code(r)));
  print_json_member("origin", domicile_result_origin(r));
  printf(", \"size\": %llu", (unsigned long long)domicile_result_size(r));
  print_json_member("root", domicile_result_root(r));
  if (domicile_result_event(r)[0]) {
    printf(", \"index\": %llu", (unsigned long long)domicile_result_index(r));
    print_json_member("event", domicile_result_event(r));
  }
  print_json_member("text", domicile_result_text(r));
  puts("}");
}

/* Prints and frees a result; gives its exit code. */
static int take_result(const struct command *c, const char *target, struct domicile_result *r) {
  assert(c && target);
  if (!r) {
    fprintf(stderr, "%s: out of memory\n", c->name);
    return EXIT_FAILED;
  }
  enum domicile_code code = domicile_result_code(r);
  print_result(c, target, r);
  domicile_result_free(r);
  if (code == DOMICILE_VERIFIED) return EXIT_VERIFIED;
  return code == DOMICILE_FAILED ? EXIT_FAILED : EXIT_MISMATCH;
}

static int verify_url(const struct command *c, const char *url) {
  assert(c && url);
  struct domicile_source source;
  if (!c->remote) {
    fprintf(stderr, "%s: %s: this program verifies files only; use `domicile verify`\n", c->name, url);
    return EXIT_USAGE;
  }
  if (!c->remote->open(url, &source)) return EXIT_FAILED;
  int status = take_result(c, url, domicile_verify_ledger(c->verifier, &source));
  c->remote->close(&source);
  return status;
}

static int verify_folder(const struct command *c, const char *path) {
  assert(c && path);
  struct disk *disk;
  struct dom_err err = {.code = DOM_OK};
  if (disk_posix_open(path, &disk, &err) != DOM_OK) {
    fprintf(stderr, "%s: %s: %s\n", c->name, path, err.text);
    return EXIT_FAILED;
  }
  struct domicile_source source = {.context = disk, .read = folder_read, .list = folder_list};
  int status = take_result(c, path, domicile_verify_ledger(c->verifier, &source));
  disk_posix_close(disk);
  return status;
}

static int verify_file(const struct command *c, const char *path) {
  assert(c && path);
  BUF_AUTO bytes = BUF_INIT;
  if (c->has_since) {
    fprintf(stderr, "%s: %s: --since needs a ledger: a receipt alone cannot prove a continuation\n", c->name,
            path);
    return EXIT_USAGE;
  }
  if (!read_small(path, &bytes)) return EXIT_FAILED;
  return take_result(c, path, domicile_verify_receipt(c->verifier, bytes.data, bytes.len));
}

static int verify_target(const struct command *c, const char *target) {
  assert(c && target);
  struct stat st;
  if (strncmp(target, "http://", 7) == 0 || strncmp(target, "https://", 8) == 0) return verify_url(c, target);
  if (stat(target, &st) != 0) {
    fprintf(stderr, "%s: %s: %s\n", c->name, target, strerror(errno));
    return EXIT_FAILED;
  }
  return S_ISDIR(st.st_mode) ? verify_folder(c, target) : verify_file(c, target);
}

/* A violation outweighs what could not be run, and that outweighs the rest. */
static int worse(int a, int b) {
  static const int weight[] = {[EXIT_VERIFIED] = 0, [EXIT_MISMATCH] = 3, [EXIT_USAGE] = 1, [EXIT_FAILED] = 2};
  assert(a >= 0 && a <= EXIT_FAILED && b >= 0 && b <= EXIT_FAILED);
  return weight[a] >= weight[b] ? a : b;
}

static int parse_options(struct command *c, int argc, char **argv, bool *out_done) {
  static const struct option options[] = {{"vkey", required_argument, NULL, 'k'},
                                          {"since", required_argument, NULL, 's'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
  assert(c && out_done);
  int status = 0, option;
  optind = 0; /* glibc: begin anew, whatever the program parsed before */
  while (status == 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    if (option == 'k')
      status = add_keys(c, optarg);
    else if (option == 's')
      status = set_since(c, optarg);
    else if (option == 'j')
      c->json = true;
    else if (option == 'h')
      *out_done = true;
    else
      status = EXIT_USAGE;
    if (*out_done) break;
  }
  if (*out_done)
    print_help(stdout, c->name);
  else if (status == 0 && optind >= argc)
    status = EXIT_USAGE;
  if (status == EXIT_USAGE) print_help(stderr, c->name);
  return status;
}

int verify_run(int argc, char **argv, const struct verify_remote *remote) {
  assert(argc >= 1 && argv && argv[0]);
  struct command c = {.verifier = domicile_verifier_new(), .remote = remote, .name = argv[0]};
  bool done = false;
  if (!c.verifier) return EXIT_FAILED;
  int status = parse_options(&c, argc, argv, &done);
  if (status == 0 && !done)
    for (int i = optind; i < argc; i++) status = worse(status, verify_target(&c, argv[i]));
  domicile_verifier_free(c.verifier);
  if (fflush(stdout) != 0 || ferror(stdout)) return EXIT_FAILED;
  return status;
}
