/* Needles: byte strings that must not be found in a folder, in every guise in which they could
 * lie there, and the search for all of them at once.
 *
 * Needle file: one line each, LABEL, a tab, the bytes in hex. Keys noted by others are added as
 * further files of the same form. */
#ifndef DOMICILE_LOAD_NEEDLES_H
#define DOMICILE_LOAD_NEEDLES_H

#include "base/bytes.h"
#include "content.h"

/* Shorter needles would be met by chance in gigabytes of ciphertext. */
#define NEEDLE_BYTES_MIN 8
/* Longest: a key of 1,024 bytes in UTF-16. */
#define NEEDLE_BYTES_MAX 4096
/* Bytes of a body's window. */
#define NEEDLE_WINDOW 64

/* Appends the lines for a text (an id or a name) in every guise: raw, hex, percent-encoded,
 * UTF-16 of both orders, Base64 in its three alignments. Texts shorter than NEEDLE_BYTES_MIN
 * give none. */
void needles_of_text(struct buf *out, const char *label, struct slice text);
/* Appends lines for windows of a body at several places; windows of too few different bytes
 * (padding) are moved on, as they would be met anywhere.
 * Returns: false when the content cannot be read. */
bool needles_of_content(struct buf *out, const char *label, const struct content *content);
/* Whether a window tells anything: it has enough different bytes, and does not begin with a run. */
bool needles_window_tells(struct slice window);

struct needle {
  struct slice bytes;
  const char *label;
};

struct haystack_slot {
  /* the first eight bytes */
  uint64_t head;
  /* index+1 of the first needle that begins so; 0: empty slot */
  uint32_t first;
  /* they stand next to each other */
  uint32_t count;
};

/* A set of needles, ready to be searched for. */
struct haystack {
  /* sorted by their bytes, no doubles */
  struct needle *needles;
  size_t count;
  size_t cap;
  size_t longest;
  /* a bit for each head's hash */
  uint64_t *filter;
  struct haystack_slot *slots;
  size_t slot_mask;
};

/* Adds the lines of a needle file's text, decoding in place; borrows `text` until haystack_done.
 * Returns: false after a complaint; `path` is for that. */
bool haystack_add(struct haystack *h, const char *path, struct buf *text);
/* Sorts and builds the tables. Call once, after all adding. Returns: false without memory. */
bool haystack_build(struct haystack *h);
/* Frees the tables, not the texts that were added. */
void haystack_done(struct haystack *h);

/* Called for each occurrence. */
typedef void haystack_hit(void *context, const struct needle *needle, uint64_t offset);
/* Searches `data`; occurrences that begin at or after `limit` are left to the next call, which
 * begins there. `offset` is that of data's first byte. Threads: any number after building. */
void haystack_search(const struct haystack *h, struct slice data, size_t limit, uint64_t offset,
                     haystack_hit *hit, void *context);

#endif
