/* Client, writers, verification and bench over HTTP, against a fake S3 that can lie. */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <curl/curl.h>

#include "bench_steps.h"
#include "fake_s3.h"
#include "load.h"
#include "verify.h"
#include "writer.h"

struct fixture {
  struct fake_s3 *fake;
  struct session session;
  char journal[64];
};

static const struct flag no_flags[] = {{0}};
static const struct flag_set test_set = {"test", "Tests.", NULL, no_flags};

static void setup(struct fixture *f, uint64_t workers) {
  struct endpoint endpoint;
  f->fake = fake_s3_start(&endpoint);
  char url[200];
  snprintf(url, sizeof url, "fake=%s", endpoint.url);
  struct flag_list list = {.values = {url}, .count = 1};
  assert_int_equal(session_init(&f->session, &test_set, "A:B", &list, workers), -1);
  snprintf(f->journal, sizeof f->journal, "/tmp/domicile-load-test-XXXXXX");
  int fd = mkstemp(f->journal);
  assert_true(fd >= 0);
  close(fd);
}

static void teardown(struct fixture *f) {
  session_done(&f->session);
  fake_s3_stop(f->fake);
  unlink(f->journal);
}

/* Runs the writers for some operations. With one worker the same ones in every run. */
static void write_some(struct fixture *f, bool tolerant, uint64_t ops, struct writer_counts *counts) {
  static const struct writer_subject subjects[] = {{"u-one", "IN", "b", "u-one/"},
                                                   {"u-two", "IN", "b", "u-two/"}};
  static const struct flag_list kinds = {.values = {"notes", "photos"}, .count = 2};
  struct journal journal;
  assert_true(journal_open(&journal, f->journal));
  struct writer_config config = {.session = &f->session,
                                 .journal = &journal,
                                 .subjects = subjects,
                                 .subject_count = 2,
                                 .kinds = &kinds,
                                 .keys_each = 16,
                                 .tolerant = tolerant,
                                 .ops_max = ops,
                                 .run_id = 77};
  assert_true(writer_run(&config, counts));
  assert_true(journal_close(&journal));
}

/* Verifies the journal; the number of mismatches. */
static uint64_t verify_now(struct fixture *f, bool listings, struct verify *v) {
  struct buf text = BUF_INIT;
  struct oracle oracle;
  oracle_init(&oracle);
  assert_true(verify_read_journal(f->journal, &oracle, &text));
  v->session = &f->session;
  v->oracle = &oracle;
  assert_true(verify_objects(v));
  if (listings) assert_true(verify_listings(v));
  verify_report(v);
  oracle_done(&oracle);
  buf_done(&text);
  return v->mismatches;
}

static void test_honest_server_passes(void **state) {
  (void)state;
  struct fixture f;
  setup(&f, 4);
  struct writer_counts counts = {0};
  struct verify v = {0};
  write_some(&f, false, 600, &counts);
  assert_int_equal(counts.failed + counts.refused, 0);
  for (int op = 0; op < RECORD_OP_COUNT; op++) assert_true(counts.done[op] > 0);
  assert_true(counts.met[WRITER_COPYING] > 0);
  assert_int_equal(verify_now(&f, true, &v), 0);
  assert_true(v.identical > 0 && v.absent > 0 && v.listings == 2);
  teardown(&f);
}

/* Planted: a store that acknowledges writes and forgets them. */
static void test_lost_put_is_found(void **state) {
  (void)state;
  struct fixture f;
  setup(&f, 1);
  struct writer_counts counts = {0};
  struct verify v = {0};
  fake_s3_set_fault(f.fake, FAKE_LOSES_PUT);
  write_some(&f, true, 600, &counts);
  assert_true(verify_now(&f, true, &v) > 0);
  teardown(&f);
}

/* Planted after an honest run: each lie about reads must be found. */
static void test_lies_about_reads_are_found(void **state) {
  (void)state;
  struct fixture f;
  setup(&f, 1);
  struct writer_counts counts = {0};
  write_some(&f, false, 300, &counts);
  static const enum fake_fault faults[] = {FAKE_MIXES_UP, FAKE_HIDES, FAKE_REFUSES, FAKE_UNAVAILABLE};
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
    struct verify v = {0};
    fake_s3_set_fault(f.fake, faults[i]);
    assert_true(verify_now(&f, true, &v) > 0);
  }
  struct verify honest = {0};
  fake_s3_set_fault(f.fake, FAKE_HONEST);
  assert_int_equal(verify_now(&f, true, &honest), 0);
  teardown(&f);
}

