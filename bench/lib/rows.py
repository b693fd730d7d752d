"""The rows file: one JSON object a line, the settings of the run first. A line that was cut is forgotten."""
import json
import os


def read(path):
    """All whole lines; [] when there is no file. A torn last line is cut off, so that the next one stands alone."""
    if not os.path.exists(path):
        return []
    with open(path, "r+", encoding="utf-8") as f:
        text = f.read()
        whole = text[:text.rfind("\n") + 1]
        if whole != text:
            f.truncate(len(whole.encode()))
    return [json.loads(line) for line in whole.splitlines()]


def append(path, row):
    with open(path, "a", encoding="utf-8") as f:
        f.write(json.dumps(row) + "\n")
