"""Clients that write, overwrite, read and delete through random gateways, and note what they were told.

Each value is written once: its number says how its body looks and what its ETag is, so that an answer is judged
without a copy of anything."""
import hashlib
import itertools
import random
import re
import threading
import time

from history import ABSENT, GONE, OK, REFUSED, UNKNOWN, Op
from lib.regions import ACCESS
from wire import Line, Lost, Signer

BUCKET = "phones"
# Kinds of values, the last digit of their number: bytes from, to; uploads are written in parts.
SMALL, MEDIUM, LARGE, UPLOAD, UPLOAD_TWO = range(5)
SIZES = {SMALL: (32, 2048), MEDIUM: (2048, 65536), LARGE: (1 << 20, 3 << 19), UPLOAD: (32, 16384),
         UPLOAD_TWO: ((5 << 20) + 1, (5 << 20) + 4096)}
PART_BYTES = 5 << 20  # S3's least for a part that is not the last
OPEN_MAX = 4          # uploads that a client leaves open at a time: some shall be older than a move
PAUSE_S_MAX = 0.6     # of a body sent in two halves: a fence rises meanwhile
NAP_S = 0.05          # after an answer that asks for patience
RETRIABLE = (b"SlowDown", b"ServiceUnavailable")
WRONG_MAX = 20        # examples shown


