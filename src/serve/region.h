/* Region: everything one running region is made of, in the order that data flows, and one client
 * request (a call) on its way through it. Only the serve room includes this. */
#ifndef DOMICILE_SERVE_REGION_H
#define DOMICILE_SERVE_REGION_H

#include <pthread.h>
#include <stdatomic.h>

#include "auth/auth.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/md5.h"
#include "charter/charter.h"
#include "ledger/ledger.h"
#include "move/move.h"
#include "policy/policy.h"
#include "s3/s3.h"
#include "serve/access.h"
#include "serve/customer.h"
#include "store/store.h"
#include "subject/subject.h"
#include "vault/vault.h"
#include "wire/wire.h"

enum {
  SERVE_HOLD_MS = 2000,     /* a request held at a fence waits so long, then 503 SlowDown */
  SERVE_HOPS_MAX = 3,       /* homes tried by one forwarded request: stale, tombstone's, its successor */
  SERVE_RETRIES_MAX = 64,   /* guards of one commit; each retry reads afresh */
  SERVE_CHUNK = 256 * 1024, /* of bodies in and out: amortises a frame's cost, small per worker */
  SERVE_CHUNKS_AHEAD = 4,   /* of a long body: received and not hashed yet; a write takes as long as three */
  SERVE_FORWARD_FAILURES = 3,    /* in a row open a peer's circuit breaker … */
  SERVE_FORWARD_PAUSE_MS = 1000, /* … for so long: a dead region costs one try a second */
  SERVE_PEERS_MAX = 65536 / 64,  /* breaker slots by region number; charters have at most 64 regions */
  SERVE_REQUEST_ID_SIZE = 16,    /* hex digits of a request id */
  SERVE_COPY_WAIT_MS = 300000, /* a gateway waits so long for a copy: 5 GiB at 17 MB/s; others stall sooner */
  SERVE_COPY_OUT_SHARE = 4     /* one worker in so many may hand sources of copies out to other regions */
};

/* Names, in an answer between regions, what was refused: the sender's envelope, not the client. */
#define SERVE_REFUSED_FIELD "x-domicile-refused"
/* In a client's head between regions: the sender will store the copy that this head asks for, and wants its
 * source. The value is the number of the gateway that serves the client. */
#define SERVE_COPY_FIELD "x-domicile-copy-gateway"

/* In a client's head between regions: the client's address and TLS version as its gateway saw them
 * ("192.0.2.7 13"; "- 0"), for the conditions of policies. */
#define SERVE_CLIENT_FIELD "x-domicile-client"

/* In the head of a form between regions: the route token, in hex, of the subject whom its fields name. The
 * body says it too late: a region that is not the home says so before it takes a byte of that. */
#define SERVE_SUBJECT_FIELD "x-domicile-route"

/* In which state an operation met its subject; told in x-domicile-met. */
enum serve_met { MET_HOME, MET_COPYING, MET_HELD, MET_FORWARDED };

struct serve_breaker {
  _Atomic uint32_t failures;
  _Atomic uint64_t closed_until_ms; /* monotonic */
};

/* Durations of one operation: slot i counts those up to SERVE_SLOTS_US[i], the last one the rest. */
enum { SERVE_SLOT_COUNT = 14 };
extern const uint32_t SERVE_SLOTS_US[SERVE_SLOT_COUNT - 1];
struct serve_histogram {
  _Atomic uint64_t slot[SERVE_SLOT_COUNT], sum_us;
};

struct serve_metrics {
  _Atomic uint64_t requests, errors_4xx, errors_5xx, refused_451, forwarded, held, bytes_in, bytes_out;
  struct serve_histogram took[S3_OP_COUNT]; /* from the head to the last byte of the answer */
};

/* Refusals since the last entry in the ledger, by clause. */
enum {
  SERVE_REFUSAL_CLAUSES = 64, /* of one period; a charter of a few countries has fewer that can refuse */
  SERVE_REFUSAL_PERIOD_MS = 60000
};
struct serve_refusals {
  pthread_mutex_t lock;
  struct serve_refusal {
    uint64_t version, requests;
    char clause[CHARTER_CLAUSE_SIZE];
  } row[SERVE_REFUSAL_CLAUSES];
  uint32_t count;
  uint64_t others; /* past the last row */
};

