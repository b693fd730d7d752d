/* Admin: buckets. */
#include <stdio.h>

#include "serve/admin.h"

static json_t *bucket_json(struct region *r, const struct subject_bucket *b) {
  return json_pack("{s:s,s:s,s:s,s:o,s:s,s:I}", "name", b->name, "owner", b->owner, "layout", b->layout_text,
                   "region", admin_region(r, b->region), "unmatched", b->keep_unmatched ? "keep" : "refuse",
                   "created_ms", (json_int_t)b->created_ms);
}

static bool fill(struct admin *a, char *to, size_t cap, const char *from, const char *what) {
  char why[80];
  if (strlen(from) < cap) {
    memcpy(to, from, strlen(from) + 1);
    return true;
  }
  snprintf(why, sizeof why, "%s is too long", what);
  admin_refuse(a, why);
  return false;
}

/* By default keys that match no template are refused, and kept where there is no template at all. */
static bool set_unmatched(struct admin *a, const char *text, struct subject_bucket *want) {
  if (!text) {
    want->keep_unmatched = want->layout_text[0] == 0;
    return true;
  }
  want->keep_unmatched = strcmp(text, "keep") == 0;
  if (want->keep_unmatched || strcmp(text, "refuse") == 0) return true;
  admin_refuse(a, "unmatched must be refuse or keep");
  return false;
}

void admin_bucket_put(struct admin *a) {
  const char *owner = AUTH_ACCOUNT_DEFAULT, *layout = NULL, *region = NULL, *unmatched = NULL;
  struct subject_bucket want = {.region = a->r->number}, have;
  struct dom_err err = {0};
  if (!a->body) a->body = json_object();
  if (!admin_unpack(a, "{s?s,s?s,s?s,s?s}", "owner", &owner, "layout", &layout, "region", &region,
                    "unmatched", &unmatched))
    return;
  if (!s3_bucket_name_valid(slice_str(a->word[1]))) {
    admin_refuse(a, "a bucket's name has 3 to 63 of a-z, 0-9, '.' and '-'");
    return;
  }
  if (!layout) layout = a->d->config->default_layout;
  if (!fill(a, want.name, sizeof want.name, a->word[1], "the name") ||
      !fill(a, want.owner, sizeof want.owner, owner, "the owner") ||
      !fill(a, want.layout_text, sizeof want.layout_text, layout, "the layout") ||
      !set_unmatched(a, unmatched, &want))
    return;
  if (region && !admin_region_number(a, region, &want.region)) return;
  enum dom_code code = subject_bucket_create(a->r->subjects, &want, &have, &err);
  if (code == DOM_EXISTS)
    dom_fail(&err, code, "serve/admin", "a bucket of that name exists already, owned by %s", have.owner);
  if (code)
    admin_fail(a, code, &err);
  else
    admin_reply_take(a, 201, bucket_json(a->r, &have));
}

struct rows {
  struct region *r;
  json_t *list;
};

static bool add(void *arg, const struct subject_bucket *b) {
  struct rows *rows = arg;
  return json_array_append_new(rows->list, bucket_json(rows->r, b)) == 0;
}

void admin_bucket_list(struct admin *a) {
  struct dom_err err = {0};
  struct rows rows = {.r = a->r, .list = json_array()};
  const char *owner = admin_param(a, "owner", AUTH_ACCOUNT_DEFAULT);
  enum dom_code code =
      rows.list ? subject_bucket_each(a->r->subjects, slice_str(owner), add, &rows, &err) : DOM_NO_MEMORY;
  if (code) {
    json_decref(rows.list);
    admin_fail(a, code, &err);
    return;
  }
  admin_reply_take(a, 200, json_pack("{s:o}", "buckets", rows.list));
}
