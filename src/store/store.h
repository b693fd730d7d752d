/* Store: one region's data, subject by subject. The only facade of the store room.
 *
 * Glossary
 *   place      where a key lives: bucket id, subject token, the epoch it is stored under, and
 *              the key prefix by which the bucket's layout names that subject
 *   order      (epoch, LSN) of the commit that first wrote a version; newest is greatest; kept
 *              by compaction and by moves. Never the clock.
 *   view       a consistent read point (an index snapshot) with the LSN it is good for
 *   tx         mutations that become durable together, or not at all
 *   guard      a row the tx relied on; if it changed since the view, commit says DOM_RETRY
 *   row        a named state of this region (subject, bucket, registrar, handoff, job …)
 *   journal    what changed of a subject since copying began
 *   outbox     ledger entries that the ledger has not yet taken up
 *
 * Invariant: the segment log is the truth; index and ledger are views of it. What commit
 * acknowledged survives kill -9 and power loss; what it refused is absent.
 *
 * Permits: every function that moves or shows a subject's bytes takes a permit and checks
 * permit_covers() for this region and the subject itself: DOM_REFUSED otherwise. Rows are the
 * region's own state and need none.
 *
 * Threads: every function may be called from any thread unless said otherwise; a view, tx,
 * walk, reader or body belongs to one thread at a time. */
#ifndef DOMICILE_STORE_STORE_H
#define DOMICILE_STORE_STORE_H

#include "base/bytes.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/disk.h"
#include "base/permit.h"
#include "vault/vault.h"

enum {
  STORE_BUCKET_ID_SIZE = 16,
  STORE_UPLOAD_ID_SIZE = 16,
  STORE_BODY_ID_SIZE = 32,
  STORE_KEY_MAX = 1024, /* S3's longest key */
  STORE_ROW_KEY_MAX = 512,
  STORE_ROW_VALUE_MAX = 1 << 20,
  STORE_INLINE_MAX = 1 << 20, /* bodies up to this lie inside their log record */
  STORE_PART_MAX = 10000,     /* S3's highest part number */
  STORE_CLASSES_MAX = 4096,   /* of an object or upload: its inherited classes */
  STORE_META_MAX = 1 << 20,   /* of an object: 64 KiB of a head, and what is kept of 10,000 parts */
  STORE_PART_META_MAX = 64    /* of a part: a checksum and a salt */
};

struct store;
struct store_view;
struct store_tx;

/* ---- open and close ---------------------------------------------------------------- */

struct store_options {
  struct disk *disk;      /* the region's data folder; borrowed for the store's life */
  struct clock *clock;    /* borrowed */
  struct vault_kek *kek;  /* where the KEK comes from (vault.h); borrowed */
  uint8_t deployment[16]; /* must equal the superblock's */
  uint16_t region;        /* region number; must equal the superblock's */
  bool create;            /* make the superblock when the folder is empty */
  bool repairing;         /* opened by store_repair alone, which has a repair to finish */
  bool inline_threads;    /* simulation: no thread of our own; commits, collection, compaction
                             and index background work run inside the calls */
  uint64_t segment_bytes; /* 0: STORE default (64 MiB); tests use small ones */
  uint64_t reserve_bytes; /* 0: default; below this much free space puts are DOM_NO_SPACE */
};

/* Locks the folder, checks the superblock, opens vault and index, recovers the log and brings
 * the index up to it. Returns: DOM_BUSY another process has it; DOM_INCOMPATIBLE another
 * deployment, region, format or unknown incompatible feature flag, with what to do;
 * DOM_NOT_FOUND no superblock and !create; DOM_CORRUPT damage inside the log (a bad batch with
 * a good successor): run fsck; DOM_IO. */
enum dom_code store_open(const struct store_options *options, struct store **out, struct dom_err *err);
/* Waits for commits in flight, stops threads, closes; no view or found object may be left. Nothing
 * is made durable by it but the index, so that the next start has less to replay. NULL is allowed. */
void store_close(struct store *s);
struct vault *store_vault(struct store *s);
uint16_t store_region(const struct store *s);
/* False once a write or sync failed: no more writes until restart; reads go on. */
bool store_writable(const struct store *s);

/* A random number that this region's index was born with: another one means that the index was
 * rebuilt from the log meanwhile, so journal rows of a copy in progress may be missing (04: abort). */
uint64_t store_index_birth(const struct store *s);

struct store_stats {
  uint64_t applied_lsn, batches, commits, retries, log_bytes, log_live_bytes, segments, free_bytes;
  bool writable;
};
void store_stats(struct store *s, struct store_stats *out);

/* ---- subjects ---------------------------------------------------------------------- */

enum store_subject_state {
  SUBJECT_HOME = 1,    /* lives here, accepts reads and writes */
  SUBJECT_COPYING = 2, /* lives here; a handoff copies it; commits are journaled */
  SUBJECT_FENCED = 3,  /* lives here; reads only, writes are held */
  SUBJECT_MOVED = 4,   /* tombstone: left, at `epoch`, to `home` */
  SUBJECT_ERASED = 5   /* tombstone: erased for good while it lived here under `epoch` */
};

struct store_subject {
  uint8_t token[TOKEN_SIZE];
  enum store_subject_state state;
  uint64_t epoch;          /* live epoch; for MOVED the epoch at the new home */
  uint64_t epoch_allotted; /* highest ever allotted for this token here; never falls */
  uint16_t home;           /* region number: this one unless MOVED */
  uint64_t since_ms;       /* wall time since when this state's home holds */
  char country[2];         /* ISO 3166-1 alpha-2; "\0\0" for none */
  uint64_t handoff_epoch;  /* target epoch while COPYING or FENCED, else 0 */
  uint16_t handoff_to;     /* target region while COPYING or FENCED, else 0 */
};

