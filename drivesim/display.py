"""A window on the screen for `render_mode="human"`."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

_LOGGER = logging.getLogger("drivesim")


class Window:
    """Shows pictures [H, W, 3] in a matplotlib window; where there is no screen it says so once and shows nothing."""

    def __init__(self, title: str) -> None:
        import matplotlib.pyplot as plt

        self._plt = plt
        self._figure = None
        backend = plt.get_backend()
        if backend.lower() in ("agg", "pdf", "ps", "svg", "cairo", "template"):
            _LOGGER.warning(
                'render_mode="human": found no screen (matplotlib backend %r), nothing will be shown; '
                'accepted a display with an interactive backend such as TkAgg, or render_mode="rgb_array"',
                backend,
            )
            return
        self._figure, axes = plt.subplots(num=title, figsize=(11.52, 4.84))
        axes.set_axis_off()
        self._figure.subplots_adjust(0, 0, 1, 1)
        self._image = axes.imshow(np.zeros((2, 2, 3), np.uint8), aspect="auto")
        plt.show(block=False)

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Replaces the picture and lets the window react."""
        if self._figure is not None:
            self._image.set_data(picture)
            self._figure.canvas.draw_idle()
            self._plt.pause(0.001)

    def close(self) -> None:
        """Closes the window."""
        if self._figure is not None:
            self._plt.close(self._figure)
