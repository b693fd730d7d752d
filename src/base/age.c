/* Age v1 (https://c2sp.org/age): header with one X25519 stanza, payload in chunks of ChaCha20-Poly1305. */
#include "base/age.h"

#include <assert.h>
#include <openssl/evp.h>

#include "base/alloc.h"
#include "base/codec.h"
#include "base/crypto_internal.h"

enum { FILE_KEY_SIZE = 16, TAG_SIZE = 16, STREAM_NONCE = 12, TEXT_OF_32 = 43 /* Base64 without padding */ };
#define VERSION_LINE "age-encryption.org/v1\n"
#define STANZA       "-> X25519 "
#define MAC_LINE     "---"
#define WRAP_INFO    "age-encryption.org/v1/X25519"
static const char where[] = "base/age";

/* ---- primitives ------------------------------------------------------------------------------ */

/* RFC 5869, one block. */
static void derive(struct slice secret, struct slice salt, const char *info, uint8_t out[KEY_SIZE]) {
  uint8_t prk[SHA256_SIZE];
  BUF_AUTO block = BUF_INIT;
  hmac_sha256(salt, secret, prk);
  buf_append_str(&block, info);
  buf_append_byte(&block, 1);
  if (block.failed) crypto_die("HKDF");
  hmac_sha256(slice_of(prk, sizeof prk), buf_slice(&block), out);
  wipe(prk, sizeof prk);
}

void age_identity_make(uint8_t out[KEY_SIZE]) {
  random_bytes(out, KEY_SIZE);
}

void age_recipient_of(const uint8_t identity[KEY_SIZE], uint8_t out_recipient[KEY_SIZE]) {
  EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, identity, KEY_SIZE);
  size_t len = KEY_SIZE;
  if (!key || EVP_PKEY_get_raw_public_key(key, out_recipient, &len) != 1) crypto_die("X25519 public key");
  assert(len == KEY_SIZE);
  EVP_PKEY_free(key);
}

/* RFC 7748 §6.1; false where the result would be zero, whatever the private key. */
static bool agree(const uint8_t mine[KEY_SIZE], const uint8_t theirs[KEY_SIZE], uint8_t out[KEY_SIZE]) {
  EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, mine, KEY_SIZE);
  EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, theirs, KEY_SIZE);
  EVP_PKEY_CTX *ctx = own ? EVP_PKEY_CTX_new(own, NULL) : NULL;
  size_t len = KEY_SIZE;
  if (!ctx || !peer || EVP_PKEY_derive_init(ctx) != 1) crypto_die("X25519");
  bool good =
      EVP_PKEY_derive_set_peer(ctx, peer) == 1 && EVP_PKEY_derive(ctx, out, &len) == 1 && len == KEY_SIZE;
  EVP_PKEY_CTX_free(ctx);
  EVP_PKEY_free(peer);
  EVP_PKEY_free(own);
  return good;
}

/* ChaCha20-Poly1305 (RFC 8439). Sealing writes len + TAG_SIZE bytes; opening reads that many. */
static bool chacha(const uint8_t key[KEY_SIZE], const uint8_t nonce[STREAM_NONCE], bool seal, struct slice in,
                   uint8_t *out) {
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  if (!ctx || EVP_CipherInit_ex(ctx, EVP_chacha20_poly1305(), NULL, key, nonce, seal ? 1 : 0) != 1)
    crypto_die("ChaCha20-Poly1305");
  size_t len = seal ? in.len : in.len - TAG_SIZE;
  assert(len <= AGE_CHUNK_SIZE);
  uint8_t tag[TAG_SIZE];
  int done = 0;
  if (!seal) {
    memcpy(tag, in.data + len, TAG_SIZE);
    if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) != 1) crypto_die("tag");
  }
  bool good = (len == 0 || EVP_CipherUpdate(ctx, out, &done, in.data, (int)len) == 1) &&
              EVP_CipherFinal_ex(ctx, out + done, &done) == 1;
  if (seal && good) good = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, out + len) == 1;
  EVP_CIPHER_CTX_free(ctx);
  if (!good && !seal) wipe(out, len);
  return good;
}

/* 43 characters; decoding accepts the one text of 32 bytes only. */
static void text_put(struct buf *out, const uint8_t bytes[KEY_SIZE]) {
  size_t before = out->len;
  base64_encode(out, slice_of(bytes, KEY_SIZE));
  if (!out->failed) out->len = before + TEXT_OF_32; /* without its padding */
}

