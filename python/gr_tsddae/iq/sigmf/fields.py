# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields of SigMF that are read here, as a JSON schema, for where its library is missing.

Types and limits are those of SigMF 1.2. Debian has no package of the library.
"""

from typing import Any

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
_FREQUENCY = {"type": "number", "minimum": -1e12, "maximum": 1e12}
_SAMPLE_TYPE = "^(c|r)(f32|f64|i32|i16|u32|u16|i8|u8)(_le|_be)?"


def _fields(required: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [f"core:{required}"],
        "properties": {f"core:{name}": rule for name, rule in fields.items()},
    }


SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["global", "captures", "annotations"],
    "properties": {
        "global": _fields(
            "datatype",
            datatype=_TEXT | {"pattern": _SAMPLE_TYPE},
            sample_rate={"type": "number", "exclusiveMinimum": 0, "maximum": 1e12},
            num_channels=_COUNT | {"minimum": 1},
            offset=_COUNT,
            trailing_bytes=_COUNT,
            metadata_only={"type": "boolean"},
            **dict.fromkeys(("dataset", "description", "license", "recorder", "version"), _TEXT),
        ),
        "captures": {
            "type": "array",
            "items": _fields(
                "sample_start",
                sample_start=_COUNT,
                header_bytes=_COUNT,
                global_index=_COUNT,
                frequency=_FREQUENCY,
                datetime=_TEXT,
            ),
        },
        "annotations": {
            "type": "array",
            "items": _fields(
                "sample_start",
                sample_start=_COUNT,
                sample_count=_COUNT,
                freq_lower_edge=_FREQUENCY,
                freq_upper_edge=_FREQUENCY,
                label=_TEXT,
                comment=_TEXT,
                generator=_TEXT,
            ),
        },
    },
}
