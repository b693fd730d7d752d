/* KEKs wrapped by a key of a PKCS#11 token: CKM_AES_GCM, done by the token. */
#include "vault/wrap_pkcs11.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

static const char where[] = "vault/pkcs11";

struct wrap_pkcs11 {
  struct vault_wrap wrap;
  struct p11 p11;
};

/* ---- wrapping --------------------------------------------------------------------------- */

/* One use of the token's key: which way, the mechanism, bytes in and out. */
struct use {
  bool encrypt;
  CK_MECHANISM *mechanism;
  struct slice in;
  uint8_t *out;
  CK_ULONG out_len; /* room, then bytes */
};

static CK_RV use_once(struct p11 *p, struct use *u) {
  CK_FUNCTION_LIST *f = p->at;
  CK_ULONG room = u->out_len;
  CK_RV rv = u->encrypt ? f->C_EncryptInit(p->session, u->mechanism, p->key)
                        : f->C_DecryptInit(p->session, u->mechanism, p->key);
  if (rv != CKR_OK) return rv;
  rv = u->encrypt ? f->C_Encrypt(p->session, (CK_BYTE_PTR)u->in.data, u->in.len, u->out, &room)
                  : f->C_Decrypt(p->session, (CK_BYTE_PTR)u->in.data, u->in.len, u->out, &room);
  if (rv == CKR_OK) u->out_len = room;
  return rv;
}

/* A session that went away is opened once more; whatever else goes wrong is the caller's. */
static enum dom_code use_key(struct p11 *p, struct use *u, CK_RV *out_rv, struct dom_err *err) {
  CK_RV rv = p->connected ? use_once(p, u) : CKR_SESSION_CLOSED;
  if (p11_lost(rv)) {
    enum dom_code code = p11_connect(p, err);
    if (code != DOM_OK) return code;
    rv = use_once(p, u);
  }
  *out_rv = rv;
  return DOM_OK;
}

static enum dom_code token_wrap(struct vault_wrap *w, uint64_t id, const uint8_t key[KEY_SIZE],
                                struct buf *out, struct dom_err *err) {
  uint8_t nonce[GCM_NONCE_SIZE], aad[WRAP_AAD_SIZE], sealed[KEY_SIZE + GCM_TAG_SIZE];
  CK_RV rv = CKR_OK;
  random_bytes(nonce, sizeof nonce); /* a token that makes its own puts it here */
  wrap_aad(id, aad);
  CK_GCM_PARAMS params = {nonce, sizeof nonce, sizeof nonce * 8, aad, sizeof aad, GCM_TAG_SIZE * 8};
  CK_MECHANISM gcm = {CKM_AES_GCM, &params, sizeof params};
  struct use u = {true, &gcm, slice_of(key, KEY_SIZE), sealed, sizeof sealed};
  enum dom_code code = use_key(&((struct wrap_pkcs11 *)w)->p11, &u, &rv, err);
  if (code != DOM_OK) return code;
  if (rv == CKR_MECHANISM_INVALID)
    return dom_fail(err, DOM_INCOMPATIBLE, where, "the token does not know CKM_AES_GCM: use another one");
  if (rv != CKR_OK) return p11_fail(err, rv, "wrapping a KEK");
  if (u.out_len != sizeof sealed)
    return dom_fail(err, DOM_INCOMPATIBLE, where, "the token wraps a KEK to %lu bytes instead of %zu",
                    u.out_len, sizeof sealed);
  struct wrap_content c = {slice_of(nonce, sizeof nonce), slice_of(sealed, sizeof sealed)};
  wrap_content_encode(&c, out);
  return buf_check(out, err);
}

/* Answers to bytes that do not open; modules differ in which. */
static bool is_refusal(CK_RV rv) {
  return rv == CKR_ENCRYPTED_DATA_INVALID || rv == CKR_ENCRYPTED_DATA_LEN_RANGE || rv == CKR_DATA_INVALID ||
         rv == CKR_GENERAL_ERROR || rv == CKR_FUNCTION_FAILED;
}

static enum dom_code token_unwrap(struct vault_wrap *w, uint64_t id, struct slice content,
                                  uint8_t out_key[KEY_SIZE], struct dom_err *err) {
  struct wrap_content c = {0};
  uint8_t nonce[GCM_NONCE_SIZE], aad[WRAP_AAD_SIZE], key[KEY_SIZE + GCM_TAG_SIZE];
  CK_RV rv = CKR_OK;
  enum dom_code code = wrap_content_decode(content, &c, err);
  if (code != DOM_OK) return code;
  memcpy(nonce, c.nonce.data, sizeof nonce);
  wrap_aad(id, aad);
  CK_GCM_PARAMS params = {nonce, sizeof nonce, sizeof nonce * 8, aad, sizeof aad, GCM_TAG_SIZE * 8};
  CK_MECHANISM gcm = {CKM_AES_GCM, &params, sizeof params};
  struct use u = {false, &gcm, c.sealed, key, sizeof key};
  code = use_key(&((struct wrap_pkcs11 *)w)->p11, &u, &rv, err);
  if (code == DOM_OK && is_refusal(rv)) {
    char name[VAULT_KEK_NAME_SIZE];
    vault_kek_name(id, name);
    code =
        dom_fail(err, DOM_CORRUPT, where,
                 "KEK %s does not unwrap under this key of the token: another key wrapped it, or its file is "
                 "damaged; name the right key, or restore the key folder",
                 name);
  } else if (code == DOM_OK && rv != CKR_OK) {
    code = p11_fail(err, rv, "unwrapping a KEK");
  } else if (code == DOM_OK && u.out_len != KEY_SIZE) {
    code = dom_fail(err, DOM_CORRUPT, where, "a KEK unwraps to %lu bytes instead of %d", u.out_len, KEY_SIZE);
  }
  if (code == DOM_OK) memcpy(out_key, key, KEY_SIZE);
  wipe(key, sizeof key);
  return code;
}

