/* Subject: who a key belongs to, where that person's home is, and whether bytes may move.
 * The only facade of the subject room.
 *
 * Glossary
 *   layout     a bucket's key templates, from which the subject is read off a key
 *   token      route token of a subject: HMAC-SHA256(route key, tenant ‖ 0 ‖ subject id)
 *   home       the region where a subject's data lives now, with an epoch that grows
 *   registrar  the region that keeps token → (home, epoch, country) and bucket names
 *   statement  a home's signed word that a subject left: (token, from, to, epoch, manifest)
 *   gate       holds writers of one subject in memory while its fence is prepared and up
 *
 * Invariant: a region serves a subject only if its own durable row says HOME, COPYING or FENCED;
 * that row appears only by registration (the registrar's answer names this region), or by a
 * statement signed by the home on record with a higher epoch. What enforces it: register.c,
 * statement.c, and the store's guards. A stale cache or registrar answer sends a request to a
 * region that then refuses it: never to wrong data.
 *
 * Threads: every function may be called from any thread unless said otherwise. */
#ifndef DOMICILE_SUBJECT_SUBJECT_H
#define DOMICILE_SUBJECT_SUBJECT_H

#include "base/bytes.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/net.h"
#include "base/permit.h"
#include "charter/charter.h"
#include "ledger/ledger.h"
#include "store/store.h"

/* ---- layouts (pure) ------------------------------------------------------------------- */

enum {
  SUBJECT_ID_MAX = 255,              /* one path segment of S3's key */
  SUBJECT_LAYOUT_TEMPLATES_MAX = 16, /* kinds of data in a bucket; matched linearly on each request */
  SUBJECT_LAYOUT_TEXT_MAX = 1024
};

/* Templates are literal prefixes; "{subject}/" follows each. No template's prefix may begin
 * another's, so at most one matches. Zero templates: every key is the bucket's own. */
struct subject_layout {
  uint32_t count;
  struct slice prefix[SUBJECT_LAYOUT_TEMPLATES_MAX]; /* borrowed from the text */
};
/* `text`: templates separated by blanks or commas, e.g. "photos/{subject}/ mail/{subject}/"; empty: no
 * template. DOM_INVALID with what is wrong. */
enum dom_code subject_layout_parse(struct slice text, struct subject_layout *out, struct dom_err *err);
/* True when the key names a subject: *out_id the segment, *out_prefix the key up to and with the
 * '/' behind it. A segment "." or "..", empty or over SUBJECT_ID_MAX does not match. */
bool subject_layout_match(const struct subject_layout *l, struct slice key, struct slice *out_id,
                          struct slice *out_prefix);

/* ---- the room ---------------------------------------------------------------------------- */

struct subjects;

struct subjects_options {
  struct store *store; /* borrowed */
  struct net *net;     /* borrowed; NULL for a region alone (--dev) */
  struct clock *clock; /* borrowed */
  uint16_t region;     /* this region's number */
  uint8_t deployment[16];
  uint8_t route_key[KEY_SIZE];           /* the same in all regions of a deployment */
  uint8_t region_seed[ED25519_KEY_SIZE]; /* this region's signing key; its public half is in the charter */
  uint8_t charter_key[ED25519_KEY_SIZE]; /* public key of the offline charter signer */
};
/* Reads the charter in force from the store (none yet: charter functions answer DOM_NOT_FOUND).
 * DOM_DENIED when the store was written with another route key. */
enum dom_code subjects_open(const struct subjects_options *o, struct subjects **out, struct dom_err *err);
void subjects_close(struct subjects *s);

/* ---- charter in force ----------------------------------------------------------------------- */

/* Checks signature, that it follows the one in force, that this region is in it under its number and
 * key, and (unless forced) that it leaves no live subject homeless without a leave date; makes it
 * durable with its ledger entry and puts it in force. One change at a time; others wait.
 * Durable: before it is in force.
 * Returns: DOM_OK also when exactly this charter is in force already; DOM_DENIED bad signature; DOM_INVALID
 * with file:line:column; DOM_REFUSED with why; what a commit returns (the old one stays in force). */
enum dom_code subject_charter_put(struct subjects *s, struct slice yaml, struct slice signature, bool force,
                                  struct dom_err *err);
