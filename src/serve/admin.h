/* Admin: what the files of the admin interface share. Only serve includes this.
 * The interface itself is described in docs/formats/admin-api.md. */
#ifndef DOMICILE_SERVE_ADMIN_H
#define DOMICILE_SERVE_ADMIN_H

#include <jansson.h>

#include "serve/daemon.h"

enum {
  ADMIN_WORDS_MAX = 4,                                 /* segments behind /-/admin/ */
  ADMIN_BODY_BYTES_MAX = 2 * CHARTER_BYTES_MAX + 8192, /* a charter as a JSON string */
  ADMIN_PAGE_DEFAULT = 100,
  ADMIN_PAGE_MAX = 1000
};

/* One admin request. Texts live in the exchange's arena. */
struct admin {
  struct daemon *d;
  struct region *r;
  struct wire_exchange *x;
  const char *word[ADMIN_WORDS_MAX]; /* decoded segments, NUL-terminated */
  size_t word_count;
  struct auth_query query;
  json_t *body;        /* an object, or NULL when none was sent */
  struct slice access; /* the operator's access key; empty over the socket */
};

/* Sends a JSON answer and drops `value`; NULL (no memory) becomes 500. */
void admin_reply_take(struct admin *a, unsigned status, json_t *value);
/* The answer for a code of the inner rooms, with its text. */
void admin_fail(struct admin *a, enum dom_code code, const struct dom_err *err);
/* 400 with a sentence of our own. */
void admin_refuse(struct admin *a, const char *why);
/* Value of a query parameter, or `otherwise`. */
const char *admin_param(struct admin *a, const char *name, const char *otherwise);
/* A number parameter in 0…max. False: answered with 400. */
bool admin_param_number(struct admin *a, const char *name, uint64_t otherwise, uint64_t max, uint64_t *out);
/* json_unpack of the body, strictly. False: answered with 400. */
bool admin_unpack(struct admin *a, const char *format, ...);
/* 64 hex digits. False: answered with 400. */
bool admin_token(struct admin *a, const char *text, uint8_t out[TOKEN_SIZE]);
/* Hex as a JSON string. */
json_t *admin_hex(const void *bytes, size_t len);
/* The region's name in the charter in force, as a JSON string; its number where it has none. */
json_t *admin_region(struct region *r, uint16_t number);
/* Number of a region by name. False: answered with 400. */
bool admin_region_number(struct admin *a, const char *name, uint16_t *out);
/* "IN" and its two bytes. False: answered with 400. */
bool admin_country(struct admin *a, const char *text, char out[2]);

/* An "operator access" entry of the ledger, in words that name nobody. `token` NULL: about no subject.
 * Durable: at DOM_OK. Codes as a commit's. */
enum dom_code admin_record(struct admin *a, const uint8_t *token, const char *words, struct dom_err *err);

/* ---- routes, one file a kind ------------------------------------------------------------- */

void admin_subject_put(struct admin *a);
void admin_subject_get(struct admin *a);
void admin_subject_country(struct admin *a);
void admin_subject_erase(struct admin *a);  /* admin_erase.c */
void admin_subject_export(struct admin *a); /* admin_export.c: a page of what a person has */
void admin_subject_export_bodies(struct admin *a);
void admin_subject_list(struct admin *a);
void admin_token_get(struct admin *a);
void admin_subject_token(struct admin *a);  /* token.c: makes a scoped token */
void admin_subject_revoke(struct admin *a); /* and ends all of a subject */
/* What the home knows of a subject, as JSON text: the "serve/subject" message between regions. */
enum dom_code admin_subject_message(struct region *r, struct slice body, struct buf *reply,
                                    struct dom_err *err);
void admin_bucket_put(struct admin *a);
void admin_bucket_list(struct admin *a);
void admin_charter_get(struct admin *a);
void admin_charter_put(struct admin *a);
void admin_move_post(struct admin *a);
void admin_move_plan(struct admin *a);
void admin_move_list(struct admin *a);
void admin_move_get(struct admin *a);
void admin_move_cancel(struct admin *a);
void admin_move_set(struct admin *a);
void admin_move_pause(struct admin *a);
void admin_move_resume(struct admin *a);
void admin_move_list_open(struct admin *a); /* admin_move_list.c: a list of people, and who was not moved */
void admin_move_list_add(struct admin *a);
void admin_move_failures(struct admin *a);
/* The number in the second segment. False: answered with 400. */
bool admin_move_id(struct admin *a, uint64_t *out);
void admin_key_rotate(struct admin *a);
void admin_key_backup(struct admin *a);
void admin_names_purge(struct admin *a);
void admin_quarantine_get(struct admin *a);
void admin_quarantine_enter(struct admin *a);
void admin_quarantine_leave(struct admin *a);
void admin_claims(struct admin *a);
void admin_status(struct admin *a);
void admin_ledger(struct admin *a);
void admin_ledger_entries(struct admin *a);
void admin_receipts(struct admin *a);
/* Index of the newest ledger entry about a subject. DOM_NOT_FOUND also when the ledger has not taken it up.
 */
enum dom_code admin_last_entry(struct region *r, struct store_view *v, const uint8_t token[TOKEN_SIZE],
                               uint64_t *out_index);

#endif
