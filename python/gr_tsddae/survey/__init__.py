# SPDX-License-Identifier: GPL-3.0-or-later
"""Every signal in a wide band: found, measured, cut out, named.

`Survey` takes a stream in pieces of any size; `survey_capture` a recording;
`naming` compares emissions with known signals. No GNU Radio.
"""

from gr_tsddae.survey.emission import Emission
from gr_tsddae.survey.stream import Survey, survey_capture

DEFAULT_MODEL = "air-small"  # names emissions where no other model is asked for
DEFAULT_THRESHOLD = 0.6  # confidence below which an emission is "unknown"

__all__ = ["DEFAULT_MODEL", "DEFAULT_THRESHOLD", "Emission", "Survey", "survey_capture"]