/* The charter in force, or NULL; release with charter_release. It stays valid when another comes into force
 * meanwhile: whoever decides by it decides by one charter. */
struct charter *subject_charter(struct subjects *s);
/* For a commit that is right under charter `version` only: a newer one that is durable, in force already or
 * about to be, makes it fail. Returns: DOM_STALE_EPOCH the view shows another; DOM_CORRUPT; and the commit
 * says DOM_RETRY when one came since. */
enum dom_code subject_charter_guard(struct store_view *v, struct store_tx *tx, uint64_t version,
                                    struct dom_err *err);
/* Text and version of the one in force. DOM_NOT_FOUND. */
enum dom_code subject_charter_text(struct subjects *s, struct buf *out, uint64_t *out_version,
                                   struct dom_err *err);

/* ---- buckets ---------------------------------------------------------------------------------- */

enum { SUBJECT_BUCKET_NAME_MAX = 63, SUBJECT_ACCOUNT_MAX = 64 };
enum subject_bucket_state { BUCKET_ACTIVE = 1, BUCKET_DELETING = 2 };
/* S3's versioning of a bucket. Once it was enabled it is never NEVER again. */
enum subject_versioning { VERSIONING_NEVER = 0, VERSIONING_ENABLED = 1, VERSIONING_SUSPENDED = 2 };
struct subject_bucket {
  uint8_t id[STORE_BUCKET_ID_SIZE];
  char name[SUBJECT_BUCKET_NAME_MAX + 1];
  char owner[SUBJECT_ACCOUNT_MAX + 1]; /* the tenant */
  char layout_text[SUBJECT_LAYOUT_TEXT_MAX + 1];
  struct subject_layout layout; /* parsed; slices point into layout_text */
  uint16_t region;              /* where keys that match no template live */
  bool keep_unmatched;          /* false: such keys are refused */
  enum subject_bucket_state state;
  uint64_t version;        /* of this row; grows with each change of state or configuration */
  uint64_t config_version; /* the row's version when the configuration last changed; 0: never */
  enum subject_versioning versioning;
  uint32_t config_parts; /* bit n: the configuration has enum subject_part n */
  uint64_t created_ms;
};
/* A copied struct's layout slices must be re-pointed: use this. */
void subject_bucket_copy(struct subject_bucket *to, const struct subject_bucket *from);

/* The bucket by name: from the view, else from the registrar (and then kept here).
 * Returns: DOM_RETRY it was fetched just now: open a new view and ask again; DOM_NOT_FOUND; DOM_BUSY it is
 * being deleted; DOM_UNAVAILABLE, DOM_TIMEOUT the registrar is needed and does not answer. */
enum dom_code subject_bucket_get(struct subjects *s, struct store_view *v, struct slice name,
                                 struct subject_bucket *out, struct dom_err *err);
/* The bucket by name if this region knows it, asking nobody: for requests that anybody may send.
 * Returns: DOM_NOT_FOUND also while it is being deleted; DOM_CORRUPT. */
enum dom_code subject_bucket_known(struct store_view *v, struct slice name, struct subject_bucket *out,
                                   struct dom_err *err);
/* The buckets that this region knows, by name, after `after` (empty: from the first), those being deleted
 * included; fn returns false to stop. Asks nobody. */
typedef bool (*subject_bucket_fn)(void *arg, const struct subject_bucket *b);
enum dom_code subject_bucket_scan(struct store_view *v, struct slice after, subject_bucket_fn fn, void *arg,
                                  struct dom_err *err);
/* Name of the bucket with this id, as this region knows it, also of one that is being deleted. DOM_NOT_FOUND.
 */
enum dom_code subject_bucket_name(struct store_view *v, const uint8_t id[STORE_BUCKET_ID_SIZE],
                                  char out[SUBJECT_BUCKET_NAME_MAX + 1], struct dom_err *err);
/* Whether the view still shows a bucket that was looked up earlier, as one that may be written to and under
 * the same configuration: a commit through this view is guarded by that row, one through a later view than
 * the lookup's is not. DOM_NOT_FOUND when it is gone, DOM_BUSY while it is being deleted, DOM_RETRY when its
 * configuration changed: look it up anew, and decide anew. */
enum dom_code subject_bucket_check(struct store_view *v, const struct subject_bucket *seen,
                                   struct dom_err *err);
