"""Map classes as the cameras and the bird's-eye view see them: ground-plane sampling of a coverage pyramid.

The map is drawn once per `HdMap` object into an eight-class coverage pyramid (one byte per class, packed into one
64-bit word per cell). A view is then nothing but look-ups at coordinates that are constant in the ego frame, so that a
step costs one rotation and one gather per level, whatever the map holds.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drivesim.map_raster import RESOLUTION, map_raster
from drivesim.scene import MAP_CLASSES, CameraRig, HdMap

LEVELS = 5
STRIP = 64  # rows of cells that are averaged at once, so that they stay in the cache of the processor
FULL = 63  # coverage of a full cell: the sum of four cells still fits into one byte of the word
# Samples (row, column) inside a layout pixel by their number; one is enough where a pixel is hardly larger than a cell.
SAMPLES = {
    1: ((0.5, 0.5),),
    2: ((0.25, 0.25), (0.75, 0.75)),
    4: ((0.125, 0.25), (0.375, 0.75), (0.625, 0.25), (0.875, 0.75)),
}
LARGEST_FOOTPRINT = {1: 2.0 * RESOLUTION, 2: 4.0 * RESOLUTION, 4: np.inf}  # [m] of pixels that get this many samples
GROUND_RANGE = 90.0  # [m], ground beyond is not drawn
NOWHERE = 1e6  # [m], a place outside every map
_SHIFT = {1: np.uint64(2), 2: np.uint64(1), 4: np.uint64(0)}  # makes any number of samples count as four
_WIDEN = np.uint64(0x0303030303030303)


# Words of all 256 combinations of classes.
_WORDS = (np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=-1, bitorder="little") * np.uint8(FULL)).view(
    "u8"
)[:, 0]
# Sums of the words of two cells, by both bytes as one number; which of them comes first does not matter.
_WORDS_OF_TWO = (_WORDS[:, None] + _WORDS).reshape(-1)


@dataclass(frozen=True, eq=False)
class CoveragePyramid:
    """Coverage (0..FULL) of the eight map classes per cell, one byte each; every level halves the one before."""

    bits: NDArray[np.uint8]  # [rows, columns] of the first level, whose cells have a class or not: one bit each
    means: tuple[NDArray[np.uint64], ...]  # [rows, columns] of the other levels, cells of RESOLUTION * 2**level [m]
    origin: NDArray[np.float64]  # (x, y) of the lower corner [m]

    def cells_at(
        self, level: int, points: NDArray[np.float32], pose: NDArray[np.float64], out: NDArray[np.uint64] | None = None
    ) -> NDArray[np.uint64]:
        """Cells [R, C] of a level under points [R, C, 2], 0 outside; points in cells of that level, frame of `pose`."""
        out = np.empty(points.shape[:2], np.uint64) if out is None else out
        # cv2 rounds to the nearest whole number and takes that for the middle of a cell.
        offset = (pose[:2, 3] - self.origin) / (RESOLUTION * 2.0**level) - 0.5
        places = cv2.transform(points, np.column_stack([pose[:2, :2], offset]))
        # Floats of 64 bits are the only words of that size that cv2 moves; it does not look into them.
        target = out.view(np.float64)
        if level == 0:
            cv2.LUT(cv2.remap(self.bits, places, np.empty(0), cv2.INTER_NEAREST), _WORDS.view(np.float64), dst=target)
        else:
            means = self.means[level - 1].view(np.float64)
            cv2.remap(means, places, np.empty(0), cv2.INTER_NEAREST, dst=target)
        return out


_PYRAMIDS: weakref.WeakKeyDictionary[HdMap, CoveragePyramid] = weakref.WeakKeyDictionary()


def coverage_pyramid(hd_map: HdMap) -> CoveragePyramid:
    """The pyramid of a map; computed once per object."""
    pyramid = _PYRAMIDS.get(hd_map)
    if pyramid is None:
        pyramid = _PYRAMIDS[hd_map] = _build_pyramid(hd_map)
    return pyramid


def has_pyramid(hd_map: HdMap) -> bool:
    """Whether the pyramid of a map has been computed."""
    return hd_map in _PYRAMIDS


def _build_pyramid(hd_map: HdMap) -> CoveragePyramid:
    raster = map_raster(hd_map)
    rows, columns = raster.bits.shape
    means = [np.empty(((rows + 1) // 2, (columns + 1) // 2), np.uint64)]
    for start in range(0, rows, STRIP):
        means[0][start // 2 : (start + STRIP) // 2] = _mean(_pair_sums(raster.bits[start : start + STRIP]))
    for _ in range(2, LEVELS):
        first, *others = _quarters(means[-1])
        means.append(_mean([first + others[0], *others[1:]]))
    return CoveragePyramid(raster.bits, tuple(means), np.asarray(raster.origin, np.float64))


def _quarters(cells: NDArray) -> list[NDArray]:
    """The four cells of every block of 2 x 2, each [rows / 2, columns / 2]; what is left over at the rim is empty."""
    rows, columns = cells.shape
    even = np.pad(cells, ((0, rows % 2), (0, columns % 2))) if rows % 2 or columns % 2 else cells
    return [even[row::2, column::2] for row in (0, 1) for column in (0, 1)]


def _pair_sums(bits: NDArray[np.uint8]) -> list[NDArray[np.uint64]]:
    """Sums of the words of cells beside each other [rows / 2, columns / 2], of even rows and of odd ones."""
    rows, columns = bits.shape
    even = np.pad(bits, ((0, rows % 2), (0, columns % 2))) if rows % 2 or columns % 2 else bits
    return [_WORDS_OF_TWO.take(np.ascontiguousarray(even[row::2]).view(np.uint16)) for row in (0, 1)]


def _mean(parts: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """Mean of four words byte by byte, rounded, from parts that add up to them; the first part is overwritten. Four
    bytes of up to FULL do not run over."""
    total, *others = parts
    for part in others:
        total += part
    total += np.uint64(0x0202020202020202)
    total >>= np.uint64(2)
    total &= np.uint64(0x3F3F3F3F3F3F3F3F)
    return total


def _full_range(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Sums of four cells (every byte 0..4 * FULL) stretched to 0..255, in place."""
    rest = words >> np.uint64(6)
    rest &= _WIDEN
    words += rest
    return words


