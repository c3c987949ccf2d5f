/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#ifndef INCLUDED_TSDDAE_WINDOW_POWER_H
#define INCLUDED_TSDDAE_WINDOW_POWER_H

#include <gnuradio/gr_complex.h>
#include <volk/volk.h>
#include <algorithm>
#include <cmath>
#include <cstddef>

namespace gr {
namespace tsddae {

//! Sum of x^2 in doubles. A double holds the square of any float.
inline double energy_in_doubles(const float* x, size_t n)
{
    double total = 0.0;
    for (size_t i = 0; i < n; i++)
        total += static_cast<double>(x[i]) * x[i];
    return total;
}

//! Mean |x|^2. The result is finite if and only if all samples are.
inline double mean_power(const gr_complex* samples, size_t n)
{
    const float* x = reinterpret_cast<const float*>(samples); // I, Q, I, Q, ...
    constexpr size_t piece = 4096; // short sums of floats stay exact to 1e-6 for any L
    double total = 0.0;
    for (size_t at = 0; at < 2 * n; at += piece) {
        const size_t length = std::min(piece, 2 * n - at);
        float sum = 0.0f;
        volk_32f_x2_dot_prod_32f(&sum, x + at, x + at, static_cast<unsigned>(length));
        // Squares of huge and of tiny floats are outside the range of floats.
        total += std::isnormal(sum) ? sum : energy_in_doubles(x + at, length);
    }
    return total / static_cast<double>(n);
}

inline double dbfs(double power) { return 10.0 * std::log10(power); }

} // namespace tsddae
} // namespace gr

#endif /* INCLUDED_TSDDAE_WINDOW_POWER_H */
