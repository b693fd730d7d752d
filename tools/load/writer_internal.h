/* What the writers' engine and its operations share. */
#ifndef DOMICILE_LOAD_WRITER_INTERNAL_H
#define DOMICILE_LOAD_WRITER_INTERNAL_H

#include "content.h"
#include "writer.h"

/* S3's least part but the last. */
#define WRITER_PART_BYTES ((size_t)5 << 20)
/* Most parts of an upload of ours. */
#define WRITER_PARTS_MAX 2
/* Uploads that one worker leaves open at a time: they shall be older than a move, not pile up. */
#define WRITER_OPEN_MAX 6

/* An upload whose parts are there and that waits for its completion. */
struct writer_upload {
  /* percent-encoded */
  struct buf id;
  char etags[WRITER_PARTS_MAX][96];
  unsigned parts;
  struct value value;
};

/* One key of a worker. */
struct writer_slot {
  /* `value` is what the key holds; false also before the first write */
  bool certain;
  struct value value;
  /* open, or NULL */
  struct writer_upload *upload;
};

struct writer_run {
  const struct writer_config *config;
  struct writer_counts *counts;
  uint64_t start_ns;
  atomic_ullong tickets;
  /* when the status file is due */
  atomic_ullong status_ns;
  atomic_uint named;
  /* -1: none */
  int status_fd;
  /* journal or memory failed */
  atomic_bool broken;
};

struct writer_worker {
  struct writer_run *run;
  struct client *client;
  unsigned number;
  uint64_t random;
  /* of its operations */
  uint64_t serial;
  /* [subject * keys_each + key] */
  struct writer_slot *slots;
  /* slots with open uploads, in order of their beginning */
  size_t open[WRITER_OPEN_MAX];
  size_t open_count;
  size_t last_subject;
  /* the last answer met a move: its subject is worth more operations */
  bool stay;
  /* room for the largest body */
  uint8_t *body;
};

/* Largest body: one whole part and a tail. */
#define WRITER_BODY_MAX (WRITER_PART_BYTES + ((size_t)64 << 10))

/* Operations on the slot `at`. Each records itself. Returns: false when the run must end. */
/* PUT of a body that no other operation ever writes. */
bool writer_put(struct writer_worker *w, size_t at);
/* DELETE, of a present or an absent key alike. */
bool writer_delete(struct writer_worker *w, size_t at);
/* From a key of the same person whose value is certain; a put when there is none. */
bool writer_copy(struct writer_worker *w, size_t at);
/* Creates an upload and sends its parts; it stays open. */
bool writer_begin_upload(struct writer_worker *w, size_t at);
/* Completes the slot's open upload and forgets it, whatever the answer. */
bool writer_complete_upload(struct writer_worker *w, size_t at);
/* Frees the slot's upload and takes it off the open list. */
void writer_forget_upload(struct writer_worker *w, size_t at);

#endif
