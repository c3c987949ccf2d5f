/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#include "ring_methods.h"
#include <algorithm>
#include <chrono>
#include <limits>
#include <stdexcept>

namespace py = pybind11;
using namespace gr::tsddae;

ring_config make_ring_config(int64_t window_samples,
                             int64_t hop_samples,
                             int64_t batch_windows,
                             int64_t capacity_batches,
                             const std::string& policy,
                             double gate_dbfs,
                             double max_wait_s)
{
    ring_config config;
    config.window_samples = window_samples;
    config.hop_samples = hop_samples;
    config.batch_windows = batch_windows;
    config.capacity_batches = capacity_batches;
    config.policy = overflow_policy_from_name(policy);
    config.gate_dbfs = gate_dbfs;
    config.max_wait_s = max_wait_s;
    return config;
}

window_batch::sptr take(window_ring& ring, double timeout_s)
{
    using clock = std::chrono::steady_clock;
    constexpr double signal_check_s = 0.1;
    const auto began = clock::now();
    while (true) {
        const std::chrono::duration<double> waited = clock::now() - began;
        // A negative timeout or NaN passes through: the ring raises the error.
        const double left_s =
            timeout_s > 0.0 ? std::max(0.0, timeout_s - waited.count()) : timeout_s;
        window_batch::sptr batch;
        {
            py::gil_scoped_release no_gil;
            batch = ring.take(left_s > signal_check_s ? signal_check_s : left_s);
        }
        if (batch || left_s <= signal_check_s || ring.closed())
            return batch;
        if (PyErr_CheckSignals() != 0)
            throw py::error_already_set();
    }
}

py::dict counters_dict(const window_ring& ring)
{
    using namespace py::literals;
    const ring_counters c = [&] {
        const py::gil_scoped_release no_gil;
        return ring.counters();
    }();
    return py::dict("samples_in"_a = c.samples_in,
                    "samples_classified"_a = c.samples_classified,
                    "samples_gated"_a = c.samples_gated,
                    "samples_dropped"_a = c.samples_dropped,
                    "samples_flushed"_a = c.samples_flushed,
                    "samples_pending"_a = c.samples_pending,
                    "windows_in"_a = c.windows_in,
                    "windows_classified"_a = c.windows_classified,
                    "windows_gated"_a = c.windows_gated,
                    "windows_dropped"_a = c.windows_dropped,
                    "windows_pending"_a = c.windows_pending,
                    "windows_nonfinite"_a = c.windows_nonfinite,
                    "batches_ready"_a = c.batches_ready,
                    "batches_taken"_a = c.batches_taken);
}

namespace {

//! ring.push() of a contiguous complex64 array (N).
size_t push(window_ring& ring, uint64_t first_sample, const py::buffer& samples)
{
    const py::buffer_info info = samples.request();
    const bool fits = info.format == "Zf" && info.ndim == 1 &&
                      (info.size <= 1 || info.strides[0] == sizeof(gr_complex));
    if (!fits)
        throw std::invalid_argument(
            "samples must be a one-dimensional contiguous complex64 array: use "
            "numpy.ascontiguousarray(x, numpy.complex64)");
    py::gil_scoped_release no_gil;
    return ring.push(first_sample, static_cast<const gr_complex*>(info.ptr), info.size);
}

} // namespace

void bind_window_ring(py::module& m)
{
    const ring_config defaults;
    using no_gil = py::call_guard<py::gil_scoped_release>;
    m.attr("DEFAULT_GATE_DBFS") = defaults.gate_dbfs;
    py::class_<window_ring, window_ring::sptr> cls(
        m,
        "window_ring",
        "Cuts a stream into windows and keeps them in a bounded ring of batches. One "
        "thread pushes, any threads take.");
    cls.def(py::init([](int64_t window_samples,
                        int64_t hop_samples,
                        int64_t batch_windows,
                        int64_t capacity_batches,
                        const std::string& policy,
                        double gate_dbfs,
                        double max_wait_s) {
                return std::make_shared<window_ring>(make_ring_config(window_samples,
                                                                      hop_samples,
                                                                      batch_windows,
                                                                      capacity_batches,
                                                                      policy,
                                                                      gate_dbfs,
                                                                      max_wait_s));
            }),
            py::arg("window_samples"),
            py::arg("hop_samples"),
            py::arg("batch_windows") = defaults.batch_windows,
            py::arg("capacity_batches") = defaults.capacity_batches,
            py::arg("policy") = overflow_policy_name(defaults.policy),
            py::arg("gate_dbfs") = defaults.gate_dbfs,
            py::arg("max_wait_s") = defaults.max_wait_s)
        .def("push",
             push,
             py::arg("first_sample"),
             py::arg("samples"),
             "Append complex64 samples (N), the first of which has this number. Waits "
             "while the ring is full if the policy is 'block'. Returns how many were "
             "taken: fewer only when the ring is closed.")
        .def("position",
             &window_ring::position,
             no_gil(),
             "Number of the sample that is expected next.")
        .def("mark_time",
             &window_ring::mark_time,
             py::arg("full_s"),
             py::arg("frac_s"),
             no_gil(),
             "The next sample was received at this time. A time within 1.5 samples or "
             "0.5 us of the running clock changes nothing; any other is a "
             "discontinuity. While no rate is known, it is measured between times.")
        .def("mark_freq",
             &window_ring::mark_freq,
             py::arg("freq_hz"),
             no_gil(),
             "The next sample has this centre frequency; a change is a discontinuity.")
        .def("mark_rate",
             &window_ring::mark_rate,
             py::arg("rate_hz"),
             no_gil(),
             "From the next sample on, this is the sample rate; a change is a "
             "discontinuity.")
        .def("mark_discontinuity",
             &window_ring::mark_discontinuity,
             no_gil(),
             "The next sample does not follow the previous one.");
    def_ring_methods(cls, [](window_ring& self) -> window_ring& { return self; });
}
