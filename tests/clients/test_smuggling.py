"""No request smuggling: each row of smuggling_rows.py is sent to Domicile, to nginx, and to nginx as a proxy
before a recorder. Domicile is never more lenient than nginx: it takes no request that nginx refuses, sees no
more requests on a connection, and reads the same body. Where it may, the row says why."""
import concurrent.futures
import re
import socket

import pytest

import smuggling_rows
from kit import daemon, nginx, raw, sigv4

# Answers that say "this is no request"; any other answer is one to a request that was understood.
REFUSED = {400, 408, 411, 413, 414, 417, 431, 494, 501, 505}
ROWS = list(enumerate(smuggling_rows.ROWS))


def statuses(data):
    """Of all answers in what came back. An answer of HTTP/0.9 has none: it counts as 200."""
    found = [int(s) for s in re.findall(rb"HTTP/1\.[01] (\d\d\d) ", data)]
    return [s for s in found if s >= 200] if found or not data else [200]


def talk(connection, data, half_close):
    """Sends, and reads until the server ends the connection."""
    connection.settimeout(raw.READ_S)
    received = b""
    with connection:
        try:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused before all was sent: the answer is there to be read
        try:
            while part := connection.recv(65536):
                received += part
        except ConnectionError:
            pass
    return received


@pytest.fixture(scope="module")
def outcome(server, s3, workspace):
    """For each row: (Domicile's statuses, nginx's, the proxy's); and the stored and recorded bodies."""
    s3.create_bucket(Bucket="smuggling")
    host = f"{server.host}:{server.port}"
    front = nginx.Nginx(workspace / "nginx")

    def presigned(operation, name):
        return s3.generate_presigned_url(operation, Params={"Bucket": "smuggling", "Key": name}).split(host, 1)[1]

    def prepare(number, row):
        get = presigned("get_object", f"get-{number}")
        hidden = len(smuggling_rows.REQUEST.replace("{get}", get).replace("{host}", host))
        text = row.data
        signed = {"Host": host, "x-amz-decoded-content-length": "0"}
        sigv4.sign(daemon.ALICE, "PUT", f"/smuggling/put-{number}", (), signed, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        del signed["Host"]
        fields = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
        for mark, value in (("{signed}", fields), ("{plain}", f"/smuggling/put-{number}"), ("{put}", presigned("put_object", f"put-{number}")), ("{get}", get), ("{host}", host),
                            ("{len}", str(hidden)), ("{hexlen}", f"{hidden:x}")):
            text = text.replace(mark, value)
        return text.encode("latin-1")

    def run(numbered):
        data = prepare(*numbered)
        # nginx takes the end of our side for the end of the connection: there its time limits end what is not whole.
        return tuple(statuses(talk(*each)) for each in (
            (socket.create_connection((server.host, server.port)), data, True),
            (front.connect("static"), data, False), (front.connect("proxy"), data, False)))

    try:
        with concurrent.futures.ThreadPoolExecutor(48) as pool:
            results = list(pool.map(run, ROWS))
    finally:
        front.stop()
    yield results, front.recorder.bodies


def is_understood(status):
    return status not in REFUSED


def leniency(ours, theirs):
    """What Domicile did beyond nginx, in words; None where nothing. Each request that is understood counts,
    and nginx must have understood the one in the same place."""
    for place, status in enumerate(ours):
        if is_understood(status) and not (place < len(theirs) and is_understood(theirs[place])):
            return f"understood request {place + 1} of the connection, nginx did not"
    return None


@pytest.mark.parametrize("number", [number for number, _ in ROWS], ids=[row.name for _, row in ROWS])
def test_row(outcome, s3, number):
    row = smuggling_rows.ROWS[number]
    results, recorded = outcome
    ours, static, proxy = results[number]
    print(f"Domicile {ours}, nginx {static}, behind nginx {proxy}")
    assert " ".join(map(str, ours)) == row.expected
    found = leniency(ours, static) or leniency(ours, proxy)
    if row.reason:
        assert found, "not more lenient than nginx: the reason in the row is stale"
    else:
        assert not found, found
    bodies = recorded.get(f"/smuggling/put-{number}")
    if bodies and ours[0] == 200:
        stored = s3.get_object(Bucket="smuggling", Key=f"put-{number}")["Body"].read()
        assert stored == (b"" if "{signed}" in row.data else bodies[0])


def test_the_table_is_what_was_promised():
    assert len(smuggling_rows.ROWS) >= 150 and len({row.name for row in smuggling_rows.ROWS}) == len(smuggling_rows.ROWS)
