"""A real tree of 300 files with names that break clients, and its comparison."""
import hashlib
import os
import random

NAMES = [
    "plain.txt", "with space.txt", "  two leading spaces", "plus+plus.txt", "percent%20literal.txt", "100%.txt",
    "%", "%2F", "%zz", "'single'.txt", '"double".txt', "`back`.txt", "hash#fragment.txt", "question?mark.txt",
    "amp&ersand.txt", "semi;colon.txt", "equals=sign.txt", "comma,comma.txt", "colon:colon.txt", "at@at.txt",
    "dollar$sign.txt", "exclamation!.txt", "star*.txt", "(round).txt", "[square].txt", "{curly}.txt",
    "<angle>.txt", "pipe|.txt", "tilde~.txt", "caret^.txt", "back\\slash.txt", ".hidden", "..two-dots",
    "...three", "dot.", ".a.b.c.", "-dash-first", "--double-dash", "_under", "UPPER.TXT", "upper.txt",
    "umläut.txt", "łódź.txt", "Ελληνικά.txt", "русский.txt", "हिन्दी.txt", "தமிழ்.txt", "中文.txt", "日本語 名前.txt",
    "한국어.txt", "עברית.txt", "العربية.txt", "emoji 😀.txt", "combining e\u0301.txt", "precomposed é.txt",
    "no\u00a0break.txt", "zero\u200bwidth.txt", "\U00020000 beyond the BMP", "ﬀ ligature", "long-" + "x" * 240,
    "lang-" + "ü" * 120, "tab-free  double  blanks", "a=b&c=d?e#f", "x-amz-meta-name", "?", "#", "&", "+", "=",
    "~", "!", "@", "null", "undefined", "admin", "-", "con.txt", "file.tar.gz", "file.json", "file.html",
]
FOLDERS = ["", "docs", "deep/a/b/c/d/e/f/g/h/i/j", "with space/and more", "ünï/cödé", "plus+/per%cent", ".dotdir",
           "[brackets]/(round)", "quo'te/dou\"ble", "UPPER", "upper", "a", "a-", "a.b", "a/b", "a0",
           "long-" + "y" * 200 + "/" + "z" * 200]
SIZES = [0, 1, 2, 15, 16, 17, 100, 1000, 4095, 4096, 4097, 16384, 40000, 131072, 262143, 262145]
COUNT = 300
LARGE = 70 * 1024 * 1024


def make(root, seed=1, count=COUNT):
    """`count` files below root, and nothing else; always the same ones for a seed."""
    rng = random.Random(seed)
    made = set()
    for i in range(count):
        name = NAMES[i % len(NAMES)]
        folder = FOLDERS[(i // len(NAMES) * 7 + i) % len(FOLDERS)]
        while (folder, name) in made:
            folder = folder + "/more" if folder else "more"
        made.add((folder, name))
        path = os.path.join(root, folder)
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, name), "wb") as out:
            out.write(rng.randbytes(rng.choice(SIZES)))
    assert len(read(root)) == count
    return root


def make_large(path, seed=2, size=LARGE):
    rng = random.Random(seed)
    with open(path, "wb") as out:
        for _ in range(size // (1 << 20)):
            out.write(rng.randbytes(1 << 20))
    return path


def read(root):
    """{relative name: SHA-256} of every file below root."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as data:
                found[os.path.relpath(path, root)] = hashlib.sha256(data.read()).hexdigest()
    return found