/* Whether the row says that its subject lives in this region. */
static inline bool store_subject_lives(const struct store_subject *s) {
  return s->state != SUBJECT_MOVED && s->state != SUBJECT_ERASED;
}
/* DOM_NOT_FOUND when the token has no row here. */
enum dom_code store_subject_get(struct store_view *v, const uint8_t token[TOKEN_SIZE],
                                struct store_subject *out, struct dom_err *err);
/* Every subject row in token order, after `after` (NULL: from the first); fn returns false to stop. */
typedef bool (*store_subject_fn)(void *arg, const struct store_subject *subject);
enum dom_code store_subject_scan(struct store_view *v, const uint8_t *after, store_subject_fn fn, void *arg,
                                 struct dom_err *err);

/* ---- views -------------------------------------------------------------------------- */

/* A consistent read point. While it is open, index files and removed bodies of its time are kept: not to be
 * held over a wait for a client or for another region. Release with store_view_close.
 * Returns: DOM_NO_MEMORY, DOM_IO. */
enum dom_code store_view_open(struct store *s, struct store_view **out, struct dom_err *err);
/* Walks over it are closed before; found objects live on. NULL is allowed. */
void store_view_close(struct store_view *v);
#define STORE_VIEW_AUTO __attribute__((cleanup(store_view_cleanup))) struct store_view
static inline void store_view_cleanup(struct store_view **v) {
  store_view_close(*v);
}
/* Every commit up to this LSN is in the view (later ones may be too; guards stay correct). */
uint64_t store_view_lsn(const struct store_view *v);

/* ---- rows: named state of the region -------------------------------------------------- */

enum store_table {                            /* numbers are on disk; never reuse one */
                   STORE_TABLE_BUCKET = 1,    /* bucket name → subject/buckets.c */
                   STORE_TABLE_BUCKET_ID = 2, /* bucket id → name */
                   STORE_TABLE_REGISTRAR = 3, /* token → home, epoch, country (registrar region only) */
                   STORE_TABLE_HANDOFF = 4,   /* token ‖ epoch → handoff state */
                   STORE_TABLE_JOB = 5,       /* job id → move job */
                   STORE_TABLE_CHARTER = 6,   /* version → charter text and signature */
                   STORE_TABLE_META = 7,      /* small named facts of the region */
                   STORE_TABLE_REGISTRY = 8,  /* registrar's own table of buckets */
                   STORE_TABLE_CONFIG = 9,    /* bucket id → its configuration */
                   STORE_TABLE_REGISTRY_CONFIG = 10, /* the same, registrar's own */
                   STORE_TABLE_CONFIG_OWED = 11, /* bucket name → version not yet everywhere (registrar) */
                   STORE_TABLE_JOB_LIST = 12,    /* job id ‖ chunk → tokens that the job moves */
                   STORE_TABLE_JOB_FAILURE = 13, /* job id ‖ token → why it was not moved */
                   STORE_TABLE_FORGET = 14,      /* token ‖ epoch → erasure of a person */
                   STORE_TABLE_LAST = STORE_TABLE_FORGET
};
/* Appends the value to *out. DOM_NOT_FOUND. */
enum dom_code store_row_get(struct store_view *v, enum store_table table, struct slice key, struct buf *out,
                            struct dom_err *err);
/* Rows whose key starts with prefix and is greater than `after` (empty: from the first), in
 * bytewise order; fn returns false to stop. Slices are borrowed for the call. */
typedef bool (*store_row_fn)(void *arg, struct slice key, struct slice value);
enum dom_code store_row_scan(struct store_view *v, enum store_table table, struct slice prefix,
                             struct slice after, store_row_fn fn, void *arg, struct dom_err *err);

/* ---- objects ---------------------------------------------------------------------------- */

struct store_order {
  uint64_t epoch, lsn;
};

/* Which version of a key. A version is either the key's null version, of which there is one at most, or one
 * with an id of its own; its order names that one for ever, here and wherever its subject moves. */
struct store_version {
  bool is_null;
  struct store_order order; /* when not is_null; lsn > 0 */
};

struct store_place {
  uint8_t bucket[STORE_BUCKET_ID_SIZE];
  uint8_t token[TOKEN_SIZE];
  uint64_t epoch;
  struct slice prefix; /* e.g. "photos/8421/"; empty for a bucket's own pseudo-subject */
};

/* A sealed body in a file of its own, as named in an object's sealed metadata. */
struct store_body_ref {
  uint8_t id[STORE_BODY_ID_SIZE];
  uint64_t size;               /* plaintext bytes */
  uint8_t sha256[SHA256_SIZE]; /* zeros: not noted, see store_sha256_known */
};

/* Whether the SHA-256 of a body was noted when it was written. Who did not need it left zeros; a move
 * computes it while it reads the body, and notes it at the new home. */
static inline bool store_sha256_known(const uint8_t sha256[SHA256_SIZE]) {
  uint8_t any = 0;
  for (int i = 0; i < SHA256_SIZE; i++) any |= sha256[i];
  return any != 0;
}

/* What is known of one version. Slices in a struct got from the store live until the struct's
 * owner is closed or freed; slices given in are borrowed for the call. */
