#include "wire_testing.h"

struct row {
  unsigned status; /* 0: accepted */
  const char *text;
  size_t len; /* 0: strlen */
};

#define H           "Host: a\r\n"
#define E           "\r\n"
#define WITH_NUL(s) s, sizeof(s) - 1

static const struct row table[] = {
    /* start line */
    {0, "GET / HTTP/1.1\r\n" H E},
    {400, "GET  / HTTP/1.1\r\n" H E},
    {400, "GET /  HTTP/1.1\r\n" H E},
    {400, " GET / HTTP/1.1\r\n" H E},
    {400, "GET\t/ HTTP/1.1\r\n" H E},
    {400, "GET / HTTP/1.1 \r\n" H E},
    {400, "GET /\r\n" H E},
    {400, "GET\r\n" H E},
    {400, "GET / HTTP/1.1x\r\n" H E},
    {400, "GET / http/1.1\r\n" H E},
    {400, "GET / HTTP/1,1\r\n" H E},
    {400, "GET / HTTP/11\r\n" H E},
    {400, "GET / HTTP/1.1\r\r\n" H E},
    {400, "G@T / HTTP/1.1\r\n" H E},
    {400, "GET a HTTP/1.1\r\n" H E},
    {400, "GET /\x01 HTTP/1.1\r\n" H E},
    {400, "GET /\x7f HTTP/1.1\r\n" H E},
    {400, "GET /\xc3\xa4 HTTP/1.1\r\n" H E},
    {400, "GET /a#b HTTP/1.1\r\n" H E},
    {400, "GET * HTTP/1.1\r\n" H E},
    {0, "OPTIONS * HTTP/1.1\r\n" H E},
    {501, "BREW / HTTP/1.1\r\n" H E},
    {501, "get / HTTP/1.1\r\n" H E},
    {501, "CONNECT a:80 HTTP/1.1\r\n" H E},
    {505, "GET / HTTP/2.0\r\n" H E},
    {505, "GET / HTTP/1.2\r\n" H E},
    {505, "GET / HTTP/0.9\r\n" H E},
    {505, "PRI * HTTP/2.0\r\n" E},
    /* absolute form */
    {0, "GET http://a/x?y HTTP/1.1\r\n" H E},
    {0, "GET HTTP://A/x HTTP/1.1\r\n" H E},
    {400, "GET http://b/x HTTP/1.1\r\n" H E},
    {400, "GET http://a HTTP/1.1\r\n" H E},
    {400, "GET ftp://a/x HTTP/1.1\r\n" H E},
    {400, "GET http://u@a/x HTTP/1.1\r\n" H E},
    /* Host */
    {400, "GET / HTTP/1.1\r\n" E},
    {400, "GET / HTTP/1.1\r\n" H "Host: b\r\n" E},
    {400, "GET / HTTP/1.1\r\n" H H E},
    {400, "GET / HTTP/1.1\r\nHost:\r\n" E},
    {400, "GET / HTTP/1.1\r\nHost: a b\r\n" E},
    {400, "GET / HTTP/1.1\r\nHost: a/b\r\n" E},
    {400, "GET / HTTP/1.1\r\nHost: u@a\r\n" E},
    {0, "GET / HTTP/1.1\r\nHost: [::1]:9101\r\n" E},
    {0, "GET / HTTP/1.0\r\n" E},
    {400, "GET / HTTP/1.0\r\n" H H E},
    /* field lines */
    {400, "GET / HTTP/1.1\r\n" H "Name : x\r\n" E},
    {400, "GET / HTTP/1.1\r\n" H "Name\t: x\r\n" E},
    {400, "GET / HTTP/1.1\r\n" H " Name: x\r\n" E},
    {400, "GET / HTTP/1.1\r\n" H "Name: x\r\n folded\r\n" E},
    {400, "GET / HTTP/1.1\r\n" H "Name: x\r\n\tfolded\r\n" E},
    {400, "GET / HTTP/1.1\r\n" H ": x\r\n" E},
    {400, "GET / HTTP/1.1\r\n" H "Name\r\n" E},
    {400, "GET / HTTP/1.1\r\n" H "N\xc3\xa4me: x\r\n" E},
    {400, "GET / HTTP/1.1\r\n" H "Na(me: x\r\n" E},
    {400, WITH_NUL("GET / HTTP/1.1\r\n" H "Name: x\0y\r\n" E)},
    {400, WITH_NUL("GET / HTTP/1.1\r\n" H "Na\0me: x\r\n" E)},
    {400, WITH_NUL("GET /\0 HTTP/1.1\r\n" H E)},
    {400, "GET / HTTP/1.1\r\n" H "Name: x\ry\r\n" E},
    {400, "GET / HTTP/1.1\r\n" H "Name: x\ny\r\n" E},
    {400, "GET / HTTP/1.1\n" H E},
    {400, "GET / HTTP/1.1\r\n" H "Name: x\r\r\n" E},
    {400, "GET / HTTP/1.1\r\n" H "Name: x\x0b\r\n" E},
    {400, "GET / HTTP/1.1\r\n" H "Name: x\x7f\r\n" E},
    {0, "GET / HTTP/1.1\r\n" H "Name: a\tb \xc3\xa4\r\n" E},
    {0, "GET / HTTP/1.1\r\n" H "Empty:\r\n" E},
    {400, "GET / HTTP/1.1\r\n" H},
    {400, "\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" H E E},
    /* framing */
    {0, "PUT / HTTP/1.1\r\n" H "Content-Length: 5\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Content-Length: 5\r\ncontent-length: 6\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Content-Length: +5\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Content-Length: -5\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Content-Length: 5 6\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Content-Length:\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Content-Length: 9223372036854775808\r\n" E},
    {0, "PUT / HTTP/1.1\r\n" H "Content-Length: 9223372036854775807\r\n" E},
    {0, "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;q=1\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Transfer-Encoding:\x0b"
          "chunked\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n" E},
    {400, "PUT / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n" E},
    /* a tab is a blank to us, but not to nginx: where it could part two readers, it is refused */
    {400, "PUT / HTTP/1.1\r\n" H "Content-Length:\t5\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Content-Length: 5\t\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "Transfer-Encoding:\tchunked\r\n" E},
    {400, "PUT / HTTP/1.1\r\n" H "transfer-encoding: chunked\t\r\n" E},
    {400, "GET / HTTP/1.1\r\nHost:\ta\r\n" E},
    {400, "GET / HTTP/1.1\r\nHost: a..b\r\n" E},
    {0, "GET / HTTP/1.1\r\n" H "Other:\tx\t\r\n" E},
    /* expectations */
    {400, "PUT / HTTP/1.1\r\n" H "Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1\r\n" E},
    {0, "PUT / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 1\r\n" E},
    {417, "PUT / HTTP/1.1\r\n" H "Expect: tea\r\n" E},
};

/* The bytes of each row live in memory of exactly their size, so that ASan sees a read past them. */
static unsigned parse_exact(const char *text, size_t len, struct wire_head *h, uint8_t **out_bytes) {
  const char *why = NULL;
  *out_bytes = malloc(len > 0 ? len : 1);
  assert_non_null(*out_bytes);
  memcpy(*out_bytes, text, len);
  unsigned status = wire_head_parse(slice_of(*out_bytes, len), h, &why);
  assert_true(status == 0 || why != NULL);
  return status;
}

static void test_table(void **state) {
  (void)state;
  assert_true(sizeof table / sizeof table[0] >= 60);
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    const struct row *r = &table[i];
    struct wire_head h;
    uint8_t *bytes;
    unsigned status = parse_exact(r->text, r->len != 0 ? r->len : strlen(r->text), &h, &bytes);
    if (status != r->status) fail_msg("row %zu: %u instead of %u: %s", i, status, r->status, r->text);
    free(bytes);
  }
}

