/* The parsed charter, seen only inside this room.
 *
 * Invariant: every struct charter that left parse.c is valid as docs/formats/charter.md says (each
 * rule has each class, each home may store every class of its rule, the last class has no keys), so
 * that decisions never meet a hole. Nothing changes it afterwards but its count of references. */
#ifndef DOMICILE_CHARTER_MODEL_H
#define DOMICILE_CHARTER_MODEL_H

#include <stdatomic.h>

#include "base/yaml.h"
#include "charter/charter.h"
#include "charter/iso3166.h"

/* What a class clause speaks of. */
enum access { ACCESS_STORE, ACCESS_READ, ACCESS_TRANSIT, ACCESS_COUNT };
/* "store", "read", "transit". */
extern const char *const access_names[ACCESS_COUNT];

enum { JURISDICTION_WORDS = (ISO3166_COUNT + 63) / 64 };

/* A clause's list of jurisdictions: a bit for each index of iso3166.h. */
struct jurisdictions {
  bool any;
  uint64_t bits[JURISDICTION_WORDS];
};
static inline bool jurisdictions_has(const struct jurisdictions *set, uint8_t index) {
  return set->any || (set->bits[index / 64] >> (index % 64) & 1) != 0;
}

struct rule {
  char country[CHARTER_COUNTRY_SIZE]; /* "IN", or "*" */
  unsigned home;                      /* index of a region */
  struct jurisdictions access[CHARTER_CLASSES_MAX][ACCESS_COUNT];
  uint64_t leave_until_ms[CHARTER_REGIONS_MAX]; /* by region index; first millisecond after it; 0: none */
  uint64_t keep_days;                           /* keep_at_least_days; 0: none */
  uint64_t delete_abroad_hours;                 /* delete_abroad_within_hours; 0: none */
};

enum { VKEY_BYTES_MAX = 255 }; /* a name of up to 200 bytes, key id and key */

struct charter_class {
  const char *name;
  const struct yaml_node *globs; /* a list of validated patterns; NULL: takes what is left */
};

struct charter {
  atomic_uint references;
  struct yaml_doc *doc; /* owns every text below */
  struct buf bytes;     /* the file as signed */
  uint64_t version;
  const char *organization;
  unsigned registrar; /* index of a region */
  unsigned region_count;
  struct charter_region regions[CHARTER_REGIONS_MAX];
  char vkey_names[CHARTER_REGIONS_MAX][VKEY_BYTES_MAX + 1]; /* as strings, for the regions */
  uint8_t region_jurisdiction[CHARTER_REGIONS_MAX];         /* index of iso3166.h */
  unsigned class_count;
  struct charter_class classes[CHARTER_CLASSES_MAX];
  unsigned rule_count;
  struct rule *rules;                        /* in the file's order */
  const struct rule *rule_of[ISO3166_COUNT]; /* NULL: not named */
  const struct rule *rule_else;              /* "*", or NULL */
};

/* Index of a region by number or name; false when the charter has none. */
bool model_region_find(const struct charter *c, uint16_t number, unsigned *out_index);
bool model_region_named(const struct charter *c, struct slice name, unsigned *out_index);

/* Whether a pattern is well formed; if not, *out_why is a static text. */
bool glob_valid(struct slice glob, const char **out_why);
/* Whether a well-formed pattern matches the whole key, bytewise. '*' matches any run of bytes other
 * than '/', "**" any run of bytes, '\' takes the next byte ('*' or '\') as it is. */
bool glob_match(struct slice glob, struct slice key);

/* Reads the section `rules` of a charter whose regions and classes are read already. */
enum dom_code rules_read(struct charter *c, const struct yaml_node *rules, struct dom_err *err);

/* Fails at the key of `at` when this build has no seam for the clause `path`. */
enum dom_code clause_check(const struct charter *c, const struct yaml_node *at, const char *path,
                           struct dom_err *err);

/* What a permit is made of. */
struct permit_terms {
  enum permit_action action;
  uint16_t region, gateway;
  uint16_t source; /* MOVE: the old home; a permit to move covers both ends */
  uint32_t classes;
  uint64_t version;
  const uint8_t *token; /* TOKEN_SIZE bytes, copied */
};
/* Writes a permit into the caller's storage. Called by decide.c alone. */
const struct permit *permit_write(struct charter_permit_storage *storage, const struct permit_terms *terms);

#endif
