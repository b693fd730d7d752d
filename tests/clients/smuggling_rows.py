"""Odd and malformed heads and bodies, one row each, for test_smuggling.py.

A row: what Domicile answers on the connection (statuses of all answers, "" for none), a name, the bytes, and
where Domicile may do what nginx does not, the reason. Unless a row brings its own end, a second, sound request
follows on the same connection; whether it is seen as one shows where a server thinks the first one ended.

{put} and {get} are targets of the row's own, presigned, so that only the framing decides; {host} is the Host
they are signed for. S3 takes a chunked body only with x-amz-decoded-content-length: {plain} is the target and
{signed} are the fields of such a PUT, whose data is DATA, aws-chunked for "nothing", five bytes. Every row is
Latin-1 text: a character is a byte.
"""
import collections

Row = collections.namedtuple("Row", "expected name data reason")
ROWS = []
PROBE = "GET {get} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
REQUEST = "GET {get} HTTP/1.1\r\nHost: {host}\r\n\r\n"  # hidden inside something else
HOST = "Host: {host}\r\n"


def row(expected, name, data, reason="", probe=True):
    ROWS.append(Row(expected, name, data + (PROBE if probe else ""), reason))


def put(expected, name, fields, body="hello", reason="", version="HTTP/1.1"):
    """A PUT whose framing is all in `fields`."""
    row(expected, name, f"PUT {{put}} {version}\r\n{HOST}{fields}\r\n{body}", reason)


def coded(expected, name, fields, body, reason="", version="HTTP/1.1"):
    """A PUT that is chunked, or perhaps so; DATA in it."""
    row(expected, name, f"PUT {{plain}} {version}\r\n{HOST}{{signed}}{fields}\r\n{body}", reason)


def chunked(expected, name, body, reason=""):
    coded(expected, f"chunked body: {name}", "Transfer-Encoding: chunked\r\n", body, reason)


def get(expected, name, fields="", start="GET {get} HTTP/1.1\r\n", host=HOST, reason=""):
    row(expected, name, f"{start}{host}{fields}\r\n", reason)


def length(expected, value, reason=""):
    put(expected, f"Content-Length: {value!r}", f"Content-Length: {value}\r\n", reason=reason)


def coding(expected, value, reason=""):
    coded(expected, f"Transfer-Encoding: {value!r}", f"Transfer-Encoding: {value}\r\n", CHUNKS, reason)


DATA = "0\r\n\r\n"
CHUNKS = f"5\r\n{DATA}\r\n0\r\n\r\n"
NOT_FRAMING = "refused as a request, not for its framing: where it ends is beyond doubt, so the connection goes on"
PARSED_KEY = "S3 keys are bytes, in which dots mean nothing and no path leads out of anything"

# ---- Content-Length: the value ----
length("200 404", "5")
length("200 404", "  5  ")
length("400", "\t5")
length("200 404", "05")
length("200 404", "0000000000000000000000005")
for value in ("+5", "-5", "-0", "5 5", "5, 5", "5,5", "5,", ",5", "5;", "0x5", "5h", "5.0", "5e0", "", " ", "five", '"5"',
              "5\0", "\x0b5", "5\x0b", "5\x0c", "5\r", "\xa05", "\xb2", "18446744073709551616", "18446744073709551621",
              "9223372036854775808", "99999999999999999999999999", "4294967301 "):
    length("400", value)
# ---- Content-Length: the name, the number of lines ----
for name in ("content-length", "CONTENT-LENGTH", "cOnTeNt-LeNgTh"):
    put("200 404", f"{name}: 5", f"{name}: 5\r\n")
for name in ("Content-Length ", "Content-Length\t", "Content-Length\0", "Content\0-Length", "Content Length", "Content-Length\x0b",
             "Content-Length;", "Content-Length\xa0", "(Content-Length)", "Content-Length\r"):
    put("400", f"{name!r}: 5", f"{name}: 5\r\n")
for name in ("Content_Length", "X-Content-Length"):
    put("200 404", f"{name}: 5 is another field", f"{name}: 5\r\n", "")
