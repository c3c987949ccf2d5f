/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#include "ring_methods.h"
#include <gnuradio/tsddae/window_batcher.h>

namespace py = pybind11;
using gr::tsddae::window_batcher;
using gr::tsddae::window_ring;

void bind_window_batcher(py::module& m)
{
    const gr::tsddae::ring_config defaults;
    py::class_<window_batcher,
               gr::sync_block,
               gr::block,
               gr::basic_block,
               std::shared_ptr<window_batcher>>
        cls(m,
            "window_batcher",
            "One complex stream in; no stream out. Cuts the stream into windows of "
            "window_samples, hop_samples apart, and keeps them in batches of "
            "batch_windows until they are taken. At most capacity_batches exist. When "
            "all are in use, the stream waits (policy 'block'), or the oldest batch "
            "('drop_oldest') or the new window ('drop_newest') is dropped. Windows "
            "below gate_dbfs (mean |x|^2, dB re 1.0) are gated; the default gates "
            "digital silence only, -inf gates none. A batch that is not full is handed "
            "out once its first window is older than max_wait_s. Connect a consumer "
            "block to the message port 'drain', which never carries a message: the "
            "scheduler then starts, stops and ends both blocks together.");
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
            py::arg("batch_windows") = defaults.batch_windows,
            py::arg("capacity_batches") = defaults.capacity_batches,
            py::arg("policy") = gr::tsddae::overflow_policy_name(defaults.policy),
            py::arg("gate_dbfs") = defaults.gate_dbfs,
            py::arg("max_wait_s") = defaults.max_wait_s)
        .def("stream_ended",
             &window_batcher::stream_ended,
             py::call_guard<py::gil_scoped_release>(),
             "Whether the stream ran out by itself: nobody stopped the flowgraph or "
             "closed the ring. The value is final as soon as closed() is true.")
        .def("longest_stall_s",
             &window_batcher::longest_stall_s,
             "The longest time between two calls of work() in this run, in seconds.")
        .def_property_readonly(
            "ring", &window_batcher::ring, "The window_ring this block fills.");
    def_ring_methods(cls,
                     [](window_batcher& self) -> window_ring& { return *self.ring(); });
}
