"""Feed every importer with files that were right and then damaged: it must read them or refuse them in one line.

    python scripts/fuzz_importers.py                       # 10,000 files a format, about ten minutes
    python scripts/fuzz_importers.py --n 200 --formats coco

A crash is anything but an error of ours in one line; the damaged file is kept under --keep. Nothing may be half
imported: every hundredth file goes through the whole import into a workspace, whose opinions must be as before when it
was refused.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import re
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from activesel.annotations import Annotation, Box, Mask, Polygon
from activesel.catalog import Catalog
from activesel.catalog.writing import FileStamp
from activesel.errors import ActiveselError, DataError
from activesel.labels import ImageLookup, Item, Sheet, annotation_format_names, fit, get_format, guess_format
from activesel.pipelines.opinions import ImportRequest, import_annotations
from activesel.records import ImageRow
from activesel.workspace import Workspace, create_workspace

Files = dict[str, bytes]
_PATHS = ("/images/line 1/a.png", "/images/ä&b.jpg", "/images/line-2/a.png")
_IDS = tuple(f"{number:032x}" for number in (1, 2, 3))
_SIZE = (64, 48)
_IMPORT_EVERY = 100
FORMS = ("cvat-untouched", "labelbox-beside", "ground-truth-masks", "scale-tasks")  # that are read and not written
# Pieces that a parser may trip over.
_PIECES = (
    *(b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b'"', b"'", b"{", b"}", b"[", b"]", b"<", b">", b"&", b"&a;", b"\\"),
    *(b"\\ud800", b",", b":", b"\n", b"\r", b"NaN", b"Infinity", b"-1", b"1e999", b"9" * 5000, b"null", b"true", b"0"),
    *(b"<!DOCTYPE a [<!ENTITY a 'b'>]>", b"<![CDATA[", b"<?xml version='1.0' encoding='utf-7'?>", b"../../etc/passwd"),
    *(b"[" * 3000, b'{"a":' * 3000, b"<a>" * 100, b"*a", b"&x", b"!!python/object:os.system", b"PK\x03\x04", b"-0"),
)
# Values where others were: the file stays well-formed, and what reads it is put to the test.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?')
_VALUES = (b"-1", b"0", b"1e308", b"1e999", b"123456789012345678901234567890", b"null", b"true", b"[]", b"{}", b"0.5")
_TEXTS = (
    b"",
    b" ",
    b"x",
    b"crack",
    b"-1",
    b"1,1",
    b"nan",
    b"inf",
    b"\\ud800",
    b"\\u0000",
    b"\\n",
    b"box",
    b"a.png",
    b"7" * 3000,
)


@dataclass(frozen=True)
class Outcome:
    """n_read, n_refused: files. crashes: the last line of each traceback. seconds: of the slowest file."""

    n_read: int
    n_refused: int
    crashes: tuple[str, ...]
    seconds: float


def make_sheet() -> Sheet:
    """Return a sheet with every kind of thing an opinion can hold."""
    shapes = (Box("crack", 1, 2, 30, 40.5, 0.5), Polygon("pit", ((0, 0), (4.5, 0), (4, 3))),
              Mask("pit", 2, 3, 4, 1, (1, 2, 1)))  # fmt: skip
    first = Annotation(
        _IDS[0], "ann", name="crack", shapes=shapes, created="2026-01-01T10:00:00+00:00", lead_time_s=2.5
    )
    said = [(first,),
            (Annotation(_IDS[1], "bob", skipped="too dark", guideline="2"), Annotation(_IDS[1], "cid", name="good")),
            (Annotation(_IDS[2], "ann", shapes=shapes[:1], external_id="17", source="tool"),)]  # fmt: skip
    items = [Item(image_id, path, path.removeprefix("/images/"), path, *_SIZE, opinions)
             for image_id, path, opinions in zip(_IDS, _PATHS, said, strict=True)]  # fmt: skip
    return Sheet(tuple(items), ("crack", "good", "pit"), "0001")


def make_picture() -> bytes:
    """Return a mask of 64 x 48 px: a rectangle of #2ca02c on white."""
    packed = io.BytesIO()
    picture = Image.new("RGB", _SIZE, "#ffffff")
    picture.paste("#2ca02c", (5, 5, 20, 12))
    picture.save(packed, "PNG")
    return packed.getvalue()


