"""Versions of objects with boto3: enabled, suspended, null versions, delete markers, listings, copies, uploads."""
import os
import random

import pytest
from botocore.exceptions import ClientError


def refused(call, *arguments, **named):
    with pytest.raises(ClientError) as failure:
        call(*arguments, **named)
    error = failure.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]


def failure_headers(call, **named):
    with pytest.raises(ClientError) as failure:
        call(**named)
    meta = failure.value.response["ResponseMetadata"]
    return meta["HTTPStatusCode"], meta["HTTPHeaders"]


def set_versioning(s3, bucket, status):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


@pytest.fixture
def kept(s3, bucket):
    set_versioning(s3, bucket, "Enabled")
    return bucket


def body(s3, bucket, key, version=None):
    named = {"VersionId": version} if version else {}
    return s3.get_object(Bucket=bucket, Key=key, **named)["Body"].read()


def listed(s3, bucket, **how):
    """Versions and markers of all pages, in the order of the listing: (key, id, latest, is marker)."""
    entries, prefixes, more = [], [], {}
    while True:
        page = s3.list_object_versions(Bucket=bucket, **how, **more)
        found = [(v["Key"], v["VersionId"], v["IsLatest"], False) for v in page.get("Versions", [])]
        found += [(m["Key"], m["VersionId"], m["IsLatest"], True) for m in page.get("DeleteMarkers", [])]
        entries += found
        prefixes += [p["Prefix"] for p in page.get("CommonPrefixes", [])]
        assert len(found) + len(page.get("CommonPrefixes", [])) <= page["MaxKeys"]
        if not page["IsTruncated"]:
            return entries, prefixes
        more = {"KeyMarker": page["NextKeyMarker"]}
        if page.get("NextVersionIdMarker"):
            more["VersionIdMarker"] = page["NextVersionIdMarker"]


def test_the_state(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    for status in ("Enabled", "Suspended", "Enabled"):
        set_versioning(s3, bucket, status)
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status
    assert refused(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={}) == (
        "IllegalVersioningConfigurationException", 400)
    assert refused(s3.put_bucket_versioning, Bucket=bucket, MFA="1 2",
                   VersioningConfiguration={"Status": "Enabled", "MFADelete": "Enabled"})[0] == "NotImplemented"


def test_an_unversioned_bucket_names_none(s3, bucket):
    assert "VersionId" not in s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    assert "VersionId" not in s3.get_object(Bucket=bucket, Key="k")
    assert body(s3, bucket, "k", "null") == b"1"
    assert listed(s3, bucket) == ([("k", "null", True, False)], [])
    assert refused(s3.get_object, Bucket=bucket, Key="k", VersionId="0" * 32) == ("NoSuchVersion", 404)
    assert refused(s3.get_object, Bucket=bucket, Key="k", VersionId="what") == ("InvalidArgument", 400)
    answer = s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
    assert "DeleteMarker" not in answer and "VersionId" not in answer
    assert listed(s3, bucket) == ([], [])


@pytest.mark.parametrize("size", [0, 10, 3 << 20])
def test_each_put_is_kept(s3, kept, size):
    bodies = [bytes([i]) * size for i in range(4)]
    ids = [s3.put_object(Bucket=kept, Key="k", Body=b, Metadata={"n": str(i)})["VersionId"]
           for i, b in enumerate(bodies)]
    assert len(set(ids)) == 4 and all(len(i) == 32 for i in ids)
    assert body(s3, kept, "k") == bodies[3] and s3.head_object(Bucket=kept, Key="k")["VersionId"] == ids[3]
    for i, version in enumerate(ids):
        got = s3.get_object(Bucket=kept, Key="k", VersionId=version)
        assert (got["Body"].read(), got["VersionId"], got["Metadata"]) == (bodies[i], version, {"n": str(i)})
        assert s3.head_object(Bucket=kept, Key="k", VersionId=version)["ContentLength"] == size
    # One goes for good; the one before the last is current when the last goes.
    answer = s3.delete_object(Bucket=kept, Key="k", VersionId=ids[1])
    assert answer["VersionId"] == ids[1] and "DeleteMarker" not in answer
    assert refused(s3.get_object, Bucket=kept, Key="k", VersionId=ids[1]) == ("NoSuchVersion", 404)
    s3.delete_object(Bucket=kept, Key="k", VersionId=ids[1])  # again: nothing to do
    s3.delete_object(Bucket=kept, Key="k", VersionId=ids[3])
    assert body(s3, kept, "k") == bodies[2]
    assert listed(s3, kept) == ([("k", ids[2], True, False), ("k", ids[0], False, False)], [])
    assert refused(s3.delete_bucket, Bucket=kept) == ("BucketNotEmpty", 409)


def test_a_delete_marker(s3, http, kept):
    first = s3.put_object(Bucket=kept, Key="k", Body=b"1")["VersionId"]
    answer = s3.delete_object(Bucket=kept, Key="k")
    marker = answer["VersionId"]
    assert answer["DeleteMarker"] is True and marker != first
    status, headers = failure_headers(s3.get_object, Bucket=kept, Key="k")
    assert status == 404 and headers["x-amz-delete-marker"] == "true" and headers["x-amz-version-id"] == marker
    status, headers = failure_headers(s3.head_object, Bucket=kept, Key="k")
    assert status == 404 and headers["x-amz-delete-marker"] == "true"
    status, headers = failure_headers(s3.get_object, Bucket=kept, Key="k", VersionId=marker)
    assert status == 405 and headers["x-amz-delete-marker"] == "true" and headers["x-amz-version-id"] == marker
    assert refused(s3.get_object, Bucket=kept, Key="k") == ("NoSuchKey", 404)
    assert body(s3, kept, "k", first) == b"1"
    assert "Contents" not in s3.list_objects_v2(Bucket=kept) and "Contents" not in s3.list_objects(Bucket=kept)
    assert listed(s3, kept) == ([("k", first, False, False), ("k", marker, True, True)], [])
    # The marker removed brings the object back.
    answer = s3.delete_object(Bucket=kept, Key="k", VersionId=marker)
    assert answer["DeleteMarker"] is True and answer["VersionId"] == marker
    assert body(s3, kept, "k") == b"1"
    # A key that never was gets one too; a write onto a marker is as onto nothing.
    assert s3.delete_object(Bucket=kept, Key="never")["DeleteMarker"] is True
    assert http.put(kept, "never", b"now", If_None_Match="*").status == 200
    assert body(s3, kept, "never") == b"now"
    assert http.put(kept, "never", b"x", If_None_Match="*").status == 412


def test_null_versions(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"before")
    set_versioning(s3, bucket, "Enabled")
    assert s3.get_object(Bucket=bucket, Key="k")["VersionId"] == "null"
    one = s3.put_object(Bucket=bucket, Key="k", Body=b"one")["VersionId"]
    assert body(s3, bucket, "k") == b"one" and body(s3, bucket, "k", "null") == b"before"
    set_versioning(s3, bucket, "Suspended")
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"null 2").get("VersionId", "null") == "null"
    assert body(s3, bucket, "k") == b"null 2" and body(s3, bucket, "k", one) == b"one"
    assert listed(s3, bucket)[0] == [("k", "null", True, False), ("k", one, False, False)]
    s3.put_object(Bucket=bucket, Key="k", Body=b"null 3")  # in its place
    assert listed(s3, bucket)[0] == [("k", "null", True, False), ("k", one, False, False)]
    answer = s3.delete_object(Bucket=bucket, Key="k")
    assert answer["DeleteMarker"] is True and answer["VersionId"] == "null"
    assert listed(s3, bucket)[0] == [("k", one, False, False), ("k", "null", True, True)]
    assert refused(s3.get_object, Bucket=bucket, Key="k") == ("NoSuchKey", 404)
    assert refused(s3.get_object, Bucket=bucket, Key="k", VersionId="null")[1] == 405
    set_versioning(s3, bucket, "Enabled")
    two = s3.put_object(Bucket=bucket, Key="k", Body=b"two")["VersionId"]
    assert s3.delete_object(Bucket=bucket, Key="k", VersionId="null")["DeleteMarker"] is True
    assert listed(s3, bucket)[0] == [("k", two, True, False), ("k", one, False, False)]


