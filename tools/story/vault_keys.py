#!/usr/bin/env python3
"""Notes the keys of a country's people in one region, raw and wrapped, for the raw scan.

usage: vault_keys.py --slots FILE --kek-folder DIR --route-key FILE --tenant NAME
                     --subjects FILE --country CC --out FILE

Written from docs/formats/vault.md and docs/formats/registrar.md alone; it shares no code with the
program that it checks. Each wrapped key is unwrapped, so that a needle is never a guess.
--out gets lines of LABEL, tab, hex. Prints the number of people whose keys were found.
"""
import argparse
import ctypes
import ctypes.util
import hashlib
import hmac
import os
import struct
import sys

HEADER_SIZE, SLOT_SIZE, HOLDS_KEY = 4096, 128, 0x4B
CTRL_SET_TAG = 0x11  # EVP_CTRL_AEAD_SET_TAG of OpenSSL's evp.h


def hkdf(key, info):
    """HKDF-SHA256 (RFC 5869), empty salt, 32 bytes."""
    pseudo = hmac.new(bytes(32), key, hashlib.sha256).digest()
    return hmac.new(pseudo, info + b"\x01", hashlib.sha256).digest()


class Gcm:
    """AES-256-GCM by libcrypto, which Python's own library does not offer."""

    def __init__(self):
        self.lib = ctypes.CDLL(ctypes.util.find_library("crypto") or "libcrypto.so.3")
        for name in ("EVP_CIPHER_CTX_new", "EVP_aes_256_gcm"):
            getattr(self.lib, name).restype = ctypes.c_void_p

    def open(self, key, nonce, tag, data, aad):
        """The plaintext, or None when the tag does not fit."""
        lib, length = self.lib, ctypes.c_int(0)
        ctx = ctypes.c_void_p(lib.EVP_CIPHER_CTX_new())
        out = ctypes.create_string_buffer(len(data) + 16)
        cipher = ctypes.c_void_p(lib.EVP_aes_256_gcm())
        good = (
            lib.EVP_DecryptInit_ex(ctx, cipher, None, key, nonce) == 1
            and lib.EVP_DecryptUpdate(ctx, None, ctypes.byref(length), aad, len(aad)) == 1
            and lib.EVP_DecryptUpdate(ctx, out, ctypes.byref(length), data, len(data)) == 1
            and lib.EVP_CIPHER_CTX_ctrl(ctx, CTRL_SET_TAG, len(tag), tag) == 1
            and lib.EVP_DecryptFinal_ex(ctx, ctypes.create_string_buffer(16), ctypes.byref(length)) == 1
        )
        lib.EVP_CIPHER_CTX_free(ctx)
        return out.raw[: len(data)] if good else None


def key_bytes(path):
    """32 raw bytes, or 64 hex digits and a line end."""
    with open(path, "rb") as file:
        data = file.read()
    return data if len(data) == 32 else bytes.fromhex(data.decode("ascii").strip())


def keks(folder):
    """KEK id -> KEK."""
    found = {}
    for name in os.listdir(folder):
        if name.startswith("kek-"):
            found[int(name[4:], 16)] = key_bytes(os.path.join(folder, name))
    return found


def tokens(route_key, tenant, path, country):
    """token -> subject."""
    found = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            subject, where = line.rstrip("\n").split("\t")[:2]
            if where == country:
                text = tenant.encode() + b"\x00" + subject.encode()
                found[hmac.new(route_key, text, hashlib.sha256).digest()] = subject
    return found


def slots(path):
    """The slots that hold a key."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:8] != b"DOMVAULT":
        sys.exit(f"{path} is no vault file")
    for at in range(HEADER_SIZE, len(data) - SLOT_SIZE + 1, SLOT_SIZE):
        if data[at + 4] == HOLDS_KEY:
            yield data[at : at + SLOT_SIZE]


def unwrap(gcm, slot, kek_of):
    region, epoch, kek_id = slot[6:8], slot[16:24], slot[24:32]
    kek = kek_of.get(struct.unpack("<Q", kek_id)[0])
    if kek is None:
        return None
    aad = b"domicile vault slot 1\x4b" + region + epoch + kek_id + slot[64:96]
    return gcm.open(hkdf(kek, b"domicile vault wrap 1"), slot[32:44], slot[44:60], slot[96:128], aad)


def main():
    parser = argparse.ArgumentParser()
    for flag in ("slots", "kek-folder", "route-key", "tenant", "subjects", "country", "out"):
        parser.add_argument("--" + flag, required=True)
    args = parser.parse_args()
    wanted = tokens(key_bytes(args.route_key), args.tenant, args.subjects, args.country)
    gcm, kek_of, people = Gcm(), keks(args.kek_folder), set()
    with open(args.out, "w", encoding="ascii") as out:
        for slot in slots(args.slots):
            subject = wanted.get(slot[64:96])
            if subject is None:
                continue
            raw = unwrap(gcm, slot, kek_of)
            if raw is None:
                sys.exit(f"{args.slots}: a wrapped key does not unwrap as docs/formats/vault.md says")
            out.write(f"wrapped key of {subject}\t{slot[96:128].hex()}\n")
            out.write(f"raw key of {subject}\t{raw.hex()}\n")
            people.add(subject)
    print(len(people))


if __name__ == "__main__":
    main()
