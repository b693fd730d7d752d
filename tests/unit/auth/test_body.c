/* Bodies: every payload mode, cut into pieces at every place, and broken in every way. */
#include "auth_testing.h"
#include "base/alloc.h"

/* Feeds `raw` in pieces of `step` bytes; gathers what comes out. */
static enum auth_error run(struct auth_body *body, struct slice raw, size_t step, struct buf *out) {
  for (size_t at = 0; at < raw.len; at += step) {
    struct slice in = slice_cut(raw, at, at + step < raw.len ? at + step : raw.len);
    while (in.len > 0) {
      size_t used = 0;
      struct slice data = {0};
      enum auth_error error = auth_body_feed(body, in, &used, &data);
      if (error != AUTH_OK) {
        assert_int_equal(auth_body_feed(body, in, &used, &data), error);
        assert_int_equal(auth_body_end(body), error);
        return error;
      }
      assert_in_range(used, 1, in.len);
      buf_append_slice(out, data);
      in = slice_cut(in, used, in.len);
    }
  }
  return auth_body_end(body);
}

static enum auth_error run_new(const struct auth_result *head, struct slice raw, size_t step,
                               struct buf *out) {
  struct auth_body *body = NULL;
  assert_int_equal(auth_body_new(head, &body), AUTH_OK);
  enum auth_error error = run(body, raw, step, out);
  bool promised = head->payload == AUTH_PAYLOAD_SIGNED || head->payload == AUTH_PAYLOAD_DEFERRED;
  assert_int_equal(auth_body_hashes(body), promised);
  if (error == AUTH_OK && promised) {
    uint8_t wanted[SHA256_SIZE], got[SHA256_SIZE];
    sha256(raw.data, raw.len, wanted);
    auth_body_sha256(body, got);
    assert_memory_equal(got, wanted, SHA256_SIZE);
  }
  auth_body_free(body);
  return error;
}

/* ---- AWS's published chunked upload: 66,560 times 'a' in chunks of 65,536 ---- */

static void chunked_draft(struct draft *d) {
  draft_init(d, "PUT", "/examplebucket/chunkObject.txt", "");
  draft_add(d, "Host", "s3.amazonaws.com");
  draft_add(d, "x-amz-date", EXAMPLE_DATE);
  draft_add(d, "x-amz-storage-class", "REDUCED_REDUNDANCY");
  draft_add(d, "x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
  draft_add(d, "Content-Encoding", "aws-chunked");
  draft_add(d, "x-amz-decoded-content-length", "66560");
  draft_add(d, "Content-Length", "66824");
  draft_add(
      d, "Authorization",
      AUTHORIZATION("content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-"
                    "content-length;x-amz-storage-class",
                    "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"));
}

static void trailer_draft(struct draft *d) {
  draft_init(d, "PUT", "/examplebucket/chunkObject.txt", "");
  draft_add(d, "Host", "s3.amazonaws.com");
  draft_add(d, "x-amz-date", EXAMPLE_DATE);
  draft_add(d, "x-amz-storage-class", "REDUCED_REDUNDANCY");
  draft_add(d, "x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER");
  draft_add(d, "Content-Encoding", "aws-chunked");
  draft_add(d, "x-amz-decoded-content-length", "66560");
  draft_add(d, "x-amz-trailer", "x-amz-checksum-crc32c");
  draft_add(
      d, "Authorization",
      AUTHORIZATION("content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;"
                    "x-amz-storage-class;x-amz-trailer",
                    "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"));
}

static void append_as(struct buf *out, size_t count) {
  for (size_t i = 0; i < count; i++) buf_append_byte(out, 'a');
}

static void chunks(struct buf *out, const char *first, const char *second, const char *last) {
  buf_printf(out, "10000;chunk-signature=%s\r\n", first);
  append_as(out, 65536);
  buf_printf(out, "\r\n400;chunk-signature=%s\r\n", second);
  append_as(out, 1024);
  buf_printf(out, "\r\n0;chunk-signature=%s\r\n", last);
}

static void chunked_raw(struct buf *out) {
  chunks(out, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
         "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
         "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9");
  buf_append_str(out, "\r\n");
}

static void trailer_raw(struct buf *out) {
  chunks(out, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
         "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
         "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992");
  buf_append_str(
      out,
      "x-amz-checksum-crc32c:sOO8/Q==\r\n"
      "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n");
}

static void published_chunked_examples_verify(void **state) {
  (void)state;
  struct bench b;
  bench_init(&b);
  for (int with_trailer = 0; with_trailer < 2; with_trailer++) {
    struct draft d;
    struct auth_result head;
    BUF_AUTO raw = BUF_INIT;
    (with_trailer ? trailer_draft : chunked_draft)(&d);
    (with_trailer ? trailer_raw : chunked_raw)(&raw);
    if (!with_trailer) assert_int_equal(raw.len, 66824);
    assert_int_equal(bench_verify(&b, &d.request, &head), AUTH_OK);
    assert_int_equal(head.payload, with_trailer ? AUTH_PAYLOAD_CHUNKED_TRAILER : AUTH_PAYLOAD_CHUNKED);
    assert_true(head.has_decoded_length);
    static const size_t steps[] = {1, 7, 100, 4096, 65536, 1 << 20};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
      BUF_AUTO out = BUF_INIT;
      assert_int_equal(run_new(&head, buf_slice(&raw), steps[i], &out), AUTH_OK);
      assert_int_equal(out.len, 66560);
      for (size_t at = 0; at < out.len; at += 997) assert_int_equal(out.data[at], 'a');
    }
  }
  bench_done(&b);
}

