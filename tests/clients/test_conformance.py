"""docs/guide/conformance.md names tests that exist, and leaves no operation out."""
import pathlib
import re

from kit import env

PAGE = (pathlib.Path(env.ROOT) / "docs/guide/conformance.md").read_text(encoding="utf-8")


def rows():
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines()
            if line.startswith("| ") and not line.startswith("| ---")]


def test_its_tests_exist():
    named = re.findall(r"`(test_\w+)::(test_\w+)`", PAGE)
    assert len(named) > 50
    folder = pathlib.Path(__file__).parent
    missing = [f"{file}::{name}" for file, name in named
               if not re.search(rf"^def {name}\(", (folder / f"{file}.py").read_text(encoding="utf-8"), re.M)]
    assert not missing
    assert not [row for row in rows() if "shown by" not in row[-1] and "`test_" not in row[-1]]


def test_no_operation_is_left_out():
    source = (pathlib.Path(env.ROOT) / "src/s3/request.c").read_text(encoding="utf-8")
    operations = re.findall(r'\[S3_OP_\w+\] = \{"(\w+)"', source)
    assert len(operations) > 40
    listed = {name.strip() for row in rows() for name in row[0].split(",")}
    assert not [name for name in operations if name not in listed | {"NotImplemented"}]
