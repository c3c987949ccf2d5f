/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#include <pybind11/pybind11.h>

namespace py = pybind11;

void bind_window_batch(py::module& m);
void bind_window_ring(py::module& m);
void bind_window_batcher(py::module& m);

PYBIND11_MODULE(tsddae_python, m)
{
    py::module::import("gnuradio.gr"); // the base classes of our blocks

    bind_window_batch(m);
    bind_window_ring(m);
    bind_window_batcher(m);
}
