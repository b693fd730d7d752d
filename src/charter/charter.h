/* charter: the signed, versioned policy, and the only maker of permits. Pure: no I/O, no clock.
 *
 * Words used here:
 *   region        one place where data is stored and served; its number is never given out again
 *   jurisdiction  ISO 3166-1 alpha-2 code of the country a region lies in
 *   country       the subject's country, as registered; "" for a bucket's own pseudo-subject
 *   class         a named kind of data chosen by key pattern; here a bit in a mask
 *   rule          what the charter says of one country, or of "*" for those it does not name
 *   clause        one sentence of the charter, named by its YAML path: rules.IN.restricted.store
 *   intent        one movement of bytes about to happen; permit: the charter's yes to it
 *
 * Class bits are meaningful under one charter only. What is stored with an object (the classes
 * it inherited by copy) is stored as class *names* and turned into bits under the charter in force.
 *
 * Threads: a parsed charter never changes; every function may be called from any thread on it.
 * Format: docs/formats/charter.md. */
#ifndef DOMICILE_CHARTER_CHARTER_H
#define DOMICILE_CHARTER_CHARTER_H

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/permit.h"

enum {
  CHARTER_BYTES_MAX = 256 * 1024, /* a file a person can read; bounds parsing time */
  CHARTER_REGIONS_MAX = 64,       /* regions of one company */
  CHARTER_CLASSES_MAX = 32,       /* classes are bits of a uint32_t mask */
  CHARTER_GLOBS_MAX = 64,         /* key patterns of one class */
  CHARTER_GLOB_BYTES_MAX = 256,   /* bounds matching: pattern bytes times key bytes */
  CHARTER_NAME_BYTES_MAX = 32,    /* a region's or class's name */
  CHARTER_COUNTRY_SIZE = 3,       /* "IN" and its NUL */
  CHARTER_CLAUSE_SIZE = 96,       /* rules.IN. + class name + .transit fits twice over */
  CHARTER_WHY_SIZE = 256          /* one line of an error message */
};

struct charter; /* a parsed charter; immutable, counted references */

/* One region of a charter. Every pointer lives as long as the charter. */
struct charter_region {
  uint16_t number;                         /* 1…65535; used in ledgers */
  const char *name;                        /* "in" */
  char jurisdiction[CHARTER_COUNTRY_SIZE]; /* "IN" */
  const char *endpoint;                    /* "http://127.0.0.1:9104": scheme, host, port; no path */
  const char *vkey;                        /* C2SP signed-note verifier key, as written */
  const char *vkey_name;                   /* its name part: the origin of the region's ledger */
  uint32_t vkey_id;                        /* its key id, checked when parsed */
  uint8_t public_key[ED25519_KEY_SIZE];
};

/* Why the charter said no. Holds no subject, no object name: it may be logged and answered. */
struct charter_refusal {
  uint64_t version;                 /* of the charter that refuses */
  char clause[CHARTER_CLAUSE_SIZE]; /* YAML path: "rules.IN.restricted.store" */
  char why[CHARTER_WHY_SIZE];       /* a sentence for the client */
};

/* ---- reading a charter ------------------------------------------------------------------ */

/* Parses and validates a charter. `bytes` is the whole file (copied), `file` its name for
 * messages (borrowed for the call). *out_charter gets one reference: charter_release.
 * Returns: DOM_OK; DOM_INVALID with "file:line:column: what" in err (also for a clause that this
 * build does not enforce); DOM_TOO_LARGE past a named limit; DOM_NO_MEMORY. */
enum dom_code charter_parse(struct slice bytes, const char *file, struct charter **out_charter,
                            struct dom_err *err);
/* One more reference to `c`; returns it, for whoever keeps the charter over a reload. */
struct charter *charter_hold(struct charter *c);
/* Drops one reference and frees with the last. NULL is allowed. */
void charter_release(struct charter *c);

