#include "s3/access.h"

#include <assert.h>

#include "s3/limits.h"
#include "s3/xml.h"
#include "s3/xmlread.h"

/* A hundred grants of the longest account, each with what surrounds it. */
enum { ACL_BYTES_MAX = 64 * 1024 };

static bool path_is(struct slice path, const char *wanted) {
  assert(wanted != NULL);
  return slice_equal(path, slice_str(wanted));
}

static bool is_blank(uint8_t c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct slice bare(struct slice text) {
  assert(text.data != NULL || text.len == 0);
  while (text.len > 0 && is_blank(text.data[0])) text = slice_cut(text, 1, text.len);
  while (text.len > 0 && is_blank(text.data[text.len - 1])) text = slice_cut(text, 0, text.len - 1);
  return text;
}

static enum s3_error text_keep(struct arena *arena, struct slice text, struct slice *out) {
  text = bare(text);
  assert(out != NULL);
  *out = arena_copy(arena, text);
  return out->data == NULL && text.len > 0 ? S3_ERR_INTERNAL_ERROR : S3_OK;
}

/* ---- ACLs ---------------------------------------------------------------------------------------- */

struct acl_context {
  struct arena *arena;
  struct s3_acl *acl;
  struct s3_grant current;
};

static bool permission_is_known(struct slice text) {
  static const char *const names[] = {"READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    assert(names[i] != NULL);
    if (slice_equal(text, slice_str(names[i]))) return true;
  }
  return false;
}

static enum s3_error acl_grant(struct acl_context *c) {
  bool one = (c->current.id.len > 0) != (c->current.uri.len > 0);
  assert(c->acl->count <= S3_GRANTS_MAX);
  if (!one || !permission_is_known(c->current.permission) || c->acl->count == S3_GRANTS_MAX)
    return S3_ERR_MALFORMED_ACL;
  c->acl->grant[c->acl->count++] = c->current;
  c->current = (struct s3_grant){0};
  return S3_OK;
}

static enum s3_error acl_element(void *context, struct slice path, struct slice text) {
  struct acl_context *c = context;
  assert(c != NULL);
  if (path_is(path, "AccessControlPolicy/Owner/ID")) return text_keep(c->arena, text, &c->acl->owner);
  if (path_is(path, "AccessControlPolicy/AccessControlList/Grant/Grantee/ID"))
    return text_keep(c->arena, text, &c->current.id);
  if (path_is(path, "AccessControlPolicy/AccessControlList/Grant/Grantee/URI"))
    return text_keep(c->arena, text, &c->current.uri);
  if (path_is(path, "AccessControlPolicy/AccessControlList/Grant/Permission"))
    return text_keep(c->arena, text, &c->current.permission);
  return path_is(path, "AccessControlPolicy/AccessControlList/Grant") ? acl_grant(c) : S3_OK;
}

enum s3_error s3_acl_parse(struct slice body, struct arena *arena, struct s3_acl *out) {
  struct s3_acl acl = {.count = 0};
  struct acl_context c = {.arena = arena, .acl = &acl};
  assert(arena != NULL && out != NULL);
  enum s3_error error = xmlread_document(body, ACL_BYTES_MAX, "AccessControlPolicy", acl_element, &c);
  if (error == S3_OK) *out = acl;
  return error == S3_ERR_MALFORMED_XML ? S3_ERR_MALFORMED_ACL : error;
}

static void account_result(const char *name, struct slice id, struct buf *out) {
  assert(name != NULL);
  xml_open(out, name);
  xml_text(out, "ID", id);
  xml_text(out, "DisplayName", id);
  xml_close(out, name);
}

static void grantee_result(const struct s3_grant *g, struct buf *out) {
  bool is_group = g->uri.len > 0;
  assert(is_group || g->id.len > 0);
  buf_append_str(out, "<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"");
  buf_append_str(out, is_group ? "Group\">" : "CanonicalUser\">");
  if (is_group) {
    xml_text(out, "URI", g->uri);
  } else {
    xml_text(out, "ID", g->id);
    xml_text(out, "DisplayName", g->id);
  }
  xml_close(out, "Grantee");
}

void s3_acl_result(const struct s3_acl *acl, struct buf *out) {
  assert(acl != NULL && out != NULL && acl->owner.len > 0);
  xml_begin(out);
  xml_open_root(out, "AccessControlPolicy");
  account_result("Owner", acl->owner, out);
  xml_open(out, "AccessControlList");
  for (size_t i = 0; i < acl->count; i++) {
    xml_open(out, "Grant");
    grantee_result(&acl->grant[i], out);
    xml_text(out, "Permission", acl->grant[i].permission);
    xml_close(out, "Grant");
  }
  xml_close(out, "AccessControlList");
  xml_close(out, "AccessControlPolicy");
}

/* ---- policy status ------------------------------------------------------------------------------- */

void s3_policy_status_result(bool is_public, struct buf *out) {
  assert(out != NULL);
  xml_begin(out);
  xml_open_root(out, "PolicyStatus");
  xml_text(out, "IsPublic", is_public ? SLICE_LIT("true") : SLICE_LIT("false"));
  xml_close(out, "PolicyStatus");
}