/* Creates at the registrar, then everywhere. `want`: name, owner, layout_text, region, keep_unmatched.
 * Durable: at the registrar and here; a region that missed it asks when the bucket is first used.
 * Returns: DOM_EXISTS with *out the one there (its owner may be the same); DOM_INVALID, DOM_TOO_LARGE the
 * layout; DOM_UNAVAILABLE, DOM_TIMEOUT the registrar does not answer. */
enum dom_code subject_bucket_create(struct subjects *s, const struct subject_bucket *want,
                                    struct subject_bucket *out, struct dom_err *err);
/* DELETING everywhere, every region reports empty, then gone; else rolled back.
 * Durable: at DOM_OK the name is free. A crash in between is rolled back by subject_upkeep.
 * Returns: DOM_BUSY not empty, or being deleted by somebody else; DOM_NOT_FOUND; DOM_UNAVAILABLE names a
 * region that did not answer. */
enum dom_code subject_bucket_delete(struct subjects *s, struct slice name, struct dom_err *err);
/* Buckets of an owner in name order (asks the registrar). fn returns false to stop. Returns: DOM_UNAVAILABLE,
 * DOM_TIMEOUT the registrar does not answer; DOM_CORRUPT its answer does not decode. */
enum dom_code subject_bucket_each(struct subjects *s, struct slice owner, subject_bucket_fn fn, void *arg,
                                  struct dom_err *err);

/* ---- configuration of buckets -------------------------------------------------------------------- */

/* One versioned document a bucket: its versioning (in struct subject_bucket) and parts that this room does
 * not look into. The registrar gives out the versions and brings each into force in every region of the
 * charter before it answers. A region's rows of bucket and document change in one commit, and every commit to
 * the bucket is guarded by the bucket's row: a commit whose view shows an older configuration is DOM_RETRY.
 */

enum subject_part { /* numbers are on disk; never reuse one */
                    SUBJECT_PART_POLICY = 1,
                    SUBJECT_PART_CORS = 2,
                    SUBJECT_PART_LIFECYCLE = 3,
                    SUBJECT_PART_TAGGING = 4,
                    SUBJECT_PART_ACL = 5,
                    SUBJECT_PART_ENCRYPTION = 6,
                    SUBJECT_PART_PUBLIC_ACCESS = 7,
                    SUBJECT_PART_OWNERSHIP = 8,
                    SUBJECT_PART_OBJECT_LOCK = 9,
                    SUBJECT_PART_LIMIT = 10 /* one past the highest */
};
/* Largest value of a part in bytes: S3's limits, see bucket_config.c. */
size_t subject_part_max(enum subject_part part);
static inline bool subject_bucket_has(const struct subject_bucket *b, enum subject_part part) {
  return (b->config_parts >> part & 1u) != 0;
}

/* A configuration as it was at one version; immutable, shared by whoever holds it. */
struct subject_config;
/* The configuration that `b`, looked up in this view, names. Cached by version: no index read while nothing
 * changes, nor for a bucket that was never configured. Release with subject_config_release.
 * Returns: DOM_RETRY the view shows another one: look the bucket up anew; DOM_CORRUPT, DOM_NO_MEMORY. */
enum dom_code subject_config_get(struct subjects *s, struct store_view *v, const struct subject_bucket *b,
                                 struct subject_config **out, struct dom_err *err);
void subject_config_release(struct subject_config *c); /* NULL is allowed */
/* The part's value, borrowed from c; data NULL when the bucket has none. */
struct slice subject_config_part(const struct subject_config *c, enum subject_part part);

/* One change of one thing. */
struct subject_config_change {
  enum subject_part part; /* 0: versioning */
  enum subject_versioning versioning;
  bool remove;        /* the part goes; `value` is empty */
  struct slice value; /* 1..subject_part_max(part) bytes */
  bool only_if;       /* only on top of config_version `if_version` */
  uint64_t if_version;
};
/* Changes the configuration of `b` everywhere. A change that is there already and in force everywhere is
 * DOM_OK at once. Who may do so is the caller's question.
 * Durable: at DOM_OK in every region of the charter in force.
 * Returns: DOM_UNAVAILABLE, DOM_TIMEOUT not everywhere yet, the text says what to do: the change is in force
 * where it arrived, the registrar goes on with it, and the same call again tells when it is done; DOM_BUSY
 * another change came first (only_if), the bucket is being deleted, or too many changes at once; DOM_INVALID
 * not a legal change from what is there, with why; DOM_TOO_LARGE; DOM_NOT_FOUND the bucket is gone. */