uint64_t charter_version(const struct charter *c);
const char *charter_organization(const struct charter *c); /* lives as long as c */
/* The file's exact bytes, as signed, and their SHA-256, as the ledger records them. */
struct slice charter_bytes(const struct charter *c);
void charter_hash(const struct charter *c, uint8_t out_hash[SHA256_SIZE]);

/* ---- signatures -------------------------------------------------------------------------- */

/* The detached signature file of a charter: the line "domicile-charter-v1", then base64 of the
 * Ed25519 signature (RFC 8032) over the charter's exact bytes, each ended by a newline.
 * Appends to `out` (sticky failure as in bytes.h). `seed` is the offline key. */
void charter_sign(struct slice bytes, const uint8_t seed[ED25519_KEY_SIZE], struct buf *out);
/* Checks a signature file against the charter's exact bytes and the offline public key.
 * Returns: DOM_OK; DOM_INVALID when the file is not in the form above; DOM_DENIED when the
 * signature does not verify; DOM_NO_MEMORY. */
enum dom_code charter_verify(struct slice bytes, struct slice signature,
                             const uint8_t public_key[ED25519_KEY_SIZE], struct dom_err *err);

/* A verifier key "name+8hex+base64(0x01 ‖ public key)", C2SP signed-note. */
struct charter_vkey {
  struct slice name; /* borrowed from the text */
  uint32_t id;       /* first 4 bytes of SHA-256(name ‖ "\n" ‖ 0x01 ‖ public key), big-endian */
  uint8_t public_key[ED25519_KEY_SIZE];
};
/* Returns: DOM_OK; DOM_INVALID (form, algorithm other than Ed25519, or key id that does not
 * belong to name and key; err says which); DOM_NO_MEMORY. */
enum dom_code charter_vkey_parse(struct slice text, struct charter_vkey *out_vkey, struct dom_err *err);
/* Appends the verifier key of `name` (not empty; no blank, control character or '+') to `out`. */
void charter_vkey_write(struct slice name, const uint8_t public_key[ED25519_KEY_SIZE], struct buf *out);

/* ---- regions ----------------------------------------------------------------------------- */

unsigned charter_region_count(const struct charter *c);
/* The i-th region in the file's order; asserts i < charter_region_count. */
const struct charter_region *charter_region_at(const struct charter *c, unsigned i);
/* NULL when the charter has no such region. Endpoints and vkeys compare as written. */
const struct charter_region *charter_region_by_number(const struct charter *c, uint16_t number);
const struct charter_region *charter_region_by_name(const struct charter *c, struct slice name);
const struct charter_region *charter_region_by_endpoint(const struct charter *c, struct slice endpoint);
const struct charter_region *charter_region_by_vkey(const struct charter *c, struct slice vkey);
const struct charter_region *charter_region_by_public_key(const struct charter *c,
                                                          const uint8_t public_key[ED25519_KEY_SIZE]);
/* The next region of that jurisdiction behind `after` (NULL: the first); NULL at the end. */
const struct charter_region *charter_region_by_jurisdiction(const struct charter *c,
                                                            const char jurisdiction[CHARTER_COUNTRY_SIZE],
                                                            const struct charter_region *after);
/* The region whose registrar decides (the first of `registrars`). Never NULL. */
const struct charter_region *charter_registrar(const struct charter *c);

/* ---- classes ----------------------------------------------------------------------------- */

unsigned charter_class_count(const struct charter *c); /* 1…CHARTER_CLASSES_MAX */
/* Index of the class of a decoded object key: the first whose pattern matches. Every key has one,
 * because the last class of a charter takes what the others leave. */
unsigned charter_class_of(const struct charter *c, struct slice key);
const char *charter_class_name(const struct charter *c, unsigned index); /* asserts index < count */
/* Returns: DOM_OK; DOM_NOT_FOUND when this charter has no class of that name. */
enum dom_code charter_class_find(const struct charter *c, struct slice name, unsigned *out_index);
static inline uint32_t charter_class_bit(unsigned index) {
  return UINT32_C(1) << index;
}
uint32_t charter_classes_all(const struct charter *c); /* the mask of every class */

