/* RFC 6962/9162 Merkle tree: hashing, the shape of proofs, their making and checking. Pure.
 *
 * node (h, i)  the perfect subtree of height h over leaves [i·2^h, (i+1)·2^h)
 * A range [a, b) that a proof speaks of falls apart into perfect nodes, biggest first; its
 * hash folds them from the right. Proofs are made from any source of perfect nodes. */
#ifndef DOMICILE_LEDGER_MERKLE_H
#define DOMICILE_LEDGER_MERKLE_H

#include "base/bytes.h"
#include "base/crypto.h"

enum {
  MERKLE_HASH = SHA256_SIZE,
  MERKLE_HEIGHT_MAX = 64, /* sizes are 64-bit */
  MERKLE_PROOF_MAX = 65   /* hashes in the longest proof: the height, and one for consistency */
};

/* A hash of its own type, so that a list of hashes is not mistaken for bytes. */
struct merkle_hash {
  uint8_t bytes[MERKLE_HASH];
};

/* Not constant time: hashes of a public tree are no secrets. */
bool merkle_equal(const struct merkle_hash *a, const struct merkle_hash *b);
/* SHA256(""): the root of the empty tree (RFC 6962 §2.1). */
void merkle_empty(struct merkle_hash *out);
/* Hash of a leaf: SHA256(00 ‖ entry) (RFC 6962 §2.1). The prefix keeps an entry from passing
 * for a node. */
void merkle_leaf(struct slice entry, struct merkle_hash *out);
/* Hash of an inner node: SHA256(01 ‖ left ‖ right) (RFC 6962 §2.1).
 * @out  may be either argument. */
void merkle_node(const struct merkle_hash *left, const struct merkle_hash *right, struct merkle_hash *out);
/* Root of a perfect subtree from its lowest hashes.
 * @count  a power of two, 1..256: what a tile can hold; anything else asserts. */
void merkle_perfect(const struct merkle_hash *hashes, size_t count, struct merkle_hash *out);

/* A source of perfect nodes: the hash of node (height, index). It is asked only for nodes that
 * lie wholly within the tree in question. A failure ends what asked, with the same code. */
typedef enum dom_code (*merkle_node_fn)(void *arg, unsigned height, uint64_t index, struct merkle_hash *out,
                                        struct dom_err *err);

/* The root of the first `size` leaves, MTH(D[0:size]).
 * Returns: DOM_OK, or what `fn` returned. */
enum dom_code merkle_root(merkle_node_fn fn, void *arg, uint64_t size, struct merkle_hash *out,
                          struct dom_err *err);

/* A proof under construction or read in; order as in RFC 9162 §2.1.3.1 and §2.1.4.1. */
struct merkle_proof {
  size_t count;
  struct merkle_hash hashes[MERKLE_PROOF_MAX];
};

/* The inclusion proof PATH(index, D[0:size]) (RFC 9162 §2.1.3.1). Asserts index < size.
 * At most 2·64 nodes are asked for. Returns: DOM_OK, or what `fn` returned. */
enum dom_code merkle_prove_inclusion(merkle_node_fn fn, void *arg, uint64_t index, uint64_t size,
                                     struct merkle_proof *out, struct dom_err *err);
/* The consistency proof PROOF(from, D[0:to]) (RFC 9162 §2.1.4.1); empty when `from` is 0 or
 * equals `to`. Asserts from <= to. Returns: DOM_OK, or what `fn` returned. */
enum dom_code merkle_prove_consistency(merkle_node_fn fn, void *arg, uint64_t from, uint64_t to,
                                       struct merkle_proof *out, struct dom_err *err);

/* Checks an inclusion proof (RFC 9162 §2.1.3.2): true when `leaf` at `index` of `size` leaves
 * gives `root`. Safe on any input: a proof too long or too short is false. */
bool merkle_check_inclusion(const struct merkle_hash *leaf, uint64_t index, uint64_t size,
                            const struct merkle_proof *proof, const struct merkle_hash *root);
/* Checks a consistency proof (RFC 9162 §2.1.4.2), with the edges spelled out: from 0 needs an empty proof and
 * the empty root; equal sizes need an empty proof and equal roots. */
bool merkle_check_consistency(uint64_t from, const struct merkle_hash *from_root, uint64_t to,
                              const struct merkle_hash *to_root, const struct merkle_proof *proof);

#endif
