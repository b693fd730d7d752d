/* Forms of browsers: the first line is a Content-Type, the second a policy, the rest a body. However a body
 * is cut, it is the same form; written anew, it is read the same; fields become a head of lines that a head
 * can have. A policy says the same twice, nothing after its time, and no to a field that it does not name.
 * Nobody without the secret signs one. */
#include "fuzz.h"

#include "auth/canon.h"
#include "s3/s3.h"

enum { ARENA_BYTES = 8 << 20 };
#define SECRET "fuzz-secret-nobody-knows"
#define NOW_MS UINT64_C(1767225600000)   /* 2026-01-01 */
#define LATE   UINT64_C(253402300800000) /* the year 10000 */

/* What a body says. */
struct told {
  enum s3_error error;
  bool has_file, is_done;
  struct s3_form_fields *fields;
  struct buf file;
};

static void take(struct told *t, const struct s3_form_event *event, struct arena *arena) {
  struct s3_fault fault;
  if (event->kind == S3_FORM_DATA) {
    assert(event->value.len > 0 && t->has_file);
    buf_append_slice(&t->file, event->value);
  }
  bool counts = event->kind == S3_FORM_FILE || (event->kind == S3_FORM_FIELD && !t->has_file);
  if (counts) t->error = s3_form_add(t->fields, event, arena, &fault);
  t->has_file = t->has_file || event->kind == S3_FORM_FILE;
}

/* Shown as whoever reads a socket would: what is left over is shown again, with up to `piece` more bytes.
 * Each showing is memory of exactly that size. */
static struct told tell(struct slice type, struct slice body, size_t piece, struct arena *arena) {
  struct told t = {.fields = arena_alloc(arena, sizeof *t.fields)};
  struct s3_form f;
  size_t at = 0, shown = 0;
  memset(t.fields, 0, sizeof *t.fields);
  fuzz_mark(&f, sizeof f);
  t.error = s3_form_begin(type, &f);
  if (t.error) assert(fuzz_is_marked(&f, sizeof f));
  while (!t.error) {
    struct s3_form_event event;
    size_t used = 0;
    struct slice part = slice_cut(body, at, shown);
    FUZZ_COPY_AUTO copy = fuzz_copy(part);
    struct slice in = slice_of(copy, part.len);
    t.error = s3_form_next(&f, in, &used, &event);
    if (t.error) break;
    assert(used <= in.len && fuzz_inside(in, event.name) && fuzz_inside(in, event.value));
    assert(event.kind == S3_FORM_MORE || used > 0);
    take(&t, &event, arena);
    at += used;
    if (event.kind != S3_FORM_MORE) continue;
    assert(!t.has_file || f.has_file || shown - at < f.delimiter_len);
    if (shown == body.len) break;
    shown = body.len - shown < piece ? body.len : shown + piece;
  }
  t.is_done = !t.error && s3_form_is_done(&f);
  return t;
}

static void same(const struct told *a, const struct told *b) {
  assert(a->error == b->error && a->is_done == b->is_done);
  if (a->error) return;
  assert(a->has_file == b->has_file && a->fields->count == b->fields->count);
  assert(slice_equal(buf_slice(&a->file), buf_slice(&b->file)));
  assert(slice_equal(a->fields->file_name, b->fields->file_name));
  for (size_t i = 0; i < a->fields->count; i++) {
    assert(slice_equal(a->fields->item[i].name, b->fields->item[i].name));
    assert(slice_equal(a->fields->item[i].value, b->fields->item[i].value));
  }
}

