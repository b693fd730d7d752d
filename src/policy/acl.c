/* Grants: canned, from headers, stored. And who may set them. */
#include <assert.h>

#include "policy/model.h"

static const char GROUP_EVERYBODY[] = "http://acs.amazonaws.com/groups/global/AllUsers";
static const char GROUP_ACCOUNTS[] = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
static const char GROUP_LOG_DELIVERY[] = "http://acs.amazonaws.com/groups/s3/LogDelivery";

static const char *const group_words[] = {[POLICY_TO_EVERYBODY] = "everybody",
                                          [POLICY_TO_ACCOUNTS] = "accounts",
                                          [POLICY_TO_LOG_DELIVERY] = "log-delivery"};

const char *policy_group_uri(enum policy_grantee to) {
  static const char *const uris[] = {[POLICY_TO_ACCOUNT] = "",
                                     [POLICY_TO_EVERYBODY] = GROUP_EVERYBODY,
                                     [POLICY_TO_ACCOUNTS] = GROUP_ACCOUNTS,
                                     [POLICY_TO_LOG_DELIVERY] = GROUP_LOG_DELIVERY};
  assert((unsigned)to < sizeof uris / sizeof uris[0]);
  return uris[to];
}

bool policy_group_of_uri(struct slice uri, enum policy_grantee *out) {
  assert(out != NULL);
  for (unsigned to = POLICY_TO_EVERYBODY; to <= POLICY_TO_LOG_DELIVERY; to++) {
    if (!slice_equal(uri, slice_str(policy_group_uri((enum policy_grantee)to)))) continue;
    *out = (enum policy_grantee)to;
    return true;
  }
  return false;
}

/* A name that an account can have: visible ASCII. Anything else could be read as another line of the stored
 * form, which is made of lines. */
static bool account_is_sound(struct slice account) {
  assert(account.data != NULL || account.len == 0);
  for (size_t i = 0; i < account.len; i++)
    if (account.data[i] <= ' ' || account.data[i] >= 0x7f) return false;
  return account.len > 0 && account.len <= POLICY_ACCOUNT_BYTES_MAX;
}

bool policy_acl_add(struct policy_acl *acl, const struct policy_grant *grant) {
  assert(acl != NULL && (grant->rights & ~(unsigned)POLICY_FULL_CONTROL) == 0 && grant->rights != 0);
  if (grant->to == POLICY_TO_ACCOUNT && !account_is_sound(grant->account)) return false;
  for (size_t i = 0; i < acl->count; i++) {
    struct policy_grant *have = &acl->grant[i];
    if (have->to != grant->to || !slice_equal(have->account, grant->account)) continue;
    have->rights |= grant->rights;
    return true;
  }
  if (acl->count == POLICY_GRANTS_MAX) return false;
  acl->grant[acl->count++] = *grant;
  return true;
}

bool policy_acl_canned(struct slice name, struct slice owner, struct slice bucket_owner,
                       struct policy_acl *out) {
  static const struct {
    const char *name;
    enum policy_grantee to;
    unsigned rights; /* 0: the owner alone; POLICY_TO_ACCOUNT: the bucket's owner */
  } rows[] = {
      {"private", POLICY_TO_ACCOUNT, 0},
      {"public-read", POLICY_TO_EVERYBODY, POLICY_READ},
      {"public-read-write", POLICY_TO_EVERYBODY, POLICY_READ | POLICY_WRITE},
      {"authenticated-read", POLICY_TO_ACCOUNTS, POLICY_READ},
      {"bucket-owner-read", POLICY_TO_ACCOUNT, POLICY_READ},
      {"bucket-owner-full-control", POLICY_TO_ACCOUNT, POLICY_FULL_CONTROL},
      {"log-delivery-write", POLICY_TO_LOG_DELIVERY, POLICY_WRITE | POLICY_READ_ACP},
  };
  assert(out != NULL && owner.len > 0);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    if (!slice_equal(name, slice_str(rows[i].name))) continue;
    struct policy_grant all = {.to = POLICY_TO_ACCOUNT, .rights = POLICY_FULL_CONTROL, .account = owner};
    struct policy_grant more = {.to = rows[i].to, .rights = rows[i].rights};
    if (more.to == POLICY_TO_ACCOUNT) more.account = bucket_owner;
    out->owner = owner;
    out->count = 0;
    return policy_acl_add(out, &all) && (more.rights == 0 || policy_acl_add(out, &more));
  }
  return false;
}

/* ---- headers ---------------------------------------------------------------------------------------- */

