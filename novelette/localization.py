"""Whether heat maps find the defects that masks mark, beside the plainest map there is: the difference to the mean training picture."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from novelette import heatmap, metrics
from novelette.data.decode import read_picture
from novelette.data.images import Preprocessing, as_tensor, prepare
from novelette.data.masks import find_mask
from novelette.data.pixels import UnreadablePicture
from novelette.data.sources import FolderSource, Source, SubsetSource
from novelette.detector import Detector
from novelette.shipped import Shipped

MOST_PX = 512  # a side: of larger pictures every so manyth pixel counts, which bounds the memory


@dataclass(frozen=True)
class Localization:
    """AUROC over the pixels of the novel pictures that have masks.

    Attributes: pixel_auroc: of the detector's heat maps.   mean_picture_auroc: of |x - mean training picture|, None without one.
    """

    n_masks: int
    pixel_auroc: float
    mean_picture_auroc: float | None


def mask_of(source: Source, index: int) -> NDArray[np.bool_] | None:
    """The mask that stands beside a picture (novelette.data.masks), (H, W), True where it is novel; None without a readable one."""
    if isinstance(source, SubsetSource):
        return mask_of(source.source, int(source.indices[index]))
    if not isinstance(source, FolderSource):
        return None
    path = find_mask(source.path(index))
    if path is None:
        return None
    try:
        pixels = read_picture(path)
    except UnreadablePicture:
        return None
    grey = pixels if pixels.ndim == 2 else pixels.max(axis=2)
    return grey > grey.max() // 2


def localize(
    detector: Detector | Shipped, source: Source, novel: NDArray[np.integer], train: NDArray[np.uint8] | None
) -> Localization | None:
    """Compare the heat maps of the pictures `novel`, (n,) indices, with their masks.

    Args: train: the training pictures as the detector prepares them, (N, T, C, S, S).
    Returns: None when no picture has a mask of its size, all pixels are of one kind, or the method has no heat maps.
    """
    maps, plain, masks = [], [], []
    mean = None if train is None else as_tensor(train.mean(axis=0).round().astype(np.uint8))
    for picture, mask in _marked(source, novel):
        heat = detector.heatmap(picture)
        if heat is None:
            return None
        step = -(-max(mask.shape) // MOST_PX)
        maps.append(heat[::step, ::step].copy())
        masks.append(mask[::step, ::step].copy())
        if mean is not None:
            difference = (as_tensor(prepare(picture, detector.preprocessing)) - mean).abs().mean(1).numpy()
            plain.append(_like_heatmap(difference, detector.preprocessing, mask.shape)[::step, ::step].copy())
    seen = [mask[~np.isnan(heat)] for heat, mask in zip(maps, masks, strict=True)]  # not what lies outside a crop
    if not any(mask.any() for mask in seen) or all(mask.all() for mask in seen):
        return None
    baseline = metrics.pixel_auroc(plain, masks) if plain else None
    return Localization(len(masks), metrics.pixel_auroc(maps, masks), baseline)


def _like_heatmap(maps: NDArray[np.float32], preprocessing: Preprocessing, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return heatmap.to_picture(heatmap.smooth(maps), preprocessing, (shape[0], shape[1]))


def _marked(source: Source, which: NDArray[np.integer]) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
    for index in which.tolist():
        mask = mask_of(source, index)
        if mask is None:
            continue
        try:
            picture = source.read(index)
        except UnreadablePicture:
            continue
        if picture.shape[:2] == mask.shape:
            yield picture, mask
