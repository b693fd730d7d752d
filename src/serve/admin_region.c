/* Admin: the region itself: figures, keys, names. */
#include "serve/admin.h"

void admin_status(struct admin *a) {
  struct region *r = a->r;
  struct store_stats s;
  struct vault_stats v;
  store_stats(r->store, &s);
  vault_stats(store_vault(r->store), &v);
  char kek[VAULT_KEK_NAME_SIZE];
  vault_kek_name(vault_kek_current(store_vault(r->store)), kek);
  struct charter *c = subject_charter(r->subjects);
  json_t *j = json_pack("{s:s,s:i,s:s,s:s,s:s,s:I}", "region", r->name, "number", r->number, "state",
                        region_state(r), "origin", ledger_origin(r->ledger), "kek", kek, "charter",
                        (json_int_t)(c ? charter_version(c) : 0));
  charter_release(c);
  const struct {
    const char *name;
    uint64_t value;
  } numbers[] = {{"log_lsn", s.applied_lsn},
                 {"log_bytes", s.log_bytes},
                 {"log_live_bytes", s.log_live_bytes},
                 {"segments", s.segments},
                 {"disk_free_bytes", s.free_bytes},
                 {"ledger_size", ledger_size(r->ledger)},
                 {"ledger_lsn", ledger_cursor(r->ledger)},
                 {"keys", v.slots_used},
                 {"keys_damaged", v.slots_damaged},
                 {"keys_under_old_kek", v.slots_old_kek},
                 {"erasures_waiting", atomic_load(&r->erasures_waiting)},
                 {"erasures_overdue", atomic_load(&r->erasures_overdue)},
                 {"erasures_deadline_ms", atomic_load(&r->erasures_deadline_ms)},
                 {"requests", atomic_load(&r->metrics.requests)},
                 {"refused", atomic_load(&r->metrics.refused_451)},
                 {"forwarded", atomic_load(&r->metrics.forwarded)}};
  for (size_t i = 0; j && i < sizeof numbers / sizeof numbers[0]; i++)
    json_object_set_new(j, numbers[i].name, json_integer((json_int_t)numbers[i].value));
  admin_reply_take(a, 200, j);
}

void admin_key_rotate(struct admin *a) {
  struct dom_err err = {0};
  uint64_t erased = 0;
  enum dom_code code = mover_rotate_kek(a->r->mover, NULL, NULL, &erased, &err);
  if (code) {
    admin_fail(a, code, &err);
    return;
  }
  char kek[VAULT_KEK_NAME_SIZE];
  vault_kek_name(vault_kek_current(store_vault(a->r->store)), kek);
  admin_reply_take(a, 200, json_pack("{s:s,s:I}", "kek", kek, "erased", (json_int_t)erased));
}

void admin_key_backup(struct admin *a) {
  struct dom_err err = {0};
  uint64_t keys = 0;
  const struct vault_backup_options *o = &a->d->backup.options;
  if (!o->disk) {
    admin_refuse(a, "no backup is configured: vault_backup_file and vault_backup_recipient name its place");
    return;
  }
  enum dom_code code = DOM_OK;
  if (!mover_is_open(
          a->r->mover)) /* the backup in its place may know more than a vault that was brought back */
    code = dom_fail(&err, DOM_UNAVAILABLE, "serve/admin",
                    "this region is in quarantine: no backup is replaced before it knows what it missed");
  if (!code) code = vault_backup(store_vault(a->r->store), o, &keys, &err);
  if (code)
    admin_fail(a, code, &err);
  else
    admin_reply_take(
        a, 200, json_pack("{s:s,s:I}", "file", a->d->config->vault_backup_file, "keys", (json_int_t)keys));
}

void admin_names_purge(struct admin *a) {
  struct dom_err err = {0};
  enum dom_code code = mover_purge_names(a->r->mover, &err);
  if (code)
    admin_fail(a, code, &err);
  else
    admin_reply_take(a, 200, json_pack("{s:b}", "purged", 1));
}
