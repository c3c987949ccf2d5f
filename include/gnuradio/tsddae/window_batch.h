/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#ifndef INCLUDED_TSDDAE_WINDOW_BATCH_H
#define INCLUDED_TSDDAE_WINDOW_BATCH_H

#include <gnuradio/gr_complex.h>
#include <gnuradio/tsddae/api.h>
#include <gnuradio/tsddae/window_info.h>
#include <cstddef>
#include <memory>

namespace gr {
namespace tsddae {

class batch_store;

/*!
 * \brief A batch that a consumer holds: n windows of L samples.
 *
 * The samples lie in the ring's own storage. The consumer may change them in place until
 * release(). Then the ring writes new windows there. A batch that is destroyed without
 * release() counts as dropped and gives its storage back. A batch stays valid when its
 * ring is destroyed first.
 */
class TSDDAE_API window_batch
{
public:
    typedef std::shared_ptr<window_batch> sptr;

    //! Only the ring calls this; consumers get batches from window_ring::take().
    window_batch(std::shared_ptr<batch_store> store, size_t index);
    ~window_batch();
    window_batch(const window_batch&) = delete;
    window_batch& operator=(const window_batch&) = delete;

    size_t windows() const { return d_windows; }               //!< n, at least 1
    size_t window_samples() const { return d_window_samples; } //!< L

    //! (n, L) samples, row after row. \throws std::logic_error once released.
    gr_complex* samples() const;

    //! (n) descriptions, one per window. \throws std::logic_error once released.
    const window_info* info() const;

    //! Seconds since the first window was complete. \throws std::logic_error once
    //! released.
    double age_s() const;

    /*!
     * \brief Give the storage back.
     * \param classified true: the windows count as classified; false: as dropped.
     * \throws std::logic_error when the batch was released before.
     */
    void release(bool classified);

    bool released() const;

    //! The storage of the ring that this batch came from.
    const batch_store* store() const { return d_store.get(); }

private:
    void require_unreleased(const char* why) const;

    const std::shared_ptr<batch_store> d_store;
    const size_t d_index;
    const size_t d_windows;
    const size_t d_window_samples;
    bool d_released = false; // guarded by the store's mutex
};

} // namespace tsddae
} // namespace gr

#endif /* INCLUDED_TSDDAE_WINDOW_BATCH_H */
