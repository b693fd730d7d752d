/* bench: fills where needed, measures, prints. */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "bench.h"
#include "load.h"
#include "session.h"

/* Connections that fill before a GET run. */
#define FILL_CONNECTIONS 16
/* Columns of a result. */
#define COLUMNS_MAX 16

struct bench_flags {
  const char *key, *op, *bucket, *prefix, *path;
  struct flag_list endpoints;
  uint64_t size_bytes, connections, seconds, requests, objects;
  bool plain, unsigned_payload, signed_payload, no_fill, csv, json;
};

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

static void make_report(const struct bench_flags *f, const struct bench_result *r, struct report *out) {
  assert(f != NULL && r != NULL);
  double seconds = r->wall_ns > 0 ? (double)r->wall_ns / 1e9 : 1e-9;
  column(out, "op", "%s", f->op);
  column(out, "mode", "%s", f->plain ? "plain" : f->unsigned_payload ? "unsigned" : "signed");
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

/* Creates the bucket; ours already is fine. */
static int make_bucket(struct session *session, const char *bucket) {
  struct client *c = session_client(session, 0, 0);
  if (c == NULL) return load_complain("out of memory");
  struct answer a;
  client_do(c, &(struct request){.method = "PUT", .bucket = bucket}, &a);
  bool fine = answer_ok(&a) || a.status == 409;
  assert(fine || a.status != 200);
  if (!fine) load_complain("bucket %s: status %u %s%s", bucket, a.status, a.code, a.why);
  answer_done(&a);
  return fine ? LOAD_OK : LOAD_FAILED;
}

/* Puts the objects that a GET run will read. */
static int fill(struct bench_config config) {
  AUTO_FREE struct bench_result *result = dom_alloc(sizeof *result);
  if (result == NULL) return load_complain("out of memory");
  config.put = true;
  config.requests_max = config.objects;
  config.duration_ms = 0;
  if (config.connections > FILL_CONNECTIONS) config.connections = FILL_CONNECTIONS;
  assert(config.requests_max > 0);
  if (!bench_run(&config, result)) return LOAD_FAILED;
  if (result->errors == 0) return LOAD_OK;
  return load_complain("filling failed: %llu errors, the first with status %u",
                       (unsigned long long)result->errors, result->first_status);
}

static int measure(const struct bench_flags *f, const struct bench_config *config) {
  AUTO_FREE struct bench_result *result = dom_alloc(sizeof *result);
  if (result == NULL) return load_complain("out of memory");
  if (!bench_run(config, result)) return LOAD_FAILED;
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

static int run(const struct bench_flags *f, struct session *session, const uint8_t *payload) {
  assert(payload != NULL);
  bool get = strcmp(f->op, "get") == 0;
  struct bench_config config = {.endpoint = &session->endpoints[0],
                                .key = f->plain ? NULL : &session->key,
                                .bucket = f->plain ? NULL : f->bucket,
                                .prefix = f->path != NULL ? f->path : f->prefix,
                                .exact = f->path != NULL,
                                .put = !get,
                                .payload = slice_of(payload, (size_t)f->size_bytes),
                                .sign_payload = !f->unsigned_payload,
                                .objects = f->path != NULL ? 1 : (size_t)f->objects,
                                .connections = (size_t)f->connections,
                                .requests_max = f->requests,
                                .duration_ms = f->requests > 0 ? 0 : f->seconds * 1000};
  int code = f->plain ? LOAD_OK : make_bucket(session, f->bucket);
  if (code == LOAD_OK && get && !f->no_fill) code = fill(config);
  return code == LOAD_OK ? measure(f, &config) : code;
}

static int check_flags(const struct bench_flags *f, const struct flag_set *set) {
  assert(f->op != NULL);
  if (strcmp(f->op, "put") != 0 && strcmp(f->op, "get") != 0)
    return flags_complain(set, "--op is put or get");
  if (f->endpoints.count != 1) return flags_complain(set, "exactly one --endpoint");
  if (strstr(f->endpoints.values[0], "https://") != NULL)
    return flags_complain(set, "bench speaks http only");
  if (strchr(f->endpoints.values[0], '[') != NULL) return flags_complain(set, "bench takes no IPv6 literal");
  if (f->connections < 1 || f->connections > BENCH_CONNECTIONS_MAX) {
    return flags_complain(set, "between 1 and %d connections", BENCH_CONNECTIONS_MAX);
  }
  if (f->objects < 1 || f->objects > BENCH_OBJECTS_MAX) {
    return flags_complain(set, "between 1 and %d objects", BENCH_OBJECTS_MAX);
  }
  if (f->size_bytes > UINT64_C(1) << 30) return flags_complain(set, "--size is at most 1GiB");
  if (f->seconds < 1 || f->seconds > 86400) return flags_complain(set, "--seconds is 1 to 86400");
  if (f->unsigned_payload && f->signed_payload) return flags_complain(set, "--signed or --unsigned-payload");
  if (f->csv && f->json) return flags_complain(set, "--csv or --json");
  return LOAD_OK;
}

int cmd_bench(int argc, char **argv) {
  struct bench_flags f = {.bucket = "bench",
                          .prefix = "bench/",
                          .size_bytes = 4096,
                          .connections = 1,
                          .seconds = 5,
                          .objects = 1000};
  const struct flag flags[] = {
      {"--endpoint", "URL", "the server, http", FLAG_LIST, true, &f.endpoints},
      {"--op", "put|get", "what to measure", FLAG_STRING, true, &f.op},
      {"--size", "SIZE", "bytes of an object (4KiB)", FLAG_SIZE, false, &f.size_bytes},
      {"--connections", "N", "each with one request in flight (1)", FLAG_NUMBER, false, &f.connections},
      {"--seconds", "S", "issue requests for so long (5)", FLAG_NUMBER, false, &f.seconds},
      {"--requests", "N", "or so many", FLAG_NUMBER, false, &f.requests},
      {"--multi-object-count", "N", "names in turn (1000)", FLAG_NUMBER, false, &f.objects},
      {"--bucket", "NAME", "created where it is missing (bench)", FLAG_STRING, false, &f.bucket},
      {"--prefix", "TEXT", "names begin so, a number follows (bench/)", FLAG_STRING, false, &f.prefix},
      {"--path", "NAME", "one exact name instead", FLAG_STRING, false, &f.path},
      {"--unsigned-payload", NULL, "UNSIGNED-PAYLOAD", FLAG_SWITCH, false, &f.unsigned_payload},
      {"--signed", NULL, "sign the payload's SHA-256 (the default)", FLAG_SWITCH, false, &f.signed_payload},
      {"--plain", NULL, "no signature and no bucket: nginx, static or WebDAV", FLAG_SWITCH, false, &f.plain},
      {"--no-fill", NULL, "get: the objects are there already", FLAG_SWITCH, false, &f.no_fill},
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
  if (code < 0) {
    AUTO_FREE uint8_t *payload = random_payload((size_t)f.size_bytes);
    code = payload == NULL ? LOAD_FAILED : run(&f, &session, payload);
  }
  session_done(&session);
  return code;
}