struct store_object {
  struct slice key;
  struct store_order order; /* given in only for staged objects; else set by commit */
  bool is_version;          /* it has an id of its own: beside what is there. Else it is the null version */
  bool is_marker;           /* a delete marker: neither body nor metadata */
  bool is_latest;           /* only in listings: it is the current one */
  uint64_t size;            /* plaintext bytes of the whole body */
  uint64_t mtime_ms;
  uint8_t etag_md5[MD5_SIZE];
  uint32_t etag_parts; /* 0: plain MD5; else the N of "-N" */
  uint8_t
      sha256[SHA256_SIZE];  /* of the body; for several bodies SHA-256 over their hashes; zeros: not noted */
  struct slice meta;        /* opaque, ≤ STORE_META_MAX: s3's encoded headers, user metadata, parts */
  struct slice classes;     /* inherited class names, comma-separated; empty for none */
  struct slice inline_body; /* when body_count is 0; only on the way in */
  const struct store_body_ref *bodies;
  uint32_t body_count;
};

struct store_found; /* owns a store_object read from a view, and pins what it needs to read the body */

/* The current version of the key at the place: that of the greatest order. DOM_NOT_FOUND also when it is a
 * delete marker. Checks `permit` for READ, COPY or MOVE (`action`); but
 * for MOVE the subject must live here under place->epoch: DOM_ELSEWHERE, DOM_STALE_EPOCH,
 * DOM_NOT_FOUND otherwise. DOM_NOT_FOUND; DOM_CORRUPT; DOM_REFUSED. */
enum dom_code store_object_get(struct store_view *v, enum permit_action action, const struct permit *permit,
                               const struct store_place *place, struct slice key, struct store_found **out,
                               struct dom_err *err);
/* The same of one version (`which` NULL: the current one), delete markers included: they have no body. */
enum dom_code store_version_get(struct store_view *v, enum permit_action action, const struct permit *permit,
                                const struct store_place *place, struct slice key,
                                const struct store_version *which, struct store_found **out,
                                struct dom_err *err);
const struct store_object *store_found_object(const struct store_found *f);
/* Reads plaintext of the body from `offset`: up to len bytes, *out_len < len only at its end.
 * Stays valid after the view is closed. DOM_CORRUPT; DOM_NOT_FOUND when the subject's key was
 * dropped meanwhile; DOM_IO. */
enum dom_code store_found_read(struct store_found *f, uint64_t offset, void *out, size_t len, size_t *out_len,
                               struct dom_err *err);
/* Its bodies are about to be read from the beginning to the end, once: what is in memory for others is not
 * pushed out by them. Before the first read. */
void store_found_read_once(struct store_found *f);
void store_found_free(struct store_found *f); /* NULL is allowed */

/* Listing in S3's order (bytewise). */
enum store_admit { STORE_SHOW, STORE_SKIP, STORE_STOP };
struct store_listing {
  uint8_t bucket[STORE_BUCKET_ID_SIZE];
  struct slice prefix;
  struct slice delimiter; /* empty: none; may be longer than a byte */
  struct slice after;     /* exclusive: only keys (or common prefixes) greater than it */
  uint32_t max;           /* keys, or versions, and common prefixes together */
  /* All versions and delete markers, newest first within a key; else keys whose current version is none.
   * With after_version also the versions of the key `after` that are older than that one are shown; the null
   * one that is gone by now stands before all of them. */
  bool versions;
  const struct store_version *after_version;
  /* Asked once for each key that would be shown, and for the first key under a common prefix,
   * with the subject row whose live epoch the key lies under. STORE_STOP ends the listing with
   * DOM_REFUSED. */
  enum store_admit (*admit)(void *arg, const struct store_subject *subject, struct slice key);
  /* Called in order. Exactly one of object / common_prefix is given. object: key, order, is_…, size,
   * mtime, etag are set; meta, classes, bodies are not. */
  void (*show)(void *arg, const struct store_object *object, struct slice common_prefix);
  void *arg;
};
/* *out_more: something greater was left out. Rows of staged or dead epochs are never shown. Asks for no
 * permit: that is what `admit` is for, called before each name goes out.
 * Returns: DOM_REFUSED after STORE_STOP; DOM_CORRUPT, DOM_IO, DOM_NO_MEMORY. */
enum dom_code store_list(struct store_view *v, const struct store_listing *listing, bool *out_more,
                         struct dom_err *err);
/* True in *out when any row at all (live, staged, upload) lies in the bucket under an epoch
 * that is not being erased. */
enum dom_code store_bucket_used(struct store_view *v, const uint8_t bucket[STORE_BUCKET_ID_SIZE], bool *out,
                                struct dom_err *err);

/* ---- multipart uploads --------------------------------------------------------------------- */

struct store_upload {
  uint8_t id[STORE_UPLOAD_ID_SIZE];
  struct slice key;
  uint64_t mtime_ms; /* initiated */
  struct slice meta; /* as store_object.meta, for the object to come */
  struct slice classes;
};
struct store_part {
  uint32_t number; /* 1..STORE_PART_MAX */
  uint64_t mtime_ms;
  uint8_t md5[MD5_SIZE];
  struct store_body_ref body;
  uint8_t meta[STORE_PART_META_MAX]; /* opaque: what s3 keeps of a part, for the object to come */
  uint8_t meta_len;
};
/* DOM_NOT_FOUND; subject checks as store_object_get. Slices live until the view is closed. */
enum dom_code store_upload_get(struct store_view *v, const struct store_place *place, struct slice key,
                               const uint8_t id[STORE_UPLOAD_ID_SIZE], struct store_upload *out,
                               struct dom_err *err);