static bool text_take(struct slice text, uint8_t out[KEY_SIZE]) {
  BUF_AUTO padded = BUF_INIT;
  BUF_AUTO bytes = BUF_INIT;
  buf_append_slice(&padded, text);
  buf_append_byte(&padded, '=');
  if (padded.failed || base64_decode(buf_slice(&padded), &bytes) != DOM_OK || bytes.len != KEY_SIZE)
    return false;
  memcpy(out, bytes.data, KEY_SIZE);
  return true;
}

/* ---- the header ------------------------------------------------------------------------------ */

/* The key that wraps the file key: of the shared secret, bound to both public keys. */
static void wrap_key(const uint8_t shared[KEY_SIZE], const uint8_t share[KEY_SIZE],
                     const uint8_t recipient[KEY_SIZE], uint8_t out[KEY_SIZE]) {
  uint8_t salt[2 * KEY_SIZE];
  memcpy(salt, share, KEY_SIZE);
  memcpy(salt + KEY_SIZE, recipient, KEY_SIZE);
  derive(slice_of(shared, KEY_SIZE), slice_of(salt, sizeof salt), WRAP_INFO, out);
}

/* HMAC of the header up to and with "---". */
static void header_mac(const uint8_t file_key[FILE_KEY_SIZE], struct slice header, uint8_t out[SHA256_SIZE]) {
  uint8_t key[KEY_SIZE];
  static const uint8_t no_salt[SHA256_SIZE] = {0};
  derive(slice_of(file_key, FILE_KEY_SIZE), slice_of(no_salt, sizeof no_salt), "header", key);
  hmac_sha256(slice_of(key, sizeof key), header, out);
  wipe(key, sizeof key);
}

static enum dom_code header_make(const uint8_t recipient[KEY_SIZE], const uint8_t file_key[FILE_KEY_SIZE],
                                 struct buf *out, struct dom_err *err) {
  static const uint8_t no_nonce[STREAM_NONCE] = {0};
  uint8_t mine[KEY_SIZE], share[KEY_SIZE], shared[KEY_SIZE], key[KEY_SIZE], mac[SHA256_SIZE];
  uint8_t body[FILE_KEY_SIZE + TAG_SIZE];
  age_identity_make(mine);
  age_recipient_of(mine, share);
  bool good = agree(mine, recipient, shared);
  if (good) {
    wrap_key(shared, share, recipient, key);
    good = chacha(key, no_nonce, true, slice_of(file_key, FILE_KEY_SIZE), body);
  }
  wipe(mine, sizeof mine);
  wipe(shared, sizeof shared);
  wipe(key, sizeof key);
  if (!good) return dom_fail(err, DOM_INVALID, where, "the recipient is no usable public key");
  buf_append_str(out, VERSION_LINE STANZA);
  text_put(out, share);
  buf_append_byte(out, '\n');
  text_put(out, body);
  buf_append_str(out, "\n" MAC_LINE);
  if (!out->failed) header_mac(file_key, buf_slice(out), mac);
  buf_append_byte(out, ' ');
  if (!out->failed) text_put(out, mac);
  buf_append_byte(out, '\n');
  return buf_check(out, err);
}