static void trailers_are_given(void **state) {
  (void)state;
  struct bench b;
  struct draft d;
  struct auth_result head;
  struct auth_body *body;
  struct auth_digest digest;
  size_t count;
  BUF_AUTO raw = BUF_INIT;
  BUF_AUTO out = BUF_INIT;
  bench_init(&b);
  trailer_draft(&d);
  trailer_raw(&raw);
  assert_int_equal(bench_verify(&b, &d.request, &head), AUTH_OK);
  assert_int_equal(auth_body_new(&head, &body), AUTH_OK);
  assert_false(auth_body_digest(body, &digest));
  assert_int_equal(run(body, buf_slice(&raw), 1000, &out), AUTH_OK);
  const struct auth_header *trailers = auth_body_trailers(body, &count);
  assert_int_equal(count, 1);
  assert_true(slice_equal(trailers[0].name, SLICE_LIT("x-amz-checksum-crc32c")));
  assert_true(slice_equal(trailers[0].value, SLICE_LIT("sOO8/Q==")));
  assert_true(auth_body_digest(body, &digest));
  assert_int_equal(digest.kind, AUTH_CHECKSUM_CRC32C);
  auth_body_free(body);
  bench_done(&b);
}

/* A flip anywhere but in what carries no meaning (hex case does not occur here) is found; so is
 * every truncation. */
static void no_byte_can_be_changed_or_cut(void **state) {
  (void)state;
  struct bench b;
  bench_init(&b);
  for (int with_trailer = 0; with_trailer < 2; with_trailer++) {
    struct draft d;
    struct auth_result head;
    BUF_AUTO raw = BUF_INIT;
    (with_trailer ? trailer_draft : chunked_draft)(&d);
    (with_trailer ? trailer_raw : chunked_raw)(&raw);
    assert_int_equal(bench_verify(&b, &d.request, &head), AUTH_OK);
    for (size_t at = 0; at<raw.len; at += at> 90 && at + 1600 < raw.len ? 4099 : 1) {
      BUF_AUTO out = BUF_INIT;
      raw.data[at] ^= 1;
      assert_int_not_equal(run_new(&head, buf_slice(&raw), 1 << 20, &out), AUTH_OK);
      raw.data[at] ^= 1;
      assert_int_not_equal(run_new(&head, slice_cut(buf_slice(&raw), 0, at), 1 << 20, &out), AUTH_OK);
    }
    buf_append_byte(&raw, '\n');
    BUF_AUTO out = BUF_INIT;
    assert_int_equal(run_new(&head, buf_slice(&raw), 1 << 20, &out), AUTH_MALFORMED_CHUNK);
  }
  bench_done(&b);
}

/* ---- unsigned chunks with a trailer: what today's SDKs send by default ---- */

static struct auth_result unsigned_head(uint64_t length, bool has_trailer, enum auth_checksum_kind kind) {
  return (struct auth_result){.payload = AUTH_PAYLOAD_UNSIGNED_TRAILER,
                              .has_decoded_length = true,
                              .decoded_length = length,
                              .has_trailer = has_trailer,
                              .trailer = kind};
}