/* Written anew under a boundary of our own, if that occurs nowhere in it. */
static void write_and_read(const struct told *t, struct slice body, struct arena *arena) {
  static const char mark[] = "--fuzz-of-our-own";
  BUF_AUTO again = BUF_INIT;
  if (!t->is_done || !t->has_file || memmem(body.data, body.len, mark, sizeof mark - 1) != NULL) return;
  for (size_t i = 0; i < t->fields->count; i++) {
    const struct auth_header *field = &t->fields->item[i];
    if (slice_find(field->name, '"') < field->name.len || slice_find(field->name, '\\') < field->name.len)
      return;
    buf_printf(&again, "%s\r\nContent-Disposition: form-data; name=\"", mark);
    buf_append_slice(&again, field->name);
    buf_append_str(&again, "\"\r\n\r\n");
    buf_append_slice(&again, field->value);
    buf_append_str(&again, "\r\n");
  }
  struct slice name = t->fields->file_name;
  if (slice_find(name, '"') < name.len) return;
  buf_printf(&again, "%s\r\nContent-Disposition: form-data; name=file; filename=\"", mark);
  buf_append_slice(&again, name);
  buf_append_str(&again, "\"\r\n\r\n");
  buf_append_slice(&again, buf_slice(&t->file));
  buf_printf(&again, "\r\n%s--\r\n", mark);
  struct told back =
      tell(SLICE_LIT("multipart/form-data; boundary=fuzz-of-our-own"), buf_slice(&again), again.len, arena);
  same(t, &back);
  buf_done(&back.file);
}

static void check_head(const struct s3_form_fields *fields, struct arena *arena) {
  static const struct auth_header real[] = {{SLICE_LIT("Host"), SLICE_LIT("h")},
                                            {SLICE_LIT("x-amz-meta-real"), SLICE_LIT("1")}};
  struct auth_request head = {.method = SLICE_LIT("POST"), .headers = real, .header_count = 2}, whole;
  struct s3_request q = {.op = S3_OP_POST_OBJECT, .bucket = SLICE_LIT("fuzz-bucket")};
  struct s3_fault fault = {0};
  struct slice value;
  BUF_AUTO text = BUF_INIT;
  enum s3_error error = s3_form_request(fields, &head, arena, &q, &whole, &fault);
  if (error) {
    assert(error == fault.error && q.key.len == 0);
    return;
  }
  assert(s3_key_check(q.key) == S3_OK && auth_header_find(&whole, SLICE_LIT("x-amz-meta-real"), &value) == 0);
  for (size_t i = 0; i < whole.header_count; i++)
    for (size_t k = 0; k < whole.headers[i].value.len; k++)
      assert(whole.headers[i].value.data[k] >= ' ' || whole.headers[i].value.data[k] == '\t');
  struct s3_form_answer answer = s3_form_answer(fields);
  if (answer.redirect.len) s3_form_redirect(&q, answer.redirect, SLICE_LIT("e"), &text);
  s3_form_location(&q, SLICE_LIT("h"), false, &text);
  for (size_t i = 0; i < text.len; i++) assert(text.data[i] > ' ' && text.data[i] < 0x7f);
}

static enum s3_error judge(struct slice base64, const struct s3_form_fields *fields, uint64_t now_ms,
                           struct arena *arena, struct s3_form_range *range) {
  struct s3_fault fault = {0};
  *range = (struct s3_form_range){3, 5};
  enum s3_error error =
      s3_form_policy_check(base64, fields, SLICE_LIT("fuzz-bucket"), now_ms, arena, range, &fault);
  assert(error == fault.error && (!error || fault.detail != NULL));
  if (error) assert(range->bytes_min == 3 && range->bytes_max == 5);
  assert(range->bytes_min >= 3 && range->bytes_max <= 5);
  return error;
}

