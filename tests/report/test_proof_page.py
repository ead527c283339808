"""The page of a proof: what stands on it, that it needs nothing from elsewhere, and that names are escaped."""

from __future__ import annotations

from activesel.report.proof_page import ChangeRow, PrecisionRow, ProofPage, find_span, render_proof

ARMS = ("real images alone", "standard augmentation", "variants")
CHANGES = (
    ChangeRow("crack<b>", ARMS[0], 0.08, 0.02, 0.15, 0.0, ok=True),
    ChangeRow("good", ARMS[0], -0.01, -0.3, 0.02, -0.01, ok=False),
)


def page(**changes: object) -> ProofPage:
    precision = (PrecisionRow("crack<b>", (0.5, 0.52, 0.61), True), PrecisionRow("good", (0.9, 0.9, 0.89), False))
    values = {
        "label": "crack<b>", "folder": "set", "is_promoted": False, "outcome": "no gain", "reason": "not sure",
        "n_images": 12, "n_groups": 9, "share": 0.25, "shares": (0.1, 0.5), "arms": ARMS, "precision": precision,
        "changes": CHANGES, "refused": (), "accepted": None, "pictures": (b"\xff\xd8\xff\xe0 strip",),
        "notes": ("told",),
    }  # fmt: skip
    return ProofPage(**{**values, **changes})  # type: ignore[arg-type]


def test_it_says_what_was_found() -> None:
    text = render_proof(page())
    assert "<b>not promoted</b>" in text
    assert "there is no weights.csv" in text
    assert "+0.020 to +0.150" in text
    assert text.count('class="least"') == 1, "other classes may fall a little"
    assert "0.610" in text
    assert "crack&lt;b&gt;" in text
    assert "crack<b>" not in text
    assert "data:image/jpeg;base64," in text
    assert "<script" not in text
    promoted = render_proof(page(is_promoted=True, outcome="promoted"))
    assert "<b>promoted</b>" in promoted
    assert "weights.csv" not in promoted


def test_too_few_images_leave_a_page_without_figures() -> None:
    text = render_proof(page(precision=(), changes=(), shares=(), pictures=()))
    assert "Average precision by class" not in text
    assert "not promoted" in text


def test_siblings_speak_for_a_class_too_rare() -> None:
    text = render_proof(page(changes=(), precision=(), siblings=CHANGES, outcome="promoted by siblings"))
    assert "for its siblings" in text
    assert "loses" in text
    assert "promoted by siblings" in text


def test_what_refuses_the_set_stands_on_it() -> None:
    assert "refuse it" in render_proof(page(refused=("two-sample: 0.95",)))
    text = render_proof(page(refused=("two-sample: 0.95",), accepted="we looked"))
    assert "let pass all the same" in text
    assert "we looked" in text


def test_every_interval_fits_on_the_axis() -> None:
    assert find_span(CHANGES) > 0.3
    assert find_span(()) == 0.05