static void unsigned_trailers_verify(void **state) {
  (void)state;
  struct auth_result head = unsigned_head(9, true, AUTH_CHECKSUM_CRC32);
  static const char *const good[] = {
      "9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n",
      "4\r\n1234\r\n5\r\n56789\r\n0\r\nx-amz-checksum-crc32: y/Q5Jg== \r\n\r\n",
      "00009\r\n123456789\r\n0\r\nX-Amz-Checksum-Crc32:y/Q5Jg==\n\r\n\r\n",
  };
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    for (size_t step = 1; step < 60; step++) {
      BUF_AUTO out = BUF_INIT;
      assert_int_equal(run_new(&head, slice_str(good[i]), step, &out), AUTH_OK);
      assert_string_equal(buf_str(&out), "123456789");
    }
  }
}

static void broken_chunks_are_told_apart(void **state) {
  (void)state;
  static const struct {
    const char *raw;
    enum auth_error error;
  } rows[] = {
      {"", AUTH_INCOMPLETE_BODY},
      {"9\r\n1234", AUTH_INCOMPLETE_BODY},
      {"9\r\n123456789\r\n", AUTH_INCOMPLETE_BODY},
      {"9\r\n123456789\r\n0\r\n", AUTH_INCOMPLETE_BODY},
      {"8\r\n12345678\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n", AUTH_INCOMPLETE_BODY},
      {"a\r\n123456789a\r\n0\r\n\r\n", AUTH_INCOMPLETE_BODY},
      {"ffffffffffffffff\r\n1", AUTH_INCOMPLETE_BODY},
      {"11111111111111111\r\n1", AUTH_MALFORMED_CHUNK},
      {"\r\n", AUTH_MALFORMED_CHUNK},
      {"-9\r\n123456789", AUTH_MALFORMED_CHUNK},
      {"0x9\r\n123456789", AUTH_MALFORMED_CHUNK},
      {"9\n123456789\r\n", AUTH_MALFORMED_CHUNK},
      {"9\r123456789", AUTH_MALFORMED_CHUNK},
      {"9\r\n123456789XX0\r\n", AUTH_MALFORMED_CHUNK},
      {"9\r\n123456789\rX", AUTH_MALFORMED_CHUNK},
      {"9;ext=1\r\n123456789", AUTH_MALFORMED_CHUNK},
      {"9;chunk-signature=" EMPTY_SHA256 "\r\n123456789", AUTH_MALFORMED_CHUNK},
      {"9\r\n123456789\r\n0\r\n\r\n", AUTH_MALFORMED_TRAILER},
      {"9\r\n123456789\r\n0\r\nno colon\r\n\r\n", AUTH_MALFORMED_TRAILER},
      {"9\r\n123456789\r\n0\r\n:v\r\n\r\n", AUTH_MALFORMED_TRAILER},
      {"9\r\n123456789\r\n0\r\nx-amz-checksum-crc32c:4waSgw==\r\n\r\n", AUTH_MALFORMED_TRAILER},
      {"9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n",
       AUTH_MALFORMED_TRAILER},
      {"9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\nx-amz-trailer-signature:" EMPTY_SHA256
       "\r\n\r\n",
       AUTH_MALFORMED_TRAILER},
      {"9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5J===\r\n\r\n", AUTH_INVALID_CHECKSUM},
      {"9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n", AUTH_INVALID_CHECKSUM},
      {"9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", AUTH_CHECKSUM_MISMATCH},
      {"9\r\n123456780\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n", AUTH_CHECKSUM_MISMATCH},
      {"9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\nmore", AUTH_MALFORMED_CHUNK},
  };
  struct auth_result head = unsigned_head(9, true, AUTH_CHECKSUM_CRC32);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    for (size_t step = 1; step < 100; step += 33) {
      BUF_AUTO out = BUF_INIT;
      enum auth_error error = run_new(&head, slice_str(rows[i].raw), step, &out);
      if (error != rows[i].error) fail_msg("row %zu: %s", i, auth_error_name(error));
      assert_true(out.len <= 9);
    }
  }
}

