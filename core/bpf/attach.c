/* SPDX-License-Identifier: Apache-2.0 */
#include <base/log.h>
#include <bpf/bpf.h>
#include <bpf/env.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <netlink/netlink.h>
#include <netlink/route/classifier.h>
#include <netlink/route/tc.h>
#include <stdio.h>

/* Our place among the filters of a device: replaced in place, found again by these. */
#define PCN_TC_PRIORITY 20
#define PCN_TC_HANDLE 0x70636e

/* <linux/bpf.h> of Debian 12 is older than TCX. */
#define ATTACH_TCX_INGRESS 46
#define ATTACH_TCX_EGRESS 47

static int link_pin(int link, const char *pin)
{
    int r = 0;

    (void)unlink(pin);
    if (bpf_obj_pin(link, pin) < 0)
        r = pcn_log_error(-errno, "cannot pin %s", pin);
    (void)close(link);
    return r;
}

static int tcx_attach(int ifindex, bool egress, int program, const char *pin)
{
    int link;

    link = bpf_link_create(program, ifindex, (enum bpf_attach_type)(egress ? ATTACH_TCX_EGRESS : ATTACH_TCX_INGRESS),
                           NULL);
    if (link < 0)
        return pcn_log_error(-errno, "cannot attach to device %d by TCX", ifindex);
    return link_pin(link, pin);
}

int pcn_tc_attach(const struct pcn_bpf *bpf, int ifindex, bool egress, int program, const char *pin)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
    LIBBPF_OPTS(bpf_tc_opts, options, .handle = PCN_TC_HANDLE, .priority = PCN_TC_PRIORITY, .prog_fd = program,
                .flags = BPF_TC_F_REPLACE);
    int r;

    if (bpf->tcx)
        return tcx_attach(ifindex, egress, program, pin);
    r = bpf_tc_hook_create(&hook);
    if (r < 0 && r != -EEXIST)
        return pcn_log_error(r, "cannot add clsact to device %d", ifindex);
    hook.attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS;
    r = bpf_tc_attach(&hook, &options);
    if (r < 0)
        return pcn_log_error(r, "cannot attach to device %d", ifindex);
    return 0;
}

static bool device_has_filters(int ifindex)
{
    static const uint32_t parents[] = {0xFFFFFFF2 /* clsact ingress */, 0xFFFFFFF3 /* clsact egress */};
    struct nl_sock *sock = nl_socket_alloc();
    bool has = true;

    if (!sock || nl_connect(sock, NETLINK_ROUTE) < 0)
        goto out;
    has = false;
    for (size_t i = 0; i < PCN_ARRAY_SIZE(parents) && !has; i++) {
        struct nl_cache *cache = NULL;

        if (rtnl_cls_alloc_cache(sock, ifindex, parents[i], &cache) < 0)
            has = true;
        else
            has = nl_cache_nitems(cache) > 0;
        nl_cache_free(cache);
    }
out:
    nl_socket_free(sock);
    return has;
}

void pcn_tc_detach(const struct pcn_bpf *bpf, int ifindex, bool egress, const char *pin)
{
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS);
    LIBBPF_OPTS(bpf_tc_opts, options, .handle = PCN_TC_HANDLE, .priority = PCN_TC_PRIORITY);

    if (bpf->tcx) {
        (void)unlink(pin);
        return;
    }
    (void)bpf_tc_detach(&hook, &options);
    /* The qdisc goes with the last filter, whoever made it: an empty clsact does nothing. */
    if (!device_has_filters(ifindex)) {
        hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
        (void)bpf_tc_hook_destroy(&hook);
    }
}

int pcn_xdp_attach(int ifindex, const char *name, bool generic, int program, const char *pin, struct pcn_error *error)
{
    LIBBPF_OPTS(bpf_link_create_opts, options, .flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE);
    uint32_t other = 0;
    int link, r;

    link = bpf_link_create(program, ifindex, BPF_XDP, &options);
    if (link >= 0)
        return link_pin(link, pin);
    r = -errno;
    if (r == -EBUSY || r == -EEXIST) {
        (void)bpf_xdp_query_id(ifindex, 0, &other);
        pcn_error_set(error, PCN_ERROR_IN_USE, "peer",
                      "device %s has XDP program %u, which is not ours: detach it first (`ip link set dev %s xdp off`)",
                      name, other, name);
        return -EBUSY;
    }
    return pcn_error_set(error, PCN_ERROR_RESOURCE_DENIED, "peer",
                         "cannot attach an XDP program to device %s in %s mode: %s", name,
                         generic ? "generic (XDP_SKB)" : "native (XDP_DRV)", strerror(-r));
}

void pcn_xdp_detach(const char *pin)
{
    (void)unlink(pin);
}

void pcn_xdp_detach_now(const char *pin)
{
    _cleanup_close_ int link = bpf_obj_get(pin);

    if (link >= 0)
        (void)bpf_link_detach(link);
    (void)unlink(pin);
}
