"""Prepare a data set once, and open what was prepared."""

from pathlib import Path

from ..errors import DataError
from ..registry import resolve
from ..store import (
    Contents,
    Meta,
    Prepared,
    Progress,
    SearchData,
    Split,
    channel_statistics,
    ensure_folder,
    read_arrays,
    read_meta,
    read_split,
    split_parts,
    write_split,
)

_LARGEST_IMAGE = 4096  # pixels; far beyond what anyone trains on, and a typing error's array would fill the disk


def prepare(
    name: str,
    *,
    image_size: int | None,
    validation: float,
    split_seed: int,
    data_dir: Path,
    cache_dir: Path,
    group_pattern: str | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Find, check, decode, resize and split a data set, unless the cache has it.

    What can be checked is checked before anything is written, and bad data leaves nothing behind. Processes that
    prepare the same data set at the same time wait for the first of them.

    Args:
        name: as in `dataset_infos`, for example `digits`, `gtsrb` or `image_folder:PATH`.
        image_size: width and height in pixels to resize to, in [1, 4096]; None for images as they come.
        validation: share of the training part to validate on, in (0, 1). It is ignored, like `split_seed`, where the
            data set has an official validation part.
        split_seed: which images these are, in [0, 2**32).
        data_dir: folder that named data sets lie in.
        cache_dir: folder for decoded images; created if needed.
        group_pattern: a regular expression that says which images in class folders belong together and must not be
            split up: it is searched in `CLASS/FILE`, and its first group, or the whole match, is equal for them. None
            for the groups that the data set brings, if any.
        progress: called with (decoded, total) image counts.

    Returns:
        What `open_prepared` needs.

    Raises:
        DataError: something is wrong with the name, the arguments or the files.
    """
    check_image_size(image_size)
    _check_split(validation, split_seed)
    source = resolve(name).find(data_dir, group_pattern)

    def check(contents: Contents) -> None:
        split_parts(
            contents.labels,
            contents.classes,
            contents.validation_start,
            validation=validation,
            split_seed=split_seed,
            groups=contents.groups,
        )

    folder, meta = ensure_folder(source, image_size=image_size, cache_dir=cache_dir, progress=progress, check=check)
    file = folder / _split_name(meta, validation, split_seed)
    split = read_split(file, meta)
    if split is None:
        split = _make_split(folder, meta, validation, split_seed)
        write_split(file, split)
    return Prepared(
        name=name,
        layout=meta.layout,
        classes=meta.classes,
        input_shape=meta.shape[1:],
        mean=tuple(split.mean.tolist()),
        std=tuple(split.std.tolist()),
        train_images=len(split.train),
        validation_images=len(split.validation),
        digest=meta.digest,
        split_digest=split.digest,
        folder=folder,
        split=file,
    )


def open_prepared(prepared: Prepared) -> SearchData:
    """Map a prepared data set into memory.

    Raises:
        DataError: the cache folder is gone, or something in it was changed since it was prepared.
    """
    meta = read_meta(prepared.folder)
    split = None if meta is None else read_split(prepared.split, meta)
    if meta is None or split is None or (meta.digest, split.digest) != (prepared.digest, prepared.split_digest):
        raise DataError(
            f"the cache folder {str(prepared.folder)!r} of {prepared.name!r} is gone or was changed since the data set "
            "was prepared: prepare it again"
        )
    images, labels, groups = read_arrays(prepared.folder, meta)
    return SearchData(
        images=images,
        labels=labels,
        train=split.train,
        validation=split.validation,
        classes=meta.classes,
        mean=tuple(split.mean.tolist()),
        std=tuple(split.std.tolist()),
        digest=meta.digest,
        split_digest=split.digest,
        groups=groups,
    )


def check_image_size(image_size: int | None) -> None:
    """Check that images can be resized to a size."""
    if image_size is not None and not 1 <= image_size <= _LARGEST_IMAGE:
        raise DataError(f"image_size must lie in [1, {_LARGEST_IMAGE}] pixels or be None, but got {image_size}")


def _check_split(validation: float, split_seed: int) -> None:
    if not 0 < validation < 1:
        raise DataError(f"validation must lie in (0, 1), but got {validation}")
    if not 0 <= split_seed < 2**32:
        raise DataError(f"split_seed must lie in [0, 2**32), but got {split_seed}")


def _make_split(folder: Path, meta: Meta, validation: float, split_seed: int) -> Split:
    images, labels, groups = read_arrays(folder, meta)
    train, held_out = split_parts(
        labels, meta.classes, meta.validation_start, validation=validation, split_seed=split_seed, groups=groups
    )
    mean, std = channel_statistics(images, train)
    return Split(train=train, validation=held_out, mean=mean, std=std)


def _split_name(meta: Meta, validation: float, split_seed: int) -> str:
    return f"split-{validation!r}-{split_seed}.npz" if meta.validation_start is None else "split-official.npz"
