#include "base/md5.h"

#include <assert.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/codec.h"
#include "base/md5_internal.h"

enum {
  PIECE_MIN = 16 * 1024,   /* 20 us of hashing; handing it over and back takes up to 10 */
  ROUND_BLOCKS = 512,      /* 32 KiB, 50 us: so long waits a body that comes while others are hashed */
  DEEP_BYTES = 512 * 1024, /* of one body: half of what its owner has memory for */
  THREADS_MAX = 8,         /* 16 GB/s: more than a machine receives */
  CORES_PER_THREAD = 4,    /* of four cores of uploads, one hashes for all */
  WAITING_MAX = 8          /* bodies for each thread; one more is hashed by its own thread */
};

struct md5_lanes {
  pthread_mutex_t lock;
  pthread_cond_t work;
  struct md5_stream *first, *last; /* have pieces, and are with no thread */
  unsigned ready, listed;          /* those; and with those that are with a thread */
  unsigned deep;                   /* streams with DEEP_BYTES pending */
  unsigned open, waiting;          /* streams; owners that can do nothing until a piece is hashed */
  unsigned thread_count;
  bool stopping;
  pthread_t threads[THREADS_MAX];
};

/* ---- one body ---------------------------------------------------------------------------------- */

/* Takes from *bytes what fills a block that was begun, or is less than one. */
static void take_odd(struct md5_stream *s, struct slice *bytes) {
  size_t fill = s->size % MD5_BLOCK, room = MD5_BLOCK - fill;
  if (fill == 0 && bytes->len >= MD5_BLOCK) return;
  size_t len = bytes->len < room ? bytes->len : room;
  if (len > 0) memcpy(s->tail + fill, bytes->data, len);
  s->size += len;
  if (len == room) md5_blocks(s->state, s->tail, 1);
  *bytes = slice_cut(*bytes, len, bytes->len);
}

static void take_all(struct md5_stream *s, struct slice bytes) {
  take_odd(s, &bytes);
  size_t blocks = bytes.len / MD5_BLOCK;
  assert(blocks == 0 || s->size % MD5_BLOCK == 0);
  md5_blocks(s->state, bytes.data, blocks);
  s->size += blocks * MD5_BLOCK;
  bytes = slice_cut(bytes, blocks * MD5_BLOCK, bytes.len);
  if (bytes.len > 0) take_odd(s, &bytes);
}

/* Under the lock: a round is worth its time once all bodies are there that there are lanes for, as four take
 * little longer than one; or when one is far behind, or can wait no more. */
static bool is_worth(const struct md5_lanes *l) {
  assert(l->ready <= l->listed && l->listed <= l->open);
  return l->ready > 0 && (l->waiting > 0 || l->deep > 0 || l->ready >= MD5_LANES || l->ready == l->open);
}

/* Under the lock. */
static void call_if_worth(struct md5_lanes *l) {
  if (is_worth(l)) pthread_cond_signal(&l->work);
}

/* Under the lock: bytes that came, or were hashed. */
static void pending_set(struct md5_stream *s, uint64_t pending) {
  bool was_deep = s->pending >= DEEP_BYTES, is_deep = pending >= DEEP_BYTES;
  s->pending = pending;
  if (is_deep && !was_deep) s->lanes->deep++;
  if (was_deep && !is_deep) s->lanes->deep--;
}

/* Under the lock: until that piece of the stream is hashed. */
static void wait_for(struct md5_stream *s, uint64_t piece) {
  struct md5_lanes *l = s->lanes;
  assert(piece <= s->fed);
  if (s->done >= piece) return;
  l->waiting++;
  call_if_worth(l);
  while (s->done < piece) pthread_cond_wait(&s->moved, &l->lock);
  l->waiting--;
}

void md5_stream_init(struct md5_stream *s, struct md5_lanes *lanes) {
  assert(s);
  *s = (struct md5_stream){.lanes = lanes, .state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}};
  if (!lanes) return;
  pthread_cond_init(&s->moved, NULL);
  pthread_mutex_lock(&lanes->lock);
  lanes->open++;
  pthread_mutex_unlock(&lanes->lock);
}

