/* One HTTP head. The end of a head is found at the same place however the bytes arrive; a head that
 * is accepted has one meaning: printed from what was understood, it is understood the same. */
#include "fuzz.h"

#include "wire/head.h"

/* Looks for the head's end with the bytes arriving in pieces, each time in fresh memory. */
static enum wire_scan scan_in_pieces(struct slice in, struct fuzz_random *r, size_t *out_len,
                                     unsigned *out_status) {
  size_t arrived = 0, scanned = 0;
  enum wire_scan found = WIRE_SCAN_MORE;
  while (found == WIRE_SCAN_MORE && arrived < in.len) {
    arrived += 1 + fuzz_random_below(r, fuzz_random_below(r, 4) == 0 ? in.len - arrived : 3);
    if (arrived > in.len) arrived = in.len;
    FUZZ_COPY_AUTO copy = fuzz_copy(slice_cut(in, 0, arrived));
    found = wire_head_scan(slice_of(copy, arrived), &scanned, out_len, out_status);
    assert(scanned <= arrived);
  }
  return found;
}

static void check_inside(struct slice in, const struct wire_head *h) {
  assert(fuzz_inside(in, h->method_text) && fuzz_inside(in, h->target) && fuzz_inside(h->target, h->path));
  assert(fuzz_inside(h->target, h->query) && fuzz_inside(in, h->host) && h->field_count <= WIRE_FIELDS_MAX);
  assert(h->target.len > 0 && h->path.len > 0 && h->minor <= 1 && !(h->chunked && h->has_length));
  for (size_t i = 0; i < h->field_count; i++) {
    assert(h->fields[i].name.len > 0 && fuzz_inside(in, h->fields[i].name) &&
           fuzz_inside(in, h->fields[i].value));
    for (size_t j = 0; j < h->fields[i].value.len; j++) {
      uint8_t c = h->fields[i].value.data[j];
      assert(c == '\t' || (c >= ' ' && c != 0x7f));
    }
  }
}

static void print(const struct wire_head *h, struct buf *out) {
  buf_append_slice(out, h->method_text);
  buf_append_byte(out, ' ');
  buf_append_slice(out, h->target);
  buf_printf(out, " HTTP/1.%u\r\n", h->minor);
  for (size_t i = 0; i < h->field_count; i++) {
    buf_append_slice(out, h->fields[i].name);
    buf_append_str(out, ": ");
    buf_append_slice(out, h->fields[i].value);
    buf_append_str(out, "\r\n");
  }
  buf_append_str(out, "\r\n");
  assert(!out->failed);
}

static void check_same(const struct wire_head *a, const struct wire_head *b) {
  assert(a->method == b->method && slice_equal(a->method_text, b->method_text));
  assert(slice_equal(a->target, b->target) && slice_equal(a->path, b->path) &&
         slice_equal(a->query, b->query));
  assert(slice_equal(a->host, b->host) && a->minor == b->minor && a->keep_alive == b->keep_alive);
  assert(a->chunked == b->chunked && a->has_length == b->has_length && a->length == b->length);
  assert(a->expect_continue == b->expect_continue && a->field_count == b->field_count);
  for (size_t i = 0; i < a->field_count; i++) {
    assert(slice_equal(a->fields[i].name, b->fields[i].name));
    assert(slice_equal(a->fields[i].value, b->fields[i].value));
  }
}

/* A head that is taken holds no second one: nobody behind us may find another request in it. */
static void check_one_head(struct slice head) {
  for (size_t i = 0; i + 4 < head.len; i++) assert(memcmp(head.data + i, "\r\n\r\n", 4) != 0);
  for (size_t i = 0; i < head.len; i++) {
    assert(head.data[i] != '\n' || (i > 0 && head.data[i - 1] == '\r'));
    assert(head.data[i] != '\r' || (i + 1 < head.len && head.data[i + 1] == '\n'));
    assert(head.data[i] != 0);
  }
}

static void check_parse(struct slice in) {
  static struct wire_head h, again;
  const char *why = NULL;
  unsigned status = wire_head_parse(in, &h, &why);
  if (status != 0) {
    assert(why != NULL && why[0] != '\0');
    assert(status == 400 || status == 414 || status == 417 || status == 431 || status == 501 ||
           status == 505);
    return;
  }
  check_inside(in, &h);
  check_one_head(in);
  BUF_AUTO printed = BUF_INIT;
  print(&h, &printed);
  if (printed.len > WIRE_HEAD_BYTES_MAX)
    return; /* a blank more in each line: at the border it does not fit */
  assert(wire_head_parse(buf_slice(&printed), &again, &why) == 0);
  check_same(&h, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct slice in = slice_of(data, size);
  struct fuzz_random r = fuzz_random_of(in);
  size_t scanned = 0, len = 0, piece_len = 0;
  unsigned status = 0, piece_status = 0;
  enum wire_scan found = in.len > 0 ? wire_head_scan(in, &scanned, &len, &status) : WIRE_SCAN_MORE;
  enum wire_scan piece_found = scan_in_pieces(in, &r, &piece_len, &piece_status);
  assert(found == piece_found && len == piece_len && status == piece_status);
  check_parse(in); /* any bytes at all */
  if (found != WIRE_SCAN_WHOLE) return 0;
  assert(len > 0 && len <= size && len <= WIRE_HEAD_BYTES_MAX);
  FUZZ_COPY_AUTO head = fuzz_copy(slice_cut(in, 0, len));
  check_parse(slice_of(head, len));
  return 0;
}
