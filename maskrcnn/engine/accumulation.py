"""How the micro-batches of an optimiser step are put together."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


class Accumulation:
    """What `trainer.accumulate_grad_batches` micro-batches count in their optimiser step.

    Args:
        exact: false: each counts the same, as it has as many pictures, and each of its losses is a mean of its own.
            True: losses are means over the regions of all of them, as of one large batch. That takes a forward pass
            more for each, without heads and gradients, because what is counted depends on the proposals.
    """

    def __init__(self, *, exact: bool) -> None:
        self.exact = exact

    def window(self, batches: int, model: nn.Module) -> int:
        """Micro-batches to be looked at before the first of them is trained on.

        Args:
            batches: of an optimiser step; model: that learns from them.

        Raises:
            ValueError: exact is asked of a model with batch norm, whose statistics are of a micro-batch.
        """
        if not self.exact or batches == 1:
            return 1
        refuse_batch_norm(model, "accumulation.exact=true", "accumulation.exact=false")
        return batches


def refuse_batch_norm(model: nn.Module, wish: str, instead: str) -> None:
    """Makes sure that a part of a batch gives what it gives within the whole.

    Args:
        model: that learns; wish: the setting that needs it, instead: the one that does not.

    Raises:
        ValueError: a layer is a batch norm.
    """
    for name, part in model.named_modules():
        if isinstance(part, _BatchNorm):
            raise ValueError(
                f"{wish}, but model.{name} is a batch norm, whose statistics are of a micro-batch: choose norm=group, "
                f"frozen or null for backbone, neck and heads, or {instead}"
            )