/* Parts with number > after, ascending; fn returns false to stop. */
typedef bool (*store_part_fn)(void *arg, const struct store_part *part);
enum dom_code store_part_scan(struct store_view *v, const struct store_place *place, struct slice key,
                              const uint8_t id[STORE_UPLOAD_ID_SIZE], uint32_t after, store_part_fn fn,
                              void *arg, struct dom_err *err);
/* Uploads of live epochs in a bucket, by key then by (initiated order, id), strictly after
 * (after_key, after_id) (after_id NULL: after all uploads of after_key; after_key empty: from the
 * first); fn gets the subject whose live epoch it lies under, for admission, and returns false to
 * stop. Of the upload only id, key and mtime are set. */
typedef bool (*store_upload_fn)(void *arg, const struct store_subject *subject,
                                const struct store_upload *upload);
enum dom_code store_upload_scan(struct store_view *v, const uint8_t bucket[STORE_BUCKET_ID_SIZE],
                                struct slice prefix, struct slice after_key, const uint8_t *after_id,
                                store_upload_fn fn, void *arg, struct dom_err *err);

/* ---- bodies larger than STORE_INLINE_MAX, and all parts --------------------------------------- */

struct store_body;
/* Begins a body under the subject's (token, epoch) key; its intent is durable first, so that a
 * crash leaves nothing behind for ever. Checks permit for `action` (STORE, COPY or MOVE). *out ends by
 * store_body_seal_take or store_body_abort_take. Durable: the intent.
 * Returns: DOM_REFUSED; DOM_NOT_FOUND no key for (token, epoch); DOM_NO_SPACE below the reserve;
 * DOM_READ_ONLY, DOM_IO, DOM_NO_MEMORY. */
enum dom_code store_body_create(struct store *s, enum permit_action action, const struct permit *permit,
                                const uint8_t token[TOKEN_SIZE], uint64_t epoch, struct store_body **out,
                                struct dom_err *err);
/* Before the first byte: the caller hashes them, and fills sha256 of the reference itself. */
void store_body_leave_hash(struct store_body *b);
/* Takes any number of bytes; hashes and seals as it goes. After a failure the body can only be aborted.
 * Returns: DOM_NO_SPACE, DOM_IO, DOM_NO_MEMORY. */
enum dom_code store_body_append(struct store_body *b, struct slice plain, struct dom_err *err);
/* Durable: at return file and name are synced, but nothing refers to it until a commit does.
 * Fills *out and frees b. On failure the body is aborted and b is freed too. */
enum dom_code store_body_seal_take(struct store_body *b, struct store_body_ref *out, struct dom_err *err);
/* Forgets it; the file goes. Frees b; NULL is allowed. */
void store_body_abort_take(struct store_body *b);
/* A sealed body that no commit will name after all. After a failed write it is left to the next start, which
 * knows whether the commit that named it stands. */
void store_body_discard(struct store *s, const struct store_body_ref *ref);

/* ---- transactions ---------------------------------------------------------------------------- */

/* The tx reads through `v` (borrowed until commit or abort) and is guarded by its LSN. Nothing is sent to the
 * writer before the commit. Returns: DOM_NO_MEMORY. */
enum dom_code store_tx_begin(struct store *s, struct store_view *v, struct store_tx **out,
                             struct dom_err *err);
void store_tx_abort_take(struct store_tx *tx); /* NULL is allowed */
#define STORE_TX_AUTO __attribute__((cleanup(store_tx_cleanup))) struct store_tx
static inline void store_tx_cleanup(struct store_tx **tx) {
  store_tx_abort_take(*tx);
}

/* Extra guards; put, delete, upload and row functions add those of their own key, subject and
 * bucket themselves. */
void store_tx_guard_row(struct store_tx *tx, enum store_table table, struct slice key);
void store_tx_guard_subject(struct store_tx *tx, const uint8_t token[TOKEN_SIZE]);

/* A tx changes a thing once: the same key, row or subject a second time is DOM_INVALID (a second
 * delete of a key is DOM_OK). After a change was refused with an error the tx can only be aborted;
 * commit then says DOM_INVALID. */

/* Writes a version of o->key: a new one when o->is_version, else the null version, replacing the one there;
 * either is the current one then. Its order is (place->epoch, LSN of the commit). Needs PERMIT_STORE (or COPY
 * for a server-side copy's target: pass the STORE permit of the target). The subject row in the view must be
 * HOME or COPYING with epoch == place->epoch: DOM_FENCED, DOM_STALE_EPOCH, DOM_ELSEWHERE (MOVED) otherwise;
 * DOM_NOT_FOUND without a row. Seals and encodes at once. */
enum dom_code store_tx_put(struct store_tx *tx, const struct permit *permit, const struct store_place *place,
                           const struct store_object *o, struct dom_err *err);
/* Writes a version anew with other metadata, and nothing else of it changed: its order, time, tag, classes
 * and body stay, and so does what is current. `f` is that version as the tx's view shows it; no delete
 * marker. An inline body is sealed and logged once more, bodies in files are not touched. Needs PERMIT_STORE.
 * Codes as for put; DOM_CORRUPT when the body does not verify. */
enum dom_code store_tx_amend(struct store_tx *tx, const struct permit *permit,
                             const struct store_place *place, struct store_found *f, struct slice meta,
                             struct dom_err *err);
