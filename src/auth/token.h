/* Scoped tokens: a credential for one subject's own objects, made by the subject's home and good there only.
 *
 * Nothing is stored of one. What it says stands in it, under a MAC of the home's own key; its secret is
 * derived from the same bytes by a second key. It names the subject by route token and the region by number,
 * never an id or an account. Format: docs/formats/token.md.
 * Functions are pure. Threads: any. */
#ifndef DOMICILE_AUTH_TOKEN_H
#define DOMICILE_AUTH_TOKEN_H

#include "auth/keys.h"
#include "base/crypto.h"

enum {
  AUTH_TOKEN_SUBJECT_SIZE = 32,         /* a route token */
  AUTH_TOKEN_TEXT = 132,                /* base64 of 99 bytes */
  AUTH_TOKEN_ACCESS = 20,               /* "DT" and 18 hex digits: as long as AWS's */
  AUTH_TOKEN_SECRET = 44,               /* base64 of 32 bytes */
  AUTH_TOKEN_TTL_S_MIN = 60,            /* less is over before a phone has used it */
  AUTH_TOKEN_TTL_S_MAX = 7 * 24 * 3600, /* as a presigned URL; a lost phone is no risk for longer */
};

/* What a token says. */
struct auth_token {
  uint16_t region; /* the home that made it */
  uint8_t subject[AUTH_TOKEN_SUBJECT_SIZE];
  uint64_t epoch;      /* the subject's when it was made: a move ends it */
  uint64_t generation; /* of the subject's tokens: a revocation ends those before */
  uint64_t issued_ms, expires_ms;
};

/* The credential, for whoever is to hold it. Wipe it after use. */
struct auth_token_credential {
  char text[AUTH_TOKEN_TEXT + 1]; /* x-amz-security-token */
  char access[AUTH_TOKEN_ACCESS + 1];
  char secret[AUTH_TOKEN_SECRET + 1];
};

/* Makes the credential under the region's token key: the same input always gives the same one.
 * Returns: DOM_NO_MEMORY. */
enum dom_code auth_token_mint(const uint8_t key[KEY_SIZE], const struct auth_token *token,
                              struct auth_token_credential *out);
/* What a token claims. Nothing of it is proven.
 * Returns: AUTH_INVALID_TOKEN not of that form; AUTH_NO_MEMORY. */
enum auth_error auth_token_peek(struct slice text, struct auth_token *out);
/* Checks the MAC, and that `access` is the token's; derives the secret into *out_key, whose account is left
 * empty. Time, epoch and generation are the caller's to look at.
 * Returns: AUTH_INVALID_TOKEN; AUTH_NO_MEMORY. */
enum auth_error auth_token_open(const uint8_t key[KEY_SIZE], struct slice text, struct slice access,
                                struct auth_token *out, struct auth_key *out_key);

#endif
