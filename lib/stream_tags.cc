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

//! A finite number of any numeric type; a complex one only without an imaginary part.
std::optional<double> number(const pmt::pmt_t& value)
{
    double found = NAN;
    if (pmt::is_uint64(value))
        found = static_cast<double>(pmt::to_uint64(value));
    else if (pmt::is_integer(value))
        found = static_cast<double>(pmt::to_long(value));
    else if (pmt::is_real(value))
        found = pmt::to_double(value);
    else if (pmt::is_complex(value) && pmt::to_complex(value).imag() == 0)
        found = pmt::to_complex(value).real();
    return std::isfinite(found) ? std::optional<double>(found) : std::nullopt;
}

//! A whole number from 0 up, of any numeric type; integers keep all their digits.
std::optional<uint64_t> whole(const pmt::pmt_t& value)
{
    constexpr double limit = 18446744073709551616.0; // 2^64
    if (pmt::is_uint64(value))
        return pmt::to_uint64(value);
    if (pmt::is_integer(value))
        return pmt::to_long(value) < 0 ? std::nullopt
                                       : std::optional<uint64_t>(pmt::to_long(value));
    const auto found = number(value);
    if (!found || *found < 0 || *found >= limit || *found != std::floor(*found))
        return std::nullopt;
    return static_cast<uint64_t>(*found);
}

} // namespace

std::optional<double> hz_of_tag(const pmt::pmt_t& value) { return number(value); }

std::optional<tag_time> time_of_tag(const pmt::pmt_t& value)
{
    if (!pmt::is_tuple(value) || pmt::length(value) < 2)
        return std::nullopt;
    const auto full_s = whole(pmt::tuple_ref(value, 0));
    const auto frac_s = number(pmt::tuple_ref(value, 1));
    if (!full_s || !frac_s)
        return std::nullopt;
    return tag_time{ *full_s, *frac_s };
}

} // namespace tsddae
} // namespace gr
