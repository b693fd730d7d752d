/* The engine: workers, pacing, ends, status. */
#include "writer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "load.h"
#include "writer_internal.h"

/* A worker that waits for its turn looks at the ends this often. */
#define NAP_MS 20
/* After a lost connection a tolerant worker waits so long: the server is being restarted. */
#define LOST_NAP_MS 20
/* How often the status file is written, and its line's length: constant, so that a reader never
 * sees a mixture of two lengths. */
#define STATUS_NS    UINT64_C(200000000)
#define STATUS_BYTES 256

static const char *const met_names[WRITER_MET_COUNT] = {"home", "copying", "held", "forwarded", "unsaid"};

const char *writer_met_name(enum writer_met met) {
  assert(met < WRITER_MET_COUNT);
  return met_names[met];
}

enum writer_met writer_met_of(const char *header) {
  assert(header != NULL);
  for (int i = 0; i < WRITER_UNSAID; i++) {
    if (strcmp(header, met_names[i]) == 0) return (enum writer_met)i;
  }
  return WRITER_UNSAID;
}

void writer_counts_print(const struct writer_counts *counts, struct buf *out) {
  assert(counts != NULL && out != NULL);
  uint64_t ops = 0;
  for (int i = 0; i < RECORD_OP_COUNT; i++) ops += atomic_load(&counts->done[i]);
  buf_printf(out, "ops=%llu failed=%llu refused=%llu", (unsigned long long)ops,
             (unsigned long long)atomic_load(&counts->failed),
             (unsigned long long)atomic_load(&counts->refused));
  for (int i = 0; i < WRITER_MET_COUNT; i++) {
    buf_printf(out, " %s=%llu", met_names[i], (unsigned long long)atomic_load(&counts->met[i]));
  }
  for (int i = 0; i < RECORD_OP_COUNT; i++) {
    buf_printf(out, " %s=%llu", record_op_name((enum record_op)i),
               (unsigned long long)atomic_load(&counts->done[i]));
  }
}

static void write_status(struct writer_run *run) {
  assert(run->status_fd >= 0);
  BUF_AUTO line = BUF_INIT;
  writer_counts_print(run->counts, &line);
  while (!line.failed && line.len < STATUS_BYTES - 1) buf_append_byte(&line, ' ');
  buf_append_byte(&line, '\n');
  /* The status is a courtesy: the journal is the record. */
  if (!line.failed && pwrite(run->status_fd, line.data, line.len, 0) < 0) run->status_fd = -1;
}

static void status_when_due(struct writer_run *run) {
  if (run->status_fd < 0) return;
  uint64_t now = clock_mono_ns(clock_posix());
  unsigned long long due = atomic_load(&run->status_ns);
  assert(now >= run->start_ns);
  if (now >= due && atomic_compare_exchange_strong(&run->status_ns, &due, now + STATUS_NS)) write_status(run);
}

static bool ended(struct writer_run *run, uint64_t ticket) {
  const struct writer_config *config = run->config;
  assert(config != NULL);
  if (atomic_load(&load_stop) || atomic_load(&run->broken)) return true;
  if (config->ops_max > 0 && ticket >= config->ops_max) return true;
  uint64_t elapsed_ms = (clock_mono_ns(clock_posix()) - run->start_ns) / 1000000;
  if (config->duration_ms > 0 && elapsed_ms >= config->duration_ms) return true;
  return config->stop_file != NULL && access(config->stop_file, F_OK) == 0;
}

/* Waits for the worker's turn. Returns: false at the end. */
static bool take_turn(struct writer_run *run) {
  uint64_t ticket = atomic_fetch_add(&run->tickets, 1);
  uint64_t rate = run->config->rate;
  uint64_t due = rate == 0 ? 0 : run->start_ns + ticket * UINT64_C(1000000000) / rate;
  assert(due == 0 || due >= run->start_ns);
  for (;;) {
    if (ended(run, ticket)) return false;
    status_when_due(run);
    uint64_t now = clock_mono_ns(clock_posix());
    if (now >= due) return true;
    uint64_t left_ms = (due - now) / 1000000 + 1;
    clock_sleep_ms(clock_posix(), left_ms < NAP_MS ? left_ms : NAP_MS);
  }
}

