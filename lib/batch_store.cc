/* -*- c++ -*- */
/*
 * This file is part of gr-tsddae.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

#include "batch_store.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

namespace gr {
namespace tsddae {

namespace {

constexpr std::align_val_t storage_alignment{ 64 };
constexpr double storage_limit_bytes = 8.0 * (1ull << 30);

void require_between(const char* name,
                     int64_t value,
                     int64_t lowest,
                     const std::string& remedy)
{
    constexpr int64_t highest = std::numeric_limits<int32_t>::max();
    if (value < lowest || value > highest) {
        throw std::invalid_argument(std::string(name) + " is " + std::to_string(value) +
                                    ", but must be between " + std::to_string(lowest) +
                                    " and " + std::to_string(highest) + ": " + remedy);
    }
}

const ring_config& validated(const ring_config& config)
{
    require_between("window_samples",
                    config.window_samples,
                    1,
                    "use the window length of the model's card, such as 128 or 1024");
    require_between("hop_samples",
                    config.hop_samples,
                    1,
                    "use the window length for windows that neither overlap nor leave "
                    "gaps");
    require_between("batch_windows",
                    config.batch_windows,
                    1,
                    "use 1 for the least delay, 64 or more for speed");
    require_between("capacity_batches",
                    config.capacity_batches,
                    2,
                    "one batch is filled while another one is worked on");
    if (std::isnan(config.gate_dbfs))
        throw std::invalid_argument(
            "gate_dbfs is NaN, but must be a level in dB re 1.0: use -inf for no gate");
    if (!(config.max_wait_s >= 0.0))
        throw std::invalid_argument(
            "max_wait_s is " + std::to_string(config.max_wait_s) +
            ", but must be 0 or more seconds: use inf to wait for full batches");

    const double window_bytes =
        static_cast<double>(config.window_samples) * sizeof(gr_complex) +
        sizeof(window_info);
    const double bytes = window_bytes * config.batch_windows * config.capacity_batches;
    if (bytes > storage_limit_bytes) {
        throw std::invalid_argument(
            "capacity_batches * batch_windows = " +
            std::to_string(config.capacity_batches) + " * " +
            std::to_string(config.batch_windows) + " windows of window_samples = " +
            std::to_string(config.window_samples) + " and their descriptions take " +
            std::to_string(std::llround(bytes / (1 << 20))) +
            " MiB, but the limit is 8192 MiB: use smaller or fewer batches");
    }
    return config;
}

//! now + seconds, for seconds up to infinity
std::chrono::steady_clock::time_point later(std::chrono::steady_clock::time_point now,
                                            double seconds)
{
    constexpr double three_years_s = 1e8; // far enough, and far from an overflow
    return now + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                     std::chrono::duration<double>(std::min(seconds, three_years_s)));
}

} // namespace

void batch_store::aligned_delete::operator()(gr_complex* samples) const
{
    ::operator delete[](samples, storage_alignment);
}

batch_store::batch_store(const ring_config& unchecked_config)
    : config(validated(unchecked_config)), pace{ config.batch_windows, config.max_wait_s }
{
    const size_t batch_samples = config.batch_windows * config.window_samples;
    const size_t capacity = config.capacity_batches;
    const size_t bytes = capacity * batch_samples * sizeof(gr_complex);
    d_samples.reset(static_cast<gr_complex*>(::operator new[](bytes, storage_alignment)));
    // This touches every page, so that none is mapped while samples arrive.
    std::uninitialized_fill_n(d_samples.get(), capacity * batch_samples, gr_complex(0));

    d_batches.reserve(capacity);
    d_free.reserve(capacity);
    d_ready.reserve(capacity);
    for (size_t i = 0; i < capacity; i++) {
        d_batches.push_back({ d_samples.get() + i * batch_samples,
                              std::vector<window_info>(config.batch_windows),
                              0,
                              0,
                              {} });
        d_free.push_back(i);
    }
}

bool batch_store::make_room(gr::thread::scoped_lock& lock)
{
    while (!closed) {
        if (d_open || !d_free.empty())
            return true;
        if (config.policy == overflow_policy::block) {
            d_room.wait(lock);
        } else if (config.policy == overflow_policy::drop_oldest && !d_ready.empty()) {
            drop_oldest_ready();
        } else {
            return false;
        }
    }
    return false;
}

void batch_store::put(const gr_complex* samples,
                      const window_info& info,
                      uint64_t samples_owned)
{
    if (!d_open) {
        d_open = d_free.back();
        d_free.pop_back();
        d_batches[*d_open].opened_at = clock::now();
        if (std::isfinite(pace.max_wait_s))
            d_news.notify_all(); // who waits in take() learns when this batch is due
    }
    stored_batch& batch = d_batches[*d_open];
    const size_t length = config.window_samples;
    std::copy_n(samples, length, batch.samples + batch.windows * length);
    batch.info[batch.windows] = info;
    batch.windows++;
    batch.samples_owned += samples_owned;
    counters.windows_pending++;
    if (batch.windows >= static_cast<size_t>(pace.batch_windows))
        close_open_batch();
}

void batch_store::close_open_batch()
{
    if (!d_open)
        return;
    d_ready.push_back(*d_open);
    d_open.reset();
    d_news.notify_all();
}

void batch_store::set_pace(const ring_pace& wanted)
{
    if (wanted.batch_windows < 1 || wanted.batch_windows > config.batch_windows)
        throw std::invalid_argument(
            "batch_windows is " + std::to_string(wanted.batch_windows) +
            ", but must be between 1 and " + std::to_string(config.batch_windows) +
            ", which the ring was made for");
    for (const auto& [name, seconds] : { std::pair("max_wait_s", wanted.max_wait_s),
                                         std::pair("max_age_s", wanted.max_age_s) }) {
        if (!(seconds >= 0.0))
            throw std::invalid_argument(std::string(name) + " is " +
                                        std::to_string(seconds) +
                                        ", but must be 0 or more seconds: use inf for "
                                        "no limit");
    }
    pace = wanted;
    if (d_open && d_batches[*d_open].windows >= static_cast<size_t>(pace.batch_windows))
        close_open_batch();
    d_news.notify_all(); // who waits in take() learns when a batch is due now
}

void batch_store::drop_oldest_ready()
{
    const size_t oldest = d_ready.front();
    d_ready.erase(d_ready.begin());
    counters.samples_dropped += d_batches[oldest].samples_owned;
    counters.windows_dropped += d_batches[oldest].windows;
    free_batch(oldest);
}

//! Drop ready batches older than pace.max_age_s, but never the newest one, and none of
//! a stream that has ended.
void batch_store::drop_stale(clock::time_point now)
{
    if (config.policy != overflow_policy::drop_oldest || closed)
        return;
    while (d_ready.size() > 1 &&
           now > later(d_batches[d_ready.front()].opened_at, pace.max_age_s))
        drop_oldest_ready();
}

void batch_store::notify_all()
{
    d_news.notify_all();
    d_room.notify_all();
}

std::optional<size_t> batch_store::wait_for_ready(gr::thread::scoped_lock& lock,
                                                  double timeout_s)
{
    if (!(timeout_s >= 0.0))
        throw std::invalid_argument("timeout_s is " + std::to_string(timeout_s) +
                                    ", but must be 0 or more seconds: use 0 to look "
                                    "without waiting, inf to wait for ever");
    const clock::time_point deadline = later(clock::now(), timeout_s);
    while (true) {
        const clock::time_point now = clock::now();
        clock::time_point wake_up = deadline;
        if (d_open) {
            const clock::time_point due =
                later(d_batches[*d_open].opened_at, pace.max_wait_s);
            // Ready batches go first: the open one is due only when none is ready.
            if (d_ready.empty() && now >= due)
                close_open_batch();
            wake_up = std::min(deadline, due);
        }
        drop_stale(now);
        if (!d_ready.empty())
            return d_ready.front();
        if (closed || now >= deadline)
            return std::nullopt;
        d_news.wait_until(lock, wake_up);
    }
}

void batch_store::take_oldest_ready()
{
    d_ready.erase(d_ready.begin());
    counters.batches_taken++;
}

void batch_store::release(size_t index, bool classified)
{
    const stored_batch& batch = d_batches[index];
    if (classified) {
        counters.samples_classified += batch.samples_owned;
        counters.windows_classified += batch.windows;
    } else {
        counters.samples_dropped += batch.samples_owned;
        counters.windows_dropped += batch.windows;
    }
    counters.batches_taken--;
    free_batch(index);
}

uint64_t batch_store::discard()
{
    close_open_batch();
    uint64_t windows = 0;
    for (const size_t index : d_ready) {
        windows += d_batches[index].windows;
        counters.samples_dropped += d_batches[index].samples_owned;
        free_batch(index);
    }
    d_ready.clear();
    counters.windows_dropped += windows;
    return windows;
}

void batch_store::free_batch(size_t index)
{
    stored_batch& batch = d_batches[index];
    counters.samples_pending -= batch.samples_owned;
    counters.windows_pending -= batch.windows;
    batch.windows = 0;
    batch.samples_owned = 0;
    d_free.push_back(index);
    d_room.notify_all();
}

} // namespace tsddae
} // namespace gr
