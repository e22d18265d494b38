"""The door: who may ask, under which name, and which of gradio's routes are open."""

import json

import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from asgi import ask
from trainer.limits import Limits
from ui.guard import Guard
from ui.intake import Intake
from ui.joins import Joins
from ui.origin import LOOPBACK_NAMES, SHARE_NAMES, answered_names, is_local, same_origin
from ui.temp import temp_root

LOCAL = {"Host": "127.0.0.1:7860"}
JOIN = "/gradio_api/queue/join"


async def reached(_: object) -> PlainTextResponse:
    return PlainTextResponse("reached")


EVERYTHING = Router([Route("/{path:path}", reached, methods=["GET", "POST", "PUT", "DELETE"])])


def guard(names: tuple[str, ...] | None = None) -> Guard:
    return guarding(EVERYTHING, names)


def guarding(app: Router, names: tuple[str, ...] | None = None) -> Guard:
    intake, joins = Intake(temp_root(), Limits()), Joins(list, places=64)
    return Guard(app, intake=intake, joins=joins, names=names)


def post(headers: dict[str, str], names: tuple[str, ...] | None = None) -> int:
    return ask(guard(names), JOIN, method="POST", headers=headers).status


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://127.0.0.1:7861",
        "http://127.0.0.1",
        "http://127.0.0.1:7860.evil.example",
        "http://evil.example@127.0.0.1:7861",
        "http://localhost:7860",
        "null",
        "",
        "127.0.0.1:7860",
        "file://",
    ],
)
def test_another_websites_post_is_refused_in_words(origin: str) -> None:
    answer = ask(guard(), JOIN, method="POST", headers={**LOCAL, "Origin": origin})
    assert answer.status == 403
    assert "another website" in json.loads(answer.body)["detail"]


def test_our_own_pages_post_is_carried_on() -> None:
    assert post({**LOCAL, "Origin": "http://127.0.0.1:7860"}) == 200
    assert post({"Host": "Lab.example", "Origin": "https://lab.example:443"}) == 200
    assert post({"Host": "abc.gradio.live", "Origin": "https://abc.gradio.live"}) == 200


def test_a_program_without_an_origin_may_post_but_a_cross_site_fetch_may_not() -> None:
    assert post(LOCAL) == 200
    assert post({**LOCAL, "Sec-Fetch-Site": "cross-site"}) == 403
    assert post({**LOCAL, "Sec-Fetch-Site": "same-origin"}) == 200


async def broken(_: object) -> PlainTextResponse:
    raise KeyError("no such event")


def test_what_gradio_stumbles_over_is_answered_in_words() -> None:
    app = Router([Route(JOIN, broken, methods=["POST"])])
    answer = ask(guarding(app), JOIN, method="POST", headers=LOCAL, chunks=[b"{}"])
    assert answer.status == 400
    assert "could not make sense" in json.loads(answer.body)["error"]
    assert "KeyError" not in answer.body.decode()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_every_method_that_changes_something_is_looked_at(method: str) -> None:
    foreign = {**LOCAL, "Origin": "https://evil.example"}
    assert ask(guard(), JOIN, method=method, headers=foreign).status == 403
    assert ask(guard(), JOIN, method="GET", headers=foreign).status == 200


def test_a_space_and_a_named_proxy_are_known_by_their_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inside = {"Host": "10.0.0.7:7860", "Origin": "https://me-lab.hf.space"}
    assert post(inside) == 403
    monkeypatch.setenv("SPACE_HOST", "me-lab.hf.space")
    assert post(inside) == 200
    monkeypatch.setenv("LRLAB_HOSTS", "lab.school.example, other.example")
    assert post({"Host": "10.0.0.7:7860", "Origin": "https://other.example"}) == 200


def test_a_rebound_name_is_refused_where_the_app_is_only_for_this_machine() -> None:
    names = answered_names("127.0.0.1", shared=False)
    assert names == LOOPBACK_NAMES
    assert post({"Host": "rebound.example:7860"}, names) == 403
    assert post({"Host": "127.0.0.1.evil.example"}, names) == 403
    assert post({"Host": ""}, names) == 403
    assert post({"Host": "abc.gradio.live"}, names) == 403
    for host in ("localhost:7860", "127.0.0.1", "[::1]:7860", "LOCALHOST"):
        assert post({"Host": host}, names) == 200


def test_the_names_follow_how_the_app_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = answered_names("localhost", shared=True)
    assert shared == LOOPBACK_NAMES + SHARE_NAMES
    assert post({"Host": "abc.gradio.live"}, shared) == 200
    assert answered_names("0.0.0.0", shared=False) is None
    monkeypatch.setenv("LRLAB_HOSTS", "lab.example:8443")
    assert answered_names("127.0.0.1", shared=False) == (*LOOPBACK_NAMES, "lab.example")
    monkeypatch.setenv("SPACE_ID", "me/lab")
    assert answered_names("127.0.0.1", shared=False) is None


