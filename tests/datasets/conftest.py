"""Small data sets in the official formats, written by the tests themselves."""

import functools
import gzip
import pickle
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

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

    def write(
        data_dir: Path,
        *,
        images: int = 60,
        seed: int = 0,
        packed: bool = False,
        test: bool = False,
        folder: str = "FashionMNIST",
    ) -> Path:
        raw = data_dir / folder / "raw"
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


@pytest.fixture
def write_gtsrb() -> Callable[..., Path]:
    """Write GTSRB as torchvision unpacks it, with few and small images: `write_gtsrb(data_dir)`."""

    def write(data_dir: Path, *, tracks: int = 4, frames: int = 2, classes: int = 43) -> Path:
        generator = np.random.default_rng(0)

        def image(file: Path) -> None:
            width, height = generator.integers(5, 9, 2).tolist()
            Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(file)

        for label in range(classes):
            folder = data_dir / "gtsrb" / "GTSRB" / "Training" / f"{label:05}"
            folder.mkdir(parents=True)
            names = [f"{track:05}_{frame:05}.ppm" for track in range(tracks) for frame in range(frames)]
            for name in names:
                image(folder / name)
            _write_table(folder / f"GT-{label:05}.csv", [(name, label) for name in names])
        images = data_dir / "gtsrb" / "GTSRB" / "Final_Test" / "Images"
        images.mkdir(parents=True)
        rows = [(f"{index:05}.ppm", (index * 7) % classes) for index in range(classes)]
        for name, _ in rows:
            image(images / name)
        _write_table(data_dir / "gtsrb" / "GT-final_test.csv", rows)
        return data_dir

    return write


def _write_table(file: Path, rows: list[tuple[str, int]]) -> None:
    lines = [f"{name};8;8;1;1;7;7;{label}" for name, label in rows]
    file.write_text("\r\n".join(["Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId", *lines, ""]))


@pytest.fixture
def write_cifar10() -> Callable[..., Path]:
    """Write CIFAR-10's batches for Python, small: `write_cifar10(data_dir)`."""

    def write(data_dir: Path, *, images: int = 20, protocol: int = 2) -> Path:
        folder = data_dir / "cifar-10-batches-py"
        folder.mkdir(parents=True)
        generator = np.random.default_rng(0)
        for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
            batch: dict[bytes, Any] = {
                b"batch_label": name.encode(),
                b"labels": [index % 10 for index in range(images)],
                b"data": generator.integers(0, 256, (images, 3072), dtype=np.uint8),
                b"filenames": [f"{name}_{index}.png".encode() for index in range(images)],
            }
            (folder / name).write_bytes(pickle.dumps(batch, protocol=protocol))
        (folder / "batches.meta").write_bytes(pickle.dumps({b"num_cases_per_batch": images}, protocol=protocol))
        return data_dir

    return write


@pytest.fixture
def write_stl10() -> Callable[..., Path]:
    """Write STL-10's binaries, small: `write_stl10(data_dir)`."""

    def write(data_dir: Path, *, images: int = 20) -> Path:
        folder = data_dir / "stl10_binary"
        folder.mkdir(parents=True)
        generator = np.random.default_rng(0)
        for part in ("train", "test"):
            pixels = generator.integers(0, 256, (images, 3, 96, 96), dtype=np.uint8)
            (folder / f"{part}_X.bin").write_bytes(pixels.transpose(0, 1, 3, 2).tobytes())
            (folder / f"{part}_y.bin").write_bytes(bytes(index % 10 + 1 for index in range(images)))
        names = ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"]
        (folder / "class_names.txt").write_text("\n".join([*names, ""]))
        return data_dir

    return write


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        pass


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Serve a folder from this machine: `serve(folder)` gives its address, with a slash at the end."""
    running: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_QuietHandler, directory=str(folder)))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()