/* Removes the null version, for good; deleting what is not there is DOM_OK and writes nothing. Needs
 * PERMIT_DELETE. Subject checks as for put. */
enum dom_code store_tx_delete(struct store_tx *tx, const struct permit *permit,
                              const struct store_place *place, struct slice key, struct dom_err *err);
/* The same for any version, or delete marker: *out_marker tells which of the two it was (false when it is not
 * there). The greatest order left is the current version then. */
enum dom_code store_tx_delete_version(struct store_tx *tx, const struct permit *permit,
                                      const struct store_place *place, struct slice key,
                                      const struct store_version *which, bool *out_marker,
                                      struct dom_err *err);
/* Puts a delete marker on the key, there or not: a new version when is_version, else in the place of the null
 * version. Needs PERMIT_DELETE. Codes as for put. */
enum dom_code store_tx_mark(struct store_tx *tx, const struct permit *permit, const struct store_place *place,
                            struct slice key, bool is_version, uint64_t mtime_ms, struct dom_err *err);
/* Begins an upload: u's id, key, mtime_ms, meta and classes are kept for the object to come. Needs
 * PERMIT_STORE. Codes as for put. */
enum dom_code store_tx_upload_create(struct store_tx *tx, const struct permit *permit,
                                     const struct store_place *place, const struct store_upload *u,
                                     struct dom_err *err);
/* Names a sealed body as a part; one of the same number is replaced. Needs PERMIT_STORE.
 * Returns: DOM_NOT_FOUND when the upload is not there; DOM_INVALID its number; else as for put. */
enum dom_code store_tx_part(struct store_tx *tx, const struct permit *permit, const struct store_place *place,
                            struct slice key, const uint8_t id[STORE_UPLOAD_ID_SIZE],
                            const struct store_part *part, struct dom_err *err);
/* Publishes the object from the named parts (o->bodies must be theirs, in order: DOM_INVALID) and
 * ends the upload; parts not named are removed. DOM_NOT_FOUND when the upload is gone. */
enum dom_code store_tx_complete(struct store_tx *tx, const struct permit *permit,
                                const struct store_place *place, const uint8_t id[STORE_UPLOAD_ID_SIZE],
                                const struct store_object *o, struct dom_err *err);
/* The upload goes with all its parts. Needs PERMIT_DELETE. DOM_NOT_FOUND when it is not there. */
enum dom_code store_tx_upload_abort(struct store_tx *tx, const struct permit *permit,
                                    const struct store_place *place, struct slice key,
                                    const uint8_t id[STORE_UPLOAD_ID_SIZE], struct dom_err *err);

/* State of the region. The row and its guard (it must not have changed since the view). Deleting a row that
 * is not there is DOM_OK. Returns: DOM_TOO_LARGE key or value; DOM_INVALID the same row twice. */
enum dom_code store_tx_row_put(struct store_tx *tx, enum store_table table, struct slice key,
                               struct slice value, struct dom_err *err);
enum dom_code store_tx_row_delete(struct store_tx *tx, enum store_table table, struct slice key,
                                  struct dom_err *err);
/* Asserts the legal changes: epoch_allotted never falls, epoch never falls. The key of
 * (token, epoch) must be in the vault already for HOME. */
enum dom_code store_tx_subject_put(struct store_tx *tx, const struct store_subject *subject,
                                   struct dom_err *err);
/* One ledger entry of this change: the final leaf bytes, its opening and payload (ledger.h). The
 * commit's LSN is the entry's cursor. `token` NULL when it is about no subject. At most
 * STORE_TX_ENTRIES_MAX a tx. */
enum { STORE_TX_ENTRIES_MAX = 4 };
enum dom_code store_tx_entry(struct store_tx *tx, const uint8_t *token, struct slice entry,
                             const uint8_t opening[16], struct slice payload, struct dom_err *err);
/* The commit's LSN, and all behind it, are not below `lsn` (below STORE_LSN_MAX): so a region that came back
 * from a backup gives out none that its lost disk had given out, and no order of a version twice. */
#define STORE_LSN_MAX (UINT64_C(1) << 63) /* a log of a billion commits a second would last 292 years */
void store_tx_lsn_min(struct store_tx *tx, uint64_t lsn);
/* Commits and frees tx. Durable: at DOM_OK the change is on disk and in the index.
 * Returns: DOM_RETRY a guard changed (open a new view, begin again); DOM_NO_SPACE below the reserve
 * (deletes, rows and staged removals still work); DOM_READ_ONLY after a disk failure; DOM_IO the
 * outcome is "absent or whole", unknown until restart. An empty tx is DOM_OK. */
enum dom_code store_tx_commit_take(struct store_tx *tx, uint64_t *out_lsn, struct dom_err *err);

/* ---- what a move needs ------------------------------------------------------------------------ */

enum store_item_kind { STORE_ITEM_OBJECT = 1, STORE_ITEM_UPLOAD = 2, STORE_ITEM_PART = 3 };
/* One thing of a subject; object XOR upload (+ part) are filled by kind. An object is one version: which one
 * say object.is_version and order, of an absent one too. */
