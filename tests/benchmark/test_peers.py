"""Each peer by name gives a batch of its own, before and after there is a model; wrong names say which there are."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from activesel.benchmark.dataset import split_by_group
from activesel.benchmark.peers import _MODULES, PEERS, find_chooser
from activesel.benchmark.trial import make_bench, run_trial
from activesel.errors import UsageError
from tests.benchmark.test_curves import SHORT, dataset


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_runs_the_whole_curve(name: str) -> None:
    module, package = _MODULES[name.split(":")[0]]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{package} is not installed: make bench installs it")
    data = dataset()
    bench = make_bench(data, split_by_group(data, 0), SHORT, 0)
    curve = run_trial(bench, find_chooser(name), SHORT)
    assert len(np.unique(curve.rows)) == 18
    assert curve.labels.tolist() == [6, 12, 18]


def test_our_own_by_name() -> None:
    data = dataset()
    bench = make_bench(data, split_by_group(data, 0), SHORT, 0)
    assert len(run_trial(bench, find_chooser("k-center"), SHORT).rows) == 18


@pytest.mark.parametrize(("name", "said"), [("ska:Core", "ska:CoreSet"), ("nobody:x", "mundig:diversity"),
                                            ("defalt", "default")])  # fmt: skip
def test_an_unknown_name_says_which_there_are(name: str, said: str) -> None:
    with pytest.raises(UsageError, match="unknown") as caught:
        find_chooser(name)
    assert said in str(caught.value)


def test_a_library_that_is_absent_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match="scikit-activeml") as caught:
        find_chooser("ska:CoreSet")
    assert "pip install" in str(caught.value)
