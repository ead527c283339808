"""The story of `activesel synth prove`: folds of the real images, variants from each training side, one verdict.

Test images are real, always; no group is on both sides, nor an image made from one. Only what is promoted is shipped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from activesel.errors import DataError, RefusedError, UsageError
from activesel.pipelines.foldsets import Workroom, make_copies, make_variants
from activesel.pipelines.proof_files import COPIES, REAL, VARIANTS, WEIGHTS, Proof, ship
from activesel.pipelines.realset import FileEmbedder, RealSet, read_real
from activesel.pipelines.siblings import measure_siblings
from activesel.pipelines.synthesise import GenerateRequest, synthesise, translate
from activesel.progress import show_progress
from activesel.promotion import (
    LEAST_GROUPS,
    MOST_FALL,
    Worth,
    average_precision,
    bound_difference,
    judge_by_siblings,
    judge_worth,
)  # fmt: skip
from activesel.records import FloatArray, IntArray
from activesel.seeds import derive_rng, derive_seed
from activesel.training.mixture import UNTESTED_SHARE, choose_share, deal_folds, score_with
from activesel.workspace import Workspace, create_workspace
from synth.generate import request_from_json
from synth.labels_file import read_labels
from synth.publish import RECORDS, RUN, STATE, read_run
from synth.record import read_lines
from synth.refusal import refused_of

FOLDS, REPEATS, FOLD_COUNT = 5, 2, 100


@dataclass(frozen=True)
class ProveRequest:
    """What to prove. synthesis: the set's own request; its ``out`` is the set's folder, there already or not.

    repeats: of the folds. fold_count: variants for each fold at most. most_fall: of another class's average precision.
    embed: judge realism and copies by the backbone, as for the set itself. accept_set_rules: why a set may pass that
    the rules on it as a whole refuse; None = it may not.
    """

    synthesis: GenerateRequest
    repeats: int = REPEATS
    folds: int = FOLDS
    fold_count: int = FOLD_COUNT
    most_fall: float = MOST_FALL
    embed: bool = True
    accept_set_rules: str | None = None


def request_of_set(folder: Path) -> GenerateRequest | None:
    """Return what a finished set was made from, None where the folder holds none.

    Raises:
        DataError: it is damaged.
    """
    if not (folder / STATE / RUN).exists():
        return None
    with translate():
        return replace(request_from_json(read_run(folder)["request"]), out=folder)


def prove(request: ProveRequest, workspace: Workspace | None, overrides: tuple[str, ...] = ()) -> Proof:
    """Hold the variants against real images alone and standard augmentation, and write the verdict to the set's folder.

    workspace: where the real images' vectors are, None = one made in the set's folder. Promoted: the set is made where
    it is not there yet, and weights.csv goes with it. Equal inputs and seed give an equal verdict.

    Raises:
        DataError: labels or images are wrong. UsageError: numbers that mean nothing. LockedError: another command is
            writing there.
    """
    _check(request)
    _check_set(request)
    asked, folder = request.synthesis, request.synthesis.out / STATE / "proof"
    with translate():
        table = read_labels(asked.labels, asked.images, group_column=asked.group_column)
    if asked.label not in table.n_by_class:
        raise DataError("no real image shows this class, so nothing can be proved", where=str(asked.labels),
                        found=", ".join(table.n_by_class), expected=repr(asked.label))  # fmt: skip
    home = workspace or create_workspace(folder, overrides)
    with home.lock("synth prove"):
        real = read_real(home, table, asked.label)
        room = Workroom(folder, home.config, FileEmbedder(home), request.embed)
        proof = _run(request, room, real)
        if proof.worth.is_promoted and request_of_set(asked.out) is None:
            synthesise(asked, home.config, embed=request.embed)
        if proof.worth.is_promoted and not _count_made(asked.out):
            raise DataError("not one variant of the whole set passed the rules, so nothing is shipped",
                            where=str(asked.out), hint="see the funnel: activesel synth")  # fmt: skip
        proof = _hear_set(proof, request)
        ship(proof, {
            "seed": asked.seed, "count": asked.count, "repeats": request.repeats, "folds": request.folds,
            "fold_count": request.fold_count, "most_fall": request.most_fall,
            "accept_set_rules": request.accept_set_rules})  # fmt: skip
    return proof


def _check(request: ProveRequest) -> None:
    for name, value, low in (("repeats", request.repeats, 1), ("folds", request.folds, 2),
                             ("fold-count", request.fold_count, 1)):  # fmt: skip
        if value < low:
            raise UsageError(f"--{name} is too small", found=str(value), expected=f"{low} or more")
    if not 0 <= request.most_fall < 1:
        raise UsageError("--most-fall is no loss of average precision", found=str(request.most_fall), expected="0 to 1")


def _refused(folder: Path) -> tuple[str, ...]:
    """Return what the rules on the whole set say against the one that is there, () also where there is none."""
    if not (folder / STATE / RUN).exists():
        return ()
    with translate():
        return refused_of(read_run(folder))


def _check_set(request: ProveRequest) -> None:
    """Refuse at once what could not be shipped, before hours of folds."""
    refused = _refused(request.synthesis.out)
    if request.accept_set_rules is not None and not request.accept_set_rules.strip():
        raise UsageError("--accept-set-rules wants a reason, which is recorded", expected="--accept-set-rules REASON")
    if refused and request.accept_set_rules is None:
        (request.synthesis.out / WEIGHTS).unlink(missing_ok=True)  # of an earlier proof
        raise RefusedError("the set is refused by the rules on it as a whole", where=str(request.synthesis.out),
                           found="; ".join(refused),
                           hint="make another, or say why it may pass: --accept-set-rules REASON")  # fmt: skip


def _hear_set(proof: Proof, request: ProveRequest) -> Proof:
    """Return the proof with what the set's own rules say; a set made just now may be refused, too."""
    proof = replace(proof, refused=_refused(proof.folder))
    if proof.worth.is_promoted and proof.refused and request.accept_set_rules is None:
        reason = f"it gains, but the rules on the set refuse it: {'; '.join(proof.refused)}"
        return replace(proof, worth=Worth("set refused", reason))
    return proof


