/* Lists the handoffs that a stopped region's store knows: TOKEN EPOCH SIDE STATE, one a line. For crash
 * tests: what a region says of itself while it runs hides what it waits for.
 *
 * usage: handoffs DATA KEK_FOLDER REGION_NUMBER DEPLOYMENT_NAME (as DOMAIN/DEPLOYMENT) */
#include <stdio.h>
#include <stdlib.h>

#include "base/disk.h"
#include "move/handoff.h"
#include "vault/vault.h"

static bool print(void *arg, const struct handoff *h) {
  (void)arg;
  for (size_t i = 0; i < TOKEN_SIZE; i++) printf("%02x", h->token[i]);
  printf(" %llu %s %s\n", (unsigned long long)h->epoch, h->side == HANDOFF_SOURCE ? "source" : "target",
         handoff_state_name(h->state));
  return true;
}

static int complain(const char *what, const struct dom_err *err) {
  fprintf(stderr, "handoffs: %s: %s: %s\n", what, err->where, err->text);
  return 1;
}

/* As serve_deployment_id says; the superblock holds it. */
static void deployment_id(const char *name, uint8_t out[16]) {
  uint8_t sum[SHA256_SIZE];
  BUF_AUTO text = BUF_INIT;
  buf_printf(&text, "domicile deployment 1\n%s", name);
  sha256(text.data, text.len, sum);
  memcpy(out, sum, 16);
}

int main(int argc, char **argv) {
  struct dom_err err = {0};
  struct disk *disk = NULL, *keys = NULL;
  struct vault_kek *kek = NULL;
  struct store *store = NULL;
  struct store_view *v = NULL;
  if (argc != 5) return 2;
  enum dom_code code = disk_posix_open(argv[1], &disk, &err);
  if (!code) code = disk_posix_open(argv[2], &keys, &err);
  if (!code) code = vault_kek_folder_open(keys, "", argv[2], false, &kek, &err);
  struct store_options o = {
      .disk = disk, .clock = clock_posix(), .kek = kek, .region = (uint16_t)strtoul(argv[3], NULL, 10)};
  deployment_id(argv[4], o.deployment);
  if (!code) code = store_open(&o, &store, &err);
  if (!code) code = store_view_open(store, &v, &err);
  if (!code) code = handoff_scan(v, NULL, print, NULL, &err);
  if (code) complain(argv[1], &err);
  store_view_close(v);
  if (store) store_close(store);
  vault_kek_close(kek);
  if (keys) disk_posix_close(keys);
  if (disk) disk_posix_close(disk);
  return code ? 1 : 0;
}
