#!/usr/bin/env python3
"""The links between regions: one listener in front of each region, which knows by the envelope of a
connection's first request who calls, so that each directed pair is a link of its own.

usage: links.py NUMBER=PORT:REAL_PORT…

Commands on standard input, one a line, answered by `done`; the end of the input ends the process:
  cut FROM TO SECONDS 0         connections are reset, new ones too
  hole FROM TO SECONDS 0        nothing passes, and nothing is lost: later it comes all at once
  delay FROM TO SECONDS DELAY   every piece comes later
  break FROM TO SECONDS BYTES   the connection that carries the BYTES-th byte from now on is reset behind it
  heal                          ends all faults
"""
import asyncio
import re
import socket
import struct
import sys

HEAD_MAX = 65536
PIECE = 65536
CONNECT_S_MAX = 5
FROM = re.compile(rb"\r\nx-domicile-from: *(\d+)\r\n", re.I)


class Link:
    """What goes from one region to another, and the answers."""

    def __init__(self):
        self.ends = set()  # writers of both sides of each connection
        self.until = {}    # fault -> when it ends
        self.delay_s, self.break_bytes = 0.0, 0

    def has(self, fault):
        return asyncio.get_running_loop().time() < self.until.get(fault, 0)

    def put(self, fault, lasts_s, amount):
        self.until[fault] = asyncio.get_running_loop().time() + lasts_s
        if fault == "delay":
            self.delay_s = amount
        elif fault == "break":
            self.break_bytes = int(amount)
        elif fault == "cut":
            for end in list(self.ends):
                reset(end)

    async def pass_piece(self, data, out):
        """False when the link broke."""
        while self.has("hole"):
            await asyncio.sleep(0.02)
        if self.has("delay"):
            await asyncio.sleep(self.delay_s)
        if self.has("cut"):
            return False
        if self.has("break"):
            if len(data) >= self.break_bytes:
                self.until["break"] = 0
                out.write(data[:self.break_bytes])
                return False
            self.break_bytes -= len(data)
        out.write(data)
        await out.drain()
        return True


def reset(writer):
    """As by a cable that is cut and a peer that was restarted since: RST, not an orderly end."""
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def pump(link, reader, out, ends):
    try:
        while True:
            data = await reader.read(PIECE)
            if not data:
                break
            if not await link.pass_piece(data, out):
                for end in ends:
                    reset(end)
                return
        if out.can_write_eof():
            out.write_eof()
    except (OSError, asyncio.IncompleteReadError):
        for end in ends:
            reset(end)


async def first_head(reader):
    data = b""
    while b"\r\n\r\n" not in data and len(data) < HEAD_MAX:
        more = await reader.read(PIECE)
        if not more:
            break
        data += more
    return data


class Front:
    """In front of one region."""

    def __init__(self, links, number, real_port):
        self.links, self.number, self.real_port = links, number, real_port

    def link(self, head):
        caller = FROM.search(head)
        return self.links.setdefault((int(caller[1]) if caller else 0, self.number), Link())

    async def serve(self, reader, writer):
        out = None
        try:
            head = await first_head(reader)
            if not head:
                return
            link = self.link(head)
            if link.has("cut"):
                reset(writer)
                return
            there, out = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", self.real_port), CONNECT_S_MAX)
            ends = (writer, out)
            link.ends.update(ends)
            try:
                if await link.pass_piece(head, out):
                    await asyncio.gather(pump(link, reader, out, ends), pump(link, there, writer, ends))
                else:
                    for end in ends:
                        reset(end)
            finally:
                link.ends.difference_update(ends)
        except (OSError, asyncio.TimeoutError):
            reset(writer)
        finally:
            for end in (writer, out):
                if end is not None:
                    end.close()


async def main(arguments):
    links, servers = {}, []
    for argument in arguments:
        number, port, real_port = map(int, re.split("[=:]", argument))
        servers.append(await asyncio.start_server(Front(links, number, real_port).serve, "127.0.0.1", port))
    stdin = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    print("listening on", len(servers), "fronts", flush=True)
    while line := (await stdin.readline()).split():
        if line[0] == b"heal":
            for link in links.values():
                link.until.clear()
        else:
            link = links.setdefault((int(line[1]), int(line[2])), Link())
            link.put(line[0].decode(), float(line[3]), float(line[4]))
        print("done", flush=True)
    # Connections that wait are ended with the process; the loop would complain about each.
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    for link in links.values():
        for end in list(link.ends):
            reset(end)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
