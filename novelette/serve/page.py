"""The page at `/`, where a person drops pictures: one file without outside requests, and a policy that lets it make none."""

import base64
import hashlib
import re
from importlib.resources import files
from string import Template

from novelette.heatmap import COLOURS


def _page() -> str:
    text = files("novelette.serve").joinpath("page.html").read_text(encoding="utf-8")
    return Template(text).substitute(colours=", ".join(f"rgb({r:.0f} {g:.0f} {b:.0f})" for r, g, b in COLOURS))


def _policy(page: str) -> str:
    """The Content-Security-Policy under which only the page's own script and style run, and only its own server is asked."""

    def hashes(tag: str) -> str:
        inside = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in inside)

    return (
        f"default-src 'none'; script-src {hashes('script')}; style-src {hashes('style')}; img-src data: blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


PAGE = _page()
POLICY = _policy(PAGE)
