"""The page travels compressed, in every way that a browser takes; what else there is, untouched."""

import gzip

import brotli
import pytest
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route, Router

from asgi import ask
from ui.compression import CompressedPage

PAGE = "<p>LR Lab: a chart, and again, ä</p>" * 500


async def page(_: object) -> HTMLResponse:
    return HTMLResponse(PAGE)


async def other(_: object) -> PlainTextResponse:
    return PlainTextResponse(PAGE)


APP = CompressedPage(Router([Route("/", page), Route("/config", page), Route("/file", other)]))


@pytest.mark.parametrize("path", ["/", "/config"])
@pytest.mark.parametrize("accepted", ["gzip, deflate, br, zstd", "gzip, deflate", "identity", ""])
def test_the_page_is_the_same_however_it_travels(path: str, accepted: str) -> None:
    answer = ask(APP, path, headers={"Accept-Encoding": accepted})
    encoding = answer.headers.get("content-encoding")
    assert encoding == ("br" if "br" in accepted else "gzip" if "gzip" in accepted else None)
    unpack = {"br": brotli.decompress, "gzip": gzip.decompress, None: bytes}[encoding]
    assert unpack(answer.body).decode() == PAGE
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert answer.headers["vary"] == "Accept-Encoding"
    assert len(answer.body) < len(PAGE) / 20 or encoding is None


def test_what_is_not_the_page_stays_as_it_is() -> None:
    answer = ask(APP, "/file", headers={"Accept-Encoding": "gzip, br"})
    assert "content-encoding" not in answer.headers
    assert answer.body.decode() == PAGE
