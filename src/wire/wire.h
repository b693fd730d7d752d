/* wire: HTTP/1.1 in and out, and the signed envelope between regions. The room's facade: other
 * rooms include this and nothing else of it.
 *
 * Words
 *   head       start line and fields of a request                            wire/head.h
 *   exchange   one request and its reply, as a handler sees them             wire/exchange.h
 *   server     listeners, parked connections, workers                       wire/server.h
 *   client     outbound requests, streaming both ways                        wire/client.h
 *   tls        certificates a server shows, authorities it believes             wire/tls.h
 *   envelope   a region's signature over what it sends to another region     wire/envelope.h
 *   peer       another region, known by number, key and endpoint
 *   field      one header line
 *   park       leave a connection to epoll, without thread and buffer
 *   drain      finish what is in flight, take nothing new
 *   linger     read on for a moment after the last reply, so that it is not lost */
#ifndef DOMICILE_WIRE_WIRE_H
#define DOMICILE_WIRE_WIRE_H

#include "wire/client.h"
#include "wire/envelope.h"
#include "wire/exchange.h"
#include "wire/front.h"
#include "wire/head.h"
#include "wire/server.h"
#include "wire/tls.h"

#endif
