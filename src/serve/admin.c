#include "serve/daemon.h"
void admin_handle(struct daemon *d, struct wire_exchange *x, bool from_socket) {
  (void)d;
  (void)from_socket;
  dispatch_reply(x, 404, "text/plain", SLICE_LIT("no such page\n"));
}
