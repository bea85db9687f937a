"""The view that text is appended to: what it lets go of, and where one reads meanwhile."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.content import Content

from app.widgets.stream_view import StreamView


class Alone(App[None]):
    def compose(self) -> ComposeResult:
        view = StreamView(id="view")
        view.styles.height = "1fr"
        yield view


def in_sight(view: StreamView) -> list[str]:
    return [view.render_line(y).text.rstrip() for y in range(view.size.height)]


async def test_what_is_let_go_of_leaves_what_is_in_sight_in_its_place() -> None:
    async with Alone().run_test(size=(20, 10)) as pilot:
        view = pilot.app.query_one(StreamView)
        view.add(Content(f"line {number:04d}, which takes two rows") for number in range(100))
        await pilot.pause()
        view.scroll_to(y=150, animate=False)
        await pilot.pause()
        before = in_sight(view)
        assert before[0] == "line 0075, which"
        view.keep_last(30, Content("… more"))
        await pilot.pause()
        assert in_sight(view) == before
        view.keep_last(5, Content("… more"))
        await pilot.pause()
        assert in_sight(view)[:2] == ["… more", "line 0095, which"]
        view.keep_last(6, Content("… more"))
        await pilot.resize_terminal(60, 10)
        assert in_sight(view)[:2] == ["… more", "line 0095, which takes two rows"]
