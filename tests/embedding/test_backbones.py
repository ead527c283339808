"""Every backbone keeps one contract; names, checkpoints and weights that are wrong are named plainly."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from activesel.embedding import backbone_key, embed_images, family_names, open_backbone
from activesel.embedding.checkpoints import read_state_dict
from activesel.embedding.network import fuse_batchnorm
from activesel.embedding.registry import backbone_family
from activesel.embedding.torchvision_models import _remove_head
from activesel.embedding.torchvision_shim import declare_torchvision_operators
from activesel.errors import ConfigError, DataError
from tests.embedding.conftest import ROOT, Settings, write_images
from tests.embedding.tiny_backbone import DIM, PREPROCESS, build_tiny

declare_torchvision_operators()


def timm_weights(path: Path, *, name: str = "test_resnet", prefix: str = "", under: str | None = None) -> Path:
    import timm

    torch.manual_seed(0)
    tensors = {prefix + key: value for key, value in timm.create_model(name, num_classes=7).state_dict().items()}
    torch.save({under: tensors} if under else tensors, path)
    return path


def torchvision_weights(path: Path) -> Path:
    from safetensors.torch import save_file
    from torchvision import models

    torch.manual_seed(0)
    save_file(models.resnet18(num_classes=3).state_dict(), path)
    return path


@pytest.mark.parametrize(
    ("name", "dim"),
    [("tiny", DIM), ("efficientnet_lite0", 1280), ("timm:test_resnet", 96), ("torchvision:resnet18", 512)],
)
def test_contract(name: str, dim: int, settings: Settings, tmp_path: Path) -> None:
    checkpoint = None
    if name.startswith("timm:"):
        checkpoint = str(timm_weights(tmp_path / "weights.pth"))
    if name.startswith("torchvision:"):
        checkpoint = str(torchvision_weights(tmp_path / "weights.safetensors"))
    config = settings(name, checkpoint=checkpoint)
    backbone = open_backbone(config)
    paths = write_images(tmp_path / "images", 6)
    batches = list(embed_images(backbone, paths, max_pixels=10**6))
    vectors = np.concatenate([batch.vectors for batch in batches])
    assert np.concatenate([batch.rows for batch in batches]).tolist() == list(range(6))
    assert (vectors.shape, vectors.dtype) == ((6, backbone.dim), np.float16)
    assert backbone.dim == dim
    assert np.isfinite(vectors).all()
    assert len(np.unique(vectors, axis=0)) == 6, "different images, different vectors"
    assert backbone.key == backbone_key(config)
    assert (Path("x") / backbone.key).name == backbone.key, "the key is one folder's name"
    again = np.concatenate([batch.vectors for batch in embed_images(open_backbone(config), paths, max_pixels=10**6)])
    np.testing.assert_array_equal(again, vectors)


def test_the_head_is_found_inside_a_sequence_or_not_at_all() -> None:
    from torchvision import models

    network = models.mobilenet_v3_small()
    assert _remove_head(network, "mobilenet_v3_small") == "classifier.3."
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 1024)
    with pytest.raises(ConfigError, match="squeezenet1_1"):
        _remove_head(models.squeezenet1_1(), "squeezenet1_1")


def test_a_name_registered_twice_raises() -> None:
    with pytest.raises(ValueError, match="'tiny' is registered twice"):
        backbone_family("tiny")(lambda _request: NotImplemented)
    assert {"efficientnet_lite0", "timm:", "torchvision:"} <= set(family_names())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("efficientnet_lite", "efficientnet_lite0"),
        ("resnet50", "timm:resnet50"),
        ("timm:", "unknown backbone"),
        ("efficientnet_lite0:b", "unknown backbone"),
        ("timm:resnet18", "without weights"),
        ("torchvision:resnet18", "torchvision:resnet18@download"),
    ],
)
def test_a_name_without_backbone_or_weights(name: str, words: str, settings: Settings) -> None:
    with pytest.raises(ConfigError, match=words):
        open_backbone(settings(name))


@pytest.mark.parametrize(("name", "near"), [("timm:resnet5O", "timm:resnet50"), ("torchvision:resnt18", "resnet18")])
def test_an_unknown_variant_names_the_nearest(name: str, near: str, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=near):
        open_backbone(settings(name, checkpoint=str(timm_weights(tmp_path / "w.pt"))))


@pytest.mark.parametrize(("prefix", "under"), [("module.", None), ("", "state_dict"), ("module.", "model")])
def test_wrapped_checkpoints_give_the_same_network(prefix: str, under: str | None, tmp_path: Path) -> None:
    plain = read_state_dict(timm_weights(tmp_path / "plain.pt"))
    wrapped = read_state_dict(timm_weights(tmp_path / "wrapped.pt", prefix=prefix, under=under))
    assert list(plain) == list(wrapped)
    assert all(torch.equal(plain[name], wrapped[name]) for name in plain)


def test_a_checkpoint_of_another_network_lists_what_differs(settings: Settings, tmp_path: Path) -> None:
    path = timm_weights(tmp_path / "w.pt", name="test_vit")
    with pytest.raises(DataError, match=r"tensors missing \(conv1.*unexpected \(cls_token"):
        open_backbone(settings("timm:test_resnet", checkpoint=str(path)))


def test_a_checkpoint_with_another_shape(settings: Settings, tmp_path: Path) -> None:
    path = timm_weights(tmp_path / "w.pt")
    tensors = torch.load(path, weights_only=True)
    tensors["bn1.weight"] = torch.ones(3)
    torch.save(tensors, path)
    with pytest.raises(DataError, match=r"bn1.weight has another shape; found \(3,\)"):
        open_backbone(settings("timm:test_resnet", checkpoint=str(path)))


class Bomb:
    """Unpickling it would make a file; loading must not."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_a_checkpoint_never_runs_code(tmp_path: Path) -> None:
    torch.save({"state_dict": Bomb(tmp_path / "ran")}, tmp_path / "bomb.pt")
    (tmp_path / "raw.pt").write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    for name in ("bomb.pt", "raw.pt"):
        with pytest.raises(DataError, match="more than tensors"):
            read_state_dict(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_damaged_or_odd_checkpoints(settings: Settings, tmp_path: Path) -> None:
    whole = timm_weights(tmp_path / "w.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cut.safetensors").write_bytes(torchvision_weights(tmp_path / "t.safetensors").read_bytes()[:1000])
    (tmp_path / "empty.pth").write_bytes(b"")
    torch.save([1, 2], tmp_path / "list.pt")
    for name in ("cut.pt", "cut.safetensors", "empty.pth", "list.pt"):
        with pytest.raises(DataError, match=name):
            read_state_dict(tmp_path / name)
    (tmp_path / "w.onnx").write_bytes(whole)
    for name, words in (("w.onnx", "unknown kind"), ("absent.pt", "cannot read the checkpoint")):
        with pytest.raises(ConfigError, match=words):
            open_backbone(settings("timm:test_resnet", checkpoint=str(tmp_path / name)))


def test_other_weights_another_key(settings: Settings, tmp_path: Path) -> None:
    path = timm_weights(tmp_path / "w.pt")
    config = settings("timm:test_resnet", checkpoint=str(path))
    before = backbone_key(config)
    tensors = torch.load(path, weights_only=True)
    tensors["bn1.weight"] += 1
    torch.save(tensors, path)
    assert backbone_key(config) != before


def test_the_key_costs_no_torch() -> None:
    code = (
        "import sys; from activesel.config import load_config; from activesel.embedding import backbone_key\n"
        "print(backbone_key(load_config().embedding), 'torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert out.startswith("efficientnet_lite0-")
    assert out.endswith("False\n")


def test_folding_batch_norms_keeps_the_function() -> None:
    plain, _ = build_tiny()
    fused = fuse_batchnorm(plain, PREPROCESS)
    assert not [layer for layer in fused.modules() if isinstance(layer, nn.BatchNorm2d)]
    x = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(fused(x), plain(x), atol=1e-5, rtol=1e-4)


def test_folding_is_given_up_where_layers_run_in_another_order() -> None:
    class NormFirst(nn.Module):
        """Registers the convolution first and runs it last."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3)
            self.norm = nn.BatchNorm2d(3)
            self.norm.running_mean = torch.tensor([3.0, -2.0, 5.0])
            self.norm.running_var = torch.tensor([0.1, 4.0, 1.0])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(self.norm(x)).flatten(1)  # type: ignore[no-any-return]

    network = NormFirst().eval()
    assert fuse_batchnorm(network, PREPROCESS) is network


def test_a_network_without_vectors_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.embedding.tiny_backbone.build_tiny", lambda: (nn.Identity(), PREPROCESS))
    with pytest.raises(ConfigError, match="one vector per image"):
        open_backbone(settings("tiny"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_an_absent_device_is_named(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="found cuda:3"):
        open_backbone(settings("tiny", device="cuda:3"))


def test_packaged_weights_that_changed_are_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = timm_weights(tmp_path / "w.pt")
    monkeypatch.setattr("activesel.embedding.efficientnet_lite0._packaged_weights", lambda: other)
    with pytest.raises(DataError, match="not the known ones"):
        open_backbone(settings("efficientnet_lite0"))
