/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#include "batch_store.h"
#include <gnuradio/tsddae/window_batch.h>
#include <stdexcept>
#include <string>

namespace gr {
namespace tsddae {

window_batch::window_batch(std::shared_ptr<batch_store> store, size_t index)
    : d_store(std::move(store)),
      d_index(index),
      d_windows(d_store->at(index).windows),
      d_window_samples(d_store->config.window_samples)
{
}

window_batch::~window_batch()
{
    if (d_released) // nobody else holds this handle any more: no lock is needed
        return;
    gr::thread::scoped_lock lock(d_store->mutex);
    d_store->release(d_index, false);
}

gr_complex* window_batch::samples() const
{
    gr::thread::scoped_lock lock(d_store->mutex);
    require_unreleased("its samples belong to the ring again");
    return d_store->at(d_index).samples;
}

const window_info* window_batch::info() const
{
    gr::thread::scoped_lock lock(d_store->mutex);
    require_unreleased("its window information belongs to the ring again");
    return d_store->at(d_index).info.data();
}

void window_batch::release(bool classified)
{
    gr::thread::scoped_lock lock(d_store->mutex);
    require_unreleased("release each batch from take() once");
    d_store->release(d_index, classified);
    d_released = true;
}

double window_batch::age_s() const
{
    gr::thread::scoped_lock lock(d_store->mutex);
    require_unreleased("its age means nothing any more");
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - d_store->at(d_index).opened_at).count();
}

bool window_batch::released() const
{
    gr::thread::scoped_lock lock(d_store->mutex);
    return d_released;
}

void window_batch::require_unreleased(const char* why) const
{
    if (d_released)
        throw std::logic_error(std::string("this batch was released before: ") + why);
}

} // namespace tsddae
} // namespace gr