static enum dom_code header_open(const uint8_t identity[KEY_SIZE], struct slice header,
                                 uint8_t out_file_key[FILE_KEY_SIZE], struct dom_err *err) {
  static const uint8_t no_nonce[STREAM_NONCE] = {0};
  enum {
    SHARE_AT = sizeof VERSION_LINE STANZA - 1,
    BODY_AT = SHARE_AT + TEXT_OF_32 + 1,
    END_AT = BODY_AT + TEXT_OF_32 + 1,
    MAC_AT = END_AT + sizeof MAC_LINE
  };
  static_assert(MAC_AT + TEXT_OF_32 + 1 == AGE_HEADER_SIZE, "one recipient");
  uint8_t share[KEY_SIZE], body[KEY_SIZE], mac[SHA256_SIZE], want[SHA256_SIZE];
  uint8_t recipient[KEY_SIZE], shared[KEY_SIZE], key[KEY_SIZE];
  const uint8_t *h = header.data;
  bool form = header.len == AGE_HEADER_SIZE && memcmp(h, VERSION_LINE STANZA, SHARE_AT) == 0 &&
              h[BODY_AT - 1] == '\n' && memcmp(h + END_AT - 1, "\n" MAC_LINE " ", MAC_AT - END_AT + 1) == 0 &&
              h[AGE_HEADER_SIZE - 1] == '\n' && text_take(slice_of(h + SHARE_AT, TEXT_OF_32), share) &&
              text_take(slice_of(h + BODY_AT, TEXT_OF_32), body) &&
              text_take(slice_of(h + MAC_AT, TEXT_OF_32), mac);
  if (!form) return dom_fail(err, DOM_INVALID, where, "not a file sealed by age to one X25519 recipient");
  age_recipient_of(identity, recipient);
  bool good = agree(identity, share, shared);
  if (good) {
    wrap_key(shared, share, recipient, key);
    good = chacha(key, no_nonce, false, slice_of(body, sizeof body), out_file_key);
  }
  wipe(shared, sizeof shared);
  wipe(key, sizeof key);
  if (!good)
    return dom_fail(err, DOM_DENIED, where, "the file is sealed to another key than this identity's");
  header_mac(out_file_key, slice_of(h, END_AT + sizeof MAC_LINE - 1), want);
  if (slice_equal_secret(slice_of(mac, sizeof mac), slice_of(want, sizeof want))) return DOM_OK;
  return dom_fail(err, DOM_CORRUPT, where, "the header of the sealed file was changed");
}

/* ---- the payload ----------------------------------------------------------------------------- */

struct stream {
  uint8_t key[KEY_SIZE];
  uint64_t chunk;
};

static void stream_init(struct stream *s, const uint8_t file_key[FILE_KEY_SIZE],
                        const uint8_t nonce[AGE_NONCE_SIZE]) {
  derive(slice_of(file_key, FILE_KEY_SIZE), slice_of(nonce, AGE_NONCE_SIZE), "payload", s->key);
  s->chunk = 0;
}

/* Eleven bytes of the chunk's number, big-endian, and whether it is the last. */
static bool stream_chunk(struct stream *s, bool seal, bool last, struct slice in, uint8_t *out) {
  uint8_t nonce[STREAM_NONCE] = {0};
  store_u64be(nonce + 3, s->chunk);
  nonce[STREAM_NONCE - 1] = last ? 1 : 0;
  bool good = chacha(s->key, nonce, seal, in, out);
  if (good) s->chunk++;
  return good;
}

struct age_writer {
  struct stream stream;
  age_write_fn fn;
  void *arg;
  size_t len; /* of plain */
  uint8_t plain[AGE_CHUNK_SIZE], sealed[AGE_CHUNK_SIZE + TAG_SIZE];
};

enum dom_code age_writer_new(const uint8_t recipient[KEY_SIZE], age_write_fn fn, void *arg,
                             struct age_writer **out, struct dom_err *err) {
  assert(recipient && fn && out);
  BUF_AUTO head = BUF_INIT;
  uint8_t file_key[FILE_KEY_SIZE], nonce[AGE_NONCE_SIZE];
  struct age_writer *w = dom_calloc(1, sizeof *w);
  if (!w) return dom_fail(err, DOM_NO_MEMORY, where, "no memory");
  w->fn = fn;
  w->arg = arg;
  random_bytes(file_key, sizeof file_key);
  random_bytes(nonce, sizeof nonce);
  stream_init(&w->stream, file_key, nonce);
  enum dom_code code = header_make(recipient, file_key, &head, err);
  wipe(file_key, sizeof file_key);
  buf_append(&head, nonce, sizeof nonce);
  if (code == DOM_OK) code = buf_check(&head, err);
  if (code == DOM_OK) code = fn(arg, buf_slice(&head), err);
  if (code == DOM_OK)
    *out = w;
  else
    age_writer_free(w);
  return code;
}

static enum dom_code writer_flush(struct age_writer *w, bool last, struct dom_err *err) {
  if (!stream_chunk(&w->stream, true, last, slice_of(w->plain, w->len), w->sealed)) crypto_die("seal");
  enum dom_code code = w->fn(w->arg, slice_of(w->sealed, w->len + TAG_SIZE), err);
  w->len = 0;
  return code;
}