put("200 404", "Content-Length:5 without a blank", "Content-Length:5\r\n")
put("400", "Content-Length = 5", "Content-Length = 5\r\n")
put("400", "Content-Length twice, the same", "Content-Length: 5\r\nContent-Length: 5\r\n")
put("400", "Content-Length twice, less first", "Content-Length: 0\r\nContent-Length: 5\r\n")
put("400", "Content-Length twice, more first", "Content-Length: 5\r\nContent-Length: 0\r\n")
put("400", "Content-Length twice, other case", "Content-Length: 5\r\ncontent-length: 6\r\n")
put("400", "Content-Length twice, fields between", "Content-Length: 5\r\nX-A: 1\r\nX-B: 2\r\nContent-Length: 5\r\n")
put("400", "Content-Length twice, one empty", "Content-Length: 5\r\nContent-Length:\r\n")
put("400", "Content-Length folded", "Content-Length:\r\n 5\r\n")
put("400", "Content-Length in a folded line", "X-A: 1\r\n Content-Length: 5\r\n")
put("400", "Content-Length after a bare line feed", "X-A: 1\nContent-Length: 5\r\n")
put("400", "Content-Length after a bare carriage return", "X-A: 1\rContent-Length: 5\r\n")
put("200 404", "no length at all", "", "")
put("200 501", "no length, but a body", "")
row("400", "a body shorter than its length, then the end", f"PUT {{put}} HTTP/1.1\r\n{HOST}Content-Length: 500\r\n\r\nhello", probe=False)

# ---- Transfer-Encoding: the value ----
for value in ("chunked", "Chunked", "CHUNKED", " chunked "):
    coding("200 404", value)
for value in ("\tchunked", "chunked\t", "\x0bchunked", "chunked\x0b", "\x0cchunked", "chunked\0", "\0chunked", "chunked\r", "xchunked", "chunkedx", "chu nked",
              "chu\tnked", "chunked, identity", "identity, chunked", "identity", "chunked, chunked", "gzip, chunked", "gzip",
              "deflate, chunked", "chunked, gzip", "chunked,", ",chunked", "chunked;q=1", "chunked; a=b", '"chunked"', "'chunked'", "",
              "trailers", "\xa0chunked", "chunked\x85", "cow", "chunked\x7f"):
    coding("400", value)
# ---- Transfer-Encoding: the name, the number of lines, together with a length ----
TE = "Transfer-Encoding: chunked\r\n"
for name in ("transfer-encoding", "TRANSFER-ENCODING", "TrAnSfEr-EnCoDiNg"):
    coded("200 404", f"{name}: chunked", f"{name}: chunked\r\n", CHUNKS)
for name in ("Transfer-Encoding ", "Transfer-Encoding\t", "Transfer-Encoding\0", "Transfer Encoding", "Transfer-Encoding\x0b",
             "Transfer\0-Encoding", "Transfer-Encoding\xad"):
    coded("400", f"{name!r}: chunked", f"{name}: chunked\r\n", CHUNKS)
    put("400", f"{name!r}: chunked beside a length", f"Content-Length: {len(CHUNKS)}\r\n{name}: chunked\r\n", CHUNKS)
put("200 404", "Transfer_Encoding beside a length", f"Content-Length: {len(CHUNKS)}\r\nTransfer_Encoding: chunked\r\n", CHUNKS)
coded("200 404", "Transfer-Encoding:chunked without a blank", "Transfer-Encoding:chunked\r\n", CHUNKS)
coded("400", "Transfer-Encoding folded", "Transfer-Encoding:\r\n chunked\r\n", CHUNKS)
coded("400", "Transfer-Encoding folded with a tab", "Transfer-Encoding:\r\n\tchunked\r\n", CHUNKS)
put("400", "Transfer-Encoding in a folded line beside a length", f"Content-Length: 5\r\nX-A: 1\r\n {TE}")
put("400", "Transfer-Encoding after a bare line feed", f"Content-Length: 5\r\nX-A: 1\n{TE}")
put("400", "Transfer-Encoding after a bare carriage return", f"Content-Length: 5\r\nX-A: 1\r{TE}")
coded("400", "Transfer-Encoding twice, the same", TE + TE, CHUNKS)
coded("400", "Transfer-Encoding twice, identity last", TE + "Transfer-Encoding: identity\r\n", CHUNKS)
coded("400", "Transfer-Encoding twice, identity first", "Transfer-Encoding: identity\r\n" + TE, CHUNKS)
coded("400", "Transfer-Encoding twice, one empty", "Transfer-Encoding:\r\n" + TE, CHUNKS)
put("400", "length, then chunked", f"Content-Length: {len(CHUNKS)}\r\n{TE}", CHUNKS)
put("400", "chunked, then length", f"{TE}Content-Length: {len(CHUNKS)}\r\n", CHUNKS)
put("400", "chunked and a length of 0", f"{TE}Content-Length: 0\r\n", CHUNKS)
put("400", "chunked and a bad length", f"{TE}Content-Length: x\r\n", CHUNKS)
put("400", "unknown coding and a length", "Transfer-Encoding: cow\r\nContent-Length: 5\r\n")
coded("400", "chunked in HTTP/1.0", TE, CHUNKS, version="HTTP/1.0")
coded("400", "chunked in HTTP/1.0 that stays", TE + "Connection: keep-alive\r\n", CHUNKS, version="HTTP/1.0")
put("200 404", "TE: chunked says nothing of this body", "TE: chunked\r\nContent-Length: 5\r\n")
put("200 404", "X-Transfer-Encoding is another field", "X-Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")
put("200 404", "Connection names Content-Length", "Connection: Content-Length\r\nContent-Length: 5\r\n")
coded("200 404", "Connection names Transfer-Encoding", "Connection: Transfer-Encoding\r\n" + TE, CHUNKS)