static void check_policy(struct slice policy, struct s3_form_fields *fields, struct arena *arena) {
  BUF_AUTO text = BUF_INIT;
  struct s3_form_range a, b;
  base64_encode(&text, policy);
  enum s3_error error = judge(buf_slice(&text), fields, NOW_MS, arena, &a);
  assert(error == judge(buf_slice(&text), fields, NOW_MS, arena, &b));
  assert(a.bytes_min == b.bytes_min && a.bytes_max == b.bytes_max);
  if (error) return;
  assert(judge(buf_slice(&text), fields, LATE, arena, &b) == S3_ERR_DENIED_BY_FORM_POLICY);
  if (fields->count == S3_FORM_FIELDS_MAX || s3_form_field(fields, "unnamed").data) return;
  if (memmem(policy.data, policy.len, "named", 5) || memmem(policy.data, policy.len, "\\", 1)) return;
  fields->item[fields->count++] = (struct auth_header){SLICE_LIT("Unnamed"), SLICE_LIT("")};
  error = judge(buf_slice(&text), fields, NOW_MS, arena, &b);
  fields->count--;
  for (size_t i = 0; i + 7 <= policy.len; i++)
    if (slice_equal_nocase(slice_cut(policy, i, i + 7), SLICE_LIT("unnamed"))) return;
  assert(error == S3_ERR_DENIED_BY_FORM_POLICY);
}

static bool lookup(void *context, struct slice access, struct auth_key *out) {
  (void)context;
  if (!slice_equal(access, SLICE_LIT("FUZZKEY"))) return false;
  *out = (struct auth_key){.access = "FUZZKEY", .secret = SECRET, .account = "main"};
  return true;
}

static void check_signature(struct slice policy, const struct s3_form_fields *fields, struct fuzz_random *r,
                            struct arena *arena) {
  struct auth_config config = {.lookup = lookup};
  struct auth_verifier *verifier = auth_verifier_new(&config);
  struct auth_result result;
  struct auth_form f;
  struct s3_fault fault;
  uint8_t key[KEY_SIZE], mac[SHA256_SIZE];
  char hex[AUTH_SIGNATURE_HEX + 1];
  bool is_signed = false;
  if (s3_form_credential(fields, &is_signed, &f, &fault) == S3_OK && is_signed)
    assert(auth_verify_form(verifier, &f, NOW_MS, arena, &result) != AUTH_OK);
  FUZZ_COPY_AUTO text = fuzz_copy(policy);
  canon_signing_key(SLICE_LIT(SECRET), SLICE_LIT("20260101"), SLICE_LIT("r"), key);
  hmac_sha256(slice_of(key, sizeof key), policy, mac);
  canon_hex(mac, hex);
  f = (struct auth_form){.algorithm = SLICE_LIT("AWS4-HMAC-SHA256"),
                         .credential = SLICE_LIT("FUZZKEY/20260101/r/s3/aws4_request"),
                         .date = SLICE_LIT("20260101T000000Z"),
                         .signature = slice_str(hex),
                         .policy = slice_of(text, policy.len)};
  if (policy.len > 0) {
    assert(auth_verify_form(verifier, &f, NOW_MS, arena, &result) == AUTH_OK);
    text[fuzz_random_below(r, policy.len)] ^= (uint8_t)(1u << fuzz_random_below(r, 8));
    fuzz_mark(&result, sizeof result);
    assert(auth_verify_form(verifier, &f, NOW_MS, arena, &result) == AUTH_SIGNATURE_MISMATCH);
    assert(fuzz_is_marked(&result, sizeof result));
  }
  auth_verifier_free(verifier);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct slice in = slice_of(data, size), type = {0}, policy = {0};
  struct fuzz_random r = fuzz_random_of(in);
  struct arena *arena = arena_new(ARENA_BYTES);
  if (fuzz_line(&in, &type)) (void)fuzz_line(&in, &policy);
  struct told whole = tell(type, in, in.len, arena);
  struct told cut = tell(type, in, 1 + fuzz_random_below(&r, 40), arena);
  same(&whole, &cut);
  write_and_read(&whole, in, arena);
  if (!whole.error && s3_form_expand(whole.fields, arena) == S3_OK) {
    check_head(whole.fields, arena);
    check_policy(policy, whole.fields, arena);
    check_signature(policy, whole.fields, &r, arena);
  }
  buf_done(&whole.file);
  buf_done(&cut.file);
  arena_free(arena);
  return 0;
}
