/* SPDX-License-Identifier: MIT */
/* How receivers travel. */
#include "channel.h"
#include "handle.h"

static int pack_receiver(struct rill_handle *handle, struct rill_parcel *parcel)
{
    (void)parcel;
    return rill_is_receiver(handle->as.receiver) ? RILL_ENOTSUP : RILL_EINVAL;
}

static int hold_receiver(const struct rill_handle *handle, struct rill_handle *copy)
{
    if (!rill_is_receiver(handle->as.receiver))
        return RILL_EINVAL;
    if (atomic_load_explicit(&handle->as.receiver->busy, memory_order_relaxed))
        return RILL_EBUSY;
    *copy = *handle;
    return RILL_OK;
}

static int open_receiver(struct rill_traveller *traveller, struct rill_handle *handle)
{
    (void)traveller, (void)handle;
    return RILL_EPEER;
}

static void close_receiver(struct rill_handle *handle)
{
    (void)rill_receiver_close(&handle->as.receiver);
}

const struct rill_travel rill_receiver_travel = {
    .pack = pack_receiver,
    .hold = hold_receiver,
    .moves = true,
    .open = open_receiver,
    .close = close_receiver,
};
