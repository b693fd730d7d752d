/* Tls_io: TLS behind the four calls of struct wire_io_ops. Inside wire only.
 *
 * Nothing blocks: a handshake goes on with each read, and a read says EAGAIN until it is done. EAGAIN also
 * means that OpenSSL holds no whole record back, so whoever has read until EAGAIN may wait for the socket.
 * OpenSSL's state is made when the first bytes look like a ClientHello of a sane length: who only connects
 * costs a hundred bytes more than without TLS. */
#ifndef DOMICILE_WIRE_TLS_IO_H
#define DOMICILE_WIRE_TLS_IO_H

#include "wire/io.h"
#include "wire/tls.h"

enum {
  /* Record and handshake header: enough to know what begins here and how long it is. */
  TLS_HELLO_PREFIX = 9,
  /* Longest ClientHello: with post-quantum shares they have 2 KiB. OpenSSL itself would set 128 KiB aside for
   * whoever only announces them. */
  TLS_HELLO_BYTES_MAX = 16 * 1024
};

/* Takes over a TCP socket that wire_io_init_socket took, and one use of `tls`, on success. False: no memory.
 */
bool wire_io_init_tls(struct wire_io *io, struct wire_tls *tls_take);
unsigned wire_io_tls_version(const struct wire_io *io); /* as wire_exchange_tls */
/* The client showed a certificate that one of the authorities signed, and it names `host` (a DNS name or an
 * address). NULL: any name. */
bool wire_io_certified(const struct wire_io *io, const char *host);
/* Hex of the SHA-256 of that certificate's subject name; "" without one. */
void wire_io_certified_name(const struct wire_io *io, char out[WIRE_TLS_NAME_SIZE]);

#endif