class GroundView:
    """Samples map coverage for a rig at a layout size; everything that depends on the rig alone is computed once.

    Number and level of samples are chosen per picture row, by the ground that its pixels cover. Rows are kept in the
    order of that footprint, so that those with the same number and those with the same level follow one another.
    """

    def __init__(self, rig: CameraRig, layout_size: tuple[int, int]) -> None:
        self._rig, self.layout_size = rig, layout_size
        self.views = len(rig.names)
        self.centres = rig.extrinsics[:, :3, 3]
        self.rays = pixel_rays(rig, layout_size)  # [V, h, w, 3] in the ego frame, z-depth 1
        self.ground_points = self._ground(self.rays)  # [V, h, w, 3] in the ego frame, NaN where no ground is seen
        patterns = {count: [self._samples(rig, place) for place in places] for count, places in SAMPLES.items()}
        seen = ~np.isnan(patterns[4]).any((0, -1))  # [V, h, w]
        footprint = self._footprint(patterns[4], seen)
        self._view, self._row = np.nonzero(seen.any(-1))
        order = np.argsort(footprint[self._view, self._row], kind="stable")
        self._view, self._row = self._view[order], self._row[order]
        self._plan(patterns, seen, footprint[self._view, self._row])

    def _ground(self, rays: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where viewing rays [V, h, w, 3] meet the ground, NaN above the horizon and out of range."""
        down = rays[..., 2] < -1e-6
        depth = np.where(down, -self.centres[:, None, None, 2] / np.where(down, rays[..., 2], -1.0), np.nan)
        reach = depth[..., None] * rays
        near = np.linalg.norm(reach, axis=-1) < GROUND_RANGE
        return np.where(near[..., None], self.centres[:, None, None] + reach, np.nan)

    def _samples(self, rig: CameraRig, place: tuple[float, float]) -> NDArray[np.float64]:
        """Ground (x, y) [V, h, w, 2] at a place inside every pixel."""
        return self._ground(pixel_rays(rig, self.layout_size, *place))[..., :2]

    @staticmethod
    def _footprint(samples: list[NDArray[np.float64]], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Extent [V, h] [m] of the ground under the pixels of every row, from four samples one below the other."""
        extent = np.abs(samples[-1] - samples[0]).max(-1) * len(samples) / (len(samples) - 1)
        masked: np.ma.MaskedArray = np.ma.masked_array(extent, ~seen)
        return np.ma.median(masked, axis=-1).filled(np.nan)

    def _plan(
        self, patterns: dict[int, list[NDArray]], seen: NDArray[np.bool_], footprint: NDArray[np.float64]
    ) -> None:
        """Lays out the sample points of all rows, with `footprint` [R] ascending."""
        ends = np.searchsorted(footprint, list(LARGEST_FOOTPRINT.values()))
        self._groups = list(zip(SAMPLES, np.concatenate([[0], ends[:-1]]).tolist(), ends.tolist()))
        points, levels = [], []
        for count, start, end in self._groups:
            view, row = self._view[start:end], self._row[start:end]
            level = np.floor(np.log2(footprint[start:end] / (count * RESOLUTION))).clip(0, LEVELS - 1)
            levels.append(np.repeat(level.astype(np.int64), count))
            chosen = np.stack([pattern[view, row] for pattern in patterns[count]], axis=1)  # [R, count, w, 2]
            chosen = np.where(seen[view, row][:, None, :, None], chosen, NOWHERE)
            points.append(chosen.reshape(-1, *chosen.shape[2:]) / (RESOLUTION * 2.0 ** levels[-1][:, None, None]))
        self._bounds = np.searchsorted(np.concatenate(levels), np.arange(LEVELS + 1)).tolist()  # of the levels in:
        self._points = np.concatenate(points).astype(np.float32)  # [S, w, 2]

    def extent(self) -> NDArray[np.float64]:
        """From the left to the right and from the top to the bottom of every pixel on the ground, [V, h, w, 2, 2] [m],
        as if it went on for ever where a side lies out of range."""
        left, right, top, bottom = (
            self._ground(pixel_rays(self._rig, self.layout_size, *place))[..., :2]
            for place in ((0.5, 0.0), (0.5, 1.0), (0.0, 0.5), (1.0, 0.5))
        )
        return np.nan_to_num(np.stack([right - left, bottom - top], axis=-2), nan=GROUND_RANGE)

    def ground_inverse_depth(self, scale: float) -> NDArray[np.uint8]:
        """Inverse distance of the ground [V, h, w], `scale` [m] or nearer is 255; 0 where no ground is seen."""
        distance = np.linalg.norm(self.ground_points - self.centres[:, None, None], axis=-1)
        return np.round(255.0 * np.minimum(scale / np.nan_to_num(distance, nan=np.inf), 1.0)).astype(np.uint8)

    def sample(self, pyramid: CoveragePyramid, pose: NDArray[np.float64], out: NDArray[np.uint64]) -> None:
        """Writes coverage (0..255, one byte per class) into words `out` [V, h, w] for an ego pose [4, 4]."""
        words = np.empty((len(self._row), out.shape[-1]), np.uint64)
        samples = np.empty((self._bounds[-1], words.shape[-1]), np.uint64)
        for level, (start, end) in enumerate(zip(self._bounds[:-1], self._bounds[1:])):
            if end > start:
                pyramid.cells_at(level, self._points[start:end], pose, samples[start:end])
        begin = 0
        for count, start, end in self._groups:
            group = samples[begin : begin + count * (end - start)].reshape(end - start, count, words.shape[-1])
            np.left_shift(group.sum(1) if count > 1 else group[:, 0], _SHIFT[count], out=words[start:end])
            begin += count * (end - start)
        out[self._view, self._row] = _full_range(words)


class BirdsEyeView:
    """Ego-aligned raster of the map classes: `cells` x `cells` around the ego, x forward is up, y left is left."""

    def __init__(self, extent: float = 50.0, cells: int = 200) -> None:
        step = 2.0 * extent / cells
        forward = extent - step * (np.arange(cells) + 0.5)
        self._level = int(np.clip(np.log2(step / RESOLUTION), 0, LEVELS - 1))
        grid = np.meshgrid(forward, forward, indexing="ij")
        self._points = (np.stack(grid, axis=-1) / (RESOLUTION * 2.0**self._level)).astype(np.float32)

    def sample(self, pyramid: CoveragePyramid, pose: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Coverage [8, cells, cells] (0..255) for an ego pose [4, 4]."""
        words = _full_range(pyramid.cells_at(self._level, self._points, pose) << np.uint64(2))
        return np.stack(cv2.split(words.view(np.uint8).reshape(*words.shape, len(MAP_CLASSES))))


def pixel_rays(rig: CameraRig, size: tuple[int, int], row: float = 0.5, column: float = 0.5) -> NDArray[np.float64]:
    """Viewing directions [V, h, w, 3] in the ego frame with unit z-depth, through (row, column) of every pixel."""
    h, w = size
    k = rig.resized(size).intrinsics
    u, v = np.meshgrid(np.arange(w) + column, np.arange(h) + row)
    pixel = np.stack([u, v, np.ones_like(u)], axis=-1)  # [h, w, 3]
    camera = np.einsum("vij,hwj->vhwi", np.linalg.inv(k), pixel)
    return np.einsum("vij,vhwj->vhwi", rig.extrinsics[:, :3, :3], camera)
