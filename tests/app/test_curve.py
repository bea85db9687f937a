"""Curves in Braille: what is drawn where, what is left out, and that no text or number breaks it."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult

from app.widgets.braille import Dots
from app.widgets.curve import Curve, Series, plotted
from engine.tracker.run_records import Bucket
from tests.app.hostile import HOSTILE
from tests.app.test_probe import shown

LETTERS = "ABCDEF"


def points(values: list[float | None], every: int = 1) -> list[Bucket]:
    return [Bucket(index * every, value, value, value, 1) for index, value in enumerate(values)]


def drawn(*series: Series, width: int = 60, height: int = 14, logarithmic: bool = False) -> list[str]:
    lines = plotted(series, width, height, logarithmic=logarithmic)
    assert lines is not None
    assert len(lines) == height
    assert all(line.cell_length <= width for line in lines)
    return [line.plain for line in lines]


class CurveApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.curve = Curve(id="curve", empty="No points yet.")

    def compose(self) -> ComposeResult:
        yield self.curve


def test_dots_become_braille() -> None:
    dots = Dots(2, 1)
    dots.line([(0, 0), (3, 3)])
    dots.dot(99, 99)
    assert dots.letter(0, 0) + dots.letter(1, 0) == "⠑⢄"
    assert Dots(1, 1).letter(0, 0) == ""


def test_a_rising_curve_goes_from_below_left_to_above_right_between_round_numbers() -> None:
    lines = drawn(Series(points([float(value) for value in range(101)], 10)))
    assert lines[0].lstrip().startswith("100┤")
    assert lines[-3].lstrip().startswith("0┤")
    assert lines[0].rstrip()[-1] in "⠁⠈⠉⠊⠑⠋⠙⡠⠔⠒⠤⠚⠓⣀"
    columns = [line.split("┤")[-1].split("│")[-1] for line in lines[:-2]]
    starts = [len(column) - len(column.lstrip()) for column in columns if column.strip()]
    assert starts == sorted(starts, reverse=True)
    assert lines[-1].split()[0] == "0"
    assert "1000" in lines[-1]


def test_what_is_no_number_is_a_gap() -> None:
    values: list[float | None] = [1.0] * 40 + [None] * 20 + [math.inf] * 5 + [1.0] * 35
    row = max(drawn(Series(points(values))), key=lambda line: sum("⠀" < letter < "⣿" for letter in line))
    dots = [index for index, letter in enumerate(row) if "⠀" < letter < "⣿"]
    assert max(after - before for before, after in pairwise(dots)) > 10


def test_several_curves_bear_their_letters() -> None:
    series = [Series(points([float(k + index) for index in range(50)]), LETTERS[k]) for k in range(6)]
    text = "\n".join(drawn(*series, width=100, height=20))
    assert all(text.count(letter) == 2 for letter in LETTERS)
    same = [Series(points([1.0] * 50), LETTERS[k]) for k in range(6)]
    text = "\n".join(drawn(*same, width=100, height=20))
    assert all(text.count(letter) == 2 for letter in LETTERS)


def test_a_logarithmic_scale_leaves_out_what_is_not_above_zero() -> None:
    lines = drawn(Series(points([1000.0, 10.0, 0.0, -5.0, 0.1])), logarithmic=True)
    assert lines[0].lstrip().startswith("1000┤")
    assert "0.1┤" in "\n".join(lines)
    assert plotted([Series(points([0.0, -1.0]))], 60, 14, logarithmic=True) is None


@pytest.mark.parametrize(
    "values",
    [
        [5.0],
        [0.0, 0.0],
        [1e308, -1e308],
        [math.inf, 1.0, -math.inf],
        [1e-320, 2e-320],
        [-1e-9, 1e-9],
        [1e15, 1e15 + 1],
    ],
    ids=str,
)
@pytest.mark.parametrize("logarithmic", [False, True])
@pytest.mark.parametrize("size", [(20, 5), (60, 14), (200, 50)])
def test_any_numbers_can_be_drawn(values: list[float], logarithmic: bool, size: tuple[int, int]) -> None:
    plotted([Series(points(list(values)))], *size, logarithmic=logarithmic)
    plotted([Series(points(list(values), 10**15))], *size, logarithmic=logarithmic)


async def test_the_widget_says_what_it_shows_and_redraws_only_what_has_changed() -> None:
    app = CurveApp()
    async with app.run_test(size=(60, 16)) as pilot:
        await pilot.pause()
        assert "No points yet." in shown(app.screen)
        buckets = points([3.0, 2.0, None, 0.713])
        app.curve.show([Series(buckets)], title="loss")
        await pilot.pause()
        assert "loss  0.713" in shown(app.screen)
        before = app.curve._rows
        app.curve.show([Series(list(buckets))], title="loss")
        await pilot.pause()
        assert app.curve._rows is before
        app.curve.logarithmic = True
        await pilot.pause()
        assert "logarithmic" in shown(app.screen)
        app.curve.show([Series(points([None, None]))], title="loss")
        app.curve.logarithmic = False
        await pilot.pause()
        assert "None of the points is a number." in shown(app.screen)
        await pilot.resize_terminal(8, 3)
        await pilot.pause()
        assert "loss" in shown(app.screen)


async def test_a_last_point_that_is_no_number_is_not_passed_over() -> None:
    app = CurveApp()
    async with app.run_test(size=(60, 16)) as pilot:
        app.curve.show([Series(points([3.0, 2.0, None]))], title="loss")
        await pilot.pause()
        assert "loss  –" in shown(app.screen)


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_metric_may_have_any_name(name: str) -> None:
    app = CurveApp()
    async with app.run_test(size=(60, 16)) as pilot:
        app.curve.show([Series(points([1.0, 2.0]))], title=name)
        await pilot.pause()
        text = shown(app.screen)
        assert text.replace("\n", "").isprintable()
        assert all(cell_len(line) <= 60 for line in text.split("\n"))