/* ---- decisions --------------------------------------------------------------------------- */

/* Ages for keep_at_least_days: see charter_intent.destroys_created_ms. */
#define CHARTER_DESTROYS_NOTHING UINT64_MAX

/* What is about to happen. A field left zero is "unknown" and never helps to get a permit.
 *
 *            region           gateway        source     target       checks
 *   STORE    its home         client's       –          –            store(region)¹, transit², keep³
 *   READ     its home         client's       –          –            read(gateway)⁴, transit²
 *   LIST     its home         client's       –          –            as READ
 *   TRANSIT  its home         the one asked  –          –            transit(gateway), not region
 *   DELETE   its home         client's       –          –            transit², keep³
 *   COPY     source's home    client's       –          copy's home  store(target)¹, transit²
 *   MOVE     new home         –              old home   –            store(region), no leave there
 *   REPAIR   where they lie   –              0, region  –            region is of the charter
 *
 *   All but REPAIR also need a rule that speaks of the country.
 *   ¹ or, at its home of a rule's `leave` entry: granted until its date, refused after it.
 *     A region under `leave` is refused to every subject that is not at home there.
 *   ² when gateway ≠ region.  ³ keep_at_least_days: destroys_created_ms.
 *   ⁴ or gateway = region = home under `leave`: reads go on, before the date and after it.
 * A copy takes two permits: COPY under the source subject, STORE under the destination's, the
 * latter with the source object's classes in its mask (they are inherited). A permit to MOVE covers
 * both its ends, as the bytes are read out of one store and staged in the other. */
struct charter_intent {
  const uint8_t *token; /* TOKEN_SIZE bytes, the subject's route token; never NULL */
  /* STORE, DELETE: creation time of the object or version that is destroyed for good (an
   * overwrite without versioning destroys one); the youngest if several. 0 = unknown: refused where
   * keep_at_least_days is in force. CHARTER_DESTROYS_NOTHING: nothing is. */
  uint64_t destroys_created_ms;
  enum permit_action action;
  uint32_t classes;                   /* the key's class and the inherited ones; MOVE: of all objects,
                                         0 = of every class; REPAIR: ignored (as country is); else never 0 */
  uint16_t region;                    /* whose store it touches: where the bytes lie or will lie */
  uint16_t gateway;                   /* the one gateway that serves the client; = region when at home */
  uint16_t source;                    /* MOVE: the home the subject leaves */
  uint16_t target;                    /* COPY: the region the copy will lie in (= region within one home) */
  char country[CHARTER_COUNTRY_SIZE]; /* the subject's; "" for a bucket's pseudo-subject */
  bool at_home;                       /* the subject is at home in `region` now */
};

/* Room for a permit in the caller's frame, so that the hot path allocates nothing. */
struct charter_permit_storage {
  uint64_t opaque[8];
};

/* The charter's answer to one intent at wall time `now_ms`. On DOM_OK *out_permit points into
 * *storage and lives as long as it. A permit is used at once and never kept over a change of charter.
 * Returns: DOM_OK; DOM_REFUSED (*refusal, if not NULL, filled with version, clause and why);
 * DOM_INVALID when the intent makes no sense (no class, a class bit or country that does not exist,
 * a field missing); `why` then says so: the caller's mistake, to be answered as an internal error. */
enum dom_code charter_decide(const struct charter *c, const struct charter_intent *intent, uint64_t now_ms,
                             struct charter_permit_storage *storage, const struct permit **out_permit,
                             struct charter_refusal *refusal);

/* The home that a new subject of `country` gets. It permits every class there.
 * Returns: DOM_OK; DOM_REFUSED (refusal if not NULL) when no rule speaks of the country; DOM_INVALID
 * when `country` is neither "" nor an assigned code. */
enum dom_code charter_home_for(const struct charter *c, const char *country,
                               const struct charter_region **out_region, struct charter_refusal *refusal);

/* Within how many hours after a move's commit the old home must have erased what it had of a subject of
 * `country`; 0: the charter sets no time. */
