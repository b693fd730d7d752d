/* MD5 of long bodies beside the thread that receives them. S3's ETag is an MD5, one chain of steps that no
 * second core shortens: so it runs on a thread of its own, beside decryption, encryption and writing; and one
 * thread does the steps of up to four bodies at once, in the four lanes of a 128-bit register, in little
 * more time than those of one. docs/decisions/0030. Source: RFC 1321.
 *
 * Not for anything that has to withstand an attacker: MD5 does not. */
#ifndef DOMICILE_BASE_MD5_H
#define DOMICILE_BASE_MD5_H

#include <pthread.h>

#include "base/crypto.h"

enum {
  MD5_BLOCK = 64,
  MD5_PIECES_MAX = 16 /* handed over and not hashed yet, of one body; the next one waits */
};

/* Threads that hash what streams hand over. */
struct md5_lanes;

/* Starts one thread for each four processors. Free after its streams. Returns: NULL without memory or
 * threads, or where there is one processor; streams then hash in their callers. */
struct md5_lanes *md5_lanes_new(void);
void md5_lanes_free(struct md5_lanes *l); /* NULL is allowed */

/* One body. Its fields are md5.c's own. Threads: one at a time. */
struct md5_stream {
  struct md5_lanes *lanes; /* NULL: hashes in its caller */
  uint32_t state[4];
  uint64_t size;           /* bytes hashed, those in tail counted */
  uint8_t tail[MD5_BLOCK]; /* size % MD5_BLOCK bytes of a block that is not full */
  /* Under the lock of lanes. */
  struct slice pieces[MD5_PIECES_MAX]; /* a ring: piece n at n % MD5_PIECES_MAX */
  uint64_t fed, done;                  /* pieces handed over; of these, hashed */
  uint64_t pending;                    /* bytes handed over and not hashed */
  bool is_listed;                      /* waits for a thread, or is with one */
  struct md5_stream *next;
  pthread_cond_t moved; /* done grew */
};

/* lanes NULL: nothing is handed over. */
void md5_stream_init(struct md5_stream *s, struct md5_lanes *lanes);
/* Waits until nothing that was handed over is read any more. */
void md5_stream_done(struct md5_stream *s);
/* Hashes the next bytes, which stay as they are until md5_stream_wait for the ticket that is returned. Short
 * ones, and those that find the threads with more than they can do, are hashed before it returns. */
uint64_t md5_stream_feed(struct md5_stream *s, struct slice bytes);
/* Returns once the bytes up to that ticket are hashed and may change; 0: at once. */
void md5_stream_wait(struct md5_stream *s, uint64_t ticket);
/* The digest of everything fed. Once, and nothing is fed after it. */
void md5_stream_final(struct md5_stream *s, uint8_t out[MD5_SIZE]);

#endif
