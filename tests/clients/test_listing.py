"""Listings against a model: bytewise order, prefixes, delimiters, pages."""
import random
import urllib.parse

import pytest
from botocore.exceptions import ClientError

from kit import raw
from test_objects import race


def model(keys, prefix, delimiter, after, most):
    """One page as S3 gives it: (keys, common prefixes, truncated, last item). All bytes."""
    shown, prefixes, last = [], [], None
    for key in sorted(keys):
        if not key.startswith(prefix) or key <= after:
            continue
        at = key.find(delimiter, len(prefix)) if delimiter else -1
        common = key[:at + len(delimiter)] if at >= 0 else None
        if common is not None and (common == last or common <= after):
            continue
        if len(shown) + len(prefixes) == most:
            return shown, prefixes, True, last
        if common is None:
            shown.append(key)
        else:
            prefixes.append(common)
        last = common or key
    return shown, prefixes, False, last


ALPHABET = ["a", "b", "/", "-", "0", ".", "ü", "\U0001f600", "\uffff", " ", "%", "+", "&"]


@pytest.fixture(scope="module")
def zoo(server, s3):
    """A bucket of keys that sort oddly: UTF-8 order is not UTF-16 order, '/' sorts between '.' and '0'."""
    rng = random.Random(5)
    keys = {"".join(rng.choice(ALPHABET) for _ in range(rng.randint(1, 6))) for _ in range(400)}
    keys |= {"a/", "a/b", "a/b/", "a/b/c", "a//b", "a-", "a.", "a0", "/", "//", "\uffff", "\U00010000"}
    s3.create_bucket(Bucket="zoo")
    ordered = sorted(keys)

    def work(client, i):
        for key in ordered[i::4]:
            assert client.put("zoo", key, b"").status == 200
    race(server, 4, work)
    return {k.encode() for k in keys}


def decoded(element, name):
    return [urllib.parse.unquote_to_bytes(e.text.replace("+", "%20")) for e in element.iter(name)]


def page(http, version, prefix, delimiter, after, token, most):
    query = [("encoding-type", "url"), ("max-keys", most)]
    if prefix:
        query.append(("prefix", prefix.decode()))
    if delimiter:
        query.append(("delimiter", delimiter.decode()))
    if version == 2:
        query.append(("list-type", 2))
        query += [("continuation-token", token)] if token else []
        query += [("start-after", after.decode())] if after else []
    elif token or after:
        query.append(("marker", (token or after).decode()))
    answer = http.request("GET", "/zoo", query)
    assert answer.status == 200, answer
    root = answer.xml()
    keys = [k for c in root.findall("Contents") for k in decoded(c, "Key")]
    prefixes = [k for c in root.findall("CommonPrefixes") for k in decoded(c, "Prefix")]
    return keys, prefixes, root.findtext("IsTruncated") == "true", root


def test_pages_like_the_model(http, zoo):
    rng = random.Random(11)
    some = sorted(zoo)
    for trial in range(120):
        version = 1 + trial % 2
        key = rng.choice(some).decode()
        prefix = key[:rng.randint(0, 2)].encode() if rng.random() < 0.7 else b""
        delimiter = rng.choice([b"", b"/", b"/", b"a", b"//", "ü".encode(), b"-0"])
        after = rng.choice([b"", b"", rng.choice(some), b"a/", b"zzz"])
        most = rng.choice([1, 2, 3, 7, 50, 1000])
        what = f"trial {trial}: v{version} prefix {prefix} delimiter {delimiter} after {after} max {most}"
        token, model_after, rounds = None, after, 0
        while True:
            keys, prefixes, truncated, root = page(http, version, prefix, delimiter, after, token, most)
            want_keys, want_prefixes, want_truncated, last = model(zoo, prefix, delimiter, model_after, most)
            assert (keys, prefixes, truncated) == (want_keys, want_prefixes, want_truncated), what
            if version == 2:
                assert root.findtext("KeyCount") == str(len(keys) + len(prefixes)), what
            if not truncated or rounds > 40:
                break
            rounds += 1
            if version == 2:
                token = root.findtext("NextContinuationToken")
                assert token, what
            elif delimiter:
                token = urllib.parse.unquote_to_bytes(root.findtext("NextMarker").replace("+", "%20"))
                assert token == last, what
            else:
                token = keys[-1]
            model_after = last


def test_boto3_reads_odd_names(s3, zoo):
    keys = []
    for each in s3.get_paginator("list_objects_v2").paginate(Bucket="zoo", PaginationConfig={"PageSize": 37}):
        keys += [o["Key"] for o in each["Contents"]]
    assert keys == [k.decode() for k in sorted(zoo)]
    keys = []
    for each in s3.get_paginator("list_objects").paginate(Bucket="zoo", PaginationConfig={"PageSize": 41}):
        keys += [o["Key"] for o in each["Contents"]]
    assert keys == [k.decode() for k in sorted(zoo)]