enum dom_code subject_configure(struct subjects *s, const struct subject_bucket *b,
                                const struct subject_config_change *change, struct dom_err *err);
/* To be called every second or so, by a thread that may wait for other regions: asks the registrar what this
 * region missed (after a start, a new charter, a failure, and now and then), and in the registrar goes on
 * with changes that are not everywhere yet. The first call is made before the region serves, so that it asks
 * before it answers; it waits at most SUBJECT_CONFIG_ASK_MS for the registrar.
 * Returns: DOM_UNAVAILABLE, DOM_TIMEOUT somebody does not answer: call again; codes as the store's. */
enum dom_code subject_config_upkeep(struct subjects *s, struct dom_err *err);

/* ---- who and where ------------------------------------------------------------------------------ */

enum subject_where {
  SUBJECT_HERE = 1,      /* this region is home (state HOME, COPYING or FENCED) */
  SUBJECT_ELSEWHERE = 2, /* forward to `home` */
  SUBJECT_UNREGISTERED = 3
};
struct subject_who {
  enum subject_where where;
  uint8_t token[TOKEN_SIZE];
  char country[2];
  uint16_t home;
  uint64_t epoch;
  enum store_subject_state state; /* when HERE */
  bool pseudo;                    /* the bucket's own keys */
  struct slice id;                /* borrowed from the key; empty when pseudo */
  struct slice prefix;            /* borrowed from the key */
  bool has_statement;             /* ELSEWHERE by a move this region made: */
  uint8_t statement[256];         /* signed, for the new home (SUBJECT_STATEMENT_MAX) */
  uint32_t statement_len;
};
/* Whose key is it and where is home now, in this view. DOM_INVALID: the key matches no template
 * and the bucket refuses such; DOM_UNAVAILABLE: unknown here and the registrar does not answer;
 * DOM_RETRY: a row was made just now, open a new view and ask again. */
enum dom_code subject_resolve(struct subjects *s, struct store_view *v, const struct subject_bucket *b,
                              struct slice key, struct subject_who *out, struct dom_err *err);
/* The token that subject_resolve would look up, without looking anything up. DOM_INVALID as there. */
enum dom_code subject_token_of(const struct subjects *s, const struct subject_bucket *b, struct slice key,
                               uint8_t out[TOKEN_SIZE], struct dom_err *err);
/* The same for a token. where is UNREGISTERED when nobody knows it. Returns: DOM_UNAVAILABLE, DOM_TIMEOUT
 * unknown here and the registrar does not answer, or names this region under an epoch it has not seen;
 * DOM_RETRY; DOM_CORRUPT. */
enum dom_code subject_resolve_token(struct subjects *s, struct store_view *v, const uint8_t token[TOKEN_SIZE],
                                    struct subject_who *out, struct dom_err *err);
/* tenant ≤ SUBJECT_ACCOUNT_MAX, id ≤ SUBJECT_ID_MAX bytes. */
void subject_token(const struct subjects *s, struct slice tenant, struct slice id, uint8_t out[TOKEN_SIZE]);
/* Takes note that a region answered "not here, but there". A hint about where to ask next, never a reason to
 * serve: only rows and signed statements are that. Older than what is known, it is passed over. */
void subject_learn(struct subjects *s, const uint8_t token[TOKEN_SIZE], uint16_t home, uint64_t epoch,
                   const char country[2]);
/* The home that is known does not answer: asks the registrar anew, and learns. DOM_OK: it names another
 * region under a later epoch, now in *home and *epoch (neither is this region); DOM_NOT_FOUND: it knows no
 * later one, nothing changed; DOM_UNAVAILABLE. */
enum dom_code subject_ask_again(struct subjects *s, const uint8_t token[TOKEN_SIZE], uint16_t *home,
                                uint64_t *epoch, struct dom_err *err);

