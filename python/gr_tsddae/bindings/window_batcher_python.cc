/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#include "ring_methods.h"
#include <gnuradio/tsddae/window_batcher.h>
#include <limits>

namespace py = pybind11;
using gr::tsddae::window_batcher;
using gr::tsddae::window_ring;

void bind_window_batcher(py::module& m)
{
    constexpr double inf = std::numeric_limits<double>::infinity();
    py::class_<window_batcher,
               gr::sync_block,
               gr::block,
               gr::basic_block,
               std::shared_ptr<window_batcher>>
        cls(m,
            "window_batcher",
            "A sink for one complex stream that cuts it into windows of window_samples, "
            "hop_samples apart, and keeps them in batches of batch_windows until they "
            "are "
            "taken. capacity_batches may exist in all. When all are in use: policy "
            "'block' "
            "(the stream waits), 'drop_oldest' or 'drop_newest'. Windows below gate_dbfs "
            "(mean |x|^2, dB re 1.0) are gated. A batch that is not full is handed out "
            "once its first window is older than max_wait_s. Connect a consumer block to "
            "the message port 'drain' (it never carries a message) to be started, "
            "stopped "
            "and finished together.");
    cls.def(py::init([](int64_t window_samples,
                        int64_t hop_samples,
                        int64_t batch_windows,
                        int64_t capacity_batches,
                        const std::string& policy,
                        double gate_dbfs,
                        double max_wait_s) {
                return window_batcher::make(make_ring_config(window_samples,
                                                             hop_samples,
                                                             batch_windows,
                                                             capacity_batches,
                                                             policy,
                                                             gate_dbfs,
                                                             max_wait_s));
            }),
            py::arg("window_samples"),
            py::arg("hop_samples"),
            py::arg("batch_windows") = 1,
            py::arg("capacity_batches") = 4,
            py::arg("policy") = "block",
            py::arg("gate_dbfs") = -inf,
            py::arg("max_wait_s") = inf)
        .def(
            "stream_ended",
            &window_batcher::stream_ended,
            "The stream ran out by itself: it was not stopped, nor closed by a consumer. "
            "Known as soon as closed() is true.")
        .def("longest_stall_s",
             &window_batcher::longest_stall_s,
             "The longest time from one work() of this run to the next, in seconds.")
        .def_property_readonly(
            "ring", &window_batcher::ring, "The window_ring this block fills.");
    def_ring_methods(cls,
                     [](window_batcher& self) -> window_ring& { return *self.ring(); });
}
