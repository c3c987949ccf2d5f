/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#ifndef INCLUDED_TSDDAE_STREAM_TAGS_H
#define INCLUDED_TSDDAE_STREAM_TAGS_H

#include <pmt/pmt.h>
#include <cstdint>
#include <optional>

namespace gr {
namespace tsddae {

struct tag_time {
    uint64_t full_s;
    double frac_s;
};

//! The value of an rx_time tag: a tuple of whole seconds, a fraction, and perhaps more.
//! Nothing when the value is anything else.
std::optional<tag_time> time_of_tag(const pmt::pmt_t& value);

//! The value of an rx_freq or rx_rate tag: a finite number of any type, in Hz.
//! Nothing when the value is anything else.
std::optional<double> hz_of_tag(const pmt::pmt_t& value);

} // namespace tsddae
} // namespace gr

#endif /* INCLUDED_TSDDAE_STREAM_TAGS_H */
