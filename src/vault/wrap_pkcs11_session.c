/* Modules, tokens, sessions and keys of PKCS#11: finding the one that the URI names. */
#include <assert.h>
#include <unistd.h>

#include "vault/wrap_pkcs11.h"

static const char where[] = "vault/pkcs11";

bool p11_lost(CK_RV rv) {
  return rv == CKR_SESSION_HANDLE_INVALID || rv == CKR_SESSION_CLOSED || rv == CKR_DEVICE_REMOVED ||
         rv == CKR_TOKEN_NOT_PRESENT || rv == CKR_USER_NOT_LOGGED_IN || rv == CKR_OBJECT_HANDLE_INVALID ||
         rv == CKR_KEY_HANDLE_INVALID || rv == CKR_DEVICE_ERROR;
}

enum dom_code p11_fail(struct dom_err *err, CK_RV rv, const char *what) {
  assert(rv != CKR_OK);
  if (rv == CKR_HOST_MEMORY || rv == CKR_DEVICE_MEMORY)
    return dom_fail(err, DOM_NO_MEMORY, where, "%s: no memory", what);
  if (rv == CKR_PIN_INCORRECT || rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE)
    return dom_fail(
        err, DOM_DENIED, where,
        "%s: the token refuses the PIN. It was tried once and is not tried again, since tokens lock "
        "after a few tries: put the right one into the PIN file, then start again",
        what);
  if (rv == CKR_PIN_LOCKED || rv == CKR_PIN_EXPIRED)
    return dom_fail(err, DOM_DENIED, where,
                    "%s: the PIN is %s: have the token's security officer set a new one", what,
                    rv == CKR_PIN_LOCKED ? "locked after wrong tries" : "expired");
  if (p11_lost(rv))
    return dom_fail(
        err, DOM_UNAVAILABLE, where,
        "%s: the token or its session went away (%s): see that the token is there and reachable, then "
        "try again",
        what, p11_kit_strerror(rv));
  return dom_fail(err, DOM_IO, where, "%s: the module answers %s (0x%lx)", what, p11_kit_strerror(rv), rv);
}

/* ---- modules ---------------------------------------------------------------------------- */

static enum dom_code load_one(struct p11 *p, const char *path, struct dom_err *err) {
  if (access(path, R_OK) != 0)
    return dom_fail(err, DOM_NOT_FOUND, where,
                    "no PKCS#11 module at %s: install the token's module, or name its path (kek_module, or "
                    "module-path in the URI)",
                    path);
  CK_FUNCTION_LIST *module = p11_kit_module_load(path, P11_KIT_MODULE_CRITICAL);
  if (!module)
    return dom_fail(err, DOM_NOT_FOUND, where, "%s is no PKCS#11 module that can be loaded: %s", path,
                    p11_kit_message() ? p11_kit_message() : "no reason given");
  CK_RV rv = p11_kit_module_initialize(module);
  if (rv != CKR_OK) {
    p11_kit_module_release(module);
    return p11_fail(err, rv, "starting the PKCS#11 module");
  }
  p->module = module;
  return DOM_OK;
}

enum dom_code p11_load(struct p11 *p, const char *path, struct dom_err *err) {
  assert(!p->module && !p->modules);
  if (path) return load_one(p, path, err);
  p->modules = p11_kit_modules_load_and_initialize(0);
  if (p->modules && p->modules[0]) return DOM_OK;
  return dom_fail(
      err, DOM_NOT_FOUND, where,
      "p11-kit knows no PKCS#11 module: name one by its path (kek_module, or module-path in the URI)");
}

static void disconnect(struct p11 *p) {
  if (p->connected) p->at->C_CloseSession(p->session); /* the last one also logs out */
  p->connected = false;
}

void p11_done(struct p11 *p) {
  disconnect(p);
  if (p->module) {
    p11_kit_module_finalize(p->module);
    p11_kit_module_release(p->module);
  }
  if (p->modules) p11_kit_modules_finalize_and_release(p->modules);
  if (p->uri) p11_kit_uri_free(p->uri);
}

/* ---- tokens ----------------------------------------------------------------------------- */

