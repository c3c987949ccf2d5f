# SPDX-License-Identifier: GPL-3.0-or-later
"""The Lightning module that pre-training and fine-tuning share."""

from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torchmetrics import MeanMetric

from gr_tsddae.train.config import RunConfig, plain
from gr_tsddae.train.learn.schedule import optimiser_of, schedule_of
from gr_tsddae.train.windows.feed import Batch, seed_of

VALIDATION_LOSS = "validation_loss"


class Method(pl.LightningModule):
    """A network, its loss and its optimiser.

    Every random number of a step depends on seed, step and process only, so that a resumed run
    goes on as if it had never stopped.
    """

    def __init__(self, config: RunConfig, network: nn.Module):
        super().__init__()
        self.config = config
        self.network = network
        self.finished = False  # set when the run has reached its end
        self._step_loss = torch.zeros(())
        self._validation_loss = MeanMetric()

    def compile_networks(self) -> None:
        """Compile the networks of a step; torch does so when the first step runs."""
        self.network.compile()

    def loss(self, rows: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Compute the mean loss of a batch, a scalar with a gradient."""
        raise NotImplementedError

    def configure_optimizers(self) -> dict[str, Any]:
        optimiser = optimiser_of(self.config.optimiser, self.parameters())
        schedule = schedule_of(
            self.config.optimiser, optimiser, steps=int(self.trainer.estimated_stepping_batches)
        )
        # Lightning's own handling of plateaus is off: it passes on a validation loss only after the
        # checkpoint that follows the validation.
        return {
            "optimizer": optimiser,
            "lr_scheduler": {
                "scheduler": schedule, "interval": "step", "reduce_on_plateau": False,
            },
        }  # fmt: skip

    def lr_scheduler_step(self, scheduler: LRScheduler, metric: Any) -> None:
        if not isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step()
        elif self.config.patience_in_steps:
            # Every process must halve its rate at the same step.
            scheduler.step(self.trainer.strategy.reduce(self._step_loss, reduce_op="mean").item())

    def configure_gradient_clipping(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        # Lightning's own clipping refuses a fused optimiser in mixed precision, since with float16
        # the optimiser scales gradients itself. bfloat16 needs no scaling.
        if norm := self.config.optimiser.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.parameters(), norm)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        seed = self.config.trainer.seed
        torch.manual_seed(seed_of("step", seed, self.global_step, self.global_rank))

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        loss = self.loss(*batch)
        self._step_loss = loss.detach()
        return loss

    def on_validation_epoch_start(self) -> None:
        # A loss that draws noise draws the same at each validation.
        torch.manual_seed(seed_of("validation", self.config.trainer.seed, self.global_rank))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._validation_loss.update(self.loss(*batch).detach(), weight=len(batch[0]))

    def on_validation_epoch_end(self) -> None:
        loss = self._validation_loss.compute()  # over all processes
        self._validation_loss.reset()
        self.log(VALIDATION_LOSS, loss, rank_zero_only=False)
        schedule = self.lr_schedulers()
        if isinstance(schedule, ReduceLROnPlateau) and not self.config.patience_in_steps:
            schedule.step(loss.item())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["config"] = plain(self.config)
        checkpoint["finished"] = self.finished
