/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#include "stream_tags.h"
#include "window_batcher_impl.h"
#include <gnuradio/block_detail.h>
#include <gnuradio/io_signature.h>
#include <algorithm>

namespace gr {
namespace tsddae {

namespace {
// Not global variables: pmt's symbol table must exist before them.
const pmt::pmt_t rx_time_key()
{
    static const pmt::pmt_t key = pmt::mp("rx_time");
    return key;
}
const pmt::pmt_t rx_freq_key()
{
    static const pmt::pmt_t key = pmt::mp("rx_freq");
    return key;
}
const pmt::pmt_t rx_rate_key()
{
    static const pmt::pmt_t key = pmt::mp("rx_rate");
    return key;
}

bool is_foreign(const tag_t& tag)
{
    return !pmt::eqv(tag.key, rx_time_key()) && !pmt::eqv(tag.key, rx_freq_key()) &&
           !pmt::eqv(tag.key, rx_rate_key());
}
} // namespace

window_batcher::sptr window_batcher::make(const ring_config& config)
{
    return gnuradio::make_block_sptr<window_batcher_impl>(config);
}

window_batcher_impl::window_batcher_impl(const ring_config& config)
    : gr::sync_block("window_batcher",
                     gr::io_signature::make(1, 1, sizeof(gr_complex)),
                     gr::io_signature::make(0, 0, 0)),
      d_ring(std::make_shared<window_ring>(config))
{
    message_port_register_out(pmt::mp("drain"));
}

bool window_batcher_impl::start()
{
    d_stream_ended = false;
    d_warned = false;
    d_longest_stall_s = 0.0;
    d_worked_at.reset();
    d_ring->reopen(true); // sample numbers restart, so earlier tags no longer hold
    return true;
}

bool window_batcher_impl::stop()
{
    // The scheduler marks a block as done when its input ran out, not when the block was
    // interrupted. stop() must not wait: it can run while an interruption unwinds.
    d_stream_ended = stream_ended();
    d_ring->close();
    return true;
}

bool window_batcher_impl::stream_ended() const
{
    // closed() first: stop(), on another thread, keeps the answer before it closes the
    // ring.
    const bool closed = d_ring->closed();
    const auto scheduled = detail();
    return d_stream_ended || (scheduled && scheduled->done() && !closed);
}

int window_batcher_impl::work(int noutput_items,
                              gr_vector_const_void_star& input_items,
                              gr_vector_void_star&)
{
    const auto now = std::chrono::steady_clock::now();
    if (d_worked_at) {
        const double since_s = std::chrono::duration<double>(now - *d_worked_at).count();
        if (since_s > d_longest_stall_s)
            d_longest_stall_s = since_s;
    }
    d_worked_at = now;
    const uint64_t first_sample = nitems_read(0);
    const int taken = push_with_tags(first_sample,
                                     static_cast<const gr_complex*>(input_items[0]),
                                     static_cast<size_t>(noutput_items));
    if (taken == noutput_items)
        return taken;
    consume(0, taken); // a consumer closed the ring: it takes no more
    return WORK_DONE;
}

size_t window_batcher_impl::push_with_tags(uint64_t first_sample,
                                           const gr_complex* samples,
                                           size_t n)
{
    get_tags_in_range(d_tags, 0, first_sample, first_sample + n);
    // Other tags would only cut the samples into pieces.
    d_tags.erase(std::remove_if(d_tags.begin(), d_tags.end(), is_foreign), d_tags.end());
    std::stable_sort(d_tags.begin(), d_tags.end(), tag_t::offset_compare);
    uint64_t at = first_sample;
    for (const tag_t& tag : d_tags) {
        // Even without samples in between, push() sets the ring's position.
        at += d_ring->push(at, samples + (at - first_sample), tag.offset - at);
        if (at != tag.offset)
            return at - first_sample; // closed
        apply(tag);
    }
    at += d_ring->push(at, samples + (at - first_sample), first_sample + n - at);
    return at - first_sample;
}

void window_batcher_impl::apply(const tag_t& tag)
{
    if (pmt::eqv(tag.key, rx_time_key())) {
        if (const auto time = time_of_tag(tag.value))
            d_ring->mark_time(time->full_s, time->frac_s);
        else
            warn_of_malformed(tag);
    } else if (pmt::eqv(tag.key, rx_freq_key())) {
        if (const auto freq_hz = hz_of_tag(tag.value))
            d_ring->mark_freq(*freq_hz);
        else
            warn_of_malformed(tag);
    } else if (pmt::eqv(tag.key, rx_rate_key())) {
        if (const auto rate_hz = hz_of_tag(tag.value))
            d_ring->mark_rate(*rate_hz);
        else
            warn_of_malformed(tag);
    }
}

void window_batcher_impl::warn_of_malformed(const tag_t& tag)
{
    if (d_warned)
        return;
    d_warned = true;
    d_logger->warn(
        "ignored the tag {} = {} at sample {}: expected rx_time as a tuple of "
        "seconds (uint64) and their fraction (double), rx_freq and rx_rate as "
        "a double in Hz. Further malformed tags of this run are ignored without "
        "a warning.",
        pmt::write_string(tag.key),
        pmt::write_string(tag.value),
        tag.offset);
}

} // namespace tsddae
} // namespace gr