struct region {
  struct clock *clock;
  struct disk *disk;
  struct vault_kek *kek;
  struct store *store;
  struct ledger *ledger;
  struct subjects *subjects;
  struct mover *mover;
  struct auth_keys *keys;
  struct auth_verifier *verifier;
  struct access_cache *access;
  struct md5_lanes *md5_lanes; /* NULL: bodies are hashed by the workers that receive them */
  uint8_t *token_key;          /* KEY_SIZE bytes of locked memory, derived from the region's own seed */
  struct serve_relay *relay;
  struct wire_client *client;
  struct wire_envelope *envelope; /* NULL for a region alone */
  struct net *net;                /* NULL for a region alone */
  struct wire_server *server;
  unsigned admin_listener;     /* the unix socket's index */
  _Atomic uint64_t tls_ends_s; /* when the first certificate expires; 0 without TLS */
  bool peers_certified;        /* messages of regions need a certificate */
  uint16_t number;
  char name[CHARTER_NAME_BYTES_MAX + 1];
  struct slice domain_names[8];
  struct s3_domains domains;
  uint64_t lifecycle_day_ms;   /* S3_DAY_MS but in tests */
  struct slice default_layout; /* of buckets created without one; empty in --dev */
  atomic_uint forwarding;      /* requests that wait for other regions now */
  unsigned copy_out_max;       /* workers that may hand sources of copies out at once */
  atomic_uint copying_out;
  struct serve_breaker breaker[SERVE_PEERS_MAX];
  struct serve_metrics metrics;
  atomic_uint clients; /* requests of clients in progress, but for those that wait at a gate … */
  _Atomic uint64_t client_left_ns; /* … and when the last one ended: moves stand back for them */
  struct access_log *access_log;   /* NULL: none is kept */
  struct serve_refusals refusals;
  atomic_int quarantine_logged; /* enum mover_quarantine_state that the log was told of */
  uint64_t quarantine_quiet_ms; /* monotonic; the config thread's */
  atomic_bool draining;         /* takes nothing new; what is in flight goes on */
  atomic_bool stopping;         /* whatever waits for others gives up */
  atomic_bool ledger_stopping;  /* after the last commit */
  _Atomic uint64_t erasures_waiting, erasures_overdue, erasures_late_ms; /* as the timer saw them last */
  _Atomic uint64_t erasures_deadline_ms;                                 /* the next; 0: none */
  pthread_t ledger_thread, upkeep_thread, config_thread, lifecycle_thread, erasure_thread;
  bool has_ledger_thread, has_upkeep_thread, has_config_thread, has_lifecycle_thread, has_erasure_thread;
};

/* One client request. Lives on the worker's stack; memory is the exchange's arena. */
struct call {
  struct region *r;
  struct wire_exchange *x;
  char id[SERVE_REQUEST_ID_SIZE + 1];
  struct auth_request head;
  struct auth_header headers[WIRE_FIELDS_MAX];
  struct auth_result auth;
  struct s3_request q;
  bool is_forwarded;               /* a peer handles the client and sent it on */
  uint16_t gateway;                /* region that handles the client: this one, or that peer */
  uint16_t copy_to;                /* a peer asks for the source of a copy that will lie there; 0: no */
  struct wire_envelope_proof peer; /* when is_forwarded */
  struct slice client_address;     /* data NULL: not known, as on a unix socket */
  unsigned client_tls;             /* 12, 13; 0: none */
  struct subject_bucket bucket;
  struct access_rules *rules; /* of `bucket` */
  enum policy_action access;  /* what `q.op` is to a policy */
  bool asks_object;           /* the judgement waits for the object: access_object */
  bool asks_source;           /* the same of a copy's source: access_source_object */
  bool key_is_set;            /* DeleteObjects: q.key is one of its keys */
  struct subject_who who;
  enum serve_met met;
  bool in_gate;
  bool came_home;                        /* sent on, and sent back: the subject lives here since */
  bool has_route;                        /* SERVE_SUBJECT_FIELD of a peer */
  uint8_t route[TOKEN_SIZE];             /* its token: where to look first, no more */
  struct post *post;                     /* the form whose fields were read; NULL: none */
  struct charter_refusal refusal;        /* the charter's last no */
  char told_version[S3_VERSION_ID_SIZE]; /* x-amz-version-id of the answer; empty for none */
  bool told_marker;                      /* x-amz-delete-marker of the answer */
  char detail[DOM_ERR_TEXT_MAX];         /* what the error message adds; no personal data */
};

