#include "text_request.h"

#include "fuzz.h"

/* 2026-11-22T12:00:00Z, the date in the seeds. */
#define NOW_MS UINT64_C(1795348800000)

bool text_request_parse(struct slice text, struct text_request *out) {
  struct slice line;
  *out = (struct text_request){.request.now_ms = NOW_MS};
  if (!fuzz_line(&text, &line)) return false;
  size_t blank = slice_find(line, ' ');
  if (blank == 0 || blank == line.len) return false;
  out->request.method = slice_cut(line, 0, blank);
  struct slice target = slice_cut(line, blank + 1, line.len);
  target = slice_cut(target, 0, slice_find(target, ' ')); /* "HTTP/1.1" may follow */
  size_t mark = slice_find(target, '?');
  out->request.raw_path = slice_cut(target, 0, mark);
  if (mark < target.len) out->request.raw_query = slice_cut(target, mark + 1, target.len);
  while (out->request.header_count < TEXT_REQUEST_HEADERS_MAX && fuzz_line(&text, &line) && line.len > 0) {
    size_t colon = slice_find(line, ':');
    if (colon == 0 || colon == line.len) continue;
    out->headers[out->request.header_count++] = (struct auth_header){
        slice_cut(line, 0, colon), auth_value_trim(slice_cut(line, colon + 1, line.len))};
  }
  out->request.headers = out->headers;
  return true;
}