uint64_t charter_delete_abroad_hours(const struct charter *c, const char *country);

/* Whether a whole subject that holds `classes` (0: any) may be moved to `region`, asked before a move
 * begins. Same answer as charter_decide(PERMIT_MOVE).
 * Returns: DOM_OK; DOM_REFUSED naming class and clause; DOM_INVALID as charter_decide. */
enum dom_code charter_subject_fits(const struct charter *c, const char *country, uint16_t region,
                                   uint32_t classes, struct charter_refusal *refusal);

/* How a subject stands at its present home. */
enum charter_standing {
  CHARTER_STANDING_GOOD,      /* every class may lie there, no leave date */
  CHARTER_STANDING_LEAVING,   /* under a leave date to come: served in full */
  CHARTER_STANDING_OVERDUE,   /* the leave date is past: reads only; a violation to be listed */
  CHARTER_STANDING_FORBIDDEN, /* some class may not lie there and no leave date is given */
  CHARTER_STANDING_COUNT
};
/* Standing of subjects of `country` with `classes` (0: any) at home in `region`. For all but GOOD,
 * *refusal (if not NULL) names the clause. An unknown region or country is FORBIDDEN. */
enum charter_standing charter_home_standing(const struct charter *c, const char *country, uint16_t region,
                                            uint32_t classes, uint64_t now_ms,
                                            struct charter_refusal *refusal);
/* True when a load must be refused (unless forced) while subjects of `country` live in `region`:
 * their home is forbidden and the rule gives no leave date. */
static inline bool charter_forbids_home(const struct charter *c, const char *country, uint16_t region,
                                        uint64_t now_ms, struct charter_refusal *refusal) {
  return charter_home_standing(c, country, region, 0, now_ms, refusal) == CHARTER_STANDING_FORBIDDEN;
}

/* True for a code that ISO 3166-1 assigns, upper case, NUL-terminated. */
bool charter_country_valid(const char *country);

/* ---- from one charter to the next --------------------------------------------------------- */

/* Whether `next` may follow `old`: newer version, same organization, no region number given to
 * another name or jurisdiction, no region's name given another number, no class dropped (objects may
 * have inherited it). A region that keeps earlier charters asks for each of them, so that a number dropped
 * long ago does not come back either. Returns: DOM_OK; DOM_INCOMPATIBLE with the reason in err. */
enum dom_code charter_check_successor(const struct charter *old, const struct charter *next,
                                      struct dom_err *err);

/* One difference. Values are canonical texts; NULL where the path is absent on that side. */
struct charter_change {
  const char *path;   /* "rules.IN.restricted.store" */
  const char *before; /* "[CN]" */
  const char *after;  /* "[SG, US]" */
};
/* Receives one change, borrowed for the call. */
typedef void charter_change_fn(void *context, const struct charter_change *change);
/* Calls `fn` for every difference, ordered by path. Returns: DOM_OK; DOM_NO_MEMORY, before any call. */
enum dom_code charter_diff_each(const struct charter *old, const struct charter *next, charter_change_fn *fn,
                                void *context, struct dom_err *err);
/* Appends one line a change: "+ path: after", "- path: before", "~ path: before -> after".
 * Returns as charter_diff_each. */
enum dom_code charter_diff(const struct charter *old, const struct charter *next, struct buf *out,
                           struct dom_err *err);
/* The same for machines: one JSON object a line, {"path":…,"before":…,"after":…}, null where absent. */
enum dom_code charter_diff_json(const struct charter *old, const struct charter *next, struct buf *out,
                                struct dom_err *err);

/* ---- clauses ------------------------------------------------------------------------------ */

/* A clause that the charter's schema knows, and the seam of this build that enforces it. */
struct charter_clause {
  const char *path; /* with "*" for chosen names: "rules.*.*.store" */
  const char *seam; /* where it is enforced; NULL: this build refuses a charter that has it */
};
/* Every clause; a test reads it, and `domicile charter check` may show it. */
const struct charter_clause *charter_clauses(size_t *out_count);

#endif
