/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#ifndef INCLUDED_TSDDAE_BATCH_STORE_H
#define INCLUDED_TSDDAE_BATCH_STORE_H

#include <gnuradio/gr_complex.h>
#include <gnuradio/thread/thread.h>
#include <gnuradio/tsddae/overflow_policy.h>
#include <gnuradio/tsddae/ring_counters.h>
#include <gnuradio/tsddae/window_info.h>
#include <gnuradio/tsddae/window_ring.h>
#include <condition_variable>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

namespace gr {
namespace tsddae {

/*!
 * \brief The storage of a window_ring: its batches, its counters and their lock.
 *
 * Each batch is free, open (being filled; at most one), ready, or taken:
 *
 *     free -> open -> ready -> taken -> free        (ready -> free when dropped)
 *
 * The ring and every batch that a consumer holds share the storage. The caller of any
 * method holds \p mutex.
 */
class batch_store
{
public:
    struct stored_batch {
        gr_complex* samples;           // (B, L), aligned to 64 bytes
        std::vector<window_info> info; // (B)
        size_t windows;                // how many of the B are filled
        uint64_t samples_owned;        // by these windows, see ring_counters
        std::chrono::steady_clock::time_point opened_at; // when its first window came
    };

    explicit batch_store(const ring_config& config); //!< \throws as window_ring does

    mutable gr::thread::mutex mutex;
    const ring_config config;
    ring_counters counters;
    bool closed = false;
    ring_pace pace; // change it by set_pace()

    //! \throws std::invalid_argument
    void set_pace(const ring_pace& pace);

    /* the producer's side */

    //! Find room for a window, as the policy says; overflow_policy::block waits for it.
    //! \returns false when the storage is closed or the window is to be dropped.
    bool make_room(gr::thread::scoped_lock& lock);

    //! Copy a window to the room that make_room() found.
    void put(const gr_complex* samples, const window_info& info, uint64_t samples_owned);

    //! Make the open batch ready, full or not.
    void close_open_batch();

    //! Wake every thread that waits, because \p closed has changed.
    void notify_all();

    /* the consumer's side */

    //! The oldest ready batch, which stays ready. Nothing after the timeout, or when the
    //! storage is closed and empty.
    std::optional<size_t> wait_for_ready(gr::thread::scoped_lock& lock, double timeout_s);
    void take_oldest_ready();
    void release(size_t index, bool classified);
    uint64_t discard(); //!< \returns how many windows were dropped

    size_t ready() const { return d_ready.size(); }
    bool empty() const { return d_ready.empty() && !d_open; }
    const stored_batch& at(size_t index) const { return d_batches[index]; }

private:
    using clock = std::chrono::steady_clock;

    struct aligned_delete {
        void operator()(gr_complex* samples) const;
    };

    void drop_oldest_ready();
    void drop_stale(clock::time_point now);
    void free_batch(size_t index);

    std::unique_ptr<gr_complex[], aligned_delete> d_samples;
    std::vector<stored_batch> d_batches;
    std::vector<size_t> d_free;  // indices into d_batches; both are reserved and never
    std::vector<size_t> d_ready; // allocate; oldest first
    std::optional<size_t> d_open;

    gr::thread::condition_variable d_room; // boost's: an interruption point for tb.stop()
    std::condition_variable_any d_news;    // std's: consumers wait on the steady clock
};

} // namespace tsddae
} // namespace gr

#endif /* INCLUDED_TSDDAE_BATCH_STORE_H */
