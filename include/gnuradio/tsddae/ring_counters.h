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
 * Never reset, and read under one lock, so at any moment, to the sample,
 *
 *     samples_in = samples_classified + samples_gated + samples_dropped
 *                + samples_flushed + samples_pending
 *     windows_in = windows_classified + windows_gated + windows_dropped
 *                + windows_pending
 *
 * A sample belongs to the first window that covers it. So the first window after
 * the start or after a discontinuity owns all its L samples, and each later one
 * owns min(hop, L): with overlapping windows nothing is counted twice.
 *
 * Samples that no window will ever cover are `flushed`: the tail in front of a
 * discontinuity or of the end of the stream that is too short for a window, and,
 * with a hop longer than a window, the gap between two windows (counted as it
 * arrives).
 *
 * `pending` is everything still on its way: the window being filled, complete
 * windows waiting in a batch, and windows in batches that were taken and not yet
 * released. Only complete windows count in `windows_*`.
 */
struct ring_counters {
    uint64_t samples_in = 0;
    uint64_t samples_classified = 0; //!< in batches released as classified
    uint64_t samples_gated = 0;      //!< in windows under the gate or not finite
    uint64_t samples_dropped = 0;    //!< in windows lost to overflow or given up
    uint64_t samples_flushed = 0;    //!< in no window
    uint64_t samples_pending = 0;    //!< still on their way

    uint64_t windows_in = 0;
    uint64_t windows_classified = 0;
    uint64_t windows_gated = 0;
    uint64_t windows_dropped = 0;
    uint64_t windows_pending = 0;
    uint64_t windows_nonfinite = 0; //!< those of windows_gated that held NaN or Inf

    uint64_t batches_ready = 0; //!< full or closed batches that nobody has taken yet
    uint64_t batches_taken = 0; //!< batches in a consumer's hands
};

} // namespace tsddae
} // namespace gr

#endif /* INCLUDED_TSDDAE_RING_COUNTERS_H */
