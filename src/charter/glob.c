#include <assert.h>

#include "charter/model.h"

enum piece_kind { PIECE_BYTE, PIECE_STAR, PIECE_STARS, PIECE_END };

struct piece {
  enum piece_kind kind;
  uint8_t byte;
  size_t next; /* position behind it */
};

static struct piece piece_at(struct slice glob, size_t at) {
  assert(at <= glob.len);
  if (at == glob.len) return (struct piece){PIECE_END, 0, at};
  uint8_t c = glob.data[at];
  if (c == '*') {
    bool two = at + 1 < glob.len && glob.data[at + 1] == '*';
    return (struct piece){two ? PIECE_STARS : PIECE_STAR, 0, at + (two ? 2 : 1)};
  }
  if (c != '\\') return (struct piece){PIECE_BYTE, c, at + 1};
  assert(at + 1 < glob.len); /* glob_valid */
  return (struct piece){PIECE_BYTE, glob.data[at + 1], at + 2};
}

bool glob_valid(struct slice glob, const char **out_why) {
  assert(out_why != NULL);
  const char *why = NULL;
  size_t stars = 0;
  if (glob.len == 0) why = "a key pattern is empty";
  if (glob.len > CHARTER_GLOB_BYTES_MAX) why = "a key pattern is longer than 256 bytes";
  for (size_t i = 0; i < glob.len && !why; i++) {
    stars = glob.data[i] == '*' ? stars + 1 : 0;
    if (stars > 2) why = "more than two * in a row in a key pattern";
    if (glob.data[i] != '\\') continue;
    i++;
    stars = 0;
    if (i == glob.len || (glob.data[i] != '*' && glob.data[i] != '\\'))
      why = "a \\ in a key pattern stands before * or \\ only";
  }
  if (why) *out_why = why;
  return why == NULL;
}

/* Where matching goes on after a mismatch: the star begins at `piece`, and has taken the key up to
 * `key`. Only the last star of each kind needs to be remembered: a "**" can take whatever an earlier one
 * could, and a '*' before a '/' ends where its segment ends. */
struct retry {
  bool set;
  size_t piece, key;
};

static bool retry_next(struct retry *star, struct retry *stars, struct slice key, size_t *at, size_t *k) {
  assert(at != NULL && k != NULL);
  if (star->set && star->key < key.len && key.data[star->key] != '/') {
    *k = ++star->key;
    *at = star->piece;
    return true;
  }
  if (!stars->set || stars->key >= key.len) return false;
  star->set = false;
  *k = ++stars->key;
  *at = stars->piece;
  return true;
}

bool glob_match(struct slice glob, struct slice key) {
  struct retry star = {false, 0, 0}, stars = {false, 0, 0};
  size_t at = 0, k = 0;
  for (;;) {
    assert(at <= glob.len && k <= key.len);
    struct piece piece = piece_at(glob, at);
    bool matched = false;
    switch (piece.kind) {
    case PIECE_STARS:
      if (piece.next == glob.len) return true;
      stars = (struct retry){true, piece.next, k};
      star.set = false;
      matched = true;
      break;
    case PIECE_STAR:
      star = (struct retry){true, piece.next, k};
      matched = true;
      break;
    case PIECE_BYTE:
      matched = k < key.len && key.data[k] == piece.byte;
      k += matched ? 1 : 0;
      break;
    case PIECE_END:
      if (k == key.len) return true;
      break;
    }
    if (matched)
      at = piece.next;
    else if (!retry_next(&star, &stars, key, &at, &k))
      return false;
  }
}
