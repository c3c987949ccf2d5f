# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows in, probabilities and embeddings out."""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import softmax

from gr_tsddae import zoo
from gr_tsddae.inference.decision import Decider, Decision, Origin
from gr_tsddae.inference.engines import Engine, resolve_engine
from gr_tsddae.inference.engines.openvino import OpenVino
from gr_tsddae.inference.rejection import rejection_of
from gr_tsddae.inference.runner import Runner
from gr_tsddae.iq.windows import cut
from gr_tsddae.labels import NOISE
from gr_tsddae.nets.classifier import Encoder
from gr_tsddae.nets.heads import TSNetClassifier
from gr_tsddae.nets.tsnet.folded import FoldedTSNet

log = logging.getLogger(__name__)

# In bfloat16, windows whose two likeliest classes are closer than this factor are looked at again
# in float32. Of 8192 windows of the recipe `live`, labels of 0.28 % (amc-mini) and 0.33 %
# (amc-small) differ in bfloat16; with it 0.02 % and 0.04 %, and 3 % are looked at twice.
NEAR_TIE = float(np.exp(0.05))


@dataclass(frozen=True)
class Recognition:
    """The answer of `Recognizer.predict` about a piece of IQ.

    Attributes:
        decision: On the whole piece.
        window_probabilities: float32 (B, K), one row per window.
        first_samples: int64 (B,), where each window starts.
        window_scores: float32 (B,), higher where the model knows a window less; None where its
            card does not say how it tells unknown signals.
    """

    decision: Decision
    window_probabilities: np.ndarray
    first_samples: np.ndarray
    window_scores: np.ndarray | None = None

    @property
    def label(self) -> str:
        return self.decision.label

    @property
    def confidence(self) -> float:
        return self.decision.confidence

    @property
    def probabilities(self) -> dict[str, float]:
        return self.decision.probabilities