def test_delete_many(s3, kept):
    ids = [s3.put_object(Bucket=kept, Key="a", Body=b"%d" % i)["VersionId"] for i in range(3)]
    answer = s3.delete_objects(Bucket=kept, Delete={"Objects": [
        {"Key": "a", "VersionId": ids[0]}, {"Key": "a"}, {"Key": "b"}, {"Key": "a", "VersionId": "bad"},
        {"Key": "a", "VersionId": ids[1]}]})
    done = answer["Deleted"]
    assert done[0] == {"Key": "a", "VersionId": ids[0]} and done[3] == {"Key": "a", "VersionId": ids[1]}
    assert done[1]["DeleteMarker"] is True and "VersionId" not in done[1]
    assert [e["Code"] for e in answer["Errors"]] == ["NoSuchVersion"] and answer["Errors"][0]["VersionId"] == "bad"
    marker = done[1]["DeleteMarkerVersionId"]
    again = s3.delete_objects(Bucket=kept, Delete={"Objects": [{"Key": "a", "VersionId": marker}]})["Deleted"][0]
    assert again == {"Key": "a", "VersionId": marker, "DeleteMarker": True, "DeleteMarkerVersionId": marker}
    assert body(s3, kept, "a") == b"2"


def test_copies(s3, kept):
    first = s3.put_object(Bucket=kept, Key="k", Body=b"1")["VersionId"]
    second = s3.put_object(Bucket=kept, Key="k", Body=b"2")["VersionId"]
    answer = s3.copy_object(Bucket=kept, Key="t", CopySource={"Bucket": kept, "Key": "k", "VersionId": first})
    assert answer["CopySourceVersionId"] == first and body(s3, kept, "t", answer["VersionId"]) == b"1"
    answer = s3.copy_object(Bucket=kept, Key="t", CopySource={"Bucket": kept, "Key": "k"})
    assert answer["CopySourceVersionId"] == second and body(s3, kept, "t") == b"2"
    # An old version copied onto its own key is how it is brought back.
    back = s3.copy_object(Bucket=kept, Key="k", CopySource={"Bucket": kept, "Key": "k", "VersionId": first})
    assert body(s3, kept, "k") == b"1" and back["VersionId"] not in (first, second)
    marker = s3.delete_object(Bucket=kept, Key="k")["VersionId"]
    there = {"Bucket": kept, "Key": "x"}
    assert refused(s3.copy_object, **there, CopySource={"Bucket": kept, "Key": "k"}) == ("NoSuchKey", 404)
    gone = {"Bucket": kept, "Key": "k", "VersionId": marker}
    assert refused(s3.copy_object, **there, CopySource=gone) == ("InvalidRequest", 400)
    gone["VersionId"] = "f" * 32
    assert refused(s3.copy_object, **there, CopySource=gone) == ("NoSuchVersion", 404)


