"""The Hub emulator's faults: played as written, to the requests that are meant, and kept."""

import json
import time
from http.client import IncompleteRead
from urllib.error import URLError

import pytest

from hub_api_client import ADA, get, lines, post, text_file
from hub_faults import Fault, Faults, rate_limit


def test_a_rate_limit_is_said_as_the_hub_says_it(hub, client):
    hub.model("ada/limited", {"a.txt": "a"})
    hub.faults = Faults(script=[Fault(status=429, headers=rate_limit(55))])
    refused = client.ask("plain", "model_info", "ada/limited")
    assert refused["status"] == 429
    assert "'api' rate limit" in refused["message"] and "after 55 seconds" in refused["message"]
    assert "0/500 requests remaining in current 300s" in refused["message"]
    assert client.ask("plain", "model_info", "ada/limited")["id"] == "ada/limited"


def test_a_script_counts_and_chooses_its_requests(hub):
    hub.model("ada/script", {"a.txt": "a"})
    path = "/ada/script/resolve/main/a.txt"
    hub.faults = Faults(
        script=[
            Fault(status=503, only="a.txt", method="GET", skip=1, times=2, body="soon"),
            Fault(status=500, only="b.txt"),
        ]
    )
    assert [get(hub, path)[0] for _ in range(5)] == [200, 503, 503, 200, 200]


def test_a_reset_connection_is_reset_and_nothing_is_done(hub, capfd):
    repo = hub.model("ada/reset", {"a.txt": "a"})
    body = lines(text_file("a.txt", b"YWFh" * 500_000))
    hub.faults = Faults(script=[Fault(kind="reset", only="/commit/", after_bytes=100_000)])
    before = len(hub.requests)
    with pytest.raises((ConnectionResetError, BrokenPipeError, URLError)):
        post(hub, "/api/models/ada/reset/commit/main", body)
    assert len(repo.commits) == 1
    (broken,) = hub.requests[before:]
    assert broken.status == 0 and 100_000 <= len(broken.body) < len(body)
    assert post(hub, "/api/models/ada/reset/commit/main", body)[0] == 200
    assert capfd.readouterr().err == ""


def test_an_answer_is_lost_after_the_commit(hub, capfd):
    repo = hub.model("ada/lost", {"a.txt": "a"})
    hub.faults = Faults(script=[Fault(kind="lost", only="/commit/")])
    with pytest.raises(ConnectionResetError):
        post(hub, "/api/models/ada/lost/commit/main", lines(text_file("a.txt")))
    assert len(repo.commits) == 2
    assert hub.requests[-1].status == 0
    assert capfd.readouterr().err == ""


def test_a_download_breaks_off_or_comes_wrong(hub, capfd):
    hub.model("ada/broken", {"a.txt": "abcd"})
    path = "/ada/broken/resolve/main/a.txt"
    hub.faults = Faults(script=[Fault(kind="truncated"), Fault(kind="wrong")])
    with pytest.raises(IncompleteRead) as half:
        get(hub, path)
    assert half.value.partial == b"ab"
    assert get(hub, path) == (200, b"abce")
    assert get(hub, path) == (200, b"abcd")
    assert capfd.readouterr().err == ""


def test_somebody_else_is_quicker(hub):
    repo = hub.model("ada/meanwhile", {"a.txt": "a"})
    body = lines(text_file("a.txt"), parentCommit=repo.refs["main"])
    hub.faults = Faults(
        script=[
            Fault(
                kind="meanwhile",
                only="/commit/",
                act=lambda: repo.commit({"b.txt": "b"}),
                seconds=1,
            )
        ]
    )
    start = time.monotonic()
    assert post(hub, "/api/models/ada/meanwhile/commit/main", body)[0] == 412
    assert time.monotonic() - start >= 1
    assert len(repo.commits) == 2


def test_the_record_keeps_headers_bodies_and_times(hub):
    asked = b'{"content": "x", "repoType": "model"}'
    assert post(hub, "/api/validate-yaml", asked, token="hf_unknown")[0] == 401
    assert post(hub, "/api/validate-yaml", asked)[0] == 200
    seen = hub.requests[-1]
    assert (seen.method, seen.path, seen.status) == ("POST", "/api/validate-yaml", 200)
    assert seen.headers["authorization"] == f"Bearer {ADA}"
    assert json.loads(seen.body)["content"] == "x"
    assert time.monotonic() - seen.at < 5
