/* Inside of base: algorithms fetched once from OpenSSL's default provider. Fetching per call
 * costs several times the hash of a small message. Threads: any. */
#ifndef DOMICILE_BASE_CRYPTO_INTERNAL_H
#define DOMICILE_BASE_CRYPTO_INTERNAL_H

#include <openssl/evp.h>

#include "base/crypto.h"

/* The cached algorithm; never NULL (the process ends when OpenSSL lacks it). Not freed. */
const EVP_MD *crypto_md(enum hash_kind kind);

/* Says what failed and aborts. For steps without a way to report, which fail only when
 * memory or a library's configuration is gone: going on would sign or seal garbage. */
_Noreturn void crypto_die(const char *what);

#endif
