"""Small data sets in the official formats, written by the tests themselves."""

import gzip
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def write_images() -> Callable[..., Path]:
    """Write random images into class folders: `write_images(root, {"train/ants": 5})`."""

    def write(
        root: Path,
        counts: Mapping[str, int],
        *,
        mode: str = "RGB",
        size: tuple[int, int] = (12, 10),
        suffix: str = ".png",
    ) -> Path:
        generator = np.random.default_rng(0)
        for folder, count in counts.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for index in range(count):
                pixels = generator.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
                Image.fromarray(pixels).convert(mode).save(root / folder / f"{index:03}{suffix}")
        return root

    return write


@pytest.fixture
def write_fashion() -> Callable[..., Path]:
    """Write Fashion-MNIST's four files, small: `write_fashion(data_dir)`; only the training part with `test=False`."""

    def write(data_dir: Path, *, images: int = 60, seed: int = 0, packed: bool = False, test: bool = False) -> Path:
        raw = data_dir / "FashionMNIST" / "raw"
        raw.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(seed)
        for part in ("train", "t10k") if test else ("train",):
            pixels = generator.integers(0, 256, (images, 28, 28), dtype=np.uint8)
            labels = np.arange(images, dtype=np.uint8) % 10
            content = {
                f"{part}-images-idx3-ubyte": struct.pack(">IIII", 0x803, images, 28, 28) + pixels.tobytes(),
                f"{part}-labels-idx1-ubyte": struct.pack(">II", 0x801, images) + labels.tobytes(),
            }
            for name, data in content.items():
                if packed:
                    (raw / f"{name}.gz").write_bytes(gzip.compress(data, mtime=0))
                else:
                    (raw / name).write_bytes(data)
        return data_dir

    return write
