/* Policy: who may do what with a bucket and its objects. Pure: no I/O, no clock, no log.
 *
 * The facade of the room. It answers one question, policy_decide, from what a request says and what the
 * bucket's owner has set: a policy (JSON), grants (ACLs), ownership and the public access block. A yes here
 * is never enough: the charter is asked after it and cannot be loosened by it.
 *
 * Glossary
 *   account     the tenant that owns buckets; each access key belongs to exactly one
 *   principal   who asks: nobody (anonymous), a key of an account, or a scoped token of an account
 *   statement   one sentence of a policy; its Sid is the name that its owner gave it
 *   action      what is asked, by S3's name (s3:GetObject)
 *   condition   operator, key and values; a statement holds only if all of its conditions do
 *   variable    ${aws:username}: a condition key's value inside a pattern, always taken literally
 *   public      granting to everybody, or to every account there is
 *
 * Threads: a parsed policy never changes; every function may be called from any thread on it.
 * Sources: AWS IAM "Policy evaluation logic", "JSON policy elements reference"; S3 user guide "Blocking
 * public access", "Access control list overview", "Controlling ownership of objects". */
#ifndef DOMICILE_POLICY_POLICY_H
#define DOMICILE_POLICY_POLICY_H

#include "base/bytes.h"
#include "base/err.h"

enum {
  POLICY_BYTES_MAX = 20 * 1024,      /* S3's limit for a bucket policy */
  POLICY_DEPTH_MAX = 8,              /* nesting of the JSON; a policy needs five */
  POLICY_STATEMENTS_MAX = 128,       /* more do not fit usefully into 20 KiB; bounds work per request */
  POLICY_SID_BYTES_MAX = 128,        /* shown in logs */
  POLICY_PATTERN_UNITS_MAX = 2048,   /* of one pattern: a bucket's ARN, a key of 1,024 bytes, and room */
  POLICY_EXPANDED_UNITS_MAX = 4096,  /* of a pattern with its variables put in; longer matches nothing */
  POLICY_STEPS_MAX = 1000 * 1000,    /* comparisons of one decision: about a millisecond; past it: denied */
  POLICY_ACCOUNT_BYTES_MAX = 64,     /* as AUTH_ACCOUNT_BYTES_MAX */
  POLICY_GRANTS_MAX = 100,           /* S3's limit for an ACL */
  POLICY_ACL_TEXT_BYTES_MAX = 16384, /* of an ACL's stored form: a hundred grants of the longest kind */
  POLICY_KEY_BYTES_MAX = 1024        /* of an object's key, S3's limit */
};

/* ---- names ------------------------------------------------------------------------------------ */

enum policy_action {
#define POLICY_ACTION(name, text, level) POLICY_##name,
#include "policy/actions.def"
#undef POLICY_ACTION
  POLICY_ACTION_COUNT
};
/* "s3:GetObject"; never NULL. */
const char *policy_action_name(enum policy_action action);

enum policy_key {
#define POLICY_KEY(name, text, kind) POLICY_KEY_##name,
#include "policy/keys.def"
#undef POLICY_KEY
  POLICY_KEY_COUNT
};

/* ---- a policy --------------------------------------------------------------------------------- */

struct policy; /* parsed; immutable, counted references */

/* Parses and validates a policy for `bucket`, for whose configuration only it is good. Whatever this build
 * would not enforce is refused: an element, operator, key, action or principal that it does not know.
 *   text     JSON, copied
 *   *out     released with policy_release
 * Returns: DOM_INVALID with what is wrong and where ("Statement[2].Condition: …"), DOM_TOO_LARGE a limit
 * above, DOM_NO_MEMORY. */
enum dom_code policy_parse(struct slice text, struct slice bucket, struct policy **out, struct dom_err *err);
struct policy *policy_hold(struct policy *policy); /* another reference to it; NULL is allowed */
void policy_release(struct policy *policy);        /* NULL is allowed */
/* Whether some statement lets everybody in: no condition ties it to accounts, keys or a range of addresses
 * of at least /8 (IPv6: /32). Source: S3 user guide, "The meaning of 'public'". */