struct store_item {
  enum store_item_kind kind;
  bool absent; /* from the journal: it is not there (any more) */
  uint8_t bucket[STORE_BUCKET_ID_SIZE];
  struct slice prefix; /* the place's prefix */
  struct slice key;
  struct store_object object;
  struct store_order order;   /* of object, upload or part alike */
  struct store_upload upload; /* UPLOAD; for PART only its id */
  struct store_part part;
  /* Names what is there: another one once anything of it is written anew, else the same for ever, compaction
   * or not. Given out; of an absent one it means nothing. */
  uint8_t stamp[SHA256_SIZE];
  /* Of an object that is given out: its record as it was read, to read the body from under the same permit;
   * gone with the item. Else NULL. */
  struct store_found *found;
};
static inline struct store_version store_item_version(const struct store_item *item) {
  return (struct store_version){.is_null = !item->object.is_version, .order = item->order};
}
/* Walks everything a subject has under one epoch, in (bucket id, prefix, key, kind, version from the newest
 * on, upload id, part) order. `cursor` (empty: from the first) is a position returned by store_walk_cursor.
 * Needs PERMIT_MOVE (permit for the region that the bytes lie in), PERMIT_REPAIR, or PERMIT_READ to hand it
 * out: then the subject must live here under that epoch (DOM_ELSEWHERE, DOM_STALE_EPOCH, DOM_NOT_FOUND). */
struct store_walk;
enum dom_code store_walk_open(struct store_view *v, enum permit_action action, const struct permit *permit,
                              const uint8_t token[TOKEN_SIZE], uint64_t epoch, struct slice cursor,
                              struct store_walk **out, struct dom_err *err);
/* DOM_NOT_FOUND at the end. *out lives until the next call or close. DOM_CORRUPT, DOM_IO. */
enum dom_code store_walk_next(struct store_walk *w, const struct store_item **out, struct dom_err *err);
/* The two halves of it: on to the next item, of which only the stamp is told and no record is read; and that
 * item as a whole. Codes as for store_walk_next; the second is called once at most for each of the first. */
enum dom_code store_walk_step(struct store_walk *w, uint8_t out_stamp[SHA256_SIZE], struct dom_err *err);
enum dom_code store_walk_item(struct store_walk *w, const struct store_item **out, struct dom_err *err);
/* Appends the position of the last item given, good for a walk in a later view. It names the key: personal.
 */
void store_walk_cursor(const struct store_walk *w, struct buf *out);
void store_walk_close(struct store_walk *w); /* NULL is allowed */
/* Counts of one epoch's versions, delete markers left out, without decrypting anything. */
enum dom_code store_subject_usage(struct store_view *v, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                                  uint64_t *out_objects, uint64_t *out_bytes, struct dom_err *err);

/* The stamp of what stands where `item` (an object or a part) does, under this epoch. No permit: it shows
 * nothing. DOM_NOT_FOUND; DOM_CORRUPT, DOM_IO. */
enum dom_code store_item_stamp(struct store_view *v, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                               const struct store_item *item, uint8_t out[SHA256_SIZE], struct dom_err *err);
/* The body of an item of a walk (object or part) as plaintext. */
enum dom_code store_item_open(struct store_view *v, enum permit_action action, const struct permit *permit,
                              const uint8_t token[TOKEN_SIZE], uint64_t epoch, const struct store_item *item,
                              struct store_found **out, struct dom_err *err);

/* Journal rows of a COPYING or FENCED subject with LSN > after, ascending, up to max and then to the
 * end of that commit: rows of one LSN come in one scan. `present` tells the state *in this view* (absent
 * or filled), whatever the row was written for. */
typedef bool (*store_journal_fn)(void *arg, uint64_t lsn, const struct store_item *present);
enum dom_code store_journal_scan(struct store_view *v, const struct permit *permit,
                                 const uint8_t token[TOKEN_SIZE], uint64_t after, uint32_t max,
                                 store_journal_fn fn, void *arg, struct dom_err *err);

/* A sealed body that no row names yet, as plaintext. Needs `action` (COPY or MOVE) for this region. */
enum dom_code store_body_open(struct store_view *v, enum permit_action action, const struct permit *permit,
                              const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                              const struct store_body_ref *body, struct store_found **out,
                              struct dom_err *err);

/* Staging at the target: as put / upload / part, but under an epoch that is not live, with the
 * given order kept, replacing whatever this epoch has there unless that is newer in order
 * (never happens in a right handoff). An absent item removes. Needs PERMIT_MOVE for this region. A body
 * must have been stored first (inline_body or store_body_*). The key (token, epoch) is in the vault.
 * DOM_STALE_EPOCH when the subject lives here under this epoch or a later one; DOM_NOT_FOUND for a
 * part whose upload is neither staged nor earlier in this tx. */
enum dom_code store_tx_stage(struct store_tx *tx, const struct permit *permit,
                             const uint8_t token[TOKEN_SIZE], uint64_t epoch, const struct store_item *item,
                             struct dom_err *err);

/* Erasure bookkeeping, to be called after vault_key_drop of (token, epoch): logs the shred, then
 * removes every index row of that epoch and its body files, in bounded batches. Needs
 * PERMIT_REPAIR. Idempotent: call again after a crash. Durable: the shred record; the rest is
 * repeated by calling again. Returns: DOM_INVALID when the key is still in the vault. */
enum dom_code store_epoch_erase(struct store *s, const struct permit *permit, const uint8_t token[TOKEN_SIZE],
                                uint64_t epoch, struct dom_err *err);
/* True in *out when any index row of (token, epoch) is left. */
enum dom_code store_epoch_present(struct store_view *v, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                                  bool *out, struct dom_err *err);
/* Journal rows of the subject are removed when its state leaves COPYING/FENCED (apply does it). */

