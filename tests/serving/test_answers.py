"""What the server answers: verdicts, batches, arms, shadows, and models that are exchanged under it."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from activesel.errors import DataError
from activesel.lots import Arm, Split
from tests.serving.clients import client, logged
from tests.serving.toys import CLASSES, Toy, challenge, make_workspace, picture, promote

DARK, BRIGHT = picture(20), picture(230)


def test_an_image_gets_probabilities_and_a_verdict(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, "m1")
    with client(workspace, {"m1": Toy()}) as http:
        told = http.post("/v1/predict?lot=L7&station=s1", content=BRIGHT, headers={"x-image-id": "part 9"}).json()
        accepted = http.post("/v1/predict", content=DARK).json()
    assert (told["model_id"], told["arm"], told["image_id"], told["label"]) == ("m1", "champion", "part 9", "crack")
    assert (told["verdict"], told["threshold"]) == ("reject", 0.5)
    assert list(told["probs"]) == list(CLASSES)
    assert sum(told["probs"].values()) == pytest.approx(1, abs=1e-5)
    assert told["score"] == pytest.approx(1 - told["probs"]["good"], abs=1e-5)
    assert accepted["verdict"] == "accept"
    assert accepted["image_id"] == hashlib.sha256(DARK).hexdigest()[:32]
    first, second = logged(workspace)
    assert (first["lot"], first["station"], first["prediction_id"]) == ("L7", "s1", told["prediction_id"])
    assert (first["image_id"], first["given_id"]) == (hashlib.sha256(BRIGHT).hexdigest()[:32], "part 9")
    assert (first["verdict"], first["decision"], first["model_version"]) == ("crack", "reject", "m1")
    assert json.loads(str(first["probs"])) == told["probs"]
    assert second["lot"] is None


def test_without_an_evaluation_there_is_no_verdict(tmp_path: Path) -> None:
    with client(make_workspace(tmp_path, "m1", threshold=None), {"m1": Toy()}) as http:
        told = http.post("/v1/predict", content=BRIGHT).json()
    assert (told["verdict"], told["threshold"]) == (None, None)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP", "TIFF"])
@pytest.mark.parametrize("grey", [False, True])
def test_every_format_is_read(tmp_path: Path, kind: str, grey: bool) -> None:
    with client(make_workspace(tmp_path, "m1"), {"m1": Toy()}) as http:
        told = http.post("/v1/predict", content=picture(230, kind, grey=grey)).json()
    assert told["probs"]["crack"] == pytest.approx(230 / 255 * 0.9, abs=0.01)


def test_several_images_in_one_request(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, "m1")
    with client(workspace, {"m1": Toy()}) as http:
        files = [("image", ("../../etc/passwd", BRIGHT, "image/png", {"X-Image-Id": "a"})), ("image", ("b", DARK)),
                 ("image", ("c", b"no image"))]  # fmt: skip
        answer = http.post("/v1/predict?lot=L1", files=files)
    told = answer.json()["predictions"]
    assert answer.status_code == 200
    assert [one.get("verdict") for one in told] == ["reject", "accept", None]
    assert told[0]["image_id"] == "a"
    assert "not-an-image" in told[2]["error"]
    assert {one["lot"] for one in logged(workspace)} == {"L1"}


def test_requests_that_come_together_are_judged_together(tmp_path: Path) -> None:
    toy = Toy()
    workspace = make_workspace(tmp_path, "m1", overrides=["serving.max_batch=4", "serving.max_wait_ms=200"])
    with client(workspace, {"m1": toy}) as http, ThreadPoolExecutor(8) as pool:
        toy.sizes.clear()  # the warm-up's
        answers = list(pool.map(lambda i: http.post("/v1/predict", content=picture(i * 20)).json(), range(8)))
    assert [one["probs"]["crack"] for one in answers] == pytest.approx([i * 20 / 255 * 0.9 for i in range(8)], abs=0.01)
    assert sum(toy.sizes) == 8
    assert 2 <= max(toy.sizes) <= 4


def test_a_full_queue_says_when_to_come_again(tmp_path: Path) -> None:
    toy = Toy()
    workspace = make_workspace(tmp_path, "m1", overrides=["serving.queue=2"])
    with client(workspace, {"m1": toy}) as http, ThreadPoolExecutor(2) as pool:
        toy.gate.clear()
        waiting = [pool.submit(http.post, "/v1/predict", content=BRIGHT) for _ in range(2)]
        wait_until(lambda: "activesel_images_under_way 2" in http.get("/metrics").text)
        refused = http.post("/v1/predict", content=BRIGHT)
        toy.gate.set()
        assert [one.result().status_code for one in waiting] == [200, 200]
        too_many = http.post("/v1/predict", files=[("image", BRIGHT)] * 3)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert too_many.status_code == 413


def test_lots_are_shared_out_and_stay(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, "m1", "m2", overrides=["serving.salt=plant"])
    challenge(workspace, "m2")
    names = {Arm.champion: "champion", Arm.challenger: "challenger"}
    with client(workspace, {"m1": Toy(), "m2": Toy(0.05)}, names, share=0.3) as http:
        arms = {}
        for _ in range(2):
            for lot in range(20):
                told = http.post(f"/v1/predict?lot={lot}", content=BRIGHT).json()
                assert arms.setdefault(lot, told["arm"]) == told["arm"]
                assert told["model_id"] == {"champion": "m1", "challenger": "m2"}[told["arm"]]
                assert "note" not in told
        no_lot = http.post("/v1/predict", content=BRIGHT).json()
        assert http.get("/v1/model").json()["share"] == 0.3
    expected = Split(0.3, "plant\nm2")
    assert arms == {lot: expected.arm_of(str(lot)).value for lot in range(20)}
    assert set(arms.values()) == {"champion", "challenger"}
    assert "lot" in no_lot["note"]


def test_a_shadow_is_logged_and_never_returned(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, "m1", "m2")
    names = {Arm.champion: "champion", Arm.shadow: "m2"}
    with client(workspace, {"m1": Toy(), "m2": Toy(0.05)}, names) as http:
        told = http.post("/v1/predict?lot=L", content=DARK).json()
        assert told["arm"] == "champion"
        wait_until(lambda: len(logged(workspace)) == 2)
    shadow = next(one for one in logged(workspace) if one["arm"] == "shadow")
    assert (shadow["model_version"], shadow["answered_by"], shadow["lot"]) == ("m2", told["prediction_id"], "L")
    assert shadow["defect_score"] == pytest.approx(told["score"] + 0.05, abs=1e-4)


def test_a_shadow_that_fails_harms_nobody(tmp_path: Path) -> None:
    class Broken(Toy):
        def probabilities(self, batch):  # type: ignore[no-untyped-def]
            if self.sizes:
                raise RuntimeError("broken")
            return super().probabilities(batch)

    workspace = make_workspace(tmp_path, "m1", "m2")
    with client(workspace, {"m1": Toy(), "m2": Broken()}, {Arm.champion: "m1", Arm.shadow: "m2"}) as http:
        assert http.post("/v1/predict", content=DARK).status_code == 200
        wait_until(lambda: "activesel_shadow_dropped_total 1" in http.get("/metrics").text)
        assert http.post("/v1/predict", content=DARK).status_code == 200


def test_a_new_champion_answers_without_a_lost_request(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, "m1", "m2")
    models: list[str] = []
    with client(workspace, {"m1": Toy(), "m2": Toy(0.05)}, refresh_s=0.02) as http:
        done = threading.Event()

        def ask() -> None:
            while not done.is_set():
                answer = http.post("/v1/predict", content=DARK)
                assert answer.status_code == 200
                models.append(answer.json()["model_id"])

        with ThreadPoolExecutor(4) as pool:
            askers = [pool.submit(ask) for _ in range(4)]
            wait_until(lambda: len(models) > 20)
            promote(workspace, "m2")
            wait_until(lambda: models[-8:] == ["m2"] * 8)
            done.set()
            for one in askers:
                one.result()
        assert http.get("/ready").json()["model_id"] == "m2"
        assert 'activesel_model_swaps_total{alias="champion",outcome="swapped"} 1' in http.get("/metrics").text
    assert set(models) == {"m1", "m2"}


def test_a_champion_that_cannot_be_read_leaves_the_old_one(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, "m1", "m2")
    with client(workspace, {"m1": Toy()}, refresh_s=0.02) as http:
        promote(workspace, "m2")
        wait_until(lambda: "failed" in http.get("/v1/model").json())
        assert http.post("/v1/predict", content=DARK).json()["model_id"] == "m1"


def test_a_comparison_ends_when_its_challenger_is_promoted(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, "m1", "m2")
    challenge(workspace, "m2")
    names = {Arm.champion: "champion", Arm.challenger: "challenger"}
    with client(workspace, {"m1": Toy(), "m2": Toy(0.05)}, names, share=1.0, refresh_s=0.02) as http:
        assert http.post("/v1/predict?lot=1", content=DARK).json()["arm"] == "challenger"
        promote(workspace, "m2")
        wait_until(lambda: "challenger" not in http.get("/v1/model").json())
        told = http.post("/v1/predict?lot=1", content=DARK).json()
        assert (told["arm"], told["model_id"]) == ("champion", "m2")


def test_a_model_that_fails_is_our_fault_and_not_the_end(tmp_path: Path) -> None:
    class Moody(Toy):
        def probabilities(self, batch):  # type: ignore[no-untyped-def]
            probs = super().probabilities(batch)
            return probs * float("nan") if len(self.sizes) == 2 else probs

    with client(make_workspace(tmp_path, "m1"), {"m1": Moody()}) as http:
        assert http.post("/v1/predict", content=DARK).status_code == 500
        assert http.post("/v1/predict", content=DARK).status_code == 200


def test_no_champion_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="train"), client(make_workspace(tmp_path), {}):
        pass


def wait_until(true, seconds: float = 20) -> None:  # type: ignore[no-untyped-def]
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)
