/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#ifndef INCLUDED_TSDDAE_WINDOW_BATCHER_IMPL_H
#define INCLUDED_TSDDAE_WINDOW_BATCHER_IMPL_H

#include <gnuradio/tsddae/window_batcher.h>
#include <atomic>
#include <chrono>
#include <optional>
#include <vector>

namespace gr {
namespace tsddae {

class window_batcher_impl : public window_batcher
{
public:
    explicit window_batcher_impl(const ring_config& config);

    window_ring::sptr ring() const override { return d_ring; }
    bool stream_ended() const override;
    double longest_stall_s() const override { return d_longest_stall_s; }

    bool start() override;
    bool stop() override;
    int work(int noutput_items,
             gr_vector_const_void_star& input_items,
             gr_vector_void_star& output_items) override;

private:
    //! \returns how many samples were taken: less than n when the ring is closed
    size_t push_with_tags(uint64_t first_sample, const gr_complex* samples, size_t n);
    void apply(const tag_t& tag);
    void warn_of_malformed(const tag_t& tag);

    const window_ring::sptr d_ring;
    std::atomic<bool> d_stream_ended{ false };
    std::atomic<double> d_longest_stall_s{ 0.0 };
    std::optional<std::chrono::steady_clock::time_point> d_worked_at;
    bool d_warned = false;     // of a malformed tag, in this run
    std::vector<tag_t> d_tags; // of one work(); a member, so that its storage is kept
};

} // namespace tsddae
} // namespace gr

#endif /* INCLUDED_TSDDAE_WINDOW_BATCHER_IMPL_H */