def test_two_hosts_in_one_request_are_refused() -> None:
    headers = [("Host", "127.0.0.1:7860"), ("Host", "evil.example")]
    assert ask(guard(), "/", headers=headers).status == 400


@pytest.mark.parametrize(
    "path",
    [
        "/file=http://169.254.169.254/latest",
        "/gradio_api/file=https://evil.example/x.png",
        "/gradio_api/file=HTTP://evil.example",
        "/gradio_api/file/http://evil.example",
        "//gradio_api//file=ftp://evil.example/x",
        "/proxy=https://evil.example",
        "/gradio_api/proxy=https://x.hf.space/file",
        "/process_recording",
        "/gradio_api/process_recording",
        "/gradio_api/vibe-code/",
        "/gradio_api/undo-vibe-edit",
        "/gradio_api/run-history/records",
        "/gradio_api/runs",
        "/gradio_api/dev/reload",
        "/monitoring/summary",
        "/gradio_api/deep_link",
        "/gradio_api/api/predict",
        "/api/predict/",
        "/gradio_api/call/predict",
        "/gradio_api/call/v2/upload",
        "/gradio_api/component_server/",
    ],
)
def test_routes_without_use_are_closed(path: str) -> None:
    assert ask(guard(), path, headers=LOCAL).status == 404


@pytest.mark.parametrize(
    "path",
    ["/", "/config", "/gradio_api/file=/tmp/lrlab/httpx.png", "/gradio_api/run/predict", JOIN],
)
def test_the_pages_own_routes_are_open(path: str) -> None:
    assert ask(guard(), path, headers=LOCAL).status == 200


def test_a_route_below_the_path_of_a_proxy_is_the_same_route() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await guard()({**scope, "root_path": "/lab"}, receive, send)

    assert ask(app, "/lab/gradio_api/proxy=https://evil.example", headers=LOCAL).status == 404
    assert ask(app, "/lab/config", headers=LOCAL).status == 200


def test_every_answer_says_who_may_frame_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("/", "/proxy=x"):
        headers = ask(guard(), path, headers=LOCAL).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["content-security-policy"] == "frame-ancestors 'self'"
    monkeypatch.setenv("SPACE_ID", "me/lab")
    headers = ask(guard(), "/", headers=LOCAL).headers
    assert "https://huggingface.co" in headers["content-security-policy"]


def test_same_origin_wants_the_origin_to_be_there() -> None:
    own = {"host": "localhost:7860", "origin": "http://localhost:7860"}
    assert same_origin(own)
    assert same_origin({"Host": "localhost:7860", "Origin": "http://LOCALHOST:7860"})
    assert not same_origin({"host": "localhost:7860"})
    assert not same_origin({**own, "origin": "null"})
    assert not same_origin({**own, "origin": "http://localhost:7861"})
    assert not same_origin({**own, "sec-fetch-site": "cross-site"})
    assert not same_origin({"origin": "http://"})


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1:7860", "[::1]:7860", "127.0.0.1"])
def test_a_visitor_at_this_machine_is_local(host: str) -> None:
    assert is_local({"host": host}, "127.0.0.1")
    assert is_local({"Host": host}, "::1")


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ({"host": "abc.gradio.live"}, "127.0.0.1"),
        ({"host": "me-lab.hf.space"}, "127.0.0.1"),
        ({"host": "localhost:7860"}, "192.168.1.20"),
        ({"host": "localhost:7860"}, None),
        ({"host": "localhost:7860", "X-Forwarded-For": "1.2.3.4"}, "127.0.0.1"),
        ({"host": "localhost:7860", "x-forwarded-proto": "https"}, "127.0.0.1"),
        ({"host": "localhost:7860", "Forwarded": "for=1.2.3.4"}, "127.0.0.1"),
        ({"host": "localhost:7860", "Via": "1.1 proxy"}, "127.0.0.1"),
        ({"host": "localhost.evil.example"}, "127.0.0.1"),
        ({"host": "evil.example", "origin": "http://localhost"}, "127.0.0.1"),
        ({"host": "localhost:7860", "origin": "https://lab.example"}, "127.0.0.1"),
        ({"host": "localhost:7860", "origin": "null"}, "127.0.0.1"),
        ({}, "127.0.0.1"),
    ],
)
def test_a_share_link_a_proxy_or_another_machine_is_not_local(
    headers: dict[str, str], client: str | None
) -> None:
    assert not is_local(headers, client)


def test_nobody_is_local_where_the_owner_named_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy may rewrite `Host` to the address it forwards to, and add no header of its own."""
    monkeypatch.setenv("LRLAB_HOSTS", "lab.example")
    rewritten = {"host": "127.0.0.1:7860", "origin": "https://lab.example"}
    assert same_origin(rewritten)
    assert not is_local(rewritten, "127.0.0.1")
    assert not is_local({"host": "127.0.0.1:7860"}, "127.0.0.1")
