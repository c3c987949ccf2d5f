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

//! ring.take() without the GIL. Ctrl-C ends the wait.
gr::tsddae::window_batch::sptr take(gr::tsddae::window_ring& ring, double timeout_s);

//! ring.counters() by name, read without the GIL.
pybind11::dict counters_dict(const gr::tsddae::window_ring& ring);

/*!
 * Define the methods of a ring, except pushing, on a class that has a ring.
 * ring_of(self) is a reference to the ring, valid as long as self.
 *
 * Each method that takes the ring's lock releases the GIL first: the lock is held while
 * a span of samples is pushed, and other Python threads go on meanwhile.
 */
template <class Class, class RingOf>
void def_ring_methods(Class& cls, RingOf ring_of)
{
    using self_t = typename Class::type;
    namespace py = pybind11;
    using gr::tsddae::window_batch;
    using no_gil = py::call_guard<py::gil_scoped_release>;

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
            no_gil(),
            "batch.release(classified), after a check that the batch came from here.")
        .def(
            "discard_pending",
            [ring_of](self_t& self) { return ring_of(self).discard_pending(); },
            no_gil(),
            "Drop all complete windows that nobody has taken. Returns their number.")
        .def(
            "close",
            [ring_of](self_t& self) { ring_of(self).close(); },
            no_gil(),
            "Accept no more samples, and wake every thread that waits.")
        .def(
            "reopen",
            [ring_of](self_t& self, bool forget_tags) {
                ring_of(self).reopen(forget_tags);
            },
            py::arg("forget_tags") = false,
            no_gil(),
            "Accept samples again after close().")
        .def(
            "closed",
            [ring_of](self_t& self) { return ring_of(self).closed(); },
            no_gil())
        .def(
            "finished",
            [ring_of](self_t& self) { return ring_of(self).finished(); },
            no_gil(),
            "Whether the ring is closed and holds no batch to take.")
        .def(
            "counters",
            [ring_of](self_t& self) { return counters_dict(ring_of(self)); },
            "Where every sample and window went, as a dict of ints: samples_in is always "
            "samples_classified + _gated + _dropped + _flushed + _pending, and "
            "windows_in is windows_classified + _gated + _dropped + _pending. "
            "windows_nonfinite is the part of windows_gated with NaN or Inf. "
            "batches_ready can be taken, batches_taken are not yet released.")
        .def(
            "gate_dbfs",
            [ring_of](self_t& self) { return ring_of(self).gate_dbfs(); },
            no_gil())
        .def(
            "set_gate_dbfs",
            [ring_of](self_t& self, double gate_dbfs) {
                ring_of(self).set_gate_dbfs(gate_dbfs);
            },
            py::arg("gate_dbfs"),
            no_gil(),
            "Gate windows whose mean |x|^2 (dB re 1.0) is lower; -inf gates none. Any "
            "thread may call it at any time.")
        .def(
            "pace",
            [ring_of](self_t& self) {
                const gr::tsddae::ring_pace pace = [&] {
                    const py::gil_scoped_release no_gil;
                    return ring_of(self).pace();
                }();
                return py::make_tuple(
                    pace.batch_windows, pace.max_wait_s, pace.max_age_s);
            },
            "The values of set_pace(): (batch_windows, max_wait_s, max_age_s).")
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
            no_gil(),
            "From now on, a batch is full with batch_windows (at most those of the "
            "ring), and is handed out unfilled after max_wait_s. Under 'drop_oldest', a "
            "ready batch older than max_age_s is dropped once a newer one is ready. Any "
            "thread may call it at any time.")
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