def test_uploads(s3, kept):
    old = s3.put_object(Bucket=kept, Key="m", Body=b"old")["VersionId"]
    upload = s3.create_multipart_upload(Bucket=kept, Key="m")["UploadId"]
    where = {"Bucket": kept, "Key": "m", "UploadId": upload}
    big = os.urandom(5 << 20)
    parts = [{"PartNumber": 1, "ETag": s3.upload_part(**where, PartNumber=1, Body=big)["ETag"]},
             {"PartNumber": 2, "ETag": s3.upload_part_copy(
                 **where, PartNumber=2, CopySource={"Bucket": kept, "Key": "m", "VersionId": old})[
                     "CopyPartResult"]["ETag"]}]
    done = s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    again = s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    assert again["VersionId"] == done["VersionId"] != old
    assert body(s3, kept, "m", done["VersionId"]) == big + b"old" and body(s3, kept, "m", old) == b"old"
    s3.put_object(Bucket=kept, Key="m", Body=b"new")
    assert body(s3, kept, "m", done["VersionId"]) == big + b"old"
    s3.delete_object(Bucket=kept, Key="m", VersionId=done["VersionId"])
    assert [e[1] for e in listed(s3, kept)[0]][1] == old


def test_conditions_look_at_the_current_version(s3, http, kept):
    first = s3.put_object(Bucket=kept, Key="k", Body=b"1")
    s3.put_object(Bucket=kept, Key="k", Body=b"2")
    assert http.put(kept, "k", b"3", If_Match=first["ETag"]).status == 412
    assert s3.get_object(Bucket=kept, Key="k", VersionId=first["VersionId"], IfMatch=first["ETag"])["Body"].read() == b"1"


@pytest.mark.parametrize("page", [1, 2, 3, 7, 1000])
def test_listings_page_by_page(s3, bucket, page):
    order = []
    for key in ("a", "a/1", "a/2", "b", "d/x"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"null")
    set_versioning(s3, bucket, "Enabled")
    model = {key: [(key, "null", False)] for key in ("a", "a/1", "a/2", "b", "d/x")}
    rng = random.Random(page)
    for _ in range(24):
        key = rng.choice(list(model))
        if rng.random() < 0.3:
            model[key].insert(0, (key, s3.delete_object(Bucket=bucket, Key=key)["VersionId"], True))
        else:
            model[key].insert(0, (key, s3.put_object(Bucket=bucket, Key=key, Body=b"v")["VersionId"], False))
    for key in sorted(model):
        order += [(k, v, i == 0, m) for i, (k, v, m) in enumerate(model[key])]
    got, _ = listed(s3, bucket, MaxKeys=page)
    assert sorted(got) == sorted(order) and len(got) == len(order)
    if page == 1:  # one an answer: nothing is put into another order by the client
        assert got == order
    got, prefixes = listed(s3, bucket, MaxKeys=page, Delimiter="/")
    assert sorted(got) == sorted(e for e in order if "/" not in e[0]) and prefixes == ["a/", "d/"]
    got, _ = listed(s3, bucket, MaxKeys=page, Prefix="a/", EncodingType="url")
    assert sorted(got) == sorted(e for e in order if e[0].startswith("a/"))
    live = sorted(k for k in model if not model[k][0][2])
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket).get("Contents", [])] == live
    assert refused(s3.list_object_versions, Bucket=bucket, VersionIdMarker="null")[0] == "InvalidArgument"
    for key, version, _, _ in order:
        s3.delete_object(Bucket=bucket, Key=key, VersionId=version)
    assert listed(s3, bucket) == ([], [])


def test_versions_of_many_and_their_cleaning(s3, kept):
    for i in range(60):
        s3.put_object(Bucket=kept, Key="hot", Body=b"%d" % i)
    s3.put_object(Bucket=kept, Key="hot2", Body=b"x")
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=kept)["Contents"]] == ["hot", "hot2"]
    entries, _ = listed(s3, kept, MaxKeys=9)
    assert len(entries) == 61
    s3.delete_objects(Bucket=kept, Delete={"Quiet": True, "Objects": [
        {"Key": k, "VersionId": v} for k, v, _, _ in entries]})
    s3.delete_bucket(Bucket=kept)
