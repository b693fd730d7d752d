/* People: a deterministic population and its objects. The same seed and the same files of the
 * machine give the same plan. */
#ifndef DOMICILE_LOAD_PEOPLE_H
#define DOMICILE_LOAD_PEOPLE_H

#include "plan.h"
#include "sources.h"

/* Kinds of a phone's data; each is a folder under the person in the bucket "phones". */
enum people_kind { PEOPLE_PHOTOS, PEOPLE_CONTACTS, PEOPLE_SMS, PEOPLE_NOTES, PEOPLE_KIND_COUNT };
/* The kind's folder: "photos", "contacts", "sms", "notes". */
const char *people_kind_name(enum people_kind kind);

#define PEOPLE_BUCKET        "phones"
#define PEOPLE_BUCKET_LAYOUT "{subject}/"
#define BACKUP_BUCKET        "backups"
#define BACKUP_BUCKET_LAYOUT "devices/{subject}/"

/* "u-" and 20 base32 digits: 100 bits, above the 80 that make an id unguessable. */
#define PEOPLE_ID_SIZE 23

struct people_config {
  uint64_t seed;
  /* at least PEOPLE_COUNTRY_COUNT */
  size_t people;
  /* of an ordinary person, without the backups */
  size_t objects_each;
  /* people who have heavy_objects instead */
  size_t heavy;
  size_t heavy_objects;
  /* the one large object of the first person */
  uint64_t large_bytes;
  /* none may be empty */
  struct sources kinds[PEOPLE_KIND_COUNT];
};

#define PEOPLE_COUNTRY_COUNT 5
/* Country of person `index`: of ten people six are Indian, one each of CN, SG, US, DE. */
const char *people_country(size_t index);
/* The person's id: base32 (RFC 4648 §6, lower case) of SHA-256 over seed and index. */
void people_id(uint64_t seed, size_t index, char out[PEOPLE_ID_SIZE]);

/* Called for each object in order; the item's strings live for the call only. `out` sha256 is
 * not set: the callee hashes. Returns: false to stop. */
typedef bool people_sink(void *context, struct plan_item *item);

/* Makes all objects of person `index` (0..people-1).
 * Returns: false when the sink did or memory ran out. */
bool people_make(const struct people_config *config, size_t index, people_sink *sink, void *context);

#endif
