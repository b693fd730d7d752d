/* The oracle's judgement, above all that it finds planted losses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "journal.h"
#include "oracle.h"
#include "table.h"
#include "verify.h"

static const struct value absent = {0};

static struct value value_of(char c) {
  struct value v = {.present = true, .size_bytes = 1};
  digest_of(&c, 1, v.sha256);
  return v;
}

static void apply_key(struct oracle *o, const char *key, char kind, const char *id, enum record_op op,
                      unsigned status, struct value v) {
  struct record r = {.kind = kind,
                     .id = id,
                     .op = op,
                     .status = status,
                     .subject = "",
                     .country = "",
                     .bucket = "b",
                     .key = slice_str(key),
                     .value = v};
  assert_true(oracle_apply(o, &r));
}

static void apply(struct oracle *o, char kind, const char *id, enum record_op op, unsigned status,
                  struct value v) {
  apply_key(o, "k", kind, id, op, status, v);
}

static bool allows(const struct oracle *o, struct value v) {
  const struct oracle_key *k = oracle_find(o, "b", SLICE_LIT("k"));
  assert_non_null(k);
  return oracle_allows(k, &v);
}

static void test_lost_write_is_found(void **state) {
  (void)state;
  struct oracle o;
  oracle_init(&o);
  apply(&o, 'I', "1", RECORD_PUT, 0, value_of('a'));
  apply(&o, 'A', "1", RECORD_PUT, 200, value_of('a'));
  assert_true(allows(&o, value_of('a')));
  assert_false(allows(&o, absent)); /* lost */
  apply(&o, 'I', "2", RECORD_PUT, 0, value_of('b'));
  apply(&o, 'A', "2", RECORD_PUT, 200, value_of('b'));
  assert_false(allows(&o, value_of('a'))); /* the overwrite was lost */
  assert_false(allows(&o, value_of('x'))); /* never written */
  assert_true(allows(&o, value_of('b')));
  oracle_done(&o);
}

static void test_resurrection_is_found(void **state) {
  (void)state;
  struct oracle o;
  oracle_init(&o);
  apply(&o, 'A', "1", RECORD_PUT, 200, value_of('a'));
  apply(&o, 'A', "2", RECORD_DELETE, 204, absent);
  assert_true(allows(&o, absent));
  assert_false(allows(&o, value_of('a')));
  oracle_done(&o);
}

static void test_unknown_outcomes(void **state) {
  (void)state;
  struct oracle o;
  oracle_init(&o);
  apply(&o, 'A', "1", RECORD_PUT, 200, value_of('a'));
  apply(&o, 'I', "2", RECORD_PUT, 0, value_of('b')); /* no answer at all */
  apply(&o, 'I', "3", RECORD_DELETE, 0, absent);
  apply(&o, 'A', "3", RECORD_DELETE, 503, absent);
  assert_true(allows(&o, value_of('a')));
  assert_true(allows(&o, value_of('b')));
  assert_true(allows(&o, absent));
  assert_false(allows(&o, value_of('c')));
  assert_false(oracle_certain(oracle_find(&o, "b", SLICE_LIT("k"))));
  /* An acknowledged operation settles all before it. */
  apply(&o, 'A', "4", RECORD_COPY, 200, value_of('d'));
  assert_false(allows(&o, value_of('b')));
  assert_false(allows(&o, absent));
  assert_true(oracle_certain(oracle_find(&o, "b", SLICE_LIT("k"))));
  oracle_done(&o);
}

/* A check that saw one of two possible values makes a later flip a mismatch. */
static void test_observation_settles(void **state) {
  (void)state;
  struct oracle o;
  oracle_init(&o);
  apply(&o, 'A', "1", RECORD_PUT, 200, value_of('a'));
  apply(&o, 'I', "2", RECORD_PUT, 0, value_of('b'));
  apply(&o, 'O', "check", RECORD_PUT, 200, value_of('a'));
  assert_true(allows(&o, value_of('a')));
  assert_false(allows(&o, value_of('b')));
  oracle_done(&o);
}

