/* Health and figures of a region. Numbers only: no names, no tokens. */
#include <assert.h>
#include <stdio.h>

#include "serve/daemon.h"

const char *region_state(struct region *r) {
  assert(r->store && r->ledger);
  if (atomic_load(&r->draining)) return "draining";
  if (!mover_is_open(r->mover)) return "quarantine";
  return store_writable(r->store) && !ledger_failed(r->ledger) ? "writable" : "read-only";
}

void healthz(struct region *r, struct wire_exchange *x) {
  char text[160];
  const char *state = region_state(r);
  uint64_t overdue = atomic_load(&r->erasures_overdue);
  char alarm[48] = "";
  if (overdue) snprintf(alarm, sizeof alarm, ",\"erasures_overdue\":%llu", (unsigned long long)overdue);
  int n = snprintf(text, sizeof text, "{\"state\":\"%s\",\"region\":\"%s\",\"ledger\":\"%s\"%s}\n", state,
                   r->name, ledger_failed(r->ledger) ? "failed" : "ok", alarm);
  /* A read-only region still answers reads: one that drains, or is in quarantine, wants no clients. */
  bool wants = state[0] != 'd' && state[0] != 'q';
  dispatch_reply(x, wants ? 200 : 503, "application/json", slice_of(text, n > 0 ? (size_t)n : 0));
}

struct figure {
  const char *name, *type, *help;
  uint64_t value;
};

static void put_all(const struct figure *f, size_t count, struct buf *out) {
  for (size_t i = 0; i < count; i++)
    buf_printf(out, "# HELP domicile_%s %s\n# TYPE domicile_%s %s\ndomicile_%s %llu\n", f[i].name, f[i].help,
               f[i].name, f[i].type, f[i].name, (unsigned long long)f[i].value);
}
#define PUT_ALL(FIGURES, OUT) put_all(FIGURES, sizeof(FIGURES) / sizeof(FIGURES)[0], OUT)

static void put_requests(struct region *r, struct buf *out) {
  struct serve_metrics *m = &r->metrics;
  struct wire_server_stats w;
  wire_server_stats(r->server, &w);
  const struct figure figures[] = {
      {"s3_requests_total", "counter", "S3 requests answered", atomic_load(&m->requests)},
      {"s3_errors_4xx_total", "counter", "S3 answers 400 to 499", atomic_load(&m->errors_4xx)},
      {"s3_errors_5xx_total", "counter", "S3 answers 500 to 599", atomic_load(&m->errors_5xx)},
      {"s3_refused_total", "counter", "Requests the charter refused (451)", atomic_load(&m->refused_451)},
      {"s3_forwarded_total", "counter", "Requests sent on to another region", atomic_load(&m->forwarded)},
      {"s3_held_total", "counter", "Requests held at a fence", atomic_load(&m->held)},
      {"s3_bytes_in_total", "counter", "Bytes of request bodies", atomic_load(&m->bytes_in)},
      {"s3_bytes_out_total", "counter", "Bytes of answers", atomic_load(&m->bytes_out)},
      {"access_log_lost_total", "counter", "Lines of the access log that could not be written",
       r->access_log ? access_log_lost(r->access_log) : 0},
      {"forwarding", "gauge", "Requests waiting for other regions now", atomic_load(&r->forwarding)},
      {"forward_waiting", "gauge", "Requests waiting for their turn to be sent on now", w.waiting},
      {"copying_out", "gauge", "Sources of copies going to other regions now", atomic_load(&r->copying_out)},
      {"http_connections", "gauge", "Connections now", w.connections},
      {"http_accepted_total", "counter", "Connections accepted", w.accepted},
      {"http_requests_total", "counter", "Requests with a whole head", w.requests},
      {"http_refused_heads_total", "counter", "Heads malformed, too large or too late", w.refused_heads},
      {"http_refused_full_total", "counter", "Connections refused at a cap", w.refused_full},
      {"http_slow_aborts_total", "counter", "Clients cut for being too slow", w.slow_aborts}};
  PUT_ALL(figures, out);
  const struct figure tls[] = {{"tls_certificate_ends_seconds", "gauge",
                                "When the first TLS certificate expires, seconds since 1970",
                                atomic_load(&r->tls_ends_s)}};
  if (tls[0].value) PUT_ALL(tls, out);
}

/* Prometheus wants each slot to hold the ones below it too. */
static void put_histogram(const char *operation, const struct serve_histogram *h, struct buf *out) {
  uint64_t count = 0;
  for (unsigned i = 0; i < SERVE_SLOT_COUNT; i++) {
    count += atomic_load(&h->slot[i]);
    buf_printf(out, "domicile_s3_request_seconds_bucket{operation=\"%s\",le=\"", operation);
    if (i < SERVE_SLOT_COUNT - 1)
      buf_printf(out, "%g", SERVE_SLOTS_US[i] / 1e6);
    else
      buf_append_str(out, "+Inf");
    buf_printf(out, "\"} %llu\n", (unsigned long long)count);
  }
  buf_printf(out, "domicile_s3_request_seconds_sum{operation=\"%s\"} %.6f\n", operation,
             (double)atomic_load(&h->sum_us) / 1e6);
  buf_printf(out, "domicile_s3_request_seconds_count{operation=\"%s\"} %llu\n", operation,
             (unsigned long long)count);
}

static bool is_used(const struct serve_histogram *h) {
  for (unsigned i = 0; i < SERVE_SLOT_COUNT; i++)
    if (atomic_load(&h->slot[i])) return true;
  return false;
}

