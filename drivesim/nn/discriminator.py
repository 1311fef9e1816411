"""A judge of latents: does this patch look like a true picture of that layout?"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import pixel_unshuffle, relu
from torch.nn.utils.parametrizations import spectral_norm


class LatentDiscriminator(nn.Module):
    """Logits [N, P] of patches of two sizes for latents [N, C, h, w] under a layout [N, L, H, W]; spectrally normed.

    One logit for every 2 x 2 latent pixels, which sees what is near (an edge, a window), and one for every 4 x 4.
    """

    def __init__(self, latent_channels: int, layout_channels: int, stride: int, width: int = 96) -> None:
        super().__init__()
        self.stride = stride
        self.layout = nn.Conv2d(layout_channels * stride**2, width // 2, 1)
        self.near = nn.Sequential(
            spectral_norm(nn.Conv2d(latent_channels + width // 2, width, 3, padding=1)), nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)), nn.LeakyReLU(0.2),
        )  # fmt: skip
        self.far = nn.Sequential(
            spectral_norm(nn.Conv2d(2 * width, 2 * width, 4, stride=2, padding=1)), nn.LeakyReLU(0.2)
        )
        self.verdicts = nn.ModuleList(spectral_norm(nn.Conv2d(2 * width, 1, 3, padding=1)) for _ in range(2))

    def forward(self, latents: Tensor, layout: Tensor) -> Tensor:
        """Logits: positive for true, negative for generated."""
        known = self.layout(pixel_unshuffle(layout, self.stride))
        near = self.near(torch.cat([latents, known], dim=1))
        seen = (near, self.far(near))
        return torch.cat([judge(x).flatten(1) for judge, x in zip(self.verdicts, seen, strict=True)], dim=1)

    def frozen(self, latents: Tensor, layout: Tensor) -> Tensor:
        """The same logits with gradients for the latents alone."""
        weights = {name: p.detach() for name, p in self.named_parameters()}
        return functional_call(self, weights, (latents, layout))


def hinge_loss(real: Tensor, generated: Tensor) -> Tensor:
    """Hinge loss of a discriminator: mean max(0, 1 - D(real)) + mean max(0, 1 + D(generated))."""
    return relu(1.0 - real).mean() + relu(1.0 + generated).mean()


def balanced(term: Tensor, reference: Tensor, output: Tensor, ratio: float) -> Tensor:
    """`term` scaled so that its gradient on `output` is `ratio` times as long as that of `reference`.

    The adaptive weight of VQGAN (Esser et al. 2021, eq. 7), taken at the output of the generator. What lies between
    `output` and `term` is gone through once, here: the result has the gradient that was found, and no other. Where
    `output` learns nothing the term is left as it is.
    """
    if not output.requires_grad:
        return term
    wanted = torch.autograd.grad(reference, output, retain_graph=True)[0].norm()
    found = torch.autograd.grad(term, output, retain_graph=True)[0]
    scale = (ratio * wanted / (found.norm() + 1e-8)).clamp(max=10.0)
    along = (scale * found * output).sum()
    return scale * term.detach() + along - along.detach()
