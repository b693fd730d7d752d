/* Access keys: the table of credentials, replaced as a whole while requests read it. */
#ifndef DOMICILE_AUTH_KEYS_H
#define DOMICILE_AUTH_KEYS_H

#include "auth/types.h"

/* Account of a key that names none. */
#define AUTH_ACCOUNT_DEFAULT "main"

/* One credential, by value, so that a replaced table can be freed at once. Wipe `secret` after
 * use (auth_key_done). Strings end with NUL. */
struct auth_key {
  char access[AUTH_ACCESS_KEY_BYTES_MAX + 1];
  char secret[AUTH_SECRET_BYTES_MAX + 1];
  char account[AUTH_ACCOUNT_BYTES_MAX + 1];
  bool is_operator;
};

/* Overwrites the secret. */
void auth_key_done(struct auth_key *key);

/* What a verifier asks for an access key. Returns: true and *out filled, or false (unknown key,
 * *out untouched). Threads: called from any. */
typedef bool auth_key_lookup(void *context, struct slice access, struct auth_key *out);

/* One line of configuration: "ACCESS:SECRET[:ACCOUNT]". */
struct auth_key_spec {
  struct slice text;
  bool is_operator;
};

/* Parses one spec. Names are printable ASCII without blanks, '/', ',' or ':' (they appear in a
 * credential scope); the secret is printable ASCII without ':'.
 * Returns: DOM_OK; DOM_INVALID (shape; the text never repeats the secret), DOM_TOO_LARGE (a part
 * is longer than its limit above). */
enum dom_code auth_key_parse(struct auth_key_spec spec, struct auth_key *out, struct dom_err *err);

/* The table. Threads: find and replace from any thread at once. */
struct auth_keys;

/* An empty table: every request but an anonymous one is refused. NULL without memory. */
struct auth_keys *auth_keys_new(void);
void auth_keys_free(struct auth_keys *keys); /* wipes; NULL is allowed */

/* Replaces the whole content by `count` specs, or changes nothing.
 * Returns: DOM_OK; DOM_INVALID and DOM_TOO_LARGE as auth_key_parse; DOM_EXISTS (an access key
 * twice); DOM_NO_MEMORY. */
enum dom_code auth_keys_replace(struct auth_keys *keys, const struct auth_key_spec *specs, size_t count,
                                struct dom_err *err);

/* The auth_key_lookup over a table; `context` is the struct auth_keys. */
bool auth_keys_find(void *context, struct slice access, struct auth_key *out);
size_t auth_keys_count(struct auth_keys *keys);

#endif
