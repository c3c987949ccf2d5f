/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#include <pybind11/pybind11.h>

#include <gnuradio/tsddae/window_batch.h>

namespace py = pybind11;
using gr::tsddae::window_batch;
using gr::tsddae::window_info;

namespace {

//! batch.info: a buffer of one record per window, which keeps its batch alive.
struct batch_info {
    window_batch::sptr batch;
};

// window_info by PEP 3118, with C++'s own layout, so that numpy needs no copy.
char info_format[] = "T{=Q:first_sample:=d:power_dbfs:?:has_time:7x"
                     "=Q:rx_time_full_s:=d:rx_time_frac_s:=Q:rx_time_sample:"
                     "=d:rx_freq_hz:=d:rx_rate_hz:}";
char sample_format[] = "Zf"; // complex64

struct array_view {
    void* data;
    char* format;
    Py_ssize_t itemsize;
    int ndim;
    Py_ssize_t shape[2];
    Py_ssize_t strides[2];
};

// Both wait for the ring's lock, so they are called without the GIL.

array_view view_of(window_batch& batch)
{
    const Py_ssize_t item = sizeof(gr_complex);
    const Py_ssize_t n = batch.windows();
    const Py_ssize_t length = batch.window_samples();
    return { batch.samples(), sample_format,          item, 2,
             { n, length },   { length * item, item } };
}

array_view view_of(batch_info& info)
{
    const Py_ssize_t item = sizeof(window_info);
    const Py_ssize_t n = info.batch->windows();
    return { const_cast<window_info*>(info.batch->info()),
             info_format,
             item,
             1,
             { n },
             { item } };
}

/*
 * The buffer protocol by hand, because the samples of a released batch must be an error,
 * and pybind11's own buffer protocol cannot raise one.
 */
template <class T>
int get_buffer(PyObject* self, Py_buffer* buffer, int flags)
{
    try {
        auto view = std::make_unique<array_view>();
        T& viewed = py::cast<T&>(py::handle(self));
        {
            const py::gil_scoped_release no_gil;
            *view = view_of(viewed);
        }
        const bool fortran = (flags & PyBUF_F_CONTIGUOUS) == PyBUF_F_CONTIGUOUS;
        if (fortran && view->ndim > 1)
            throw std::invalid_argument("batches are stored window after window");
        buffer->obj = py::handle(self).inc_ref().ptr();
        buffer->buf = view->data;
        buffer->len = view->itemsize;
        for (int i = 0; i < view->ndim; i++)
            buffer->len *= view->shape[i];
        buffer->itemsize = view->itemsize;
        buffer->readonly = 0;
        buffer->ndim = view->ndim;
        buffer->format = (flags & PyBUF_FORMAT) ? view->format : nullptr;
        buffer->shape = view->shape;
        buffer->strides = view->strides;
        buffer->suboffsets = nullptr;
        buffer->internal = view.release();
        return 0;
    } catch (const std::exception& error) {
        buffer->obj = nullptr;
        PyErr_SetString(PyExc_BufferError, error.what());
        return -1;
    }
}

void release_buffer(PyObject*, Py_buffer* buffer)
{
    delete static_cast<array_view*>(buffer->internal);
}

template <class T>
py::custom_type_setup with_buffer()
{
    return py::custom_type_setup([](PyHeapTypeObject* type) {
        type->ht_type.tp_as_buffer = &type->as_buffer;
        type->as_buffer.bf_getbuffer = get_buffer<T>;
        type->as_buffer.bf_releasebuffer = release_buffer;
    });
}

//! numpy calls __array__ when it got no buffer, and hides the reason: raise it again.
py::object array_of(py::object self, py::args, py::kwargs)
{
    py::object view =
        py::reinterpret_steal<py::object>(PyMemoryView_FromObject(self.ptr()));
    if (!view)
        throw py::error_already_set();
    return py::module::import("numpy").attr("asarray")(view);
}

} // namespace

void bind_window_batch(py::module& m)
{
    using no_gil = py::call_guard<py::gil_scoped_release>;
    py::class_<batch_info>(m, "batch_info", with_buffer<batch_info>())
        .def("__len__", [](const batch_info& self) { return self.batch->windows(); })
        .def("__array__", array_of);

    py::class_<window_batch, window_batch::sptr>(
        m,
        "window_batch",
        with_buffer<window_batch>(),
        "A batch of windows from take(). numpy.asarray(batch) is its samples, complex64 "
        "(n, L). numpy.asarray(batch.info) describes the windows, records (n). Neither "
        "is a copy: use them before release(), because the ring then writes new windows "
        "there. A batch that is destroyed without release() counts as dropped.")
        .def("__len__", &window_batch::windows)
        .def("__array__", array_of)
        .def_property_readonly("window_samples", &window_batch::window_samples)
        .def_property_readonly(
            "info",
            [](const window_batch::sptr& self) { return batch_info{ self }; },
            "A buffer of n records: first_sample, power_dbfs, has_time, rx_time_full_s, "
            "rx_time_frac_s, rx_time_sample, rx_freq_hz, rx_rate_hz (NaN: unknown).")
        .def_property_readonly("age_s",
                               py::cpp_function(&window_batch::age_s, no_gil()),
                               "Seconds since the batch's first window was complete.")
        .def_property_readonly("released",
                               py::cpp_function(&window_batch::released, no_gil()))
        .def("release",
             &window_batch::release,
             py::arg("classified") = true,
             no_gil(),
             "Give the storage back. The windows count as classified, or as dropped.");
}