/* NAMES_PURGED: new index key, all index files rewritten, the old key shredded. Rows that are there come
 * along: of whom names must go, the epochs are erased before. Commits go on meanwhile. Durable: at return.
 * Returns: DOM_BUSY when views of before are open for half a minute (call again; until then the old key and
 * files stay); DOM_IO, DOM_NO_SPACE, DOM_NO_MEMORY; DOM_READ_ONLY when it failed where only a restart can
 * tell which index counts. */
enum dom_code store_names_purge(struct store *s, struct dom_err *err);

/* ---- outbox ------------------------------------------------------------------------------------- */

struct store_entry {
  uint64_t lsn;              /* cursor */
  uint32_t position;         /* 0.. within the commit */
  uint8_t token[TOKEN_SIZE]; /* zero when about no subject */
  struct slice entry;        /* leaf bytes */
  uint8_t opening[16];
  struct slice payload;
};
typedef bool (*store_entry_fn)(void *arg, const struct store_entry *e);
/* Entries with lsn > after, ascending (all of one commit share its lsn and come together). */
enum dom_code store_outbox_scan(struct store *s, uint64_t after, store_entry_fn fn, void *arg,
                                struct dom_err *err);
/* Entries about one subject, newest first, taken up by the ledger or not. fn returns false to stop. */
enum dom_code store_entries_of(struct store_view *v, const uint8_t token[TOKEN_SIZE], store_entry_fn fn,
                               void *arg, struct dom_err *err);
/* The ledger durably holds everything up to `lsn`: segments up to there may be reused. */
void store_ledger_reached(struct store *s, uint64_t lsn);
/* Blocks until there is an entry with LSN > after, or timeout; false on timeout or close. */
bool store_outbox_wait(struct store *s, uint64_t after, uint32_t timeout_ms);

/* ---- upkeep ---------------------------------------------------------------------------------------- */

/* One bounded step of each: collection of removed bodies and stale intents, compaction of the
 * emptiest segment. *out_did tells whether there was work. The store's own thread calls it; with
 * inline_threads the caller does. */
enum dom_code store_upkeep(struct store *s, bool *out_did, struct dom_err *err);

/* Between the two, many are being taken out of the store: compaction copies nothing while less of the log is
 * dead than is free, since what it would copy leaves too; emptied segments are given up as always. May nest.
 * Threads: any. */
void store_drain_begin(struct store *s);
void store_drain_end(struct store *s);

struct store_fsck_report {
  uint64_t segments, records, objects, uploads, parts, bodies, rows, entries;
  uint64_t bad_records, bad_bodies, missing_bodies, orphan_bodies, dangling_rows, dead_records;
  bool superblock_ok, vault_ok, index_ok;
};
/* One finding a call, for people: no names, only places (segment, offset, token, body id). */
typedef void (*store_finding_fn)(void *arg, const char *finding);
typedef void (*store_progress_fn)(void *arg, const char *stage, uint64_t done, uint64_t total);
/* Opens the folder itself (locked), reads and verifies everything; changes nothing unless
 * rebuild: then the index is deleted and rebuilt from the log. DOM_OK also with findings. */
enum dom_code store_fsck(const struct store_options *options, bool rebuild_index, store_finding_fn found,
                         store_progress_fn progress, void *arg, struct store_fsck_report *out,
                         struct dom_err *err);

/* ---- repairing the log ---------------------------------------------------------------------- */

/* Of a subject, or (token all zero) of the region's own rows: what a repair could not save. */
struct store_repair_lost {
  uint8_t token[TOKEN_SIZE];
  uint64_t objects; /* versions whose record is lost; bodies in files of theirs are kept aside */
  uint64_t uploads; /* in progress: they are ended */
  uint64_t entries; /* ledger entries whose text is lost */
};
typedef void (*store_repair_lost_fn)(void *arg, const struct store_repair_lost *lost);
struct store_repair {
  bool apply;                /* else only the plan is made, and nothing changed */
  store_finding_fn step;     /* each step of the plan, for people: places, no names; may be NULL */
  store_repair_lost_fn lost; /* for each row that loses something, by one; may be NULL */
  void *arg;
};
struct store_repair_report {
  uint64_t holes;                     /* stretches of the log that are damaged, or bridged and not finished */
  uint64_t changes;                   /* LSNs that stood there */
  uint64_t saved;                     /* rows that the index knows in full: written to the log again */
  uint64_t objects, uploads, entries; /* lost */
  bool index_lost;                    /* it is made again from the log */
};
/* META rows that a repair leaves for the ledger: key 'x' ‖ token, value as store_repair_lost, three u64 LE.
 */
enum { STORE_REPAIR_KEY = 'x', STORE_REPAIR_KEY_SIZE = 1 + TOKEN_SIZE, STORE_REPAIR_VALUE_SIZE = 16 };
/* Repairs the log of a region that is not running: good batches stay untouched; each damaged segment is first
 * copied to damaged/, then the damage alone is written over by a bridge; what the index knows in full is
 * written anew, what it does not is deleted, with a META row for each who loses; the region takes writes
 * again. A lost index of a whole log is made again. Until it is finished the region does not start; it may be
 * begun anew after a crash at any step. Durable: at DOM_OK with apply, all of it. Returns: DOM_CORRUPT this
 * damage cannot be repaired so: the text says why and what to do; nothing was changed. DOM_BUSY the region
 * runs; DOM_IO, DOM_NO_SPACE, DOM_NO_MEMORY, codes of store_open. */