/* Registers the person with a country at the charter's home for it.
 *   out   filled on DOM_OK and DOM_ELSEWHERE; its epoch is 0 where the home has yet to be asked
 * Durable: at DOM_OK, with its ledger entry: at the registrar first, then here.
 * Returns: DOM_ELSEWHERE home is in another region (forward to there); DOM_EXISTS registered already with
 * another country (409), the same country is DOM_OK; DOM_INVALID id or country; DOM_REFUSED the charter has
 * no home for that country; DOM_DENIED the person was erased: only subject_register_anywhere, an operator's
 * word, makes them a home again; DOM_UNAVAILABLE, DOM_TIMEOUT the registrar does not answer. */
enum dom_code subject_register(struct subjects *s, struct slice tenant, struct slice id,
                               const char country[2], struct subject_who *out, struct dom_err *err);
/* The same wherever home is: asks that region. A person who was erased is registered anew, above every epoch
 * that was ever allotted. DOM_STALE_EPOCH the two regions' charters differ; DOM_BUSY the registrar has yet to
 * hear of the erasure. */
enum dom_code subject_register_anywhere(struct subjects *s, struct slice tenant, struct slice id,
                                        const char country[2], struct subject_who *out, struct dom_err *err);
/* Changes the country at the home region (here or there) and at the registrar.
 * Durable: at DOM_OK. After a failure at the registrar the home has it already: call again.
 * Returns: DOM_INVALID no such country; DOM_NOT_FOUND not registered; DOM_REFUSED the charter forbids that
 * home for that country: move first; DOM_BUSY it is being moved; DOM_ELSEWHERE it left meanwhile;
 * DOM_UNAVAILABLE, DOM_TIMEOUT. */
enum dom_code subject_set_country(struct subjects *s, const uint8_t token[TOKEN_SIZE], const char country[2],
                                  struct dom_err *err);

/* Asks the charter. `gateway`: region number that handles the client's request. `place_region`: where
 * the bytes lie or will lie. `classes`: inherited ones, comma-separated; key: for its own class
 * (empty: none). The permit lives in `storage`, and is good for this subject, action and region only.
 * Returns: DOM_REFUSED with *refusal; DOM_INVALID an intent that makes no sense, with why in *refusal: the
 * caller's mistake, never the client's. */
struct subject_intent {
  enum permit_action action;
  const struct subject_who *who;
  uint16_t place_region;
  uint16_t gateway;
  struct slice key;
  struct slice classes;
  bool all_classes;     /* ask for every class of the charter: may all of the subject be moved or shown? */
  uint16_t copy_target; /* COPY: region the copy will lie in */
  uint64_t destroys_ms; /* STORE, DELETE: when the object that goes was written; 0 unknown,
                           CHARTER_DESTROYS_NOTHING when there is none */
};
enum dom_code subject_permit(struct subjects *s, const struct subject_intent *intent,
                             struct charter_permit_storage *storage, const struct permit **out,
                             struct charter_refusal *refusal);

/* ---- statements ------------------------------------------------------------------------------------ */

enum { SUBJECT_STATEMENT_MAX = 256 };
/* Epochs are below this: a million moves a second would take 290,000 years to get there, and a region that
 * lies must not make the next one 0. What JSON carries as a number holds them all. */
#define SUBJECT_EPOCH_MAX ((uint64_t)INT64_MAX)
struct subject_statement {
  uint8_t token[TOKEN_SIZE];
  uint16_t from, to;
  uint64_t epoch_from, epoch; /* left at epoch_from; lives at `to` under epoch */
  uint8_t manifest[SHA256_SIZE];
  uint64_t charter_version;
  char country[2];
};
/* Encodes and signs with this region's key (st->from must be this region). */
void subject_statement_sign(const struct subjects *s, const struct subject_statement *st, struct buf *out);
/* DOM_DENIED unless signed by the region it names as source, of this deployment. */
enum dom_code subject_statement_check(struct subjects *s, struct slice bytes, struct subject_statement *out,
                                      struct dom_err *err);
/* Decodes without checking the signature: good for finding out that there is nothing to do, for nothing else.
 */
bool subject_statement_peek(const struct subjects *s, struct slice bytes, struct subject_statement *out);
/* In the commit that moves a subject away: the tombstone and the statement, kept for whoever asks.
 * `row` is the subject's row as it will be (state MOVED). Returns: as store_tx_subject_put and
 * store_tx_row_put. */