static void test_kept_deletion_is_found(void **state) {
  (void)state;
  struct fixture f;
  setup(&f, 1);
  struct writer_counts counts = {0};
  struct verify v = {0};
  fake_s3_set_fault(f.fake, FAKE_KEEPS_DELETED);
  write_some(&f, true, 400, &counts);
  assert_true(verify_now(&f, true, &v) > 0);
  teardown(&f);
}

/* A 503 leaves the outcome open: counted as failure, but no mismatch whichever way it went. */
static void test_unavailable_is_open(void **state) {
  (void)state;
  struct fixture f;
  setup(&f, 1);
  struct writer_counts counts = {0};
  struct verify v = {0};
  fake_s3_set_fault(f.fake, FAKE_UNAVAILABLE);
  write_some(&f, true, 300, &counts);
  assert_true(counts.failed > 0);
  fake_s3_set_fault(f.fake, FAKE_HONEST);
  assert_int_equal(verify_now(&f, true, &v), 0);
  assert_true(v.unsettled > 0);
  teardown(&f);
}

/* A rule turns 451 from a mismatch into the expectation, and an answer into a mismatch. */
static void test_expected_refusals(void **state) {
  (void)state;
  struct fixture f;
  setup(&f, 1);
  struct writer_counts counts = {0};
  write_some(&f, false, 300, &counts);
  struct verify_rule rule;
  assert_true(verify_rule_parse("fake:IN:**", &rule));
  struct verify v = {.rules = &rule, .rule_count = 1};
  fake_s3_set_fault(f.fake, FAKE_REFUSES);
  assert_int_equal(verify_now(&f, true, &v), 0);
  assert_true(v.refused > 0 && v.identical == 0);
  struct verify_rule others;
  assert_true(verify_rule_parse("!fake:*:**", &others));
  struct verify elsewhere = {.rules = &others, .rule_count = 1};
  fake_s3_set_fault(f.fake, FAKE_HONEST);
  assert_int_equal(verify_now(&f, true, &elsewhere), 0);
  struct verify served = {.rules = &rule, .rule_count = 1};
  fake_s3_set_fault(f.fake, FAKE_HONEST);
  assert_true(verify_now(&f, false, &served) > 0);
  teardown(&f);
}

static void test_client_reports_errors(void **state) {
  (void)state;
  struct fixture f;
  setup(&f, 1);
  struct client *c = session_client(&f.session, 0, 0);
  struct answer a;
  client_do(c, &(struct request){.method = "GET", .bucket = "b", .key = SLICE_LIT("none")}, &a);
  assert_int_equal(a.status, 404);
  assert_string_equal(a.code, "NoSuchKey");
  answer_done(&a);
  teardown(&f);
  /* Nobody listens there now. */
  struct fixture gone;
  setup(&gone, 1);
  c = session_client(&gone.session, 0, 0);
  fake_s3_stop(gone.fake);
  client_do(c, &(struct request){.method = "GET", .bucket = "b", .key = SLICE_LIT("k")}, &a);
  assert_int_equal(a.status, ANSWER_UNSENT);
  assert_true(a.why[0] != '\0');
  answer_done(&a);
  session_done(&gone.session);
  unlink(gone.journal);
}

/* A server that answers one request, takes a second one on the same connection, and is gone. */
static void *serve_once_and_go(void *arg) {
  int listener = *(int *)arg;
  int connection = accept(listener, NULL, NULL);
  assert_true(connection >= 0);
  char head[4096];
  size_t len = 0;
  for (int request = 0; request < 2; request++) {
    for (len = 0; len < 4 || memcmp(head + len - 4, "\r\n\r\n", 4) != 0; len++) {
      assert_true(len < sizeof head);
      assert_int_equal(read(connection, head + len, 1), 1);
    }
    static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    if (request == 0) assert_int_equal(write(connection, ANSWER, sizeof ANSWER - 1), sizeof ANSWER - 1);
  }
  close(listener);
  close(connection);
  return NULL;
}

/* What was sent once and not answered may have taken effect: neither unsent nor sent twice. */
static void test_taken_without_an_answer(void **state) {
  (void)state;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
  assert_int_equal(listen(listener, 1), 0);
  assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
  char url[64];
  snprintf(url, sizeof url, "http://127.0.0.1:%u", ntohs(address.sin_port));
  struct endpoint endpoint;
  assert_true(endpoint_parse(url, &endpoint));
  pthread_t server;
  assert_int_equal(pthread_create(&server, NULL, serve_once_and_go, &listener), 0);
  struct sigv4_key key = {.access = "A", .secret = "S"};
  struct client c;
  assert_true(client_open(&c, &endpoint, &key));
  struct request r = {.method = "DELETE", .bucket = "b", .key = SLICE_LIT("k")};
  struct answer a;
  client_do(&c, &r, &a);
  assert_int_equal(a.status, 200);
  answer_done(&a);
  client_do(&c, &r, &a);
  assert_int_equal(a.status, 0);
  answer_done(&a);
  client_do(&c, &r, &a);
  assert_int_equal(a.status, ANSWER_UNSENT);
  answer_done(&a);
  client_close(&c);
  assert_int_equal(pthread_join(server, NULL), 0);
}