# ---- chunked bodies ----
chunked("200 404", "sound", CHUNKS)
chunked("200 404", "two chunks", "3\r\n0\r\n\r\n2\r\n\r\n\r\n0\r\n\r\n")
chunked("200 404", "digits in capitals", "A\r\n0\r\na:b\r\n\r\n\r\n0\r\n\r\n")
chunked("200 404", "leading zeros", "00005\r\n0\r\n\r\n\r\n000\r\n\r\n")
chunked("400 404", "nothing", "0\r\n\r\n")
chunked("200 404", "extension", "5;a=b\r\n0\r\n\r\n\r\n0\r\n\r\n")
chunked("400", "quoted extension with a line's end in it", '5;a="\r\n"\r\n0\r\n\r\n\r\n0\r\n\r\n')
chunked("400", "extension ended by a bare line feed", "5;a\n0\r\n\r\n\r\n0\r\n\r\n")
chunked("400", "extension with a bare carriage return", "5;a\rb\r\n0\r\n\r\n\r\n0\r\n\r\n")
chunked("400", "extension with NUL", "5;\0\r\n0\r\n\r\n\r\n0\r\n\r\n")
chunked("400", "extension of 2 KiB", f"5;{'a' * 2048}\r\n0\r\n\r\n\r\n0\r\n\r\n")
for size in (" 5", "5 ", "\t5", "5\t", "+5", "-5", "0x5", "5h", "5,5", "", "g", '"5"', "5\0", "5\x0b", "5 ;a", "ffffffffffffffff",
             "8000000000000000", "10000000000000005", "100000000000000000000000000000005", "-0", "5_"):
    chunked("400", f"size {size!r}", f"{size}\r\n0\r\n\r\n\r\n0\r\n\r\n")