/* A full chunk waits for the next byte: only then it is known not to be the last. */
enum dom_code age_write(struct age_writer *w, struct slice plain, struct dom_err *err) {
  enum dom_code code = DOM_OK;
  while (plain.len > 0 && code == DOM_OK) {
    if (w->len == AGE_CHUNK_SIZE) code = writer_flush(w, false, err);
    size_t some = AGE_CHUNK_SIZE - w->len < plain.len ? AGE_CHUNK_SIZE - w->len : plain.len;
    memcpy(w->plain + w->len, plain.data, some);
    w->len += some;
    plain = slice_cut(plain, some, plain.len);
  }
  return code;
}

enum dom_code age_write_end(struct age_writer *w, struct dom_err *err) {
  assert(w);
  return writer_flush(w, true, err);
}

void age_writer_free(struct age_writer *w) {
  if (w) wipe(w, sizeof *w);
  dom_free(w);
}

struct age_reader {
  struct stream stream;
  age_read_fn fn;
  void *arg;
  bool last;      /* the last chunk was opened */
  size_t at, len; /* of plain */
  size_t ahead;   /* sealed bytes read ahead: one tells whether a chunk is the last */
  uint8_t plain[AGE_CHUNK_SIZE], sealed[AGE_CHUNK_SIZE + TAG_SIZE + 1];
};

enum dom_code age_reader_new(const uint8_t identity[KEY_SIZE], age_read_fn fn, void *arg,
                             struct age_reader **out, struct dom_err *err) {
  assert(identity && fn && out);
  uint8_t head[AGE_HEADER_SIZE + AGE_NONCE_SIZE] = {0}, file_key[FILE_KEY_SIZE + TAG_SIZE];
  size_t len = 0;
  struct age_reader *r = dom_calloc(1, sizeof *r);
  if (!r) return dom_fail(err, DOM_NO_MEMORY, where, "no memory");
  r->fn = fn;
  r->arg = arg;
  enum dom_code code = fn(arg, head, sizeof head, &len, err);
  size_t shown = len < AGE_HEADER_SIZE ? len : AGE_HEADER_SIZE;
  if (code == DOM_OK) code = header_open(identity, slice_of(head, shown), file_key, err);
  if (code == DOM_OK && len != sizeof head)
    code = dom_fail(err, DOM_CORRUPT, where, "the sealed file is cut short");
  if (code == DOM_OK) stream_init(&r->stream, file_key, head + AGE_HEADER_SIZE);
  wipe(file_key, sizeof file_key);
  if (code == DOM_OK)
    *out = r;
  else
    age_reader_free(r);
  return code;
}

static enum dom_code reader_fill(struct age_reader *r, struct dom_err *err) {
  size_t got = 0;
  enum dom_code code = r->fn(r->arg, r->sealed + r->ahead, sizeof r->sealed - r->ahead, &got, err);
  if (code != DOM_OK) return code;
  size_t have = r->ahead + got;
  r->last = have < sizeof r->sealed;
  size_t size = r->last ? have : have - 1;
  bool empty = size == TAG_SIZE && r->stream.chunk > 0; /* only a file of nothing ends so */
  if (size < TAG_SIZE || empty ||
      !stream_chunk(&r->stream, false, r->last, slice_of(r->sealed, size), r->plain))
    return dom_fail(err, DOM_CORRUPT, where, "the sealed file was changed or is cut short (chunk %llu)",
                    (unsigned long long)r->stream.chunk);
  r->at = 0;
  r->len = size - TAG_SIZE;
  r->ahead = have - size;
  if (r->ahead) r->sealed[0] = r->sealed[size];
  return DOM_OK;
}

enum dom_code age_read(struct age_reader *r, uint8_t *out, size_t len, size_t *out_len, struct dom_err *err) {
  assert(r && out && out_len);
  size_t done = 0;
  while (done < len) {
    if (r->at == r->len && r->last) break;
    if (r->at == r->len) {
      enum dom_code code = reader_fill(r, err);
      if (code != DOM_OK) return code;
    }
    size_t some = r->len - r->at < len - done ? r->len - r->at : len - done;
    memcpy(out + done, r->plain + r->at, some);
    r->at += some;
    done += some;
  }
  *out_len = done;
  return DOM_OK;
}

void age_reader_free(struct age_reader *r) {
  if (r) wipe(r, sizeof *r);
  dom_free(r);
}