static void test_bench(void **state) {
  (void)state;
  struct fixture f;
  setup(&f, 1);
  static uint8_t payload[100000];
  struct bench_config config = {.endpoint = &f.session.endpoints[0],
                                .key = &f.session.key,
                                .bucket = "b",
                                .prefix = "x/",
                                .op = BENCH_PUT,
                                .payload = slice_of(payload, sizeof payload),
                                .objects = 5,
                                .connections = 3,
                                .requests_max = 50};
  static struct bench_result r;
  assert_true(bench_run(&config, &r));
  assert_int_equal(r.requests, 50);
  assert_int_equal(r.errors, 0);
  assert_int_equal(r.body_bytes, 50 * sizeof payload);
  config.op = BENCH_GET;
  assert_true(bench_run(&config, &r));
  assert_int_equal(r.requests, 50);
  assert_int_equal(r.body_bytes, 50 * sizeof payload);
  assert_int_equal(r.latency_ns.total, 50);
  config.prefix = "none/";
  assert_true(bench_run(&config, &r));
  assert_int_equal(r.errors, 50);
  assert_int_equal(r.first_status, 404);
  teardown(&f);
}

static struct bench_config small_config(struct fixture *f, enum bench_op op, size_t objects) {
  static const uint8_t payload[100] = {1};
  return (struct bench_config){.endpoint = &f->session.endpoints[0],
                               .key = &f->session.key,
                               .bucket = "b",
                               .prefix = "x/",
                               .op = op,
                               .payload = slice_of(payload, sizeof payload),
                               .objects = objects,
                               .connections = 3,
                               .requests_max = objects};
}

/* Each object is deleted, and deleted once. */
static void test_bench_deletes(void **state) {
  (void)state;
  struct fixture f;
  setup(&f, 1);
  struct bench_config config = small_config(&f, BENCH_DELETE, 12);
  static struct bench_result r;
  assert_true(bench_fill(config, 12));
  assert_true(bench_walk(session_client(&f.session, 0, 0), &config, 12));
  assert_true(bench_run(&config, &r));
  assert_int_equal(r.requests, 12);
  assert_true(bench_walk(session_client(&f.session, 0, 0), &config, 0));
  config.op = BENCH_GET;
  assert_true(bench_run(&config, &r));
  assert_int_equal(r.errors, 12);
  teardown(&f);
}

/* A listing that leaves keys out, or shows too many, is not measured. */
static void test_bench_listing_is_checked(void **state) {
  (void)state;
  struct fixture f;
  setup(&f, 1);
  struct bench_config config = small_config(&f, BENCH_LIST, 3);
  static struct bench_result r;
  struct client *c = session_client(&f.session, 0, 0);
  assert_true(bench_fill(config, 12));
  assert_true(bench_walk(c, &config, 12));
  assert_false(bench_walk(c, &config, 13));
  assert_false(bench_walk(c, &config, 11));
  fake_s3_set_fault(f.fake, FAKE_HIDES);
  assert_false(bench_walk(c, &config, 12));
  fake_s3_set_fault(f.fake, FAKE_HONEST);
  assert_true(bench_run(&config, &r));
  assert_int_equal(r.requests, 3);
  assert_true(r.body_bytes > 0);
  teardown(&f);
}

/* What is filled is what was asked for, or it fails. */
static void test_bench_fill_is_checked(void **state) {
  (void)state;
  struct fixture f;
  setup(&f, 1);
  fake_s3_set_fault(f.fake, FAKE_UNAVAILABLE);
  assert_false(bench_fill(small_config(&f, BENCH_GET, 12), 12));
  teardown(&f);
}

