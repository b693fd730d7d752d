/* A small S3 in memory for the load client's own tests. It checks no signatures, keeps few
 * objects, and can be told to misbehave as a broken store would. */
#ifndef DOMICILE_TEST_FAKE_S3_H
#define DOMICILE_TEST_FAKE_S3_H

#include "client.h"

enum fake_fault {
  FAKE_HONEST,
  FAKE_LOSES_PUT,     /* acknowledges every tenth PUT and forgets it */
  FAKE_KEEPS_DELETED, /* acknowledges DELETE and keeps the object */
  FAKE_MIXES_UP,      /* answers GET with one byte changed */
  FAKE_HIDES,         /* leaves the first object out of listings */
  FAKE_UNAVAILABLE,   /* 503 to every tenth request */
  FAKE_REFUSES        /* 451 to every GET */
};

struct fake_s3;
/* Starts on a random port of 127.0.0.1; its address goes to *out. Asserts that it can. */
struct fake_s3 *fake_s3_start(struct endpoint *out);
void fake_s3_set_fault(struct fake_s3 *fake, enum fake_fault fault);
/* Ends all threads and frees everything. Connections of clients must be closed before. */
void fake_s3_stop(struct fake_s3 *fake);

#endif
