#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "ledger/verify_result.h"

int domicile_verify_version(void) {
  return DOMICILE_VERIFY_VERSION;
}

const char *domicile_code_name(enum domicile_code code) {
  static const char *const names[] = {
      [DOMICILE_VERIFIED] = "verified",   [DOMICILE_UNAUTHENTICATED] = "unauthenticated",
      [DOMICILE_MALFORMED] = "malformed", [DOMICILE_BAD_SIGNATURE] = "bad-signature",
      [DOMICILE_BAD_HASH] = "bad-hash",   [DOMICILE_BAD_OPENING] = "bad-opening",
      [DOMICILE_MISSING] = "missing",     [DOMICILE_EXTRA] = "extra",
      [DOMICILE_REWRITTEN] = "rewritten", [DOMICILE_UNSUPPORTED] = "unsupported",
      [DOMICILE_FAILED] = "failed"};
  unsigned number = (unsigned)code;
  return number < sizeof names / sizeof names[0] ? names[number] : "unknown";
}

struct domicile_verifier *domicile_verifier_new(void) {
  return dom_calloc(1, sizeof(struct domicile_verifier));
}

void domicile_verifier_free(struct domicile_verifier *verifier) {
  if (!verifier) return;
  assert(verifier->key_count <= VERIFIER_KEYS_MAX);
  buf_done(&verifier->since);
  dom_free(verifier);
}

enum domicile_code domicile_verifier_add_key(struct domicile_verifier *verifier, const char *vkey) {
  assert(verifier && vkey);
  if (verifier->key_count == VERIFIER_KEYS_MAX) return DOMICILE_FAILED;
  struct note_key *key = &verifier->keys[verifier->key_count];
  enum dom_code code = ledger_vkey_parse(slice_str(vkey), key->origin, key->public_key, NULL);
  if (code == DOM_NO_MEMORY) return DOMICILE_FAILED;
  if (code != DOM_OK) return DOMICILE_MALFORMED;
  verifier->key_count++;
  return DOMICILE_VERIFIED;
}

enum domicile_code domicile_verifier_since(struct domicile_verifier *verifier, const void *checkpoint,
                                           size_t len) {
  assert(verifier && (checkpoint || len == 0));
  struct checkpoint head;
  struct slice body, signatures;
  if (checkpoint_parse(slice_of(checkpoint, len), &head, &body, &signatures, NULL) != DOM_OK)
    return DOMICILE_MALFORMED;
  buf_reset(&verifier->since);
  buf_append(&verifier->since, checkpoint, len);
  return verifier->since.failed ? DOMICILE_FAILED : DOMICILE_VERIFIED;
}

struct domicile_result *result_new(void) {
  struct domicile_result *r = dom_calloc(1, sizeof *r);
  assert(!r || r->code == DOMICILE_VERIFIED);
  return r;
}

__attribute__((format(printf, 2, 0))) static void say_line(struct domicile_result *r, const char *format,
                                                           va_list args) {
  char line[1024]; /* two origins and some words; longer lines are cut */
  int len = vsnprintf(line, sizeof line, format, args);
  assert(r && len >= 0);
  buf_append_str(&r->text, line);
  buf_append_byte(&r->text, '\n');
}

void result_say(struct domicile_result *r, const char *format, ...) {
  assert(r && format);
  va_list args;
  va_start(args, format);
  say_line(r, format, args);
  va_end(args);
}

bool result_fail(struct domicile_result *r, enum domicile_code code, const char *format, ...) {
  assert(r && code > DOMICILE_UNAUTHENTICATED);
  va_list args;
  if (r->code <= DOMICILE_UNAUTHENTICATED) r->code = code;
  va_start(args, format);
  say_line(r, format, args);
  va_end(args);
  return false;
}

struct domicile_result *result_end(struct domicile_result *r) {
  assert(r);
  if (r->text.failed || r->event.failed) r->code = DOMICILE_FAILED;
  if (r->code == DOMICILE_UNAUTHENTICATED)
    result_say(r, "internally consistent, origin not authenticated: no key was given");
  buf_str(&r->text); /* reserves the final NUL, so that getters cannot fail */
  buf_str(&r->event);
  return r;
}

bool verify_head(const struct domicile_verifier *v, struct domicile_result *r, struct slice text,
                 const char *what, struct checkpoint *out) {
  assert(v && r && what && out);
  struct dom_err err = {.code = DOM_OK};
  struct checkpoint head;
  struct slice body, signatures;
  bool known = false, verified = false;
  if (checkpoint_parse(text, &head, &body, &signatures, &err) != DOM_OK)
    return result_fail(r, DOMICILE_MALFORMED, "%s is not a checkpoint: %s", what, err.text);
  for (size_t i = 0; i < v->key_count && !verified; i++) {
    known = known || strcmp(v->keys[i].origin, head.origin) == 0;
    verified = checkpoint_verify(&head, body, signatures, &v->keys[i]);
  }
  if (v->key_count == 0)
    r->code = r->code == DOMICILE_VERIFIED ? DOMICILE_UNAUTHENTICATED : r->code;
  else if (!known)
    return result_fail(r, DOMICILE_BAD_SIGNATURE, "%s is of %s: no key was given for it", what, head.origin);
  else if (!verified)
    return result_fail(r, DOMICILE_BAD_SIGNATURE, "%s is not signed by the key given for %s", what,
                       head.origin);
  *out = head;
  return true;
}

void domicile_result_free(struct domicile_result *result) {
  if (!result) return;
  assert(result->code <= DOMICILE_FAILED);
  buf_done(&result->text);
  buf_done(&result->event);
  dom_free(result);
}

enum domicile_code domicile_result_code(const struct domicile_result *result) {
  assert(result);
  return result->code;
}

/* result_end made room for the NUL; without memory there is nothing to show. */
static const char *shown(const struct buf *b) {
  assert(b);
  return b->failed || !b->data ? "" : (const char *)b->data;
}

const char *domicile_result_text(const struct domicile_result *result) {
  assert(result);
  return shown(&result->text);
}

const char *domicile_result_origin(const struct domicile_result *result) {
  assert(result);
  return result->origin;
}

uint64_t domicile_result_size(const struct domicile_result *result) {
  assert(result);
  return result->size;
}

const char *domicile_result_root(const struct domicile_result *result) {
  assert(result);
  return result->root;
}

uint64_t domicile_result_index(const struct domicile_result *result) {
  assert(result);
  return result->index;
}

const char *domicile_result_event(const struct domicile_result *result) {
  assert(result);
  return shown(&result->event);
}
