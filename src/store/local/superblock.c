#include "store/local/superblock.h"

#include <assert.h>

#include "base/codec.h"

#define MAGIC "DOMICILE"
static const char *const paths[2] = {"superblock.1", "superblock.2"};
enum { KNOWN_INCOMPATIBLE = SUPERBLOCK_FEATURES };

void superblock_encode(const struct superblock *s, struct buf *out) {
  size_t start = out->len;
  assert(s->sequence > 0);
  buf_append(out, MAGIC, 8);
  put_u32le(out, SUPERBLOCK_VERSION);
  put_u16le(out, s->region);
  put_u16le(out, 0);
  buf_append(out, s->deployment, sizeof s->deployment);
  put_u64le(out, s->sequence);
  put_u64le(out, s->compatible);
  put_u64le(out, s->incompatible);
  buf_append_zero(out, 4);
  if (!out->failed) put_u32le(out, crc32c(0, out->data + start, SUPERBLOCK_SIZE - 4));
  assert(out->failed || out->len - start == SUPERBLOCK_SIZE);
}

enum dom_code superblock_decode(struct slice in, struct superblock *out, struct dom_err *err) {
  static const char where[] = "store/superblock: read";
  struct superblock s = {0};
  assert(out != NULL);
  if (in.len != SUPERBLOCK_SIZE || memcmp(in.data, MAGIC, 8) != 0 ||
      load_u32le(in.data + SUPERBLOCK_SIZE - 4) != crc32c(0, in.data, SUPERBLOCK_SIZE - 4)) {
    return dom_fail(err, DOM_CORRUPT, where, "not a superblock");
  }
  struct reader r = reader_of(slice_cut(in, 8, SUPERBLOCK_SIZE));
  uint32_t version = get_u32le(&r);
  s.region = get_u16le(&r);
  get_u16le(&r);
  get_copy(&r, s.deployment, sizeof s.deployment);
  s.sequence = get_u64le(&r);
  s.compatible = get_u64le(&r);
  s.incompatible = get_u64le(&r);
  if (version != SUPERBLOCK_VERSION) {
    return dom_fail(err, DOM_INCOMPATIBLE, where,
                    "data folder of format version %u; this build knows %u: use the build that made it",
                    version, (unsigned)SUPERBLOCK_VERSION);
  }
  if (s.incompatible & ~(uint64_t)KNOWN_INCOMPATIBLE) {
    return dom_fail(err, DOM_INCOMPATIBLE, where,
                    "data folder needs features 0x%llx that this build lacks: use a newer build",
                    (unsigned long long)s.incompatible);
  }
  *out = s;
  return DOM_OK;
}

enum dom_code superblock_lock(struct disk *disk, struct disk_file **out, struct dom_err *err) {
  struct disk_file *f = NULL;
  assert(disk != NULL);
  enum dom_code code = disk_open(disk, "lock", DISK_READ | DISK_WRITE | DISK_CREATE, &f, err);
  if (code != DOM_OK) return code;
  code = disk_lock(f, NULL);
  if (code != DOM_OK) {
    disk_close(f);
    return dom_fail(err, code, "store/superblock: lock", "another process has this data folder open");
  }
  *out = f;
  return DOM_OK;
}

static enum dom_code copies_write(struct disk *disk, const struct superblock *s, struct dom_err *err) {
  BUF_AUTO b = BUF_INIT;
  superblock_encode(s, &b);
  enum dom_code code = buf_check(&b, err);
  for (int i = 0; i < 2 && code == DOM_OK; i++) code = disk_replace_file(disk, paths[i], buf_slice(&b), err);
  return code;
}

/* Reads one copy; *good is false when it is absent or bad. */
static enum dom_code copy_read(struct disk *disk, const char *path, struct superblock *out, bool *good,
                               bool *there, struct dom_err *err) {
  BUF_AUTO b = BUF_INIT;
  *good = false;
  enum dom_code code = disk_read_file(disk, path, SUPERBLOCK_SIZE, &b, NULL);
  if (code == DOM_NOT_FOUND) return DOM_OK;
  *there = true;
  if (code == DOM_TOO_LARGE) return DOM_OK;
  if (code != DOM_OK) return dom_fail(err, code, "store/superblock: read", "%s", path);
  struct dom_err why = {0};
  code = superblock_decode(buf_slice(&b), out, &why);
  if (code == DOM_INCOMPATIBLE) return dom_fail(err, code, why.where, "%s", why.text);
  *good = code == DOM_OK;
  return DOM_OK;
}

enum dom_code superblock_open(struct disk *disk, const uint8_t deployment[16], uint16_t region,
                              struct dom_err *err) {
  static const char where[] = "store/superblock: open";
  struct superblock copy[2] = {0};
  bool good[2], there = false;
  for (int i = 0; i < 2; i++) {
    enum dom_code code = copy_read(disk, paths[i], &copy[i], &good[i], &there, err);
    if (code != DOM_OK) return code;
  }
  if (!there) return dom_fail(err, DOM_NOT_FOUND, where, "no data folder here yet");
  if (!good[0] && !good[1]) return dom_fail(err, DOM_CORRUPT, where, "both superblocks are damaged");
  const struct superblock *s =
      good[1] && (!good[0] || copy[1].sequence > copy[0].sequence) ? &copy[1] : &copy[0];
  if (memcmp(s->deployment, deployment, sizeof s->deployment) != 0) {
    return dom_fail(err, DOM_INCOMPATIBLE, where, "data folder of another deployment: check --data");
  }
  if (s->region != region) {
    return dom_fail(err, DOM_INCOMPATIBLE, where,
                    "data folder of region %u, not %u: check --data and --region", s->region, region);
  }
  bool marked = (s->incompatible & SUPERBLOCK_FEATURES) == SUPERBLOCK_FEATURES;
  if (marked && good[0] && good[1] && copy[0].sequence == copy[1].sequence) return DOM_OK;
  struct superblock next =
      *s; /* a folder from before a feature reads as it is; from now on it may have some of it */
  next.incompatible |= SUPERBLOCK_FEATURES;
  if (!marked) next.sequence++;
  return copies_write(disk, &next, err);
}

enum dom_code superblock_create(struct disk *disk, const uint8_t deployment[16], uint16_t region,
                                struct dom_err *err) {
  struct superblock s = {.region = region, .sequence = 1, .incompatible = SUPERBLOCK_FEATURES};
  assert(deployment != NULL);
  memcpy(s.deployment, deployment, sizeof s.deployment);
  return copies_write(disk, &s, err);
}

enum dom_code superblock_check(struct disk *disk, uint32_t *out_good, struct dom_err *err) {
  uint32_t count = 0;
  for (int i = 0; i < 2; i++) {
    struct superblock s;
    bool good = false, there = false;
    enum dom_code code = copy_read(disk, paths[i], &s, &good, &there, err);
    if (code != DOM_OK) return code;
    count += good;
  }
  *out_good = count;
  return DOM_OK;
}