void md5_stream_done(struct md5_stream *s) {
  assert(s);
  struct md5_lanes *l = s->lanes;
  if (!l) return;
  md5_stream_wait(s, s->fed);
  pthread_mutex_lock(&l->lock);
  assert(l->open > 0 && !s->is_listed);
  l->open--;
  call_if_worth(l); /* the others wait for one less */
  pthread_mutex_unlock(&l->lock);
  pthread_cond_destroy(&s->moved);
  s->lanes = NULL;
}

/* Under the lock. */
static void list_add(struct md5_lanes *l, struct md5_stream *s) {
  s->next = NULL;
  if (l->last)
    l->last->next = s;
  else
    l->first = s;
  l->last = s;
  l->ready++;
}

/* Under the lock: false when the caller had better do it, and may, as nothing waits before it. */
static bool hand_over(struct md5_stream *s, struct slice bytes) {
  struct md5_lanes *l = s->lanes;
  assert(s->fed >= s->done && s->fed - s->done <= MD5_PIECES_MAX);
  if (s->fed == s->done && (bytes.len < PIECE_MIN || l->listed >= WAITING_MAX * l->thread_count))
    return false;
  if (s->fed - s->done == MD5_PIECES_MAX) wait_for(s, s->done + 1);
  s->pieces[s->fed++ % MD5_PIECES_MAX] = bytes;
  pending_set(s, s->pending + bytes.len);
  if (!s->is_listed) {
    s->is_listed = true;
    l->listed++;
    list_add(l, s);
  }
  call_if_worth(l);
  return true;
}

uint64_t md5_stream_feed(struct md5_stream *s, struct slice bytes) {
  assert(s);
  assert(bytes.data || bytes.len == 0);
  bool handed = false;
  if (bytes.len == 0) return s->fed; /* what was handed over may be with a thread just now */
  if (s->lanes) {
    pthread_mutex_lock(&s->lanes->lock);
    handed = hand_over(s, bytes);
    pthread_mutex_unlock(&s->lanes->lock);
  }
  if (!handed) take_all(s, bytes);
  return s->fed;
}

void md5_stream_wait(struct md5_stream *s, uint64_t ticket) {
  assert(s);
  assert(ticket <= s->fed);
  if (ticket == 0) return;
  pthread_mutex_lock(&s->lanes->lock);
  wait_for(s, ticket);
  pthread_mutex_unlock(&s->lanes->lock);
}

void md5_stream_final(struct md5_stream *s, uint8_t out[MD5_SIZE]) {
  assert(s && out);
  md5_stream_wait(s, s->fed);
  uint8_t end[2 * MD5_BLOCK] = {0x80}; /* RFC 1321 §3.1 and §3.2 */
  size_t fill = s->size % MD5_BLOCK;
  size_t pad = (fill < MD5_BLOCK - 8 ? MD5_BLOCK : 2 * MD5_BLOCK) - fill;
  store_u64le(end + pad - 8, s->size * 8);
  take_all(s, slice_of(end, pad));
  assert(s->size % MD5_BLOCK == 0);
  for (size_t i = 0; i < 4; i++) store_u32le(out + 4 * i, s->state[i]);
}

/* ---- the threads ---------------------------------------------------------------------------------- */

/* A body with a thread, and what is left of the piece that it is at. */
struct lane {
  struct md5_stream *s;
  struct slice left;
};

/* Under the lock: up to MD5_LANES bodies. */
static size_t take_bodies(struct md5_lanes *l, struct lane out[MD5_LANES]) {
  size_t count = 0;
  for (; count < MD5_LANES && l->first; count++) {
    struct md5_stream *s = l->first;
    assert(s->done < s->fed);
    l->first = s->next;
    if (!l->first) l->last = NULL;
    l->ready--;
    out[count] = (struct lane){s, s->pieces[s->done % MD5_PIECES_MAX]};
  }
  return count;
}

