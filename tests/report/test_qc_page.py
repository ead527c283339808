"""The page of `activesel qc`: its verdicts, and names of strangers on it."""

from __future__ import annotations

import numpy as np
import pytest

from activesel.agreement import measure_agreement
from activesel.qualitygate import GoldScore
from activesel.report.qc_page import AgreementRow, QcPage, QueueCard, Tile, render_qc

EVIL = "<img src=x onerror=alert(1)>"


def page(verdict: str = "pass") -> QcPage:
    agreement = measure_agreement(np.array([[90, 2], [1, 7]]), np.random.default_rng(0), negative=0)
    rows = (AgreementRow("overall", "", agreement, True), AgreementRow("class", EVIL, agreement, True))
    return QcPage("job", verdict, (EVIL,), (EVIL,), (Tile("Kappa", "0.8", EVIL),), 0.9, 0.9, rows, ("good", EVIL),
                  ((90, 2), (1, 7)), EVIL, "bob", (GoldScore(EVIL, 10, 9, 0.9, 0.6, 0.98),),
                  (QueueCard(1, "disagree", (EVIL,), EVIL, None),), 1)  # fmt: skip


@pytest.mark.parametrize(("verdict", "said"), [("pass", "pass"), ("fail", "fail"), ("inconclusive", "not known yet")])
def test_every_verdict_has_its_word(verdict: str, said: str) -> None:
    assert f'<div class="panel verdict {verdict}"><b>{said}</b>' in render_qc(page(verdict))


def test_names_of_strangers_are_escaped_and_nothing_is_fetched() -> None:
    text = render_qc(page())
    assert EVIL not in text
    assert "&lt;img src=x" in text
    assert "http" not in text.replace("http-equiv", "")
    assert "<script" not in text