bool policy_is_public(const struct policy *policy);
/* Whether a condition or variable of the policy asks for the key: no other needs to be told to policy_decide.
 */
bool policy_asks(const struct policy *policy, enum policy_key key);

/* ---- grants ----------------------------------------------------------------------------------- */

enum policy_grantee { POLICY_TO_ACCOUNT, POLICY_TO_EVERYBODY, POLICY_TO_ACCOUNTS, POLICY_TO_LOG_DELIVERY };
enum policy_right {
  POLICY_READ = 1,
  POLICY_WRITE = 2,
  POLICY_READ_ACP = 4,
  POLICY_WRITE_ACP = 8,
  POLICY_FULL_CONTROL = 15
};
struct policy_grant {
  enum policy_grantee to;
  unsigned rights;      /* of enum policy_right */
  struct slice account; /* of POLICY_TO_ACCOUNT */
};
/* An ACL: its owner, and what others may. Slices are borrowed from whatever it was made from. */
struct policy_acl {
  struct slice owner;
  size_t count;
  struct policy_grant grant[POLICY_GRANTS_MAX];
};

/* Adds a grant; rights to the same grantee are joined. False: there are POLICY_GRANTS_MAX already, or the
 * account is none that can be: names of accounts are visible ASCII. */
bool policy_acl_add(struct policy_acl *acl, const struct policy_grant *grant);
/* A canned ACL by S3's name, for an object or bucket of `owner` in a bucket of `bucket_owner`.
 * Returns: false for a name that S3 does not have. */
bool policy_acl_canned(struct slice name, struct slice owner, struct slice bucket_owner,
                       struct policy_acl *out);
/* The value of an x-amz-grant-* header: 'id="…", uri="…"' joined by commas, each with `rights`.
 * Returns: DOM_INVALID another form, or a grantee by e-mail address, which nobody here has; DOM_TOO_LARGE. */
enum dom_code policy_acl_header(struct slice value, unsigned rights, struct policy_acl *acl,
                                struct dom_err *err);
/* S3's URI of a group, "" for an account; and back (false: no such group). */
const char *policy_group_uri(enum policy_grantee to);
bool policy_group_of_uri(struct slice uri, enum policy_grantee *out);
/* Whether a grant is to everybody, or to every account. */
bool policy_acl_is_public(const struct policy_acl *acl);
/* Whether it says no more than that its owner, or the bucket's, has full control. */
bool policy_acl_is_plain(const struct policy_acl *acl, struct slice bucket_owner);
/* The stored form, one line each: "owner ACCOUNT", "RIGHTS account NAME|everybody|accounts|log-delivery".
 * policy_acl_parse borrows from `text`. Returns: DOM_INVALID, DOM_TOO_LARGE. */
void policy_acl_print(const struct policy_acl *acl, struct buf *out);
enum dom_code policy_acl_parse(struct slice text, struct policy_acl *out, struct dom_err *err);

/* ---- ownership and public access ----------------------------------------------------------------- */

enum policy_ownership {
  POLICY_OWNER_ENFORCED = 0, /* BucketOwnerEnforced, S3's default: ACLs are off */
  POLICY_OWNER_PREFERRED = 1,
  POLICY_OBJECT_WRITER = 2
};
/* "BucketOwnerEnforced"; and back (false: no such name). */
const char *policy_ownership_name(enum policy_ownership ownership);
bool policy_ownership_of_name(struct slice name, enum policy_ownership *out);

struct policy_block {
  bool block_public_acls;       /* refuses to set public ACLs */
  bool ignore_public_acls;      /* public grants count for nothing */
  bool block_public_policy;     /* refuses to set a public policy */
  bool restrict_public_buckets; /* a public policy lets in none but the owner's account */
};

