/* The chunked transfer coding. Cut anywhere, the bytes give the same body and end at the same place;
 * an independent reading agrees; a body that was coded here comes back. */
#include "fuzz.h"

#include "wire/chunk.h"

struct decoded {
  struct buf body;
  enum chunk_phase phase;
  size_t used; /* bytes of input taken */
};

/* Takes body bytes and framing from one piece. */
static void decode_piece(struct chunk_state *c, struct slice in, struct decoded *d) {
  while (in.len > 0 && c->phase != CHUNK_END && c->phase != CHUNK_BAD) {
    size_t n;
    if (c->phase == CHUNK_DATA && c->left > 0) {
      n = c->left < in.len ? (size_t)c->left : in.len;
      buf_append(&d->body, in.data, n);
      chunk_take(c, n);
    } else {
      n = chunk_feed(c, in);
      assert(n <= in.len && (n > 0 || c->phase == CHUNK_BAD || c->phase == CHUNK_DATA));
    }
    d->used += n;
    in = slice_cut(in, n, in.len);
  }
}

static void decode(struct slice in, struct fuzz_random *r, struct decoded *d) {
  struct chunk_state c = {0};
  *d = (struct decoded){0};
  for (size_t at = 0; at < in.len && c.phase != CHUNK_END && c.phase != CHUNK_BAD;) {
    size_t n = r == NULL ? in.len : 1 + fuzz_random_below(r, fuzz_random_below(r, 3) == 0 ? in.len - at : 4);
    if (n > in.len - at) n = in.len - at;
    FUZZ_COPY_AUTO piece = fuzz_copy(slice_cut(in, at, at + n));
    decode_piece(&c, slice_of(piece, n), d);
    at += n;
  }
  d->phase = c.phase;
}

/* A second reading of RFC 9112 §7.1 for bodies without extensions and trailers: all of `in` is one
 * such body with this content. Never says yes to what the machine refused. */
static bool is_plain_body(struct slice in, struct buf *out) {
  for (;;) {
    uint64_t size = 0;
    size_t digits = 0;
    while (in.len > 0 && digits < CHUNK_SIZE_DIGITS_MAX) {
      uint8_t c = in.data[0];
      unsigned v = c >= '0' && c <= '9'   ? c - '0'
                   : c >= 'a' && c <= 'f' ? c - 'a' + 10u
                   : c >= 'A' && c <= 'F' ? c - 'A' + 10u
                                          : 16;
      if (v == 16) break;
      size = size * 16 + v;
      digits++;
      in = slice_cut(in, 1, in.len);
    }
    if (digits == 0 || !slice_starts_with(in, SLICE_LIT("\r\n"))) return false;
    in = slice_cut(in, 2, in.len);
    if (size == 0) return slice_equal(in, SLICE_LIT("\r\n"));
    if (in.len < 2 || size > in.len - 2) return false;
    buf_append(out, in.data, (size_t)size);
    in = slice_cut(in, (size_t)size, in.len);
    if (!slice_starts_with(in, SLICE_LIT("\r\n"))) return false;
    in = slice_cut(in, 2, in.len);
  }
}

static void check_coded(struct slice body, struct fuzz_random *r) {
  BUF_AUTO coded = BUF_INIT;
  struct decoded d;
  for (size_t at = 0; at < body.len;) {
    size_t n = 1 + fuzz_random_below(r, body.len - at);
    buf_printf(&coded, fuzz_random_below(r, 2) ? "%zx\r\n" : "%zX\r\n", n);
    buf_append(&coded, body.data + at, n);
    buf_append_str(&coded, "\r\n");
    at += n;
  }
  buf_append_str(&coded, "0\r\n\r\nGET");
  decode(buf_slice(&coded), r, &d);
  assert(d.phase == CHUNK_END && d.used == coded.len - 3 && slice_equal(buf_slice(&d.body), body));
  buf_done(&d.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct slice in = slice_of(data, size);
  struct fuzz_random r = fuzz_random_of(in);
  struct decoded whole, pieces;
  BUF_AUTO plain = BUF_INIT;
  decode(in, NULL, &whole);
  decode(in, &r, &pieces);
  assert(whole.phase == pieces.phase && slice_equal(buf_slice(&whole.body), buf_slice(&pieces.body)));
  assert(whole.phase == CHUNK_BAD || whole.used == pieces.used);
  assert(whole.body.len <= whole.used && whole.used <= size);
  if (is_plain_body(in, &plain)) {
    assert(whole.phase == CHUNK_END && whole.used == size);
    assert(slice_equal(buf_slice(&plain), buf_slice(&whole.body)));
  }
  buf_done(&whole.body);
  buf_done(&pieces.body);
  check_coded(in, &r);
  return 0;
}
