/* write and crash-writer. */
#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "load.h"
#include "table.h"
#include "writer.h"

/* Flags of both commands. */
struct write_flags {
  const char *journal, *key, *stop_file, *status_file, *subjects, *bucket, *prefix, *country;
  struct flag_list endpoints, countries, kinds;
  uint64_t workers, rate, duration_s, ops_max, keys_each, seed;
};

static bool wanted(const struct flag_list *countries, const char *country) {
  assert(countries != NULL && country != NULL);
  for (size_t i = 0; i < countries->count; i++) {
    if (strcmp(countries->values[i], country) == 0) return true;
  }
  return countries->count == 0;
}

/* The list of subjects, filtered; `out` is the caller's to free, its strings are in `text`. */
static bool read_subjects(const struct write_flags *f, struct buf *text, struct writer_subject **out,
                          size_t *out_count) {
  assert(f->subjects != NULL && out != NULL);
  if (!table_read(f->subjects, text)) return false;
  struct table_cursor cursor = table_begin(text);
  char *columns[TABLE_COLUMNS_MAX];
  size_t count, kept = 0, cap = 0;
  struct writer_subject *subjects = NULL;
  while (table_next(&cursor, columns, &count)) {
    if (count != 4) {
      load_complain("%s:%llu: not subject, country, bucket, prefix", f->subjects,
                    (unsigned long long)cursor.line);
      dom_free(subjects);
      return false;
    }
    if (!wanted(&f->countries, columns[1])) continue;
    if (f->bucket != NULL && strcmp(f->bucket, columns[2]) != 0) continue;
    if (kept == cap) {
      cap = cap == 0 ? 256 : cap * 2;
      struct writer_subject *more = dom_realloc(subjects, cap * sizeof *more);
      if (more == NULL) {
        dom_free(subjects);
        return load_complain("out of memory") == LOAD_OK;
      }
      subjects = more;
    }
    subjects[kept++] = (struct writer_subject){columns[0], columns[1], columns[2], columns[3]};
  }
  *out = subjects;
  *out_count = kept;
  return true;
}

/* Runs the writers and prints what they did. */
static int run(const struct write_flags *f, struct session *session, const struct writer_subject *subjects,
               size_t subject_count, bool tolerant) {
  assert(subject_count > 0);
  struct journal journal;
  if (!journal_open(&journal, f->journal)) return LOAD_FAILED;
  uint64_t run_id = f->seed != 0 ? f->seed : clock_wall_ms(clock_posix()) << 20 ^ (uint64_t)getpid();
  struct writer_config config = {.session = session,
                                 .journal = &journal,
                                 .subjects = subjects,
                                 .subject_count = subject_count,
                                 .kinds = &f->kinds,
                                 .keys_each = (size_t)f->keys_each,
                                 .tolerant = tolerant,
                                 .rate = f->rate,
                                 .duration_ms = f->duration_s * 1000,
                                 .ops_max = f->ops_max,
                                 .stop_file = f->stop_file,
                                 .status_file = f->status_file,
                                 .run_id = run_id};
  struct writer_counts counts = {0};
  bool ok = writer_run(&config, &counts);
  ok &= journal_close(&journal);
  BUF_AUTO line = BUF_INIT;
  writer_counts_print(&counts, &line);
  printf("%s\n", buf_str(&line));
  if (!ok) return LOAD_FAILED;
  if (tolerant) return atomic_load(&load_stop) ? LOAD_INTERRUPTED : LOAD_OK;
  uint64_t bad = atomic_load(&counts.failed) + atomic_load(&counts.refused);
  printf("acknowledged while COPYING %llu, held at the fence %llu, forwarded after COMMITTED %llu; failures "
         "%llu\n",
         (unsigned long long)atomic_load(&counts.met[WRITER_COPYING]),
         (unsigned long long)atomic_load(&counts.met[WRITER_HELD]),
         (unsigned long long)atomic_load(&counts.met[WRITER_FORWARDED]), (unsigned long long)bad);
  if (bad > 0) return LOAD_MISMATCH;
  return atomic_load(&load_stop) ? LOAD_INTERRUPTED : LOAD_OK;
}

static int check_common(const struct write_flags *f, const struct flag_set *set) {
  assert(f != NULL && set != NULL);
  if (f->endpoints.count != 1) return flags_complain(set, "exactly one --endpoint");
  if (f->keys_each < 1 || f->keys_each > 1000) return flags_complain(set, "--keys is 1 to 1000");
  if (f->duration_s > 86400 * 30) return flags_complain(set, "--duration is at most 30 days");
  return LOAD_OK;
}

