# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes to a model's files, and the error that they give."""

import hashlib

import pytest
import yaml
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as serialise_tensors

from gr_tsddae import zoo


def change_card(folder, **changes):
    """Rewrites entries of a card; None removes one."""
    path = folder / zoo.CARD_FILE
    content = yaml.safe_load(path.read_text()) | changes
    path.write_text(yaml.safe_dump({k: v for k, v in content.items() if v is not None}))


def change_weights(folder, data):
    """Other bytes for the weights, with a card that vouches for them."""
    (folder / zoo.WEIGHTS_FILE).write_bytes(data)
    change_card(folder, weights_sha256=hashlib.sha256(data).hexdigest())


def change_tensors(folder, change):
    """Applies `change` to the dictionary of tensors, with a card that vouches for the result."""
    tensors = parse_tensors((folder / zoo.WEIGHTS_FILE).read_bytes())
    change(tensors)
    change_weights(folder, serialise_tensors(tensors))


def error_of(kind, folder):
    """The message of the error that loading gives; exactly of this kind, naming the folder."""
    with pytest.raises(zoo.ModelError) as caught:
        zoo.load(folder)
    assert type(caught.value) is kind, caught.value
    message = str(caught.value)
    assert str(folder) in message
    assert "\n" not in message
    return message
