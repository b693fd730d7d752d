/* Lifecycle: rules by which objects and uploads of a bucket end by themselves. Pure: rules, an object and a
 * time in, a verdict out; what is done about it is the caller's.
 *
 * A day is counted as S3 counts it: the number of days after an object came, then on to the next midnight
 * UTC. `day_ms` is the length of a day, S3_DAY_MS but in tests.
 * Source: AWS S3 API reference, PutBucketLifecycleConfiguration; S3 user guide, "Lifecycle configuration
 * elements". */
#ifndef DOMICILE_S3_LIFECYCLE_H
#define DOMICILE_S3_LIFECYCLE_H

#include "base/arena.h"
#include "base/bytes.h"
#include "s3/config.h"
#include "s3/error.h"

#define S3_DAY_MS UINT64_C(86400000)

enum {
  S3_LIFECYCLE_RULES_MAX = 1000,
  S3_LIFECYCLE_BYTES_MAX = 256 << 10, /* ours: 1,000 rules of 262 bytes; S3 bounds the count alone */
  S3_LIFECYCLE_ID_BYTES_MAX = 255,
  S3_LIFECYCLE_TAGS_MAX = S3_OBJECT_TAGS_MAX, /* of one rule: an object has no more */
  S3_LIFECYCLE_NEWER_VERSIONS_MAX = 100,      /* noncurrent versions a rule may keep */
  S3_LIFECYCLE_NUMBER_MAX = INT32_MAX         /* days */
};

/* What a rule is about; what is not said holds for all. */
struct s3_lifecycle_filter {
  bool is_legacy; /* the prefix stood in the rule itself: printed so again */
  bool has_prefix;
  struct slice prefix;
  bool has_greater, has_less;
  uint64_t greater, less; /* bytes, exclusive */
  struct s3_tag *tag;     /* in the arena */
  size_t tag_count;
};

struct s3_lifecycle_rule {
  struct slice id; /* made up where the client gave none */
  bool enabled;
  struct s3_lifecycle_filter filter;
  uint64_t expire_days;      /* 0: not */
  uint64_t expire_date_ms;   /* 0: not; a midnight UTC */
  bool expire_markers;       /* delete markers without versions behind them */
  uint64_t noncurrent_days;  /* 0: not */
  uint64_t noncurrent_newer; /* with noncurrent_days: so many newest noncurrent ones stay */
  uint64_t abort_days;       /* 0: not; uploads that are not completed */
};
struct s3_lifecycle {
  struct s3_lifecycle_rule *rule; /* in the arena */
  size_t count;
};

/* As the parsers of config.h; besides S3_ERR_INVALID_ARGUMENT (a number or date out of bounds, an id twice),
 * S3_ERR_INVALID_REQUEST (actions and filters that do not go together) and S3_ERR_NOT_IMPLEMENTED
 * (transitions: there is one storage class). */
enum s3_error s3_lifecycle_parse(struct slice body, struct arena *arena, struct s3_lifecycle *out);
void s3_lifecycle_print(const struct s3_lifecycle *l, struct buf *out);

/* One version of an object. */
struct s3_lifecycle_object {
  struct slice key;
  uint64_t size, modified_ms;
  bool is_marker;           /* a delete marker: no rule by size or tags is about it */
  bool any_tags;            /* its tags are not known: it may have whatever a rule asks for */
  const struct s3_tag *tag; /* NULL with tag_count 0 */
  size_t tag_count;
};
/* When the current object expires, in wall milliseconds, by the earliest of the rules that are about it, and
 * by which in *out_rule (NULL: not asked). UINT64_MAX: by none. */
uint64_t s3_lifecycle_expires(const struct s3_lifecycle *l, const struct s3_lifecycle_object *o,
                              uint64_t day_ms, const struct s3_lifecycle_rule **out_rule);
/* The same for a version that is no longer the current one: since `since_ms`, when the next newer one came,
 * and with `newer` noncurrent ones that are newer than it. */
uint64_t s3_lifecycle_expires_noncurrent(const struct s3_lifecycle *l, const struct s3_lifecycle_object *o,
                                         uint64_t since_ms, uint64_t newer, uint64_t day_ms);
/* The same for a delete marker with no version behind it: at once where a rule says so, else in the days of
 * an expiration. */
uint64_t s3_lifecycle_expires_marker(const struct s3_lifecycle *l, struct slice key, uint64_t modified_ms,
                                     uint64_t day_ms);
/* Whether a rule in force asks for tags. */
bool s3_lifecycle_by_tags(const struct s3_lifecycle *l);
/* Appends the value of x-amz-expiration. */
void s3_lifecycle_expiration(const struct s3_lifecycle_rule *rule, uint64_t at_ms, struct buf *out);
/* The same for an upload, begun at `begun_ms`, that nobody completed. */
uint64_t s3_lifecycle_aborts(const struct s3_lifecycle *l, struct slice key, uint64_t begun_ms,
                             uint64_t day_ms);
/* The longest prefix that every rule's begins with: nothing outside of it can end. */
struct slice s3_lifecycle_prefix(const struct s3_lifecycle *l);

#endif
