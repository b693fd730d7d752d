/* A region alone, for clients and suites that want one plain S3 endpoint. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/crypto.h"
#include "serve/daemon.h"

static const char where[] = "serve/dev";

static const char *join(struct serve_config *c, const char *folder, const char *name) {
  BUF_AUTO path = BUF_INIT;
  size_t n = strlen(folder);
  while (n > 1 && folder[n - 1] == '/') n--;
  buf_append(&path, folder, n);
  buf_append_str(&path, name);
  return path.failed ? NULL : arena_str(c->memory, buf_slice(&path));
}

static enum dom_code make_folder(const char *path, struct dom_err *err) {
  if (mkdir(path, 0700) == 0 || errno == EEXIST) return DOM_OK;
  return dom_fail_errno(err, errno, where, path);
}

static enum dom_code ensure_secret(const char *path, struct dom_err *err) {
  uint8_t key[32];
  struct stat st;
  enum dom_code code = stat(path, &st) == 0 ? DOM_OK : serve_secret_create(path, key, err);
  wipe(key, sizeof key);
  return code;
}

/* The folder that holds DATA must be there before DATA.keys can be made beside it. */
static enum dom_code make_parents(const char *path, struct dom_err *err) {
  char part[4096];
  int n = snprintf(part, sizeof part, "%s", path);
  if (n < 0 || (size_t)n >= sizeof part) return dom_fail(err, DOM_TOO_LARGE, where, "path too long");
  enum dom_code code = DOM_OK;
  for (char *slash = strchr(part + 1, '/'); slash && !code; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    if (part[0]) code = make_folder(part, err);
    *slash = '/';
  }
  return code;
}

enum dom_code serve_dev_prepare(struct serve_config *c, struct dom_err *err) {
  assert(c->dev && c->memory);
  if (!c->data) return dom_fail(err, DOM_INVALID, where, "--dev needs --data DIR");
  if (!c->region_name) c->region_name = "us";
  if (c->listen_count == 0) c->listen[c->listen_count++] = "127.0.0.1:9100";
  const char *keys = c->kek_folder ? c->kek_folder : join(c, c->data, ".keys");
  if (!keys) return dom_fail(err, DOM_NO_MEMORY, where, "paths are too long");
  c->region_number = 1;
  c->deployment = join(c, "dev-", c->region_name); /* so that each name has folders of its own */
  c->domain = "localhost";
  c->default_layout = "";
  c->kek_folder = join(c, keys, "/kek");
  c->seed_file = join(c, keys, "/region.seed");
  c->route_key_file = join(c, keys, "/route.key");
  c->charter_public_key_file = join(c, keys, "/charter.seed");
  if (!c->deployment || !c->kek_folder || !c->seed_file || !c->route_key_file || !c->charter_public_key_file)
    return dom_fail(err, DOM_NO_MEMORY, where, "paths are too long");
  enum dom_code code = config_check_apart(c, err);
  if (!code) code = make_parents(keys, err);
  if (!code) code = make_folder(keys, err);
  if (!code) code = ensure_secret(c->seed_file, err);
  if (!code) code = ensure_secret(c->route_key_file, err);
  return code ? code : ensure_secret(c->charter_public_key_file, err);
}
