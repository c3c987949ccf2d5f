/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#ifndef INCLUDED_TSDDAE_RING_COUNTERS_H
#define INCLUDED_TSDDAE_RING_COUNTERS_H

#include <cstdint>

namespace gr {
namespace tsddae {

/*!
 * \brief Where every sample and every window went since the ring was made.
 *
 * The counters are never reset, and one lock guards them all. So at any moment, to the
 * sample,
 *
 *     samples_in = samples_classified + samples_gated + samples_dropped
 *                + samples_flushed + samples_pending
 *     windows_in = windows_classified + windows_gated + windows_dropped
 *                + windows_pending
 *
 * A sample belongs to the first window that covers it. So the first window after the
 * start or after a discontinuity owns all its L samples, and each later window owns
 * min(hop, L) samples. No sample counts twice, even where windows overlap.
 *
 * Samples that no window will ever cover count as `flushed`. These are the samples in
 * front of a discontinuity, or of the end of the stream, that are too few for a window.
 * With a hop longer than a window, they are also the samples between two windows, each
 * counted when it arrives.
 *
 * `pending` samples are in the window being filled, in complete windows of a batch that
 * nobody has taken, or in batches that were taken and not yet released. Only complete
 * windows count in `windows_*`.
 */
struct ring_counters {
    uint64_t samples_in = 0;
    uint64_t samples_classified = 0; //!< in batches released as classified
    uint64_t samples_gated = 0;      //!< in windows under the gate or not finite
    uint64_t samples_dropped = 0;    //!< in windows lost to overflow, or discarded
    uint64_t samples_flushed = 0;    //!< in no window
    uint64_t samples_pending = 0;    //!< in windows whose fate is open

    uint64_t windows_in = 0;
    uint64_t windows_classified = 0;
    uint64_t windows_gated = 0;
    uint64_t windows_dropped = 0;
    uint64_t windows_pending = 0;
    uint64_t windows_nonfinite = 0; //!< the part of windows_gated with NaN or Inf

    uint64_t batches_ready = 0; //!< batches that take() can hand out
    uint64_t batches_taken = 0; //!< batches that a consumer holds
};

} // namespace tsddae
} // namespace gr

#endif /* INCLUDED_TSDDAE_RING_COUNTERS_H */
