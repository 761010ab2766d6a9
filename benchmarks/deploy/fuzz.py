"""`novelette serve` and thousands of spoiled requests: what it answers, whether it still scores, what memory it holds; a JSON line.

    python benchmarks/deploy/fuzz.py [--requests 10000] [--seed 0] [--bundle BUNDLE] [--results results]

Each request is a good one (a picture as it is, a form, JSON, a question) with some of its bytes changed, cut out, doubled, or put in from
elsewhere, in its head or its body. Exit status 1 when an answer was a server's error or no HTTP, when a good picture no longer gets the
score that it got at first, or when memory grew in the second half by more than GROWTH.
"""

import argparse
import base64
import json
import random
import re
import socket
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

from load import held_mib, made_bundle, made_picture, record_of, serving

from novelette.bench.stamps import append

GROWTH = 0.05  # of the memory held at half time; what is counted by route and status takes next to none
AT_A_TIME = 8  # connections
SECONDS = 10  # that an answer may take
PIECES = [
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b": ",
    b"%00",
    b"..",
    b"../../etc/passwd",
    b"\xff\xd8\xff\xe0",
    b"II*\0",
    b"GIF89a",
    b"RIFF",
    b"BM",
    b"{",
    b'"',
]
PIECES += [
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 4294967296\r\n",
    b"Content-Type: multipart/form-data\r\n",
    b"ffffffffffffffff\r\n",
]
PIECES += [
    b"Expect: 100-continue\r\n",
    b"Connection: upgrade\r\nUpgrade: h2c\r\n",
    b"http://localhost/",
    b"file:///etc/passwd",
    b"\x80\x04\x95",
    b"9" * 400,
]


def good_requests(picture: bytes) -> list[tuple[bytes, bytes]]:
    """Head and body of requests that are answered with 200."""
    form = (
        b'--x\r\nContent-Disposition: form-data; name="a"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n' + picture + b"\r\n--x--\r\n"
    )
    as_json = json.dumps({"pictures": [{"data": base64.b64encode(picture).decode(), "name": "a.png"}]}).encode()
    bodies = {b"image/png": picture, b"multipart/form-data; boundary=x": form, b"application/json": as_json}
    posts = [
        (
            b"POST /v1/score?heatmap=%s HTTP/1.1\r\nHost: here\r\nContent-Type: %s\r\nContent-Length: %d\r\n" % (heatmap, kind, len(body)),
            body,
        )
        for kind, body in bodies.items()
        for heatmap in (b"true", b"false")
    ]
    gets = [
        (b"GET %s HTTP/1.1\r\nHost: here\r\n" % path, b"") for path in (b"/", b"/healthz", b"/v1/detector", b"/metrics", b"/openapi.json")
    ]
    chunked = b"POST /v1/score HTTP/1.1\r\nHost: here\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n"
    return [*posts, *gets, (chunked, b"%x\r\n%s\r\n0\r\n\r\n" % (len(picture), picture))]


def spoiled(data: bytes, rng: random.Random) -> bytes:
    """Bytes with one to eight changes."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(out) + 1)
        length = min(rng.choice([1, 1, 2, 8, 64, 512]), len(out) - at)
        match rng.randrange(6):
            case 0:
                out[at : at + length] = rng.randbytes(length)
            case 1:
                del out[at : at + length]
            case 2:
                out[at:at] = out[at : at + length]
            case 3:
                out[at:at] = rng.choice(PIECES)
            case 4:
                del out[at:]
            case 5 if length:
                out[at] ^= 1 << rng.randrange(8)
    return bytes(out)


def request(good: list[tuple[bytes, bytes]], rng: random.Random) -> bytes:
    """A request that is spoiled in its head, in its body, or in both."""
    head, body = rng.choice(good)
    where = rng.choice((0, 1, 1, 1, 2, 3))  # most heads that are spoiled are refused before anything else is looked at
    if where == 0:
        return spoiled(head + b"Connection: close\r\n\r\n" + body, rng)
    if where in (1, 3):
        body = spoiled(body, rng)
        head = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), head)
    if where in (2, 3):
        head = spoiled(head, rng)
    return head + b"Connection: close\r\n\r\n" + body


def outcome(address: tuple[str, int], data: bytes) -> str:
    """The status of the first answer, or how else the connection ended."""
    try:
        with socket.create_connection(address, timeout=SECONDS) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            found = connection.recv(65536)
            while connection.recv(65536):
                pass
    except TimeoutError:
        return "no answer in time"
    except OSError:  # it closed while we were sending
        return "closed"
    status = re.match(rb"HTTP/1\.[01] (\d{3}) ", found)
    return "closed" if not found else status[1].decode() if status else "no HTTP"


def score(address: tuple[str, int], picture: bytes) -> float:
    """The score of a picture."""
    connection = HTTPConnection(*address, timeout=SECONDS)
    connection.request("POST", "/v1/score", picture, {"Content-Type": "image/png"})
    found = json.loads(connection.getresponse().read())["pictures"][0]["score"]
    connection.close()
    return float(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bundle", type=Path, help="to serve")
    parser.add_argument("--results", type=Path, default=Path("results"))
    args = parser.parse_args()
    rng, picture = random.Random(args.seed), made_picture()
    requests = [request(good_requests(picture), rng) for _ in range(args.requests)]
    half = len(requests) // 2
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_A_TIME) as pool:
        record = record_of(requests=args.requests, seed=args.seed)
        with serving(args.bundle or made_bundle(Path(folder)), "--timeout", "2") as (process, address):
            host, _, port = address.removeprefix("http://").partition(":")
            there = host, int(port)
            first, held = score(there, picture), [held_mib(process)]
            outcomes: Counter[str] = Counter()
            for part in (requests[:half], requests[half:]):
                outcomes.update(pool.map(lambda data: outcome(there, data), part))
                held.append(held_mib(process))
            same = score(there, picture) == first
    record |= {"outcomes": dict(outcomes.most_common()), "same score": same}
    record |= dict(zip(("MiB start", "MiB middle", "MiB end"), (round(value, 1) for value in held), strict=True))
    append(args.results / "deploy-fuzz.jsonl", [record])
    print(json.dumps(record, indent=1))
    failed = [name for name in outcomes if name.startswith(("5", "no "))]
    return int(bool(failed) or not same or held[2] > held[1] * (1 + GROWTH))


if __name__ == "__main__":
    sys.exit(main())