/* ---- call.c: from the head to the operation, and errors out -------------------------------- */

/* The handler of the S3 side. */
void call_handle(struct region *r, struct wire_exchange *x);
/* Runs c->q.op. */
enum s3_error call_operation(struct call *c);
/* Answers an error as S3 XML. */
void call_fail(struct call *c, enum s3_error error);
/* The S3 error for a code of the inner rooms; keeps the text as detail where it may be shown. */
enum s3_error call_error_of(struct call *c, enum dom_code code, const struct dom_err *err);
/* Takes version, clause and reason of a charter's refusal as the detail of the answer. */
enum { CALL_WHY_MAX = DOM_ERR_TEXT_MAX - CHARTER_CLAUSE_SIZE - 40 }; /* what version and words leave */
void call_detail_refusal(struct call *c, const struct charter_refusal *refusal);
/* Adds x-amz-request-id and x-domicile-met. */
void call_fields(struct call *c);
/* Adds x-amz-server-side-encryption to the answer of an operation on an object, where the bucket's
 * configuration or the request asks for it. It is true of everything here. */
void call_encryption_field(struct call *c);
/* An empty answer, or one with a body of XML. */
enum s3_error call_reply_empty(struct call *c, unsigned status);
enum s3_error call_reply_xml(struct call *c, unsigned status, const struct buf *xml);

/* For mover_options.clients: how many are being served, or were a moment ago. `region`: struct region. */
unsigned call_clients(void *region);

/* "home", "copying", "held", "forwarded". */
const char *call_met_name(enum serve_met met);

/* ---- access_log.c: a line of JSON for each S3 request ----------------------------------------
 *
 * time, request, operation, status, us, bytes_in, bytes_out, met; where known account, bucket (one there is),
 * key and subject (tokens: of the key under a salt of this run), gateway, error, charter and clause. Threads:
 * any; lines are written whole. A line that cannot be written is counted and lost, never a request. */
struct access_log;
/* Appends to a file of the real file system; makes it with mode 0640. Returns: DOM_IO, DOM_NOT_FOUND,
 * DOM_DENIED, DOM_NO_SPACE, DOM_NO_MEMORY. Close with access_log_close; NULL is allowed there. */
enum dom_code access_log_open(const char *path, struct access_log **out, struct dom_err *err);
void access_log_close(struct access_log *log);
/* The path again, after somebody renamed the file; on failure the old file stays in use. */
enum dom_code access_log_reopen(struct access_log *log, struct dom_err *err);
/* At the end of a request. `error` S3_OK: it was answered as asked. */
void access_log_note(struct access_log *log, const struct call *c, enum s3_error error, uint64_t took_us);
uint64_t access_log_lost(const struct access_log *log);

/* c->head, of the exchange's head as it is now. */
void call_head(struct call *c);
/* c->auth, of c->head. */
enum s3_error call_verify(struct call *c);

/* ---- token.c: scoped tokens ------------------------------------------------------------------ */

/* Whether the token is of the subject that the key (or, empty, the listing's prefix) names in c->bucket. */
bool token_reaches(struct call *c, struct slice key);
/* Whether a token made here still holds. EXPIRED_TOKEN: the subject moved, or its tokens were revoked. */
enum s3_error token_check(struct call *c);
/* The same as this view shows it, for what is read from it or committed under it; S3_OK without a token, or
 * where another region's word is waited for. */
enum s3_error token_check_in(struct call *c, struct store_view *v);
/* Whether a request with a token that only another region can check may be passed on at all. */
enum s3_error token_may_relay(struct call *c);
/* Makes a token for a subject that lives here. Returns: DOM_NOT_FOUND; DOM_ELSEWHERE; DOM_NO_MEMORY. */
enum dom_code token_mint(struct region *r, const uint8_t subject[TOKEN_SIZE], uint64_t ttl_s,
                         struct auth_token *out, struct auth_token_credential *out_credential,
                         struct dom_err *err);
/* GET /-/home. */
void home_page(struct region *r, struct wire_exchange *x);

/* ---- relay.c: how many requests that only their home can check are passed on ------------------ */

/* Refusals by homes in the present second, of all clients and by their address. */
struct serve_relay;
struct serve_relay *relay_new(void); /* NULL: no memory. Free with relay_free; NULL is allowed there. */
void relay_free(struct serve_relay *r);
/* False: too many of this client's, or of all, were refused in this second. Asked of c->auth.is_unverified
 * alone. Threads: any. */