enum dom_code subject_leave(struct store_tx *tx, const struct store_subject *row, struct slice statement,
                            struct dom_err *err);
/* Appends the statement that such a commit kept for the token. DOM_NOT_FOUND. */
enum dom_code subject_statement_kept(struct store_view *v, const uint8_t token[TOKEN_SIZE], struct buf *out,
                                     struct dom_err *err);
/* In the commit that activates a subject moved here: the row HOME under st->epoch. The caller has checked the
 * statement. DOM_STALE_EPOCH when this region knows a higher epoch for the token already; DOM_EXISTS when it
 * is active under exactly this epoch. */
enum dom_code subject_arrive(struct subjects *s, struct store_view *v, struct store_tx *tx,
                             const struct subject_statement *st, struct dom_err *err);
/* The new home tells the registrar. Idempotent; a statement older than what the registrar has is DOM_OK.
 * Returns: DOM_DENIED not signed by the home on record; DOM_NOT_FOUND no such token; DOM_UNAVAILABLE,
 * DOM_TIMEOUT. */
enum dom_code subject_report_moved(struct subjects *s, struct slice statement, struct dom_err *err);

/* The home that erased a person tells the registrar, which keeps (token, epoch) for ever.
 *   epoch  the highest that this home ever allotted
 * Durable: at DOM_OK, there. Idempotent; late, after the person was registered anew, it is DOM_OK and changes
 * nothing. Returns: DOM_DENIED this region is not the home on record; DOM_NOT_FOUND no such token;
 * DOM_UNAVAILABLE, DOM_TIMEOUT. */
enum dom_code subject_report_erased(struct subjects *s, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                                    struct dom_err *err);

/* ---- generations of scoped tokens -------------------------------------------------------------- */

/* The generation that a subject's tokens must be of, as its home has it; 0 until a first revocation.
 * Returns: DOM_CORRUPT; codes as store_row_get. */
enum dom_code subject_tokens_generation(struct store_view *v, const uint8_t token[TOKEN_SIZE],
                                        uint64_t *out_generation, struct dom_err *err);
/* Guards a tx by it: no revocation since the tx's view. */
void subject_tokens_guard(struct store_tx *tx, const uint8_t token[TOKEN_SIZE]);
/* Ends all scoped tokens of the subject that were made before. At its home only.
 * Durable: at DOM_OK. Returns: DOM_NOT_FOUND no such subject here; DOM_ELSEWHERE; DOM_BUSY; a commit's. */
enum dom_code subject_tokens_revoke(struct subjects *s, const uint8_t token[TOKEN_SIZE],
                                    uint64_t *out_generation, struct dom_err *err);

/* ---- gate -------------------------------------------------------------------------------------------- */

enum subject_gate { SUBJECT_GATE_OPEN, SUBJECT_GATE_WAITED, SUBJECT_GATE_TIMEOUT };
/* A writer of the subject comes in before its body is read; waits (up to hold_ms) while the gate is
 * closed. OPEN and WAITED must be followed by leave; TIMEOUT (also without memory) must not. A writer enters
 * one gate at a time. Correctness does not rest on gates but on the guards of commits. */
enum subject_gate subject_gate_enter(struct subjects *s, const uint8_t token[TOKEN_SIZE], uint32_t hold_ms);
void subject_gate_leave(struct subjects *s, const uint8_t token[TOKEN_SIZE]);
/* Writers that outrun the mover's copying wait delay_ms each before they come in, though never beyond their
 * hold_ms; until the gate is opened. The gate may be closed meanwhile. */
void subject_gate_slow(struct subjects *s, const uint8_t token[TOKEN_SIZE], uint32_t delay_ms);
/* The mover closes the gate: new writers wait. Then waits up to drain_ms until those inside have left;
 * false: they have not (the gate stays closed; open it, or go on and let the guards refuse them). */
bool subject_gate_close(struct subjects *s, const uint8_t token[TOKEN_SIZE], uint32_t drain_ms);
/* New writers come in again, at their own speed, and those that wait go on. An open gate stays open. */
void subject_gate_open(struct subjects *s, const uint8_t token[TOKEN_SIZE]);

/* ---- a region that may be behind ------------------------------------------------------------- */

