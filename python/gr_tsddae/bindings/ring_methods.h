/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#ifndef INCLUDED_TSDDAE_RING_METHODS_H
#define INCLUDED_TSDDAE_RING_METHODS_H

#include <pybind11/pybind11.h>

#include <gnuradio/tsddae/window_ring.h>
#include <limits>
#include <string>

//! A ring_config from Python's arguments.
gr::tsddae::ring_config make_ring_config(int64_t window_samples,
                                         int64_t hop_samples,
                                         int64_t batch_windows,
                                         int64_t capacity_batches,
                                         const std::string& policy,
                                         double gate_dbfs,
                                         double max_wait_s);

//! ring.take() without the GIL, and with Ctrl-C.
gr::tsddae::window_batch::sptr take(gr::tsddae::window_ring& ring, double timeout_s);

pybind11::dict counters_dict(const gr::tsddae::ring_counters& counters);

/*!
 * What Python may do with a ring, and with a block that has one: everything but
 * pushing. ring_of(self) is a reference to the ring; it lives as long as self.
 */
template <class Class, class RingOf>
void def_ring_methods(Class& cls, RingOf ring_of)
{
    using self_t = typename Class::type;
    namespace py = pybind11;
    using gr::tsddae::window_batch;

    cls.def(
           "take",
           [ring_of](self_t& self, double timeout_s) {
               return take(ring_of(self), timeout_s);
           },
           py::arg("timeout_s"),
           "The oldest batch, or None after the timeout (seconds; 0 and inf allowed) or "
           "when the ring is closed and empty. Other Python threads run meanwhile.")
        .def(
            "release",
            [ring_of](self_t& self, window_batch& batch, bool classified) {
                ring_of(self).release(batch, classified);
            },
            py::arg("batch"),
            py::arg("classified") = true,
            "batch.release(classified), after a check that the batch came from here.")
        .def(
            "discard_pending",
            [ring_of](self_t& self) { return ring_of(self).discard_pending(); },
            "Give up all windows that nobody has taken; they count as dropped. Returns "
            "their number.")
        .def(
            "close",
            [ring_of](self_t& self) { ring_of(self).close(); },
            "Nothing more is wanted or will come; wakes everybody who waits.")
        .def(
            "reopen",
            [ring_of](self_t& self, bool forget_tags) {
                ring_of(self).reopen(forget_tags);
            },
            py::arg("forget_tags") = false,
            "Accept samples again after close().")
        .def("closed", [ring_of](self_t& self) { return ring_of(self).closed(); })
        .def(
            "finished",
            [ring_of](self_t& self) { return ring_of(self).finished(); },
            "Closed, and nothing left to take.")
        .def(
            "counters",
            [ring_of](self_t& self) { return counters_dict(ring_of(self).counters()); },
            "Where every sample and window went, as a dict of ints: samples_in is always "
            "samples_classified + _gated + _dropped + _flushed + _pending, and "
            "windows_in "
            "is windows_classified + _gated + _dropped + _pending. windows_nonfinite are "
            "part of windows_gated; batches_ready wait, batches_taken are being worked "
            "on.")
        .def("gate_dbfs", [ring_of](self_t& self) { return ring_of(self).gate_dbfs(); })
        .def(
            "set_gate_dbfs",
            [ring_of](self_t& self, double gate_dbfs) {
                ring_of(self).set_gate_dbfs(gate_dbfs);
            },
            py::arg("gate_dbfs"),
            "Gate windows whose mean |x|^2 (dB re 1.0) is lower; -inf: none. Any time.")
        .def(
            "pace",
            [ring_of](self_t& self) {
                const gr::tsddae::ring_pace pace = ring_of(self).pace();
                return py::make_tuple(
                    pace.batch_windows, pace.max_wait_s, pace.max_age_s);
            },
            "What set_pace() set: (batch_windows, max_wait_s, max_age_s).")
        .def(
            "set_pace",
            [ring_of](self_t& self,
                      int64_t batch_windows,
                      double max_wait_s,
                      double max_age_s) {
                ring_of(self).set_pace({ batch_windows, max_wait_s, max_age_s });
            },
            py::arg("batch_windows"),
            py::arg("max_wait_s"),
            py::arg("max_age_s") = std::numeric_limits<double>::infinity(),
            "From now on a batch is full with batch_windows, up to what the ring was "
            "made for, and handed out unfilled after max_wait_s. Under 'drop_oldest' "
            "one that waits for longer than max_age_s is dropped when a newer one is "
            "complete. Any time.")
        .def_property_readonly(
            "window_samples",
            [ring_of](self_t& self) { return ring_of(self).config().window_samples; })
        .def_property_readonly(
            "hop_samples",
            [ring_of](self_t& self) { return ring_of(self).config().hop_samples; })
        .def_property_readonly(
            "batch_windows",
            [ring_of](self_t& self) { return ring_of(self).config().batch_windows; })
        .def_property_readonly(
            "capacity_batches",
            [ring_of](self_t& self) { return ring_of(self).config().capacity_batches; })
        .def_property_readonly("policy",
                               [ring_of](self_t& self) {
                                   return gr::tsddae::overflow_policy_name(
                                       ring_of(self).config().policy);
                               })
        .def_property_readonly("max_wait_s", [ring_of](self_t& self) {
            return ring_of(self).config().max_wait_s;
        });
}

#endif /* INCLUDED_TSDDAE_RING_METHODS_H */
