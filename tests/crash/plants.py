#!/usr/bin/env python3
"""Planted bugs: small changes to single source files, for tests that must find them.

usage: plants.py NAME SOURCE OUT    writes SOURCE with the bug planted
       plants.py --check ROOT       1 and a line for each plant that fits its source no more

Production code holds no hooks for this: a plant is a replacement of text, and it must fit exactly as
often as it says. One that does not fit leaves the source as it is, so that the tree still builds; then its
tests fail, and --check names it.
"""
import os
import sys

# name: (source below src/, [(text, replacement, how often)])
PLANTS = {
    # fsyncs left out
    "log-unsynced": ("store/local/log.c", [("DISK_WRITE | DISK_DSYNC | DISK_DIRECT", "DISK_WRITE | DISK_DIRECT", None)]),
    "body-unsynced": ("store/local/body.c", [("code = disk_sync(b->file, err);", "code = DOM_OK;", 1)]),
    "body-name-unsynced": (
        "store/local/body.c",
        [("code = disk_dir_sync(b->store->o.disk, folder, err);", "code = DOM_OK;", 1)],
    ),
    "body-folder-unsynced": (
        "store/local/body.c",
        [('code = disk_dir_sync(s->o.disk, "bodies", err);', "code = DOM_OK;", 1)],
    ),
    "vault-unsynced": (
        "vault/changes.c",
        [("code = disk_sync(v->files.file[copy], err);", "code = DOM_OK;", 1)],
    ),
    # a version that was deleted comes back where an older record of it is read again
    "version-comes-back": (
        "store/local/apply.c",
        [("  parts_drop(s);\n  bodies_lose(s);\n  tomb_put(s, true);", "  parts_drop(s);\n  bodies_lose(s);\n  if (!s->c->versioned) tomb_put(s, true);", 1)],
    ),
    # a write of the null version looks at the newest one only
    "null-version-twice": (
        "store/local/prev.c",
        [("  return out->versioned ? null_row_seek(v, cell, key, value, out, err) : DOM_OK;",
          "  (void)null_row_seek;\n  return out->versioned ? DOM_NOT_FOUND : DOM_OK;", 1)],
    ),
    # other metadata makes another version
    "amended-twice": ("store/local/tx_object.c", [("  c.order = o.order;\n", "", 1)]),
    # the body of an amended version goes as that of a replaced one
    "amended-body-goes": (
        "store/local/apply.c",
        [("    row_id_key(key_new(s->a), ROW_REMOVAL, c->bodies[i].id);\n    index_delete(s->b, buf_slice(&s->a->key));\n", "", 1)],
    ),
    # the fence is raised for nobody who looks at the row
    "fence-not-persisted": (
        "move/source.c",
        [
            ("  row.state = SUBJECT_FENCED;\n  return store_tx_subject_put(tx, &row, err);", "  return DOM_OK;", 1),
            ("row.state != SUBJECT_FENCED || row.handoff_epoch", "row.handoff_epoch", 1),
        ],
    ),
    # neither gate nor fence: writers go on while the manifests are compared and the home changes
    "fence-left-out": (
        "move/source.c",
        [
            ("  row.state = SUBJECT_FENCED;\n  return store_tx_subject_put(tx, &row, err);", "  return DOM_OK;", 1),
            ("row.state != SUBJECT_FENCED || row.handoff_epoch", "row.handoff_epoch", 1),
            ("!subject_gate_close(m->o.subjects, s->h.token, MOVE_GATE_DRAIN_MS) && i", "i", 1),
        ],
    ),
    # commits are made though what they read has changed since
    "guards-ignored": (
        "store/local/writer.c",
        [("    else if (!guards_hold(w, c))\n", "    else if (c->alone && !guards_hold(w, c))\n", 1)],
    ),
    # a start after a kill leaves out what one record in thirty-two says
    "replay-forgets": (
        "store/local/open.c",
        [("  enum dom_code code = replay_record(r, rec, err);",
          "  enum dom_code code = rec->lsn % 32 ? replay_record(r, rec, err) : DOM_OK;", 1)],
    ),
    "old-prepared-accepted": (
        "move/source.c",
        [
            ("epoch != h->epoch || memcmp(manifest.data, h->manifest, SHA256_SIZE) != 0", "epoch == 0 || manifest.len == 0", 1),
        ],
    ),
    "erased-before-confirmed": (
        "move/source.c",
        [("return code ? code : mover_advance(m, h, EVENT_CONFIRMED", "return mover_advance(m, h, EVENT_CONFIRMED", 1)],
    ),
    # an entry is durable before the state that it reports
    "entry-before-state": (
        "move/mover.c",
        [
            (
                "  return subject_tx_entry(m->o.subjects, tx, &payload, h->epoch, log_id, index, err);",
                "  STORE_VIEW_AUTO *v = NULL;\n"
                "  (void)tx;\n"
                "  enum dom_code code = store_view_open(m->o.store, &v, err);\n"
                "  if (!code) code = store_tx_begin(m->o.store, v, &tx, err);\n"
                "  if (!code) code = subject_tx_entry(m->o.subjects, tx, &payload, h->epoch, log_id, index, err);\n"
                "  return code ? code : store_tx_commit_take(tx, NULL, err);",
                1,
            )
        ],
    ),
    # for the simulator: a commit does not ask whether its subject was fenced or left meanwhile
    "writes-unguarded": (
        "store/local/tx.c",
        [("if (code == DOM_OK) code = tx_read(tx, tx_hash_subject(place->token), err);", "", 1)],
    ),
    # a target that asks about an epoch that was given up is told to wait
    "asked-in-vain": (
        "move/source.c",
        [("  else if (!known || h.state == HANDOFF_ABORTED)\n    put_u8(reply, 'a');",
          "  else if (!known || h.state == HANDOFF_ABORTED)\n    put_u8(reply, 'w');", 1)],
    ),
    # a key is there before any row tells that it is
    "key-before-row": (
        "move/target.c",
        [("  code = mover_advance(m, &h, EVENT_BEGIN, NULL, NULL, err);\n  return code ? code : make_key(m, &h, err);",
          "  code = make_key(m, &h, err);\n  return code ? code : mover_advance(m, &h, EVENT_BEGIN, NULL, NULL, err);", 1)],
    ),
    # two homes at once: the source stays one after it committed
    "never-left": (
        "move/source.c",
        [("  row.state = SUBJECT_MOVED;\n  row.epoch = h->epoch;\n  row.home = h->peer;", "  row.state = SUBJECT_HOME;", 1)],
    ),
    # a region that comes back from a backup does not doubt itself
    "backup-believed": (
        "move/quarantine.c",
        [("  if (!code && mark_is_ahead(&seen, &mine)) return quarantine_enter(m, &seen, err);\n", "", 1)],
    ),
    # control runs of the raw scan
    "encryption-off": (
        "base/crypto_cipher.c",
        [
            (
                "  CTX_AUTO *ctx = ctx_new(&gcm, key, nonce, 1);",
                "  if (in.len) memmove(out, in.data, in.len);\n"
                "  memset(tag, 0, GCM_TAG_SIZE);\n"
                "  if (key) return DOM_OK;\n"
                "  CTX_AUTO *ctx = ctx_new(&gcm, key, nonce, 1);",
                1,
            ),
            (
                "  CTX_AUTO *ctx = ctx_new(&gcm, key, nonce, 0);",
                "  if (in.len) memmove(out, in.data, in.len);\n"
                "  if (key) return DOM_OK;\n"
                "  CTX_AUTO *ctx = ctx_new(&gcm, key, nonce, 0);",
                1,
            ),
            (
                "  CTX_AUTO *ctx = ctx_new(&ctr, key, counter, 1);",
                "  if (in.len) memmove(out, in.data, in.len);\n"
                "  if (key) return DOM_OK;\n"
                "  CTX_AUTO *ctx = ctx_new(&ctr, key, counter, 1);",
                1,
            ),
        ],
    ),
    # the vault says that a key is dropped and keeps it
    "shredding-off": (
        "vault/changes.c",
        [
            ("enum dom_code written = vault_changes_write(v, staged, &failed);", "enum dom_code written = DOM_OK;", 1),
            ("if (vault_free_push(v, v->changes[i].slot) != DOM_OK) break;", "break;", 1),
        ],
    ),
}


def planted(name, text):
    """The text with the bug in it; None when it does not fit."""
    for old, new, times in PLANTS[name][1]:
        found = text.count(old)
        if found == 0 or (times is not None and found != times):
            return None
        text = text.replace(old, new)
    return text


def check(root):
    bad = 0
    for name, (source, _) in PLANTS.items():
        with open(os.path.join(root, "src", source), encoding="utf-8") as file:
            if planted(name, file.read()) is None:
                print(f"the planted bug {name} fits src/{source} no more: mend tests/crash/plants.py")
                bad = 1
    return bad


def main():
    if sys.argv[1] == "--check":
        return check(sys.argv[2])
    name, source, out = sys.argv[1:4]
    with open(source, encoding="utf-8") as file:
        text = file.read()
    changed = planted(name, text)
    with open(out, "w", encoding="utf-8") as file:
        file.write(f"/* {source}{' with the bug ' + name if changed else ': the plant does not fit'}. */\n")
        file.write(changed or text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
