"""Rules: loaded in their order, applied one image at a time, their faults told by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from activesel.errors import DataError
from activesel.weak import ABSTAIN, Item, LabellingFunction, apply_rules, labelling_function, load_rules
from tests.pipelines.workspaces import write_image

RULES = """
from activesel.weak import ABSTAIN, labelling_function

def helper(item):
    return item.number("temperature") > 80

@labelling_function
def hot(item):
    return "burn" if helper(item) else ABSTAIN

@labelling_function
def dark(item):
    return "burn" if item.pixels.mean() < 50 else "good"

@labelling_function
def model(item):
    return "good" if item.predictions.get("good", 0) > 0.9 else ABSTAIN
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rules.py"
    path.write_text(text, encoding="utf8")
    return path


def test_rules_by_hand(tmp_path: Path) -> None:
    rules = load_rules(write(tmp_path, RULES))
    assert [one.name for one in rules] == ["hot", "dark", "model"]
    path = write_image(tmp_path / "a.png", 1)  # noise around 127
    items = [Item("0", path, {"temperature": "90"}, {"good": 0.95}), Item("1", path, {"temperature": "hot"})]
    assert apply_rules(rules, items, ("burn", "good")).tolist() == [[0, 1, 1], [-1, 1, -1]]
    assert "pixels" not in vars(items[0]), "no picture is kept"


@pytest.mark.parametrize(
    ("text", "what"),
    [("x = 1", "no rule"), ("import nothing_of_the_kind", "cannot be loaded"), ("def", "cannot be loaded"),
     (RULES + "first = hot", "two rules of one name")],
)  # fmt: skip
def test_files_that_hold_no_rules(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(DataError, match=what):
        load_rules(write(tmp_path, text))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file of rules"):
        load_rules(tmp_path / "rules.py")


def test_faults_name_the_rule_and_the_image() -> None:
    item = Item("0", Path("/photos/a.png"), {})

    @labelling_function
    def broken(item: Item) -> str | None:
        return str(1 / len(item.meta))

    with pytest.raises(DataError, match=r"/photos/a\.png: the rule broken failed; found ZeroDivisionError"):
        apply_rules([broken], [item], ("a", "b"))
    with pytest.raises(DataError, match="the rule odd names no class; found 'c'"):
        apply_rules([LabellingFunction("odd", lambda _: "c")], [item], ("a", "b"))
    assert apply_rules([LabellingFunction("none", lambda _: ABSTAIN)], [item], ("a", "b")).tolist() == [[-1]]
