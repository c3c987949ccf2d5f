# SPDX-License-Identifier: GPL-3.0-or-later
"""A trained TS-Net for inference: everything constant is folded into its weights.

BatchNorm is a gain and an offset per channel; the diffusion step is one vector per layer; dropout
is nothing. They go into the linear maps beside them. Tensors are (B, N, C), N tokens, throughout.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from gr_tsddae.iq.windows import spectrum
from gr_tsddae.nets.heads import TSNetClassifier
from gr_tsddae.nets.tsnet.inputs import rows_of
from gr_tsddae.nets.tsnet.layers import FeedForward, TokenBatchNorm
from gr_tsddae.nets.tsnet.network import InputProjection, TSNet
from gr_tsddae.nets.tsnet.spectral import SpectralEncoder
from gr_tsddae.nets.tsnet.temporal import RotaryAttention, TemporalEncoder


class _Affine(nn.Module):
    """x -> x W^T + b, with weights made in double precision."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None):
        super().__init__()
        self.register_buffer("weight", weight.float().contiguous())
        self.register_buffer("bias", None if bias is None else bias.float().contiguous())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight, self.bias)


def _double(layer: nn.Linear | nn.Conv2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Give weight and bias in double precision."""
    return layer.weight.double(), layer.bias.double()


class _Vectors(nn.Module):
    """Holds vectors over channels, under names."""

    def _hold(self, **vectors: torch.Tensor) -> None:
        for name, vector in vectors.items():
            self.register_buffer(name, vector.float().contiguous())


def _gain_and_offset(norm: TokenBatchNorm) -> tuple[torch.Tensor, torch.Tensor]:
    """Write a BatchNorm of fixed statistics as gain x + offset, both float64 (C,)."""
    gain = norm.weight.double() * (norm.running_var.double() + norm.eps).rsqrt()
    return gain, norm.bias.double() - norm.running_mean.double() * gain


def _samples_of_tokens(rows: torch.Tensor, kernel: int, stride: int) -> torch.Tensor:
    """Gather the samples that each token sees: (B, R, L) -> (B, N, R * kernel)."""
    seen = F.pad(rows, ((kernel - stride) // 2,) * 2).unfold(2, kernel, stride)  # (B, R, N, kernel)
    return seen.transpose(1, 2).flatten(2)


def _depthwise(x: torch.Tensor, taps: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Apply three taps per channel along the tokens: (B, N, C), taps (3, C) -> (B, N, C).

    As shifted products, a compiler makes one pass of it and what stands before and behind. Without
    a compiler the convolution, which reads channels-last data as it lies, is the faster.
    """
    if torch.compiler.is_compiling() or x.is_cuda:
        tokens = x.shape[1]
        padded = F.pad(x, (0, 0, 1, 1))
        last = padded[:, 2:] * taps[2] if bias is None else padded[:, 2:] * taps[2] + bias
        return padded[:, :tokens] * taps[0] + x * taps[1] + last
    image = x.transpose(1, 2).unsqueeze(2)  # (B, N, C) -> (B, C, 1, N), same memory
    kernel = taps.t()[:, None, None, :]  # (C, 1, 1, 3)
    found = F.conv2d(image, kernel, bias, padding=(0, 1), groups=x.shape[2])
    return found.squeeze(2).transpose(1, 2)


class _FoldedFeedForward(nn.Module):
    """Linear - GELU - Linear, with a gain and offset before and behind."""

    def __init__(
        self,
        block: FeedForward,
        before: tuple[torch.Tensor, torch.Tensor] | None = None,
        behind: tuple[torch.Tensor, torch.Tensor] | None = None,
    ):
        super().__init__()
        (expand, expand_bias), (contract, contract_bias) = map(
            _double, (block.expand, block.contract)
        )
        if before is not None:
            expand_bias = expand_bias + expand @ before[1]
            expand = expand * before[0]
        if behind is not None:
            contract = contract * behind[0][:, None]
            contract_bias = contract_bias * behind[0] + behind[1]
        self.expand = _Affine(expand, expand_bias)
        self.contract = _Affine(contract, contract_bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.contract(F.gelu(self.expand(x)))


class _FoldedAttention(nn.Module):
    """Eq. 9 with the angles of all tokens in a table.

    The first channels of all rotated pairs lie side by side here, and so do the second ones, which
    changes no product of a query with a key and lets whole rows be turned at once.
    """

    def __init__(self, block: RotaryAttention, tokens: int):
        super().__init__()
        self.heads = block.heads
        width = block.out.weight.shape[0]
        half = width // block.heads // 2
        query, key, value = block.qkv.weight.double().split(width)
        # (H, 2, C/2H, C) -> (2, H, C/2H, C)
        query, key = (
            part.view(block.heads, 2, half, width).transpose(0, 1).reshape(width, width)
            for part in (query, key)
        )
        self.qkv = _Affine(torch.cat((query, key, value)), None)
        out = block.out.weight.double()
        bias = block.out.bias.double() + out @ block.norm.bias.double()
        self.out = _Affine(out * block.norm.weight.double(), bias)
        self.eps = block.norm.eps
        position = torch.arange(tokens, dtype=torch.float64)
        angle = torch.outer(position, block.inverse_period.cpu().double())  # (N, C/2H)
        self.register_buffer("cos", _for_all_heads(angle.cos(), block.heads))  # (N, 1, C/2)
        self.register_buffer("sin", _for_all_heads(angle.sin(), block.heads))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        plain, value = self.qkv(x).split((2 * width, width), dim=-1)
        first, second = plain.unflatten(-1, (2, 2, -1)).unbind(3)  # each (B, N, 2, C/2)
        turned = torch.cat(
            (first * self.cos - second * self.sin, first * self.sin + second * self.cos), -1
        )
        # (B, N, 2, 2, H, C/2H) -> (2, B, H, N, 2, C/2H)
        turned = turned.unflatten(-1, (2, self.heads, -1)).permute(2, 0, 4, 1, 3, 5)
        query, key = turned.flatten(-2).unbind(0)
        value = value.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # each (B, H, N, C/H)
        mixed = F.scaled_dot_product_attention(query, key, value)
        mixed = mixed.transpose(1, 2).reshape(batch, tokens, width)
        return self.out(F.layer_norm(mixed, (width,), eps=self.eps))


def _for_all_heads(angles: torch.Tensor, heads: int) -> torch.Tensor:
    """Repeat one head's angles, float64 (N, C/2H), for all heads: float32 (N, 1, C/2)."""
    return angles.float().repeat(1, heads)[:, None].contiguous()


class _FoldedTemporal(_Vectors):
    """One temporal layer (`temporal.TemporalEncoder`); the step has been added to its input."""

    def __init__(self, layer: TemporalEncoder, shift: torch.Tensor, add: torch.Tensor, tokens: int):
        # add: what the next layer wants added to the result
        super().__init__()
        self.cross_scale = _cross_scale(layer)
        self.feedforward_in = _FoldedFeedForward(layer.feedforward_in)
        self.attention = _FoldedAttention(layer.attention, tokens)
        conv = layer.conv
        gate = conv.expand.bias.double() + torch.cat((shift, shift))
        self.expand = _Affine(conv.expand.weight.double(), gate)
        gain, offset = _gain_and_offset(conv.norm)
        self._hold(
            taps=(conv.depthwise.weight.double().view(-1, 3) * gain[:, None]).t(),
            tap_bias=conv.depthwise.bias.double() * gain + offset,
        )
        self.contract = _Affine(*_double(conv.contract))
        self.feedforward_out = _FoldedFeedForward(layer.feedforward_out)
        self.eps = layer.norms[0].eps
        for index, norm in enumerate(layer.norms):
            last = index == len(layer.norms) - 1
            bias = norm.bias.double() + add if last else norm.bias.double()
            self._hold(**{f"weight_{index}": norm.weight.double(), f"bias_{index}": bias})

    def forward(self, x: torch.Tensor, z: torch.Tensor | None) -> torch.Tensor:
        if z is not None:
            x = torch.add(x, z, alpha=self.cross_scale)
        x = self._norm(0, x + self.feedforward_in(x))
        x = self._norm(1, x + self.attention(x))
        gated = F.glu(self.expand(x), dim=-1)
        local = self.contract(F.silu(_depthwise(gated, self.taps, self.tap_bias)))  # Eq. 10
        x = self._norm(2, x + local)
        return self._norm(3, x + self.feedforward_out(x))

    def _norm(self, index: int, x: torch.Tensor) -> torch.Tensor:
        weight, bias = getattr(self, f"weight_{index}"), getattr(self, f"bias_{index}")
        return F.layer_norm(x, (x.shape[-1],), weight, bias, self.eps)


class _FoldedSpectral(_Vectors):
    """One spectral layer (`spectral.SpectralEncoder`); the step has been added to its input."""

    def __init__(self, layer: SpectralEncoder, shift: torch.Tensor, add: torch.Tensor):
        # add: what the next layer wants added to the result
        super().__init__()
        self.cross_scale = _cross_scale(layer)
        outer = [_gain_and_offset(norm) for norm in layer.norms]
        outer[2] = outer[2][0], outer[2][1] + add

        local = layer.local  # Eq. 11; the bias of the depthwise convolution goes to `first`
        gain, offset = _gain_and_offset(local.norm)
        first = local.first.weight.double()
        bias = local.first.bias.double() + first @ (offset + gain * local.depthwise.bias.double())
        self.first = _Affine(first * gain, bias)
        scale = local.scale.double() * outer[0][0]
        self.second = _Affine(
            local.second.weight.double() * scale[:, None],
            local.second.bias.double() * scale + outer[0][1],
        )

        attended = layer.attended  # Eq. 12
        gain, offset = _gain_and_offset(attended.norm_in)
        gains = torch.cat((gain, torch.ones_like(gain)))  # values, not gates, of the GLU
        self.expand = _Affine(
            attended.expand.weight.double() * gains[:, None], attended.expand.bias.double() * gains
        )
        squeeze, excite = attended.attention.squeeze, attended.attention.excite
        self.squeeze, self.excite = _Affine(*_double(squeeze)), _Affine(*_double(excite))
        gain, conv_offset = _gain_and_offset(attended.norm_out)
        kernel = attended.conv.weight.double() * gain[:, None, None, None]  # (C, C, 1, 3)
        self._hold(
            taps=local.depthwise.weight.double().view(-1, 3).t(),
            gain_0=outer[0][0],
            inner_offset=offset,
            shift=shift,
            conv_bias=attended.conv.bias.double() * gain + conv_offset,
            gain_1=outer[1][0],
            offset_1=outer[1][1],
            gain_2=outer[2][0],
        )
        # (C, C, 1, 3) in channels-last memory is (C, 3C) row by row
        self.register_buffer("kernel", kernel.float().contiguous(memory_format=torch.channels_last))
        self.feedforward = _FoldedFeedForward(
            layer.feedforward, before=_gain_and_offset(layer.feedforward_norm), behind=outer[2]
        )

    def forward(self, z: torch.Tensor, x: torch.Tensor | None) -> torch.Tensor:
        if x is not None:
            z = torch.add(z, x, alpha=self.cross_scale)
        local = self.second(F.gelu(self.first(_depthwise(z, self.taps, None))))
        z = torch.addcmul(local, z, self.gain_0)
        features = F.silu(F.glu(self.expand(z), dim=-1) + self.inner_offset) + self.shift
        pooled = features.mean(1, keepdim=True)  # (B, 1, C)
        features = features * torch.sigmoid(self.excite(F.silu(self.squeeze(pooled))))
        attended = F.silu(z + F.silu(self._conv(features)))
        z = torch.addcmul(self.offset_1, z + attended, self.gain_1)
        return torch.addcmul(self.feedforward(z), z, self.gain_2)

    def _conv(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the convolution with kernel 3 over all channels, (B, N, C) -> (B, N, C)."""
        image = x.transpose(1, 2).unsqueeze(2)  # (B, N, C) -> (B, C, 1, N), same memory
        found = F.conv2d(image, self.kernel, self.conv_bias, padding=(0, 1))
        return found.squeeze(2).transpose(1, 2)


def _cross_scale(layer: TemporalEncoder | SpectralEncoder) -> float:
    """Return the weight of the other embedding."""
    return float(layer.cross_scale) if hasattr(layer, "cross_scale") else 0.0


class _FoldedProjection(nn.Module):
    """Eq. 8 as a matrix product on the samples that each token sees."""

    def __init__(self, projection: InputProjection, add: torch.Tensor):
        super().__init__()
        conv = projection.conv
        self.kernel, self.stride = conv.kernel_size[0], conv.stride[0]
        self.affine = _Affine(conv.weight.double().flatten(1), conv.bias.double() + add)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        if self.affine.weight.shape[1] == 2:  # such a product is no work for a matrix unit
            weight = self.affine.weight
            real, imaginary = rows[:, 0, :, None], rows[:, 1, :, None]  # (B, L, 1)
            return torch.addcmul(self.affine.bias, real, weight[:, 0]) + imaginary * weight[:, 1]
        return self.affine(_samples_of_tokens(rows, self.kernel, self.stride))


class FoldedTSNet(nn.Module):
    """A trained `TSNetClassifier` at one window length: scaled windows (B, 2, L) -> logits (B, K).

    Results are float32 whatever the precision of the rest: means over tokens and the head cost
    nothing.

    Args:
        network: trained; not changed.
        window_samples: L.

    Raises:
        ValueError: for a length that is not a whole number of tokens.
    """

    def __init__(self, network: TSNetClassifier, window_samples: int):
        super().__init__()
        with torch.no_grad():
            self._fold(network.backbone, network.step_fraction, window_samples)
            self.head = _copy_of_head(network.head)
        self.feature_size = network.feature_size
        self.window_samples = window_samples
        self.eval()

    def _fold(self, net: TSNet, step_fraction: torch.Tensor, window_samples: int) -> None:
        config = net.config
        tokens = config.tokens(window_samples)
        step = F.silu(net.step_embedding(step_fraction.to(net.step_embedding.first.weight)))[0]
        self.config, self.coupled = config, config.coupled
        temporal, spectral = (
            [(layer, layer.step(step).double()) for layer in layers]
            for layers in (net.temporal, net.spectral)
        )
        # A layer's input is x + s z + shift. The shift goes into the biases in front of it, as
        # x + a and z + b with a + s b = shift. The other encoder sees a and b, too, which is taken
        # off its own shift: from the last layer backwards.
        none = torch.zeros(config.width, dtype=torch.float64)
        before_temporal, before_spectral = [none], [none]
        for index in reversed(range(config.layers)):
            if config.spectral:
                layer, shift = spectral[index]
                seen = _cross_scale(layer) * before_temporal[0]
                before_spectral.insert(0, shift - seen)
            if config.temporal:
                layer, shift = temporal[index]
                seen = _cross_scale(layer) * before_spectral[0]
                before_temporal.insert(0, shift - seen)
        self.temporal = nn.ModuleList(
            _FoldedTemporal(layer, shift, add, tokens)
            for (layer, shift), add in zip(temporal, before_temporal[1:], strict=True)
        )
        self.spectral = nn.ModuleList(
            _FoldedSpectral(layer, shift, add)
            for (layer, shift), add in zip(spectral, before_spectral[1:], strict=True)
        )
        if config.temporal:
            self.time_projection = _FoldedProjection(net.time_projection, before_temporal[0])
        if config.spectral:
            add = before_spectral[0]
            self.spectrum_projection = _FoldedProjection(net.spectrum_projection, add)

    def to_precision(self, dtype: torch.dtype) -> FoldedTSNet:
        """Put all but the head into a precision, in place."""
        for name, part in self.named_children():
            if name != "head":
                part.to(dtype)
        return self

    @property
    def dtype(self) -> torch.dtype:
        part = self.temporal if len(self.temporal) else self.spectral
        return next(part.buffers()).dtype

    def seen(
        self,
        rows: torch.Tensor,
        transform: Callable[[torch.Tensor], torch.Tensor] = spectrum,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Make the rows that `features` takes, of scaled windows, float32 (B, 2, L)."""
        return rows_of(self.config, rows, transform)

    def features(self, rows: torch.Tensor, spectrum_rows: torch.Tensor) -> torch.Tensor:
        """Average both embeddings over their tokens: `seen`, in `dtype` -> (B, E)."""
        x = self.time_projection(rows) if len(self.temporal) else None
        z = self.spectrum_projection(spectrum_rows) if len(self.spectral) else None
        for index in range(max(len(self.temporal), len(self.spectral))):
            if x is not None:
                x = self.temporal[index](x, z if self.coupled else None)
            if z is not None:
                z = self.spectral[index](z, x if self.coupled else None)
        embeddings = [embedding for embedding in (x, z) if embedding is not None]
        return torch.cat([e.mean(1, dtype=torch.float32) for e in embeddings], dim=1)

    def check_window(self, window_samples: int) -> None:
        """Raise ValueError when windows of this length do not fit the network."""
        if window_samples != self.window_samples:
            raise ValueError(
                f"window of {window_samples} samples: this network was folded for "
                f"{self.window_samples}; fold the trained one again"
            )

    def embed(self, rows: torch.Tensor) -> torch.Tensor:
        """Compute feature vectors of scaled windows, float32: (B, 2, L) -> (B, E)."""
        self.check_window(rows.shape[-1])
        return self.features(*(part.to(self.dtype) for part in self.seen(rows)))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.head(self.embed(rows))


def _copy_of_head(head: nn.Sequential) -> nn.Sequential:
    """Copy the head in float32, without dropout."""
    layers: list[nn.Module] = []
    for layer in head:
        if isinstance(layer, nn.Linear):
            layers.append(_Affine(layer.weight, layer.bias))
        elif not isinstance(layer, nn.Dropout):
            layers.append(_PReLU(layer.weight))
    return nn.Sequential(*layers)


class _PReLU(nn.Module):
    """PReLU with a constant slope, which is no parameter."""

    def __init__(self, weight: torch.Tensor):
        super().__init__()
        self.register_buffer("weight", weight.float().clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.prelu(x, self.weight)