bool relay_may_pass(struct call *c);
/* What became of one that was passed on; `status`: of the home's answer, 0 without one. */
void relay_note(struct call *c, unsigned status);

/* ---- locate.c: bucket, subject, permit ------------------------------------------------------- */

/* c->bucket by name, judged: the caller may do there what it asks for. Retries until a view has the row. */
enum s3_error call_bucket(struct call *c, struct slice name);
/* c->bucket by the name of the copy's source, judged: the caller may read that. */
enum s3_error call_bucket_of_source(struct call *c);
/* Opens a view to commit through, in which c->bucket is still there and configured as it was: since
 * call_bucket a body may have come in at its own pace, the bucket may have been deleted, or configured anew;
 * then it goes through call_bucket again, and c->bucket is the new one. A token still holds in it, or
 * S3_ERR_EXPIRED_TOKEN. */
enum s3_error call_view_to_write(struct call *c, struct store_view **v);
/* Begins the tx of such a view: guarded by what the request was judged by and no put or delete guards itself,
 * the generation of its token. Codes as store_tx_begin. */
enum dom_code call_tx_begin(struct call *c, struct store_view *v, struct store_tx **tx, struct dom_err *err);
/* The configuration of c->bucket, which is looked up anew if it changed since. Release with
 * subject_config_release. */
enum s3_error call_config(struct call *c, struct subject_config **out);
/* Opens a view in *v and resolves key there into *who. */
enum s3_error call_resolve(struct call *c, const struct subject_bucket *bucket, struct slice key,
                           struct store_view **v, struct subject_who *who);
struct call_permit {
  struct charter_permit_storage storage;
  const struct permit *permit;
};
/* Asks the charter for c->who; RESIDENCY_VIOLATION with the clause as detail. */
enum s3_error call_permit(struct call *c, enum permit_action action, struct slice key, struct slice classes,
                          uint64_t destroys_ms, struct call_permit *out);
/* A writer comes in: registers a new subject if the head says so, waits at the gate, resolves c->who for
 * c->q.key. *out_done: the request was forwarded or answered already. c->in_gate must be left by call_leave.
 */
enum s3_error call_enter(struct call *c, bool *out_done);
/* The gate and the resolution alone, for c->bucket and c->q.key: nothing is registered, forwarded or
 * answered. */
enum s3_error call_enter_local(struct call *c);
/* A reader: resolves c->who and leaves the view open in *v. *out_done as above. */
enum s3_error call_look(struct call *c, struct store_view **v, bool *out_done);
void call_leave(struct call *c);
/* The subject that c->who found here has left, or came back under another epoch. Its key goes after that,
 * never before. */
bool call_left_meanwhile(struct call *c);
struct store_place call_place(const struct call *c);

/* ---- refusals.c: counted by clause, recorded in the ledger ------------------------------------- */

void refusal_note(struct region *r, const struct charter_refusal *refusal);
/* Writes what was counted so far as ledger entries. Codes as the store's. */
enum dom_code refusals_record(struct region *r, struct dom_err *err);

/* ---- body.c: the request's body, checked ------------------------------------------------------- */

struct intake {
  struct call *c;
  struct auth_body *auth;
  struct md5_stream md5;
  uint8_t *chunks; /* chunk_count of SERVE_CHUNK, filled in turn */
  unsigned chunk_count, chunk;
  uint64_t tickets[SERVE_CHUNKS_AHEAD]; /* the chunk is free once this one is hashed */
  uint8_t digest[MD5_SIZE];             /* at the end */
  struct slice pending;                 /* raw bytes read and not yet fed */
  uint64_t length;                      /* decoded bytes so far */
  uint64_t length_max;
};
enum s3_error intake_begin(struct intake *b, struct call *c, uint64_t length_max);
/* The next decoded bytes, good until the next call; empty at the end, when every promise of the head has been
 * kept. Nothing may be committed before that. */
enum s3_error intake_next(struct intake *b, struct slice *out);
/* The error for a body that could not be read on. */
enum s3_error intake_failed(struct call *c, enum dom_code code, const struct dom_err *err);
/* A small body as a whole (XML). */
enum s3_error intake_all(struct call *c, uint64_t length_max, struct buf *out);
/* MD5 of all bytes; after the end. */
void intake_md5(struct intake *b, uint8_t out[MD5_SIZE]);
/* The client's checksum of the whole body, if any. */
bool intake_digest(struct intake *b, struct auth_digest *out);
void intake_done(struct intake *b);
#define INTAKE_AUTO __attribute__((cleanup(intake_done))) struct intake

