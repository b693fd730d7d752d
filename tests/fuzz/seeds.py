#!/usr/bin/env python3
"""seeds.py TARGET OUT — writes a target's seed corpus into the folder OUT, a file each, named by its content.

seeds/TARGET.txt holds seeds after lines "--- words" (or "--- crlf words": every line then ends in CR LF).
In them \\r \\n \\t \\0 \\\\ and \\xHH stand for bytes; a backslash at a line's end joins it to the next.
Some targets also get files that lie in this repository anyway.
"""
import hashlib
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Files of the repository that are good examples of what a target reads.
FILES = {"charter": ["deploy/**/*.yaml"], "ledger_text": ["tests/unit/ledger/**/*.txt", "docs/formats/*.md"]}
ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\", b"\n": b""}


def unescape(text):
    one = lambda m: bytes([int(m[1], 16)]) if m[1] else ESCAPES[m[2]]  # noqa: E731
    return re.sub(rb"\\(?:x([0-9a-fA-F]{2})|([rnt0\\\n]))", one, text)


def seeds_of(path):
    for part in re.split(rb"(?m)^--- ", path.read_bytes())[1:]:
        title, _, body = part.partition(b"\n")
        if title.split()[:1] == [b"crlf"]:
            body = re.sub(rb"(?<!\\)\n", b"\r\n", body)
        yield unescape(body)


def main():
    target, out = sys.argv[1], pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    seeds = list(seeds_of(HERE / "seeds" / f"{target}.txt"))
    for pattern in FILES.get(target, []):
        seeds += [p.read_bytes() for p in sorted(ROOT.glob(pattern)) if p.stat().st_size < 65536]
    if not seeds:
        sys.exit(f"seeds.py: no seeds for {target}")
    for seed in seeds:
        (out / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)


if __name__ == "__main__":
    main()
