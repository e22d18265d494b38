"""Places in gradio's queue: one address has half of them, however many requests it sends."""

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path

import gradio as gr
import httpx
import pytest
from gradio.routes import App
from starlette.middleware import Middleware

from trainer.limits import Limits
from ui.guard import Guard
from ui.intake import Intake
from ui.joins import Joins, waiting_in

FLOODER, HONEST = "203.0.113.9", "203.0.113.10"


@pytest.fixture
def app(tmp_path: Path) -> App:
    """A page with one event, eight places, and nobody who works the queue off."""

    async def within_a_loop() -> App:  # else gradio opens one for each of its locks
        with gr.Blocks() as demo:
            demo.load(lambda: None)
        demo.queue(max_size=8)
        joins = Joins(partial(waiting_in, demo._queue), places=8)
        guard = Middleware(Guard, intake=Intake(tmp_path, Limits()), joins=joins)
        return App.create_app(demo, app_kwargs={"middleware": [guard]})

    return asyncio.run(within_a_loop())


def join(
    app: App, number: int, address: str, *, event: int = 0, host: str = "lab.example"
) -> list[httpx.Response]:
    """Send so many requests at once from an address."""

    async def all_at_once() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app, client=(address, 5))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            body = {"data": [], "fn_index": event, "session_hash": "a"}
            posts = [client.post("/gradio_api/queue/join", json=body) for _ in range(number)]
            return await asyncio.gather(*posts)

    return asyncio.run(all_at_once())


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def test_one_address_has_half_of_the_places_and_another_the_rest(app: App) -> None:
    flood = join(app, 20, FLOODER)
    assert statuses(flood) == {200: 4, 429: 16}
    assert "4 clicks from your network are already waiting" in flood[-1].json()["detail"]
    assert statuses(join(app, 4, HONEST)) == {200: 4}


def test_a_place_is_free_again_once_its_event_has_left_the_queue(app: App) -> None:
    first = join(app, 4, FLOODER)[0].json()["event_id"]
    assert statuses(join(app, 1, FLOODER)) == {429: 1}
    assert isinstance(app.blocks, gr.Blocks)
    asyncio.run(app.blocks._queue.clean_events(event_id=first))
    assert statuses(join(app, 2, FLOODER)) == {200: 1, 429: 1}


def test_what_gradio_turns_away_holds_no_place(app: App) -> None:
    assert statuses(join(app, 8, FLOODER, event=99)).keys() <= {400, 429}
    assert statuses(join(app, 4, FLOODER)) == {200: 4}


@pytest.mark.parametrize("host", ["localhost:7860", "abc.gradio.live"])
def test_an_address_that_many_may_share_or_that_is_this_machines_has_every_place(
    app: App, host: str
) -> None:
    assert statuses(join(app, 10, "127.0.0.1", host=host)) == {200: 8, 503: 2}


def test_on_a_space_visitors_have_places_of_their_own_behind_the_proxy(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPACE_ID", "me/lab")

    async def one(address: str) -> int:
        transport = httpx.ASGITransport(app=app, client=("10.0.0.1", 5))
        async with httpx.AsyncClient(transport=transport, base_url="http://lab") as client:
            answer = await client.post(
                "/gradio_api/queue/join",
                json={"data": [], "fn_index": 0, "session_hash": address},
                headers={"X-Forwarded-For": f"{address}, 10.0.0.1"},
            )
            return answer.status_code

    assert [asyncio.run(one(FLOODER)) for _ in range(6)] == [200] * 4 + [429] * 2
    assert asyncio.run(one(HONEST)) == 200
