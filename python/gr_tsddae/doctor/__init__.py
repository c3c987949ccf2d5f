# SPDX-License-Identifier: GPL-3.0-or-later
"""`tsddae doctor`: faults of an installation, each with the command that mends it."""

import sys
from collections.abc import Callable, Iterator, Sequence

from gr_tsddae.command import Parser
from gr_tsddae.doctor.companion import check_companion
from gr_tsddae.doctor.finding import Finding
from gr_tsddae.doctor.interpreter import check_gnuradio, check_interpreter
from gr_tsddae.doctor.module import check_copies, check_core, check_models
from gr_tsddae.doctor.packages import check_radios, check_torch, check_windows
from gr_tsddae.files import print_any_text

CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_interpreter,
    check_gnuradio,
    check_torch,
    check_copies,
    check_core,
    check_windows,
    check_radios,
    check_companion,
    check_models,
)

MARKS = {True: "ok      ", False: "PROBLEM ", None: "note    "}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print all findings; return 0 when nothing is wrong."""
    parser = Parser(
        prog="tsddae doctor",
        description="Check the installation. Each fault is one sentence, and one command mends it.",
    )
    parser.add_argument(
        "--fix", action="store_true", help="mend what the doctor can mend itself, without asking"
    )
    wants_fixes = parser.parse_args(arguments).fix
    print_any_text()
    problems = 0
    for check in CHECKS:
        for finding in check():
            print(f"{MARKS[finding.ok]}{finding.what}: {finding.text}", flush=True)
            problems += finding.ok is False
            if finding.fix and (wants_fixes or _agrees(finding)):
                print(f"        done: {finding.fix()}")
            elif finding.remedy:
                verb = "mend it with" if finding.ok is False else "change it with"
                print(f"        {verb}: {finding.remedy}")
    print("all is well" if not problems else f"{problems} problem(s)")
    return 1 if problems else 0


def _agrees(finding: Finding) -> bool:
    """Ask a person at a terminal; nobody else is asked."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    try:
        return input("        shall the doctor change that? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False