static struct slice blanks_cut(struct slice s) {
  while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) s = slice_cut(s, 1, s.len);
  while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t')) s = slice_cut(s, 0, s.len - 1);
  assert(s.data != NULL || s.len == 0);
  return s;
}

/* id="…" or uri="…"; the quotes may be left out. */
static bool grantee_parse(struct slice text, struct policy_grant *out) {
  text = blanks_cut(text);
  size_t equals = slice_find(text, '=');
  assert(out != NULL);
  if (equals == text.len) return false;
  struct slice kind = blanks_cut(slice_cut(text, 0, equals));
  struct slice value = blanks_cut(slice_cut(text, equals + 1, text.len));
  if (value.len >= 2 && value.data[0] == '"' && value.data[value.len - 1] == '"')
    value = slice_cut(value, 1, value.len - 1);
  if (slice_equal_nocase(kind, SLICE_LIT("uri"))) return policy_group_of_uri(value, &out->to);
  out->to = POLICY_TO_ACCOUNT;
  out->account = value;
  return slice_equal_nocase(kind, SLICE_LIT("id")) && account_is_sound(value);
}

enum dom_code policy_acl_header(struct slice value, unsigned rights, struct policy_acl *acl,
                                struct dom_err *err) {
  assert(acl != NULL && rights != 0);
  while (true) {
    size_t comma = slice_find(value, ',');
    struct policy_grant grant = {.rights = rights};
    if (!grantee_parse(slice_cut(value, 0, comma), &grant))
      return dom_fail(err, DOM_INVALID, "policy/acl", "a grantee must read id=\"ACCOUNT\" or uri=\"GROUP\"");
    if (!policy_acl_add(acl, &grant))
      return dom_fail(err, DOM_TOO_LARGE, "policy/acl", "an ACL may hold %d grants", POLICY_GRANTS_MAX);
    if (comma == value.len) return DOM_OK;
    value = slice_cut(value, comma + 1, value.len);
  }
}

/* ---- what it says ------------------------------------------------------------------------------------ */

bool policy_acl_is_public(const struct policy_acl *acl) {
  assert(acl != NULL);
  for (size_t i = 0; i < acl->count; i++)
    if (acl->grant[i].to == POLICY_TO_EVERYBODY || acl->grant[i].to == POLICY_TO_ACCOUNTS) return true;
  return false;
}

bool policy_acl_is_plain(const struct policy_acl *acl, struct slice bucket_owner) {
  assert(acl != NULL && bucket_owner.len > 0);
  for (size_t i = 0; i < acl->count; i++) {
    const struct policy_grant *g = &acl->grant[i];
    bool is_own = slice_equal(g->account, acl->owner) || slice_equal(g->account, bucket_owner);
    if (g->to != POLICY_TO_ACCOUNT || !is_own || g->rights != POLICY_FULL_CONTROL) return false;
  }
  return true;
}

/* Whether it hands all to the bucket's owner, and nothing to anybody but the writer. */
static bool hands_over(const struct policy_acl *acl, struct slice writer, struct slice bucket_owner) {
  bool has = false;
  for (size_t i = 0; i < acl->count; i++) {
    const struct policy_grant *g = &acl->grant[i];
    bool to_owner = slice_equal(g->account, bucket_owner);
    if (g->to != POLICY_TO_ACCOUNT || !(to_owner || slice_equal(g->account, writer))) return false;
    has = has || (to_owner && g->rights == POLICY_FULL_CONTROL);
  }
  return has;
}

bool policy_acl_of_new(const struct policy_acl *asked, struct slice writer, struct slice bucket_owner,
                       enum policy_ownership ownership, struct policy_acl *out) {
  assert(out != NULL && out != asked && writer.len > 0 && bucket_owner.len > 0);
  if (ownership == POLICY_OWNER_ENFORCED) return false;
  struct policy_grant all = {.to = POLICY_TO_ACCOUNT, .rights = POLICY_FULL_CONTROL, .account = writer};
  out->count = 0;
  if (asked != NULL) *out = *asked;
  out->owner = bucket_owner;
  if (!slice_equal(writer, bucket_owner)) (void)policy_acl_add(out, &all); /* else there are a hundred */
  if (ownership == POLICY_OWNER_PREFERRED && hands_over(out, writer, bucket_owner)) return false;
  return !policy_acl_is_plain(out, bucket_owner);
}

enum policy_set policy_acl_may_set(const struct policy_acl *acl, struct slice bucket_owner,
                                   enum policy_ownership ownership, const struct policy_block *block) {
  assert(acl != NULL && block != NULL);
  if (ownership == POLICY_OWNER_ENFORCED && !policy_acl_is_plain(acl, bucket_owner))
    return POLICY_SET_UNSUPPORTED;
  return block->block_public_acls && policy_acl_is_public(acl) ? POLICY_SET_BLOCKED : POLICY_SET_OK;
}