/* Every head cut short anywhere, and with every byte replaced by a few evil ones: never a crash,
 * and what is accepted keeps the invariants that handlers rely on. */
static void test_mutations(void **state) {
  (void)state;
  static const uint8_t evil[] = {0, '\r', '\n', ' ', ':', 0x7f, 0xff, '/', ','};
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    size_t len = table[i].len != 0 ? table[i].len : strlen(table[i].text);
    for (size_t at = 0; at < len; at++)
      for (size_t k = 0; k <= sizeof evil; k++) {
        char copy[256];
        struct wire_head h;
        uint8_t *bytes;
        assert_true(len < sizeof copy);
        memcpy(copy, table[i].text, len);
        if (k < sizeof evil) copy[at] = (char)evil[k];
        if (parse_exact(copy, k < sizeof evil ? len : at, &h, &bytes) == 0) {
          assert_true(h.path.len > 0 && (h.path.data[0] == '/' || h.path.data[0] == '*'));
          assert_false(h.chunked && h.has_length);
          assert_true(h.minor == 0 || wire_head_count(&h, "host") == 1);
        }
        free(bytes);
      }
  }
}

static void expect_slice(struct slice s, const char *text) {
  assert_non_null(s.data);
  if (!slice_equal(s, slice_str(text)))
    fail_msg("%.*s instead of %s", (int)s.len, (const char *)s.data, text);
}

