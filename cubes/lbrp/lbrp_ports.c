/* SPDX-License-Identifier: Apache-2.0 */
/* Ports, and which side each is on. */
#include "lbrp.h"
#include "lbrp_model.h"
#include <arpa/inet.h>

static struct lbrp_port *port_find(const struct lbrp_sides *ports, uint16_t id)
{
    for (size_t i = 0; i < ports->n; i++)
        if (ports->ports[i].id == id)
            return &ports->ports[i];
    return NULL;
}

static int ports_copy(const struct lbrp_sides *from, struct lbrp_sides *to)
{
    struct lbrp_port *ports = realloc(to->ports, (from->n + 1) * sizeof(*ports));

    if (!ports)
        return -ENOMEM;
    if (from->n)
        memcpy(ports, from->ports, from->n * sizeof(*ports));
    to->ports = ports;
    to->n = from->n;
    return 0;
}

int lbrp_ports_prepare(struct pcn_cube *cube, struct pcn_change *change, struct pcn_error *error)
{
    struct lbrp *lbrp = pcn_cube_state(cube);
    const struct pcn_port *port = pcn_port_by_name(cube, change->keys[0]);
    struct lbrp_port entry = {}, *found, *ports;
    const char *ip;

    if (!port)
        return 0;
    lbrp->ports_changing = true;
    entry.id = pcn_port_id(port);
    found = port_find(&lbrp->next_ports, entry.id);
    if (!change->after) {
        if (found)
            *found = lbrp->next_ports.ports[--lbrp->next_ports.n];
        return 0;
    }
    entry.back = pcn_streq(pcn_node_string(change->after, "type"), "BACKEND");
    ip = pcn_node_string(change->after, "ip");
    if (ip)
        entry.version = lbrp_address_parse(ip, &entry.address);
    if (!found) {
        ports = realloc(lbrp->next_ports.ports, (lbrp->next_ports.n + 1) * sizeof(*ports));
        if (!ports)
            return -ENOMEM;
        lbrp->next_ports.ports = ports;
        found = &ports[lbrp->next_ports.n++];
    }
    *found = entry;
    return 0;
}

void lbrp_ports_abort(struct pcn_cube *cube, struct pcn_change *change)
{
    struct lbrp *lbrp = pcn_cube_state(cube);

    /* It has room: it was as long before. */
    (void)ports_copy(&lbrp->ports, &lbrp->next_ports);
    lbrp->ports_changing = false;
}

static const char *name_of(const struct lbrp *lbrp, const struct lbrp_port *port)
{
    const struct pcn_port *it = pcn_port_by_id(lbrp->cube, port->id);

    return it ? pcn_port_name(it) : "";
}

int lbrp_sides_prepared(struct lbrp *lbrp, struct pcn_error *error)
{
    const struct lbrp_sides *ports = &lbrp->next_ports;
    size_t n_front = 0, n_back = 0;

    if (!lbrp->ports_changing)
        return 0;
    for (size_t i = 0; i < ports->n; i++) {
        const struct lbrp_port *port = &ports->ports[i];

        n_back += port->back;
        n_front += !port->back;
        if (!ports->multi || port->back)
            continue;
        if (!port->version)
            return pcn_error_set(error, PCN_ERROR_MISSING_ELEMENT, "ports",
                                 "port %s has no ip: with port_mode MULTI each FRONTEND port has its client's address",
                                 name_of(lbrp, port));
        for (size_t j = 0; j < i; j++)
            if (!ports->ports[j].back && ports->ports[j].version == port->version &&
                memcmp(&ports->ports[j].address, &port->address, sizeof(port->address)) == 0)
                return pcn_error_set(error, PCN_ERROR_DATA_EXISTS, "ports", "ports %s and %s have the same ip",
                                     name_of(lbrp, &ports->ports[j]), name_of(lbrp, port));
    }
    if (n_back > 1)
        return pcn_error_set(error, PCN_ERROR_DATA_EXISTS, "ports",
                             "there is a port of type BACKEND already: there is one");
    if (n_front > 1 && !ports->multi)
        return pcn_error_set(error, PCN_ERROR_DATA_EXISTS, "ports",
                             "there is a port of type FRONTEND already: with port_mode SINGLE there is one");
    return 0;
}

static void ports_write(struct lbrp *lbrp, const struct lbrp_sides *ports)
{
    struct lbrp_data *data = lbrp->tables.data;
    uint16_t front = LBRP_NO_PORT, back = LBRP_NO_PORT;

    for (size_t i = 0; i < ports->n; i++) {
        const struct lbrp_port *port = &ports->ports[i];

        if (port->back) {
            back = port->id;
            continue;
        }
        front = port->id;
        if (ports->multi)
            lbrp_tables_set(&lbrp->tables, &port->address, port->version, LBRP_PORT, port->id + 1u);
    }
    __atomic_store_n(&data->multi, ports->multi, __ATOMIC_RELAXED);
    __atomic_store_n(&data->front, ports->multi ? LBRP_NO_PORT : front, __ATOMIC_RELAXED);
    __atomic_store_n(&data->back, back, __ATOMIC_RELAXED);
    __atomic_store_n(&data->ready, back != LBRP_NO_PORT && (ports->multi || front != LBRP_NO_PORT), __ATOMIC_RELEASE);
}

void lbrp_sides_applied(struct lbrp *lbrp)
{
    if (!lbrp->ports_changing)
        return;
    lbrp->ports_changing = false;
    for (size_t i = 0; i < lbrp->ports.n; i++)
        if (!lbrp->ports.ports[i].back && lbrp->ports.ports[i].version)
            lbrp_tables_set(&lbrp->tables, &lbrp->ports.ports[i].address, lbrp->ports.ports[i].version, LBRP_PORT, 0);
    ports_write(lbrp, &lbrp->next_ports);
    lbrp->ports.multi = lbrp->next_ports.multi;
    /* Without memory, names of ports that go stay; the next change looks again. */
    (void)ports_copy(&lbrp->next_ports, &lbrp->ports);
}

void lbrp_sides_removed(struct lbrp *lbrp, uint16_t id)
{
    struct lbrp_port *port = port_find(&lbrp->next_ports, id);

    if (port)
        *port = lbrp->next_ports.ports[--lbrp->next_ports.n];
    lbrp->ports_changing = true;
    lbrp_sides_applied(lbrp);
}

void lbrp_sides_done(struct lbrp *lbrp)
{
    free(lbrp->ports.ports);
    free(lbrp->next_ports.ports);
}