/* ---- ownership ----------------------------------------------------------------------------------------- */

static const char *const ownership_names[] = {[POLICY_OWNER_ENFORCED] = "BucketOwnerEnforced",
                                              [POLICY_OWNER_PREFERRED] = "BucketOwnerPreferred",
                                              [POLICY_OBJECT_WRITER] = "ObjectWriter"};

const char *policy_ownership_name(enum policy_ownership ownership) {
  assert((unsigned)ownership < sizeof ownership_names / sizeof ownership_names[0]);
  return ownership_names[ownership];
}

bool policy_ownership_of_name(struct slice name, enum policy_ownership *out) {
  assert(out != NULL);
  for (unsigned i = 0; i < sizeof ownership_names / sizeof ownership_names[0]; i++) {
    if (!slice_equal(name, slice_str(ownership_names[i]))) continue;
    *out = (enum policy_ownership)i;
    return true;
  }
  return false;
}

/* ---- stored form ----------------------------------------------------------------------------------------
 */

void policy_acl_print(const struct policy_acl *acl, struct buf *out) {
  assert(acl != NULL && out != NULL && acl->owner.len > 0);
  buf_append_str(out, "owner ");
  buf_append_slice(out, acl->owner);
  buf_append_byte(out, '\n');
  for (size_t i = 0; i < acl->count; i++) {
    const struct policy_grant *g = &acl->grant[i];
    buf_printf(out, "%u ", g->rights);
    buf_append_str(out, g->to == POLICY_TO_ACCOUNT ? "account " : group_words[g->to]);
    if (g->to == POLICY_TO_ACCOUNT) buf_append_slice(out, g->account);
    buf_append_byte(out, '\n');
  }
}

/* The next line, without its end; false when there is none left or it does not end. */
static bool line_next(struct slice *text, struct slice *out) {
  size_t end = slice_find(*text, '\n');
  assert(out != NULL);
  if (end == text->len) return false;
  *out = slice_cut(*text, 0, end);
  *text = slice_cut(*text, end + 1, text->len);
  return true;
}

/* "RIGHTS account NAME" or "RIGHTS everybody". */
static bool grant_parse(struct slice line, struct policy_grant *out) {
  struct slice mark = SLICE_LIT("account ");
  size_t blank = slice_find(line, ' ');
  uint64_t rights = 0;
  assert(out != NULL);
  if (blank == line.len || slice_to_u64(slice_cut(line, 0, blank), &rights) != DOM_OK) return false;
  if (rights == 0 || rights > POLICY_FULL_CONTROL) return false;
  struct slice who = slice_cut(line, blank + 1, line.len);
  *out = (struct policy_grant){.to = POLICY_TO_ACCOUNT, .rights = (unsigned)rights};
  if (slice_starts_with(who, mark)) {
    out->account = slice_cut(who, mark.len, who.len);
    return account_is_sound(out->account);
  }
  for (unsigned to = POLICY_TO_EVERYBODY; to <= POLICY_TO_LOG_DELIVERY; to++) {
    if (!slice_equal(who, slice_str(group_words[to]))) continue;
    out->to = (enum policy_grantee)to;
    return true;
  }
  return false;
}

enum dom_code policy_acl_parse(struct slice text, struct policy_acl *out, struct dom_err *err) {
  struct slice line, mark = SLICE_LIT("owner ");
  struct policy_acl read;
  assert(out != NULL);
  read.owner = (struct slice){0};
  read.count = 0;
  if (text.len > POLICY_ACL_TEXT_BYTES_MAX)
    return dom_fail(err, DOM_TOO_LARGE, "policy/acl", "longer than any ACL");
  bool fits = line_next(&text, &line) && slice_starts_with(line, mark) && line.len > mark.len;
  fits = fits && account_is_sound(slice_cut(line, mark.len, line.len));
  if (fits) read.owner = slice_cut(line, mark.len, line.len);
  while (fits && text.len > 0) {
    struct policy_grant grant;
    fits = line_next(&text, &line) && grant_parse(line, &grant) && policy_acl_add(&read, &grant);
  }
  if (!fits) return dom_fail(err, DOM_INVALID, "policy/acl", "a stored ACL does not decode");
  out->owner = read.owner;
  out->count = read.count;
  memcpy(out->grant, read.grant, read.count * sizeof read.grant[0]);
  return DOM_OK;
}