struct match {
  CK_FUNCTION_LIST *module;
  CK_SLOT_ID slot;
  CK_TOKEN_INFO info;
  unsigned found, seen;
};

static enum dom_code match_slots(const struct p11 *p, CK_FUNCTION_LIST *module, struct match *m,
                                 struct dom_err *err) {
  CK_SLOT_ID slots[P11_SLOTS_MAX];
  CK_ULONG count = P11_SLOTS_MAX;
  CK_RV rv = module->C_GetSlotList(CK_TRUE, slots, &count);
  if (rv != CKR_OK) return p11_fail(err, rv, "listing tokens");
  for (CK_ULONG i = 0; i < count; i++) {
    CK_TOKEN_INFO info;
    if (module->C_GetTokenInfo(slots[i], &info) != CKR_OK) continue;
    m->seen++;
    if (!p11_kit_uri_match_token_info(p->uri, &info)) continue;
    if (p11_kit_uri_get_slot_id(p->uri) != (CK_SLOT_ID)-1 && p11_kit_uri_get_slot_id(p->uri) != slots[i])
      continue;
    m->found++;
    m->module = module;
    m->slot = slots[i];
    m->info = info;
  }
  return DOM_OK;
}

static enum dom_code find_token(const struct p11 *p, struct match *m, struct dom_err *err) {
  enum dom_code code = p->module ? match_slots(p, p->module, m, err) : DOM_OK;
  for (size_t i = 0; p->modules && p->modules[i] && code == DOM_OK; i++)
    code = match_slots(p, p->modules[i], m, err);
  if (code != DOM_OK) return code;
  if (m->found == 0)
    return dom_fail(
        err, DOM_NOT_FOUND, where,
        "no token is as the URI says (%u others are there): put it in, start its service, or correct "
        "token=, serial= or manufacturer= of the URI",
        m->seen);
  if (m->found > 1)
    return dom_fail(err, DOM_INVALID, where, "%u tokens are as the URI says: add serial= to name one",
                    m->found);
  return DOM_OK;
}

/* ---- login ------------------------------------------------------------------------------ */

/* The last try is a person's: a program that uses it up locks the token. */
static enum dom_code check_tries(const CK_TOKEN_INFO *info, struct dom_err *err) {
  if (info->flags & CKF_USER_PIN_LOCKED) return p11_fail(err, CKR_PIN_LOCKED, "logging in");
  if (info->flags & CKF_USER_PIN_FINAL_TRY)
    return dom_fail(
        err, DOM_DENIED, where,
        "one wrong PIN more locks the token, so none is tried: log in by hand with the right one (that "
        "clears the count), then start again");
  return DOM_OK;
}

static enum dom_code log_in(struct p11 *p, const CK_TOKEN_INFO *info, struct dom_err *err) {
  if (!(info->flags & CKF_LOGIN_REQUIRED)) return DOM_OK;
  size_t len = strlen(p->pin);
  bool keypad = (info->flags & CKF_PROTECTED_AUTHENTICATION_PATH) != 0;
  if (len == 0 && !keypad)
    return dom_fail(
        err, DOM_INVALID, where,
        "the token asks for a PIN: name a file that holds it (kek_pin_file, or pin-source in the URI), "
        "or set DOMICILE_KEK_PIN");
  enum dom_code code = check_tries(info, err);
  if (code != DOM_OK) return code;
  CK_RV rv = p->at->C_Login(p->session, CKU_USER, len ? (CK_UTF8CHAR_PTR)p->pin : NULL, len);
  if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN) return DOM_OK;
  code = p11_fail(err, rv, "logging in");
  if (code == DOM_DENIED) p->refused = code;
  return code;
}

/* ---- the key ---------------------------------------------------------------------------- */

