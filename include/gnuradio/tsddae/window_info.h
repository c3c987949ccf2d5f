/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#ifndef INCLUDED_TSDDAE_WINDOW_INFO_H
#define INCLUDED_TSDDAE_WINDOW_INFO_H

#include <cstdint>
#include <limits>

namespace gr {
namespace tsddae {

/*!
 * \brief The description of one window.
 *
 * When \p has_time is set and the rate is known, the window's first sample was received
 * at
 * rx_time_full_s + rx_time_frac_s + (first_sample - rx_time_sample) / rx_rate_hz.
 *
 * An rx_time tag that agrees with this formula changes none of the fields (see
 * window_ring::mark_time). Where the rate changes without an rx_time tag, the formula's
 * own time is put in the place of the tag's.
 *
 * The layout is fixed (64 bytes, no implicit padding): Python sees an array of
 * window_info without a copy.
 */
struct window_info {
    uint64_t first_sample = 0; //!< number of its first sample in the stream
    double power_dbfs = 0.0;   //!< mean |x|^2 in dB re 1.0; -inf for silence
    uint8_t has_time = 0;      //!< 1 once an rx_time tag was seen
    uint8_t reserved[7] = {};
    uint64_t rx_time_full_s = 0; //!< latest rx_time that was news: whole seconds,
    double rx_time_frac_s = 0.0; //!< ... the fraction of a second,
    uint64_t rx_time_sample = 0; //!< ... and the number of the sample with this time
    double rx_freq_hz = std::numeric_limits<double>::quiet_NaN(); //!< NaN: unknown
    double rx_rate_hz = std::numeric_limits<double>::quiet_NaN(); //!< NaN: unknown
};

static_assert(sizeof(window_info) == 64, "Python relies on this layout");

} // namespace tsddae
} // namespace gr

#endif /* INCLUDED_TSDDAE_WINDOW_INFO_H */