class Recognizer(Runner):
    """A classifier, ready to recognise windows.

    Deterministic: no noise is drawn, and the same call gives the same probabilities on the same
    machine, to the last bit while the same `engine` runs. Passes through the network come in a few
    fixed sizes, the last one padded.

    Args:
        model: Name or folder, see `zoo.find`.
        device: "auto" (a GPU when torch sees one), "cpu", "cuda", "cuda:1", ...
        precision: "auto" (bfloat16 where the hardware multiplies it fast), "float32", "bfloat16".
        batch_windows: Most windows per pass through the network; None takes what suits the
            network's size and the device.
        engine: How a TS-Net runs, see docs/speed.md: "eager"; "openvino" (on a CPU); "compiled"
            (by torch.compile); "graphs" (CUDA graphs, compiled as well); "auto" (eager, on a GPU
            graphs; once the network has worked for 5 s on a CPU OpenVINO; where that is not
            installed, and on a GPU, compiled after 20 s). "openvino" is ready before the first
            window. The others begin at once and change over when the faster one is ready, at
            which the last digits of probabilities change. Other networks run eager.

    Raises:
        zoo.ModelError: If the model cannot be loaded.
        ValueError: For a device that is not there, or an unknown precision or engine.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "amc-nano",
        *,
        device: str = "auto",
        precision: str = "auto",
        batch_windows: int | None = None,
        engine: str = "auto",
    ):
        loaded = zoo.load(model)
        zoo.need_classes(loaded.card)
        self.rejection = rejection_of(loaded.card)
        if self.rejection is not None and type(loaded.network).vote is not Encoder.vote:
            raise zoo.ModelMismatchError(
                f"{loaded.card.name} is a {loaded.card.network}, which judges a window's parts and "
                "has no score of unknown signals; remove rejection from its card"
            )
        self._engine: Engine | None = None  # of a TS-Net
        super().__init__(loaded, device=device, precision=precision, batch_windows=batch_windows)
        self._engine_wanted = resolve_engine(engine, self._device)
        self.warm_up()
        self._start_engine()

    @property
    def engine(self) -> str:
        """What runs now: "eager", "openvino", "compiled", "graphs" or "compiled graphs"."""
        return "eager" if self._engine is None else self._engine.running

    @property
    def engine_wanted(self) -> str:
        """The engine to ask for to get such a recogniser again, on the device it is on now."""
        lost = self._engine_wanted == "graphs" and self._device.type == "cpu"
        return "auto" if lost else self._engine_wanted

    def _prepared(self, device: torch.device) -> torch.nn.Module:
        self._engine = None
        self._exact: FoldedTSNet | None = None
        if not isinstance(self._float_network, TSNetClassifier):
            return super()._prepared(device)
        if self._dtype != torch.float32:
            self._exact = FoldedTSNet(self._float_network, self.window_samples).to(device)
        return (
            FoldedTSNet(self._float_network, self.window_samples)
            .to(device)
            .to_precision(self._dtype)
        )

    def _start_engine(self) -> None:
        if not isinstance(self._network, FoldedTSNet):
            return
        step = self.step_windows
        # Whole steps, as `_run` pads them; a busy stream fills the last one.
        counts = 1, max(1, self.batch_windows // 4), self.batch_windows
        sizes = {step * -(-count // step) for count in counts}
        self._engine = Engine(
            self.engine_wanted, self._network, self._scale, tuple(sorted(sizes)), self._exact
        )

    @property
    def classes(self) -> tuple[str, ...]:
        return self.card.classes

    def warm_up(self) -> None:
        """Run once on silence, so that the first real batch is as fast as the next."""
        self.window_probabilities(self._silent_batch())

    def window_probabilities(self, windows: np.ndarray) -> np.ndarray:
        """Compute class probabilities of windows.

        Args:
            windows: complex64, (B, L); not changed. All samples finite. Windows of zeros alone are
                `noise` where the model has that class, else all classes alike.

        Returns:
            float32, (B, K), rows add up to 1.

        Raises:
            ValueError: For another shape.
        """
        self._check_windows(windows)
        found = np.empty((len(windows), len(self.classes)), np.float32)
        self._change_over()
        began = time.perf_counter()
        if not self._filled_at_once(found, windows):
            self._fill(
                found,
                lambda rows: self._network(self._scale(rows)).float().softmax(1),
                windows,
            )
        self._settle_near_ties(found, windows)
        self._worked_since(began)
        found[~windows.any(1)] = self._silence()
        return found

    def judge(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Compute class probabilities of windows, and how little the model knows them.

        Args:
            windows: As for `window_probabilities`.

        Returns:
            Probabilities, float32 (B, K). And scores to compare with `rejection.threshold`, float32
            (B,); None where the card does not say how the model tells unknown signals. A window of
            zeros alone has the threshold itself for a score: it tells neither way.

        Raises:
            ValueError: For another shape.
        """
        if self.rejection is None:
            return self.window_probabilities(windows), None
        logits = self._logits(self.embed(windows))
        found = softmax(logits, axis=1)
        self._settle_near_ties(found, windows)
        scores = self.rejection.score(logits).astype(np.float32)
        silent = ~windows.any(1)
        found[silent] = self._silence()
        scores[silent] = self.rejection.threshold
        return found, scores

    def decider(self, interval_samples: int, confidence_threshold: float = 0.0) -> Decider:
        """Make a decider for what `judge` says.

        Args:
            interval_samples: Span of one decision.
            confidence_threshold: Under it the label is "unknown".
        """
        return Decider(
            model=self.card.name,
            classes=self.classes,
            window_samples=self.window_samples,
            interval_samples=interval_samples,
            confidence_threshold=confidence_threshold,
            rejection_threshold=self.rejection and self.rejection.threshold,
            pauses_db=self.card.pauses_db,
        )

    @torch.inference_mode()
    def _logits(self, features: np.ndarray) -> np.ndarray:
        """Put the head on features, in float32: (B, E) -> (B, K)."""
        return self._float_network.head(torch.from_numpy(features)).numpy()

    def _filled_at_once(self, found: np.ndarray, windows: np.ndarray) -> bool:
        """Fill by CUDA graphs or OpenVINO; return False without either, or when the GPU is gone."""
        graphs = None if self._engine is None else self._engine.graphs
        if graphs is None:
            return self._filled_by_openvino(OpenVino.fill, found, windows)
        try:
            graphs.fill(found, windows)
        except RuntimeError as error:
            self._leave_device(error)
            return False
        return True

    def _filled_by_openvino(
        self,
        fill: Callable[[OpenVino, np.ndarray, np.ndarray], None],
        found: np.ndarray,
        windows: np.ndarray,
    ) -> bool:
        """Fill by OpenVINO; return False without it, or when it fails."""
        openvino = None if self._engine is None else self._engine.openvino
        if openvino is None:
            return False
        try:
            fill(openvino, found, windows)
        except RuntimeError as error:
            self._engine.leave_openvino(error)
            return False
        return True

    def _leave_device(self, error: RuntimeError) -> None:
        super()._leave_device(error)
        self._start_engine()  # the CPU's

    def _settle_near_ties(self, found: np.ndarray, windows: np.ndarray) -> None:
        """Compute windows again in float32 where bfloat16 cannot tell two classes apart."""
        if self._exact is None or found.shape[1] < 2:  # one class has no rival
            return
        second, first = np.partition(found, -2, axis=1)[:, -2:].T
        close = first < second * NEAR_TIE
        if close.any():
            found[close] = self._exactly(windows[close])

    def _exactly(self, windows: np.ndarray) -> np.ndarray:
        """Compute probabilities of windows in float32."""
        found = np.empty((len(windows), len(self.classes)), np.float32)
        if not self._filled_by_openvino(OpenVino.fill_exact, found, windows):
            self._fill(
                found,
                # Without a GPU any more, the network itself is float32.
                lambda rows: (self._exact or self._network)(self._scale(rows)).float().softmax(1),
                windows,
            )
        return found

    def _worked_since(self, began: float) -> None:
        if self._engine is not None:
            self._engine.worked(time.perf_counter() - began)

    def _change_over(self) -> None:
        """Take the compiled network, once there is one."""
        if self._engine is not None and self._engine.compiled is not None:
            self._network = self._engine.compiled

    def _silence(self) -> np.ndarray:
        """Give probabilities (K,) for digital silence, which the network cannot see."""
        if NOISE in self.classes:
            return np.eye(len(self.classes), dtype=np.float32)[self.classes.index(NOISE)]
        return np.full(len(self.classes), 1 / len(self.classes), np.float32)

    @property
    def embedding_size(self) -> int:
        """E, the length of the vectors of `embed`."""
        return self._float_network.feature_size

    def embed(self, windows: np.ndarray) -> np.ndarray:
        """Compute the network's embeddings of windows, averaged over time.

        Windows that look alike to the network lie close together, whether or not it has a class
        for them.

        Args:
            windows: complex64, (B, L); not changed. All samples finite.

        Returns:
            float32, (B, E); temporal embedding first, then the spectral one.

        Raises:
            ValueError: For another shape.
        """
        self._check_windows(windows)
        self._change_over()
        began = time.perf_counter()
        found = np.empty((len(windows), self.embedding_size), np.float32)
        if not self._filled_by_openvino(OpenVino.fill_features, found, windows):
            self._fill(found, lambda rows: self._network.embed(self._scale(rows)).float(), windows)
        self._worked_since(began)
        return found

    def predict(
        self,
        iq: np.ndarray,
        *,
        hop_samples: int | None = None,
        confidence_threshold: float = 0.0,
    ) -> Recognition:
        """Recognise a piece of IQ.

        Args:
            iq: Complex, (N,), at least one window long; any level, one signal near 0 Hz, at the
                rate that the card wants (amc-nano: 8 samples per symbol).
            hop_samples: Distance between windows; the window length when None.
            confidence_threshold: Under it the label is "unknown". It is "unknown" as well where the
                model's card says how it tells unknown signals, and this is one.

        Raises:
            ValueError: If `iq` is shorter than a window, is not complex, or holds no window of
                finite samples; when the hop is under 1.
        """
        iq = np.asarray(iq)
        if not np.iscomplexobj(iq):
            raise ValueError(f"iq is {iq.dtype}: complex samples are needed, I + jQ")
        iq = iq.astype(np.complex64, copy=False)
        hop_samples = self.window_samples if hop_samples is None else hop_samples
        windows = cut(iq, self.window_samples, hop_samples)
        if not len(windows):
            raise ValueError(
                f"iq has {len(iq)} samples: {self.card.name} needs at least one window of "
                f"{self.window_samples}"
            )
        first_samples = np.arange(len(windows)) * hop_samples
        finite = np.isfinite(windows).all(1)
        if not finite.any():
            raise ValueError(f"all {len(windows)} windows hold NaN or infinite samples")
        if not finite.all():
            log.warning(
                "left out %d of %d windows with NaN or infinite samples",
                int((~finite).sum()),
                len(finite),
            )
            windows, first_samples = windows[finite], first_samples[finite]
        probabilities, scores = self.judge(windows)
        decider = self.decider(max(1, len(iq)), confidence_threshold)
        decided = decider.add(probabilities, first_samples, Origin(), scores, windows)
        decided = decided or decider.flush()
        return Recognition(decided[0], probabilities, first_samples, scores)
