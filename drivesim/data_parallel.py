"""Several training processes that act as one: each takes its rows of the batch, gradients are averaged.

Processes are started by `torchrun`; without it all of this does nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

Value = TypeVar("Value")


def processes() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Which of them this one is, from 0; the first is the one that writes."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def own_rows(batch: Value) -> Value:
    """This process's part of a batch: rows of all tensors in it, however they are nested.

    Raises ValueError where rows cannot be shared evenly.
    """
    return rows_of(batch, rank(), processes())


def rows_of(value: Any, part: int, parts: int) -> Any:
    """Rows of one of so many equal parts of all tensors [N, ...] in mappings, sequences and dataclasses."""
    if parts == 1:
        return value
    if isinstance(value, Tensor):
        if not value.dim() or len(value) % parts:
            raise ValueError(f"batch: found a tensor of shape {tuple(value.shape)}, accepted rows that {parts} "
                             "processes can share evenly")  # fmt: skip
        size = len(value) // parts
        return value[part * size : (part + 1) * size]
    if isinstance(value, Mapping):
        return {name: rows_of(item, part, parts) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(rows_of(item, part, parts) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: rows_of(getattr(value, f.name), part, parts) for f in fields(value)})
    return value


def joined(values: Sequence[Any]) -> Any:
    """What `rows_of` took apart, from its parts in order; what is no tensor is that of the first part."""
    first = values[0]
    if isinstance(first, Tensor):
        return first if len(values) == 1 else torch.cat(list(values))
    if isinstance(first, Mapping):
        return {name: joined([value[name] for value in values]) for name in first}
    if isinstance(first, (list, tuple)):
        return type(first)(joined(items) for items in zip(*values, strict=True))
    return first


def gathered(value: Any) -> Any:
    """The parts of all processes joined, in the first of them; None in the others."""
    if processes() == 1:
        return value
    parts: list[Any] | None = [None] * processes() if rank() == 0 else None
    distributed.gather_object(value, parts)
    return None if parts is None else joined(parts)


def begin_alike(module: nn.Module) -> None:
    """Gives all processes the weights and buffers of the first."""
    if processes() > 1:
        for tensor in [*module.parameters(), *module.buffers()]:
            value = tensor.detach().contiguous()  # which channels-last weights are not
            distributed.broadcast(value, 0)
            tensor.detach().copy_(value)


def decided(choice: bool) -> bool:
    """What the first process chose, for all to do the same."""
    if processes() == 1:
        return choice
    flag = torch.tensor([choice])
    distributed.broadcast(flag, 0)
    return bool(flag)


def mean(value: float) -> float:
    """Mean over the processes."""
    if processes() == 1:
        return value
    total = torch.tensor([value], dtype=torch.float64)
    distributed.all_reduce(total)
    return float(total) / processes()


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Mean gradients over the processes: those of a loss that is a mean over the rows of the whole batch.

    A parameter that one process did not use counts as zero there; one that nobody used keeps no gradient.
    """
    if processes() == 1:
        return
    trained = [p for p in parameters if p.requires_grad]
    users = torch.tensor([float(p.grad is not None) for p in trained])
    distributed.all_reduce(users)
    gradients = []
    for parameter, count in zip(trained, users.tolist(), strict=True):
        if count:
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            gradients.append(parameter.grad)
    if not gradients:
        return
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= processes()
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view(gradient.shape))
