/* Tombs: the signed word of a home that it erased a person, kept by every region it told, so that the home
 * itself can be shown it should it come back from a backup. The registrar's tombstones do that for all
 * others; of the registrar's own people nobody else would know.
 *
 * Big-endian. Row: META 'e' ‖ home u16 ‖ token → epoch u64 | country 2 | Ed25519 signature 64 by the home
 * over "DOMERASE" | deployment 16 | token 32 | epoch u64 | country 2. docs/formats/handoff.md. */
#include <assert.h>
#include <string.h>

#include "move/job.h"
#include "move/move_internal.h"

enum { KEY_SIZE_ROW = 1 + 2 + TOKEN_SIZE, VALUE_SIZE = 8 + TOMB_PROOF_SIZE };

static void signed_bytes(struct mover *m, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                         const uint8_t country[2], struct buf *out) {
  buf_append_str(out, "DOMERASE");
  subject_deployment(m->o.subjects, out);
  buf_append(out, token, TOKEN_SIZE);
  put_u64be(out, epoch);
  buf_append(out, country, 2);
}

void tomb_sign(struct mover *m, const struct forget *f, struct buf *out) {
  BUF_AUTO bytes = BUF_INIT;
  uint8_t signature[ED25519_SIG_SIZE] = {0};
  uint8_t country[2];
  memcpy(country, f->country, 2);
  signed_bytes(m, f->token, f->allotted, country, &bytes);
  if (bytes.failed) out->failed = true;
  if (!bytes.failed) subject_sign(m->o.subjects, buf_slice(&bytes), signature);
  buf_append(out, country, 2);
  buf_append(out, signature, sizeof signature);
}

bool tomb_good(struct mover *m, uint16_t home, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
               struct slice proof) {
  BUF_AUTO bytes = BUF_INIT;
  if (proof.len != TOMB_PROOF_SIZE || epoch == 0) return false;
  signed_bytes(m, token, epoch, proof.data, &bytes);
  return !bytes.failed && subject_signed_by(m->o.subjects, home, buf_slice(&bytes), proof.data + 2);
}

static void row_key(uint16_t home, const uint8_t *token, uint8_t out[KEY_SIZE_ROW]) {
  out[0] = 'e';
  out[1] = (uint8_t)(home >> 8);
  out[2] = (uint8_t)home;
  if (token) memcpy(out + 3, token, TOKEN_SIZE);
}

enum dom_code tomb_keep(struct mover *m, uint16_t home, const uint8_t token[TOKEN_SIZE], uint64_t epoch,
                        struct slice proof, struct dom_err *err) {
  uint8_t key[KEY_SIZE_ROW];
  BUF_AUTO had = BUF_INIT;
  BUF_AUTO value = BUF_INIT;
  row_key(home, token, key);
  {
    STORE_VIEW_AUTO *v = NULL;
    enum dom_code code = store_view_open(m->o.store, &v, err);
    if (!code) code = store_row_get(v, STORE_TABLE_META, slice_of(key, sizeof key), &had, NULL);
    if (code && code != DOM_NOT_FOUND) return dom_fail(err, code, "move/tomb: keep", "cannot be read");
  }
  if (had.len == VALUE_SIZE && load_u64be(had.data) >= epoch) return DOM_OK;
  put_u64be(&value, epoch);
  buf_append_slice(&value, proof);
  enum dom_code code = buf_check(&value, err);
  struct slice kept = buf_slice(&value);
  return code ? code : job_row_commit(m, STORE_TABLE_META, slice_of(key, sizeof key), &kept, err);
}

struct tombs {
  tomb_fn fn;
  void *arg;
};

static bool tomb_one(void *arg, struct slice key, struct slice value) {
  const struct tombs *t = arg;
  if (key.len != KEY_SIZE_ROW || value.len != VALUE_SIZE) return true; /* another's row */
  return t->fn(t->arg, key, key.data + 3, load_u64be(value.data), slice_cut(value, 8, value.len));
}

enum dom_code tomb_scan(struct store_view *v, uint16_t home, struct slice after, tomb_fn fn, void *arg,
                        struct dom_err *err) {
  struct tombs t = {fn, arg};
  uint8_t prefix[KEY_SIZE_ROW];
  assert(fn);
  row_key(home, NULL, prefix);
  return store_row_scan(v, STORE_TABLE_META, slice_of(prefix, 3), after, tomb_one, &t, err);
}
