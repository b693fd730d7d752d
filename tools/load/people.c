#include "people.h"

#include <assert.h>
#include <stdio.h>

#include "base/codec.h"

static const char *const kind_names[PEOPLE_KIND_COUNT] = {"photos", "contacts", "sms", "notes"};

/* Names that have broken S3 clients and servers before; they go to the first person. */
static const char *const odd_names[] = {
    "notes/fifty % off & \"more\" + plus.txt", "notes/ blanks around it .txt",
    "notes/double//slash-inside.txt",          "notes/tilde~(paren)*star'quote!.txt",
    "notes/semi;colon=equal?query#hash.txt",   "notes/back\\slash|pipe^caret`tick.txt",
    "notes/less<than>greater[brackets].txt",   "notes/..dots..but-no-parent.txt",
};
#define ODD_COUNT (sizeof odd_names / sizeof *odd_names)
/* Devanagari and two emoji. */
#define UTF8_NAME                                                                                            \
  "photos/\u0926\u093f\u0935\u093e\u0932\u0940 \u0915\u0940 \u0930\u093e\u0924 \U0001F386\u2728.png"

const char *people_kind_name(enum people_kind kind) {
  assert(kind < PEOPLE_KIND_COUNT);
  return kind_names[kind];
}

const char *people_country(size_t index) {
  static const char *const of_ten[10] = {"IN", "IN", "CN", "IN", "SG", "IN", "US", "IN", "DE", "IN"};
  const char *country = of_ten[index % 10];
  assert(strlen(country) == 2);
  return country;
}

void people_id(uint64_t seed, size_t index, char out[PEOPLE_ID_SIZE]) {
  static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
  uint8_t raw[16], hash[DIGEST_SIZE];
  store_u64be(raw, seed);
  store_u64be(raw + 8, index);
  digest_of(raw, sizeof raw, hash);
  out[0] = 'u';
  out[1] = '-';
  for (size_t i = 0; i < 20; i++) {
    size_t bit = i * 5;
    unsigned pair = (unsigned)hash[bit / 8] << 8 | hash[bit / 8 + 1];
    out[2 + i] = digits[pair >> (11 - bit % 8) & 31];
  }
  out[22] = '\0';
  assert(strlen(out) == PEOPLE_ID_SIZE - 1);
}

/* The state of one person's making. */
struct maker {
  const struct people_config *config;
  char id[PEOPLE_ID_SIZE];
  const char *country;
  uint64_t random;
  people_sink *sink;
  void *context;
};

/* Gives one object to the sink. */
static bool emit(struct maker *m, const char *bucket, struct buf *key, struct content content) {
  assert(key->len > 0 || key->failed);
  if (key->failed) return false;
  struct plan_item item = {
      .subject = m->id, .country = m->country, .bucket = bucket, .key = buf_slice(key), .content = content};
  return m->sink(m->context, &item);
}

static struct content pick(struct maker *m, enum people_kind kind) {
  const struct sources *from = &m->config->kinds[kind];
  assert(from->count > 0);
  const struct source *file = &from->files[content_random(&m->random) % from->count];
  return (struct content){.path = file->path, .size_bytes = file->size_bytes};
}

/* A moment of 2014 as digits; `with_time` adds _hhmmss. */
static void append_moment(struct maker *m, bool with_time, struct buf *key) {
  assert(m != NULL && key != NULL);
  uint64_t r = content_random(&m->random);
  buf_printf(key, "2014%02u%02u", (unsigned)(r % 12) + 1, (unsigned)(r >> 8) % 28 + 1);
  if (!with_time) return;
  buf_printf(key, "_%02u%02u%02u", (unsigned)(r >> 16) % 24, (unsigned)(r >> 24) % 60,
             (unsigned)(r >> 32) % 60);
}

/* "{subject}/photos/IMG_20140312_153012_0007_folder.png" and the like: the number keeps a
 * person's names apart, the source's name ends it. */
static bool emit_ordinary(struct maker *m, enum people_kind kind, unsigned number) {
  static const char *const stems[PEOPLE_KIND_COUNT] = {"IMG_", "card-", "thread-", "note-"};
  assert(kind < PEOPLE_KIND_COUNT);
  struct content content = pick(m, kind);
  BUF_AUTO key = BUF_INIT;
  buf_printf(&key, "%s/%s/%s", m->id, kind_names[kind], stems[kind]);
  append_moment(m, kind == PEOPLE_PHOTOS, &key);
  buf_printf(&key, "_%04u_%s", number, strrchr(content.path, '/') + 1);
  return emit(m, PEOPLE_BUCKET, &key, content);
}

static bool emit_backup(struct maker *m) {
  BUF_AUTO key = BUF_INIT;
  buf_printf(&key, "devices/%s/settings-", m->id);
  append_moment(m, false, &key);
  buf_append_str(&key, ".bak");
  assert(key.failed || key.len > 30);
  return emit(m, BACKUP_BUCKET, &key, pick(m, PEOPLE_CONTACTS));
}

/* The first person's extremes: a large, an empty, a UTF-8 and odd names. */
static bool emit_special(struct maker *m) {
  assert(m->id[0] == 'u');
  BUF_AUTO key = BUF_INIT;
  buf_printf(&key, "%s/photos/VID_20140818_190000_monsoon.mp4", m->id);
  struct content large = {.seed = m->config->seed ^ UINT64_C(0x766964656f), /* "video" */
                          .size_bytes = m->config->large_bytes};
  if (!emit(m, PEOPLE_BUCKET, &key, large)) return false;
  buf_reset(&key);
  buf_printf(&key, "%s/notes/empty-draft-unsent.txt", m->id);
  if (!emit(m, PEOPLE_BUCKET, &key, (struct content){.seed = 0})) return false;
  buf_reset(&key);
  buf_printf(&key, "%s/%s", m->id, UTF8_NAME);
  if (!emit(m, PEOPLE_BUCKET, &key, pick(m, PEOPLE_PHOTOS))) return false;
  for (size_t i = 0; i < ODD_COUNT; i++) {
    buf_reset(&key);
    buf_printf(&key, "%s/%s", m->id, odd_names[i]);
    if (!emit(m, PEOPLE_BUCKET, &key, pick(m, PEOPLE_NOTES))) return false;
  }
  return true;
}

bool people_make(const struct people_config *config, size_t index, people_sink *sink, void *context) {
  assert(config != NULL && index < config->people && sink != NULL);
  struct maker m = {.config = config,
                    .country = people_country(index),
                    .random = config->seed * 1000003 + index,
                    .sink = sink,
                    .context = context};
  people_id(config->seed, index, m.id);
  if (index == 0 && !emit_special(&m)) return false;
  /* The heavy ones are 1, 2, …: the first of them an Indian, the second a Chinese. */
  bool heavy = index >= 1 && index <= config->heavy;
  size_t count = heavy ? config->heavy_objects : config->objects_each;
  for (size_t i = 0; i < count; i++) {
    /* Pictures are two of five objects, the other kinds one each. */
    static const enum people_kind turns[5] = {PEOPLE_PHOTOS, PEOPLE_CONTACTS, PEOPLE_PHOTOS, PEOPLE_SMS,
                                              PEOPLE_NOTES};
    if (!emit_ordinary(&m, turns[i % 5], (unsigned)i)) return false;
  }
  return index % 3 != 0 || emit_backup(&m);
}