chunked("400", "size ended by a bare line feed", "5\n0\r\n\r\n\r\n0\r\n\r\n")
chunked("400", "size ended by a bare carriage return", "5\r0\r\n\r\n\r\n0\r\n\r\n")
chunked("400", "size ended by CR CR LF", "5\r\r\n0\r\n\r\n\r\n0\r\n\r\n")
chunked("400", "data ended by a bare line feed", "5\r\n0\r\n\r\n\n0\r\n\r\n")
chunked("400", "data ended by nothing", "5\r\n0\r\n\r\n0\r\n\r\n")
chunked("400", "data ended by two other bytes", "5\r\n0\r\n\r\nxx0\r\n\r\n")
chunked("400", "size too small", "4\r\n0\r\n\r\n\r\n0\r\n\r\n")
chunked("400", "size too large", "6\r\n0\r\n\r\n\r\n0\r\n\r\n")
chunked("400", "last chunk ended by a bare line feed", "5\r\n0\r\n\r\n\r\n0\n\r\n")
chunked("400", "all ended by bare line feeds", "5\n0\r\n\r\n\n0\n\n")
chunked("400", "blank line after the last chunk is a bare line feed", "5\r\n0\r\n\r\n\r\n0\r\n\n")
chunked("400", "no blank line after the last chunk", "5\r\n0\r\n\r\n\r\n0\r\n")
chunked("200 404", "last chunk with an extension", "5\r\n0\r\n\r\n\r\n0;a=b\r\n\r\n")
chunked("200 404", "last chunk 00", "5\r\n0\r\n\r\n\r\n00\r\n\r\n")
chunked("200 404", "trailer", "5\r\n0\r\n\r\n\r\n0\r\nX-A: 1\r\n\r\n")
chunked("200 404", "trailer that claims a length", "5\r\n0\r\n\r\n\r\n0\r\nContent-Length: 50\r\n\r\n")
chunked("200 404", "trailer that claims a coding", f"5\r\n0\r\n\r\n\r\n0\r\n{TE}\r\n")
chunked("400", "trailer ended by a bare line feed", "5\r\n0\r\n\r\n\r\n0\r\nX-A: 1\n\r\n")
chunked("400", "trailer with a bare carriage return", "5\r\n0\r\n\r\n\r\n0\r\nX-A: 1\rX-B: 2\r\n\r\n")
chunked("400", "trailer with NUL", "5\r\n0\r\n\r\n\r\n0\r\nX-A: \0\r\n\r\n")
chunked("400", "trailer folded", "5\r\n0\r\n\r\n\r\n0\r\nX-A: 1\r\n 2\r\n\r\n")
chunked("400", "trailer that begins with a blank", "5\r\n0\r\n\r\n\r\n0\r\n X-A: 1\r\n\r\n")
chunked("400", "trailers of 16 KiB", "5\r\n0\r\n\r\n\r\n0\r\n" + ("X-A: " + "a" * 1000 + "\r\n") * 16 + "\r\n")
chunked("200 404", "one line's end too many after it", "5\r\n0\r\n\r\n\r\n0\r\n\r\n\r\n")
chunked("200 400", "rubbish after it", "5\r\n0\r\n\r\n\r\n0\r\n\r\nrubbish\r\n\r\n")
chunked("400", "a request as a chunk extension", f"5;\r\n{REQUEST}0\r\n\r\n\r\n0\r\n\r\n")
chunked("400", "ends without its last chunk", "5\r\n0\r\n\r\n\r\n")
chunked("400", "does not begin", "")

# ---- a request inside a body ----
put("200 404", "a request as the body", f"Content-Length: {{len}}\r\n", REQUEST)
coded("400", "a request as a chunk", TE, "{hexlen}\r\n" + REQUEST + "\r\n0\r\n\r\n")
for method, status in (("GET", 404), ("HEAD", 403), ("DELETE", 403), ("OPTIONS", 400)):  # presigned for GET; no preflight
    row(f"{status} 404", f"{method} with a body that looks like a request",
        f"{method} {{get}} HTTP/1.1\r\n{HOST}Content-Length: {{len}}\r\n\r\n{REQUEST}")
    row(f"{status}", f"{method} with a chunk that looks like a request",
        f"{method} {{get}} HTTP/1.1\r\n{HOST}{TE}\r\n{{hexlen}}\r\n{REQUEST}\r\n0\r\n\r\n")

# ---- the request line ----
get("404 404", "sound")
get("400", "two blanks before the target", start="GET  {get} HTTP/1.1\r\n")
get("400", "two blanks before the version", start="GET {get}  HTTP/1.1\r\n")
get("400", "blank after the version", start="GET {get} HTTP/1.1 \r\n")
get("400", "tab before the target", start="GET\t{get} HTTP/1.1\r\n")
get("400", "tab before the version", start="GET {get}\tHTTP/1.1\r\n")
get("400", "vertical tab before the target", start="GET\x0b{get} HTTP/1.1\r\n")
get("400", "blank before the method", start=" GET {get} HTTP/1.1\r\n")
get("404 404", "one empty line before it", start="\r\nGET {get} HTTP/1.1\r\n")
get("400", "two empty lines before it", start="\r\n\r\nGET {get} HTTP/1.1\r\n")
get("400", "a bare line feed before it", start="\nGET {get} HTTP/1.1\r\n")
get("400", "a bare carriage return before it", start="\rGET {get} HTTP/1.1\r\n")
get("400", "NUL before it", start="\0GET {get} HTTP/1.1\r\n")
get("400", "ended by a bare line feed", start="GET {get} HTTP/1.1\n")
get("400", "ended by CR CR LF", start="GET {get} HTTP/1.1\r\r\n")
get("501", "method in small letters", start="get {get} HTTP/1.1\r\n")
get("501", "method Get", start="Get {get} HTTP/1.1\r\n")
get("400", "method G@T", start="G@T {get} HTTP/1.1\r\n")
get("400", "method with NUL", start="GE\0T {get} HTTP/1.1\r\n")
get("400", "method with a high byte", start="G\xc9T {get} HTTP/1.1\r\n")
get("501", "unknown method", start="FROB {get} HTTP/1.1\r\n")
get("403 404", "TRACE", start="TRACE {get} HTTP/1.1\r\n", reason=NOT_FRAMING)
get("501", "CONNECT", start="CONNECT {host} HTTP/1.1\r\n")
get("400", "no version", start="GET {get}\r\n")
get("400", "version left empty", start="GET {get} \r\n")
for version in ("HTTP/0.9", "HTTP/1.2", "HTTP/1.10", "HTTP/1.01", "HTTP/01.1", "HTTP/2.0", "HTTP/3", "HTTP/9.9", "HTTP/1.1 x", "http/1.1",
                "HTTP /1.1", "HTTPS/1.1", "HTTP/1,1", "HTTP/11", "HTTP/1.", "HTTP/.1", "HTTP/-1.1", "HTTP/1.1\0", "HTP/1.1", "HTTP/1.1\t"):
    known = version in ("HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/9.9")
    get("505" if known else "400", f"version {version!r}", start=f"GET {{get}} {version}\r\n")
