"""The paper's complete network: the prior guides the denoising U-Net, at every step anew."""

from __future__ import annotations

from torch import Tensor, nn

from rs_superres.nets.prior import PaperPrior
from rs_superres.nets.unet import UNet


class NeurOpDiff(nn.Module):
    """NeurOp-Diff (arXiv 2501.09054): an SRNO prior and the SR3 U-Net that it guides."""

    def __init__(self, prior: PaperPrior, unet: UNet) -> None:
        super().__init__()
        self.prior = prior
        self.unet = unet

    def predict_noise(self, x: Tensor, prior: Tensor, level: Tensor) -> Tensor:
        """The noise in ``x``: spec section 2.

        Args:
            x: (b, 3, h, w) noisy image.
            prior: (b, 3, h, w) in [-1, 1].
            level: (b, 1) g = sqrt(a).

        Returns:
            (b, 3, h, w).
        """
        noise: Tensor = self.unet(x, prior, level)
        return noise
