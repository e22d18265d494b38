"""What a request may bring: sizes, parts, pace, a visitor's budget, the disk's reserve."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.context import LocalContext
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, Router
from starlette.types import Message

from asgi import Answer, ask
from trainer.limits import Limits
from ui import body as body_module
from ui.body import Body, BodyRefused
from ui.context import sender
from ui.guard import Guard
from ui.intake import Budget, Intake, client_of, reserve
from ui.joins import Joins
from ui.origin import on_space

JOIN, UPLOAD = "/gradio_api/queue/join", "/gradio_api/upload"
FORM = {"Host": "lab.example", "Content-Type": "multipart/form-data; boundary=xyz"}


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{len(await request.body())} bytes")


async def swallow(request: Request) -> PlainTextResponse:
    """As gradio does: whatever goes wrong with the body becomes an answer of its own."""
    try:
        return PlainTextResponse(f"{len(await request.body())} bytes")
    except Exception:  # noqa: BLE001 that is what is tried here
        return PlainTextResponse("gradio's words", status_code=400)


def guarded(tmp_path: Path, budget: Budget | None = None, **limits: Any) -> Guard:
    app = Router(
        [Route(UPLOAD, swallow, methods=["POST"]), Route("/{path:path}", echo, methods=["POST"])]
    )
    intake = Intake(tmp_path, Limits(**limits), budget)
    return Guard(app, intake=intake, joins=Joins(list, places=64))


def post(guard: Guard, path: str, chunks: list[bytes], **headers: str) -> Answer:
    return ask(
        guard, path, method="POST", chunks=chunks, headers=FORM | headers, client="203.0.113.9"
    )


def test_a_request_of_usual_size_arrives_whole(tmp_path: Path) -> None:
    guard = guarded(tmp_path)
    assert post(guard, JOIN, [b'{"data":', b" [1, 2]}"]).body == b"16 bytes"
    assert post(guard, UPLOAD, [b"x" * 1000] * 50).body == b"50000 bytes"


def test_a_request_over_its_limit_is_refused_by_its_length_and_by_counting(tmp_path: Path) -> None:
    guard = guarded(tmp_path, max_request_bytes=1000)
    assert post(guard, JOIN, [b"x"], **{"Content-Length": "1001"}).status == 413
    answer = post(guard, JOIN, [b"x" * 600] * 2)
    assert answer.status == 413
    assert json.loads(answer.body) == {
        "error": "The request is too large.",
        "detail": "The request is too large.",
    }


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/run/upload",
        "/gradio_api/run/upload/",
        "/gradio_api/queue/join/upload",
        "/gradio_api/upload/",
        "/upload",
    ],
)
def test_no_event_passes_for_an_upload_by_its_name(tmp_path: Path, path: str) -> None:
    guard = guarded(tmp_path, max_request_bytes=1000)
    assert post(guard, path, [b"{}"]).status == 200
    assert post(guard, path, [b"x" * 600] * 2).status == 413
    assert post(guard, path, [b'{"data": [NaN]}']).status == 400
    assert post(guard, path, [b'{"data": [{"path": "https://evil.example"}]}']).status == 400


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; xboundary=xyz",
        'multipart/form-data; boundary=""',
        "multipart/mixed; boundary=xyz",
    ],
)
def test_an_upload_whose_parts_cannot_be_counted_is_refused(tmp_path: Path, kind: str) -> None:
    answer = post(guarded(tmp_path), UPLOAD, [b"x"], **{"Content-Type": kind})
    assert answer.status == 400
    assert b"multipart/form-data" in answer.body


def test_an_upload_over_its_limit_is_refused_by_its_length_and_by_counting(tmp_path: Path) -> None:
    guard = guarded(tmp_path, max_archive_bytes=2_000_000)
    assert post(guard, UPLOAD, [b"x"], **{"Content-Length": "3000001"}).status == 413
    answer = post(guard, UPLOAD, [b"x" * 500_000] * 7)
    assert answer.status == 413
    assert answer.body == b"The upload is too large; the limit is 2 MB."


def test_a_length_that_is_no_number_does_not_get_past_the_count(tmp_path: Path) -> None:
    guard = guarded(tmp_path, max_request_bytes=1000)
    for length in ("-1", "many", "9" * 30):
        assert post(guard, JOIN, [b"x" * 600] * 2, **{"Content-Length": length}).status == 413


@pytest.mark.parametrize("size", [7, 64, 4096])
@pytest.mark.parametrize(
    "options",
    [
        "boundary=xyz",
        'boundary="xyz"',
        " boundary = xyz",
        "BOUNDARY=xyz",
        "xboundary=zzz; boundary=xyz",
        'name="; boundary=zzz"; boundary=xyz',
        "boundary=zzz; boundary=xyz",
    ],
)
def test_an_upload_in_too_many_parts_is_refused(tmp_path: Path, size: int, options: str) -> None:
    kind = {"Content-Type": f"multipart/form-data; {options}"}
    part = b'--xyz\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n1\r\n'
    guard = guarded(tmp_path, max_predict_images=20)

    def send(num_parts: int) -> Answer:
        whole = part * num_parts + b"--xyz--\r\n"
        return post(
            guard, UPLOAD, [whole[at : at + size] for at in range(0, len(whole), size)], **kind
        )

    assert send(20).status == 200
    refused = send(21)
    assert refused.status == 413
    assert b"More than 20 files" in refused.body


def test_a_visitor_who_sends_too_much_waits_and_others_do_not(tmp_path: Path) -> None:
    now = [1000.0]
    guard = guarded(tmp_path, Budget(lambda: now[0]), max_client_bytes=1000)
    assert post(guard, UPLOAD, [b"x" * 1500]).status == 200
    answer = post(guard, UPLOAD, [b"x"])
    assert answer.status == 429
    assert b"within ten minutes" in answer.body
    other = ask(guard, UPLOAD, method="POST", headers=FORM, chunks=[b"x"], client="203.0.113.10")
    assert other.status == 200
    now[0] += 300
    assert post(guard, UPLOAD, [b"x"]).status == 200


def test_uploads_that_began_together_stop_at_budget_and_archive(tmp_path: Path) -> None:
    guard = guarded(tmp_path, max_client_bytes=1000, max_archive_bytes=2000)
    assert post(guard, UPLOAD, [b"x" * 1000] * 4).status == 429


def test_the_visitor_at_this_machine_has_no_budget(tmp_path: Path) -> None:
    guard = guarded(tmp_path, max_client_bytes=10)
    local = FORM | {"Host": "localhost:7860"}
    for _ in range(3):
        assert ask(guard, UPLOAD, method="POST", headers=local, chunks=[b"x" * 99]).status == 200


def test_on_a_space_visitors_are_told_apart_behind_the_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from starlette.datastructures import Headers

    headers = Headers({"host": "me-lab.hf.space", "x-forwarded-for": "198.51.100.7, 10.0.0.1"})
    scope = {"type": "http", "client": ("10.0.0.1", 1)}
    assert client_of(scope, headers) == "10.0.0.1"
    monkeypatch.setenv("SPACE_ID", "me/lab")
    assert client_of(scope, headers) == "198.51.100.7"


def test_a_million_senders_do_not_fill_the_memory() -> None:
    budget = Budget()
    for number in range(20_000):
        budget.add(f"client {number}", 1)
    assert len(budget._sent) == 10_000


def test_a_full_disk_is_said_with_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.disk_usage(tmp_path)
    guard = guarded(tmp_path, min_upload_free_bytes=2_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: real._replace(free=1_500_000))
    answer = post(guard, UPLOAD, [b"x"])
    assert answer.status == 507
    assert b"0.0 GB are free" in answer.body
    assert post(guard, JOIN, [b"{}"]).status == 200  # what is no upload goes on
    monkeypatch.setattr(shutil, "disk_usage", lambda _: real._replace(free=5_000_000))
    assert post(guard, UPLOAD, [b"x"]).status == 200
    assert post(guard, UPLOAD, [b"x"], **{"Content-Length": "3500000"}).status == 507


def test_a_nearly_full_disk_of_ones_own_is_no_reason_to_refuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not on_space()
    assert reserve(1_000_000_000_000, Limits()) == 2_000_000_000
    assert reserve(5_000_000_000, Limits()) == 1_000_000_000
    monkeypatch.setenv("SPACE_ID", "me/lab")
    assert reserve(50_000_000_000, Limits()) == 10_000_000_000


def meter(messages: list[Message], **options: Any) -> Body:
    left: Iterator[Message] = iter(messages)

    async def receive() -> Message:
        message = next(left, None)
        return message or await asyncio.get_running_loop().create_future()

    return Body(receive, max_bytes=1000, too_large="too large", **options)


def test_a_body_that_falls_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "IDLE_SECONDS", 0.05)
    silent = meter([{"type": "http.request", "body": b"x", "more_body": True}])
    with pytest.raises(BodyRefused, match="too slowly") as caught:
        asyncio.run(silent.whole())
    assert caught.value.status == 408


def test_a_body_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "GRACE_SECONDS", -10.0)
    trickle = meter([{"type": "http.request", "body": b"x", "more_body": True}] * 5)
    with pytest.raises(BodyRefused, match="too slowly"):
        asyncio.run(trickle.whole())


def test_a_body_that_breaks_off_is_an_error_that_gradio_cleans_up_after() -> None:
    broken = meter([{"type": "http.request", "body": b"x", "more_body": True}])
    broken._receive = meter([{"type": "http.disconnect"}])._receive
    with pytest.raises(BodyRefused, match="broke off"):
        asyncio.run(broken.whole())
    assert broken.refusal is not None


@pytest.mark.parametrize(
    "body",
    [
        '{"data": [' + "[" * 1000 + "]" * 1000 + "]}",
        '{"data": [' + '{"a":' * 100 + "1" + "}" * 100 + "]}",
        "[" * 200_000,
    ],
)
def test_a_deeply_nested_request_is_refused(tmp_path: Path, body: str) -> None:
    assert post(guarded(tmp_path), JOIN, [body.encode()]).status == 400


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9223372036854775808"])
def test_a_number_that_is_none_is_refused(tmp_path: Path, number: str) -> None:
    body = f'{{"data": [[{number}]]}}'.encode()
    assert post(guarded(tmp_path), JOIN, [body]).status == 400
    assert (
        post(guarded(tmp_path), JOIN, [b'{"data": [1e308, -0.0, 9223372036854775807]}']).status
        == 200
    )


def test_half_a_character_is_refused_and_a_whole_one_is_not(tmp_path: Path) -> None:
    guard = guarded(tmp_path)
    assert post(guard, JOIN, [b'{"data": ["\\uD83D"]}']).status == 400
    assert post(guard, JOIN, [b'{"data": ["\\uD83D\\uDE00"]}']).status == 200


@pytest.mark.parametrize(
    "path", ["http://169.254.169.254/x", "HTTPS://evil.example", " //evil.example", "hf://a/b"]
)
def test_a_file_that_lies_elsewhere_is_not_fetched(tmp_path: Path, path: str) -> None:
    body = json.dumps({"data": [{"files": [{"path": path}]}]})
    for sent in (body, body.replace("h", "\\u0068")):
        answer = post(guarded(tmp_path), JOIN, [sent.encode()])
        assert (answer.status, b"does not fetch it" in answer.body) == (400, True)
    kept = json.dumps({"data": [{"path": "/tmp/x/cat.png"}, "http://words.example"]})
    assert post(guarded(tmp_path), JOIN, [kept.encode()]).status == 200


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b"host", b"lab.example")], "203.0.113.9"),
        ([(b"host", b"lab.example")], "2001:db8::7"),
        ([(b"host", b"abc.gradio.live")], ""),  # a share link ends in a tunnel on this machine
        ([(b"host", b"localhost:7860")], ""),
    ],
)
def test_an_event_knows_the_address_that_it_came_from(
    headers: list[tuple[bytes, bytes]], expected: str
) -> None:
    client = (expected or "127.0.0.1", 5)
    scope = {"type": "http", "client": client, "headers": headers}
    assert sender() == ""  # outside of any event
    token = LocalContext.request.set(gr.Request(Request(scope)))
    try:
        assert sender() == expected
    finally:
        LocalContext.request.reset(token)