def _run(request: ProveRequest, room: Workroom, real: RealSet) -> Proof:
    label, truth = request.synthesis.label, real.labelled
    number = real.number_of(label)
    is_own = truth.classes == number
    n_groups = len(np.unique(truth.groups[is_own]))
    if n_groups < LEAST_GROUPS:
        return _run_by_siblings(request, room, real, n_groups)
    scores, shares = _hold_out(request, room, real)
    rng = derive_rng(request.synthesis.seed, "proof", "bootstrap")
    gains = {
        rival: bound_difference([one[:, number] for one in scores[VARIANTS]], [one[:, number] for one in scores[rival]],
                                is_own, truth.groups, rng)
        for rival in (REAL, COPIES)
    }  # fmt: skip
    others = {
        name: bound_difference([one[:, c] for one in scores[VARIANTS]], [one[:, c] for one in scores[REAL]],
                               truth.classes == c, truth.groups, rng)
        for c, name in enumerate(real.names) if c != number
    }  # fmt: skip
    by_class = {
        name: {
            arm: float(np.mean([average_precision(one[:, c], truth.classes == c)[0] for one in found]))
            for arm, found in scores.items()
        }
        for c, name in enumerate(real.names)
    }
    worth = judge_worth(gains, others, n_groups, most_fall=request.most_fall)
    return Proof(request.synthesis.out, label, worth, int(is_own.sum()), n_groups, by_class[label], gains, others,
                 tuple(shares), real.notes, by_class)  # fmt: skip


def _run_by_siblings(request: ProveRequest, room: Workroom, real: RealSet, n_groups: int) -> Proof:
    asked = request.synthesis
    fold_count = min(asked.count, request.fold_count)
    gains = measure_siblings(replace(asked, count=fold_count), room, real, n_groups, (REAL, COPIES))
    rng = derive_rng(asked.seed, "proof", "siblings")
    worth = judge_by_siblings(gains, n_groups, rng, most_fall=request.most_fall)
    shares = (UNTESTED_SHARE,) if worth.is_promoted else ()
    n_images = int((real.labelled.classes == real.number_of(asked.label)).sum())
    return Proof(asked.out, asked.label, worth, n_images, n_groups, {}, {}, {}, shares, real.notes, siblings=gains)


def _hold_out(request: ProveRequest, room: Workroom, real: RealSet) -> tuple[dict[str, list[FloatArray]], list[float]]:
    """Return arm -> (n, c) held-out probabilities of each repeat, and the variants' share in each fold."""
    truth, seed = real.labelled, request.synthesis.seed
    scores: dict[str, list[FloatArray]] = {REAL: [], COPIES: [], VARIANTS: []}
    shares = []
    with show_progress("prove", request.repeats * request.folds) as advance:
        for repeat in range(request.repeats):
            folds = deal_folds(truth.classes, truth.groups, request.folds, derive_rng(seed, "proof", "folds", repeat))
            filled = {arm: np.zeros((len(truth.classes), truth.n_classes)) for arm in scores}
            for fold in range(request.folds):
                held = np.flatnonzero(folds == fold)
                if len(held):
                    found, share = _score_fold(request, room, real, held, derive_seed(seed, "proof", repeat, fold))
                    shares.append(share)
                    for arm, values in found.items():
                        filled[arm][held] = values
                advance(1)
            for arm, values in filled.items():
                scores[arm].append(values)
    return scores, shares


def _score_fold(
    request: ProveRequest, room: Workroom, real: RealSet, held: IntArray, seed: int
) -> tuple[dict[str, FloatArray], float]:
    """Return arm -> (t, c) probabilities of the images held out, and the variants' share."""
    rest = np.setdiff1d(np.arange(len(real.paths)), held)
    train, test = real.labelled.take(rest), real.labelled.vectors[held]
    asked = request.synthesis
    count = min(asked.count, request.fold_count)
    made = {
        COPIES: make_copies(room, real, rest, asked.label, count, asked.seed),
        VARIANTS: make_variants(room, real, rest, replace(asked, count=count)),
    }
    found, shares = {REAL: score_with(train, None, 0.0, test)}, {}
    for arm, images in made.items():
        shares[arm] = choose_share(train, images, seed=seed)[0]
        found[arm] = score_with(train, images, shares[arm], test) if shares[arm] > 0 else found[REAL]
    return found, shares[VARIANTS]


def _count_made(folder: Path) -> int:
    return len(read_lines(folder / RECORDS))