static void lines_and_trailers_are_bounded(void **state) {
  (void)state;
  struct auth_result head = unsigned_head(0, false, AUTH_CHECKSUM_CRC32);
  BUF_AUTO raw = BUF_INIT;
  BUF_AUTO out = BUF_INIT;
  for (int i = 0; i < 300; i++) buf_append_byte(&raw, '0');
  assert_int_equal(run_new(&head, buf_slice(&raw), 7, &out), AUTH_MALFORMED_CHUNK);
  buf_reset(&raw);
  buf_append_str(&raw, "0\r\n");
  for (int i = 0; i < 5000; i++) buf_append_byte(&raw, 'x');
  assert_int_equal(run_new(&head, buf_slice(&raw), 7, &out), AUTH_MALFORMED_TRAILER);
  for (int lines = 15; lines <= 17; lines++) {
    buf_reset(&raw);
    buf_append_str(&raw, "0\r\n");
    for (int i = 0; i < lines; i++) buf_append_str(&raw, "a:b\r\n");
    buf_append_str(&raw, "\r\n");
    assert_int_equal(run_new(&head, buf_slice(&raw), 7, &out),
                     lines <= 16 ? AUTH_OK : AUTH_MALFORMED_TRAILER);
  }
  /* Four lines that only together are too long. */
  buf_reset(&raw);
  buf_append_str(&raw, "0\r\n");
  for (int line = 0; line < 4; line++) {
    buf_append_str(&raw, "a:");
    append_as(&raw, 1100);
    buf_append_str(&raw, "\r\n");
  }
  assert_int_equal(run_new(&head, buf_slice(&raw), 7, &out), AUTH_MALFORMED_TRAILER);
}

/* ---- bodies that are sent as they are ---- */

static void signed_bodies_must_match(void **state) {
  (void)state;
  struct auth_result head = {.payload = AUTH_PAYLOAD_SIGNED};
  BUF_AUTO out = BUF_INIT;
  sha256("hello", 5, head.payload_sha256);
  assert_int_equal(run_new(&head, SLICE_LIT("hello"), 2, &out), AUTH_OK);
  assert_string_equal(buf_str(&out), "hello");
  assert_int_equal(run_new(&head, SLICE_LIT("hellp"), 2, &out), AUTH_PAYLOAD_MISMATCH);
  assert_int_equal(run_new(&head, SLICE_LIT(""), 2, &out), AUTH_PAYLOAD_MISMATCH);
  head.payload = AUTH_PAYLOAD_UNSIGNED;
  assert_int_equal(run_new(&head, SLICE_LIT("anything"), 3, &out), AUTH_OK);
}

static void header_checksums_must_match(void **state) {
  (void)state;
  static const struct {
    enum auth_checksum_kind kind;
    const char *base64; /* of "123456789" */
  } rows[] = {
      {AUTH_CHECKSUM_CRC32, "y/Q5Jg=="},
      {AUTH_CHECKSUM_CRC32C, "4waSgw=="},
      {AUTH_CHECKSUM_CRC64NVME, "rosUhgp5mIg="},
      {AUTH_CHECKSUM_SHA1, "98O8HYCOBHMq32eZZczDTKeuNEE="},
      {AUTH_CHECKSUM_SHA256, "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="},
  };
  struct auth_result head = {.payload = AUTH_PAYLOAD_UNSIGNED};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct auth_digest digest, got;
    if (auth_digest_parse(rows[i].kind, slice_str(rows[i].base64), &digest) != AUTH_OK)
      fail_msg("row %zu", i);
    for (int right = 0; right < 2; right++) {
      struct auth_body *body;
      BUF_AUTO out = BUF_INIT;
      assert_int_equal(auth_body_new(&head, &body), AUTH_OK);
      assert_int_equal(auth_body_expect(body, &digest), AUTH_OK);
      enum auth_error error = run(body, right ? SLICE_LIT("123456789") : SLICE_LIT("12345678"), 4, &out);
      assert_int_equal(error, right ? AUTH_OK : AUTH_CHECKSUM_MISMATCH);
      assert_true(auth_body_digest(body, &got));
      assert_int_equal(auth_digest_equal(&got, &digest), right);
      auth_body_free(body);
    }
  }
}

static void a_header_and_a_trailer_are_one_too_many(void **state) {
  (void)state;
  struct auth_result head = unsigned_head(9, true, AUTH_CHECKSUM_CRC32);
  struct auth_digest digest = {.kind = AUTH_CHECKSUM_CRC32, .size = 4};
  struct auth_body *body;
  assert_int_equal(auth_body_new(&head, &body), AUTH_OK);
  assert_int_equal(auth_body_expect(body, &digest), AUTH_INVALID_TRAILER);
  assert_int_equal(auth_body_compute(body, AUTH_CHECKSUM_SHA1), AUTH_OK); /* the announced one stands */
  auth_body_free(body);
}