/* A key of a random person, or of the one just met while moving. */
static size_t choose_slot(struct writer_worker *w) {
  const struct writer_config *config = w->run->config;
  uint64_t r = content_random(&w->random);
  assert(config->subject_count > 0 && config->keys_each > 0);
  if (!w->stay || r % 4 == 0) w->last_subject = (size_t)(r >> 8) % config->subject_count;
  return w->last_subject * config->keys_each + (size_t)(r >> 40) % config->keys_each;
}

/* Of a hundred operations: 45 put, 15 delete, 15 copy, the rest begins or completes uploads. */
static bool one_operation(struct writer_worker *w) {
  size_t at = choose_slot(w);
  uint64_t r = content_random(&w->random) % 100;
  assert(w->open_count <= WRITER_OPEN_MAX);
  if (r < 45) return writer_put(w, at);
  if (r < 60) return writer_delete(w, at);
  if (r < 75) return writer_copy(w, at);
  if (w->slots[at].upload != NULL) return writer_complete_upload(w, at);
  if (w->open_count == WRITER_OPEN_MAX) return writer_complete_upload(w, w->open[0]);
  return writer_begin_upload(w, at);
}

/* Whether the last operation lost its connection: then the counts of failures grew. */
static void rest_when_lost(struct writer_worker *w, uint64_t failed_before) {
  if (!w->run->config->tolerant) return;
  assert(atomic_load(&w->run->counts->failed) >= failed_before);
  if (atomic_load(&w->run->counts->failed) > failed_before) clock_sleep_ms(clock_posix(), LOST_NAP_MS);
}

static bool work(void *context, size_t thread, size_t index) {
  struct writer_run *run = context;
  const struct writer_config *config = run->config;
  (void)thread;
  size_t slots = config->subject_count * config->keys_each;
  assert(slots > 0);
  struct writer_worker w = {.run = run,
                            .client = session_client(config->session, index, 0),
                            .number = (unsigned)index,
                            .random = config->run_id * 1000003 + index,
                            .slots = dom_calloc(slots, sizeof *w.slots),
                            .body = dom_alloc(WRITER_BODY_MAX)};
  bool ok = w.client != NULL && w.slots != NULL && w.body != NULL;
  while (ok && take_turn(run)) {
    uint64_t failed = atomic_load(&run->counts->failed);
    ok = one_operation(&w);
    rest_when_lost(&w, failed);
  }
  while (w.open_count > 0) {
    if (ok && !atomic_load(&run->broken)) {
      ok = writer_complete_upload(&w, w.open[0]);
    } else {
      writer_forget_upload(&w, w.open[0]);
    }
  }
  if (!ok) atomic_store(&run->broken, true);
  dom_free(w.slots);
  dom_free(w.body);
  return true;
}

bool writer_run(const struct writer_config *config, struct writer_counts *counts) {
  assert(config != NULL && counts != NULL && config->subject_count > 0 && config->keys_each > 0);
  struct writer_run run = {
      .config = config, .counts = counts, .start_ns = clock_mono_ns(clock_posix()), .status_fd = -1};
  if (config->status_file != NULL) {
    run.status_fd = open(config->status_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (run.status_fd < 0) {
      load_complain("%s: %s", config->status_file, strerror(errno));
      return false;
    }
  }
  /* One task a worker: a task is the worker's whole life. */
  pool_run(config->session->workers, config->session->workers, work, &run);
  if (run.status_fd >= 0) {
    write_status(&run);
    close(run.status_fd);
  }
  if (atomic_load(&run.broken)) load_complain("the writers could not go on: journal or memory failed");
  return !atomic_load(&run.broken);
}
