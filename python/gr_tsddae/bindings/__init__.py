# SPDX-License-Identifier: GPL-3.0-or-later
"""The C++ core of gr-tsddae: cuts a stream into windows and keeps them in batches."""

try:
    import gnuradio.gr  # first, because it defines the blocks' base classes
except ImportError as error:
    raise ImportError(
        f"GNU Radio cannot be imported ({error}): the blocks need GNU Radio 3.10. Install it "
        "(apt install gnuradio-dev), then build this module for its interpreter (make setup)."
    ) from error

try:
    from gr_tsddae.bindings.tsddae_python import (
        DEFAULT_GATE_DBFS,
        window_batch,
        window_batcher,
        window_ring,
    )
except ImportError as error:
    raise ImportError(
        f"the compiled part of gr_tsddae cannot be imported ({error}): the blocks need it. "
        "Install GNU Radio 3.10 with its headers (apt install gnuradio-dev), then build this "
        "module for its interpreter (make setup)."
    ) from error

__all__ = ["DEFAULT_GATE_DBFS", "window_batch", "window_batcher", "window_ring"]