static void test_content(void **state) {
  (void)state;
  static const char text[] =
      "PUT /b/k%20x?a=1&b=%2f? HTTP/1.1\r\nhOsT: b.example:80\r\nX-Many: 1\r\n"
      "Content-Length:   007  \r\nx-many:\t2\t\r\nX-Empty:   \r\nConnection: x, Close\r\n\r\n";
  struct wire_head h;
  const char *why;
  assert_int_equal(wire_head_parse(slice_str(text), &h, &why), 0);
  assert_int_equal(h.method, WIRE_METHOD_PUT);
  expect_slice(h.target, "/b/k%20x?a=1&b=%2f?");
  expect_slice(h.path, "/b/k%20x");
  expect_slice(h.query, "a=1&b=%2f?");
  expect_slice(h.host, "b.example:80");
  assert_int_equal(h.length, 7);
  assert_false(h.keep_alive);
  assert_int_equal(wire_head_count(&h, "X-MANY"), 2);
  expect_slice(wire_head_get(&h, "x-many"), "1");
  size_t at = 0;
  struct slice value;
  assert_true(wire_head_next(&h, "x-many", &at, &value));
  assert_true(wire_head_next(&h, "x-many", &at, &value));
  expect_slice(value, "2");
  assert_false(wire_head_next(&h, "x-many", &at, &value));
  expect_slice(wire_head_get(&h, "x-empty"), "");
  assert_null(wire_head_get(&h, "x-absent").data);
  size_t before = h.field_count;
  wire_head_drop(&h, wire_field_is_hop);
  assert_int_equal(h.field_count, before - 2);
  expect_slice(h.fields[0].name, "hOsT");
}

static void test_no_query(void **state) {
  (void)state;
  struct wire_head h;
  const char *why;
  assert_int_equal(wire_head_parse(SLICE_LIT("GET /x HTTP/1.1\r\nHost: a\r\n\r\n"), &h, &why), 0);
  assert_null(h.query.data);
  assert_int_equal(wire_head_parse(SLICE_LIT("GET /x? HTTP/1.1\r\nHost: a\r\n\r\n"), &h, &why), 0);
  assert_non_null(h.query.data);
  assert_int_equal(h.query.len, 0);
}

static void test_keep_alive(void **state) {
  (void)state;
  static const struct {
    bool keep;
    const char *text;
  } rows[] = {{true, "GET / HTTP/1.1\r\n" H E},
              {false, "GET / HTTP/1.1\r\n" H "Connection: close\r\n" E},
              {false, "GET / HTTP/1.1\r\n" H "Connection: keep-alive , CLOSE\r\n" E},
              {false, "GET / HTTP/1.1\r\n" H "Connection: keep-alive\r\nConnection: close\r\n" E},
              {true, "GET / HTTP/1.1\r\n" H "Connection: closed\r\n" E},
              {false, "GET / HTTP/1.0\r\n" H E},
              {true, "GET / HTTP/1.0\r\n" H "Connection: Keep-Alive\r\n" E}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct wire_head h;
    const char *why;
    assert_int_equal(wire_head_parse(slice_str(rows[i].text), &h, &why), 0);
    assert_int_equal(h.keep_alive, rows[i].keep);
  }
}

