/* A request head written as text, "METHOD path?query\nname: value\n…", for targets behind wire: more
 * is allowed in it than wire lets through, so that each room is tested on its own. */
#ifndef DOMICILE_TESTS_FUZZ_TEXT_REQUEST_H
#define DOMICILE_TESTS_FUZZ_TEXT_REQUEST_H

#include "auth/auth.h"

enum { TEXT_REQUEST_HEADERS_MAX = 100 };

struct text_request {
  struct auth_header headers[TEXT_REQUEST_HEADERS_MAX];
  struct auth_request request;
};

/* Fills *out, which borrows from `text`. False when there is no first line of two words. */
bool text_request_parse(struct slice text, struct text_request *out);

#endif