/* Bytes on their way into the store: inline while they are few, a body file beyond. */
struct spool {
  struct call *c;
  enum permit_action action;
  const struct permit *permit;
  bool force_file; /* parts are always files */
  struct buf memory;
  struct store_body *body;
  bool sealed;
  struct store_body_ref ref;
  const struct auth_body *auth; /* makes the SHA-256 on its way; NULL: nobody does (decision 0035) */
  struct auth_checksum *sum;    /* of the bytes as they come, where somebody wants it; the spool's own */
  bool has_customer;            /* the bytes are sealed by a key of the client's before anything else */
  uint8_t customer_key[KEY_SIZE];
  struct buf piece; /* sealed so, the one at hand */
  uint64_t size;
};
void spool_begin(struct spool *s, struct call *c, enum permit_action action, const struct permit *permit,
                 bool force_file);
enum s3_error spool_append(struct spool *s, struct slice bytes);
/* After it o's size, sha256, inline_body or bodies are set. */
enum s3_error spool_seal(struct spool *s, struct store_object *o);
/* The whole request body into the store, checked and sealed; o's MD5 is set too. */
enum s3_error spool_request(struct spool *s, uint64_t length_max, struct store_object *o,
                            bool *out_has_digest, struct auth_digest *out_digest);
/* Counts a checksum of all bytes to come. */
enum s3_error spool_sum(struct spool *s, enum auth_checksum_kind kind);
/* Seals all bytes to come by a key of the client's; `salt`: of this body. */
void spool_customer(struct spool *s, const struct customer *customer, const uint8_t salt[CUSTOMER_SALT_SIZE]);
/* The same with a new data key under the request's; `sealed` becomes meta's and must outlive it. */
enum s3_error spool_customer_new(struct spool *s, struct s3_meta *meta, uint8_t sealed[CUSTOMER_SEALED_SIZE]);
/* A commit names the body: it is not discarded by spool_done. */
void spool_keep(struct spool *s);
void spool_done(struct spool *s);
#define SPOOL_AUTO __attribute__((cleanup(spool_done))) struct spool

/* ---- operations ------------------------------------------------------------------------------------ */

enum s3_error object_put(struct call *c);
/* The body of a PUT or a form under c->q.key, stored and in force; c is in the gate and left after it. *o:
 * its etag_md5 is set, the rest is not for use; *meta: what was kept with it. */
enum s3_error object_store(struct call *c, struct store_object *o, struct s3_meta *meta);
enum s3_error object_get(struct call *c); /* GET and HEAD */
enum s3_error object_delete(struct call *c);
/* One key, or the version that c->q names, resolved and in the gate. Not answered, but told (version_tell).
 */
enum s3_error object_delete_here(struct call *c);
enum s3_error object_copy(struct call *c);
enum s3_error object_delete_many(struct call *c);
/* acl.c: grants of one object. */
enum s3_error object_acl(struct call *c);
enum s3_error object_acl_put(struct call *c);
/* The version that the request names, under the permit to read it; not for a delete marker, which is told. */
enum s3_error object_find(struct call *c, struct store_view *v, struct store_found **out);
/* Answers with what is kept of that version, once its classes may be read, too; at another home if it is
 * there. */
typedef enum s3_error (*object_tell_fn)(struct call *c, const struct store_object *o);
enum s3_error object_tell(struct call *c, object_tell_fn tell);
/* amend.c. Changes what may be changed of a version that is there: the one that c->q names, found and judged
 * on the view that guards the commit. `change` is given its metadata, and again whenever a guard changed. c
 * is in the gate; not answered, but told (version_tell). */