def test_without_encoding(http, zoo):
    root = http.request("GET", "/zoo", [("list-type", 2)]).xml()
    # U+FFFF is a character that no XML may hold.
    assert [e.text.encode() for e in root.iter("Key")] == [k.replace(b"\xef\xbf\xbf", b"\xef\xbf\xbd") for k in sorted(zoo)]
    assert root.findtext("EncodingType") is None


def test_what_no_xml_can_carry_needs_encoding(http, bucket):
    """A control character in a key: with encoding-type it comes back; without, the answer is still XML."""
    http.put(bucket, "a\x01b", b"")
    root = http.request("GET", f"/{bucket}", [("encoding-type", "url")]).xml()
    assert decoded(root, "Key") == [b"a\x01b"]
    answer = http.request("GET", f"/{bucket}")
    assert answer.status == 200 and b"<Key>a" in answer.body


def test_fields_of_an_answer(s3, http, bucket):
    s3.put_object(Bucket=bucket, Key="p/k", Body=b"12345")
    got = s3.list_objects_v2(Bucket=bucket, Prefix="p/", Delimiter="/", StartAfter="p/a", MaxKeys=5, FetchOwner=True)
    assert (got["Name"], got["Prefix"], got["Delimiter"], got["StartAfter"]) == (bucket, "p/", "/", "p/a")
    assert (got["MaxKeys"], got["KeyCount"], got["IsTruncated"]) == (5, 1, False)
    each = got["Contents"][0]
    assert each["Size"] == 5 and each["ETag"] == f'"{raw.md5(b"12345")}"' and each["StorageClass"] == "STANDARD"
    assert each["Owner"]["ID"] == "alice"
    assert "Owner" not in s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    got = s3.list_objects(Bucket=bucket, Marker="a")
    assert got["Marker"] == "a" and got["Contents"][0]["Owner"]["ID"] == "alice"


def test_limits_of_a_page(s3, http, zoo, bucket):
    for call in (s3.list_objects, s3.list_objects_v2):
        got = call(Bucket="zoo", MaxKeys=0)
        assert "Contents" not in got and got["IsTruncated"] is False and got["MaxKeys"] == 0
    assert s3.list_objects_v2(Bucket="zoo", MaxKeys=100000)["MaxKeys"] == 1000
    for value in ("-1", "x", "99999999999999999999"):
        answer = http.request("GET", f"/{bucket}", [("max-keys", value)])
        assert (answer.status, answer.code) == (400, "InvalidArgument"), value
    for query in ([("list-type", 3)], [("encoding-type", "base64")],
                  [("list-type", 2), ("continuation-token", "nonsense")]):
        answer = http.request("GET", f"/{bucket}", query)
        assert (answer.status, answer.code) == (400, "InvalidArgument"), query


def test_five_thousand_in_order(server, s3, http, bucket):
    rng = random.Random(3)
    keys = {f"{rng.choice('äöübcdA/-._~')}{rng.randrange(10**9)}{rng.choice(['', '/', 'ß', '😀'])}" for _ in range(5000)}
    while len(keys) < 5000:
        keys.add(f"more {rng.randrange(10**9)}")
    ordered = list(keys)

    def work(client, i):
        for key in ordered[i::16]:
            assert client.put(bucket, key, key.encode()).status == 200
    race(server, 16, work)
    found = []
    for each in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        found += [(o["Key"], o["Size"]) for o in each["Contents"]]
    assert found == [(k, len(k.encode())) for k in sorted(keys, key=lambda k: k.encode())]

    def clear(client, i):
        for part in range(i, 5, 2):
            objects = [{"Key": k} for k in ordered[part * 1000:part * 1000 + 1000]]
            assert "Errors" not in s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
    race(server, 2, clear)
    s3.delete_bucket(Bucket=bucket)


def test_listing_while_written(server, s3, bucket):
    """What was there before and stays there is in every listing, whatever else happens."""
    stable = [f"stable-{i:03}" for i in range(100)]
    for key in stable:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")

    def work(client, i):
        for n in range(40):
            if i < 3:
                assert client.put(bucket, f"stable-{n:03}-{i}", b"y").status == 200
                assert client.delete(bucket, f"stable-{n:03}-{i}").status == 204
            else:
                answer = client.request("GET", f"/{bucket}", [("max-keys", 1000)])
                found = [e.text for e in answer.xml().iter("Key")]
                assert [k for k in found if k in stable] == stable and found == sorted(found)
    race(server, 5, work)
    with pytest.raises(ClientError):
        s3.delete_bucket(Bucket=bucket)
