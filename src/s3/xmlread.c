#include "s3/xmlread.h"

#include <assert.h>
#include <expat.h>

#include "base/alloc.h"
#include "s3/limits.h"

struct xmlread {
  XML_Parser parser;
  const char *root;
  xmlread_element *element;
  void *context;
  enum s3_error failed;
  unsigned depth;
  size_t marks[S3_XML_DEPTH_MAX]; /* length of `path` before each open element */
  char path[XMLREAD_PATH_BYTES_MAX];
  size_t path_len;
  struct buf text;
};

static void stop(struct xmlread *r, enum s3_error error) {
  assert(error != S3_OK);
  if (r->failed == S3_OK) r->failed = error;
  (void)XML_StopParser(r->parser, XML_FALSE);
}

static const char *local_name(const char *name) {
  const char *colon = strrchr(name, ':');
  assert(name[0] != '\0');
  return colon == NULL ? name : colon + 1;
}

static void XMLCALL on_start(void *data, const XML_Char *qualified, const XML_Char **attributes) {
  struct xmlread *r = data;
  const char *name = local_name(qualified);
  size_t len = strlen(name);
  (void)attributes;
  assert(r->depth <= S3_XML_DEPTH_MAX);
  if (r->failed != S3_OK) return;
  bool fits = r->depth < S3_XML_DEPTH_MAX && r->path_len + 1 + len <= sizeof r->path;
  if (!fits || (r->depth == 0 && strcmp(name, r->root) != 0)) {
    stop(r, S3_ERR_MALFORMED_XML);
    return;
  }
  r->marks[r->depth] = r->path_len;
  if (r->depth > 0) r->path[r->path_len++] = '/';
  memcpy(r->path + r->path_len, name, len);
  r->path_len += len;
  r->depth++;
  buf_reset(&r->text);
}

static void XMLCALL on_end(void *data, const XML_Char *name) {
  struct xmlread *r = data;
  (void)name;
  if (r->failed != S3_OK) return;
  assert(r->depth > 0);
  if (r->text.failed) {
    stop(r, S3_ERR_INTERNAL_ERROR);
    return;
  }
  enum s3_error error = r->element(r->context, slice_of(r->path, r->path_len), buf_slice(&r->text));
  if (error != S3_OK) stop(r, error);
  r->depth--;
  r->path_len = r->marks[r->depth];
  buf_reset(&r->text);
}

static void XMLCALL on_text(void *data, const XML_Char *text, int len) {
  struct xmlread *r = data;
  assert(len >= 0);
  if (r->failed != S3_OK) return;
  if (r->text.len + (size_t)len > XMLREAD_TEXT_BYTES_MAX)
    stop(r, S3_ERR_MALFORMED_XML);
  else
    buf_append(&r->text, text, (size_t)len);
}

/* A DTD is where entities, external files and exponential growth come from: none is read. */
static void XMLCALL on_doctype(void *data, const XML_Char *name, const XML_Char *system_id,
                               const XML_Char *public_id, int has_internal) {
  struct xmlread *r = data;
  (void)name, (void)system_id, (void)public_id, (void)has_internal;
  assert(r != NULL);
  stop(r, S3_ERR_MALFORMED_XML);
}

static enum s3_error run(struct xmlread *r, struct slice body) {
  assert(body.len <= INT32_MAX);
  XML_SetUserData(r->parser, r);
  XML_SetElementHandler(r->parser, on_start, on_end);
  XML_SetCharacterDataHandler(r->parser, on_text);
  XML_SetStartDoctypeDeclHandler(r->parser, on_doctype);
  enum XML_Status status = XML_Parse(r->parser, (const char *)body.data, (int)body.len, XML_TRUE);
  if (r->failed != S3_OK) return r->failed;
  if (status == XML_STATUS_OK) return S3_OK;
  return XML_GetErrorCode(r->parser) == XML_ERROR_NO_MEMORY ? S3_ERR_INTERNAL_ERROR : S3_ERR_MALFORMED_XML;
}

enum s3_error xmlread_document(struct slice body, size_t bytes_max, const char *root,
                               xmlread_element *element, void *context) {
  static const XML_Memory_Handling_Suite memory = {dom_alloc, dom_realloc, dom_free};
  struct xmlread r = {.root = root, .element = element, .context = context};
  assert(root != NULL && element != NULL);
  if (body.len > bytes_max) return S3_ERR_MAX_MESSAGE_LENGTH;
  if (body.len == 0) return S3_ERR_MALFORMED_XML;
  r.parser = XML_ParserCreate_MM(NULL, &memory, NULL);
  if (r.parser == NULL) return S3_ERR_INTERNAL_ERROR;
  enum s3_error error = run(&r, body);
  XML_ParserFree(r.parser);
  buf_done(&r.text);
  return error;
}