static void test_limits(void **state) {
  (void)state;
  BUF_AUTO b = BUF_INIT;
  struct wire_head h;
  const char *why;
  buf_append_str(&b, "GET / HTTP/1.1\r\nHost: a\r\n");
  for (int i = 1; i < WIRE_FIELDS_MAX; i++) buf_printf(&b, "f%d: x\r\n", i);
  size_t full = b.len;
  buf_append_str(&b, "\r\n");
  assert_int_equal(wire_head_parse(buf_slice(&b), &h, &why), 0);
  assert_int_equal(h.field_count, WIRE_FIELDS_MAX);
  b.len = full;
  buf_append_str(&b, "one: more\r\n\r\n");
  assert_int_equal(wire_head_parse(buf_slice(&b), &h, &why), 431);

  for (int over = 0; over < 2; over++) {
    buf_reset(&b);
    buf_append_str(&b, "GET /");
    for (int i = 1; i < WIRE_TARGET_BYTES_MAX + over; i++) buf_append_byte(&b, 'x');
    buf_append_str(&b, " HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(wire_head_parse(buf_slice(&b), &h, &why), over ? 414 : 0);
  }
  buf_reset(&b);
  buf_append_str(&b, "GET / HTTP/1.1\r\nHost: a\r\nx: ");
  while (b.len < WIRE_HEAD_BYTES_MAX) buf_append_byte(&b, 'x');
  buf_append_str(&b, "\r\n\r\n");
  assert_int_equal(wire_head_parse(buf_slice(&b), &h, &why), 431);
}

static void test_scan(void **state) {
  (void)state;
  static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
  size_t whole = strlen(text) - 4, scanned = 0, len = 0;
  unsigned status = 0;
  for (size_t n = 0; n < whole; n++)
    assert_int_equal(wire_head_scan(slice_of(text, n), &scanned, &len, &status), WIRE_SCAN_MORE);
  assert_int_equal(wire_head_scan(slice_of(text, whole), &scanned, &len, &status), WIRE_SCAN_WHOLE);
  assert_int_equal(len, whole);
  scanned = 0;
  assert_int_equal(wire_head_scan(slice_of(text, strlen(text)), &scanned, &len, &status), WIRE_SCAN_WHOLE);
  assert_int_equal(len, whole);
  scanned = 0;
  assert_int_equal(wire_head_scan(SLICE_LIT("GET / HTTP/1.1\n"), &scanned, &len, &status), WIRE_SCAN_BAD);
  assert_int_equal(status, 400);
  BUF_AUTO b = BUF_INIT;
  while (b.len < WIRE_TARGET_BYTES_MAX + 65) buf_append_byte(&b, 'x');
  scanned = 0;
  assert_int_equal(wire_head_scan(buf_slice(&b), &scanned, &len, &status), WIRE_SCAN_BAD);
  assert_int_equal(status, 414);
  memcpy(b.data, "GET / HTTP/1.1\r\n", 16);
  scanned = 0;
  assert_int_equal(wire_head_scan(buf_slice(&b), &scanned, &len, &status), WIRE_SCAN_MORE);
  while (b.len < WIRE_HEAD_BYTES_MAX) buf_append_byte(&b, 'x');
  assert_int_equal(wire_head_scan(buf_slice(&b), &scanned, &len, &status), WIRE_SCAN_BAD);
  assert_int_equal(status, 431);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_table),   cmocka_unit_test(test_mutations),
                                     cmocka_unit_test(test_content), cmocka_unit_test(test_no_query),
                                     cmocka_unit_test(test_limits),  cmocka_unit_test(test_keep_alive),
                                     cmocka_unit_test(test_scan)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
