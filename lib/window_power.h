/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#ifndef INCLUDED_TSDDAE_WINDOW_POWER_H
#define INCLUDED_TSDDAE_WINDOW_POWER_H

#include <gnuradio/gr_complex.h>
#include <cmath>
#include <cstddef>

namespace gr {
namespace tsddae {

//! Mean |x|^2. Not finite exactly when a sample is not: doubles hold any float squared.
inline double mean_power(const gr_complex* samples, size_t n)
{
    const float* x = reinterpret_cast<const float*>(samples); // I, Q, I, Q, ...
    constexpr size_t lanes = 8; // independent sums, so that the compiler can vectorise
    double sum[lanes] = {};
    const size_t whole = 2 * n / lanes * lanes;
    for (size_t i = 0; i < whole; i += lanes) {
        for (size_t k = 0; k < lanes; k++)
            sum[k] += static_cast<double>(x[i + k]) * x[i + k];
    }
    for (size_t i = whole; i < 2 * n; i++)
        sum[0] += static_cast<double>(x[i]) * x[i];
    double total = 0.0;
    for (const double part : sum)
        total += part;
    return total / static_cast<double>(n);
}

inline double dbfs(double power) { return 10.0 * std::log10(power); }

} // namespace tsddae
} // namespace gr

#endif /* INCLUDED_TSDDAE_WINDOW_POWER_H */
