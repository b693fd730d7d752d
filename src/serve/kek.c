/* Where a region's KEKs come from: a folder of keys, plain or wrapped by a key of a PKCS#11 token. */
#include <assert.h>
#include <stdlib.h>

#include "serve/daemon.h"

static enum dom_code wrap_open(const char *uri, const char *module, const char *pin_file,
                               struct vault_wrap **out, struct dom_err *err) {
  struct vault_pkcs11_options o = {
      .uri = uri, .module = module, .pin_file = pin_file, .pin = getenv("DOMICILE_KEK_PIN")};
  if (uri) return vault_wrap_pkcs11_open(&o, out, err);
  *out = NULL;
  return DOM_OK;
}

enum dom_code kek_source_open(const struct serve_config *c, bool create, struct kek_source *out,
                              struct dom_err *err) {
  assert(c->kek_folder && out);
  struct kek_source s = {0};
  enum dom_code code = wrap_open(c->kek, c->kek_module, c->kek_pin_file, &s.wrap, err);
  if (!code) code = disk_posix_open(c->kek_folder, &s.disk, err);
  if (!code) code = vault_kek_wrapped_open(s.disk, "", c->kek_folder, create, s.wrap, &s.kek, err);
  if (code)
    kek_source_close(&s);
  else
    *out = s;
  return code;
}

void kek_source_close(struct kek_source *s) {
  assert(s);
  vault_kek_close(s->kek);
  vault_wrap_close(s->wrap);
  disk_posix_close(s->disk);
  *s = (struct kek_source){0};
}

/* ---- another wrapping ------------------------------------------------------------------------ */

/* The lock of a data folder, as the store takes it: nobody serves meanwhile. */
static enum dom_code lock_region(struct disk *data, struct disk_file **out, struct dom_err *err) {
  struct disk_file *lock = NULL;
  enum dom_code code = disk_open(data, "lock", DISK_READ | DISK_WRITE | DISK_CREATE, &lock, err);
  if (!code && disk_lock(lock, NULL))
    code = dom_fail(err, DOM_BUSY, "serve/kek", "the region is running: stop it first");
  if (code)
    disk_close(lock);
  else
    *out = lock;
  return code;
}

enum dom_code serve_kek_rewrap(const struct serve_config *c, const struct serve_wrap *to, uint64_t *out_done,
                               struct dom_err *err) {
  assert(c->data && c->kek_folder && to && out_done);
  struct disk *data = NULL, *keys = NULL;
  struct disk_file *lock = NULL;
  struct vault_wrap *from_wrap = NULL, *to_wrap = NULL;
  if (!c->kek && !to->uri)
    return dom_fail(err, DOM_INVALID, "serve/kek",
                    "no wrapping key is named, neither the old one nor a new one");
  enum dom_code code = disk_posix_open(c->data, &data, err);
  if (!code) code = lock_region(data, &lock, err);
  if (!code) code = wrap_open(c->kek, c->kek_module, c->kek_pin_file, &from_wrap, err);
  if (!code) code = wrap_open(to->uri, to->module, to->pin_file, &to_wrap, err);
  if (!code) code = disk_posix_open(c->kek_folder, &keys, err);
  if (!code) code = vault_kek_rewrap(keys, "", c->kek_folder, from_wrap, to_wrap, out_done, err);
  disk_posix_close(keys);
  vault_wrap_close(to_wrap);
  vault_wrap_close(from_wrap);
  disk_close(lock);
  disk_posix_close(data);
  return code;
}
