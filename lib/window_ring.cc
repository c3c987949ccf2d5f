/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#include "batch_store.h"
#include "window_power.h"
#include <gnuradio/tsddae/window_ring.h>
#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace gr {
namespace tsddae {

/*
 * Positions are absolute sample numbers. While a span [first, end) is pushed,
 *
 *     d_start      first sample of the window being filled, [d_start, d_start + L)
 *     d_position   all samples in front of this one have been taken and counted
 *     d_carry      the samples [d_start, first), if the window began in front of the span
 *
 * With a hop longer than L, d_start lies behind d_position while a gap passes.
 */

class window_ring::producer
{
public:
    explicit producer(window_ring& ring) : lock(ring.d_store->mutex), d_ring(ring)
    {
        if (ring.d_pushing)
            throw std::logic_error("two threads push into one window_ring: samples have "
                                   "one order, so only one thread may push them");
        ring.d_pushing = true;
    }
    // The lock is held here: each wait, interrupted or not, ends with the lock held.
    ~producer() { d_ring.d_pushing = false; }

    gr::thread::scoped_lock lock;

private:
    window_ring& d_ring;
};

window_ring::window_ring(const ring_config& config)
    : d_store(std::make_shared<batch_store>(config)),
      d_window(config.window_samples),
      d_hop(config.hop_samples),
      d_gate_dbfs(config.gate_dbfs),
      d_carry(config.window_samples)
{
}

window_ring::~window_ring() { close(); }

const ring_config& window_ring::config() const { return d_store->config; }

size_t window_ring::push(uint64_t first_sample, const gr_complex* samples, size_t n)
{
    producer self(*this);
    batch_store& store = *d_store;
    if (store.closed)
        return 0;
    if (first_sample != d_position) { // a jump, or the start of another run
        end_segment();
        d_position = d_start = first_sample;
    }

    const uint64_t end = first_sample + n;
    while (d_start + d_window <= end) {
        const gr_complex* window = window_at_start(first_sample, samples);
        const double power = mean_power(window, d_window);
        const bool finite = std::isfinite(power);
        d_info.first_sample = d_start;
        d_info.power_dbfs = dbfs(power);
        const bool gated = !finite || d_info.power_dbfs < d_gate_dbfs;

        // The only wait. No sample of this window counts as taken before it is over.
        bool room = false;
        try {
            room = !gated && store.make_room(self.lock);
        } catch (...) { // boost::thread_interrupted
            keep_rest(first_sample, samples, d_position - first_sample);
            throw;
        }
        if (store.closed) {
            end_segment();
            return d_position - first_sample;
        }

        take_until(d_start + d_window);
        ring_counters& counters = store.counters;
        counters.windows_in++;
        if (gated) {
            counters.samples_pending -= d_owned;
            counters.samples_gated += d_owned;
            counters.windows_gated++;
            counters.windows_nonfinite += !finite;
        } else if (room) {
            store.put(window, d_info, d_owned);
        } else {
            counters.samples_pending -= d_owned;
            counters.samples_dropped += d_owned;
            counters.windows_dropped++;
        }
        d_owned = 0;
        slide(first_sample);
    }
    take_until(end);
    keep_rest(first_sample, samples, n);
    return n;
}

//! The window [d_start, d_start + L) as one piece.
const gr_complex* window_ring::window_at_start(uint64_t first_sample,
                                               const gr_complex* samples)
{
    if (d_start >= first_sample)
        return samples + (d_start - first_sample);
    const uint64_t carried = first_sample - d_start;
    std::copy_n(samples, d_window - carried, d_carry.begin() + carried);
    return d_carry.data();
}

//! Go on to the next window. Its samples from earlier spans move to d_carry's front.
void window_ring::slide(uint64_t first_sample)
{
    const uint64_t next = d_start + d_hop;
    if (next < first_sample) {
        const auto begin = d_carry.begin();
        std::copy(begin + d_hop, begin + (first_sample - d_start), begin);
    }
    d_start = next;
}

//! After \p n samples of a span were taken: copy those of the window being filled to
//! d_carry.
void window_ring::keep_rest(uint64_t first_sample, const gr_complex* samples, size_t n)
{
    const uint64_t end = first_sample + n;
    const uint64_t from = std::max(d_start, first_sample);
    if (from < end)
        std::copy_n(samples + (from - first_sample),
                    end - from,
                    d_carry.begin() + (from - d_start));
}

//! Count the samples up to \p sample as taken. Those in front of d_start are in a gap.
void window_ring::take_until(uint64_t sample)
{
    const uint64_t taken = sample - d_position;
    const uint64_t gap =
        d_start > d_position ? std::min(sample, d_start) - d_position : 0;
    ring_counters& counters = d_store->counters;
    counters.samples_in += taken;
    counters.samples_flushed += gap;
    counters.samples_pending += taken - gap;
    d_owned += taken - gap;
    d_position = sample;
}

//! Flush the window being filled. The next window starts here.
void window_ring::end_segment()
{
    d_store->counters.samples_pending -= d_owned;
    d_store->counters.samples_flushed += d_owned;
    d_owned = 0;
    d_start = d_position;
}

uint64_t window_ring::position() const
{
    gr::thread::scoped_lock lock(d_store->mutex);
    return d_position;
}

void window_ring::mark_time(uint64_t full_s, double frac_s)
{
    constexpr double tolerance_samples = 1.5; // both as the header explains
    constexpr double tolerance_s = 0.5e-6;
    producer self(*this);
    if (d_info.has_time) {
        const double samples = samples_since_time();
        const double seconds = static_cast<int64_t>(full_s - d_info.rx_time_full_s) +
                               (frac_s - d_info.rx_time_frac_s);
        const double rate_hz =
            std::isnan(d_info.rx_rate_hz) ? d_measured_rate_hz : d_info.rx_rate_hz;
        d_measured_rate_hz = samples / seconds;
        if (std::isfinite(rate_hz) && rate_hz > 0.0 &&
            std::abs(seconds - samples / rate_hz) <=
                std::max(tolerance_s, tolerance_samples / rate_hz))
            return;
    }
    end_segment();
    set_time(full_s, frac_s);
}

double window_ring::samples_since_time() const
{
    return static_cast<int64_t>(d_position - d_info.rx_time_sample);
}

//! The clock starts at the next sample.
void window_ring::set_time(uint64_t full_s, double frac_s)
{
    d_info.has_time = 1;
    d_info.rx_time_full_s = full_s;
    d_info.rx_time_frac_s = frac_s;
    d_info.rx_time_sample = d_position;
}

void window_ring::mark_freq(double freq_hz)
{
    producer self(*this);
    if (freq_hz == d_info.rx_freq_hz) // never when unknown: NaN
        return;
    end_segment();
    d_info.rx_freq_hz = freq_hz;
}

void window_ring::mark_rate(double rate_hz)
{
    producer self(*this);
    if (rate_hz == d_info.rx_rate_hz)
        return;
    end_segment();
    if (d_info.has_time &&
        d_info.rx_rate_hz > 0.0) { // what it shows here, at the old rate
        const double frac_s =
            d_info.rx_time_frac_s + samples_since_time() / d_info.rx_rate_hz;
        const double whole_s = std::floor(frac_s);
        set_time(d_info.rx_time_full_s + static_cast<int64_t>(whole_s), frac_s - whole_s);
    }
    d_info.rx_rate_hz = rate_hz;
}

void window_ring::mark_discontinuity()
{
    producer self(*this);
    end_segment();
}

void window_ring::reopen(bool forget_tags)
{
    gr::thread::scoped_lock lock(d_store->mutex);
    d_store->closed = false;
    if (forget_tags) {
        d_info = window_info();
        d_measured_rate_hz = d_info.rx_rate_hz; // unknown
    }
}

window_batch::sptr window_ring::take(double timeout_s)
{
    gr::thread::scoped_lock lock(d_store->mutex);
    const auto index = d_store->wait_for_ready(lock, timeout_s);
    if (!index)
        return nullptr;
    // Without memory for the handle the batch stays in the ring.
    const auto batch = std::make_shared<window_batch>(d_store, *index);
    d_store->take_oldest_ready();
    return batch;
}

void window_ring::release(window_batch& batch, bool classified)
{
    if (batch.store() != d_store.get())
        throw std::logic_error("this batch is another ring's: release it there");
    batch.release(classified);
}

uint64_t window_ring::discard_pending()
{
    gr::thread::scoped_lock lock(d_store->mutex);
    return d_store->discard();
}

void window_ring::close()
{
    gr::thread::scoped_lock lock(d_store->mutex);
    d_store->closed = true;
    if (!d_pushing) // else push() does it, when it wakes up
        end_segment();
    d_store->close_open_batch();
    d_store->notify_all();
}

bool window_ring::closed() const
{
    gr::thread::scoped_lock lock(d_store->mutex);
    return d_store->closed;
}

bool window_ring::finished() const
{
    gr::thread::scoped_lock lock(d_store->mutex);
    return d_store->closed && d_store->empty();
}

ring_counters window_ring::counters() const
{
    gr::thread::scoped_lock lock(d_store->mutex);
    ring_counters now = d_store->counters;
    now.batches_ready = d_store->ready();
    return now;
}

double window_ring::gate_dbfs() const
{
    gr::thread::scoped_lock lock(d_store->mutex);
    return d_gate_dbfs;
}

void window_ring::set_gate_dbfs(double gate_dbfs)
{
    if (std::isnan(gate_dbfs))
        throw std::invalid_argument(
            "gate_dbfs is NaN, but must be a level in dB re 1.0: use -inf for no gate");
    gr::thread::scoped_lock lock(d_store->mutex);
    d_gate_dbfs = gate_dbfs;
}

ring_pace window_ring::pace() const
{
    gr::thread::scoped_lock lock(d_store->mutex);
    return d_store->pace;
}

void window_ring::set_pace(const ring_pace& pace)
{
    gr::thread::scoped_lock lock(d_store->mutex);
    d_store->set_pace(pace);
}

} // namespace tsddae
} // namespace gr
