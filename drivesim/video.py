"""Pictures and films of a drive: six cameras in ring layout, the bird's-eye view and a panel of what is going on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from drivesim.birdseye import View, draw_birdseye
from drivesim.scene import CAMERAS, Scene

# The ring in two rows, so that each row is one continuous panorama.
MOSAIC = (CAMERAS[:3], CAMERAS[3:])
TILE = (162, 288)  # (height, width) of one camera [px]
PANEL_HEIGHT = 160  # [px]
SIZE = (2 * TILE[0] + PANEL_HEIGHT, 4 * TILE[1])  # (height, width) of the whole picture [px]
HISTORY = 240  # steps shown by the curves

_INK = (232, 234, 237)
_DIM = (140, 146, 154)
_PANEL = (20, 22, 26)
_ACCENT = (64, 196, 170)
_ALERT = (236, 96, 84)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass
class Panel:
    """What the panel under the cameras says. `speeds` and `rewards` are the drive so far."""

    title: str = ""
    time: float = 0.0  # [s]
    action: Sequence[float] = ()
    acceleration: float = 0.0  # [m/s^2]
    steering: float = 0.0  # [rad]
    events: Sequence[str] = ()
    terms: Mapping[str, float] = field(default_factory=dict)
    speeds: Sequence[float] = (0.0,)  # [m/s]
    rewards: Sequence[float] = (0.0,)


def compose(
    frames: Mapping[str, NDArray[np.uint8]] | None, scene: Scene, route: NDArray[np.float64] | None, panel: Panel
) -> NDArray[np.uint8]:
    """The whole picture [484, 1152, 3]; `frames` maps camera names to [H, W, 3], None draws empty tiles."""
    picture = np.empty((*SIZE, 3), np.uint8)
    for row, names in enumerate(MOSAIC):
        for column, name in enumerate(names):
            top, left = row * TILE[0], column * TILE[1]
            picture[top : top + TILE[0], left : left + TILE[1]] = _tile(name, (frames or {}).get(name))
    picture[:, 3 * TILE[1] :] = draw_birdseye(scene, route, View((SIZE[0], TILE[1])))
    _draw_panel(picture[2 * TILE[0] :, : 3 * TILE[1]], panel)
    return picture


def camera_dict(frames: NDArray[np.uint8], names: Sequence[str] = CAMERAS) -> dict[str, NDArray[np.uint8]]:
    """Frames [V, H, W, 3] by camera name."""
    return dict(zip(names, frames, strict=True))


def _tile(name: str, frame: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    tile = np.full((*TILE, 3), 34, np.uint8)
    if frame is not None:
        cv2.resize(frame, TILE[::-1], dst=tile, interpolation=cv2.INTER_CUBIC)
    label = name.removeprefix("CAM_").replace("_", " ").lower()
    cv2.putText(tile, label, (8, TILE[0] - 8), _FONT, 0.38, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(tile, label, (8, TILE[0] - 8), _FONT, 0.38, _INK, 1, cv2.LINE_AA)
    tile[-1:], tile[:, -1:] = _PANEL, _PANEL
    return tile


def _draw_panel(area: NDArray[np.uint8], panel: Panel) -> None:
    area[:] = _PANEL
    speed = panel.speeds[-1] if panel.speeds else 0.0
    _text(area, f"{3.6 * speed:.0f}", (24, 70), 1.7, _INK, 2)
    _text(area, "km/h", (28, 92), 0.45, _DIM)
    _text(area, f"{panel.time:6.2f} s", (24, 122), 0.45, _DIM)
    _text(area, panel.title[:28], (24, 146), 0.42, _DIM)
    _draw_controls(area, panel)
    _draw_curve(area, (372, 14, 222, 60), "speed [km/h]", [3.6 * v for v in panel.speeds], (0.0, 60.0))
    _draw_curve(area, (372, 88, 222, 60), "reward", panel.rewards, (-1.0, 1.0))
    _draw_terms(area, panel)


def _draw_controls(area: NDArray[np.uint8], panel: Panel) -> None:
    _text(area, "action  " + "  ".join(f"{value:+.2f}" for value in panel.action[:2]), (150, 28), 0.45, _INK)
    _draw_bar(area, (150, 52), f"acceleration {panel.acceleration:+.1f} m/s2", panel.acceleration / 5.0)
    _draw_bar(area, (150, 92), f"steering {np.rad2deg(panel.steering):+.1f} deg", -panel.steering / 0.5)
    if panel.events:
        _text(area, ", ".join(panel.events)[:30], (150, 146), 0.45, _ALERT)


def _draw_bar(area: NDArray[np.uint8], corner: tuple[int, int], label: str, value: float) -> None:
    """A bar that grows from its middle; `value` in [-1, 1], positive to the right."""
    (x, y), half = corner, 92
    _text(area, label, (x, y), 0.4, _DIM)
    cv2.rectangle(area, (x, y + 8), (x + 2 * half, y + 16), (44, 48, 54), -1)
    tip = x + half + int(half * min(max(value, -1.0), 1.0))
    cv2.rectangle(area, (min(x + half, tip), y + 8), (max(x + half, tip), y + 16), _ACCENT, -1)


def _draw_curve(
    area: NDArray[np.uint8],
    box: tuple[int, int, int, int],
    label: str,
    values: Sequence[float],
    limits: tuple[float, float],
) -> None:
    x, y, width, height = box
    low, high = limits
    cv2.rectangle(area, (x, y), (x + width, y + height), (30, 33, 38), -1)
    recent = np.asarray(values[-HISTORY:], float)
    u = x + width - (len(recent) - 1 - np.arange(len(recent))) * width / HISTORY
    v = y + height - np.clip((recent - low) / (high - low), 0.0, 1.0) * height
    cv2.polylines(area, [np.stack([u, v], -1).round().astype(np.int32)], False, _ACCENT, 1, cv2.LINE_AA)
    _text(area, label, (x + 6, y + 14), 0.36, _DIM)


def _draw_terms(area: NDArray[np.uint8], panel: Panel) -> None:
    _text(area, f"reward {panel.rewards[-1] if panel.rewards else 0.0:+.2f}", (620, 28), 0.45, _INK)
    for line, (name, value) in enumerate(panel.terms.items()):
        _text(area, name.replace("_", " "), (620, 54 + 20 * line), 0.4, _DIM)
        _text(area, f"{value:+.2f}", (760, 54 + 20 * line), 0.4, _ALERT if value <= -1.0 else _INK)


def _text(
    area: NDArray[np.uint8],
    text: str,
    corner: tuple[int, int],
    scale: float,
    color: tuple[int, int, int],
    thickness: int = 1,
) -> None:
    cv2.putText(area, text, corner, _FONT, scale, color, thickness, cv2.LINE_AA)


class VideoWriter:
    """H.264 film (yuv420p, plays everywhere), written next to `path` and given that name when it is complete."""

    def __init__(self, path: str | Path, fps: float = 12.0, quality: int = 20) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() != ".mp4":
            raise ValueError(f"video: found {str(path)!r}, accepted a path that ends in .mp4")
        if not self.path.parent.is_dir():
            raise ValueError(f"video: found no folder {str(self.path.parent)!r}, accepted an existing one")
        self._partial = self.path.with_name(f".{self.path.stem}.partial.mp4")
        self._container = av.open(str(self._partial), mode="w")
        self._stream = self._container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
        self._stream.pix_fmt = "yuv420p"
        self._size: tuple[int, int] | None = None
        self._stream.options = {"crf": str(quality), "preset": "veryfast"}

    def write(self, picture: NDArray[np.uint8]) -> None:
        """Appends one picture [H, W, 3] with even height and width; all of one size."""
        size = picture.shape[0], picture.shape[1]
        if size[0] % 2 or size[1] % 2:
            raise ValueError(f"video: found a picture of {size}, accepted even height and width")
        if self._size is None:
            self._size = self._stream.height, self._stream.width = size
        if size != self._size:
            raise ValueError(f"video: found a picture of {size} after one of {self._size}, accepted one size")
        for packet in self._stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")):
            self._container.mux(packet)

    def close(self) -> None:
        """Finishes the film and gives it its name."""
        for packet in self._stream.encode(None):
            self._container.mux(packet)
        self._container.close()
        self._partial.replace(self.path)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._container.close()
            self._partial.unlink(missing_ok=True)


def write_video(path: str | Path, pictures: Iterable[NDArray[np.uint8]], fps: float = 12.0) -> None:
    """Writes pictures [H, W, 3] as an H.264 film."""
    with VideoWriter(path, fps) as writer:
        for picture in pictures:
            writer.write(picture)