def files_of(name: str) -> Files:
    """Return right files of a format, or of another form of it, the one to read first."""
    found = get_format(format_of(name))
    fitted, _ = fit(make_sheet(), found.holds)
    written = {one: content.encode() for one, content in found.writes(fitted).items()}
    if name == "cvat-untouched":
        return {one: content.replace(b'source="manual"', b'source="auto"', 3) for one, content in written.items()}
    if name == "labelbox-beside":
        masks = [{"mask": {"instanceURI": "m.png", "colorRGB": [44, 160, 44]}}, {"mask": {"instanceURI": "m.png"}}]
        lines = [{"dataRow": {"globalKey": one}, "name": "pit", **more} for one, more in zip(_IDS, masks, strict=False)]
        drawn = {"name": "pit", "composite_mask": {"url": "m.png", "color_rgba": [44, 160, 44, 255]}}
        label = {"id": "1", "annotations": {"objects": [drawn]}}
        row = {"data_row": {"global_key": _IDS[2]}, "projects": {"p": {"labels": [label]}}}
        return {"f": _as_lines([*lines, row]), "m.png": make_picture()}
    if name == "ground-truth-masks":
        colours = {"0": {"class-name": "BACKGROUND", "hex-color": "#ffffff"},
                   "1": {"class-name": "pit", "hex-color": "#2ca02c"}}  # fmt: skip
        meta = {"internal-color-map": colours, "human-annotated": "yes", "creation-date": "2026-01-01T10:00:00"}
        lines = [
            {"source-ref": "s3://b" + path, "s-ref": "s3://b/out/m.png", "s-ref-metadata": meta} for path in _PATHS
        ]
        return {"f": _as_lines(lines), "m.png": make_picture()}
    if name == "scale-tasks":
        drawn = [
            {"type": "box", "label": "pit", "left": 1, "top": 2, "width": 3, "height": 4},
            {"type": "polygon", "label": "pit", "vertices": [{"x": 0, "y": 0}, {"x": 4.5, "y": 0}, {"x": 4, "y": 3}]},
        ]
        tasks = [{"task_id": f"t{one}", "status": "completed", "completed_at": "2026-01-01T10:00:00Z", "unique_id": one,
                  "params": {"attachment": path}, "metadata": {"activesel_id": one}, "response": {"annotations": drawn}}
                 for one, path in zip(_IDS, _PATHS, strict=True)]  # fmt: skip
        return {"f": json.dumps({"docs": tasks}).encode()}
    return written


def _as_lines(records: Sequence[object]) -> bytes:
    return "".join(json.dumps(one) + "\n" for one in records).encode()


def format_of(name: str) -> str:
    return next(one for one in annotation_format_names() if name.startswith(one))


def damage(content: bytes, rng: random.Random) -> bytes:
    """Change a file in one to three places: other values, bytes, pieces, cuts, copies."""
    for _ in range(rng.randint(1, 3)):
        if rng.random() < 0.6:
            content = change_value(content, rng)
            continue
        at, to = sorted((rng.randint(0, len(content)), rng.randint(0, len(content))))
        to = min(to, at + rng.choice((1, 4, 40, 400)))
        kind = rng.randrange(6)
        if kind == 0:
            content = content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]
        elif kind == 1:
            content = content[:at] + rng.choice(_PIECES) + content[at:]
        elif kind == 2:
            content = content[:at] + rng.choice(_PIECES) + content[to:]
        elif kind == 3:
            content = content[:at] + content[to:]
        elif kind == 4:
            content = content[:to] + content[at:to] * rng.choice((1, 2, 50)) + content[to:]
        else:
            content = content[: rng.randint(0, len(content))]
    return content


def change_value(content: bytes, rng: random.Random) -> bytes:
    """Put another value in the place of one text or number, quotes where quotes were, mostly."""
    tokens = list(_TOKEN.finditer(content))
    if not tokens:
        return content + rng.choice(_PIECES)
    token = rng.choice(tokens)
    quoted = token.group().startswith(b'"') == (rng.random() < 0.9)
    value = b'"' + rng.choice(_TEXTS) + b'"' if quoted else rng.choice(_VALUES)
    return content[: token.start()] + value + content[token.end() :]


def write_damaged(files: Files, out: Path, rng: random.Random, *, several: bool) -> None:
    """Write a file, or a zip of several, of which one is damaged; half of the zips are damaged as a whole."""
    name = rng.choice(sorted(files))
    inside = not several or rng.random() < 0.5
    changed = {**files, name: damage(files[name], rng)} if inside else files
    if not several:
        out.write_bytes(changed[name])
        return
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for one, content in changed.items():
            archive.writestr(zipfile.ZipInfo(one), content)
    out.write_bytes(packed.getvalue() if inside else damage(packed.getvalue(), rng))