static void put_durations(struct region *r, struct buf *out) {
  buf_append_str(out, "# HELP domicile_s3_request_seconds From the head to the last byte of the answer\n"
                      "# TYPE domicile_s3_request_seconds histogram\n");
  for (enum s3_op op = 0; op < S3_OP_COUNT; op++)
    if (is_used(&r->metrics.took[op])) put_histogram(s3_op_name(op), &r->metrics.took[op], out);
}

static void put_storage(struct region *r, struct buf *out) {
  struct store_stats s;
  struct vault_stats v;
  store_stats(r->store, &s);
  vault_stats(store_vault(r->store), &v);
  const struct figure figures[] = {
      {"writable", "gauge", "1 while the region takes writes", s.writable && !ledger_failed(r->ledger)},
      {"quarantine", "gauge", "1 while the region serves nobody because it may be behind",
       !mover_is_open(r->mover)},
      {"log_lsn", "gauge", "Last change applied", s.applied_lsn},
      {"log_commits_total", "counter", "Commits", s.commits},
      {"log_batches_total", "counter", "Log writes; commits share them", s.batches},
      {"log_retries_total", "counter", "Commits whose guard had changed", s.retries},
      {"log_bytes", "gauge", "Bytes of log segments in use", s.log_bytes},
      {"log_live_bytes", "gauge", "Bytes of live records", s.log_live_bytes},
      {"log_segments", "gauge", "Log segments", s.segments},
      {"disk_free_bytes", "gauge", "Free bytes of the data folder's disk", s.free_bytes},
      {"vault_slots_used", "gauge", "Key slots in use", v.slots_used},
      {"vault_slots_damaged", "gauge", "Key slots bad in both copies", v.slots_damaged},
      {"vault_slots_old_kek", "gauge", "Key slots wrapped by an older KEK", v.slots_old_kek},
      {"vault_creates_total", "counter", "Keys made", v.creates},
      {"vault_drops_total", "counter", "Keys shredded", v.drops},
      {"erasures_waiting", "gauge", "Subjects who left or are erased for good, not ERASED yet",
       atomic_load(&r->erasures_waiting)},
      {"erasures_overdue", "gauge", "Of these, past the charter's delete_abroad_within_hours",
       atomic_load(&r->erasures_overdue)},
      {"erasures_late_seconds", "gauge", "By how much, the worst of them",
       atomic_load(&r->erasures_late_ms) / 1000},
      {"ledger_entries", "gauge", "Entries in the ledger", ledger_size(r->ledger)},
      {"ledger_lsn", "gauge", "Last change of which the ledger has published an entry",
       ledger_cursor(r->ledger)},
      {"ledger_failed", "gauge", "1 after the ledger failed, until restart", ledger_failed(r->ledger)}};
  PUT_ALL(figures, out);
}

struct moves {
  uint64_t running, late, in_flight, subjects_left, failed, bytes_left, left_ms, late_ms, held_ms, yielded_ms;
};

static uint64_t larger(uint64_t a, uint64_t b) {
  return a > b ? a : b;
}

static bool add_move(void *arg, const struct move_job_status *job) {
  struct moves *all = arg;
  all->running++;
  all->late += job->late_ms > 0;
  all->in_flight += job->in_flight;
  all->failed += job->subjects_failed;
  all->yielded_ms += job->yielded_ms;
  if (job->subjects > job->subjects_done) all->subjects_left += job->subjects - job->subjects_done;
  if (job->bytes > job->bytes_done) all->bytes_left += job->bytes - job->bytes_done;
  all->left_ms = larger(all->left_ms, job->left_ms);
  all->late_ms = larger(all->late_ms, job->late_ms);
  all->held_ms = larger(all->held_ms, job->held_ms_p99);
  return true;
}

static void put_moves(struct region *r, struct buf *out) {
  struct moves all = {0};
  mover_job_running(r->mover, add_move, &all);
  const struct figure figures[] = {
      {"moves_running", "gauge", "Moves of many under way", all.running},
      {"moves_late", "gauge", "Of these, those that will miss their deadline, or have", all.late},
      {"moves_late_seconds", "gauge", "By how much, the worst of them", all.late_ms / 1000},
      {"moves_left_seconds", "gauge", "Until the last one ends, at its present speed", all.left_ms / 1000},
      {"moves_subjects_in_flight", "gauge", "Subjects that are being moved", all.in_flight},
      {"moves_subjects_left", "gauge", "Subjects still to be moved", all.subjects_left},
      {"moves_subjects_failed", "gauge", "Subjects that could not be moved so far", all.failed},
      {"moves_bytes_left", "gauge", "Bytes still to be moved", all.bytes_left},
      {"moves_held_p99_milliseconds", "gauge", "How long writers were held, the worst p99", all.held_ms},
      {"moves_yielded_milliseconds", "gauge", "How long their workers stood back for clients",
       all.yielded_ms}};
  PUT_ALL(figures, out);
}

void metrics(struct region *r, struct wire_exchange *x) {
  assert(r->store && r->server && r->ledger);
  BUF_AUTO out = BUF_INIT;
  put_requests(r, &out);
  put_durations(r, &out);
  put_storage(r, &out);
  put_moves(r, &out);
  dispatch_reply(x, out.failed ? 500 : 200, "text/plain; version=0.0.4", buf_slice(&out));
}