int cmd_write(int argc, char **argv) {
  struct write_flags f = {.workers = 8, .keys_each = 3};
  const struct flag flags[] = {
      {"--endpoint", "URL", "the gateway, as a rule a stale one", FLAG_LIST, true, &f.endpoints},
      {"--subjects", "FILE", "subjects.tsv, made by people", FLAG_STRING, true, &f.subjects},
      {"--journal", "FILE", "append every answer here", FLAG_STRING, true, &f.journal},
      {"--country", "CC", "only this country's people; repeat", FLAG_LIST, false, &f.countries},
      {"--bucket", "NAME", "only in this bucket", FLAG_STRING, false, &f.bucket},
      {"--kind", "FOLDER", "write under this folder of a person, e.g. notes; repeat", FLAG_LIST, false,
       &f.kinds},
      {"--rate", "N", "operations a second in all (as fast as it goes)", FLAG_NUMBER, false, &f.rate},
      {"--duration", "S", "end after so many seconds", FLAG_NUMBER, false, &f.duration_s},
      {"--ops", "N", "end after so many operations", FLAG_NUMBER, false, &f.ops_max},
      {"--stop-file", "FILE", "end when this file exists", FLAG_STRING, false, &f.stop_file},
      {"--status", "FILE", "keep the counts here while running, one line", FLAG_STRING, false,
       &f.status_file},
      {"--workers", "N", "operations in flight, each on its own key (8)", FLAG_NUMBER, false, &f.workers},
      {"--keys", "N", "keys of a worker per person and bucket (3)", FLAG_NUMBER, false, &f.keys_each},
      {"--key", "ACCESS:SECRET", "else DOMICILE_LOAD_KEY", FLAG_STRING, false, &f.key},
      {0}};
  const struct flag_set set = {"write",
                               "Puts, overwrites, deletes, copies and completes uploads for people who move, "
                               "without retries; any failure counts.",
                               NULL, flags};
  int code = flags_parse(&set, argc, argv, NULL);
  if (code >= 0) return code;
  if ((code = check_common(&f, &set)) != LOAD_OK) return code;
  struct session session;
  BUF_AUTO text = BUF_INIT;
  struct writer_subject *subjects = NULL;
  size_t count = 0;
  code = session_init(&session, &set, f.key, &f.endpoints, f.workers);
  if (code < 0) code = read_subjects(&f, &text, &subjects, &count) ? LOAD_OK : LOAD_FAILED;
  if (code == LOAD_OK && count == 0) code = flags_complain(&set, "no subject is left to write for");
  if (code == LOAD_OK) code = run(&f, &session, subjects, count, false);
  dom_free(subjects);
  session_done(&session);
  return code;
}

int cmd_crash_writer(int argc, char **argv) {
  struct write_flags f = {.workers = 16, .keys_each = 16, .prefix = "crash/", .country = "", .bucket = NULL};
  const struct flag flags[] = {
      {"--endpoint", "URL", "the server that will be killed", FLAG_LIST, true, &f.endpoints},
      {"--bucket", "NAME", "an existing bucket", FLAG_STRING, true, &f.bucket},
      {"--log", "FILE", "append intents and answers here, each by one write(2)", FLAG_STRING, true,
       &f.journal},
      {"--prefix", "PREFIX", "of all keys (crash/); a subject where the bucket's layout wants one",
       FLAG_STRING, false, &f.prefix},
      {"--country", "CC", "sent with first objects, where subjects are registered so", FLAG_STRING, false,
       &f.country},
      {"--workers", "N", "writers (16)", FLAG_NUMBER, false, &f.workers},
      {"--keys", "N", "keys of each (16)", FLAG_NUMBER, false, &f.keys_each},
      {"--rate", "N", "operations a second in all (as fast as it goes)", FLAG_NUMBER, false, &f.rate},
      {"--duration", "S", "end after so many seconds", FLAG_NUMBER, false, &f.duration_s},
      {"--ops", "N", "end after so many operations", FLAG_NUMBER, false, &f.ops_max},
      {"--stop-file", "FILE", "end when this file exists", FLAG_STRING, false, &f.stop_file},
      {"--status", "FILE", "keep the counts here while running, one line", FLAG_STRING, false,
       &f.status_file},
      {"--seed", "N", "the run's number; give each run its own (from the clock)", FLAG_NUMBER, false,
       &f.seed},
      {"--key", "ACCESS:SECRET", "else DOMICILE_LOAD_KEY", FLAG_STRING, false, &f.key},
      {0}};
  const struct flag_set set = {
      "crash-writer", "Writes while the server is killed; lost connections are expected.", NULL, flags};
  int code = flags_parse(&set, argc, argv, NULL);
  if (code >= 0) return code;
  if ((code = check_common(&f, &set)) != LOAD_OK) return code;
  struct session session;
  BUF_AUTO name = BUF_INIT; /* so that checks list below the prefix: a bucket may hold more */
  size_t len = strlen(f.prefix);
  buf_append(&name, f.prefix, len > 0 && f.prefix[len - 1] == '/' ? len - 1 : len);
  struct writer_subject subject = {
      .subject = buf_str(&name), .country = f.country, .bucket = f.bucket, .prefix = f.prefix};
  code = session_init(&session, &set, f.key, &f.endpoints, f.workers);
  if (code < 0) code = run(&f, &session, &subject, 1, true);
  session_done(&session);
  return code;
}
