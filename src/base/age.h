/* Age: files sealed to the holder of an offline key, as a stream. The format is age's (C2SP, "age", v1), with
 * exactly one X25519 recipient, so that `age` and its ports open them too, without this program.
 *
 * Glossary
 *   recipient   the public key, "age1…": whoever has it can seal
 *   identity    the private key, "AGE-SECRET-KEY-1…": whoever has it can open
 *
 * Whoever seals is not authenticated: the recipient is public. Threads: a stream belongs to one at a time. */
#ifndef DOMICILE_BASE_AGE_H
#define DOMICILE_BASE_AGE_H

#include "base/bytes.h"
#include "base/crypto.h"

enum {
  AGE_HEADER_SIZE = 168, /* with one X25519 recipient */
  AGE_NONCE_SIZE = 16,
  AGE_CHUNK_SIZE = 64 * 1024, /* of plaintext; 16 bytes more when sealed */
  AGE_TEXT_MAX = 128          /* of a key as text */
};

/* The key as text (BIP 173 Bech32). Appends. */
void age_recipient_format(const uint8_t recipient[KEY_SIZE], struct buf *out);
void age_identity_format(const uint8_t identity[KEY_SIZE], struct buf *out);
/* Blanks around are passed over. DOM_INVALID says what is wrong. */
enum dom_code age_recipient_parse(struct slice text, uint8_t out[KEY_SIZE], struct dom_err *err);
/* What a file of age-keygen holds: lines that begin with '#', and one key. The caller wipes. DOM_INVALID. */
enum dom_code age_identity_parse(struct slice text, uint8_t out[KEY_SIZE], struct dom_err *err);
/* A random identity. The caller wipes. */
void age_identity_make(uint8_t out[KEY_SIZE]);
/* Its recipient (RFC 7748 §5). */
void age_recipient_of(const uint8_t identity[KEY_SIZE], uint8_t out_recipient[KEY_SIZE]);

/* ---- sealing ------------------------------------------------------------------------------ */

struct age_writer;
/* Takes sealed bytes, in order. What it returns ends the stream. */
typedef enum dom_code (*age_write_fn)(void *arg, struct slice bytes, struct dom_err *err);
/* Begins a file: its header is written. Release with age_writer_free. Returns: DOM_INVALID a recipient that
 * is no point of the curve, DOM_NO_MEMORY, what fn returned. */
enum dom_code age_writer_new(const uint8_t recipient[KEY_SIZE], age_write_fn fn, void *arg,
                             struct age_writer **out, struct dom_err *err);
enum dom_code age_write(struct age_writer *w, struct slice plain, struct dom_err *err);
/* The last chunk: without it the file does not open. */
enum dom_code age_write_end(struct age_writer *w, struct dom_err *err);
void age_writer_free(struct age_writer *w); /* NULL is allowed */

/* ---- opening ------------------------------------------------------------------------------ */

struct age_reader;
/* Gives up to len sealed bytes, in order; *out_len < len only at the end. */
typedef enum dom_code (*age_read_fn)(void *arg, uint8_t *out, size_t len, size_t *out_len,
                                     struct dom_err *err);
/* Reads the header. Returns: DOM_INVALID no age file with one X25519 recipient, DOM_DENIED sealed to another
 * key, DOM_CORRUPT, DOM_NO_MEMORY, what fn returned. */
enum dom_code age_reader_new(const uint8_t identity[KEY_SIZE], age_read_fn fn, void *arg,
                             struct age_reader **out, struct dom_err *err);
/* Up to len bytes of what was sealed; *out_len < len only at its end, which is then proven to be the end.
 * DOM_CORRUPT: changed, or cut short. */
enum dom_code age_read(struct age_reader *r, uint8_t *out, size_t len, size_t *out_len, struct dom_err *err);
void age_reader_free(struct age_reader *r); /* NULL is allowed */

#endif