/* The ACL that a new object of a bucket keeps, of what its writer asked for (NULL: for nothing). Every object
 * belongs to the bucket's account; a writer of another one keeps full control as a grant, unless the bucket
 * prefers its owner (BucketOwnerPreferred) and the writer gives that full control.
 * Returns: false there is none to keep: ACLs are off, or it says no more than who owns the bucket. */
bool policy_acl_of_new(const struct policy_acl *asked, struct slice writer, struct slice bucket_owner,
                       enum policy_ownership ownership, struct policy_acl *out);
/* Whether an ACL may be set now, on the bucket or an object of it. */
enum policy_set { POLICY_SET_OK, POLICY_SET_UNSUPPORTED /* ACLs are off */, POLICY_SET_BLOCKED /* public */ };
enum policy_set policy_acl_may_set(const struct policy_acl *acl, struct slice bucket_owner,
                                   enum policy_ownership ownership, const struct policy_block *block);

/* ---- the decision -------------------------------------------------------------------------------- */

enum policy_who { POLICY_ANONYMOUS, POLICY_ACCESS_KEY, POLICY_TOKEN };
struct policy_tag {
  struct slice key, value;
};

/* What the bucket's owner has set. Borrowed for the call. */
struct policy_bucket {
  struct slice name;
  struct slice owner;           /* account */
  const struct policy *policy;  /* NULL: none */
  const struct policy_acl *acl; /* NULL: private */
  enum policy_ownership ownership;
  struct policy_block block;
};

/* One request for one resource. */
struct policy_request {
  enum policy_who who;
  struct slice account; /* empty when anonymous */
  struct slice user;    /* the access key, or a token's public name; empty when anonymous */
  enum policy_action action;
  struct slice key; /* empty for the bucket itself */
  uint64_t now_ms;
  /* By enum policy_key; data NULL: the request does not say. Times, principals and accounts of resources are
   * filled in by policy_decide. */
  struct slice value[POLICY_KEY_COUNT];
  const struct policy_tag *request_tags; /* of the request's body or head */
  size_t request_tag_count;
  /* What is known of the object itself. Until it has been read a decision may be POLICY_ASK_OBJECT. */
  bool object_is_known;
  const struct policy_tag *object_tags;
  size_t object_tag_count;
  const struct policy_acl *object_acl; /* NULL: private to the bucket's owner */
};

enum policy_answer {
  POLICY_DENY,
  POLICY_ALLOW,
  POLICY_ASK_OBJECT /* it depends on the object's tags or grants: read them, ask again; meanwhile a no */
};
enum policy_reason {
  POLICY_BY_DEFAULT, /* nothing grants it */
  POLICY_BY_OWNER,   /* the owner's account */
  POLICY_BY_STATEMENT,
  POLICY_BY_ACL,
  POLICY_BY_BLOCK, /* a statement would grant it, but the bucket is closed to the public */
  POLICY_BY_SCOPE, /* no token may do that, or not in another account's bucket */
  POLICY_BY_WORK   /* POLICY_STEPS_MAX */
};
struct policy_verdict {
  enum policy_answer answer;
  enum policy_reason reason;
  struct slice sid;   /* of POLICY_BY_STATEMENT; borrowed from the policy; may be empty */
  unsigned statement; /* its place, from 0 */
};

/* Decides. In this order: a Deny statement; the owner's account; an Allow statement; grants; no.
 * The owner's own keys may always read, replace and delete the policy, so that no owner is locked out. A
 * token may do what a person does with objects, in buckets of its own account; whose objects is not asked
 * here. Never allocates; request->key has at most POLICY_KEY_BYTES_MAX bytes. Threads: any. */
struct policy_verdict policy_decide(const struct policy_bucket *bucket, const struct policy_request *request);
/* "default", "owner", "statement", …; for the operator's log, never for the client. */
const char *policy_reason_name(enum policy_reason reason);

#endif