get("404 404", "HTTP/1.0 that stays", start="GET {get} HTTP/1.0\r\n", fields="Connection: keep-alive\r\n")
get("404", "HTTP/1.0 that does not say so", start="GET {get} HTTP/1.0\r\n")
row("505", "the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
row("400", "a TLS hello", "\x16\x03\x01\0\xa5\x01\0\0\xa1\x03\x03")

# ---- the target ----
get("404 404", "absolute form", start="GET http://{host}{get} HTTP/1.1\r\n")
get("404 404", "absolute form in capitals", start="GET HTTP://{host}{get} HTTP/1.1\r\n")
get("404 404", "absolute form, https", start="GET https://{host}{get} HTTP/1.1\r\n")
get("400", "absolute form of another host", start="GET http://other.example{get} HTTP/1.1\r\n")
get("400", "absolute form with a user", start="GET http://user@{host}{get} HTTP/1.1\r\n")
get("400", "absolute form without a path", start="GET http://{host} HTTP/1.1\r\n")
get("400", "absolute form without a host", start="GET http://{get} HTTP/1.1\r\n")
get("400", "absolute form of ftp", start="GET ftp://{host}{get} HTTP/1.1\r\n")
get("400", "absolute form without slashes", start="GET http:{get} HTTP/1.1\r\n")
get("400", "host and port alone", start="GET {host} HTTP/1.1\r\n")
get("400", "a word", start="GET key HTTP/1.1\r\n")
get("400", "* for GET", start="GET * HTTP/1.1\r\n")
get("400 404", "* for OPTIONS", start="OPTIONS * HTTP/1.1\r\n", reason=NOT_FRAMING)
get("400", "a query alone", start="GET ?a HTTP/1.1\r\n")
for what, text in (("a fragment", "#a"), ("a blank", " a"), ("a tab", "\ta"), ("NUL", "\0a"), ("DEL", "\x7fa"), ("a control byte", "\x01a"),
                   ("a bare carriage return", "\ra"), ("a high byte", "\xff")):
    get("400", f"target with {what}", start=f"GET /bucket/key{text} HTTP/1.1\r\n")
for text in ("%", "%4", "%zz", "%0g", "%00", "%u0041", "%%41"):
    get("400 404", f"escape {text}", start=f"GET /bucket/key{text} HTTP/1.1\r\n", reason=NOT_FRAMING)
    get("404 404" if text == "%00" else "400 404", f"escape {text} in the query", start=f"GET /bucket/key?a={text} HTTP/1.1\r\n")
get("404 404", "escaped line's end in the path", start="GET /bucket/key%0d%0aX-A:%201 HTTP/1.1\r\n")
get("404 404", "dot segments", start="GET /bucket/../../../key HTTP/1.1\r\n", reason=PARSED_KEY)
get("404 404", "escaped dot segments", start="GET /bucket/%2e%2e/%2e%2e/key HTTP/1.1\r\n", reason=PARSED_KEY)
get("400 404", "backslashes", start="GET /bucket\\..\\key HTTP/1.1\r\n")
get("400 404", "two slashes", start="GET //bucket//key HTTP/1.1\r\n")
get("414", "target of 17 KiB", start=f"GET /bucket/{'a' * 17000} HTTP/1.1\r\n")

# ---- Host ----
get("400", "no Host", host="")
get("403", "no Host in HTTP/1.0", start="GET {get} HTTP/1.0\r\n", host="")
get("400", "Host twice, the same", fields=HOST)
get("400", "Host twice, another", fields="Host: other.example\r\n")
get("400", "Host empty", host="Host:\r\n")
for value in ("{host} x", "user@{host}", "{host}/a", "{host}?a", "{host}#a", "{host}\\a", "{host}\0", "{host}\x01",
              "{host}\xff", "a b", '"a"', "<a>", "a..b"):
    get("400", f"Host {value!r}", host=f"Host: {value}\r\n")
for value in ("{host},other.example", "{host}:80:80"):  # not what the request was signed for
    get("403 404", f"Host {value!r}", host=f"Host: {value}\r\n")
get("400", "Host with a blank before the colon", host="Host : {host}\r\n")
get("400", "Host folded", host="Host:\r\n {host}\r\n")
get("400", "Host with tabs around", host="Host:\t{host}\t\r\n")
get("404 404", "HOST", host="HOST: {host}\r\n")

# ---- other lines ----
get("400", "line without a colon", "rubbish\r\n")
get("400", "line with a colon alone", ":\r\n")
get("400", "line without a name", ": a\r\n")
get("400", "first line begins with a blank", host=" X-A: 1\r\n" + HOST)
for name in ("X A", "X\tA", "X\0A", "X(A)", "X@A", "X,A", "X/A", "X[A]", 'X"A"', "X\x7fA", "X\xe4A", "X{A}"):
    get("400", f"name {name!r}", f"{name}: 1\r\n")
for name in ("X!A", "X#A", "X_A", "X.A", "X~A", "X|A"):
    get("404 404", f"name {name!r}, a token", f"{name}: 1\r\n")
for value in ("a\0b", "a\x01b", "a\x0bb", "a\x1bb", "a\x7fb", "a\rb", "a\r\rb"):
    get("400", f"value {value!r}", f"X-A: {value}\r\n")
get("404 404", "value with high bytes", "X-A: \xe4\xff\r\n")
get("404 404", "value of blanks", "X-A:  \t \r\n")
get("400", "folded line", "X-A: 1\r\n 2\r\n")
get("400", "folded line with a tab", "X-A: 1\r\n\t2\r\n")
get("400", "folded line that is empty", "X-A: 1\r\n \r\n")
get("400", "line ended by a bare line feed", "X-A: 1\n")
get("400", "line ended by CR CR LF", "X-A: 1\r\r\n")
row("400", "all lines ended by bare line feeds", "GET {get} HTTP/1.1\nHost: {host}\n\n")
row("400", "blank line is a bare line feed", f"GET {{get}} HTTP/1.1\r\n{HOST}\n")
row("400", "blank line holds a blank", f"GET {{get}} HTTP/1.1\r\n{HOST} \r\n\r\n")
row("", "head that ends early", f"GET {{get}} HTTP/1.1\r\n{HOST}X-A: 1", probe=False)
get("404 404", "100 fields", "X-A: 1\r\n" * 99)
get("431", "101 fields", "X-A: 1\r\n" * 101)
get("431", "field of 33 KiB", f"X-A: {'a' * 33000}\r\n")
get("431", "head of 40 KiB", "".join(f"X-{i}: {'a' * 1000}\r\n" for i in range(40)))

# ---- Connection, Expect, Upgrade ----
get("404", "Connection: close", "Connection: close\r\n")
get("404", "Connection: close, keep-alive", "Connection: close, keep-alive\r\n")
get("404", "Connection twice, close last", "Connection: keep-alive\r\nConnection: close\r\n")
put("200 404", "Expect: 100-continue", "Expect: 100-continue\r\nContent-Length: 5\r\n")
put("400", "Expect: 100-Continue twice", "Expect: 100-Continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n")
put("417", "Expect: something else", "Expect: 200-ok\r\nContent-Length: 5\r\n")
put("417", "Expect with more behind", "Expect: 100-continue, x\r\nContent-Length: 5\r\n")
get("404 404", "Upgrade: h2c", "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n")
get("404 404", "Upgrade: websocket", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAA\r\n")
put("200 404", "Content-Encoding: chunked is no framing", "Content-Encoding: chunked\r\nContent-Length: 5\r\n")
