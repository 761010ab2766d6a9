"""The command that answers over HTTP: `serve`."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from novelette.cards import is_classifier, is_detector
from novelette.errors import InputError
from novelette.saying import say


def serve(
    bundle: Annotated[Positional[Path], arg(metavar="BUNDLE")],
    host: str = "127.0.0.1",
    port: int = 8000,
    threads: int = 1,
    token_file: Path | None = None,
    max_body: int = 32,
    max_pixels: int = 25,
    max_pictures: int = 64,
    queue: int = 256,
    timeout: float = 30.0,
) -> int:
    """Score pictures over HTTP with an exported detector, and on a page where a person drops them; needs no torch.

    Args:
        bundle: a bundle made by novelette export
        host: an address of this machine; with 0.0.0.0, other machines can ask too
        port: port to listen on; 0 takes a free one; the address is printed
        threads: threads that decode and score, at least 1; more than one pays for large pictures only
        token_file: a file with the bearer token that requests must send; NOVELETTE_TOKEN can hold it too
        max_body: largest body of a request in MB, at least 1
        max_pixels: largest picture, Mpx (from 1 to 100)
        max_pictures: most pictures in a request, at least 1
        queue: requests worked on at a time, at least 1; others are told to ask again
        timeout: seconds within which a request must have arrived, from 0.1 to 3600
    """
    from novelette import runtime
    from novelette.bundle import is_bundle
    from novelette.data.decode import MAX_PIXELS
    from novelette.serve import server
    from novelette.serve.app import create_app
    from novelette.serve.limits import MEGA, Limits

    for option, value in (("threads", threads), ("max-body", max_body), ("max-pictures", max_pictures), ("queue", queue)):
        if value < 1:
            raise InputError(f"--{option} {value} is too small: give 1 or more")
    if not 1 <= max_pixels <= MAX_PIXELS // MEGA:
        raise InputError(f"--max-pixels {max_pixels} is out of range: give 1 to {MAX_PIXELS // MEGA}")
    if not 0.1 <= timeout <= 3600:
        raise InputError(f"--timeout {timeout:g} is out of range: give 0.1 to 3600")
    if is_detector(bundle) and not is_bundle(bundle):
        raise InputError(f"{bundle} is a detector, and novelette serve needs a bundle: make one with novelette export {bundle} -o BUNDLE")
    if is_classifier(bundle):
        raise InputError(f"{bundle} is a classifier, and novelette serve needs a bundle: make one with novelette export {bundle} -o BUNDLE")
    token = server.read_token(token_file)
    detector = runtime.load(bundle, threads=1)
    limits = Limits(max_body * MEGA, max_pixels * MEGA, max_pictures, queue, timeout)
    app = create_app(detector, limits=limits, token=token, threads=threads)
    with server.opened(host, port) as listening:
        if token is None and not ip_address(listening.getsockname()[0]).is_loopback:
            say("anyone who can reach this address can use the server: to require a token, give --token-file or NOVELETTE_TOKEN")
        address = server.address_of(listening)
        server.run(app, limits, listening, lambda: print(f"{bundle}: serving at {address}; Ctrl-C stops", flush=True))
    print("stopped")
    return 0
