"""A stop that finds a picture which takes too long: its request is told so, and the server ends all the same."""

import threading

import httpx
import pytest
from serve.conftest import PATIENCE, live
from serve.made_requests import GOOD, PNG, assert_refused

from novelette.data.pixels import UnreadablePicture
from novelette.serve import batching, server


@pytest.fixture
def stuck(monkeypatch):
    """Functions that say whether a picture is worked on, and let that end. The server's last seconds are short."""
    begun, go_on = threading.Event(), threading.Event()

    def endless(*_, **__):
        begun.set()
        go_on.wait(3 * PATIENCE)
        raise UnreadablePicture("late")

    monkeypatch.setattr(server, "LAST_SECONDS", 0.1)
    monkeypatch.setattr(batching, "LAST_SECONDS", 0.1)
    monkeypatch.setattr(batching, "decode", endless)
    yield begun, go_on
    go_on.set()


def test_a_stop_cuts_off_what_takes_too_long_with_a_503_and_waits_no_more(detector, stuck, caplog):
    begun, go_on = stuck
    answers = []

    def ask(url):
        answers.append(httpx.post(url, content=GOOD, headers=PNG, timeout=PATIENCE))

    before = set(threading.enumerate())
    with live(detector) as client:
        asking = threading.Thread(target=ask, args=(f"{client.base_url}/v1/score",))
        asking.start()
        assert begun.wait(PATIENCE)
    left = [thread for thread in threading.enumerate() if thread not in before and thread is not asking]
    assert [thread.name for thread in left] == ["score-0"]  # the server has ended, and this one still has its picture
    asking.join(PATIENCE)
    assert_refused(answers[0], 503, "the server stopped")
    assert "Traceback" not in caplog.text
    go_on.set()
    left[0].join(PATIENCE)
    assert not left[0].is_alive()
    assert "could not be scored" not in caplog.text