/* While held, this region neither serves a subject nor answers what other regions ask of this room, for what
 * it knows may be old: those calls are DOM_UNAVAILABLE. Told by move, which knows why. */
void subject_hold(struct subjects *s, bool held);
bool subject_held(const struct subjects *s);
/* Appends the deployment's 16 bytes. */
void subject_deployment(const struct subjects *s, struct buf *out);
/* Signs with this region's key; whether `region` of the charter in force signed exactly these bytes. */
void subject_sign(const struct subjects *s, struct slice bytes, uint8_t out[ED25519_SIG_SIZE]);
bool subject_signed_by(struct subjects *s, uint16_t region, struct slice bytes,
                       const uint8_t signature[ED25519_SIG_SIZE]);
/* In the commit that activates a subject: the statement that brought it, so that its former home can be shown
 * its own word should it forget. Returns: as store_tx_row_put. */
enum dom_code subject_arrival_put(struct store_tx *tx, const uint8_t token[TOKEN_SIZE],
                                  struct slice statement, struct dom_err *err);
/* Appends the statement of the last arrival. DOM_NOT_FOUND. */
enum dom_code subject_arrival_kept(struct store_view *v, const uint8_t token[TOKEN_SIZE], struct buf *out,
                                   struct dom_err *err);
/* Where the registrar has a token at home, or its tombstone. */
struct subject_record {
  uint8_t token[TOKEN_SIZE];
  uint16_t home;  /* 0: it knows no such token */
  bool erased;    /* a tombstone: erased at `home`, which allotted no epoch above `epoch` */
  uint64_t epoch; /* 0: it knows no such token */
  char country[2];
};
/* Asks the registrar, wherever it is; a held region may ask. Of whom is erased out->home is 0. Returns:
 * DOM_UNAVAILABLE, DOM_TIMEOUT. */
enum dom_code subject_record_find(struct subjects *s, const uint8_t token[TOKEN_SIZE],
                                  struct subject_record *out, struct dom_err *err);
/* The registrar's own records after `after` (empty: from the first), tombstones too, by token; none in other
 * regions. fn returns false to stop. DOM_CORRUPT. */
typedef bool (*subject_record_fn)(void *arg, const struct subject_record *record);
enum dom_code subject_record_scan(struct store_view *v, struct slice after, subject_record_fn fn, void *arg,
                                  struct dom_err *err);
/* Whether this region is the registrar of the charter in force. */
bool subject_is_registrar(struct subjects *s);
/* In a registrar that is behind: what a home says of itself, taken where it is newer; of one epoch a
 * tombstone is. Durable: at DOM_OK. */
enum dom_code subject_record_take(struct subjects *s, const struct subject_record *record,
                                  struct dom_err *err);
/* The home on record tells the registrar that it goes on under a higher epoch. Idempotent.
 * Durable: there, at DOM_OK. Returns: DOM_DENIED another home is on record; DOM_UNAVAILABLE, DOM_TIMEOUT. */
enum dom_code subject_record_raise(struct subjects *s, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                                   struct dom_err *err);

/* ---- ledger entries ----------------------------------------------------------------------------------- */

/* Adds one entry of this region to the tx: fills in region, time and charter version. peer_log_id NULL: none.
 */
enum dom_code subject_tx_entry(struct subjects *s, struct store_tx *tx, struct ledger_payload *payload,
                               uint64_t epoch, const uint8_t *peer_log_id, uint64_t peer_index,
                               struct dom_err *err);

/* ---- messages -------------------------------------------------------------------------------- */

/* Handles "subject/…", "bucket/…", "registry/…" and "registrar/…" messages from an authenticated region;
 * net_handler's contract. Returns: DOM_NOT_FOUND for another path; DOM_INVALID, DOM_CORRUPT does not decode;
 * DOM_DENIED the sender, or this region, is not who may say or answer that; what the asked function returns.
 */
enum dom_code subject_message(struct subjects *s, uint16_t from, const char *path, struct slice body,
                              struct buf *reply, struct dom_err *err);
/* To be called now and then: rolls back deletions of buckets that a crash of the registrar left half done.
 * Scans the registrar's buckets; does nothing elsewhere. Codes as the store's. */
enum dom_code subject_upkeep(struct subjects *s, struct dom_err *err);

#endif