/* An AES-256 key that wraps and cannot leave. */
static enum dom_code check_key(struct p11 *p, CK_OBJECT_HANDLE key, struct dom_err *err) {
  CK_KEY_TYPE type = (CK_KEY_TYPE)-1;
  CK_ULONG size = 0;
  CK_BBOOL encrypt = CK_FALSE, decrypt = CK_FALSE, extractable = CK_TRUE, sensitive = CK_FALSE;
  CK_ATTRIBUTE kind = {CKA_KEY_TYPE, &type, sizeof type}, length = {CKA_VALUE_LEN, &size, sizeof size};
  CK_ATTRIBUTE rest[] = {{CKA_ENCRYPT, &encrypt, sizeof encrypt},
                         {CKA_DECRYPT, &decrypt, sizeof decrypt},
                         {CKA_EXTRACTABLE, &extractable, sizeof extractable},
                         {CKA_SENSITIVE, &sensitive, sizeof sensitive}};
  CK_RV rv = p->at->C_GetAttributeValue(p->session, key, &kind, 1);
  if (rv == CKR_OK && type == CKK_AES) rv = p->at->C_GetAttributeValue(p->session, key, &length, 1);
  if (rv == CKR_OK && type == CKK_AES) rv = p->at->C_GetAttributeValue(p->session, key, rest, 4);
  if (rv != CKR_OK) return p11_fail(err, rv, "looking at the wrapping key");
  if (type != CKK_AES || size != KEY_SIZE)
    return dom_fail(
        err, DOM_INCOMPATIBLE, where,
        "the object named by the URI is no AES key of 256 bits: make one on the token and name it");
  if (!encrypt || !decrypt)
    return dom_fail(
        err, DOM_INCOMPATIBLE, where,
        "the wrapping key may not encrypt and decrypt (CKA_ENCRYPT, CKA_DECRYPT): make one that may");
  if (extractable || !sensitive)
    return dom_fail(
        err, DOM_INCOMPATIBLE, where,
        "the wrapping key may leave its token (CKA_EXTRACTABLE, or not CKA_SENSITIVE): make one that "
        "may not");
  return DOM_OK;
}

static enum dom_code find_key(struct p11 *p, struct dom_err *err) {
  CK_ULONG count = 0, found = 0;
  CK_ATTRIBUTE *wanted = p11_kit_uri_get_attributes(p->uri, &count);
  CK_OBJECT_CLASS class = CKO_SECRET_KEY;
  CK_ATTRIBUTE filter[8] = {{CKA_CLASS, &class, sizeof class}}; /* RFC 7512 knows three of objects */
  CK_OBJECT_HANDLE keys[2];
  CK_ULONG n = 1;
  for (CK_ULONG i = 0; i < count && n < 8; i++)
    if (wanted[i].type != CKA_CLASS) filter[n++] = wanted[i];
  CK_RV rv = p->at->C_FindObjectsInit(p->session, filter, n);
  if (rv == CKR_OK) {
    rv = p->at->C_FindObjects(p->session, keys, 2, &found);
    p->at->C_FindObjectsFinal(p->session);
  }
  if (rv != CKR_OK) return p11_fail(err, rv, "looking for the wrapping key");
  if (found == 0)
    return dom_fail(
        err, DOM_NOT_FOUND, where,
        "the token holds no secret key as the URI says: make it there, or correct object= or id=");
  if (found > 1)
    return dom_fail(err, DOM_INVALID, where, "more than one key is as the URI says: add id= to name one");
  enum dom_code code = check_key(p, keys[0], err);
  if (code == DOM_OK) p->key = keys[0];
  return code;
}

enum dom_code p11_connect(struct p11 *p, struct dom_err *err) {
  struct match m = {0};
  disconnect(p);
  if (p->refused != DOM_OK)
    return dom_fail(
        err, p->refused, where,
        "the token refused the PIN before; it is not tried again by this process: correct it and start "
        "again");
  enum dom_code code = find_token(p, &m, err);
  if (code != DOM_OK) return code;
  p->at = m.module;
  CK_RV rv = p->at->C_OpenSession(m.slot, CKF_SERIAL_SESSION, NULL, NULL, &p->session);
  if (rv != CKR_OK) return p11_fail(err, rv, "opening a session");
  p->connected = true;
  code = log_in(p, &m.info, err);
  if (code == DOM_OK) code = find_key(p, err);
  if (code != DOM_OK) disconnect(p);
  return code;
}