static void test_bench_uploads(void **state) {
  (void)state;
  struct fixture f;
  setup(&f, 1);
  struct bench_config config = small_config(&f, BENCH_PART, 7);
  config.prefix = "whole";
  config.exact = true;
  static struct bench_result r;
  struct client *c = session_client(&f.session, 0, 0);
  assert_true(bench_upload(c, config, &r));
  assert_int_equal(r.requests, 7);
  assert_int_equal(r.body_bytes, 700);
  config.op = BENCH_GET;
  config.objects = config.requests_max = 1;
  assert_true(bench_run(&config, &r));
  assert_int_equal(r.body_bytes, 700);
  assert_true(bench_remove(c, &config));
  assert_true(bench_run(&config, &r));
  assert_int_equal(r.first_status, 404);
  fake_s3_set_fault(f.fake, FAKE_UNAVAILABLE);
  config.objects = 30; /* more parts than the fake answers in a row */
  assert_false(bench_upload(c, config, &r));
  teardown(&f);
}

static size_t held;
static void count_held(const struct bench_config *config) {
  held += config->connections;
}

static void test_bench_holds_its_connections(void **state) {
  (void)state;
  struct fixture f;
  setup(&f, 1);
  struct bench_config config = small_config(&f, BENCH_PUT, 3);
  config.hold = count_held;
  static struct bench_result r;
  held = 0;
  assert_true(bench_run(&config, &r));
  assert_int_equal(held, 3);
  teardown(&f);
}

/* RFC 3720 §B.4's check value of CRC32C, in the form of S3's unsigned trailers. */
static void test_bench_trailer(void **state) {
  (void)state;
  struct buf out = BUF_INIT;
  bench_trailer_encode(SLICE_LIT("123456789"), &out);
  assert_string_equal(buf_str(&out), "9\r\n123456789\r\n0\r\nx-amz-checksum-crc32c:4waSgw==\r\n\r\n");
  static uint8_t large[(64 << 10) + 1];
  buf_reset(&out);
  bench_trailer_encode(slice_of(large, sizeof large), &out);
  assert_memory_equal(out.data, "10000\r\n", 7);
  assert_memory_equal(out.data + 7 + (64 << 10), "\r\n1\r\n\0\r\n0\r\nx-amz", 16);
  buf_done(&out);
}

/* The same body, whole and byte by byte. */
static void test_bench_reads_chunks(void **state) {
  (void)state;
  static const char BODY[] = "5;x=y\r\nhello\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\na: b\r\n\r\n";
  struct bench_chunks whole = {0}, bytes = {0};
  assert_true(bench_chunks_take(&whole, slice_str(BODY)));
  for (size_t i = 0; BODY[i] != '\0'; i++) {
    assert_int_not_equal(bytes.at, BENCH_CHUNK_END);
    assert_true(bench_chunks_take(&bytes, slice_of(BODY + i, 1)));
  }
  assert_int_equal(whole.at, BENCH_CHUNK_END);
  assert_int_equal(bytes.at, BENCH_CHUNK_END);
  assert_int_equal(whole.body_bytes, 31);
  assert_int_equal(bytes.body_bytes, 31);
  assert_false(bench_chunks_take(&whole, SLICE_LIT("H")));
  static const char *const MALFORMED[] = {"\r\n", "x\r\n", "1\r\nab", "12345678901234567\r\n",
                                          "1\r\na\r\n\r\n"};
  for (size_t i = 0; i < sizeof MALFORMED / sizeof *MALFORMED; i++) {
    struct bench_chunks c = {0};
    assert_false(bench_chunks_take(&c, slice_str(MALFORMED[i])));
  }
  struct bench_head head;
  assert_true(bench_head_parse(SLICE_LIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), &head));
  assert_true(head.chunked);
  assert_false(bench_head_parse(SLICE_LIT("HTTP/1.1 200 OK\r\n\r\n"), &head));
}

int main(void) {
  load_signals_install();
  curl_global_init(CURL_GLOBAL_DEFAULT);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_honest_server_passes),
      cmocka_unit_test(test_lost_put_is_found),
      cmocka_unit_test(test_lies_about_reads_are_found),
      cmocka_unit_test(test_kept_deletion_is_found),
      cmocka_unit_test(test_unavailable_is_open),
      cmocka_unit_test(test_expected_refusals),
      cmocka_unit_test(test_client_reports_errors),
      cmocka_unit_test(test_taken_without_an_answer),
      cmocka_unit_test(test_bench),
      cmocka_unit_test(test_bench_deletes),
      cmocka_unit_test(test_bench_listing_is_checked),
      cmocka_unit_test(test_bench_fill_is_checked),
      cmocka_unit_test(test_bench_uploads),
      cmocka_unit_test(test_bench_holds_its_connections),
      cmocka_unit_test(test_bench_trailer),
      cmocka_unit_test(test_bench_reads_chunks),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  curl_global_cleanup();
  return failed;
}
