/* Vault: where subject keys are kept, wrapped by the region's key.
 *
 * Glossary
 *   data key   random 256 bits of one (token, epoch); never leaves this room unwrapped
 *   slot       128 bytes at a fixed place of two files that hold one wrapped data key
 *   KEK        the region's key-encrypting key; wraps every data key; lies outside the data folder
 *   KEK id     8 bytes derived from the KEK itself, so a wrong key is refused by its name
 *   shred      overwrite both copies of a slot: what was sealed under its key is unreadable
 *   pin        a reader's notice that it uses a key; a shred cancels the pin first
 *
 * Format: docs/formats/vault.md. Keys in memory are locked where the system lets us, and
 * wiped after use. Threads: every function may be called from any thread unless it says so. */
#ifndef DOMICILE_VAULT_VAULT_H
#define DOMICILE_VAULT_VAULT_H

#include <stdatomic.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/disk.h"

enum {
  VAULT_TOKEN_SIZE = 32,
  VAULT_ID_SIZE = 32,      /* the random id of a sealed thing */
  VAULT_KEK_NAME_SIZE = 17 /* 16 hex digits of a KEK id, and NUL */
};

/* One key: a route token (or a pseudo-subject's) and an epoch. */
struct vault_key {
  uint8_t token[VAULT_TOKEN_SIZE];
  uint64_t epoch;
};

/* ---- The region's key ------------------------------------------------------------------ */

/* A source of KEKs. Calls come from one thread at a time. `read` fills 32 bytes that the
 * caller wipes. Implementations verify that a key's id is vault_kek_id_of(key). */
struct vault_kek;
struct vault_wrap;
struct vault_kek_ops {
  enum dom_code (*current)(struct vault_kek *k, uint64_t *out_id, struct dom_err *err);
  enum dom_code (*read)(struct vault_kek *k, uint64_t id, uint8_t out_key[KEY_SIZE], struct dom_err *err);
  /* Calls fn for each id held; fn returns false to stop. */
  enum dom_code (*list)(struct vault_kek *k, bool (*fn)(void *arg, uint64_t id), void *arg,
                        struct dom_err *err);
  /* A fresh random KEK, durable and current at return. DOM_INCOMPATIBLE where keys cannot be made. */
  enum dom_code (*create)(struct vault_kek *k, uint64_t *out_id, struct dom_err *err);
  /* Overwritten and removed, durably; DOM_OK when it is gone already. Never the current one. */
  enum dom_code (*destroy)(struct vault_kek *k, uint64_t id, struct dom_err *err);
  void (*close)(struct vault_kek *k);
};
struct vault_kek {
  const struct vault_kek_ops *ops;
};

/* The id of a KEK: the first 8 bytes, little-endian, of HKDF-SHA256(key, "domicile kek id 1"). */
uint64_t vault_kek_id_of(const uint8_t key[KEY_SIZE]);
/* 16 lower-case hex digits and NUL. */
void vault_kek_name(uint64_t id, char out[VAULT_KEK_NAME_SIZE]);

/* One key file: 32 raw bytes, or 64 hex digits with an optional newline. It can be read only:
 * rotation answers DOM_INCOMPATIBLE. Close with vault_kek_close.
 *   path   of the real file system; the caller checks that it is not below the data folder.
 * Returns: DOM_DENIED when group or others have any access, DOM_INVALID on other content,
 *   DOM_NOT_FOUND, DOM_IO, DOM_NO_MEMORY. */
enum dom_code vault_kek_file_open(const char *path, struct vault_kek **out, struct dom_err *err);

/* A folder of key files `kek-<id>` and a file `current` that names one of them. The folder
 * belongs to one region alone: rotation destroys every key in it but the current one.
 *   disk, folder   where it is ("" is the disk's root); the disk is borrowed until close
 *   private_path   the same folder in the real file system, checked to be closed to group and
 *                  others; NULL under simulation
 *   create         make the folder and a first random KEK when there is no `current`
 * Durable: a created KEK at return. Close with vault_kek_close.
 * Returns: DOM_NOT_FOUND (nothing there, create is false), DOM_DENIED (permissions),
 *   DOM_CORRUPT (a file's key is not the one its name says), DOM_INVALID, DOM_IO, DOM_NO_MEMORY. */
enum dom_code vault_kek_folder_open(struct disk *disk, const char *folder, const char *private_path,
                                    bool create, struct vault_kek **out, struct dom_err *err);
/* The same folder whose key files are wrapped by a key that lies elsewhere. Each is unwrapped when it is
 * read: once at start, once when a rotation made it.
 *   wrap   borrowed until close; NULL: key files are plain, as above
 * Returns: as vault_kek_folder_open, and DOM_INVALID where a file is plain though `wrap` is given, or wrapped
 *   though it is not; what the holder of the key answers (vault_wrap_pkcs11_open). */
