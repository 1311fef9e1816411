"""What an environment is made of, from the settings it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drivesim.generators.interface import Generator, load_generator

IMAGE_SIZE = (72, 128)


def name_of(part: object) -> str | None:
    """How a part is called in the settings: by its own name, or by that of its class."""
    return part if part is None or isinstance(part, str) else type(part).__name__


def make_generator(
    generator: str | Generator | None, image_size: Sequence[int] | None, options: Mapping[str, Any]
) -> Generator | None:
    """The generator of that name, or the given one; ValueError for options without a name."""
    if generator is None or not isinstance(generator, str):
        if options:
            raise ValueError(f"generator_options: found {dict(options)}, accepted with the name of a generator only")
        return generator
    size = {} if image_size is None else {"image_size": tuple(image_size)}
    return load_generator(generator, **size, **options)


def picture_size(wanted: Sequence[int] | None, drawn: tuple[int, int] | None) -> tuple[int, int]:
    """(height, width) of the pictures that are observed; ValueError if they are not those that are `drawn`."""
    if wanted is None:
        return drawn or IMAGE_SIZE
    size = tuple(int(side) for side in wanted)
    if len(size) != 2 or min(size) < 8:
        raise ValueError(f"image_size: found {tuple(wanted)}, accepted (height, width) of at least 8 px each")
    if drawn is not None and drawn != size:
        raise ValueError(f"image_size: found {size}, accepted {drawn}, which is what the generator draws")
    return size[0], size[1]