typedef enum s3_error (*amend_fn)(struct call *c, void *arg, struct s3_meta *meta);
enum s3_error object_amend(struct call *c, amend_fn change, void *arg);
/* tagging.c. GetObjectTagging, PutObjectTagging, DeleteObjectTagging. */
enum s3_error object_tagging_get(struct call *c);
enum s3_error object_tagging_put(struct call *c);
enum s3_error object_tagging_delete(struct call *c);
/* object_lock.c. GetObjectRetention and -LegalHold; PutObjectRetention and -LegalHold. */
enum s3_error object_lock_get(struct call *c);
enum s3_error object_lock_put(struct call *c);
/* INVALID_REQUEST: c->bucket has no object lock. */
enum s3_error lock_check_bucket(struct call *c);
/* CreateBucket: versions and object lock for a new bucket, when the head asks for it. */
enum s3_error lock_new_bucket(struct call *c, const struct subject_bucket *b);
/* A version about to be committed on this view: without a retention of its own it gets the bucket's default;
 * its metadata lies in `keep` then. */
enum s3_error lock_new_version(struct call *c, struct store_view *v, struct store_object *o,
                               struct buf *keep);
/* Whether a version may be removed for good now; NULL: it is not there. ACCESS_DENIED. */
enum s3_error lock_may_delete(struct call *c, const struct store_object *o);
/* attributes.c. GetObjectAttributes. */
enum s3_error object_attributes(struct call *c);
/* Where the bytes of the part that the request asks for lie in the object; of one that was put in one piece
 * part 1 is all of it. INVALID_PART_NUMBER: it has none of that number. */
enum s3_error object_part_bounds(struct call *c, const struct store_object *o, const struct s3_meta *meta,
                                 uint64_t *out_first, uint64_t *out_count);
/* The parts of an object, none of one that was put in one piece. */
enum s3_error object_parts(struct call *c, const struct store_object *o, const struct s3_meta *meta,
                           struct s3_parts *out);
/* The stored metadata of an object; slices borrow from it and from the request's arena. */
enum s3_error object_meta(struct call *c, const struct store_object *o, struct s3_meta *out);
/* Commits a version of o->key under c->who, a new one or the null one as the bucket's versioning wants it,
 * and tells which. The head's conditions and the charter are asked on the view that guards the commit. */
enum s3_error object_commit(struct call *c, const struct store_object *o);
/* A permit to write or delete c->q.key, as the view shows it. Only where the charter protects what goes is
 * it looked at. */
enum s3_error object_permit_in(struct call *c, struct store_view *v, enum permit_action action,
                               struct slice classes, struct call_permit *out);
/* The same before the body is read; the commit asks again. */
enum s3_error object_permit(struct call *c, enum permit_action action, struct slice classes,
                            struct call_permit *out);
enum s3_error bucket_list_all(struct call *c);
enum s3_error bucket_create(struct call *c);
enum s3_error bucket_head(struct call *c);
enum s3_error bucket_delete(struct call *c);
enum s3_error bucket_location(struct call *c);
/* bucket_config.c: every GET, PUT and DELETE of a configuration. */
enum s3_error bucket_config(struct call *c);
/* Sets or removes a part of c->bucket's configuration, everywhere, and answers. */
enum s3_error bucket_config_change(struct call *c, const struct subject_config_change *change,
                                   unsigned status);
/* Whether the operation reads a document to its end before it acts. */
bool bucket_config_has_body(enum s3_op op);
/* cors.c. The answer to a browser's OPTIONS, which nobody signed: only what this region knows by itself. */
enum s3_error cors_preflight(struct call *c);
/* Adds what the bucket's CORS rules say of a request from another origin to its answer. */
void cors_fields(struct call *c);
enum s3_error list_objects(struct call *c); /* V1, V2 and versions */
/* Where a listing of c->q.list.prefix is answered: a view, and whether the prefix fixes one subject.
 * *out_done: it was forwarded to that subject's home. */
enum s3_error list_locate(struct call *c, struct store_view **v, bool *out_one, bool *out_done);
/* The charter's word for one name of a listing, as store_list asks for it. */
enum store_admit list_admit(struct call *c, const struct store_subject *row, struct slice key,
                            bool one_subject);
/* Says that a listing over several subjects shows only those that live here. */
void list_partial_field(struct call *c, bool one_subject);
/* The write conditions of the head against what the view shows. */
enum s3_error object_condition(struct call *c, struct store_view *v);

/* ---- version.c ---------------------------------------------------------------------------------------- */

/* A version id as the bucket with this id gives them out. False when it is none. */
bool version_parse(const uint8_t bucket[STORE_BUCKET_ID_SIZE], struct slice text, struct store_version *out);
void version_text(const uint8_t bucket[STORE_BUCKET_ID_SIZE], const struct store_version *v,
                  char out[S3_VERSION_ID_SIZE]);
