#include <assert.h>
#include <stddef.h>

#include "wire/conn.h"

struct status_row {
  unsigned status;
  const char *text;       /* RFC 9110 §15 */
  const char *error_code; /* S3's name where this room answers with it by itself */
};

static const struct status_row rows[] = {
    {200, "OK", NULL},
    {201, "Created", NULL},
    {202, "Accepted", NULL},
    {204, "No Content", NULL},
    {206, "Partial Content", NULL},
    {301, "Moved Permanently", NULL},
    {302, "Found", NULL},
    {303, "See Other", NULL},
    {304, "Not Modified", NULL},
    {307, "Temporary Redirect", NULL},
    {308, "Permanent Redirect", NULL},
    {400, "Bad Request", "BadRequest"},
    {401, "Unauthorized", "AccessDenied"},
    {403, "Forbidden", "AccessDenied"},
    {404, "Not Found", NULL},
    {405, "Method Not Allowed", "MethodNotAllowed"},
    {406, "Not Acceptable", NULL},
    {408, "Request Timeout", "RequestTimeout"},
    {409, "Conflict", NULL},
    {411, "Length Required", "MissingContentLength"},
    {412, "Precondition Failed", NULL},
    {413, "Content Too Large", "EntityTooLarge"},
    {414, "URI Too Long", "KeyTooLongError"},
    {415, "Unsupported Media Type", NULL},
    {416, "Range Not Satisfiable", NULL},
    {417, "Expectation Failed", "ExpectationFailed"},
    {421, "Misdirected Request", NULL},
    {422, "Unprocessable Content", NULL},
    {429, "Too Many Requests", NULL},
    {431, "Request Header Fields Too Large", "RequestHeaderSectionTooLarge"},
    {451, "Unavailable For Legal Reasons", NULL},
    {500, "Internal Server Error", "InternalError"},
    {501, "Not Implemented", "NotImplemented"},
    {502, "Bad Gateway", NULL},
    {503, "Service Unavailable", "SlowDown"},
    {504, "Gateway Timeout", NULL},
    {505, "HTTP Version Not Supported", "HttpVersionNotSupported"},
    {507, "Insufficient Storage", NULL},
};

static const struct status_row *find(unsigned status) {
  assert(status >= 100 && status <= 599);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    if (rows[i].status == status) return &rows[i];
  return NULL;
}

const char *wire_status_text(unsigned status) {
  const struct status_row *row = find(status);
  assert(row == NULL || row->text != NULL);
  return row != NULL ? row->text : "Unknown";
}

const char *status_error_code(unsigned status) {
  const struct status_row *row = find(status);
  assert(status >= 400);
  return row != NULL && row->error_code != NULL ? row->error_code : "InternalError";
}
