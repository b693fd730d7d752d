/* Rules over a parsed head: the checks of our own behind llhttp. Inside wire only. */
#ifndef DOMICILE_WIRE_HEAD_RULES_H
#define DOMICILE_WIRE_HEAD_RULES_H

#include "wire/head.h"

/* A refusal in the making: status 0 means none so far. */
struct head_refusal {
  unsigned status;
  const char *why; /* static text */
};

/* Checks every byte and line of a whole head before llhttp sees it. */
struct head_refusal head_rules_bytes(struct slice head);
/* Splits and checks the start line (without its CRLF): fills method_text, target, minor. */
struct head_refusal head_rules_start_line(struct slice line, struct wire_head *h);
/* Checks the fields together with the start line; fills what is derived from them. */
struct head_refusal head_rules_meaning(struct wire_head *h);

/* Without the blanks around it (RFC 9110 §5.6.3: space and tab). Borrows from s. */
struct slice head_trim(struct slice s);
/* Characters of an RFC 9110 §5.6.2 token. */
bool head_is_token_char(uint8_t c);

#endif