/* The version that the request names, kept in *out: *which is it, or NULL for the current one. */
enum s3_error version_asked(struct call *c, struct store_version *out, const struct store_version **which);
/* Whether a write makes a new version; else it replaces the null one. By c->bucket: after call_view_to_write
 * this is what the commit is guarded by. */
bool version_is_new(const struct call *c);
/* The version that a commit with this LSN wrote. */
struct store_version version_written(const struct call *c, bool is_version, uint64_t lsn);
/* What the answer will say of the version that it is about; a bucket that never had versioning names none. */
void version_tell(struct call *c, const struct store_version *v, bool is_marker);
void version_tell_object(struct call *c, const struct store_object *o);
void version_untell(struct call *c);
/* Adds what was told to the answer. */
void version_fields(struct call *c);

/* ---- copy.c, copy_far.c, copy_source.c ------------------------------------------------------------- */

/* Source of a copy: one version, pinned, under its own permit; or, elsewhere, on its way from its home. */
struct copy_source {
  struct call *c;
  struct subject_who who; /* whose it is */
  struct store_place place;
  struct call_permit permit;
  struct store_found *found; /* when it lives here */
  struct customer_reader reader;
  struct buf meta;    /* as stored */
  struct buf classes; /* what the copy inherits: names, comma-separated, each once */
};
/* What becomes of it. */
struct copy_target {
  /* Called once, when meta and classes are known and before the first byte: asks for the permit and begins
   * the spool. */
  enum s3_error (*ready)(void *arg, const struct copy_source *s);
  void *arg;
  struct spool *spool;
  struct store_object *object;
};
/* Brings (a range of) the source into the spool and seals it, from wherever it lives: spool and object are
 * then as after spool_request. `s` is zero but for its call. *out_done: its home said no, and the client has
 * that answer. Waits for at most one other region, in one of the server's places: S3_ERR_SLOW_DOWN without.
 */
enum s3_error copy_source_take(struct copy_source *s, const struct copy_target *t, bool *out_done);
/* The same for a source whose home is elsewhere. S3_ERR_SUBJECT_ELSEWHERE: it is this region by now. */
enum s3_error copy_far_take(struct copy_source *s, const struct copy_target *t, bool *out_done);
void copy_source_done(struct copy_source *s);
/* Adds x-amz-copy-source-version-id to the answer: as far as this side knows it, that is not of the current
 * version of an object that lives elsewhere. */
void copy_source_field(struct copy_source *s);
/* The object in the view, under s->permit, judged by the rules of c->bucket, the source's, and the head's
 * conditions; fills meta and classes. */
enum s3_error copy_source_find(struct call *c, struct store_view *v, struct copy_source *s);
/* The bytes of the found object that the head asks for: all, or UploadPartCopy's range. */
enum s3_error copy_source_range(const struct copy_source *s, uint64_t *out_first, uint64_t *out_count);
/* At least one byte of it. */
enum s3_error copy_source_read(struct copy_source *s, uint64_t at, void *out, size_t want, size_t *out_len);
/* The source's own class, where the target's is another, and those it inherited. */
enum s3_error copy_inherit(struct call *c, struct slice inherited, struct buf *out);
/* Adds the names that *to does not have yet; whether there were any. */
bool copy_classes_add(struct buf *to, struct slice names);
/* Answers a peer that stores a copy whose source lives here. */
enum s3_error copy_source_answer(struct call *c);

/* 32 hex digits. False for anything else. */
bool upload_id_parse(struct slice text, uint8_t out[STORE_UPLOAD_ID_SIZE]);
/* One step on an upload: what it finds in the view, it changes in the tx. */
typedef enum dom_code (*upload_step)(void *arg, struct store_view *v, struct store_tx *tx,
                                     const struct store_place *place, struct dom_err *err);
enum s3_error upload_commit(struct call *c, upload_step step, void *arg);
enum s3_error upload_create(struct call *c);
enum s3_error upload_part(struct call *c);
enum s3_error upload_part_copy(struct call *c);
enum s3_error upload_list(struct call *c);
enum s3_error upload_list_parts(struct call *c);
enum s3_error upload_complete(struct call *c);
enum s3_error upload_abort(struct call *c);

