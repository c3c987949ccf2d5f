/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#include "stream_tags.h"
#include <cmath>

namespace gr {
namespace tsddae {

namespace {

//! A whole number from 0 up, of a signed or an unsigned type.
std::optional<uint64_t> whole(const pmt::pmt_t& value)
{
    if (pmt::is_uint64(value))
        return pmt::to_uint64(value);
    if (pmt::is_integer(value) && pmt::to_long(value) >= 0)
        return pmt::to_long(value);
    return std::nullopt;
}

} // namespace

std::optional<double> hz_of_tag(const pmt::pmt_t& value)
{
    if (pmt::is_real(value)) {
        const double hz = pmt::to_double(value);
        return std::isfinite(hz) ? std::optional<double>(hz) : std::nullopt;
    }
    if (const auto hz = whole(value))
        return static_cast<double>(*hz);
    return std::nullopt;
}

std::optional<tag_time> time_of_tag(const pmt::pmt_t& value)
{
    if (!pmt::is_tuple(value) || pmt::length(value) != 2)
        return std::nullopt;
    const auto full_s = whole(pmt::tuple_ref(value, 0));
    const pmt::pmt_t frac_s = pmt::tuple_ref(value, 1);
    if (!full_s || !pmt::is_real(frac_s) || !std::isfinite(pmt::to_double(frac_s)))
        return std::nullopt;
    return tag_time{ *full_s, pmt::to_double(frac_s) };
}

} // namespace tsddae
} // namespace gr