def write_beside(files: Files, out: Path, rng: random.Random) -> None:
    """Write a file and the pictures beside it, of which one is damaged."""
    changed = rng.choice([*files, next(iter(files))])  # the file itself more often than its picture
    for name, content in files.items():
        path = out if name == next(iter(files)) else out.with_name(name)
        path.write_bytes(damage(content, rng) if name == changed else content)


def fuzz(name: str, n: int, seed: int, folder: Path, workspace: Workspace | None = None) -> Outcome:
    """Damage and read n files of one format, or form of one. workspace: some are imported there, too."""
    found, files = get_format(format_of(name)), files_of(name)
    lookup = ImageLookup(dict(zip(_PATHS, _IDS, strict=True)), (), dict.fromkeys(_IDS, _SIZE))
    rng = random.Random(f"{name} {seed}")
    counts: Counter[str] = Counter()
    crashes, slowest = [], 0.0
    for number in range(n):
        out = folder / f"{name}.fuzz"
        if name in FORMS:
            write_beside(files, out, rng)
        else:
            write_damaged(files, out, rng, several=found.several_files or (name == "cvat" and number % 2 == 0))
        began = time.perf_counter()
        try:
            counts[_try(out, lookup, found.name, workspace if number % _IMPORT_EVERY == 0 else None)] += 1
        except Exception:  # noqa: BLE001 - what is looked for
            crashes.append(f"{number}: {traceback.format_exc().splitlines()[-1]}")
            out.rename(folder / f"{name}-{number}.crash")
        slowest = max(slowest, time.perf_counter() - began)
    return Outcome(counts["read"], counts["refused"], tuple(crashes), slowest)


def _try(path: Path, lookup: ImageLookup, name: str, workspace: Workspace | None) -> str:
    with contextlib.suppress(DataError):  # rightly, of a damaged file
        guess_format(path)
    found = get_format(name)
    refusals = [_refusal(lambda: list(found.reads(path, lookup)))]
    if found.reads_accepting is not None:
        refusals.append(_refusal(lambda: list(found.reads_accepting(path, lookup))))
    if workspace is not None:
        before = _opinions(workspace)
        refusals.append(_refusal(lambda: import_annotations(workspace, ImportRequest(path, name))))
        assert not refusals[-1] or _opinions(workspace) == before, "half imported"
    for message in filter(None, refusals):
        assert len(message.splitlines()) == 1, f"not one line: {message[:200]!r}"
        assert len(message) < 1500, f"too long a line: {message[:200]!r}"
    return "refused" if refusals[0] else "read"


def _refusal(work: Callable[[], object]) -> str:
    try:
        work()
    except ActiveselError as error:
        return str(error)
    return ""


def _opinions(workspace: Workspace) -> list[Annotation]:
    with Catalog.open(workspace.catalog_place) as catalog:
        return catalog.annotations.read()


def make_workspace(folder: Path) -> Workspace:
    workspace = create_workspace(folder)
    rows = [ImageRow(image_id, path, *_SIZE, "PNG") for image_id, path in zip(_IDS, _PATHS, strict=True)]
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.add_images([(row, FileStamp(1, 1)) for row in rows], "images")
    return workspace


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--formats", default=",".join((*annotation_format_names(), *FORMS)))
    parser.add_argument("--keep", type=Path, help="folder for files that crashed")
    given = parser.parse_args(arguments)
    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        print(f"{'format':<13}{'files':>7}{'read':>7}{'refused':>9}{'crashed':>9}{'seconds':>9}{'slowest':>9}")
        for name in given.formats.split(","):
            with tempfile.TemporaryDirectory() as made:
                began = time.perf_counter()
                found = fuzz(name, given.n, given.seed, folder, make_workspace(Path(made) / "job"))
            spent = time.perf_counter() - began
            print(f"{name:<13}{given.n:>7}{found.n_read:>7}{found.n_refused:>9}{len(found.crashes):>9}{spent:>9.1f}"
                  f"{found.seconds:>9.2f}", flush=True)  # fmt: skip
            print("".join(f"  {line}\n" for line in found.crashes[:20]), end="")
            failed += len(found.crashes)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