/* The entity tag of an object, without quotes. */
void object_etag(const struct store_object *o, char out[S3_ETAG_SIZE]);
/* Adds what describes the object, and the fields of every answer. */
void call_headers(struct call *c, const struct s3_headers *headers);
/* Streams part of an object out, after the reply has begun. */
enum s3_error object_send(struct call *c, struct customer_reader *f, uint64_t first, uint64_t count);

/* ---- expiration.c ---------------------------------------------------------------------------- */

/* Adds x-amz-expiration where a lifecycle rule will end c->q.key, now as `o` (its size and time) with this
 * metadata. Costs nothing where the bucket has no rules; of a version that was asked for by id says nothing.
 */
void expiration_field(struct call *c, const struct store_object *o, const struct s3_meta *meta);

/* ---- post.c: a browser's form ------------------------------------------------------------------------- */

struct post;
enum s3_error post_object(struct call *c);
/* The next bytes of the file; empty at its end, when the form was whole. */
enum s3_error post_read(struct post *p, struct slice *out);
/* What the form's policy allows its file to have, and S3. */
uint64_t post_bytes_min(const struct post *p);
uint64_t post_bytes_max(const struct post *p);
/* All that was read of the body; nothing for NULL. */
struct slice post_begun(const struct post *p);

/* ---- reach.c: a client's head to the home of a subject ------------------------------------------------ */

struct reach {
  struct call *c;
  const struct subject_who *who; /* whose home is sought; ELSEWHERE */
  struct slice copy_gateway;     /* the source of a copy is asked for: see SERVE_COPY_FIELD; else empty */
  uint64_t body_length;          /* of what pull gives; WIRE_CLIENT_CHUNKED: unknown */
  bool once;                     /* a mutation */
  uint32_t stall_ms;             /* 0: the client's default */
  wire_pull_fn pull;             /* NULL without a body */
  wire_answer_fn answer;         /* of a home that takes it on itself; at most once */
  wire_sink_fn sink;
  void *arg; /* of these three */
  /* What came of it. */
  bool client_failed; /* its body did not come: no failure of the peer */
  bool misdirected;   /* the peer is no home: `home`, `epoch`, `statement` say who is */
  uint16_t asked;     /* the region whose answer it is */
  uint16_t home;
  uint64_t epoch;
  struct buf statement;
  char client[WIRE_PEER_TEXT_MAX + 8];     /* SERVE_CLIENT_FIELD's value */
  char route[2 * TOKEN_SIZE + 1];          /* SERVE_SUBJECT_FIELD's value */
  char proof[400];                         /* of the home that is asked, base64; "" */
  uint8_t nonce[WIRE_ENVELOPE_NONCE_SIZE]; /* of the envelope that was answered */
};
/* Asks one home after the other. The caller holds one of the server's places.
 * Returns: DOM_OK one answered, whole; DOM_ELSEWHERE it is this region, and may serve; DOM_UNAVAILABLE none
 * took it; DOM_TIMEOUT, DOM_CANCELLED; what a callback returned. */
enum dom_code reach_home(struct reach *r, struct dom_err *err);
void reach_done(struct reach *r);
#define REACH_AUTO __attribute__((cleanup(reach_done))) struct reach
/* The first field of that name in an answer; data NULL: none. */
struct slice reach_field(const struct wire_field *fields, size_t count, struct slice name);

/* ---- forward.c ---------------------------------------------------------------------------------------- */

/* Sends the client's request, its body streaming, to c->who.home and its answer back. Always answers the
 * client when it returns S3_OK; `body` NULL: the body is still on the wire, else it was read into memory.
 * Where the subject turns out to live here by now, the operation is run here; with a `body` that is left to
 * the caller: S3_ERR_SUBJECT_ELSEWHERE. Without a place among those that wait for other regions the exchange
 * is put aside, to be handled again; with a `body` that is S3_ERR_SLOW_DOWN. */
enum s3_error call_forward(struct call *c, const struct slice *body);
/* Tells the peer that forwarded this that the subject lives elsewhere. */
enum s3_error call_misdirected(struct call *c);
/* Begins to pass another region's answer on to the client. Returns: DOM_UNAVAILABLE it makes no sense. */
enum dom_code forward_answer_begin(struct call *c, unsigned status, const struct wire_field *fields,
                                   size_t count);
/* Ends it by what came of it; `begun`: an answer is on its way to the client. */
enum s3_error forward_finish(struct call *c, bool begun, enum dom_code code, const struct dom_err *err);

#endif
