/* A session at a PKCS#11 token, as wrap_pkcs11.c uses it. Source: PKCS #11 v2.40 (OASIS), RFC 7512. */
#ifndef DOMICILE_VAULT_WRAP_PKCS11_H
#define DOMICILE_VAULT_WRAP_PKCS11_H

#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>

#include "vault/wrap.h"

enum {
  P11_PIN_MAX = 255,  /* bytes; tokens take far fewer */
  P11_SLOTS_MAX = 64, /* tokens looked at of one module */
  P11_MODULES_MAX = 8 /* modules of p11-kit's settings */
};

struct p11 {
  P11KitUri *uri;
  CK_FUNCTION_LIST *module;   /* one named by path; NULL: `modules` */
  CK_FUNCTION_LIST **modules; /* those of p11-kit's settings, NULL at the end; NULL: `module` */
  CK_FUNCTION_LIST *at;       /* the one whose token is used */
  CK_SESSION_HANDLE session;
  CK_OBJECT_HANDLE key;
  bool connected;
  char *pin;             /* secret memory of P11_PIN_MAX + 1 bytes, ended by NUL; empty: none was given */
  enum dom_code refused; /* the PIN was refused: this, for ever */
};

/* Loads the module `path`, or those of p11-kit's settings when NULL. DOM_NOT_FOUND, DOM_IO. */
enum dom_code p11_load(struct p11 *p, const char *path, struct dom_err *err);
/* Finds the token, logs in and finds the key. */
enum dom_code p11_connect(struct p11 *p, struct dom_err *err);
/* Ends the session and unloads. */
void p11_done(struct p11 *p);
/* True for answers that say that the session, its login or its token went away: worth one new session. */
bool p11_lost(CK_RV rv);
/* What a module's answer means, with what to do. Returns: never DOM_OK. */
enum dom_code p11_fail(struct dom_err *err, CK_RV rv, const char *what);

#endif