/* ---- opening ---------------------------------------------------------------------------- */

static void token_close(struct vault_wrap *w) {
  struct wrap_pkcs11 *t = (struct wrap_pkcs11 *)w;
  p11_done(&t->p11);
  if (t->p11.pin) secret_free(t->p11.pin, P11_PIN_MAX + 1);
  dom_free(t);
}

static const struct vault_wrap_ops PKCS11_OPS = {
    .wrap = token_wrap, .unwrap = token_unwrap, .close = token_close};

static enum dom_code pin_take(struct p11 *p, struct slice pin, const char *from, struct dom_err *err) {
  while (pin.len > 0 && (pin.data[pin.len - 1] == '\n' || pin.data[pin.len - 1] == '\r')) pin.len--;
  if (pin.len == 0 || pin.len > P11_PIN_MAX || slice_find(pin, 0) != pin.len)
    return dom_fail(err, DOM_INVALID, where, "%s must hold a PIN of 1 to %d bytes on one line", from,
                    P11_PIN_MAX);
  memcpy(p->pin, pin.data, pin.len);
  p->pin[pin.len] = 0;
  return DOM_OK;
}

/* What was checked is what is read: mode and content are of one descriptor. */
static enum dom_code pin_read(struct p11 *p, const char *path, struct dom_err *err) {
  struct stat st;
  uint8_t content[P11_PIN_MAX + 3]; /* a line end, and one more to see what is too long */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return dom_fail_errno(err, errno, where, path);
  ssize_t len = -1;
  enum dom_code code = DOM_OK;
  if (fstat(fd, &st) != 0) {
    code = dom_fail_errno(err, errno, where, path);
  } else if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    code =
        dom_fail(err, DOM_DENIED, where, "%s holds a PIN and is open to group or others; chmod 0600", path);
  } else {
    len = read(fd, content, sizeof content);
    code = len < 0 ? dom_fail_errno(err, errno, where, path)
                   : pin_take(p, slice_of(content, (size_t)len), path, err);
  }
  close(fd);
  wipe(content, sizeof content);
  return code;
}

static enum dom_code pin_find(struct p11 *p, const struct vault_pkcs11_options *o, struct dom_err *err) {
  const char *source = p11_kit_uri_get_pin_source(p->uri);
  if (o->pin_file) return pin_read(p, o->pin_file, err);
  if (source && strncmp(source, "file:", 5) == 0) source += 5;
  if (source && source[0] != '/')
    return dom_fail(err, DOM_INVALID, where, "pin-source of the URI must be a file by its whole path");
  if (source) return pin_read(p, source, err);
  return o->pin ? pin_take(p, slice_str(o->pin), "DOMICILE_KEK_PIN", err) : DOM_OK;
}

static enum dom_code uri_parse(struct p11 *p, const char *text, struct dom_err *err) {
  p->uri = p11_kit_uri_new();
  if (!p->uri) return dom_fail(err, DOM_NO_MEMORY, where, "no memory");
  int rc = p11_kit_uri_parse(text, P11_KIT_URI_FOR_OBJECT_ON_TOKEN_AND_MODULE, p->uri);
  if (rc != P11_KIT_URI_OK)
    return dom_fail(err, DOM_INVALID, where, "not a PKCS#11 URI (RFC 7512, pkcs11:token=…;object=…): %s",
                    p11_kit_uri_message(rc));
  if (p11_kit_uri_any_unrecognized(p->uri))
    return dom_fail(err, DOM_INVALID, where, "the PKCS#11 URI has a part that is not known (RFC 7512)");
  if (p11_kit_uri_get_pin_value(p->uri))
    return dom_fail(
        err, DOM_INVALID, where,
        "a PIN in the URI is there for all to read: put it into a file (pin-source, kek_pin_file)");
  if (!p11_kit_uri_get_attribute(p->uri, CKA_LABEL) && !p11_kit_uri_get_attribute(p->uri, CKA_ID))
    return dom_fail(err, DOM_INVALID, where, "the PKCS#11 URI names no key: object= or id= is missing");
  return DOM_OK;
}

enum dom_code vault_wrap_pkcs11_open(const struct vault_pkcs11_options *options, struct vault_wrap **out,
                                     struct dom_err *err) {
  assert(options && options->uri && out);
  struct wrap_pkcs11 *t = dom_calloc(1, sizeof *t);
  if (t) t->p11.pin = secret_alloc(P11_PIN_MAX + 1);
  if (!t || !t->p11.pin) {
    dom_free(t);
    return dom_fail(err, DOM_NO_MEMORY, where, "no memory");
  }
  t->wrap.ops = &PKCS11_OPS;
  enum dom_code code = uri_parse(&t->p11, options->uri, err);
  if (code == DOM_OK) code = pin_find(&t->p11, options, err);
  if (code == DOM_OK) {
    const char *path = options->module ? options->module : p11_kit_uri_get_module_path(t->p11.uri);
    code = p11_load(&t->p11, path, err);
  }
  if (code == DOM_OK) code = p11_connect(&t->p11, err);
  if (code != DOM_OK) {
    token_close(&t->wrap);
    return code;
  }
  *out = &t->wrap;
  return DOM_OK;
}
