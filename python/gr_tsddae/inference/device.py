# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the device of a network and its precision, from a user's words."""

import torch

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def resolve_device(device: str) -> torch.device:
    """Choose the torch device that a user's word means.

    Args:
        device: "auto" (a GPU when torch sees one), "cpu", "cuda" or "cuda:1".

    Raises:
        ValueError: If torch does not know the word, or the GPU is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        wanted = torch.device(device)
    except RuntimeError:
        wanted = None
    if wanted is None or wanted.type not in ("cpu", "cuda"):
        raise ValueError(f"device {device!r} is not known; use auto, cpu, cuda or cuda:1")
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device {device!r}: torch sees {torch.cuda.device_count()} CUDA devices; "
            "use auto or cpu, or install a CUDA build of torch and its driver"
        )
    return wanted


def multiplies_bfloat16_fast(device_type: str) -> bool:
    """Tell whether matrix products in bfloat16 are faster than in float32 on "cpu" or "cuda".

    They are on processors with AMX tiles or AVX512-BF16. torch has no public function for either.
    """
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    asks = (
        getattr(torch.cpu, name, None)
        for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    )
    return any(ask is not None and ask() for ask in asks)


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """Choose the dtype that a user's word means on a device.

    Args:
        precision: "auto" (bfloat16 where the hardware multiplies it fast), "float32", "bfloat16".
        device: Of the network.

    Raises:
        ValueError: If the word is unknown.
    """
    if precision == "auto":
        return torch.bfloat16 if multiplies_bfloat16_fast(device.type) else torch.float32
    if precision not in PRECISIONS:
        raise ValueError(f"precision {precision!r}: choose auto, {' or '.join(PRECISIONS)}")
    return PRECISIONS[precision]
