/* Access: who may do what, asked in one place of every request before anybody's subject is looked for. The
 * rules of a bucket (policy, grants, ownership, public access block) are parsed once for each version of its
 * configuration. Only the serve room includes this. */
#ifndef DOMICILE_SERVE_ACCESS_H
#define DOMICILE_SERVE_ACCESS_H

#include "policy/policy.h"
#include "s3/s3.h"
#include "subject/subject.h"

struct call;

/* Rules of one bucket at one version; immutable, counted references. */
struct access_rules;
void access_rules_release(struct access_rules *rules); /* NULL is allowed */

enum { ACCESS_SLOTS = 256 /* buckets with rules in use at once; more are parsed again */ };
struct access_cache;
struct access_cache *access_cache_new(void); /* NULL without memory. Threads: any */
void access_cache_free(struct access_cache *cache);

/* Takes the rules of c->bucket, as the view shows it, into c->rules; NULL where it has none.
 * Returns: DOM_RETRY look the bucket up anew; codes as subject_config_get. */
enum dom_code access_take(struct call *c, struct store_view *v, struct dom_err *err);

/* Sets c->access, the action that c->q.op is. Returns: ACCESS_DENIED an anonymous request for something that
 * needs an account. */
enum s3_error access_begin(struct call *c);
/* Judges c->access on c->bucket and c->q.key. Each call_bucket asks it.
 * Returns: ACCESS_DENIED; what the head's ACL is refused with. */
enum s3_error access_bucket(struct call *c);
/* The same for one action on one key of c->bucket. */
enum s3_error access_action(struct call *c, enum policy_action action, struct slice key);
/* Judges once more where the first judgement depended on the object that was found: now it is known. */
enum s3_error access_object(struct call *c, const struct store_object *o);
/* Judges that a copy may read its source, c->q.copy in c->bucket; and again once it is found, where that
 * depends on the object, or the copy would take its tags along. */
enum s3_error access_source(struct call *c);
enum s3_error access_source_object(struct call *c, const struct store_object *o);
/* Judges that c->q.meta's tags, if any, are put on a new object at c->q.key. For a copy that keeps its
 * source's tags its caller asks, once they are known; else access_bucket did. */
enum s3_error access_new_tags(struct call *c);
/* Takes out of what a read will tell of the object what its sender may not know: the count of tags,
 * retention, legal hold. */
void access_hide(struct call *c, struct s3_meta *object);
/* Whether the request bypasses governance: it says so, and may. */
bool access_may_bypass(struct call *c);
/* What a new object keeps of the grants in the head, in their stored form; empty: none. access_bucket judged
 * them. Returns: SLOW_DOWN without memory; what they are refused with. */
enum s3_error access_new_acl(struct call *c, struct slice *out);
/* The stored form of an ACL, in the arena. Returns: SLOW_DOWN without memory. */
enum s3_error access_acl_text(struct call *c, const struct policy_acl *acl, struct slice *out);
/* What somebody is told who may read c->q.key, which is not there: only who may list is told so. */
enum s3_error access_absent(struct call *c);
/* Whether the request is of a key of the bucket's own account, no token. */
bool access_is_owner(const struct call *c);

/* ---- access_config.c: the documents ---------------------------------------------------------------- */

enum s3_error bucket_policy_put(struct call *c);
enum s3_error bucket_policy_get(struct call *c);
enum s3_error bucket_policy_delete(struct call *c);
enum s3_error bucket_policy_status(struct call *c);
enum s3_error bucket_acl_put(struct call *c);
enum s3_error bucket_acl(struct call *c);
/* The grants of a document that came in; its owner, if it names one, must be the bucket's. Slices borrow.
 * Returns: ACCESS_DENIED, INVALID_ARGUMENT, MALFORMED_ACL. */
enum s3_error access_document_acl(struct call *c, const struct s3_acl *from, struct policy_acl *out);
/* Whether ownership and public access block let an ACL be set. Returns: ACL_NOT_SUPPORTED, ACCESS_DENIED. */
enum s3_error access_acl_may_set(struct call *c, const struct policy_acl *acl);
/* S3's words for an ACL, that of c->bucket's owner alone for NULL. */
void access_acl_show(const struct call *c, const struct policy_acl *acl, struct s3_acl *out);
/* The ACL that a head asks for: canned or by grants. *out_has: any. Slices borrow from the head. */
enum s3_error access_head_acl(struct call *c, struct slice owner, struct policy_acl *out, bool *out_has);
/* Whether c->bucket may have the ownership controls of this document: not with an ACL that they would switch
 * off. Returns: INVALID_BUCKET_ACL; codes as s3_ownership_parse. */
enum s3_error access_may_own(struct call *c, struct slice document);
/* CreateBucket: what the head asks of ownership and grants, checked before the bucket is made. */
enum s3_error access_check_new_bucket(struct call *c);
/* The same, set once the bucket is there. */
enum s3_error access_set_new_bucket(struct call *c, const struct subject_bucket *b);
/* What is in force. NULL rules: nothing was set. */
bool access_is_broken(const struct access_rules *rules); /* it does not decode, or there was no memory */
const struct policy *access_policy(const struct access_rules *rules); /* NULL: none */
enum policy_ownership access_ownership(const struct access_rules *rules);
struct policy_block access_block(const struct access_rules *rules);
const struct policy_acl *access_acl(const struct access_rules *rules); /* NULL: private */
struct slice access_policy_text(const struct access_rules *rules);     /* data NULL: none */
bool access_policy_is_public(const struct access_rules *rules);

#endif