static void a_checksum_can_be_asked_for(void **state) {
  (void)state;
  struct auth_result head = {.payload = AUTH_PAYLOAD_UNSIGNED};
  struct auth_body *body;
  struct auth_digest digest;
  BUF_AUTO out = BUF_INIT;
  BUF_AUTO text = BUF_INIT;
  assert_int_equal(auth_body_new(&head, &body), AUTH_OK);
  assert_int_equal(auth_body_compute(body, AUTH_CHECKSUM_CRC64NVME), AUTH_OK);
  assert_int_equal(run(body, SLICE_LIT("123456789"), 2, &out), AUTH_OK);
  assert_true(auth_body_digest(body, &digest));
  auth_digest_print(&digest, &text);
  assert_string_equal(buf_str(&text), "rosUhgp5mIg=");
  auth_body_free(body);
}

/* curl 7.88 --aws-sigv4 sends no x-amz-content-sha256 and signs the hash of the payload. */
static void a_deferred_signature_is_checked_at_the_end(void **state) {
  (void)state;
  struct bench b;
  struct draft d;
  struct auth_result head;
  char hash[AUTH_SIGNATURE_HEX + 1];
  uint8_t digest[SHA256_SIZE];
  BUF_AUTO hex = BUF_INIT;
  BUF_AUTO out = BUF_INIT;
  bench_init(&b);
  sha256("hello", 5, digest);
  hex_encode(&hex, slice_of(digest, sizeof digest));
  memcpy(hash, buf_str(&hex), sizeof hash);
  /* Signs as curl does: host and x-amz-date only. */
  draft_init(&d, "PUT", "/b/k", "");
  draft_add(&d, "Host", "127.0.0.1:9101");
  draft_add(&d, "x-amz-date", EXAMPLE_DATE);
  draft_add(&d, "Content-Length", "5");
  char authorization[400];
  sign_by_hand(&d, "host;x-amz-date", hash, authorization, sizeof authorization);
  draft_add(&d, "Authorization", authorization);
  assert_int_equal(bench_verify(&b, &d.request, &head), AUTH_OK);
  assert_int_equal(head.payload, AUTH_PAYLOAD_DEFERRED);
  assert_false(auth_result_is_proven(&head));
  assert_int_equal(run_new(&head, SLICE_LIT("hello"), 2, &out), AUTH_OK);
  assert_int_equal(run_new(&head, SLICE_LIT("hellO"), 2, &out), AUTH_SIGNATURE_MISMATCH);
  assert_int_equal(run_new(&head, SLICE_LIT(""), 2, &out), AUTH_SIGNATURE_MISMATCH);
  /* Without a body the empty hash is what must have been signed, and the head proves it. */
  draft_drop(&d, "Content-Length");
  assert_int_equal(bench_verify(&b, &d.request, &head), AUTH_SIGNATURE_MISMATCH);
  draft_drop(&d, "Authorization");
  sign_by_hand(&d, "host;x-amz-date", EMPTY_SHA256, authorization, sizeof authorization);
  draft_add(&d, "Authorization", authorization);
  assert_int_equal(bench_verify(&b, &d.request, &head), AUTH_OK);
  assert_true(auth_result_is_proven(&head));
  bench_done(&b);
}

static void memory_may_run_out(void **state) {
  (void)state;
  struct auth_result head = unsigned_head(9, true, AUTH_CHECKSUM_SHA256);
  int64_t live = dom_alloc_live();
  for (uint64_t n = 0; n < 20; n++) {
    struct auth_body *body = NULL;
    dom_alloc_fail_after(n, 1);
    enum auth_error error = auth_body_new(&head, &body);
    dom_alloc_fail_after(UINT64_MAX, 0);
    if (error == AUTH_OK) {
      auth_body_free(body);
      assert_int_equal(dom_alloc_live(), live);
      return;
    }
    assert_int_equal(error, AUTH_NO_MEMORY);
    assert_int_equal(dom_alloc_live(), live);
  }
  fail_msg("never enough memory");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(published_chunked_examples_verify),
      cmocka_unit_test(trailers_are_given),
      cmocka_unit_test(no_byte_can_be_changed_or_cut),
      cmocka_unit_test(unsigned_trailers_verify),
      cmocka_unit_test(broken_chunks_are_told_apart),
      cmocka_unit_test(lines_and_trailers_are_bounded),
      cmocka_unit_test(signed_bodies_must_match),
      cmocka_unit_test(header_checksums_must_match),
      cmocka_unit_test(a_header_and_a_trailer_are_one_too_many),
      cmocka_unit_test(a_checksum_can_be_asked_for),
      cmocka_unit_test(a_deferred_signature_is_checked_at_the_end),
      cmocka_unit_test(memory_may_run_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