enum dom_code vault_kek_wrapped_open(struct disk *disk, const char *folder, const char *private_path,
                                     bool create, struct vault_wrap *wrap, struct vault_kek **out,
                                     struct dom_err *err);
/* Gives every key file of a folder another wrapping: under `to`, from `from`; NULL: plain. The KEKs stay the
 * same. Each file is replaced whole and read back before its old content is overwritten; files that are
 * wrapped by `to` already are passed over, so an interrupted run is repeated. No region may be using the
 * folder: the caller holds its lock.
 *   out_done   how many files were given another wrapping
 * Durable: at return.
 * Returns: DOM_CORRUPT (a file opens under neither), DOM_NOT_FOUND (no KEK there), DOM_INVALID, DOM_IO, what
 *   the holders answer. */
enum dom_code vault_kek_rewrap(struct disk *disk, const char *folder, const char *private_path,
                               struct vault_wrap *from, struct vault_wrap *to, uint64_t *out_done,
                               struct dom_err *err);
/* NULL is allowed. */
void vault_kek_close(struct vault_kek *k);

/* ---- Keys that wrap KEKs ---------------------------------------------------------------- */

/* Whoever holds a wrapping key. */
struct vault_wrap;

struct vault_pkcs11_options {
  const char *uri;    /* RFC 7512: pkcs11:token=…;object=…; attribute module-path, pin-source (a file) */
  const char *module; /* path of the module; NULL: the URI's module-path, else those of p11-kit's settings */
  const char *pin_file; /* closed to group and others; NULL: the URI's pin-source, else `pin` */
  const char *pin;      /* from the environment; NULL: none. Copied into locked memory */
};

/* An AES-256 key of a PKCS#11 token (v2.40), which wraps by CKM_AES_GCM and never leaves it. Opens a session,
 * logs in and finds the key; a session that is lost later is opened once more. A PIN that was refused is not
 * tried again, by nobody: tokens lock. Close with vault_wrap_close, after what borrowed it.
 * Returns: DOM_INVALID (URI, options, a PIN in the URI), DOM_NOT_FOUND (module, token or key is not there),
 *   DOM_DENIED (PIN wrong or locked, or nothing but one try left; PIN file open to others), DOM_INCOMPATIBLE
 *   (a key of another type or size, or one that may leave the token), DOM_UNAVAILABLE (the token or session
 *   went away), DOM_IO (anything else that the module says), DOM_NO_MEMORY. */
enum dom_code vault_wrap_pkcs11_open(const struct vault_pkcs11_options *options, struct vault_wrap **out,
                                     struct dom_err *err);
/* NULL is allowed. */
void vault_wrap_close(struct vault_wrap *w);

/* ---- The vault ------------------------------------------------------------------------- */

struct vault;

struct vault_options {
  struct disk *disk;     /* the region's data folder; borrowed until close */
  const char *folder;    /* inside it; made by create; borrowed for the call */
  uint16_t region;       /* the region's number in the charter */
  struct vault_kek *kek; /* borrowed until close */
  bool create;           /* make an empty vault when both files are absent; give it only while
                            the region itself is being made, never over existing data */
};

/* Opens the vault, takes its lock, compares both copies of each slot and repairs the bad one
 * from the good one; of two good ones the newer wins. A slot bad in both files is kept apart
 * and reported (vault_stats.slots_damaged, vault_damage_each), never taken for a free one.
 * Durable: repairs at return.
 * Returns: DOM_NOT_FOUND (no vault, create is false), DOM_BUSY (open elsewhere),
 *   DOM_INCOMPATIBLE (another region's, unknown format flag, or a slot wrapped by a KEK that
 *   the provider does not hold: the text names it), DOM_CORRUPT (both headers bad, a key twice),
 *   DOM_IO, DOM_NO_SPACE, DOM_NO_MEMORY. */
enum dom_code vault_open(const struct vault_options *options, struct vault **out, struct dom_err *err);
/* No call may be in progress and no pin may be left. NULL is allowed. */
void vault_close(struct vault *v);

/* Makes a random data key for (token, epoch). Concurrent creators share their syncs.
 * Durable: at return.
 * Returns: DOM_EXISTS, DOM_NO_SPACE (drops still work), DOM_IO (the vault takes no more writes),
 *   DOM_READ_ONLY (it did so before), DOM_NO_MEMORY. After an error other than DOM_EXISTS the
 *   key may or may not be there once the vault is opened again. */
enum dom_code vault_key_create(struct vault *v, const struct vault_key *key, struct dom_err *err);

/* Whether (token, epoch) has a slot: DOM_OK or DOM_NOT_FOUND; DOM_IO, DOM_CORRUPT. */
enum dom_code vault_key_exists(struct vault *v, const struct vault_key *key, struct dom_err *err);

