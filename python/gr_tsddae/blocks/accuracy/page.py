# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the accuracy probe's figures as one page of text."""

from collections.abc import Iterable
from typing import Any


def page(report: dict[str, Any]) -> str:
    """Write the probe's report for people. The block's documentation names the report's keys."""
    lines = [f"TS-DDAE Accuracy Probe, model {report['model'] or 'unknown: nothing was heard'}"]
    lines += ["", *_head("windows", report)]
    if report["accuracy_per_snr"]:
        lines += ["", "SNR (dB)   accuracy"]
        lines += [f"{snr:>8}   {share:>8.1%}" for snr, share in report["accuracy_per_snr"].items()]
    if report["recall"]:
        lines += ["", *_classes(report)]
    lines += ["", *_head("decisions", report["decisions"])]
    if report["errors"]:
        lines += ["", f"errors: {report['errors']}, the last: {report['last_error']}"]
    return "\n".join(lines)


def _head(noun: str, report: dict[str, Any]) -> Iterable[str]:
    if report[noun]:
        yield (
            f"{report['accuracy']:.2%} of {report[noun]:,} {noun} right; macro F1 "
            f"{report['macro_f1']:.3f}"
        )
    else:
        yield f"no {noun} judged"
    for key, count in report.items():
        if key.startswith(f"{noun}_") and count:
            yield f"  not judged: {count:,} {key.removeprefix(noun + '_').replace('_', ' ')}"
    if report["unknown_labels"]:
        yield f"  labels the model does not know: {', '.join(report['unknown_labels'])}"


def _classes(report: dict[str, Any]) -> Iterable[str]:
    width = max(5, *(len(name) for name in report["recall"]))
    yield f"{'class':<{width}}   recall   precision   mostly taken for"
    for name, recall in report["recall"].items():
        row = report["confusion"][report["classes"].index(name)]
        wrong = sorted(
            (-count, called)
            for called, count in zip(report["classes"], row, strict=True)
            if called != name and count
        )
        taken = ", ".join(f"{called} {-count / sum(row):.0%}" for count, called in wrong[:3])
        precision = report["precision"][name]
        yield f"{name:<{width}}   {recall:>6.1%}   {precision:>9.1%}   {taken}".rstrip()
