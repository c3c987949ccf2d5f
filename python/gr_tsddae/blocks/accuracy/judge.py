# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare what a classifier called with the truth, and count what cannot be judged.

Every window and every decision ends in exactly one count. A message may come before the truth of
its samples is known, since stream and messages are on different threads. It waits for the truth.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gr_tsddae.blocks.accuracy.truth import FORGOTTEN, NOTHING, SEVERAL, Truth
from gr_tsddae.inference.metrics import NO_LEVEL, Confusion
from gr_tsddae.labels import UNKNOWN, match_class

WAITING_LIMIT = 1 << 17  # most windows, or decisions, that wait for their truth
LABELS_TOLD = 20


class Said(NamedTuple):
    """Calls of n stretches: `first` sample, int64 (n,), `samples` of each, `called` (n,)."""

    first: np.ndarray
    samples: int
    called: np.ndarray


class Tally:
    """Judge windows, or decisions, of one model after the other.

    Args:
        truth: truth of the stream.
        rename: label of the truth -> class of the model.
        one_level: whether a stretch of several levels is left out; else it counts without level.
    """

    def __init__(self, truth: Truth, rename: Mapping[str, str], *, one_level: bool):
        self._truth, self._rename, self._one_level = truth, rename, one_level
        self._model: tuple[str, tuple[str, ...]] = ("", ())
        self._confusion = Confusion(())
        self._waiting: deque[Said] = deque()
        self._waiting_count = 0
        self._apart: Counter[str] = Counter()
        self._strange: list[str] = []  # labels that are no class of the model

    def hear(self, model: str, classes: tuple[str, ...], said: Said) -> None:
        """Take calls in the order of the stream; `called` is an index into `classes`, or -1.

        Another model starts with empty scores: the accuracy of two models describes neither.
        """
        if (model, classes) != self._model:
            self.judge(everything=True)
            self._apart["of_earlier_models"] += self._confusion.report()["windows"]
            self._model, self._strange = (model, classes), []
            self._confusion = Confusion(classes)
        self._waiting.append(said)
        self._waiting_count += len(said.first)
        self.judge()
        while self._waiting_count > WAITING_LIMIT:
            self._apart["given_up"] += len(self._next().first)

    def judge(self, *, everything: bool = False) -> None:
        """Judge what has its truth by now, or everything, at the end."""
        while self._waiting:
            said = self._waiting[0]
            if not everything and said.first[-1] + said.samples > self._truth.known_until:
                return
            self._judge(self._next())

    def _next(self) -> Said:
        said = self._waiting.popleft()
        self._waiting_count -= len(said.first)
        return said

    def _judge(self, said: Said) -> None:
        label, level = self._truth.over(said.first, said.samples)
        known = said.first + said.samples <= self._truth.known_until
        label = np.where(known, label, NOTHING)
        label = np.where((label >= 0) & (level == FORGOTTEN), FORGOTTEN, label)
        if self._one_level:
            label = np.where((label >= 0) & (level == SEVERAL), SEVERAL, label)
        numbers = self._class_numbers()
        true = np.where(label >= 0, numbers[label.clip(0)], 0)
        reasons = {
            "without_truth": label == NOTHING,
            "of_two_truths": label == SEVERAL,
            "forgotten": label == FORGOTTEN,
            "of_unknown_labels": true < 0,
            "undecided": (label >= 0) & (true >= 0) & (said.called < 0),
        }
        for reason, which in reasons.items():
            self._apart[reason] += int(which.sum())
        judged = ~np.any(list(reasons.values()), axis=0)
        for number in np.unique(label[true < 0]).tolist():
            name = self._truth.names[number]
            if name not in self._strange and len(self._strange) < LABELS_TOLD:
                self._strange.append(name)
        level = np.where(level > FORGOTTEN, level, NO_LEVEL)
        self._confusion.add(true[judged], said.called[judged], level[judged])

    def _class_numbers(self) -> np.ndarray:
        """Map each label of the truth to the model's class; -1 where there is none."""
        names = self._truth.names or [""]
        found = [match_class(self._rename.get(n, n), self._model[1]) for n in names]
        return np.array([-1 if index is None else index for index in found])

    def report(self, noun: str) -> dict[str, Any]:
        """Give the figures of the block's documentation; `noun` is "windows" or "decisions"."""
        scores = self._confusion.report()
        reasons = ("without_truth", "of_two_truths", "of_unknown_labels", "forgotten", "given_up")
        more = ("undecided",) if noun == "decisions" else ()
        counts = {r: self._apart[r] for r in (*reasons, *more, "of_earlier_models")}
        counts["waiting"] = self._waiting_count
        return (
            {noun: scores.pop("windows"), "model": self._model[0]}
            | scores
            | {f"{noun}_{reason}": count for reason, count in counts.items()}
            | {"unknown_labels": list(self._strange)}
        )


class Judge:
    """Compare results and decisions of one classifier with the truth.

    Args:
        truth: of the stream.
        rename: label of the truth -> class of the model.
        among: classes to choose among; empty: all classes of the model.
    """

    def __init__(self, truth: Truth, rename: Mapping[str, str], among: Sequence[str]):
        self._among = tuple(among)
        self.windows = Tally(truth, rename, one_level=True)
        self.decisions = Tally(truth, rename, one_level=False)

    def hear_results(self, about: Mapping[str, Any], probabilities: np.ndarray) -> None:
        """Take one PDU of the classifier's `results`: its metadata, and float32 (B * K,).

        Raises:
            KeyError, TypeError, ValueError: If it is no such message.
        """
        classes = tuple(about["classes"])
        rows = probabilities.reshape(int(about["windows"]), len(classes))
        first = np.asarray(about["first_samples"], np.float64).astype(np.int64)
        if not len(first) or len(first) != len(rows):
            raise ValueError(f"{len(first)} first_samples for {len(rows)} windows")
        columns = self._columns(classes)
        said = Said(first, int(about["window_samples"]), rows[:, columns].argmax(1))
        self.windows.hear(about["model"], tuple(classes[k] for k in columns), said)

    def hear_decision(self, decision: Mapping[str, Any]) -> None:
        """Take one message of the classifier's `decisions`.

        Raises:
            KeyError, TypeError, ValueError: If it is no such message.
        """
        probabilities = decision["probabilities"]
        names = tuple(sorted(probabilities))  # messages do not keep the order of a dictionary
        classes = tuple(names[k] for k in self._columns(names))
        called = int(np.argmax([probabilities[name] for name in classes]))
        if decision["label"] == UNKNOWN:  # below the confidence threshold, so no answer
            called = -1
        first = np.array([int(decision["first_sample"])])
        said = Said(first, int(decision["sample_count"]), np.array([called]))
        self.decisions.hear(decision["model"], classes, said)

    def _columns(self, classes: tuple[str, ...]) -> list[int]:
        if unknown := sorted(set(self._among) - set(classes)):
            raise ValueError(
                f"among names {', '.join(unknown)}, which the model has not; "
                f"its classes: {', '.join(classes)}"
            )
        wanted = self._among or classes
        return [k for k, name in enumerate(classes) if name in wanted]

    def judge(self, *, everything: bool = False) -> None:
        """Judge what has its truth by now, or everything, at the end."""
        for tally in (self.windows, self.decisions):
            tally.judge(everything=everything)

    def report(self) -> dict[str, Any]:
        """Give the figures that the block publishes."""
        return self.windows.report("windows") | {"decisions": self.decisions.report("decisions")}
