/* bench: fills where needed, measures, prints. */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/alloc.h"
#include "bench.h"
#include "bench_steps.h"
#include "load.h"
#include "session.h"

/* Columns of a result. */
#define COLUMNS_MAX 16

struct bench_flags {
  const char *key, *op, *bucket, *prefix, *path, *ca;
  struct flag_list endpoints;
  uint64_t size_bytes, part_bytes, connections, seconds, requests, objects;
  bool plain, unsigned_payload, signed_payload, trailer, no_fill, hold, csv, json;
};

/* --op upload is made of several requests. */
static const struct {
  const char *name;
  enum bench_op op;
} OPS[] = {{"put", BENCH_PUT},
           {"get", BENCH_GET},
           {"delete", BENCH_DELETE},
           {"list", BENCH_LIST},
           {"upload", BENCH_PART}};

struct report {
  size_t count;
  struct {
    const char *name;
    char value[32];
    bool text; /* quoted in JSON */
  } columns[COLUMNS_MAX];
};

static void column(struct report *r, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void column(struct report *r, const char *name, const char *format, ...) {
  assert(r->count < COLUMNS_MAX);
  va_list args;
  va_start(args, format);
  vsnprintf(r->columns[r->count].value, sizeof r->columns[r->count].value, format, args);
  va_end(args);
  r->columns[r->count].text = strcmp(format, "%s") == 0;
  r->columns[r->count++].name = name;
}

static const char *mode_of(const struct bench_flags *f) {
  if (f->plain) return "plain";
  return f->unsigned_payload ? "unsigned" : f->trailer ? "trailer" : "signed";
}

static void make_report(const struct bench_flags *f, const struct bench_result *r, struct report *out) {
  assert(f != NULL && r != NULL);
  double seconds = r->wall_ns > 0 ? (double)r->wall_ns / 1e9 : 1e-9;
  column(out, "op", "%s", f->op);
  column(out, "mode", "%s", mode_of(f));
  column(out, "size", "%llu", (unsigned long long)f->size_bytes);
  column(out, "connections", "%llu", (unsigned long long)f->connections);
  column(out, "requests", "%llu", (unsigned long long)r->requests);
  column(out, "errors", "%llu", (unsigned long long)r->errors);
  column(out, "seconds", "%.3f", seconds);
  column(out, "requests_per_s", "%.1f", (double)r->requests / seconds);
  column(out, "mb_per_s", "%.1f", (double)r->body_bytes / 1e6 / seconds);
  column(out, "p50_us", "%.1f", (double)histogram_quantile(&r->latency_ns, 500) / 1e3);
  column(out, "p99_us", "%.1f", (double)histogram_quantile(&r->latency_ns, 990) / 1e3);
  column(out, "p999_us", "%.1f", (double)histogram_quantile(&r->latency_ns, 999) / 1e3);
  column(out, "client_cpu_s", "%.3f", (double)r->cpu_ns / 1e9);
  column(out, "reconnects", "%llu", (unsigned long long)r->reconnects);
}

static void print_report(const struct bench_flags *f, const struct report *r) {
  assert(r->count > 0);
  if (f->csv) {
    for (size_t i = 0; i < r->count; i++) printf("%s%s", i > 0 ? "," : "", r->columns[i].name);
    for (size_t i = 0; i < r->count; i++) printf("%s%s", i > 0 ? "," : "\n", r->columns[i].value);
  } else if (f->json) {
    for (size_t i = 0; i < r->count; i++) {
      const char *quote = r->columns[i].text ? "\"" : "";
      printf("%s\"%s\":%s%s%s", i > 0 ? "," : "{", r->columns[i].name, quote, r->columns[i].value, quote);
    }
    printf("}");
  } else {
    for (size_t i = 0; i < r->count; i++) {
      printf("%s%s=%s", i > 0 ? " " : "", r->columns[i].name, r->columns[i].value);
    }
  }
  printf("\n");
}

/* Random bytes, so that nothing on the way gains by their sameness. NULL after a complaint. */
static uint8_t *random_payload(size_t len) {
  uint8_t *payload = dom_alloc(len + 1);
  size_t done = 0;
  while (payload != NULL && done < len) {
    ssize_t got = getrandom(payload + done, len - done, 0);
    if (got < 0) {
      load_complain("getrandom: %s", strerror(errno));
      dom_free(payload);
      return NULL;
    }
    done += (size_t)got;
  }
  if (payload == NULL) load_complain("out of memory");
  return payload;
}

static int print_result(const struct bench_flags *f, const struct bench_result *result) {
  struct report report = {0};
  make_report(f, result, &report);
  assert(report.count <= COLUMNS_MAX);
  print_report(f, &report);
  if (atomic_load(&load_stop)) return LOAD_INTERRUPTED;
  if (result->errors == 0) return LOAD_OK;
  load_complain("%llu errors, the first with status %u", (unsigned long long)result->errors,
                result->first_status);
  return LOAD_MISMATCH;
}

/* All connections are open and idle: says so, and waits until nobody writes to stdin any more. */
static void hold(const struct bench_config *config) {
  char byte;
  assert(config->connections > 0);
  fprintf(stderr, "holding %zu connections\n", config->connections);
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
}

/* What is to be there before. Returns: LOAD_OK, or LOAD_FAILED after a complaint. */
static int prepare(const struct bench_flags *f, struct client *c, const struct bench_config *config) {
  assert(config->objects >= 1);
  if (!f->plain && !bench_make_bucket(c, f->bucket)) return LOAD_FAILED;
  if (f->no_fill || bench_sends_body(config)) return LOAD_OK;
  if (!bench_fill(*config, (size_t)f->objects)) return LOAD_FAILED;
  bool listed = config->op != BENCH_LIST || bench_walk(c, config, (size_t)f->objects);
  return listed ? LOAD_OK : LOAD_FAILED;
}

static int measure(const struct bench_flags *f, struct client *c, const struct bench_config *config) {
  AUTO_FREE struct bench_result *result = dom_alloc(sizeof *result);
  if (result == NULL) return load_complain("out of memory");
  bool upload = config->op == BENCH_PART;
  bool ok = upload ? bench_upload(c, *config, result) : bench_run(config, result);
  int code = ok ? print_result(f, result) : LOAD_FAILED;
  if (upload && ok && !bench_remove(c, config)) code = LOAD_FAILED;
  return code;
}

static enum bench_op op_of(const struct bench_flags *f) {
  for (size_t i = 0; i < sizeof OPS / sizeof *OPS; i++) {
    if (strcmp(f->op, OPS[i].name) == 0) return OPS[i].op;
  }
  assert(false);
  return BENCH_GET;
}

/* Objects, pages or parts, and how many requests. */
static void set_counts(const struct bench_flags *f, struct bench_config *config) {
  config->objects = config->exact ? 1 : (size_t)f->objects;
  config->requests_max = f->requests;
  if (config->op == BENCH_LIST)
    config->objects = (size_t)(f->objects + BENCH_PAGE_KEYS - 1) / BENCH_PAGE_KEYS;
  if (config->op == BENCH_PART) config->objects = (size_t)(f->size_bytes / f->part_bytes);
  bool once = config->op == BENCH_DELETE;
  if (once && (f->requests == 0 || f->requests > config->objects)) config->requests_max = config->objects;
  config->duration_ms = config->requests_max > 0 ? 0 : f->seconds * 1000;
  assert(config->objects >= 1);
}

static int run(const struct bench_flags *f, struct session *session) {
  enum bench_op op = op_of(f);
  uint64_t payload_len = op == BENCH_PART ? f->part_bytes : f->size_bytes;
  AUTO_FREE uint8_t *payload = random_payload((size_t)payload_len);
  session->endpoints[0].ca_file = f->ca;
  struct client *client = session_client(session, 0, 0);
  if (payload == NULL) return LOAD_FAILED;
  if (client == NULL) return load_complain("out of memory");
  struct bench_config config = {.endpoint = &session->endpoints[0],
                                .key = f->plain ? NULL : &session->key,
                                .bucket = f->plain ? NULL : f->bucket,
                                .prefix = f->path != NULL    ? f->path
                                          : op == BENCH_PART ? "upload"
                                                             : f->prefix,
                                .exact = f->path != NULL || op == BENCH_PART,
                                .op = op,
                                .payload = slice_of(payload, (size_t)payload_len),
                                .payload_mode = f->unsigned_payload ? BENCH_UNSIGNED : BENCH_SIGNED,
                                .hold = f->hold ? hold : NULL,
                                .connections = (size_t)f->connections};
  BUF_AUTO encoded = BUF_INIT;
  if (f->trailer) {
    bench_trailer_encode(config.payload, &encoded);
    if (encoded.failed) return load_complain("out of memory");
    config.decoded_bytes = payload_len;
    config.payload = buf_slice(&encoded);
    config.payload_mode = BENCH_TRAILER;
  }
  set_counts(f, &config);
  int code = prepare(f, client, &config);
  return code == LOAD_OK ? measure(f, client, &config) : code;
}

static int check_modes(const struct bench_flags *f, const struct flag_set *set) {
  bool known = false;
  for (size_t i = 0; i < sizeof OPS / sizeof *OPS; i++) known |= strcmp(f->op, OPS[i].name) == 0;
  if (!known) return flags_complain(set, "--op is put, get, delete, list or upload");
  if (f->unsigned_payload + f->signed_payload + f->trailer > 1)
    return flags_complain(set, "one of --signed, --unsigned-payload and --trailer");
  bool upload = strcmp(f->op, "upload") == 0, list = strcmp(f->op, "list") == 0;
  if (f->plain && (f->trailer || upload || list)) return flags_complain(set, "that does not go with --plain");
  if (list && f->path != NULL) return flags_complain(set, "list takes no --path");
  if (upload && (f->part_bytes == 0 || f->size_bytes < f->part_bytes || f->size_bytes % f->part_bytes != 0))
    return flags_complain(set, "upload: --size is a multiple of --part-size");
  if (f->hold && upload) return flags_complain(set, "upload takes no --hold");
  return f->csv && f->json ? flags_complain(set, "--csv or --json") : LOAD_OK;
}

static int check_flags(const struct bench_flags *f, const struct flag_set *set) {
  assert(f->op != NULL);
  if (f->endpoints.count != 1) return flags_complain(set, "exactly one --endpoint");
  if (strchr(f->endpoints.values[0], '[') != NULL) return flags_complain(set, "bench takes no IPv6 literal");
  if (f->connections < 1 || f->connections > BENCH_CONNECTIONS_MAX) {
    return flags_complain(set, "between 1 and %d connections", BENCH_CONNECTIONS_MAX);
  }
  if (f->objects < 1 || f->objects > BENCH_OBJECTS_MAX) {
    return flags_complain(set, "between 1 and %d objects", BENCH_OBJECTS_MAX);
  }
  if (f->size_bytes > UINT64_C(1) << 30) return flags_complain(set, "--size is at most 1GiB");
  if (f->seconds < 1 || f->seconds > 86400) return flags_complain(set, "--seconds is 1 to 86400");
  return check_modes(f, set);
}

int cmd_bench(int argc, char **argv) {
  struct bench_flags f = {.bucket = "bench",
                          .prefix = "bench/",
                          .size_bytes = 4096,
                          .part_bytes = (uint64_t)16 << 20,
                          .connections = 1,
                          .seconds = 5,
                          .objects = 1000};
  const struct flag flags[] = {
      {"--endpoint", "URL", "the server", FLAG_LIST, true, &f.endpoints},
      {"--ca", "FILE", "https: whose word to take (the system's)", FLAG_STRING, false, &f.ca},
      {"--op", "OP", "put, get, delete, list (pages of 1000), upload (multipart)", FLAG_STRING, true, &f.op},
      {"--size", "SIZE", "bytes of an object (4KiB)", FLAG_SIZE, false, &f.size_bytes},
      {"--part-size", "SIZE", "upload: bytes of a part (16MiB)", FLAG_SIZE, false, &f.part_bytes},
      {"--connections", "N", "each with one request in flight (1)", FLAG_NUMBER, false, &f.connections},
      {"--seconds", "S", "issue requests for so long (5)", FLAG_NUMBER, false, &f.seconds},
      {"--requests", "N", "or so many", FLAG_NUMBER, false, &f.requests},
      {"--multi-object-count", "N", "names in turn (1000)", FLAG_NUMBER, false, &f.objects},
      {"--bucket", "NAME", "created where it is missing (bench)", FLAG_STRING, false, &f.bucket},
      {"--prefix", "TEXT", "names begin so, a number follows (bench/)", FLAG_STRING, false, &f.prefix},
      {"--path", "NAME", "one exact name instead", FLAG_STRING, false, &f.path},
      {"--unsigned-payload", NULL, "UNSIGNED-PAYLOAD", FLAG_SWITCH, false, &f.unsigned_payload},
      {"--signed", NULL, "sign the payload's SHA-256 (the default)", FLAG_SWITCH, false, &f.signed_payload},
      {"--trailer", NULL, "put, upload: aws-chunked with a CRC32C trailer", FLAG_SWITCH, false, &f.trailer},
      {"--plain", NULL, "no signature and no bucket: nginx, static or WebDAV", FLAG_SWITCH, false, &f.plain},
      {"--no-fill", NULL, "the objects are there already", FLAG_SWITCH, false, &f.no_fill},
      {"--hold", NULL, "keep the connections open until stdin ends", FLAG_SWITCH, false, &f.hold},
      {"--csv", NULL, "print a header and a row", FLAG_SWITCH, false, &f.csv},
      {"--json", NULL, "print an object", FLAG_SWITCH, false, &f.json},
      {"--key", "ACCESS:SECRET", "else DOMICILE_LOAD_KEY", FLAG_STRING, false, &f.key},
      {0}};
  const struct flag_set set = {"bench", "Measures requests per second and latencies with a lean client.",
                               NULL, flags};
  int code = flags_parse(&set, argc, argv, NULL);
  if (code >= 0) return code;
  if ((code = check_flags(&f, &set)) != LOAD_OK) return code;
  struct session session;
  code = session_init(&session, &set, f.plain ? "plain:plain" : f.key, &f.endpoints, 1);
  if (code < 0) code = run(&f, &session);
  session_done(&session);
  return code;
}