enum dom_code store_repair(const struct store_options *options, const struct store_repair *r,
                           struct store_repair_report *out, struct dom_err *err);

/* ---- restoring the vault ---------------------------------------------------------------- */

/* A ledger entry in the log: true when it says that a key was dropped, and *out_key which. Called for each,
 * in no useful order; `leaf` and `payload` as they were given to store_tx_entry. */
typedef bool (*store_drop_told_fn)(void *arg, uint64_t lsn, struct slice leaf, struct slice payload,
                                   struct vault_key *out_key);
struct store_vault_options {
  struct store_options store;
  struct vault_restore_options from;
  bool accept_missing;      /* keys of records that the backup lacks: what they sealed is lost */
  store_drop_told_fn entry; /* may be NULL */
  /* After all entries were shown: whether the backup will do. Anything but DOM_OK ends it. */
  enum dom_code (*judge)(void *arg, const struct vault_backup_info *info, struct dom_err *err);
  store_progress_fn progress; /* may be NULL */
  void *arg;
};
struct store_vault_report {
  struct vault_backup_info backup;
  uint64_t records;
  uint64_t shredded; /* keys of the backup that log or ledger say were dropped: they are not in the vault */
  uint64_t missing;  /* (token, epoch) of log records that have neither key nor shred */
  struct vault_key missing_first;
  bool index_rebuilt; /* the index key of now is not in the backup: the next start rebuilds the index */
};
/* Makes the vault of a region that has none from a backup. It is made beside the place and gets its name
 * last, after every key was shredded that log or ledger say was dropped: no start can see it before. An
 * interrupted run is repeated. Returns: DOM_EXISTS a vault is there: move DATA/vault away; DOM_NOT_FOUND no
 * region there; DOM_BUSY it runs; DOM_REFUSED keys are missing and were not accepted (named); DOM_CORRUPT the
 * log is damaged, so what was dropped cannot be told; as vault_restore and judge; DOM_IO, DOM_NO_SPACE,
 * DOM_NO_MEMORY. */
enum dom_code store_vault_restore(const struct store_vault_options *options, struct store_vault_report *out,
                                  struct dom_err *err);

/* ---- traces: what is left of a subject ------------------------------------------------- */

enum store_trace {
  /* Found is found: something of the subject can still be read, or its names may be. */
  TRACE_KEY,    /* a data key of some epoch in the vault */
  TRACE_SLOT,   /* a vault slot that is bad in both files: what it held cannot be told */
  TRACE_OBJECT, /* rows of the index, by what they are … */
  TRACE_UPLOAD, /* uploads and parts */
  TRACE_DELETE,
  TRACE_PRESENCE, /* that it has, or had, objects at a place */
  TRACE_JOURNAL,
  TRACE_BODY_ROW,
  TRACE_HOME,    /* it lives here */
  TRACE_HANDOFF, /* a move or erasure that is not finished: up to NAMES_PURGED */
  TRACE_STATE,   /* another state of the region that names it */
  TRACE_RECORD,  /* a log record under a key that is there */
  TRACE_BODY,    /* a file of a body */
  TRACE_BYTES,   /* the token in a file, in binary or hex, but for TRACE_LOG_BYTES */
  TRACE_NEEDLE,  /* a needle in a file */
  /* From here on: meant to stay. */
  TRACE_TOMBSTONE,    /* that it left, and whither, or was erased */
  TRACE_MOVED,        /* a move or erasure that is finished */
  TRACE_REGISTRATION, /* at the registrar */
  TRACE_JOB,          /* a job that moved it */
  TRACE_FACT,         /* the signed statement of where it lives, and which scoped tokens are over */
  TRACE_ENTRY,        /* ledger entries and their payloads */
  TRACE_SHRED,        /* that a key was dropped */
  TRACE_SEALED,       /* log records under a key that is gone, until their segment is used again */
  TRACE_STATE_RECORD, /* log records behind the states above, older ones until compaction */
  TRACE_LOG_BYTES,    /* the token in heads of log records, when no key of it is left */
  TRACE_COUNT
};
/* What people call it; true when it is meant to stay. */
const char *store_trace_name(enum store_trace kind);
bool store_trace_stays(enum store_trace kind);

struct store_trace_line {
  uint64_t count;
  char first[128]; /* where the first one is; no names */
};
struct store_traces_report {
  struct store_trace_line line[TRACE_COUNT];
  uint64_t records, rows, files, bytes; /* looked at */
};
struct store_traces_options {
  struct store_options store;
  const uint8_t *token;        /* TOKEN_SIZE bytes; NULL: needles only */
  const struct slice *needles; /* of 8 to 4096 bytes each */
  size_t needle_count;
  /* Of a row of STORE_TABLE_HANDOFF or STORE_TABLE_FORGET. */
  bool (*move_finished)(enum store_table table, struct slice key, struct slice value);
  store_progress_fn progress; /* may be NULL */
  void *arg;
};
/* Looks for everything that a region which is not running has of a subject: keys, rows, log records, body
 * files; then, in all bytes of all files, for the token and the needles. Opening does what a start does; else
 * nothing changes. Streams: memory does not grow with the folder.
 * Returns: as store_open; DOM_IO, DOM_CORRUPT a record that cannot be told (run fsck), DOM_NO_MEMORY. */
enum dom_code store_traces(const struct store_traces_options *options, struct store_traces_report *out,
                           struct dom_err *err);

#endif
