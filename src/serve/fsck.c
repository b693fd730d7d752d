/* fsck of a region that is not running: the store's own check, with the folder and keys of a config. */
#include <assert.h>

#include "serve/daemon.h"

enum dom_code serve_traces(const struct serve_config *c, const struct serve_traces_options *t,
                           struct store_traces_report *out, struct dom_err *err) {
  struct disk *disk = NULL;
  struct kek_source keks = {0};
  assert(c->data && c->kek_folder && c->region_number && t);
  enum dom_code code = disk_posix_open(c->data, &disk, err);
  if (!code) code = kek_source_open(c, false, &keks, err);
  if (!code) {
    struct store_traces_options o = {.store = {.disk = disk,
                                               .clock = clock_posix(),
                                               .kek = keks.kek,
                                               .region = (uint16_t)c->region_number},
                                     .token = t->token,
                                     .needles = t->needles,
                                     .needle_count = t->needle_count,
                                     .move_finished = move_row_finished,
                                     .progress = t->progress,
                                     .arg = t->arg};
    serve_deployment_id(c, o.store.deployment);
    code = store_traces(&o, out, err);
  }
  kek_source_close(&keks);
  disk_posix_close(disk);
  return code;
}

enum dom_code serve_fsck(const struct serve_config *c, bool rebuild_index,
                         const struct serve_fsck_watch *watch, struct store_fsck_report *out,
                         struct dom_err *err) {
  struct disk *disk = NULL;
  struct kek_source keks = {0};
  assert(c->data && c->kek_folder && c->region_number);
  enum dom_code code = disk_posix_open(c->data, &disk, err);
  if (!code) code = kek_source_open(c, false, &keks, err);
  if (!code) {
    struct store_options o = {
        .disk = disk, .clock = clock_posix(), .kek = keks.kek, .region = (uint16_t)c->region_number};
    serve_deployment_id(c, o.deployment);
    code = store_fsck(&o, rebuild_index, watch->found, watch->progress, watch->arg, out, err);
  }
  kek_source_close(&keks);
  disk_posix_close(disk);
  return code;
}

enum dom_code serve_repair(const struct serve_config *c, const struct store_repair *r,
                           struct store_repair_report *out, struct dom_err *err) {
  struct disk *disk = NULL;
  struct kek_source keks = {0};
  assert(c->data && c->kek_folder && c->region_number);
  enum dom_code code = disk_posix_open(c->data, &disk, err);
  if (!code) code = kek_source_open(c, false, &keks, err);
  if (!code) {
    struct store_options o = {
        .disk = disk, .clock = clock_posix(), .kek = keks.kek, .region = (uint16_t)c->region_number};
    serve_deployment_id(c, o.deployment);
    code = store_repair(&o, r, out, err);
  }
  kek_source_close(&keks);
  disk_posix_close(disk);
  return code;
}
