#include "content.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/codec.h"

/* Bytes hashed at a time. */
#define PIECE_BYTES ((size_t)256 << 10)
#define GAMMA       UINT64_C(0x9e3779b97f4a7c15)

static uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

uint64_t content_random(uint64_t *state) {
  assert(state != NULL);
  *state += GAMMA;
  return mix(*state);
}

bool content_parse(const char *spec, uint64_t size_bytes, struct content *out) {
  assert(spec != NULL && out != NULL);
  if (strncmp(spec, "file:/", 6) == 0) {
    *out = (struct content){.path = spec + 5, .size_bytes = size_bytes};
    return true;
  }
  uint8_t raw[8];
  size_t len;
  if (strncmp(spec, "made:", 5) != 0) return false;
  if (hex_decode(slice_str(spec + 5), raw, sizeof raw, &len) != DOM_OK || len != sizeof raw) return false;
  *out = (struct content){.seed = load_u64be(raw), .size_bytes = size_bytes};
  return true;
}

void content_print(const struct content *c, struct buf *out) {
  assert(c != NULL && out != NULL);
  if (c->path != NULL) {
    buf_printf(out, "file:%s", c->path);
  } else {
    buf_printf(out, "made:%016llx", (unsigned long long)c->seed);
  }
}

/* Word i of a made content depends on the seed and i only, so that any part can be made. */
static void make_bytes(uint64_t seed, uint64_t offset, uint8_t *out, size_t len) {
  assert(out != NULL || len == 0);
  size_t done = 0;
  while (done < len) {
    uint64_t at = offset + done;
    uint8_t word[8];
    store_u64le(word, mix(seed + (at / 8 + 1) * GAMMA));
    size_t skip = at % 8;
    size_t take = 8 - skip < len - done ? 8 - skip : len - done;
    memcpy(out + done, word + skip, take);
    done += take;
  }
}

static bool read_file(const char *path, uint64_t offset, uint8_t *out, size_t len) {
  assert(path != NULL && (out != NULL || len == 0));
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  size_t done = 0;
  while (done < len) {
    ssize_t got = pread(fd, out + done, len - done, (off_t)(offset + done));
    if (got <= 0) break;
    done += (size_t)got;
  }
  close(fd);
  return done == len;
}

bool content_read(const struct content *c, uint64_t offset, void *out, size_t len) {
  assert(c != NULL && offset <= c->size_bytes && len <= c->size_bytes - offset);
  if (c->path != NULL) return read_file(c->path, offset, out, len);
  make_bytes(c->seed, offset, out, len);
  return true;
}

bool content_digest(const struct content *c, uint8_t out[DIGEST_SIZE]) {
  assert(c != NULL && out != NULL);
  AUTO_FREE void *piece = dom_alloc(PIECE_BYTES);
  if (piece == NULL) return false;
  struct digest d;
  digest_init(&d);
  bool ok = true;
  for (uint64_t at = 0; ok && at < c->size_bytes;) {
    uint64_t left = c->size_bytes - at;
    size_t take = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
    ok = content_read(c, at, piece, take);
    if (ok) digest_update(&d, piece, take);
    at += take;
  }
  digest_done(&d, out);
  return ok;
}