static void test_refused_has_no_effect(void **state) {
  (void)state;
  struct oracle o;
  oracle_init(&o);
  apply(&o, 'A', "1", RECORD_PUT, 200, value_of('a'));
  apply(&o, 'I', "2", RECORD_PUT, 0, value_of('b'));
  apply(&o, 'A', "2", RECORD_PUT, 451, value_of('b'));
  assert_false(allows(&o, value_of('b')));
  /* Nobody took the connection. */
  apply(&o, 'I', "2b", RECORD_DELETE, 0, absent);
  apply(&o, 'A', "2b", RECORD_DELETE, RECORD_UNSENT, absent);
  assert_false(allows(&o, absent));
  assert_true(oracle_certain(oracle_find(&o, "b", SLICE_LIT("k"))));
  /* Parts and creations change no key. */
  apply(&o, 'A', "3", RECORD_PART, 200, value_of('c'));
  apply(&o, 'A', "4", RECORD_CREATE, 200, absent);
  assert_true(allows(&o, value_of('a')));
  oracle_done(&o);
}

static void test_many_keys(void **state) {
  (void)state;
  struct oracle o;
  oracle_init(&o);
  static char names[5000][16];
  for (int i = 0; i < 5000; i++) {
    snprintf(names[i], sizeof names[i], "key-%d", i);
    apply_key(&o, names[i], 'A', "1", RECORD_PUT, 200, value_of((char)(i % 7)));
  }
  assert_int_equal(o.count, 5000);
  for (int i = 0; i < 5000; i++) {
    const struct oracle_key *k = oracle_find(&o, "b", slice_str(names[i]));
    struct value v = value_of((char)(i % 7));
    assert_non_null(k);
    assert_true(oracle_allows(k, &v));
  }
  assert_null(oracle_find(&o, "c", SLICE_LIT("key-1")));
  oracle_done(&o);
}

/* What the journal writes is what the oracle reads; a torn last line is left out. */
static void test_journal_round_trip(void **state) {
  (void)state;
  char path[] = "/tmp/domicile-load-test-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  struct journal j;
  assert_true(journal_open(&j, path));
  struct record r = {.kind = 'A',
                     .id = "w-1",
                     .op = RECORD_COMPLETE,
                     .start_ns = 5,
                     .end_ns = 9,
                     .status = 200,
                     .met = "held",
                     .subject = "u-1",
                     .country = "IN",
                     .bucket = "phones",
                     .key = SLICE_LIT("u-1/a b\t%\xe0\xa4\xa6"),
                     .value = value_of('q')};
  assert_true(journal_write(&j, &r));
  assert_true(journal_close(&j));
  assert_true(lseek(fd, 0, SEEK_END) > 0);
  assert_int_equal(write(fd, "A\tw-2\tput", 9), 9);
  close(fd);
  struct buf text = BUF_INIT;
  struct oracle o;
  oracle_init(&o);
  assert_true(verify_read_journal(path, &o, &text));
  assert_int_equal(o.count, 1);
  const struct oracle_key *k = oracle_find(&o, "phones", SLICE_LIT("u-1/a b\t%\xe0\xa4\xa6"));
  assert_non_null(k);
  assert_string_equal(k->country, "IN");
  assert_true(value_equal(&k->value, &r.value));
  oracle_done(&o);
  buf_done(&text);
  unlink(path);
}

static void test_malformed_records(void **state) {
  (void)state;
  static const char *const bad[] = {
      "A\tid\tput\t1\t2\t200\t-\ts\tc\tb\tk\t1\n",       /* a column short */
      "X\tid\tput\t1\t2\t200\t-\ts\tc\tb\tk\t-\t-\n",    /* kind */
      "A\tid\tjump\t1\t2\t200\t-\ts\tc\tb\tk\t-\t-\n",   /* op */
      "A\tid\tput\t1\t2\t2000\t-\ts\tc\tb\tk\t-\t-\n",   /* status */
      "A\tid\tput\t1\t2\t200\t-\ts\tc\tb\tk%zz\t-\t-\n", /* escape */
      "A\tid\tput\t1\t2\t200\t-\ts\tc\tb\tk\t1\tabc\n",  /* hash */
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    BUF_AUTO text = BUF_INIT;
    buf_append_str(&text, bad[i]);
    struct table_cursor cursor = table_begin(&text);
    char *columns[TABLE_COLUMNS_MAX];
    size_t count;
    struct record r;
    assert_true(table_next(&cursor, columns, &count));
    assert_false(record_parse(columns, count, &r));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lost_write_is_found),   cmocka_unit_test(test_resurrection_is_found),
      cmocka_unit_test(test_unknown_outcomes),      cmocka_unit_test(test_observation_settles),
      cmocka_unit_test(test_refused_has_no_effect), cmocka_unit_test(test_many_keys),
      cmocka_unit_test(test_journal_round_trip),    cmocka_unit_test(test_malformed_records),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
