# SPDX-License-Identifier: GPL-3.0-or-later
"""Watching a stream for what is not normal: scores, a threshold for them, and events.

* `gr_tsddae.inference.anomaly.scorer`: a model -> a score per window;
* `gr_tsddae.inference.anomaly.threshold`: the threshold normal windows rarely pass;
* `gr_tsddae.inference.anomaly.events`: windows over the threshold -> one message per event;
* `gr_tsddae.inference.anomaly.track`: scores as a stream that keeps step with time.
"""