/* As many blocks of each as all of them have, at most a round. */
static void hash_together(struct lane *const with[MD5_LANES], size_t count) {
  size_t blocks = ROUND_BLOCKS;
  uint32_t spare[MD5_LANES][4] = {{0}}, *state[MD5_LANES];
  const uint8_t *data[MD5_LANES];
  assert(count > 0 && count <= MD5_LANES);
  for (size_t i = 0; i < MD5_LANES; i++) {
    state[i] = i < count ? with[i]->s->state : spare[i];
    data[i] = with[i < count ? i : 0]->left.data;
    if (i < count && with[i]->left.len / MD5_BLOCK < blocks) blocks = with[i]->left.len / MD5_BLOCK;
  }
  if (count == 1)
    md5_blocks(state[0], data[0], blocks);
  else
    md5_blocks_lanes(state, data, blocks);
  for (size_t i = 0; i < count; i++) {
    with[i]->s->size += blocks * MD5_BLOCK;
    with[i]->left = slice_cut(with[i]->left, blocks * MD5_BLOCK, with[i]->left.len);
  }
}

static void hash_round(struct lane *lanes, size_t count) {
  struct lane *full[MD5_LANES];
  size_t full_count = 0;
  assert(count <= MD5_LANES);
  for (size_t i = 0; i < count; i++) {
    take_odd(lanes[i].s, &lanes[i].left);
    if (lanes[i].left.len >= MD5_BLOCK) full[full_count++] = &lanes[i];
  }
  if (full_count > 0) hash_together(full, full_count);
  for (size_t i = 0; i < count; i++) {
    if (lanes[i].left.len < MD5_BLOCK) take_odd(lanes[i].s, &lanes[i].left);
  }
}

/* Under the lock: back into the list with what is left. */
static void put_back(struct md5_lanes *l, const struct lane *lane) {
  struct md5_stream *s = lane->s;
  struct slice *piece = &s->pieces[s->done % MD5_PIECES_MAX];
  pending_set(s, s->pending - (piece->len - lane->left.len));
  *piece = lane->left;
  if (lane->left.len == 0) s->done++;
  if (s->done < s->fed) {
    list_add(l, s);
  } else {
    s->is_listed = false;
    assert(l->listed > 0);
    l->listed--;
  }
  /* The last touch: its owner may end it once it sees this. */
  if (lane->left.len == 0) pthread_cond_signal(&s->moved);
}

static void *work(void *arg) {
  struct md5_lanes *l = arg;
  struct lane lanes[MD5_LANES];
  pthread_mutex_lock(&l->lock);
  while (!l->stopping) {
    if (!is_worth(l)) {
      pthread_cond_wait(&l->work, &l->lock);
      continue;
    }
    size_t count = take_bodies(l, lanes);
    call_if_worth(l); /* another thread, for the rest */
    pthread_mutex_unlock(&l->lock);
    hash_round(lanes, count);
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < count; i++) put_back(l, &lanes[i]);
  }
  pthread_mutex_unlock(&l->lock);
  return NULL;
}

struct md5_lanes *md5_lanes_new(void) {
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  if (cores < 2) return NULL;
  struct md5_lanes *l = dom_calloc(1, sizeof *l);
  if (!l) return NULL;
  unsigned wanted = (unsigned)(cores / CORES_PER_THREAD);
  if (wanted < 1) wanted = 1;
  if (wanted > THREADS_MAX) wanted = THREADS_MAX;
  pthread_mutex_init(&l->lock, NULL);
  pthread_cond_init(&l->work, NULL);
  while (l->thread_count < wanted && pthread_create(&l->threads[l->thread_count], NULL, work, l) == 0)
    l->thread_count++;
  if (l->thread_count > 0) return l;
  md5_lanes_free(l);
  return NULL;
}

void md5_lanes_free(struct md5_lanes *l) {
  if (!l) return;
  pthread_mutex_lock(&l->lock);
  assert(!l->first && l->listed == 0);
  l->stopping = true;
  pthread_cond_broadcast(&l->work);
  pthread_mutex_unlock(&l->lock);
  for (unsigned i = 0; i < l->thread_count; i++) pthread_join(l->threads[i], NULL);
  pthread_cond_destroy(&l->work);
  pthread_mutex_destroy(&l->lock);
  dom_free(l);
}