/* The key of one sealed thing: HKDF-SHA256(data key, kind ‖ id), RFC 5869. The caller wipes it.
 *   kind   what is sealed, a short string that ends up in the derivation ("body", "record")
 *   id     random, never from an LSN, epoch, file number or place
 * Returns: DOM_NOT_FOUND (no slot: never made, or shredded), DOM_CORRUPT (slot or its tag bad),
 *   DOM_IO, DOM_NO_MEMORY. */
enum dom_code vault_key_derive(struct vault *v, const struct vault_key *key, const char *kind,
                               const uint8_t id[VAULT_ID_SIZE], uint8_t out_key[KEY_SIZE],
                               struct dom_err *err);

/* Shreds the keys: cancels their pins, forgets them, overwrites both copies of each slot. Keys
 * that have no slot are passed over, so that a job may be repeated.
 *   out_dropped   may be NULL; how many had a slot
 * Durable: at return, all of them. After an error each may or may not be gone once the vault is
 *   opened again; until then none of those already forgotten is usable.
 * Returns: DOM_IO, DOM_READ_ONLY, DOM_CORRUPT (a slot cannot be read), DOM_NO_MEMORY. */
enum dom_code vault_key_drop(struct vault *v, const struct vault_key *keys, size_t count, size_t *out_dropped,
                             struct dom_err *err);

/* Calls fn for every key, system and index keys too, in no useful order; fn returns false to
 * stop and must not call the vault. Keys made or dropped meanwhile may or may not be shown.
 * Returns: DOM_IO, DOM_CORRUPT (a slot went bad in both copies since open), DOM_NO_MEMORY. */
enum dom_code vault_key_each(struct vault *v, bool (*fn)(void *arg, const struct vault_key *key), void *arg,
                             struct dom_err *err);

/* Calls fn with the number of each slot that was bad in both copies at open. */
void vault_damage_each(struct vault *v, bool (*fn)(void *arg, uint32_t slot), void *arg);
/* Gives up a slot that is bad in both copies: overwrites it as free. Whatever key it held is
 * gone for good; an operator decides that, fsck carries it out. Durable: at return.
 * Returns: DOM_NOT_FOUND (not a damaged slot), DOM_IO, DOM_READ_ONLY. */
enum dom_code vault_damage_forget(struct vault *v, uint32_t slot, struct dom_err *err);

/* ---- Keys that belong to no subject ---------------------------------------------------- */

/* The region's own pseudo-subject (token all zero, epoch 1), for state records. */
struct vault_key vault_system_key(void);
/* The slot of one generation (from 1) of the index key: token 31 zero bytes and 01, the
 * generation in place of the epoch. Made and shredded like any key. */
struct vault_key vault_index_slot(uint32_t generation);
/* The index key of a generation, as vault_key_derive does with kind "index" and a zero id. */
enum dom_code vault_index_key(struct vault *v, uint32_t generation, uint8_t out_key[KEY_SIZE],
                              struct dom_err *err);
/* Highest generation that has a slot; DOM_NOT_FOUND when none has. Walks every slot: for start
 * and purge, not for requests. */
enum dom_code vault_index_newest(struct vault *v, uint32_t *out_generation, struct dom_err *err);

/* ---- Pins ------------------------------------------------------------------------------ */

/* Embedded by whoever reads under a key; do not touch the fields. */
struct vault_pin {
  struct vault_key key;
  atomic_bool dropped;
  struct vault_pin *next, **at;
};

/* Registers the pin; it must stay in place until unpinned. DOM_NOT_FOUND when there is no slot
 * (then it is not registered); DOM_IO, DOM_CORRUPT. */
enum dom_code vault_key_pin(struct vault *v, const struct vault_key *key, struct vault_pin *pin,
                            struct dom_err *err);
/* True from the moment a drop of its key has begun. Readers ask before each frame and stop. A
 * drop does not wait for pins: what a reader holds at that moment is at most one frame. */
bool vault_key_dropped(const struct vault_pin *pin);
void vault_key_unpin(struct vault *v, struct vault_pin *pin);

/* ---- Rotation of the KEK --------------------------------------------------------------- */

struct vault_rotation {
  uint64_t slots_done;  /* passed so far */
  uint64_t slots_total; /* in the files now */
};

/* True when slots are wrapped by, or the provider still holds, a KEK that is not current: an
 * earlier rotation did not finish. */
enum dom_code vault_rotate_pending(struct vault *v, bool *out, struct dom_err *err);
/* Starts a rotation: a new KEK, durable; every new slot takes it at once. While one is pending
 * it is gone on with instead, and *out_resumed is true: that one does not count as a rotation
 * since a shred that happened after its begin (see vault_kek_gone).
 * Returns: DOM_INCOMPATIBLE (the provider makes no keys), DOM_IO, DOM_READ_ONLY, DOM_NO_MEMORY. */
