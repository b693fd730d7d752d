/* A move's progress. */
#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/watch.h"

enum {
  POLL_SOCKET_MS = 250,    /* lively enough for a bar */
  POLL_ENDPOINT_MS = 2000, /* over the network each question is an entry in the ledger */
  LINE_EVERY_MS = 5000,    /* plain lines: a log of a long move stays readable */
  BAR_WIDTH = 30
};

static void put_bar(const json_t *m, struct buf *out) {
  uint64_t all = cli_number(m, "subjects"), done = cli_number(m, "subjects_done");
  unsigned full = all ? (unsigned)(done * BAR_WIDTH / all) : BAR_WIDTH;
  buf_append_byte(out, '[');
  for (unsigned i = 0; i < BAR_WIDTH; i++) buf_append_byte(out, i < full ? '#' : '.');
  buf_append_str(out, "] ");
}

/* Whether it will be there in time, by what the daemon reckons. */
static void put_deadline(const json_t *m, uint64_t now_ms, struct buf *out) {
  uint64_t left = cli_number(m, "left_ms"), late = cli_number(m, "late_ms"),
           deadline = cli_number(m, "deadline_ms");
  if (left) buf_printf(out, "  %s left", cli_show_span(left).text);
  if (!deadline) return;
  if (late)
    buf_printf(out, ", LATE by %s", cli_show_span(late).text);
  else if (left && now_ms + left <= deadline)
    buf_printf(out, ", on time with %s to spare", cli_show_span(deadline - now_ms - left).text);
}

void watch_line(const json_t *m, uint64_t now_ms, struct buf *out) {
  uint64_t failed = cli_number(m, "subjects_failed"), in_flight = cli_number(m, "in_flight");
  bool runs = strcmp(cli_text(m, "state"), "running") == 0;
  buf_printf(out, "%s  %llu of %llu subjects  %llu of %llu objects  %s", cli_text(m, "state"),
             (unsigned long long)cli_number(m, "subjects_done"),
             (unsigned long long)cli_number(m, "subjects"), (unsigned long long)cli_number(m, "objects_done"),
             (unsigned long long)cli_number(m, "objects"), cli_show_bytes(cli_number(m, "bytes_done")).text);
  buf_printf(out, " of %s", cli_show_bytes(cli_number(m, "bytes")).text);
  if (runs && cli_number(m, "rate_now"))
    buf_printf(out, "  %s/s", cli_show_bytes(cli_number(m, "rate_now")).text);
  buf_printf(out, "  held %llu ms", (unsigned long long)cli_number(m, "held_ms_p99"));
  if (runs) put_deadline(m, now_ms, out);
  if (!runs && in_flight) buf_printf(out, "  %llu still under way", (unsigned long long)in_flight);
  if (failed) buf_printf(out, "  %llu failed", (unsigned long long)failed);
}

static void show(const json_t *m, bool terminal, uint64_t now_ms) {
  BUF_AUTO line = BUF_INIT;
  if (terminal) {
    buf_append_str(&line, "\r\033[K");
    put_bar(m, &line);
  }
  watch_line(m, now_ms, &line);
  if (!terminal) buf_append_byte(&line, '\n');
  fputs(buf_str(&line), stdout);
  fflush(stdout);
}

static int detached(const struct cli_common *c, uint64_t id, bool terminal) {
  if (terminal) putchar('\n');
  fprintf(stderr,
          "domicile: detached; the move goes on in the daemon. Come back with:\n  domicile move status %llu "
          "--follow",
          (unsigned long long)id);
  if (c->data) fprintf(stderr, " --data %s", c->data);
  if (c->config) fprintf(stderr, " --config %s", c->config);
  if (c->endpoint) fprintf(stderr, " --endpoint %s", c->endpoint);
  fputc('\n', stderr);
  return CLI_INTERRUPTED;
}

static int ended(const struct cli_common *c, const json_t *m, bool terminal) {
  uint64_t failed = cli_number(m, "subjects_failed"), id = cli_number(m, "id");
  if (c->json)
    cli_print_json(m);
  else if (terminal)
    putchar('\n');
  if (cli_text(m, "last_failure")[0]) cli_complain("%s", cli_text(m, "last_failure"));
  if (failed)
    cli_complain("%llu subjects were not moved; list them with: domicile move failures %llu",
                 (unsigned long long)failed, (unsigned long long)id);
  if (strcmp(cli_text(m, "state"), "paused") == 0)
    cli_complain("paused; go on with: domicile move resume %llu", (unsigned long long)id);
  return failed || strcmp(cli_text(m, "state"), "done") != 0 || cli_text(m, "last_failure")[0] ? CLI_FOUND
                                                                                               : CLI_OK;
}

/* Sleeps in steps, so that Ctrl-C is heard at once. */
static void pause_ms(unsigned ms) {
  for (unsigned slept = 0; slept < ms && !cli_interrupted(); slept += 50) clock_sleep_ms(clock_posix(), 50);
}

int watch_move(struct cli_link *link, const struct cli_common *c, uint64_t id) {
  assert(link && id > 0);
  bool terminal = isatty(STDOUT_FILENO) && !c->json;
  uint64_t shown_at = 0;
  char path[48];
  snprintf(path, sizeof path, "moves/%llu", (unsigned long long)id);
  cli_catch_interrupt();
  for (;;) {
    CLI_JSON_AUTO *m = NULL;
    int status = cli_ask(link, "GET", path, NULL, &m);
    if (cli_interrupted()) return detached(c, id, terminal);
    if (status != CLI_CONTINUE) return status;
    uint64_t now = clock_mono_ns(clock_posix()) / 1000000;
    bool running = strcmp(cli_text(m, "state"), "running") == 0;
    if (!c->json && (terminal || !running || shown_at == 0 || now - shown_at >= LINE_EVERY_MS)) {
      show(m, terminal, clock_wall_ms(clock_posix()));
      shown_at = now;
    }
    if (!running) return ended(c, m, terminal);
    pause_ms(c->endpoint ? POLL_ENDPOINT_MS : POLL_SOCKET_MS);
    if (cli_interrupted()) return detached(c, id, terminal);
  }
}
