"""Prepare a data set once, and open what was prepared."""

from functools import partial

from ..errors import DataError
from ..registry import resolve
from ..store import (
    Contents,
    DataRequest,
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


def prepare(request: DataRequest, progress: Progress | None = None) -> Prepared:
    """Find, check, decode, resize and split a data set, unless the cache has it.

    What can be checked is checked before anything is written, and bad data leaves nothing behind. Processes that
    prepare the same data set at the same time wait for the first of them.

    Args:
        request: what is wanted.
        progress: called with (decoded, total) image counts.

    Returns:
        What `open_prepared` needs.

    Raises:
        DataError: something is wrong with the name or the files, or a class is too small to be split.
    """
    source = resolve(request.name).find(request.data_dir, request.group_pattern)
    divide = partial(split_parts, validation=request.validation, split_seed=request.split_seed)

    def check(contents: Contents) -> None:
        divide(contents.labels, contents.classes, contents.validation_start, groups=contents.groups)

    folder, meta = ensure_folder(
        source, image_size=request.image_size, cache_dir=request.cache_dir, progress=progress, check=check
    )
    file = folder / _split_name(meta, request)
    split = read_split(file, meta)
    if split is None:
        images, labels, groups = read_arrays(folder, meta)
        train, validation = divide(labels, meta.classes, meta.validation_start, groups=groups)
        mean, std = channel_statistics(images, train)
        split = Split(train=train, validation=validation, mean=mean, std=std)
        write_split(file, split)
    return Prepared(
        name=request.name,
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


def _split_name(meta: Meta, request: DataRequest) -> str:
    if meta.validation_start is not None:
        return "split-official.npz"
    return f"split-{request.validation!r}-{request.split_seed}.npz"