def body_of(value):
    """Begins with its number, so that whoever reads it knows what it should be."""
    low, high = SIZES[value % 10]
    size = low + hashlib.blake2b(b"%d" % value, digest_size=4).digest()[0] * 7919 * 31 % (high - low)
    stem = b"%d:" % value
    return stem + hashlib.sha512(stem).digest() * (size // 64 + 1) if size > 64 else stem.ljust(size, b".")


def parts_of(body):
    return [body[at:at + PART_BYTES] for at in range(0, len(body), PART_BYTES)]


def etag_of(value, body):
    if value % 10 < UPLOAD:
        return hashlib.md5(body).hexdigest()
    sums = [hashlib.md5(part).digest() for part in parts_of(body)]
    return f"{hashlib.md5(b''.join(sums)).hexdigest()}-{len(sums)}"


class Journal:
    """Histories of all keys, what answers there were, and what was wrong. Threads: any."""

    def __init__(self):
        self.lock = threading.Lock()
        self.numbers = itertools.count(1)
        self.ops, self.current = {}, {}  # key -> [Op]; key -> a value it held not long ago
        self.counts, self.wrong, self.wrong_count = {}, [], 0
        self.met = {}        # states that acknowledged operations met
        self.moving = None   # the person who was just met under way
        self.acknowledged = 0

    def value(self, kind):
        with self.lock:
            return next(self.numbers) * 10 + kind

    def note(self, key, op):
        with self.lock:
            self.ops.setdefault(key, []).append(op)
            if op.outcome == OK:
                self.acknowledged += op.kind != "get"
                self.current[key] = op.value

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def complain(self, text):
        with self.lock:
            self.wrong_count += 1
            if len(self.wrong) < WRONG_MAX:
                self.wrong.append(text)

    def meet(self, key, state):
        with self.lock:
            self.met[state] = self.met.get(state, 0) + 1
            if state in ("copying", "held"):
                self.moving = key.split("/")[0]


class Client:
    """One connection to each gateway, one operation at a time."""

    def __init__(self, journal, ports, signer=None, country="IN"):
        signer = signer or Signer(ACCESS)
        self.journal, self.country = journal, country
        self.lines = {name: Line(port, signer) for name, port in ports.items()}

    def close(self):
        for line in self.lines.values():
            line.close()

    def ask(self, gateway, method, key, **more):
        """The answer, or None when nobody told the outcome. What is no answer of S3 to this is noted as wrong."""
        try:
            answer = self.lines[gateway].ask(method, f"/{BUCKET}/{key}", **more)
        except Lost:
            self.journal.count("lost")
            return None
        except TimeoutError:
            self.journal.complain(f"{method} through {gateway}: no answer")
            return None
        self.journal.count(answer.status)
        if answer.status == 503 or (answer.status == 200 and method == "POST" and b"<Error>" in answer.body):
            code = re.search(rb"<Code>(\w+)</Code>", answer.body)
            if not code or code[1] not in RETRIABLE:
                self.unexpected(gateway, method, answer)
            return None
        self.journal.meet(key, answer.headers.get("x-domicile-met", "unsaid"))
        return answer

    def unexpected(self, gateway, what, answer):
        self.journal.complain(f"{what} through {gateway}: status {answer.status} {answer.body[:600]}")

    def put(self, gateway, key, kind=SMALL, condition=None, pause_s=0.0):
        """True when it is acknowledged."""
        value = self.journal.value(kind)
        body = body_of(value)
        more = {"x_amz_meta_domicile_country": self.country}
        if condition == "absent":
            more["if_none_match"] = "*"
        elif condition is not None:
            more["if_match"] = '"%s"' % etag_of(condition, body_of(condition))
        begin = time.monotonic_ns()
        answer = self.ask(gateway, "PUT", key, body=body, pause_s=pause_s, **more)
        outcome = UNKNOWN
        if answer is not None:
            outcome = {200: OK, 412: REFUSED, 404: GONE}.get(answer.status, UNKNOWN)
            if outcome == UNKNOWN or (outcome != OK and condition is None) or \
               (outcome == GONE and (condition == "absent" or b"NoSuchKey" not in answer.body)):
                self.unexpected(gateway, "PUT", answer)
                outcome = UNKNOWN
            elif outcome == OK and answer.etag() != etag_of(value, body):
                self.unexpected(gateway, f"PUT told a wrong ETag {answer.etag()}:", answer)
        self.journal.note(key, Op("put", value, begin, time.monotonic_ns(), outcome, condition))
        return outcome == OK

    def delete(self, gateway, key):
        begin = time.monotonic_ns()
        answer = self.ask(gateway, "DELETE", key)
        done = answer is not None and answer.status == 204
        if answer is not None and not done:
            self.unexpected(gateway, "DELETE", answer)
        self.journal.note(key, Op("delete", ABSENT, begin, time.monotonic_ns(), OK if done else UNKNOWN))
        return done

    def get(self, gateway, key):
        """True when there was an answer, which is then part of the key's history."""
        begin = time.monotonic_ns()
        answer = self.ask(gateway, "GET", key)
        if answer is None:
            return False
        value = ABSENT
        if answer.status == 200:
            number = answer.body[:24].partition(b":")[0]
            value = int(number) if number.isdigit() else 0
            if value == 0 or value % 10 not in SIZES or answer.body != body_of(value):
                self.journal.complain(f"GET through {gateway}: a body of {len(answer.body)} bytes that nobody wrote")
                return True
            if answer.etag() != etag_of(value, answer.body):
                self.journal.complain(f"GET through {gateway}: a wrong ETag {answer.etag()} of value {value}")
        elif answer.status != 404 or b"NoSuchKey" not in answer.body:
            self.unexpected(gateway, "GET", answer)
            return True
        self.journal.note(key, Op("get", value, begin, time.monotonic_ns()))
        return True


class Upload:
    """Its parts are there; it waits to be completed."""

    def __init__(self, key, value, upload_id, etags):
        self.key, self.value, self.id, self.etags = key, value, upload_id, etags


class Worker(threading.Thread):
    """One client of the chaos. `choose` gives a key; `turn` waits until it may go on, False at the end."""

    def __init__(self, client, choose, turn, seed):
        super().__init__(daemon=True)
        self.client, self.choose, self.turn = client, choose, turn
        self.dice = random.Random(seed)
        self.gateways = sorted(client.lines)
        self.uploads = []
        self.failure = None

    def gateway(self):
        return self.dice.choice(self.gateways)

    def begin_upload(self, key):
        gateway, journal = self.gateway(), self.client.journal
        value = journal.value(UPLOAD if self.dice.random() < 0.97 else UPLOAD_TWO)
        answer = self.client.ask(gateway, "POST", key, query="uploads=",
                                 x_amz_meta_domicile_country=self.client.country)
        if answer is None:
            return
        found = re.search(rb"<UploadId>([^<]+)</UploadId>", answer.body)
        if answer.status != 200 or not found:
            self.client.unexpected(gateway, "CreateMultipartUpload", answer)
            return
        upload = Upload(key, value, found[1].decode(), [])
        for number, part in enumerate(parts_of(body_of(value)), 1):
            gateway = self.gateway()
            answer = self.client.ask(gateway, "PUT", key, body=part, query=f"partNumber={number}&uploadId={upload.id}")
            if answer is None:
                return
            if answer.status != 200:
                self.client.unexpected(gateway, "UploadPart", answer)
                return
            upload.etags.append(answer.etag())
        self.uploads.append(upload)

    def complete_upload(self):
        upload = self.uploads.pop(self.dice.randrange(len(self.uploads)))
        gateway, journal = self.gateway(), self.client.journal
        parts = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
                        for number, etag in enumerate(upload.etags, 1))
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        begin = time.monotonic_ns()
        answer = self.client.ask(gateway, "POST", upload.key, query=f"uploadId={upload.id}", body=body)
        outcome = UNKNOWN
        if answer is not None:
            if answer.status == 200:
                outcome = OK
                if etag_of(upload.value, body_of(upload.value)).encode() not in answer.body:
                    self.client.unexpected(gateway, "CompleteMultipartUpload told a wrong ETag:", answer)
            else:
                self.client.unexpected(gateway, "CompleteMultipartUpload", answer)
        journal.note(upload.key, Op("put", upload.value, begin, time.monotonic_ns(), outcome))

    def step(self):
        """Of a hundred operations: 36 puts, 16 conditional ones, 26 reads, 8 deletes, the rest uploads."""
        key, dice, client = self.choose(self.dice), self.dice.random(), self.client
        if dice < 0.36:
            sort = self.dice.random()
            kind = SMALL if sort < 0.9 else MEDIUM if sort < 0.995 else LARGE
            pause_s = self.dice.uniform(0, PAUSE_S_MAX) if self.dice.random() < 0.15 else 0.0
            return client.put(self.gateway(), key, kind, pause_s=pause_s)
        if dice < 0.42:
            return client.put(self.gateway(), key, condition="absent")
        if dice < 0.52:
            condition = client.journal.current.get(key) or "absent"
            return client.put(self.gateway(), key, condition=condition)
        if dice < 0.78:
            return client.get(self.gateway(), key)
        if dice < 0.86:
            return client.delete(self.gateway(), key)
        if self.uploads and (dice < 0.93 or len(self.uploads) >= OPEN_MAX):
            return self.complete_upload()
        return self.begin_upload(key)

    def run(self):
        try:
            while self.turn():
                if self.step() is False:
                    time.sleep(NAP_S)
            while self.uploads:
                self.complete_upload()
        except Exception as failure:  # a mistake of the test itself: the run must not look well
            self.failure = failure
            self.client.journal.complain(f"a client ended: {failure!r}")
        self.client.close()
