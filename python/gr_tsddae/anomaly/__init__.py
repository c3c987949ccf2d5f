# SPDX-License-Identifier: GPL-3.0-or-later
"""Watching a stream for what is not normal: scores, a threshold for them, and events.

* `gr_tsddae.anomaly.scorer`: a model -> a score per window;
* `gr_tsddae.anomaly.threshold`: the threshold that normal windows pass as rarely as wanted;
* `gr_tsddae.anomaly.events`: windows over the threshold -> one message per event;
* `gr_tsddae.anomaly.track`: scores as a stream that keeps step with time.
"""
