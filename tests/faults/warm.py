"""What the fork server imports once, so that each process of these tests starts in milliseconds instead of seconds."""

from importlib import import_module

from activesel.embedding.torchvision_shim import declare_torchvision_operators

declare_torchvision_operators()  # before timm, which imports torchvision

MODULES = ("torch", "timm", "cv2", "PIL.PngImagePlugin", "sqlite3", "safetensors.numpy", "sklearn.cluster",
           "sklearn.model_selection", "sklearn.decomposition", "activesel.cli", "activesel.embedding.forward",
           "activesel.pipelines.labels", "activesel.pipelines.oneshot")  # fmt: skip
for name in MODULES:
    import_module(name)

import_module("torch").set_num_threads(1)  # other tests need the cores, too