enum dom_code vault_rotate_begin(struct vault *v, bool *out_resumed, struct dom_err *err);
/* Re-wraps the next slots_max slots that need it, durably, and reads each back from both files.
 * Survives a crash at any point: each slot names its KEK. Call until *out_finished is true.
 * Returns: DOM_CORRUPT (a slot does not unwrap), DOM_IO, DOM_READ_ONLY, DOM_NO_MEMORY. */
enum dom_code vault_rotate_step(struct vault *v, uint32_t slots_max, struct vault_rotation *out_progress,
                                bool *out_finished, struct dom_err *err);
/* Destroys every KEK but the current one. Durable: at return.
 * Returns: DOM_BUSY (slots are still wrapped by an old one), DOM_CORRUPT (damaged slots: restore
 *   or forget them first), DOM_IO, DOM_READ_ONLY. */
enum dom_code vault_rotate_finish(struct vault *v, struct dom_err *err);
/* All of it: finishes a pending rotation, then does a fresh one. progress may be NULL and
 * returns false to stop (DOM_CANCELLED; resumes at the next call). */
enum dom_code vault_rotate(struct vault *v, bool (*progress)(void *arg, const struct vault_rotation *at),
                           void *arg, struct dom_err *err);

/* The id of the current KEK. Whoever shreds notes it afterwards: the shred counts as ERASED when
 * vault_kek_gone says that this KEK is gone. */
uint64_t vault_kek_current(struct vault *v);
/* True when no KEK `id` is held any more. Ids are random, none returns. */
bool vault_kek_gone(struct vault *v, uint64_t id);

/* ---- Backup and restore ---------------------------------------------------------------- */

/* A backup holds every data key, sealed to an offline key (base/age.h): it needs no KEK and is worth nothing
 * without that key. Format: docs/formats/vault.md. */
struct vault_backup_options {
  struct disk *disk;           /* where it lies: never the region's data folder; borrowed */
  const char *path;            /* on that disk; borrowed */
  uint8_t recipient[KEY_SIZE]; /* the offline key's public half */
  uint8_t deployment[16];
  struct clock *clock; /* NULL: no time is written; borrowed */
};
/* Writes PATH.new, reads its length back, puts it in the place of PATH and overwrites what stood there. Waits
 * for no reader; creates and drops wait meanwhile.
 *   out_keys   how many keys it holds; may be NULL
 * Durable: at return. Returns: DOM_IO, DOM_NO_SPACE, DOM_CORRUPT (a slot does not open), DOM_INVALID
 * (recipient), DOM_NO_MEMORY; the old backup is then still there. */
enum dom_code vault_backup(struct vault *v, const struct vault_backup_options *o, uint64_t *out_keys,
                           struct dom_err *err);
/* From now on each rotation replaces the backup before it destroys the old KEK: vault_kek_gone says that no
 * backup at that place opens what was shredded before. A rotation whose backup fails fails. Borrowed until
 * close; to be called before any rotation begins. */
void vault_backup_each_rotation(struct vault *v, const struct vault_backup_options *o);

/* What a backup says of itself. */
struct vault_backup_info {
  uint16_t region;
  uint8_t deployment[16];
  uint64_t kek_id; /* current when it was made */
  uint64_t wall_ms, keys;
};
struct vault_restore_options {
  struct disk *from;
  const char *path;           /* the backup on that disk */
  uint8_t identity[KEY_SIZE]; /* the offline key's private half */
  uint8_t deployment[16];     /* must be the backup's */
};
/* Puts every key of a backup into `v`, an empty vault that nobody else uses. The caller removes the vault's
 * files when it fails.
 * Returns: DOM_DENIED sealed to another key, DOM_INCOMPATIBLE of another region or deployment (named) or
 * format, DOM_INVALID no backup, DOM_CORRUPT changed or cut short, DOM_IO, DOM_NO_SPACE, DOM_NO_MEMORY. */
enum dom_code vault_restore(struct vault *v, const struct vault_restore_options *o,
                            struct vault_backup_info *out, struct dom_err *err);

/* ---- Figures --------------------------------------------------------------------------- */

struct vault_stats {
  uint64_t slots_total, slots_used, slots_free;
  uint64_t slots_damaged;  /* bad in both copies */
  uint64_t slots_repaired; /* copies rewritten at open: one bad, or one older */
  uint64_t slots_old_kek;  /* wrapped by a KEK that is not current */
  uint64_t creates, drops, derives, syncs, pins_cancelled;
  uint64_t second_copy_reads; /* reads since open that found the first copy bad */
  bool read_only;             /* a write or sync failed */
};
void vault_stats(struct vault *v, struct vault_stats *out);

#endif
